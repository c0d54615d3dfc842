// A length of time in words, as `docker ps` shows it ("About a minute", "3 weeks").

const second = 1;
const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;
const week = 7 * day;
const month = 30 * day;
const year = 365 * day;

/** The words for `milliseconds`; fractions of a second do not count, negative times are less than a second. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < second) return 'Less than a second';
  if (seconds === second) return '1 second';
  if (seconds < minute) return `${seconds} seconds`;
  if (seconds < 2 * minute) return 'About a minute';
  if (seconds < hour) return `${Math.trunc(seconds / minute)} minutes`;
  // From here on hours are rounded to the nearest, so an hour and a half is two.
  const hours = Math.floor(milliseconds / 1000 / hour + 0.5);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  const hourSeconds = hours * hour;
  if (hourSeconds < 2 * week) return `${Math.trunc(hourSeconds / day)} days`;
  if (hourSeconds < 2 * month) return `${Math.trunc(hourSeconds / week)} weeks`;
  if (hourSeconds < 2 * year) return `${Math.trunc(hourSeconds / month)} months`;
  return `${Math.trunc(seconds / year)} years`;
}
