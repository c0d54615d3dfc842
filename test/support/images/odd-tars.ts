// Archives that no tar program writes, by name: hostile, broken, old-fashioned. Each is small, and the same in every run.

import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { makeTar, padded, paxBody, tarHeader, tarItem, type TarItem } from './tar-maker';

export type OddTars = Readonly<Record<string, Buffer>>;

/** What is put before and after an odd entry, to see whether it stops the rest. */
const before: TarItem = { name: 'before', data: 'b', mode: 0o640, uid: 3, gid: 4 };
const after: TarItem = { name: 'after', data: 'a' };

function around(...items: (TarItem | Buffer)[]): Buffer {
  return makeTar([before, ...items, after]);
}

/** Text for a case's name. */
function shown(text: string): string {
  const short = text.length > 40 ? `${text.slice(0, 12)}…${text.length}` : text;
  return JSON.stringify(short);
}

const types: Readonly<Record<string, Partial<TarItem>>> = {
  file: { type: '0', data: 'odd' },
  directory: { type: '5', mode: 0o711 },
  symlink: { type: '2', link: 'before' },
  'hard link': { type: '1', link: 'before' },
  fifo: { type: '6' },
  device: { type: '3', device: [1, 3] },
};

const names = [
  ...[
    '..',
    '../x',
    '../../x',
    'a/..',
    'a/../x',
    'a/../../x',
    '/',
    '/x',
    '//x',
    '/../x',
    '.',
    './',
    './x',
    '',
  ],
  ...[
    'x/',
    'x//',
    'a//b',
    'a/./b',
    './/./x',
    'x/.',
    'before/x',
    'before/',
    'a/b/c/d',
    ' ',
    'x\n',
    '\\x',
    'x\\..\\y',
  ],
  ...['-rf', '\xff\xfe', '\xc3\xa9', '*', 'a:b', 'C:\\x', '.dockerenv', 'proc/self/x', 'n'.repeat(100)],
  ...['n'.repeat(255), 'n'.repeat(256), `${'d/'.repeat(200)}f`, `${'long/'.repeat(900)}f`],
];

function nameTars(): [string, Buffer][] {
  return Object.entries(types).flatMap(([kind, item]) =>
    names
      // every name as a file and a directory, the telling ones as the rest
      .filter((_name, index) => kind === 'file' || kind === 'directory' || index < 15)
      .map((name): [string, Buffer] => [`name ${shown(name)} of a ${kind}`, around({ ...item, name })]),
  );
}

function longNameTars(): [string, Buffer][] {
  const long = `${'l'.repeat(120)}/${'m'.repeat(120)}`;
  return [
    ['long name of GNU', around({ name: long, gnu: true, data: 'x' })],
    ['long name of GNU, a directory', around({ name: `${long}/`, gnu: true, type: '5' })],
    ['long link of GNU', around({ name: 's', type: '2', link: long, gnu: true })],
    ['long name in PAX', around({ name: long, data: 'x' })],
    ['long link in PAX', around({ name: 's', type: '2', link: long })],
    ['long hard link in PAX', around({ name: long, data: 'x' }, { name: 'h', type: '1', link: long })],
    [
      'prefix of ustar',
      around({ name: 'x', data: 'x', patch: (header) => void header.write('pre/fix', 345, 'latin1') }),
    ],
    [
      'prefix of ustar that leads out',
      around({ name: 'x', data: 'x', patch: (header) => void header.write('../..', 345, 'latin1') }),
    ],
    [
      'prefix in a header of GNU',
      around({
        name: 'x',
        gnu: true,
        data: 'x',
        patch: (header) => void header.write('pre/fix', 345, 'latin1'),
      }),
    ],
    [
      'header of the oldest format',
      around({ name: 'old', data: 'x', type: '\0', patch: (header) => void header.fill(0, 257, 345) }),
    ],
    [
      'directory of the oldest format',
      around({ name: 'old/', type: '\0', patch: (header) => void header.fill(0, 257, 345) }),
    ],
    ['name with a zero byte in GNU', around(gnuLong('L', 'a\0b'), { name: 'short', data: 'x' })],
    ['empty long name of GNU', around(gnuLong('L', ''), { name: 'short', data: 'x' })],
    [
      'two long names of GNU',
      around(gnuLong('L', 'first\0'), gnuLong('L', 'second\0'), { name: 'short', data: 'x' }),
    ],
    [
      'long name of GNU and PAX',
      around(gnuLong('L', 'gnu\0'), { name: 'short', data: 'x', pax: [['path', 'pax']] }),
    ],
    ['long name of GNU at the end', makeTar([before, gnuLong('L', 'nothing\0')])],
    ['long name of GNU that leads out', around(gnuLong('L', '../../out\0'), { name: 'short', data: 'x' })],
    [
      'long name of GNU that is too long',
      around(tarHeader({ name: '././@LongLink', type: 'L', gnu: true }, 2_000_000), { name: 'x' }),
    ],
  ];
}

