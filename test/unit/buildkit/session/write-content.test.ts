import { Readable } from 'node:stream';

import { writeAction, type WriteContentRequestInit } from '../../../../src/buildkit/messages/content';
import { writeContent } from '../../../../src/buildkit/session/write-content';
import { GrpcError, statusCodes } from '../../../../src/buildkit/wire/status';

const digest = `sha256:${'a'.repeat(64)}`;

/** A client's store that has so many bytes already; `fails`: its answer to that action. */
function store(
  offset: number,
  fails?: { action: number; code: number },
): { stream: Parameters<typeof writeContent>[0]; written: () => string; actions: number[] } {
  const asked: WriteContentRequestInit[] = [];
  const stream: Parameters<typeof writeContent>[0] = {
    send: (message) => {
      asked.push(message);
      return Promise.resolve();
    },
    receive: () => {
      const { action = 0 } = asked.at(-1) ?? {};
      if (action === fails?.action) return Promise.reject(new GrpcError(fails.code, 'no'));
      const times = { started_at: undefined, updated_at: undefined };
      return Promise.resolve({ action, offset, total: 0, digest: '', ...times });
    },
    end: () => undefined,
    cancel: () => undefined,
  };
  return {
    stream,
    written: () => asked.map(({ offset: at, data }) => `${at ?? ''}:${data?.toString() ?? ''}`).join(' '),
    get actions() {
      return asked.map(({ action = 0 }) => action);
    },
  };
}

const content = (): Readable =>
  Readable.from([Buffer.from('abc'), Buffer.from('def')], { objectMode: false });
const blob = { digest, sizeBytes: 6 };

test('a blob goes in order, and is ended with its length', async () => {
  const { stream, written } = store(0);
  await writeContent(stream, blob, content());
  expect(written()).toBe(': 0:abc 3:def 6:');
});

test('what an earlier transfer has left there is not sent again', async () => {
  const { stream, written } = store(4);
  await writeContent(stream, blob, content());
  expect(written()).toBe(': 4:ef 6:');
});

test('one that is there already is good', async () => {
  const { alreadyExists } = statusCodes;
  const target = store(0, { action: writeAction.stat, code: alreadyExists });
  await writeContent(target.stream, blob, content());
  expect(target.actions).toEqual([writeAction.stat]);
});

test.each([
  ['a refusal', store(0, { action: writeAction.commit, code: statusCodes.failedPrecondition }), 'no'],
  ['a place that can not be', store(7), 'impossible place'],
])('%s is told', async (_what, { stream }, message) => {
  await expect(writeContent(stream, blob, content())).rejects.toThrow(message);
});
