import { EventInbox } from '../../../../src/vm/agent/event-inbox';

afterEach(() => jest.restoreAllMocks());

test('a guest that sends unknown events without end makes few lines of the log', () => {
  const lines: string[] = [];
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    lines.push(String(text));
    return true;
  });
  const inbox = new EventInbox(() => undefined);
  for (let seq = 1; seq <= 20_000; seq += 1)
    inbox.receive(Buffer.from(JSON.stringify({ event: 'odd', seq })));
  expect(lines).toHaveLength(5 + 4);
  expect(lines.at(-1)).toContain('msg="unknown events from a VM" event=odd count=10000');
});
