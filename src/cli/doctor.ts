// `caisson doctor`: is this machine fit to run containers, and if not, what to do.

import type { Config } from '../config';
import { errorMessage } from '../errors';
import {
  checkAccelerator,
  checkDataRoot,
  checkGuest,
  checkHelpers,
  checkHosts,
  checkKvmDevice,
  checkMemory,
  checkNetwork,
  checkPrograms,
  checkQemu,
  checkTemplate,
  checkUser,
} from './doctor-checks';
import { print, type Format } from './client/output';
import { exitCodeOf, fail, type Finding, formatReport } from './doctor-report';

type Check = (config: Config) => Finding[] | Promise<Finding[]>;

const checks: readonly (readonly [subject: string, check: Check])[] = [
  ['qemu', checkQemu],
  ['guest', checkGuest],
  ['helpers', checkHelpers],
  ['kvm', () => checkKvmDevice()],
  ['accelerator', checkAccelerator],
  ['template', checkTemplate],
  ['programs', checkPrograms],
  ['user', checkUser],
  ['network', checkNetwork],
  ['data root', checkDataRoot],
  ['memory', checkMemory],
  ['listens on', checkHosts],
];

/** Looks at each requirement and prints what it found. Resolves with the exit status: 0 if containers can run. */
export async function runDoctor(config: Config, format: Format): Promise<number> {
  const findings = await diagnose(config);
  print(format, findings, () => formatReport(findings, process.stdout));
  return exitCodeOf(findings);
}

/** What there is to say of each requirement, in order. */
export async function diagnose(config: Config): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [subject, check] of checks) {
    try {
      findings.push(...(await check(config)));
    } catch (error) {
      findings.push(fail(subject, `could not be told: ${errorMessage(error)}`, 'report this'));
    }
  }
  return findings;
}
