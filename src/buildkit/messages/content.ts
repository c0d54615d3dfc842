// Blobs by their digests (containerd.services.content.v1): what a build's history refers to, read only.

import { bytes, int64, map, message, nested, string } from '../wire/codec';
import { serverStream, service, unary } from '../wire/service';
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
const ReadContentRequest = message({ digest: string(1), offset: int64(2), size: int64(3) });
const ReadContentResponse = message({ offset: int64(1), data: bytes(2) });

export const Content = service('containerd.services.content.v1.Content', {
  Info: unary(InfoRequest, InfoResponse),
  Read: serverStream(ReadContentRequest, ReadContentResponse),
});
