// Numbers of protocol/share-changes-protocol.h and share-notices-protocol.h, for tests that stand in for the guest. A test
// compares them with the headers and with protocol/README.md.

export const watchesAttribute = 'trusted.caisson.watches';
export const changeAttribute = 'trusted.caisson.change';
export const elsewhere = '.elsewhere';
export const watchesFirst = 1;
export const watchesLast = 2;
export const watchesPart = 4000;
export const nameSize = 256;
export const changeKind = {
  modified: 1,
  attributes: 2,
  closed: 3,
  created: 4,
  deleted: 5,
  renamed: 6,
  gone: 7,
} as const;
export const noticeForget = 0x1000;
