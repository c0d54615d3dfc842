// Virtual machines: the pool, the template, and of each what it takes, what runs in it, and what its console says.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { VmInspect, VmSummary } from '../../../src/api/v1/types';
import type { HistorySpan } from '../../../src/web/types';
import { chunks, get, NoAnswer, part, query, request, send } from '../client';
import { memory, shortId } from '../logic/format';
import { latest, withNetwork } from '../logic/measures';
import { plainText } from '../logic/ansi';
import { HistoryPlots, SpanChoice, useHistory } from '../parts/history-plots';
import { Ask, Button, Empty, Failure, Head, Loading, State, useLoad } from '../parts/ui';
import { go, isLive, link, messageOf, own, pods, refresh, vms } from '../store';

const consoleKept = 256 * 1024;

function stateOf(vm: VmSummary): string {
  if (vm.unanswered === true) return 'no answer yet';
  if (vm.state === 'Associated') return 'in use';
  return vm.purpose === 'kept' ? 'kept' : 'idle';
}

export function VmsView({ selected }: { selected: string | undefined }) {
  useEffect(() => {
    refresh('pods', 'system');
    const timer = setInterval(() => {
      if (!document.hidden) refresh('pods', 'system');
    }, 5_000);
    return () => clearInterval(timer);
  }, []);
  if (selected !== undefined) return <VmView key={selected} id={selected} />;
  const facts = own.value;
  const all = vms.value;
  return (
    <section class="view">
      <Head
        title="Machines"
        sub={
          facts === undefined
            ? undefined
            : `${facts.accelerator.kind.toUpperCase()}: ${facts.accelerator.reason}`
        }
      />
      {facts !== undefined && (
        <dl class="numbers">
          <Fact name="In use" value={facts.vms.associated} rest="with a Pod" />
          <Fact
            name="Idle"
            value={facts.vms.idle}
            rest={`pool of ${facts.factory.poolSize}, ${facts.vms.kept} kept`}
          />
          <Fact
            name="Template"
            value={facts.factory.template ? 'ready' : 'none'}
            rest={facts.factory.template ? 'to be cloned' : 'machines boot'}
          />
          <Fact
            name="Each may have"
            value={memory(facts.factory.default.memoryBytes)}
            rest={`${facts.factory.default.cpus} CPUs`}
          />
          {facts.factory.templates.length > 0 && (
            <Fact
              name="Other sizes"
              value={facts.factory.templates.length}
              rest={facts.factory.templates.map(({ memoryBytes }) => memory(memoryBytes)).join(', ')}
            />
          )}
        </dl>
      )}
      {all === undefined && <Loading what="Asking for machines" />}
      {all?.length === 0 && (
        <Empty icon="vms" title="No machine runs">
          <p>Each container that you run gets one.</p>
        </Empty>
      )}
      <ul class="cards">
        {(all ?? []).map((vm) => (
          <li key={vm.id} class="card item">
            <header>
              <h2>
                <a href={link('vms', vm.id)} class="mono">
                  {vm.id}
                </a>
              </h2>
              <State name={vm.state === 'Idle' ? 'idle' : 'running'} text={stateOf(vm)} />
            </header>
            <p class="clip">{vm.podName ?? <span class="muted">waits for a Pod</span>}</p>
            <p class="facts muted">
              <span>up to {memory(vm.memoryBytes)}</span>
              <span>{vm.cpus} CPUs</span>
              <span>pid {vm.pid}</span>
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Fact({ name, value, rest }: { name: string; value: string | number; rest: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value} <small class="muted">{rest}</small>
      </dd>
    </div>
  );
}

function VmView({ id }: { id: string }) {
  const [span, setSpan] = useState<HistorySpan>('minutes');
  const [removing, setRemoving] = useState(false);
  const history = useHistory(span, 'vm', id);
  const listed = vms.value?.find((one) => one.id === id);
  const inspect = useLoad<VmInspect>(
    (signal) => get(`/v1/vms/${part(id)}`, signal),
    [id, listed?.state, listed?.podName],
  );
  const vm = inspect.value;
  // one that is newer than the list is none
  const isGone = listed === undefined && inspect.error !== undefined;
  const pod = pods.value?.find(({ vmId }) => vmId === id);
  const first = pod?.containers.find(({ status }) => status === 'running')?.id;
  const inside = useHistory(span, 'container', first ?? 'none')?.subjects[0];
  const outside = history?.subjects[0];
  const now = outside === undefined ? undefined : latest(outside.columns, 'memoryBytes');
  if (vm === undefined) {
    return (
      <section class="view">
        <Head title={id} back={link('vms')} />
        {inspect.error === undefined ? <Loading /> : <Failure error={inspect.error} />}
      </section>
    );
  }
  return (
    <section class="view">
      <Head
        title={<span class="mono-title">{vm.id}</span>}
        back={link('vms')}
        sub={
          <span class="facts">
            {isGone ? (
              <State name="exited" text="gone" />
            ) : (
              <State name={vm.state === 'Idle' ? 'idle' : 'running'} text={stateOf(listed ?? vm)} />
            )}
            <span>up to {memory(vm.memoryBytes)}</span>
            <span>{vm.cpus} CPUs</span>
            <span>{vm.disks.length} disks</span>
            <span>pid {vm.pid}</span>
          </span>
        }
      >
        <Button icon="trash" changes disabled={isGone} onClick={() => setRemoving(true)}>
          End
        </Button>
      </Head>
      {pod !== undefined && (
        <div class="card">
          <header>
            <h2>Runs</h2>
          </header>
          <ul class="list">
            {pod.containers.map(({ id: container, dockerName, image, status }) => (
              <li key={container}>
                <span class="clip">
                  <a href={link('containers', container)}>{dockerName}</a> <span class="muted">{image}</span>
                </span>
                <State name={status} />
              </li>
            ))}
          </ul>
        </div>
      )}
      <div class="card">
        <header>
          <h2>From outside</h2>
          <SpanChoice span={span} onChange={setSpan} />
        </header>
        <HistoryPlots
          columns={withNetwork(outside?.columns, inside?.columns)}
          hasNetwork={first !== undefined}
        />
        <p class="muted">
          Memory is what the machine has of this host for itself, beside the template that all share.{' '}
          {outside !== undefined && now !== undefined && (
            <>
              At most it had {memory(outside.peakMemoryBytes)}, now {memory(now)}:{' '}
              <strong>{memory(outside.peakMemoryBytes - now)}</strong> were given back.
            </>
          )}
        </p>
      </div>
      <Console id={id} />
      {removing && (
        <Ask
          title={`End machine ${shortId(id)}`}
          text={pod === undefined ? 'It is gone then.' : 'A Pod runs in it: its containers end with 137.'}
          action="End it"
          danger
          run={async () => {
            await send('DELETE', `/v1/vms/${part(id)}${query({ force: pod !== undefined })}`);
            refresh('pods', 'containers', 'system');
            go('vms');
          }}
          done="The machine is gone."
          onClose={() => setRemoving(false)}
        />
      )}
    </section>
  );
}

function Console({ id }: { id: string }) {
  const [text, setText] = useState('');
  const [error, setError] = useState('');
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    // what it has told is still to be read meanwhile
    if (!isLive.value) return undefined;
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      const response = await request(`/v1/vms/${part(id)}/console${query({ follow: 1 })}`, {
        signal: abort.signal,
      });
      setError('');
      const decoder = new TextDecoder();
      let all = '';
      for await (const chunk of chunks(response)) {
        all = (all + decoder.decode(chunk, { stream: true })).slice(-consoleKept);
        setText(all);
      }
    };
    read().catch((problem: unknown) => {
      if (!abort.signal.aborted && !(problem instanceof NoAnswer)) setError(messageOf(problem));
    });
    return () => abort.abort();
  }, [id, isLive.value]);
  useEffect(() => {
    if (box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  return (
    <div class="card">
      <header>
        <h2>Serial console</h2>
      </header>
      {error !== '' && <Failure error={error} />}
      {text === '' ? (
        <p class="muted">The guest’s kernel has said nothing.</p>
      ) : (
        <pre class="output" ref={box} tabIndex={0}>
          {text.split('\n').map(plainText).join('\n')}
        </pre>
      )}
    </div>
  );
}
