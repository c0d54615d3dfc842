// Tests that dockerd passes and Caisson doesn't, each with the reason.

export const exceptions: Readonly<Record<string, string>> = {
  TestSharedCacheMounts:
    'two steps that wait for each other through a shared cache mount: its disk is in one VM at a time, so the second one waits for the first',
  TestSharedCacheMountsNoScratch: 'as TestSharedCacheMounts',
  TestLocalSourceDiffer:
    "with differ=metadata: sessions without a key of their own don't get what another session has sent under the same name, size and time",
  TestLayerLimitOnMounts:
    '110 steps within the five minutes that the test has: under emulation only on an idle machine',
};
