// What a build tells its client, in the exact form of dockerd's stream.

import type { ProgressMessage } from '../storage/contract/stores';
import type { ContainerOutput } from './host';

export class BuildOutput implements ContainerOutput {
  readonly send: (message: ProgressMessage) => void;

  constructor(send: (message: ProgressMessage) => void) {
    this.send = send;
  }

  stdout(text: string): void {
    this.send({ stream: text });
  }

  /** In red, as the CLI shows it. */
  stderr(text: string): void {
    this.send({ stream: `\u001b[91m${text}\u001b[0m` });
  }

  step(number: number, total: number, instruction: string): void {
    this.stdout(`Step ${number}/${total} : ${instruction}`);
    this.stdout('\n');
  }

  /** ` ---> ` and the image that a step led to; nothing behind it for scratch. */
  image(imageId: string): void {
    this.stdout(` ---> ${shortId(imageId)}\n`);
  }

  imageId(imageId: string): void {
    if (imageId !== '') this.send({ aux: { ID: imageId } });
  }
}

/** The twelve characters that Docker shows of an id. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}
