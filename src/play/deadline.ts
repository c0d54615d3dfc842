// activeDeadlineSeconds, counted from the first start, whichever daemon that was under.

/** Undefined without a deadline. It keeps no process alive. */
export function deadlineTimer(
  beganMs: number,
  activeDeadlineSeconds: number | undefined,
  onOverdue: () => void,
): NodeJS.Timeout | undefined {
  if (activeDeadlineSeconds === undefined) return undefined;
  const leftMs = beganMs + activeDeadlineSeconds * 1000 - Date.now();
  return setTimeout(onOverdue, Math.min(Math.max(0, leftMs), activeDeadlineSeconds * 1000)).unref();
}
