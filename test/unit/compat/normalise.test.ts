import { Normaliser } from '../../compat/harness/normalise';

test('ids are numbered as they come, those of digits alone too', () => {
  const text = ' ---> 0a1b2c3d4e5f\n ---> Running in 123456789012\n ---> 0a1b2c3d4e5f\n 123456789012 bytes\n';
  expect(new Normaliser({}).text(text)).toBe(
    ' ---> <id 1>\n ---> Running in <id 2>\n ---> <id 1>\n 123456789012 bytes\n',
  );
});