function gnuLong(type: 'L' | 'K', text: string): Buffer {
  const body = Buffer.from(text, 'latin1');
  return Buffer.concat([
    tarHeader({ name: '././@LongLink', type, gnu: true }, body.length),
    ...(body.length > 0 ? [padded(body)] : []),
  ]);
}

const targets = [
  ...[
    'before',
    './before',
    '/before',
    '..',
    '../..',
    '../before',
    '/',
    '/etc/passwd',
    '../../../../etc/passwd',
  ],
  ...['itself', 'missing', '', '.', 'dir/../before', 'a/../../x', '\xff', 't'.repeat(300), 'x'.repeat(5000)],
];

function linkTars(): [string, Buffer][] {
  const through = { name: 'itself/written', data: 'through' };
  return targets.flatMap((link): [string, Buffer][] => [
    [`symlink to ${shown(link)}`, around({ name: 'itself', type: '2', link })],
    [`hard link to ${shown(link)}`, around({ name: 'itself', type: '1', link })],
    [`symlink to ${shown(link)}, written through`, around({ name: 'itself', type: '2', link }, through)],
    [
      `symlink to ${shown(link)}, a directory in its place`,
      around({ name: 'itself', type: '2', link }, { name: 'itself/', type: '5', mode: 0o700 }, through),
    ],
    [
      `symlink to ${shown(link)}, a file in its place`,
      around({ name: 'itself', type: '2', link }, { name: 'itself', data: 'plain' }),
    ],
    [
      `symlink to ${shown(link)}, a hard link to it`,
      around({ name: 'itself', type: '2', link }, { name: 'hard', type: '1', link: 'itself', uid: 9 }),
    ],
  ]);
}

function chainTars(): [string, Buffer][] {
  const loop = [
    { name: 'l1', type: '2', link: 'l2' },
    { name: 'l2', type: '2', link: 'l1' },
  ];
  return [
    ['links in a loop', around(...loop)],
    ['links in a loop, written through', around(...loop, { name: 'l1/x', data: 'x' })],
    [
      'links to links, written through',
      around(
        { name: 'real/', type: '5' },
        { name: 'a', type: '2', link: 'real' },
        { name: 'b', type: '2', link: 'a' },
        { name: 'b/x', data: 'x' },
      ),
    ],
    [
      'link up in two steps',
      around(
        { name: 'd/', type: '5' },
        { name: 'd/up', type: '2', link: '..' },
        { name: 'd/up2', type: '2', link: 'up/..' },
        { name: 'd/up2/x', data: 'x' },
      ),
    ],
    [
      'hard link through a link',
      around(
        { name: 'd/', type: '5' },
        { name: 'd/f', data: 'x' },
        { name: 's', type: '2', link: 'd' },
        { name: 'h', type: '1', link: 's/f' },
      ),
    ],
    ['hard link to a directory', around({ name: 'd/', type: '5' }, { name: 'h', type: '1', link: 'd' })],
    [
      'hard link to what comes later',
      around({ name: 'h', type: '1', link: 'late' }, { name: 'late', data: 'x' }),
    ],
    ['hard link with data', around({ name: 'h', type: '1', link: 'before', data: 'more' })],
    [
      'hard link with other attributes',
      around({ name: 'h', type: '1', link: 'before', uid: 7, gid: 8, mode: 0o4711, mtime: 5 }),
    ],
    [
      'hard links to a hard link',
      around({ name: 'h1', type: '1', link: 'before' }, { name: 'h2', type: '1', link: 'h1' }),
    ],
    ['hard link to a fifo', around({ name: 'p', type: '6' }, { name: 'h', type: '1', link: 'p' })],
    [
      'hard link to a device',
      around({ name: 'c', type: '3', device: [1, 3] }, { name: 'h', type: '1', link: 'c' }),
    ],
    [
      'hard link whose target is replaced',
      around({ name: 'h', type: '1', link: 'before' }, { name: 'before', data: 'new' }),
    ],
    ['symlink with data', around({ name: 's', type: '2', link: 'before', data: 'more' })],
    [
      'symlink with a mode',
      around({ name: 's', type: '2', link: 'before', mode: 0o4000, uid: 5, gid: 6, mtime: 9 }),
    ],
    ['directory with data', around({ name: 'd/', type: '5', data: 'more' })],
    ['fifo with data', around({ name: 'p', type: '6', data: 'more' })],
  ];
}

