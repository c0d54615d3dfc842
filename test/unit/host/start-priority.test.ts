import { readdirSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { hurry, usualNiceVariable } from '../../../src/host/start-priority';

/** Nice values of all threads, each once. */
function priorities(): number[] {
  const threads = readdirSync('/proc/self/task').map(Number);
  return [...new Set(threads.map((thread) => getPriority(thread)))];
}

function sessionNice(): string {
  try {
    return readFileSync('/proc/self/autogroup', 'utf8');
  } catch {
    return ''; // a kernel without
  }
}

test('all threads go before others for a while, and come back to where they were', () => {
  const [before, session] = [getPriority(), sessionNice()];
  const calmDown = hurry();
  try {
    if (process.getuid?.() === 0) expect(priorities()).toEqual([Math.max(before - 20, -20)]);
  } finally {
    calmDown();
  }
  expect(priorities()).toEqual([before]);
  expect(sessionNice()).toBe(session);
});

test('one that was started ahead comes back to the value that it was told', () => {
  const before = getPriority();
  process.env[usualNiceVariable] = String(before + 2);
  const calmDown = hurry();
  expect(process.env[usualNiceVariable]).toBeUndefined();
  calmDown();
  expect(priorities()).toEqual([before + 2]);
  if (process.getuid?.() === 0)
    for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), before);
});
