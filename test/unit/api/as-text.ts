// Reading responses of any type as text.

import type { Test } from 'supertest';

/** The response with its body as latin1 text in `body`, whatever its type. */
export function asText(test: Test): Test {
  return test.buffer().parse((res, done) => {
    let text = '';
    res.on('data', (part: Buffer) => (text += part.toString('latin1')));
    res.on('end', () => done(null, text));
  });
}