function typeTars(): [string, Buffer][] {
  const others = ['7', '8', '9', 'A', 'D', 'M', 'N', 'S', 'V', 'X', 'g', 's', 'x', '\x01', ' ', '\xff'];
  return others.flatMap((type): [string, Buffer][] => [
    [`type ${shown(type)}`, around({ name: 'odd', type })],
    [`type ${shown(type)} with data`, around({ name: 'odd', type, data: 'data of its own' })],
    [`type ${shown(type)} first`, makeTar([{ name: 'odd', type }, after])],
  ]);
}

const numberFields: Readonly<Record<string, [number, number]>> = {
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  major: [329, 8],
};

function numberTars(): [string, Buffer][] {
  const encodings: Record<string, (header: Buffer, offset: number, length: number) => void> = {
    'all zero bytes': (header, offset, length) => void header.fill(0, offset, offset + length),
    spaces: (header, offset, length) => void header.fill(' ', offset, offset + length),
    'an eight': (header, offset) => void header.write('8', offset, 'latin1'),
    'a minus': (header, offset) => void header.write('-1\0', offset, 'latin1'),
    'a letter': (header, offset) => void header.write('x', offset, 'latin1'),
    'spaces before': (header, offset) => void header.write('   1\0', offset, 'latin1'),
    'garbage behind': (header, offset) => void header.write('1\0x', offset, 'latin1'),
    'no end mark': (header, offset, length) => void header.fill('1', offset, offset + length),
    'all sevens': (header, offset, length) => void header.fill('7', offset, offset + length),
    'minus one, base 256': (header, offset, length) => void header.fill(0xff, offset, offset + length),
    'most negative, base 256': (header, offset, length) => {
      header.fill(0, offset, offset + length);
      header[offset] = 0xc0;
    },
    'three, base 256': (header, offset, length) => {
      header.fill(0, offset, offset + length);
      header[offset] = 0x80;
      header[offset + length - 1] = 3;
    },
    'largest, base 256': (header, offset, length) => {
      header.fill(0xff, offset, offset + length);
      header[offset] = 0xbf;
    },
    '2^32, base 256': (header, offset, length) => {
      header.fill(0, offset, offset + length);
      header[offset] = 0x80;
      header[offset + length - 5] = 1;
    },
    '2^32-1, base 256': (header, offset, length) => {
      header.fill(0, offset, offset + length);
      header[offset] = 0x80;
      header.fill(0xff, offset + length - 4, offset + length);
    },
    '2^31, base 256': (header, offset, length) => {
      header.fill(0, offset, offset + length);
      header[offset] = 0x80;
      header[offset + length - 4] = 0x80;
    },
  };
  return Object.entries(numberFields).flatMap(([field, [offset, length]]) =>
    Object.entries(encodings).map(([how, write]): [string, Buffer] => [
      `${field}: ${how}`,
      around({
        name: 'odd',
        data: 'odd',
        ...(field === 'major' ? { type: '3', data: '' } : {}),
        patch: (header) => write(header, offset, length),
      }),
    ]),
  );
}

function modeTars(): [string, Buffer][] {
  const modes = [
    0, 0o1, 0o777, 0o1777, 0o2755, 0o4755, 0o7777, 0o10644, 0o100644, 0o120777, 0o177777, 0o7777777,
  ];
  return modes.flatMap((mode): [string, Buffer][] => [
    [`mode ${mode.toString(8)}`, around({ name: 'odd', data: 'x', mode })],
    [`mode ${mode.toString(8)} of a directory`, around({ name: 'odd/', type: '5', mode })],
  ]);
}

