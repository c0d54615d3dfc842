import { FileJobs, JobError, readJob } from '../../../../src/engine/streams/file-jobs';
import { FakeAgent } from '../../../support/fakes/engine-fakes';

const { signal } = new AbortController();

/** With the id that the guest was given. */
async function start(
  jobs: FileJobs,
  agent: FakeAgent,
): Promise<Awaited<ReturnType<FileJobs['start']>> & { id: string }> {
  const job = await jobs.start(agent, 'container', { kind: 'changes' }, signal);
  return { ...job, id: agent.params('job.start').id };
}

it('ends with its exit, after its output', async () => {
  const [jobs, agent] = [new FileJobs(), new FakeAgent()];
  const job = await start(jobs, agent);
  agent.outputs.get(2)?.write('text');
  for (const output of agent.outputs.values()) output.end();
  expect(jobs.onExit(job.id, { exitCode: 0, signal: 0, oomKilled: false, timeMs: 0 })).toBe(true);
  await expect(readJob(job, 100)).resolves.toEqual(Buffer.from('text'));
  await job.done;
});

it('fails with what it said', async () => {
  const [jobs, agent] = [new FileJobs(), new FakeAgent()];
  const job = await start(jobs, agent);
  agent.outputs.get(3)?.write('no such file');
  for (const output of agent.outputs.values()) output.end();
  jobs.onExit(job.id, { exitCode: 2, signal: 0, oomKilled: false, timeMs: 0 });
  await expect(readJob(job, 100)).rejects.toEqual(new JobError(2, 'no such file'));
});

it('ends with the VM, also when its streams have ended and the news of its exit is lost', async () => {
  const [jobs, agent] = [new FileJobs(), new FakeAgent()];
  const job = await start(jobs, agent);
  for (const output of agent.outputs.values()) output.end();
  const failed = expect(readJob(job, 100)).rejects.toThrow('the VM is gone');
  agent.close(new Error('the VM is gone'));
  await failed;
  await expect(job.done).rejects.toThrow('the VM is gone');
  expect(jobs.onExit(job.id, { exitCode: 0, signal: 0, oomKilled: false, timeMs: 0 })).toBe(false);
});

it('is killed when nobody reads any more, and is over for who waits', async () => {
  const [jobs, agent] = [new FileJobs(), new FakeAgent()];
  const job = await start(jobs, agent);
  const closed = new Promise((resolve) => job.output.once('close', resolve));
  job.output.destroy(new Error('the client has left'));
  await expect(job.done).rejects.toThrow('the client has left');
  await closed;
  expect(agent.params('process.signal')).toEqual({ id: job.id, signal: 9 });
});

it('ends with a VM whose process stays stopped, and its part of the disk is taken until the job is over', async () => {
  const [jobs, agent] = [new FileJobs({ stoppedMs: 10 }), new FakeAgent()];
  const release = jest.fn(() => Promise.resolve());
  const guest = { offset: 0, slotBytes: 512, slots: 4 };
  agent.bulk = { lease: () => Promise.resolve({ guest, release, write: jest.fn(), read: jest.fn() }) };
  const job = await jobs.start(agent, 'container', { kind: 'export' }, signal);
  const { id } = agent.params('job.start');
  agent.hindrance = () => Promise.resolve('its process is stopped');
  await expect(readJob(job, 100)).rejects.toThrow("can't answer: its process is stopped");
  await expect(job.done).rejects.toThrow("can't answer: its process is stopped");
  expect(agent.params('process.signal')).toEqual({ id, signal: 9 });
  expect(release).not.toHaveBeenCalled();
  expect(jobs.onExit(id, { exitCode: 0, signal: 9, oomKilled: false, timeMs: 0 })).toBe(true);
  await new Promise((resolve) => setImmediate(resolve));
  expect(release).toHaveBeenCalledTimes(1);
});

it('that a stopped VM does not begin is given up', async () => {
  const [jobs, agent] = [new FileJobs({ stoppedMs: 10 }), new FakeAgent()];
  agent.hindrance = () => Promise.resolve('its process is stopped');
  agent.on('job.start', () => new Promise<never>(() => undefined));
  await expect(jobs.start(agent, 'container', { kind: 'changes' }, signal)).rejects.toThrow("can't answer");
});
