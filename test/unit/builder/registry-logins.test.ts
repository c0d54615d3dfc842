import { loginFor } from '../../../src/builder/registry-logins';

it('finds the credentials for an image by the address of its registry, however the client has written it', () => {
  const auths = {
    'https://index.docker.io/v1/': { username: 'hub' },
    'registry.example': { username: 'new' },
    'https://old.example/v2/': { username: 'old' },
  };
  expect(loginFor(auths, 'debian:12')?.username).toBe('hub');
  expect(loginFor(auths, 'registry.example/team/app')?.username).toBe('new');
  expect(loginFor(auths, 'old.example/app@sha256:' + 'a'.repeat(64))?.username).toBe('old');
  expect(loginFor(auths, 'registry.example:5000/app')).toBeUndefined();
});