function paxTars(): [string, Buffer][] {
  const records: Record<string, [string, string][]> = {
    'an empty path': [['path', '']],
    'an empty link': [['linkpath', '']],
    'a path that leads out': [['path', '../../out']],
    'a path with a zero byte': [['path', 'a\0b']],
    'an absolute path': [['path', '/abs']],
    'a path ending in a slash': [['path', 'dir/']],
    'a size too small': [['size', '1']],
    'a size too large': [['size', '4']],
    'a huge size': [['size', '99999999999']],
    'a size past counting': [['size', '99999999999999999999']],
    'a negative size': [['size', '-1']],
    'a size that is none': [['size', 'x']],
    'an empty size': [['size', '']],
    'a size with a plus': [['size', '+3']],
    'a huge uid': [['uid', '3000000000']],
    'a uid past 32 bits': [['uid', '4294967296']],
    'a uid of -1 unsigned': [['uid', '4294967295']],
    'a negative uid': [['uid', '-1']],
    'a uid that is none': [['uid', 'root']],
    'a gid past 32 bits': [['gid', '99999999999']],
    'a time with a fraction': [['mtime', '1700000000.123456789']],
    'a time with too long a fraction': [['mtime', '1700000000.1234567891234']],
    'a time before 1970': [['mtime', '-86400']],
    'a time before 1970, with a fraction': [['mtime', '-86400.5']],
    'a time before 1901': [['mtime', '-3000000000']],
    'a time after 2038': [['mtime', '2200000000']],
    'a time after 2106': [['mtime', '4400000000']],
    'a time after 2446': [['mtime', '16000000000']],
    'a time past counting': [['mtime', '9223372036854775808']],
    'a time of 2^62': [['mtime', '4611686018427387904']],
    'a time that is none': [['mtime', 'now']],
    'a time with two dots': [['mtime', '1.2.3']],
    'a time with a dot only': [['mtime', '.']],
    'a time with a dot at its end': [['mtime', '17.']],
    'an atime that is none': [['atime', 'x']],
    'a ctime': [['ctime', '5']],
    'a creation time': [['LIBARCHIVE.creationtime', '5']],
    'a user attribute': [['SCHILY.xattr.user.a', 'b']],
    'a user attribute, empty': [['SCHILY.xattr.user.a', '']],
    'a user attribute, binary': [['SCHILY.xattr.user.a', '\0\x01\xff\n=']],
    'an attribute without a name': [['SCHILY.xattr.', 'b']],
    'an attribute of no class': [['SCHILY.xattr.odd', 'b']],
    'an attribute whose name is too long': [[`SCHILY.xattr.user.${'a'.repeat(300)}`, 'b']],
    'a trusted attribute': [['SCHILY.xattr.trusted.a', 'b']],
    'overlay opaque': [['SCHILY.xattr.trusted.overlay.opaque', 'y']],
    'a capability that is none': [['SCHILY.xattr.security.capability', 'x']],
    'a capability': [['SCHILY.xattr.security.capability', '\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0']],
    'an ACL that is none': [['SCHILY.xattr.system.posix_acl_access', 'x']],
    'an attribute in the form of libarchive': [['LIBARCHIVE.xattr.user.a', 'Yg==']],
    'two of one key': [
      ['path', 'one'],
      ['path', 'two'],
    ],
    'an unknown key': [['odd.key', 'value']],
    'a key that is not ASCII': [['\xff\xfe', 'value']],
    'a character set': [['hdrcharset', 'BINARY']],
    'a comment': [['comment', 'x'.repeat(10_000)]],
    'user and group names': [
      ['uname', 'nobody'],
      ['gname', 'nogroup'],
    ],
  };
  return Object.entries(records).flatMap(([what, pax]): [string, Buffer][] => [
    [`PAX with ${what}`, around({ name: 'odd', data: 'odd', pax })],
    [
      `PAX for all with ${what}`,
      around(
        Buffer.concat([
          tarHeader({ name: 'pax_global_header', type: 'g' }, paxBody(pax).length),
          padded(paxBody(pax)),
        ]),
        {
          name: 'odd',
          data: 'odd',
        },
      ),
    ],
  ]);
}

