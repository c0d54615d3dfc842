// Networks and who is on them, laid out by dagre: published ports lead to containers, containers to networks.

import { graphlib, layout } from '@dagrejs/dagre';
import type { ContainerSummary, NetworkInspect } from '../../../src/docker/types';
import { nameOf } from './format';

export interface Node {
  id: string;
  kind: 'network' | 'container' | 'port';
  title: string;
  detail: string;
  state: string;
  x: number;
  y: number;
  width: number;
  height: number;
}
export interface Edge {
  from: string;
  to: string;
  label: string;
  points: { x: number; y: number }[];
}
export interface Topology {
  width: number;
  height: number;
  nodes: Node[];
  edges: Edge[];
  /** Containers for which there was no room. */
  left: number;
}

const sizes = { network: [180, 52], container: [170, 52], port: [110, 32] } as const;
const containersShown = 80;

/** `topDown`: for narrow screens. */
export function topology(
  networks: readonly NetworkInspect[],
  containers: readonly ContainerSummary[],
  topDown = false,
): Topology {
  const graph = new graphlib.Graph();
  graph.setGraph({
    rankdir: topDown ? 'TB' : 'LR',
    nodesep: 18,
    ranksep: topDown ? 50 : 90,
    marginx: 12,
    marginy: 12,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  const nodes = new Map<string, Omit<Node, 'x' | 'y' | 'width' | 'height'>>();
  const add = (node: Omit<Node, 'x' | 'y' | 'width' | 'height'>): void => {
    if (nodes.has(node.id)) return;
    const [width, height] = sizes[node.kind];
    nodes.set(node.id, node);
    graph.setNode(node.id, { width, height });
  };
  const labels = new Map<string, string>();
  for (const { Id, Name, Driver, IPAM, Internal } of networks) {
    if (Driver === 'null' || Driver === 'host') continue;
    const subnet = IPAM.Config[0]?.Subnet ?? Driver;
    add({
      id: `n ${Id}`,
      kind: 'network',
      title: Name,
      detail: Internal ? `${subnet}, internal` : subnet,
      state: '',
    });
  }
  const running = containers.filter(({ State: state }) => state === 'running' || state === 'paused');
  for (const { Id, Names, State: state, NetworkSettings, Ports } of running.slice(0, containersShown)) {
    const endpoints = Object.values(NetworkSettings.Networks);
    const addresses = endpoints.map(({ IPAddress }) => IPAddress).filter(Boolean);
    add({
      id: `c ${Id}`,
      kind: 'container',
      title: nameOf(Names),
      detail: addresses.join(', ') || 'no address',
      state,
    });
    for (const { NetworkID, IPAddress } of endpoints) {
      if (!nodes.has(`n ${NetworkID}`)) continue;
      graph.setEdge(`c ${Id}`, `n ${NetworkID}`);
      labels.set(`c ${Id}>n ${NetworkID}`, IPAddress);
    }
    for (const { PublicPort, PrivatePort, Type, IP } of Ports) {
      if (PublicPort === undefined || (IP ?? '').includes(':')) continue;
      const port = `p ${IP ?? ''} ${PublicPort}/${Type}`;
      add({ id: port, kind: 'port', title: `${PublicPort}/${Type}`, detail: '', state: '' });
      graph.setEdge(port, `c ${Id}`);
      labels.set(`${port}>c ${Id}`, String(PrivatePort));
    }
  }
  keepColumns(graph, [...nodes.values()]);
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return {
    width,
    height,
    left: Math.max(0, running.length - containersShown),
    nodes: [...nodes.values()].map((node) => {
      const place = graph.node(node.id) as { x: number; y: number; width: number; height: number };
      return { ...node, x: place.x, y: place.y, width: place.width, height: place.height };
    }),
    edges: (graph.edges() as { v: string; w: string }[])
      .filter(({ v }) => nodes.has(v))
      .map(({ v, w }) => ({
        from: v,
        to: w,
        label: labels.get(`${v}>${w}`) ?? '',
        points: (graph.edge(v, w) as { points: { x: number; y: number }[] }).points,
      })),
  };
}

/**
 * Ports, containers and networks stand in a column of each: what nothing leads to has something before it that has no size and is not drawn.
 */
function keepColumns(graph: graphlib.Graph, nodes: readonly Pick<Node, 'id' | 'kind'>[]): void {
  const columns = (['port', 'container', 'network'] as const).filter((one) =>
    nodes.some(({ kind }) => kind === one),
  );
  for (const { id, kind } of nodes) {
    const column = columns.indexOf(kind);
    if (column === 0 || graph.inEdges(id)?.length !== 0) continue;
    graph.setNode(`- ${id}`, { width: 0, height: 0 });
    graph.setEdge(`- ${id}`, id, { minlen: column });
  }
}
