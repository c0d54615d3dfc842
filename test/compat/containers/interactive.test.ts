// A person at a terminal: a real distribution, a shell, window changes, ctrl-C, detaching and coming back. A shell that hears
// of a new size draws its line anew, and then output may follow it on the same line: no pattern begins with a line's start.

import { execFileSync } from 'node:child_process';

import { Terminal } from '../../support/process/terminal';
import { compatEnvironment, type EngineName } from '../harness/environment';

// As with the other cases: what differs must show twice, since a loaded machine stretches what a person would wait for.
jest.retryTimes(1);

const { hosts, clis, target } = compatEnvironment();
const engines = (Object.keys(hosts) as EngineName[]).filter(
  (engine) => target === 'both' || engine === target,
);

describe.each(engines)('interactive use of %s', (engine) => {
  // On a cluster process 1 is the supervisor.
  const first = engine === 'kubernetes' ? 'init' : 'bash';
  const host = hosts[engine] ?? '';
  const docker = (...args: string[]): string =>
    execFileSync('/usr/bin/docker', ['--host', host, ...args], {
      encoding: 'utf8',
      timeout: 300_000,
      killSignal: 'SIGKILL',
    });

  test.each(clis)(
    'a shell in debian:12, docker $version',
    async ({ path }) => {
      const name = `interactive-${String(process.pid)}`;
      const terminal = Terminal.open({
        command: `${path} --host ${host} run -it -e TERM=dumb --name ${name} 127.0.0.1:5000/debian:12 bash`,
        rows: 30,
        columns: 90,
      });
      try {
        await terminal.waitFor(/root@[0-9a-f]{12}:\/# /, 120_000);
        await sizeBecomes(terminal, 30, 90);

        await sizeBecomes(terminal, 41, 121);

        terminal.type('python3 -c "print(6 * 7)"; nginx -v; cat /proc/1/comm\r');
        await terminal.waitFor(new RegExp(`42\\r\\nnginx version: nginx/.*\\r\\n${first}\\r\\n`));

        // said by the process itself, so that the ctrl-C is not for the shell that is still starting it
        terminal.type(`sh -c 'echo is "here"; exec sleep 1000'\r`);
        await terminal.waitFor(/is here\r\n/);
        const beforeInterrupt = terminal.screen.length;
        terminal.type('\x03');
        // the terminal throws away what was typed ahead of a ctrl-C: type only at the next prompt
        await terminal.waitFor(/:\/# $/, 120_000, beforeInterrupt);
        terminal.type('echo status $?\r');
        await terminal.waitFor(/status 130\r\n.*:\/# $/);

        terminal.type('marker=still-here\r\x10\x11');
        expect(await terminal.exited()).toBe(0);
        expect(docker('inspect', '-f', '{{.State.Running}}', name).trim()).toBe('true');
        expect(docker('exec', name, 'cat', '/proc/1/comm')).toBe(`${first}\n`);

        const back = Terminal.open({ command: `${path} --host ${host} attach ${name}` });
        await new Promise((resolve) => setTimeout(resolve, 1000)); // attach says nothing when it is ready
        back.type('echo $marker; exit 3\r');
        await back.waitFor(/still-here\r\n/);
        expect(await back.exited()).toBe(3);
        expect(docker('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', name).trim()).toBe(
          'exited 3',
        );
      } finally {
        docker('rm', '-f', name);
      }
    },
    600_000,
  );

  test('a web server and a look at it from inside', () => {
    const name = `nginx-${String(process.pid)}`;
    try {
      docker('run', '-d', '--name', name, '127.0.0.1:5000/debian:12', 'nginx', '-g', 'daemon off;');
      const fetch =
        'import urllib.request,time\nfor i in range(50):\n  try: print(urllib.request.urlopen("http://127.0.0.1/").read().decode().strip()); break\n  except OSError: time.sleep(0.2)';
      expect(docker('exec', name, 'python3', '-c', fetch)).toBe('caisson test page\n');
      // whiteouts and an opaque directory of the image's upper layers
      const look = 'ls /srv/app /srv/app/old; test -e /usr/share/doc || echo no doc';
      expect(docker('exec', name, 'sh', '-c', look)).toBe(
        '/srv/app:\nkeep\nlink\nmade-by-python\nold\n\n/srv/app/old:\nz\nno doc\n',
      );
    } finally {
      docker('rm', '-f', name);
    }
  }, 600_000);
});

/**
 * The client tells the engine of a new size some time after the signal, and of none whose signal comes while it still
 * prepares for them: look until the size is there, and now and then change it again. In a loop, since at a prompt the
 * shell would draw its line anew with each change.
 */
async function sizeBecomes(terminal: Terminal, rows: number, columns: number): Promise<void> {
  const size = `${rows} ${columns}`;
  let from = terminal.screen.length;
  terminal.resize(rows, columns);
  terminal.type(
    `while s=$(stty size); test "$s" != "${size}"; do echo "size $s"; sleep 0.1; done; echo "became $s"\r`,
  );
  for (let looks = 1; looks <= 300; looks += 1) {
    const seen = await terminal.waitFor(/(size|became) \d+ \d+\r\n/, 120_000, from);
    if (seen[1] === 'became') return;
    from += seen.index + seen[0].length - 1;
    if (looks % 20 !== 0) continue;
    terminal.resize(rows - 1, columns);
    terminal.resize(rows, columns);
  }
  throw new Error(`the terminal is not ${size}`);
}