function paxBodyTars(): [string, Buffer][] {
  const bodies: Record<string, string> = {
    'nothing in it': '',
    'no equals sign': '5 ab\n',
    'no newline': '7 a=bcd',
    'a length too small': '2 a=b\n',
    'a length too large': '99 a=b\n',
    'a length of zero': '0 a=b\n',
    'a negative length': '-6 a=b\n',
    'a length with a plus': '+6 a=b\n',
    'a length with zeros': '0000009 a=b\n',
    'a length past counting': '99999999999999999999999 a=b\n',
    'no length': 'a=b\n',
    'an empty key': '5 =b\n',
    'a key with a zero byte': '8 a\0b=c\n',
    'zero bytes behind': '6 a=b\n\0\0\0',
    'two spaces': '7  a=b\n',
  };
  return Object.entries(bodies).map(([what, text]): [string, Buffer] => {
    const body = Buffer.from(text, 'latin1');
    const header = tarHeader({ name: 'PaxHeaders/x', type: 'x' }, body.length);
    return [
      `PAX body: ${what}`,
      around(body.length > 0 ? Buffer.concat([header, padded(body)]) : header, { name: 'odd', data: 'odd' }),
    ];
  });
}

function whiteoutTars(): [string, Buffer][] {
  const markers = [
    ...[
      '.wh.x',
      '.wh.',
      '.wh..',
      '.wh...',
      '.wh..wh.',
      '.wh..wh..opq',
      '.wh..wh.aufs',
      '.wh..wh.plnk',
      '.wh..wh.x',
    ],
    ...[
      '.wh.before',
      'd/.wh.x',
      'd/.wh..wh..opq',
      'none/.wh.x',
      '.wh.d',
      '.wh.a/b',
      'before/.wh.x',
      '.wh.\n',
      '..wh.x',
    ],
  ];
  const directory: TarItem = { name: 'd/', type: '5', mode: 0o711, uid: 5, gid: 6 };
  const inside: TarItem = { name: 'd/f', data: 'x' };
  return markers.flatMap((name): [string, Buffer][] => [
    [`marker ${shown(name)}`, around(directory, inside, { name })],
    [`marker ${shown(name)} first`, makeTar([{ name }, directory, inside, before])],
    [`marker ${shown(name)} as a directory`, around(directory, inside, { name, type: '5' })],
    [`marker ${shown(name)} as a link`, around(directory, inside, { name, type: '2', link: 'before' })],
    [
      `marker ${shown(name)} with data`,
      around(directory, inside, { name, data: 'data', mode: 0o600, uid: 9 }),
    ],
  ]);
}

function duplicateTars(): [string, Buffer][] {
  return Object.entries(types).flatMap(([firstKind, first]) =>
    Object.entries(types).map(([secondKind, second]): [string, Buffer] => [
      `a ${secondKind} in the place of a ${firstKind}`,
      around({ name: 'twice', ...first, uid: 1 }, { name: 'twice', ...second, uid: 2 }),
    ]),
  );
}

function moreDuplicateTars(): [string, Buffer][] {
  return [
    [
      'a file in the place of a full directory',
      around({ name: 'd/', type: '5' }, { name: 'd/f', data: 'x' }, { name: 'd', data: 'now a file' }),
    ],
    [
      'a directory that comes back empty',
      around(
        { name: 'd/', type: '5' },
        { name: 'd/f', data: 'x' },
        { name: 'd', data: 'now a file' },
        { name: 'd/', type: '5', mode: 0o700 },
      ),
    ],
    [
      'a directory after its content',
      around({ name: 'd/f', data: 'x' }, { name: 'd/', type: '5', mode: 0o700, mtime: 7 }),
    ],
    ['a directory nobody may enter', around({ name: 'd/', type: '5', mode: 0 }, { name: 'd/f', data: 'x' })],
    ['the root with a mode', around({ name: './', type: '5', mode: 0o700, uid: 7, gid: 8, mtime: 9 })],
    ['the root as a file', around({ name: './', data: 'x' })],
    ['the root as a link', around({ name: '.', type: '2', link: '/tmp' })],
    [
      'the same name ten times',
      around(...Array.from({ length: 10 }, (_, i) => ({ name: 'x', data: String(i) }))),
    ],
    [
      'a thousand small files',
      makeTar(Array.from({ length: 1000 }, (_, i) => ({ name: `m/${i % 10}/${i}`, data: 'x' }))),
    ],
    ['a device of large numbers', around({ name: 'c', type: '3', device: [4095, 1048575], mode: 0o660 })],
    ['a device of larger numbers', around({ name: 'c', type: '3', device: [0o7777777, 0o7777777] })],
    ['a block device', around({ name: 'b', type: '4', device: [8, 1], mode: 0o660, uid: 1, gid: 2 })],
  ];
}

