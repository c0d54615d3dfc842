import { activatedDescriptors } from '../../../src/api/socket-activation';

const environment = { LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'unix:tcp' };

it.each([
  ['', [3, 4]],
  ['*', [3, 4]],
  ['4', [4]],
  ['unix', [3]],
])('fd://%s', (address, descriptors) => {
  expect(activatedDescriptors(address, environment, 7)).toEqual(descriptors);
});

it.each([
  ['', 8, 'no sockets found via socket activation'],
  ['5', 7, 'no socket "5"'],
])('fd://%s is refused for pid %d', (address, pid, message) => {
  expect(() => activatedDescriptors(address, environment, pid)).toThrow(message);
});
