import { logFileOptions, validateLogConfig } from '../../../../src/engine/logs/log-config';

describe('what create refuses, in words of dockerd 20.10', () => {
  test.each<[string, Record<string, string>, string]>([
    ['foo', {}, 'error looking up logging plugin foo: plugin "foo" not found'],
    ['json-file', { foo: 'bar' }, "unknown log opt 'foo' for json-file log driver"],
    ['local', { foo: 'x' }, "unknown log opt 'foo' for log driver local"],
    ['json-file', { mode: 'x' }, 'logger: logging mode not supported: x'],
    [
      'json-file',
      { mode: 'non-blocking', 'max-buffer-size': 'abc' },
      "error parsing option max-buffer-size: invalid size: 'abc'",
    ],
    [
      '',
      { mode: 'blocking', 'max-buffer-size': '4m' },
      "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
    ],
  ])('%s %j', (Type, Config, message) => {
    expect(() => validateLogConfig({ Type, Config })).toThrow(message);
  });

  test.each<[string, Record<string, string>]>([
    ['none', { foo: 'bar' }],
    ['json-file', { 'max-size': 'abc' }],
    ['json-file', { mode: 'non-blocking', 'max-buffer-size': '4m' }],
  ])('not %s %j', (Type, Config) => {
    expect(() => validateLogConfig({ Type, Config })).not.toThrow();
  });
});

describe('what start refuses', () => {
  test.each<[string, Record<string, string>, string]>([
    ['json-file', { 'max-size': 'abc' }, "invalid size: 'abc'"],
    ['json-file', { 'max-size': '-1' }, "invalid size: '-1'"],
    ['json-file', { 'max-size': '10k', 'max-file': '0' }, 'max-file cannot be less than 1'],
    ['json-file', { 'max-file': 'x' }, 'strconv.Atoi: parsing "x": invalid syntax'],
    ['json-file', { compress: 'x' }, 'strconv.ParseBool: parsing "x": invalid syntax'],
    [
      'json-file',
      { compress: 'true', 'max-size': '1k' },
      'compress cannot be true when max-file is less than 2 or max-size is not set',
    ],
    ['json-file', { tag: '{{.Foo' }, 'template: log-tag:1: unclosed action'],
    ['local', { 'max-size': 'x' }, "invalid value for max-size: x: invalid size: 'x'"],
    ['local', { 'max-file': '0' }, 'compression cannot be enabled when max file count is 1'],
    [
      'local',
      { compress: 'x' },
      'error reading compress log option: strconv.ParseBool: parsing "x": invalid syntax',
    ],
  ])('%s %j', (Type, Config, message) => {
    expect(() => logFileOptions({ Type, Config })).toThrow(message);
  });

  test('sizes are decimal', () => {
    expect(logFileOptions({ Type: 'json-file', Config: { 'max-size': '10k' } }).maxSizeBytes).toBe(10_000);
    expect(logFileOptions({ Type: 'local', Config: {} })).toMatchObject({ maxFiles: 5, compress: true });
  });
});
