// What helper processes are given of the daemon's environment: where programs are, and nothing that may be a secret.

/** The environment of a process that the daemon starts. */
export function helperEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
}
