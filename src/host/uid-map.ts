// Which users there are in a user namespace.

/** `uidMap` is a /proc/PID/uid_map: lines of first id inside, first id outside, count (user_namespaces(7)). */
export function isMapped(uidMap: string, uid: number): boolean {
  return uidMap.split('\n').some((line) => {
    const [first = NaN, , count = NaN] = line.trim().split(/\s+/).map(Number);
    return uid >= first && uid < first + count;
  });
}
