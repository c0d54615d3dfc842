// The one list of places where Caisson may differ from dockerd 20.10, each with its reason.

export interface Exception {
  id: string;
  reason: string;
  /** Full case names it holds for; all if absent. */
  cases?: RegExp;
  /** Values at matching paths are not compared (`stdout[0].GraphDriver.Name`). */
  path?: RegExp;
  /** Replaced in plain text on both sides before comparing. */
  text?: readonly [RegExp, string];
}

export const exceptions: readonly Exception[] = [];