function sparseTars(): [string, Buffer][] {
  const gnu = (parts: [number, number][], realSize: number, data: string): Buffer =>
    tarItem({
      name: 's',
      type: 'S',
      gnu: true,
      data,
      patch: (header) => {
        parts.forEach(([offset, length], i) => {
          header.write(
            `${offset.toString(8).padStart(11, '0')}\0${length.toString(8).padStart(11, '0')}\0`,
            386 + i * 24,
            'latin1',
          );
        });
        header.write(`${realSize.toString(8).padStart(11, '0')}\0`, 483, 'latin1');
      },
    });
  const pax = (records: [string, string][], data: string): TarItem => ({ name: 's', data, pax: records });
  const one = (map: string): [string, string][] => [
    ['GNU.sparse.major', '0'],
    ['GNU.sparse.minor', '1'],
    ['GNU.sparse.name', 'sparse'],
    ['GNU.sparse.size', '10000'],
    ['GNU.sparse.numblocks', String(map.split(',').length / 2)],
    ['GNU.sparse.map', map],
  ];
  const ten = (size: string): [string, string][] => [
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.name', 'sparse'],
    ['GNU.sparse.realsize', size],
  ];
  const map = (text: string): string => padded(Buffer.from(text)).toString('latin1');
  return [
    ['sparse of GNU', around(gnu([[1024, 3]], 4096, 'abc'))],
    ['sparse of GNU, all hole', around(gnu([[4096, 0]], 4096, ''))],
    [
      'sparse of GNU, parts in no order',
      around(
        gnu(
          [
            [2048, 1],
            [1024, 1],
          ],
          4096,
          'ab',
        ),
      ),
    ],
    [
      'sparse of GNU, parts that overlap',
      around(
        gnu(
          [
            [0, 2],
            [1, 2],
          ],
          4096,
          'abcd',
        ),
      ),
    ],
    ['sparse of GNU, data missing', around(gnu([[0, 600]], 4096, 'a'))],
    ['sparse of GNU, data left over', around(gnu([[0, 1]], 4096, 'abc'))],
    ['sparse of GNU, past its size', around(gnu([[5000, 3]], 4096, 'abc'))],
    ['sparse of GNU, of 8 GiB', around(gnu([[8589934588, 3]], 8589934591, 'abc'))],
    ['sparse in PAX 0.1', around(pax(one('1024,3'), 'abc'))],
    ['sparse in PAX 0.1, a map that is none', around(pax(one('x,y'), 'abc'))],
    ['sparse in PAX 0.1, an odd map', around(pax(one('1,2,3'), 'abc'))],
    ['sparse in PAX 0.1, negative', around(pax(one('-1,3'), 'abc'))],
    ['sparse in PAX 0.1, past counting', around(pax(one('9223372036854775807,3'), 'abc'))],
    ['sparse in PAX 1.0', around(pax(ten('4096'), `${map('1\n1024\n3\n')}abc`))],
    ['sparse in PAX 1.0, no map', around(pax(ten('4096'), ''))],
    ['sparse in PAX 1.0, a map that is none', around(pax(ten('4096'), map('x\n')))],
    ['sparse in PAX 1.0, a map that is cut', around(pax(ten('4096'), map('100\n1\n')))],
    ['sparse in PAX 1.0, huge', around(pax(ten('9000000000000000000'), `${map('1\n0\n3\n')}abc`))],
    [
      'sparse in PAX 2.0',
      around(
        pax(
          [
            ['GNU.sparse.major', '2'],
            ['GNU.sparse.minor', '0'],
            ['GNU.sparse.name', 'sparse'],
          ],
          'abc',
        ),
      ),
    ],
  ];
}

