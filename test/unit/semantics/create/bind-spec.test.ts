import fc from 'fast-check';
import { parseBindSpec } from '../../../../src/semantics/create/bind-spec';

/** One word of each kind at most, in any order. */
const mode = fc
  .tuple(
    fc.constantFrom('', 'ro', 'rw'),
    fc.constantFrom('', 'z', 'Z'),
    fc.constantFrom('', 'shared', 'rslave', 'private'),
    fc.constantFrom('', 'nocopy'),
    fc.constantFrom('', 'cached', 'delegated'),
  )
  .map((words) => words.filter((word) => word !== ''))
  .chain((words) => fc.shuffledSubarray(words, { minLength: words.length }));
const path = fc.stringMatching(/^\/[a-z /.]{1,20}$/);

describe('parseBindSpec', () => {
  test('source, destination and mode come out as they went in', () => {
    fc.assert(
      fc.property(path, path, mode, (source, destination, words) => {
        const text = words.join(',');
        expect(parseBindSpec(`${source}:${destination}${text === '' ? '' : `:${text}`}`)).toEqual({
          source,
          destination,
          mode: text,
          readWrite: !words.includes('ro'),
          noCopy: words.includes('nocopy'),
          propagation: words.find((word) => /shared|slave|private/.test(word)),
        });
      }),
    );
  });

  test('it either parses or refuses in words of dockerd', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          // an empty destination between two colons is mount-validation's to refuse
          if (text.split(':')[1] !== '') expect(parseBindSpec(text).destination).not.toBe('');
        } catch (error) {
          expect(String(error)).toMatch(/invalid (volume specification|mode): /);
        }
      }),
    );
  });

  test.each([
    '/a:/b:ro,rw',
    '/a:/b:z,Z',
    '/a:/b:nocopy,nocopy',
    '/a:/b:shared,private',
    '/a:/b:ro,',
    '/a:/b:x',
  ])('mode of %s', (bind) => expect(() => parseBindSpec(bind)).toThrow(/^invalid mode: /));

  test.each(['', ':/b', '/a:', '/a:ro', 'a:b:c:d'])('"%s" is none', (bind) =>
    expect(() => parseBindSpec(bind)).toThrow(`invalid volume specification: '${bind}'`),
  );

  test('a destination alone is an anonymous volume', () => {
    expect(parseBindSpec('/data')).toMatchObject({ source: '', destination: '/data', readWrite: true });
  });
});
