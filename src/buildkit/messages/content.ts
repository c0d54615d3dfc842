// Blobs by their digests (containerd.services.content.v1): ours, read only, and those of clients' content stores.

import {
  bytes,
  int32,
  int64,
  map,
  message,
  nested,
  repeated,
  string,
  type Init,
  type Value,
} from '../wire/codec';
import { bidirectional, serverStream, service, unary } from '../wire/service';
import { Timestamp } from './google';

const Info = message({
  digest: string(1),
  size: int64(2),
  created_at: nested(3, Timestamp),
  updated_at: nested(4, Timestamp),
  labels: map(string(5)),
});
const InfoRequest = message({ digest: string(1) });
const InfoResponse = message({ info: nested(1, Info) });
const ListContentRequest = message({ filters: repeated(string(1)) });
const ListContentResponse = message({ info: repeated(nested(1, Info)) });
const ReadContentRequest = message({ digest: string(1), offset: int64(2), size: int64(3) });
const ReadContentResponse = message({ offset: int64(1), data: bytes(2) });

export const writeAction = { stat: 0, write: 1, commit: 2 } as const;
const WriteContentRequest = message({
  action: int32(1),
  ref: string(2),
  total: int64(3),
  expected: string(4),
  offset: int64(5),
  data: bytes(6),
  labels: map(string(7)),
});
const WriteContentResponse = message({
  action: int32(1),
  started_at: nested(2, Timestamp),
  updated_at: nested(3, Timestamp),
  offset: int64(4),
  total: int64(5),
  digest: string(6),
});
export type WriteContentRequestInit = Init<typeof WriteContentRequest>;
export type WriteContentResponse = Value<typeof WriteContentResponse>;

export const Content = service('containerd.services.content.v1.Content', {
  Info: unary(InfoRequest, InfoResponse),
  List: serverStream(ListContentRequest, ListContentResponse),
  Read: serverStream(ReadContentRequest, ReadContentResponse),
  Write: bidirectional(WriteContentRequest, WriteContentResponse),
});
