import { fileNameOf, modifiedSeconds, urlProblem } from '../../../src/builder/download-headers';

describe('the name of what a URL has', () => {
  test.each([
    ['/a%20b.txt', '', 'a b.txt'],
    ['/a%2Fb.txt', '', 'b.txt'],
    ['/a.txt?q=/b/c#d/e', '', 'a.txt'],
    ['/%ff', '', '\xff'],
    ['/ü', '', '\xc3\xbc'],
    ['/x/..', '', '..'],
    ['/dir%2F', '', ''],
    ['', '', ''],
    ['/name', 'attachment; filename=other', 'name'],
    ['/d/', 'attachment; filename="q r.txt"; size=3', 'q r.txt'],
    ['/d/', 'attachment; FileName=bare.txt;', 'bare.txt'],
    ['/d/', 'attachment; filename="/etc/a/b"', 'b'],
    ['/d/', 'attachment; filename="a/"', ''],
    ['/d/', "attachment; filename=x; filename*=UTF-8''n%20a", 'n a'],
    ['/d/', 'filename=only', ''],
    ['/d/', 'attachment; filename=a b', ''],
    ['/d/', 'attachment; filename=a; filename=b', ''],
    ['/d/', '', ''],
  ])('%s with "%s": "%s"', (path, disposition, name) => {
    expect(fileNameOf(`http://u:p@host:1${path}`, disposition)).toBe(name);
  });
});

test.each([
  ['Wed, 21 Oct 2015 07:28:00 GMT', 1445412480],
  ['Wednesday, 21-Oct-15 07:28:00 GMT', 1445412480],
  ['Wed Oct 21 07:28:00 2015', 1445412480],
  ['Wed, 21 Oct 1955 07:28:00 GMT', 0],
  ['Wed, 21 Oct 2015 07:28:00 +0200', 0],
  ['2015-10-21T07:28:00Z', 0],
  ['yesterday', 0],
  ['', 0],
])('Last-Modified: %s', (header, seconds) => {
  expect(modifiedSeconds(header)).toBe(seconds);
});

test.each([
  ['http://a/%zz', 'parse "http://a/%zz": invalid URL escape "%zz"'],
  ['http://a/%z', 'parse "http://a/%z": invalid URL escape "%z"'],
  ['http://a/\b', 'parse "http://a/\\b": net/url: invalid control character in URL'],
  ['http://[::1/c', 'parse "http://[::1/c": missing \']\' in host'],
  ['http://a:b/', 'parse "http://a:b/": invalid port ":b" after host'],
  ['http://[::1]:80/%41?%zz', undefined],
  ['http://u:p%40@a/b c', undefined],
])('%s is refused as Go does', (url, problem) => {
  expect(urlProblem(url)).toBe(problem);
});
