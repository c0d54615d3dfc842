import { PortComplaints } from '../../../../src/engine/networks/port-complaints';

test('a guest whose listeners change for ever makes few lines of the log', () => {
  const write = jest.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const complaints = new PortComplaints('c');
  for (let count = 0; count < 10_000; count += 1) {
    complaints.tell('tcp 127.0.0.1 80', count % 2 === 0 ? 'address already in use' : 'no relay');
    complaints.tell('more', `only the first ${String(count)}`);
  }
  const lines = write.mock.calls.map(([line]) => String(line));
  write.mockRestore();
  expect(lines).toHaveLength(64);
  expect(lines[1]).toContain('only the first 0');
  expect(lines.at(-1)).toContain('are not told');
});
