// Networks as a drawing of who is on which, and as a list.

import { useEffect, useMemo, useState } from 'preact/hooks';
import type { NetworkInspect } from '../../../src/docker/types';
import { docker, part, send } from '../client';
import { clip, nameOf } from '../logic/format';
import { topology, type Node } from '../logic/topology';
import { Ask, Button, Dialog, Empty, Failure, Head, Loading, State } from '../parts/ui';
import { attempt, containers, link, networks, refresh } from '../store';

const builtIn = ['bridge', 'host', 'none'];

export function NetworksView() {
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState<NetworkInspect>();
  const [narrow, setNarrow] = useState(innerWidth < 760);
  const [all, known] = [networks.value, containers.value];
  useEffect(() => {
    const look = (): void => setNarrow(innerWidth < 760);
    addEventListener('resize', look);
    return () => removeEventListener('resize', look);
  }, []);
  const drawn = useMemo(
    () => (all === undefined || known === undefined ? undefined : topology(all, known, narrow)),
    [all, known, narrow],
  );
  if (all === undefined || drawn === undefined) return <Loading what="Asking for networks" />;
  const usersOf = (id: string): string[] =>
    (known ?? [])
      .filter(({ NetworkSettings }) =>
        Object.values(NetworkSettings.Networks).some(({ NetworkID }) => NetworkID === id),
      )
      .map(({ Names }) => nameOf(Names));
  return (
    <section class="view">
      <Head title="Networks" sub={`${all.length}, all in a private network of the daemon’s`}>
        <Button kind="primary" icon="plus" changes onClick={() => setMaking(true)}>
          Create
        </Button>
      </Head>
      <div class="card drawing" tabIndex={0} role="region" aria-label="Drawing of networks">
        {drawn.nodes.length === 0 && <Empty icon="networks" title="Nothing to draw" />}
        <svg
          width={drawn.width}
          height={drawn.height}
          viewBox={`0 0 ${drawn.width} ${drawn.height}`}
          role="group"
          aria-label="Published ports, containers and networks"
        >
          {drawn.edges.map(({ from, to, label, points }) => (
            <g key={`${from}>${to}`} class="edge">
              <path d={curve([...points, ...drawn.nodes.filter(({ id }) => id === to)])} />
              {label !== '' && from.startsWith('p ') && (
                <text
                  x={points[Math.floor(points.length / 2)]?.x}
                  y={(points[Math.floor(points.length / 2)]?.y ?? 0) - 5}
                >
                  {label}
                </text>
              )}
            </g>
          ))}
          {drawn.nodes.map((node) => (
            <Drawn key={node.id} node={node} />
          ))}
        </svg>
        {drawn.left > 0 && <p class="muted">and {drawn.left} more containers</p>}
      </div>
      <ul class="cards">
        {all.map((network) => {
          const users = usersOf(network.Id);
          const subnets = network.IPAM.Config.map(({ Subnet }) => Subnet).join(', ');
          return (
            <li key={network.Id} class="card item">
              <header>
                <h2 class="clip">{network.Name}</h2>
                <span class="chip">{network.Driver}</span>
                {!builtIn.includes(network.Name) && (
                  <Button
                    icon="trash"
                    kind="quiet"
                    changes
                    label={`Remove ${clip(network.Name, 60)}`}
                    onClick={() => setRemoving(network)}
                  />
                )}
              </header>
              <p class="mono">{subnets || 'no addresses of its own'}</p>
              <p class="muted clip">{users.length === 0 ? 'Nobody is on it.' : users.join(', ')}</p>
              {network.Internal && <State name="idle" text="internal" />}
            </li>
          );
        })}
      </ul>
      {making && <Create onClose={() => setMaking(false)} />}
      {removing !== undefined && (
        <Ask
          title={`Remove ${clip(removing.Name, 80)}`}
          text="Nobody may be on it."
          action="Remove"
          danger
          run={() => send('DELETE', docker(`/networks/${part(removing.Id)}`)).then(() => refresh('networks'))}
          done="The network is removed."
          onClose={() => setRemoving(undefined)}
        />
      )}
    </section>
  );
}

/** The last point is the middle of what it leads to, which is drawn over it: there is no gap at round corners. */
function curve(points: readonly { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  if (first === undefined) return '';
  let path = `M${first.x},${first.y}`;
  for (let index = 0; index < rest.length - 1; index++) {
    const [control, next] = [rest[index], rest[index + 1]];
    if (control === undefined || next === undefined) continue;
    const isLast = index === rest.length - 2;
    const end = isLast ? next : { x: (control.x + next.x) / 2, y: (control.y + next.y) / 2 };
    path += `Q${control.x},${control.y} ${end.x},${end.y}`;
  }
  return rest.length === 1 ? `${path}L${rest[0]?.x ?? 0},${rest[0]?.y ?? 0}` : path;
}

function Drawn({ node: { id, kind, title, detail, state, x, y, width, height } }: { node: Node }) {
  const [shown, shownDetail] = [clip(title, 18), clip(detail, 22)];
  const box = (
    <g class={`node is-${kind} state-${state}`} transform={`translate(${x - width / 2},${y - height / 2})`}>
      <rect width={width} height={height} rx={kind === 'network' ? 26 : 9} />
      {kind === 'container' && <circle cx={16} cy={19} r={4} />}
      <text
        x={kind === 'container' ? 28 : width / 2}
        y={detail === '' ? height / 2 + 4 : 23}
        class={kind === 'container' ? '' : 'middle'}
      >
        {shown}
      </text>{' '}
      {detail !== '' && (
        <text
          x={kind === 'container' ? 28 : width / 2}
          y={40}
          class={`small ${kind === 'container' ? '' : 'middle'}`}
        >
          {shownDetail}
        </text>
      )}
    </g>
  );
  return kind === 'container' ? (
    <a
      href={link('containers', id.slice(2))}
      aria-label={`${shown} ${shownDetail}, container ${title}, ${state}`}
    >
      {box}
    </a>
  ) : (
    box
  );
}

function Create({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [subnet, setSubnet] = useState('');
  const [internal, setInternal] = useState(false);
  const [error, setError] = useState('');
  const create = async (): Promise<void> => {
    const went = await attempt(
      async () => {
        await send('POST', docker('/networks/create'), {
          Name: name.trim(),
          CheckDuplicate: true,
          Internal: internal,
          ...(subnet.trim() === '' ? {} : { IPAM: { Config: [{ Subnet: subnet.trim() }] } }),
        });
        refresh('networks');
      },
      'The network is made.',
      setError,
    );
    if (went) onClose();
  };
  return (
    <Dialog title="Create a network" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <label class="field">
          <span>Name</span>
          <input
            required
            autofocus
            value={name}
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Subnet</span>
          <input
            value={subnet}
            placeholder="10.5.0.0/24"
            onInput={({ currentTarget }) => setSubnet(currentTarget.value)}
          />
          <small>Empty: one that is free.</small>
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={internal}
            onChange={({ currentTarget }) => setInternal(currentTarget.checked)}
          />
          <span>Nothing leads out of it</span>
        </label>
        {error !== '' && <Failure error={error} />}
        <footer>
          <Button kind="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button submit kind="primary">
            Create
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
