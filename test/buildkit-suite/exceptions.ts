// Tests that dockerd passes and Caisson doesn't, each with the reason.

export const exceptions: Readonly<Record<string, string>> = {
  TestLocalSourceDiffer:
    "with differ=metadata: sessions without a key of their own don't get what another session has sent under the same name, size and time",
};
