// What is kept of a container's output, by the options of Docker's log drivers.

import { logBounds } from '../../../../src/cluster/containers/log-bounds';

it('is as much as the local driver keeps where nothing is said', () => {
  expect(logBounds(undefined)).toEqual({ maxBytes: 0, maxFiles: 0, lineBytes: 0 });
  expect(logBounds({ Type: 'json-file', Config: {} })).toEqual({ maxBytes: 0, maxFiles: 0, lineBytes: 0 });
});

it('counts what json-file writes around each line, and nothing for the local driver', () => {
  const Config = { 'max-size': '2k', 'max-file': '3' };
  expect(logBounds({ Type: 'json-file', Config })).toEqual({ maxBytes: 2000, maxFiles: 3, lineBytes: 70 });
  expect(logBounds({ Type: 'local', Config })).toEqual({ maxBytes: 2000, maxFiles: 3, lineBytes: 0 });
  expect(logBounds({ Type: 'json-file', Config: { 'max-size': '1m' } })).toMatchObject({ maxFiles: 1 });
});

it('refuses at start what is no size or number, as Docker words it', () => {
  expect(() => logBounds({ Type: 'json-file', Config: { 'max-size': 'lots' } })).toThrow(
    "failed to initialize logging driver: invalid size: 'lots'",
  );
  expect(() => logBounds({ Type: 'none', Config: { 'max-size': 'lots' } })).not.toThrow();
});
