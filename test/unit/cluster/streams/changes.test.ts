import { constants } from 'node:os';
import { Readable } from 'node:stream';

import { whenListed } from '../../../../src/cluster/streams/changes';
import type { Supervisor } from '../../../../src/cluster/supervisor/supervisor';

jest.mock('@kubernetes/client-node', () => ({}));

/** Answers with these errnos, one after another. */
function supervisor(codes: number[]): { asked: string[]; supervisor: Supervisor } {
  const asked: string[] = [];
  const job = ({ kind }: { kind: string }) => {
    asked.push(kind);
    return Promise.resolve({
      output: Readable.from([]),
      exit: Promise.resolve({ code: codes.shift() ?? 0, signal: 0, message: 'what it says' }),
      close: () => undefined,
    });
  };
  return { asked, supervisor: { job } as unknown as Supervisor };
}

it('waits until the files of the image are listed', async () => {
  const { asked, supervisor: fake } = supervisor([constants.errno.ENOENT, constants.errno.ENOENT, 0]);
  await whenListed(fake);
  expect(asked).toEqual(['usage', 'usage', 'usage']);
});

it('tells what else is wrong', async () => {
  const { supervisor: fake } = supervisor([constants.errno.EIO]);
  await expect(whenListed(fake)).rejects.toMatchObject({ code: 'Internal', message: 'what it says' });
});
