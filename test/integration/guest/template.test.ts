// A template VM saved after HELLO, and clones of it: each finds its port reopened, and is made a machine of its own.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Guest } from '../../support/guests/guest-harness';
import { containerSpec, podSpec, processSpec, TestImages } from '../../support/guests/guest-specs';

jest.setTimeout(600_000); // what hangs is told earlier, by the VM's own time

const images = new TestImages();
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'guest-template-'));
const memory = `${directory}/memory`;
const guests: Guest[] = [];

function memoryBackend(share: 'on' | 'off'): { machine: string; arguments: string[] } {
  const backend = `memory-backend-file,id=mem,size=512M,mem-path=${memory},share=${share}`;
  return { machine: ',memory-backend=mem', arguments: ['-object', backend] };
}

const ignoreShared = {
  execute: 'migrate-set-capabilities',
  arguments: { capabilities: [{ capability: 'x-ignore-shared', state: true }] },
};

async function status(guest: Guest, command: string, wanted: string): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const [answer] = (await guest.qmp({ execute: command })) as { status?: string }[];
    if (answer?.status === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${command} never said ${wanted}`);
}

async function clone(): Promise<Guest> {
  const { machine, arguments: backend } = memoryBackend('off');
  const guest = await Guest.boot({ machine, arguments: [...backend, '-incoming', 'defer'] });
  guests.push(guest);
  await guest.qmp(ignoreShared, {
    execute: 'migrate-incoming',
    arguments: { uri: `exec:cat ${directory}/state` },
  });
  await status(guest, 'query-migrate', 'completed');
  await guest.qmp({ execute: 'cont' });
  return guest;
}

beforeAll(async () => {
  const template = await Guest.start(memoryBackend('on'));
  guests.push(template);
  // Saved with the daemon's end still open, and half a frame under way.
  template.raw(Buffer.from('half a frame'));
  await template.qmp({ execute: 'stop' }, ignoreShared, {
    execute: 'migrate',
    arguments: { uri: `exec:cat > ${directory}/state` },
  });
  await status(template, 'query-migrate', 'completed');
  await template.end();
});

afterAll(async () => {
  for (const guest of guests) await guest.end();
  images.remove();
  fs.rmSync(directory, { recursive: true, force: true });
});

test('clones answer, differ from each other and run containers', async () => {
  const random: string[] = [];
  for (let i = 0; i < 3; i++) {
    const guest = await clone();
    expect(await guest.connect()).toMatchObject({ identified: false, pod: false, containers: [] });
    await guest.identify();
    await guest.request('pod.setup', { pod: podSpec(`pod${i}`) });
    const disks = [
      { file: images.layer, readOnly: true },
      { file: images.writable(), readOnly: false },
    ];
    const [layer, writable] = await guest.plug(...disks);
    const stdout = guest.channel();
    const script = 'head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/boot_id; date +%s';
    const spec = containerSpec(
      'c',
      { layers: [layer!], writable: writable! },
      processSpec(['sh', '-c', script], { stdout }),
    );
    await guest.request('container.start', { container: spec });
    await guest.exit('c');
    const [bytes, bootId, seconds] = guest.text(stdout).split('\n');
    random.push(bytes!, bootId!);
    expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(5);
    // And once more, as a daemon that was restarted.
    await guest.drop();
    expect(await guest.connect()).toMatchObject({
      identified: true,
      pod: true,
      containers: [{ id: 'c', state: 'exited' }],
    });
  }
  expect(new Set(random).size).toBe(6);
});
