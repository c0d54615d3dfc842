// Messages that several interfaces share (google.protobuf, google.rpc, grpc.health.v1).

import { bytes, int32, int64, message, nested, repeated, string, type Value } from '../wire/codec';
import { service, unary } from '../wire/service';

export const Empty = message({});

export const Timestamp = message({ seconds: int64(1), nanos: int32(2) });
export type Timestamp = Value<typeof Timestamp>;

/** A wall-clock time in milliseconds, as the interface has it. */
export function timestamp(timeMs: number): Timestamp {
  const seconds = Math.floor(timeMs / 1000);
  return { seconds, nanos: Math.round((timeMs - seconds * 1000) * 1e6) };
}

export const Any = message({ type_url: string(1), value: bytes(2) });
export type Any = Value<typeof Any>;

export const Status = message({ code: int32(1), message: string(2), details: repeated(nested(3, Any)) });
export type Status = Value<typeof Status>;

const HealthCheckRequest = message({ service: string(1) });
const HealthCheckResponse = message({ status: int32(1) });
export const healthStatus = { unknown: 0, serving: 1, notServing: 2, serviceUnknown: 3 } as const;

export const Health = service('grpc.health.v1.Health', {
  Check: unary(HealthCheckRequest, HealthCheckResponse),
});
