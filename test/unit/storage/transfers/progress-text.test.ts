import { progressText } from '../../../../src/storage/transfers/progress-text';

// As in dockerd's own progress lines.
test.each([
  [0, 100, `[>${' '.repeat(50)}]       0B/100B`],
  [97, 97, `[${'='.repeat(50)}>]      97B/97B`],
  [32_768, 1_068_937, `[=>${' '.repeat(49)}]  32.77kB/1.069MB`],
  [3_081, 3_081, `[${'='.repeat(50)}>]  3.081kB/3.081kB`],
  [70_430_514, 140_861_028, `[${'='.repeat(25)}>${' '.repeat(25)}]  70.43MB/140.9MB`],
  [2_000, 1_000, `[${'='.repeat(50)}>]      2kB`],
  [1_500, 0, '   1.5kB'],
])('%i of %i', (current, total, text) => {
  expect(progressText({ current, total })).toBe(text);
});
