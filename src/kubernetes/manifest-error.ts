import { DaemonError } from '../errors';

/** Says where: `document 2 (Deployment "web"): spec.replicas: …`. */
export class ManifestError extends DaemonError {
  constructor(message: string) {
    super('InvalidParameter', message);
  }
}
