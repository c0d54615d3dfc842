import { Normaliser } from '../../compat/harness/normalise';

test('ids are numbered as they come, those of digits alone too', () => {
  const text = ' ---> 0a1b2c3d4e5f\n ---> Running in 123456789012\n ---> 0a1b2c3d4e5f\n 123456789012 bytes\n';
  expect(new Normaliser({}).text(text)).toBe(
    ' ---> <id 1>\n ---> Running in <id 2>\n ---> <id 1>\n 123456789012 bytes\n',
  );
});

test('what the client packs and then does not send is its own affair', () => {
  const failed = (what: string): string =>
    `time="2026-01-02T03:04:05Z" level=error msg="Can't ${what}: io: read/write on closed pipe"\n`;
  const text = `${failed('add file /w/x to tar')}${failed('close tar writer')}no such directory\n`;
  expect(new Normaliser({}).text(text)).toBe('no such directory\n');
});
