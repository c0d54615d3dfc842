import { Op } from '../../../../src/buildkit/messages/ops';
import { protoJson } from '../../../../src/buildkit/wire/proto-json';

test('a message in JSON has the interface’s names: choices by their member, bytes in base64, numbers of 64 bits as texts', () => {
  const value = { path: '/a', mode: 0o644, data: Buffer.from('hello'), timestamp: -1n };
  const action = { input: -1, secondaryInput: -1, output: 0, action: { kind: 'mkfile' as const, value } };
  const op = Op.decode(
    Op.encode({
      inputs: [{ digest: 'sha256:1', index: 2 }],
      op: { kind: 'file', value: { actions: [action] } },
    }),
  );
  expect(protoJson(op)).toEqual({
    inputs: [{ digest: 'sha256:1', index: 2 }],
    file: {
      actions: [
        {
          ...{ input: -1, secondaryInput: -1, output: 0 },
          mkfile: { path: '/a', mode: 420, data: 'aGVsbG8=', timestamp: '-1' },
        },
      ],
    },
  });
  const attrs = new Map([['key', 'value']]);
  expect(protoJson({ op: { kind: 'source', value: { identifier: 'x://y', attrs } } })).toEqual({
    source: { identifier: 'x://y', attrs: { key: 'value' } },
  });
});