function brokenTars(): [string, Buffer][] {
  const whole = makeTar([before, { name: 'big', data: Buffer.alloc(3000, 'x') }, after]);
  const cuts = [
    0, 1, 100, 511, 512, 513, 1023, 1024, 1100, 1536, 2000, 4607, 4608, 5000, 5120, 5632, 6144, 6656,
  ];
  const text = Buffer.from('this is no archive. '.repeat(100));
  return [
    ...cuts
      .filter((at) => at < whole.length)
      .map((at): [string, Buffer] => [`cut after ${at} bytes`, whole.subarray(0, at)]),
    ['no end mark', whole.subarray(0, whole.length - 1024)],
    ['half an end mark', whole.subarray(0, whole.length - 512)],
    ['garbage behind the end', Buffer.concat([whole, text])],
    ['another archive behind the end', Buffer.concat([whole, makeTar([{ name: 'second', data: 'x' }])])],
    ['a zero block in the middle', Buffer.concat([tarItem(before), Buffer.alloc(512), makeTar([after])])],
    ['zero blocks only', Buffer.alloc(10_240)],
    ['one zero block', Buffer.alloc(512)],
    ['text', text],
    ['a short text', Buffer.from('x')],
    ['a wrong checksum', around({ name: 'odd', data: 'x', badChecksum: true })],
    ['a wrong checksum first', makeTar([{ name: 'odd', data: 'x', badChecksum: true }, after])],
    ['a signed checksum', around({ name: '\xe9\xe9', data: 'x' })],
    ['a size larger than the archive', makeTar([before, { name: 'odd', data: 'x', size: 1_000_000 }])],
    ['a size of 8 GiB', makeTar([before, { name: 'odd', data: 'x', size: 8_589_934_591 }])],
    [
      'a PAX header at the end',
      makeTar([
        before,
        Buffer.concat([tarHeader({ name: 'P', type: 'x' }, 6), padded(Buffer.from('6 a=b\n'))]),
      ]),
    ],
    ['a PAX header that is cut', Buffer.concat([tarItem(before), tarHeader({ name: 'P', type: 'x' }, 600)])],
    [
      'two PAX headers',
      around(Buffer.concat([tarHeader({ name: 'P', type: 'x' }, 10), padded(Buffer.from('10 path=a\n'))]), {
        name: 'odd',
        data: 'x',
        pax: [['uid', '7']],
      }),
    ],
    ['nothing but the root', makeTar([{ name: './', type: '5', mode: 0o755 }])],
  ];
}

function compressedTars(): [string, Buffer][] {
  const noise = Buffer.alloc(70_000);
  let seed = 1;
  for (let i = 0; i < noise.length; i += 1) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    noise[i] = seed >>> 24;
  }
  const whole = makeTar([before, { name: 'noise', data: noise }, after]);
  const tool = (name: string): Buffer => execFileSync(name, ['-c'], { input: whole, maxBuffer: 1 << 24 });
  const kinds: Record<string, Buffer> = {
    gzip: gzipSync(whole),
    bzip2: tool('bzip2'),
    xz: tool('xz'),
    zstd: tool('zstd'),
  };
  return Object.entries(kinds).flatMap(([kind, data]): [string, Buffer][] => {
    const flipped = Buffer.from(data);
    flipped[40_000] = (flipped[40_000] ?? 0) ^ 0xff;
    const badEnd = Buffer.from(data);
    badEnd[data.length - 6] = (badEnd[data.length - 6] ?? 0) ^ 0xff;
    return [
      [kind, data],
      [`${kind}, cut`, data.subarray(0, 40_000)],
      [`${kind}, cut in its header`, data.subarray(0, 8)],
      [`${kind}, cut at its end`, data.subarray(0, data.length - 3)],
      [`${kind}, a byte wrong`, flipped],
      [`${kind}, its sum wrong`, badEnd],
      [`${kind}, garbage behind`, Buffer.concat([data, Buffer.from('garbage')])],
      [`${kind}, twice`, Buffer.concat([data, data])],
      [
        `${kind} of nothing`,
        kind === 'gzip' ? gzipSync(Buffer.alloc(0)) : execFileSync(kind, ['-c'], { input: '' }),
      ],
      [
        `${kind} of itself`,
        kind === 'gzip' ? gzipSync(data) : execFileSync(kind, ['-c'], { input: data, maxBuffer: 1 << 24 }),
      ],
    ];
  });
}

/** All of them, by groups. */
export function oddTars(): Readonly<Record<string, OddTars>> {
  const groups: Record<string, [string, Buffer][]> = {
    names: nameTars(),
    'long names': longNameTars(),
    links: linkTars(),
    chains: chainTars(),
    types: typeTars(),
    numbers: numberTars(),
    modes: modeTars(),
    'PAX records': paxTars(),
    'PAX bodies': paxBodyTars(),
    whiteouts: whiteoutTars(),
    duplicates: [...duplicateTars(), ...moreDuplicateTars()],
    sparse: sparseTars(),
    broken: brokenTars(),
    compressed: compressedTars(),
  };
  return Object.fromEntries(Object.entries(groups).map(([name, tars]) => [name, Object.fromEntries(tars)]));
}
