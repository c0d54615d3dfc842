// How files travel (fsutil.types).

import {
  bigint64,
  bytes,
  int32,
  int64,
  map,
  message,
  nested,
  string,
  uint32,
  type Init,
  type Value,
} from '../wire/codec';

/** `mode` is Go's os.FileMode, `modTime` in nanoseconds since the epoch. */
export const Stat = message({
  path: string(1),
  mode: uint32(2),
  uid: uint32(3),
  gid: uint32(4),
  size: int64(5),
  modTime: bigint64(6),
  linkname: string(7),
  devmajor: int64(8),
  devminor: int64(9),
  xattrs: map(bytes(10)),
});
export type Stat = Value<typeof Stat>;
export type StatInit = Init<typeof Stat>;

export const packetType = { stat: 0, request: 1, data: 2, fin: 3, error: 4 } as const;

/** `ID` is the place of a file among the stats. */
export const Packet = message({ type: int32(1), stat: nested(2, Stat), ID: uint32(3), data: bytes(4) });
export type Packet = Value<typeof Packet>;
export type PacketInit = Init<typeof Packet>;
