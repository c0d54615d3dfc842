// Makes tars byte by byte, good ones and bad ones: what no tar program would write has to be tested too.

export interface TarItem {
  /** latin1: one character a byte. */
  name: string;
  /** As in the header; `0` unless told. */
  type?: string;
  data?: Buffer | string;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  link?: string;
  device?: [number, number];
  /** Records of a PAX header before the entry; in this order, a key may stand twice. */
  pax?: readonly (readonly [string, string | Buffer])[];
  /** Names and links that don't fit go into GNU's long entries instead of PAX. */
  gnu?: boolean;
  /** Overwrites bytes of the finished header; the checksum is made after it. */
  patch?: (header: Buffer) => void;
  /** Instead of the length of `data`. */
  size?: number;
  badChecksum?: boolean;
}

const block = 512;

export function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((block - (data.length % block)) % block)]);
}

export function paxBody(records: readonly (readonly [string, string | Buffer])[]): Buffer {
  return Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.concat([
        Buffer.from(` ${key}=`, 'latin1'),
        typeof value === 'string' ? Buffer.from(value, 'latin1') : value,
        Buffer.from('\n'),
      ]);
      let length = rest.length + String(rest.length).length;
      if (String(length).length + rest.length !== length) length += 1;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
}

function octal(value: number, length: number): string {
  return value.toString(8).padStart(length - 1, '0');
}

export function tarHeader(item: TarItem, size: number): Buffer {
  const header = Buffer.alloc(block);
  header.write(item.name.slice(0, 100), 0, 'latin1');
  header.write(octal(item.mode ?? (item.type === '5' ? 0o755 : 0o644), 8), 100, 'latin1');
  header.write(octal(item.uid ?? 0, 8), 108, 'latin1');
  header.write(octal(item.gid ?? 0, 8), 116, 'latin1');
  header.write(octal(size, 12), 124, 'latin1');
  header.write(octal(item.mtime ?? 1_700_000_000, 12), 136, 'latin1');
  header.write(item.type ?? '0', 156, 'latin1');
  header.write((item.link ?? '').slice(0, 100), 157, 'latin1');
  header.write(item.gnu === true ? 'ustar  \0' : 'ustar\x0000', 257, 'latin1');
  header.write(octal(item.device?.[0] ?? 0, 8), 329, 'latin1');
  header.write(octal(item.device?.[1] ?? 0, 8), 337, 'latin1');
  item.patch?.(header);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, item.badChecksum === true ? 1 : 0);
  header.write(`${octal(sum, 7)}\0 `, 148, 'latin1');
  return header;
}

export function tarItem(item: TarItem): Buffer {
  const data = typeof item.data === 'string' ? Buffer.from(item.data) : (item.data ?? Buffer.alloc(0));
  const parts: Buffer[] = [];
  const pax = [...(item.pax ?? [])];
  for (const [key, text, gnuType] of [
    ['path', item.name, 'L'],
    ['linkpath', item.link ?? '', 'K'],
  ] as const) {
    if (text.length <= 100) continue;
    if (item.gnu === true) {
      const body = Buffer.from(`${text}\0`, 'latin1');
      parts.push(tarHeader({ name: '././@LongLink', type: gnuType, gnu: true }, body.length), padded(body));
    } else if (!pax.some(([other]) => other === key)) {
      pax.push([key, text]);
    }
  }
  if (pax.length > 0) {
    const body = paxBody(pax);
    parts.push(tarHeader({ name: 'PaxHeaders/x', type: 'x' }, body.length), padded(body));
  }
  parts.push(tarHeader(item, item.size ?? data.length), padded(data));
  return Buffer.concat(parts);
}

/** A whole archive, with its end. */
export function makeTar(items: readonly (TarItem | Buffer)[]): Buffer {
  return Buffer.concat([
    ...items.map((item) => (Buffer.isBuffer(item) ? item : tarItem(item))),
    Buffer.alloc(2 * block),
  ]);
}
