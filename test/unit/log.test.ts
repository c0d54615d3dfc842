import { log, setLogFormat } from '../../src/log';

afterEach(() => {
  setLogFormat('text');
  jest.restoreAllMocks();
});

test.each(['text', 'json'] as const)(
  'as %s, what a client or a guest sends makes one line, and no long one',
  (format) => {
    const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    setLogFormat(format);
    const message = 'a\nlevel=error msg="\u001b[2J';
    log.warn('request failed', { path: '/'.repeat(2 ** 20), message, error: new Error('e'.repeat(2 ** 20)) });
    const [line = ''] = written.mock.calls.map(([text]) => String(text));
    expect(line.split('\n')).toHaveLength(2);
    expect(line).not.toContain('\u001b');
    expect(line).toContain('a\\nlevel=error');
    expect(line.length).toBeLessThan(20_000);
  },
);
