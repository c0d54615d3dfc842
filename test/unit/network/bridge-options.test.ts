import { bridgeOptions, warningOf } from '../../../src/network/bridge-options';

const mtu = 'com.docker.network.driver.mtu';
const icc = 'com.docker.network.bridge.enable_icc';
const binding = 'com.docker.network.bridge.host_binding_ipv4';

it('has defaults', () => {
  expect(bridgeOptions({ 'org.example': 'kept' })).toEqual({
    mtu: 1500,
    interContainer: true,
    masquerade: true,
    hostBindingAddress: '0.0.0.0',
  });
});

it('reads options', () => {
  const options = { [mtu]: '1400', [icc]: 'false', [binding]: '127.0.0.1' };
  expect(bridgeOptions({ ...options, 'com.docker.network.bridge.enable_ip_masquerade': '0' })).toEqual({
    mtu: 1400,
    interContainer: false,
    masquerade: false,
    hostBindingAddress: '127.0.0.1',
  });
});

it.each([
  [mtu, 'abc', `failed to parse ${mtu} value: abc (strconv.Atoi: parsing "abc": invalid syntax)`],
  [mtu, '10', 'invalid MTU: 10'],
  [mtu, '-1', 'invalid MTU number: -1'],
  [icc, 'abc', `failed to parse ${icc} value: abc (strconv.ParseBool: parsing "abc": invalid syntax)`],
  [binding, 'x', `failed to parse ${binding} value: x (nil ip)`],
  ['com.docker.network.host_ipv4', 'x', 'failed to parse com.docker.network.host_ipv4 value: x (nil ip)'],
  [
    'com.docker.network.bridge.name',
    'longer-than-names-are',
    'failed to check bridge interface existence: numerical result out of range',
  ],
])('refuses %s=%s', (name, value, message) => {
  expect(() => bridgeOptions({ [name]: value })).toThrow(
    expect.objectContaining({ code: 'Internal', message }) as Error,
  );
});

it('warns of what has no effect', () => {
  const options = { 'com.docker.network.bridge.name': 'br0', [mtu]: '1400' };
  expect(warningOf(options)).toBe('Options without effect on this engine: com.docker.network.bridge.name');
  expect(warningOf({ [mtu]: '1400' })).toBe('');
});
