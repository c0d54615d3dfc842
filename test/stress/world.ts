// What a client of the stress test makes, and takes away again whatever happened to it.

import type { EngineClient, Output } from './engine-client';
import { Disturbed, Interrupted } from './ledger';
import type { Random } from './random';

/** What create is asked for. */
export interface Wanted {
  script: string;
  hostConfig?: Record<string, unknown>;
  networks?: readonly string[];
  config?: Record<string, unknown>;
}

interface State {
  Status: string;
  ExitCode: number;
}

const pollMs = 200;
/** Between attempts while there is no daemon. */
const awayMs = 1000;
/** Codes of a container whose VM was killed. */
const killedCode = 137;

/** One scenario's things. */
export class World {
  readonly client: EngineClient;
  readonly random: Random;
  readonly #prefix: string;
  readonly #cleanUps: (() => Promise<void>)[] = [];
  #count = 0;

  constructor(client: EngineClient, random: Random, prefix: string) {
    this.client = client;
    this.random = random;
    this.#prefix = prefix;
  }

  name(): string {
    this.#count += 1;
    return `${this.#prefix}-${this.#count}`;
  }

  fault(what: string): void {
    this.client.ledger.fault(this.client.who, what);
  }

  /** Its id. It is removed at the scenario's end. */
  async container(wanted: Wanted): Promise<string> {
    const name = this.name();
    this.onEnd(() => this.remove(`/containers/${name}?force=1&v=1`));
    const [network, ...others] = wanted.networks ?? [];
    const body = {
      Image: 'busybox',
      Cmd: ['sh', '-c', wanted.script],
      ...wanted.config,
      HostConfig: { ...(network === undefined ? {} : { NetworkMode: network }), ...wanted.hostConfig },
    };
    const id = await this.again(async () => {
      const path = `/containers/create?name=${name}`;
      const { status, body: reply } = await this.client.ask('POST', path, { body, accepts: [409] });
      // an earlier attempt has made it, and its answer was lost
      if (status === 409)
        return (await this.client.json<{ Id: string }>('GET', `/containers/${name}/json`)).Id;
      return (JSON.parse(reply.toString()) as { Id: string }).Id;
    });
    for (const other of others) {
      await this.post(`/networks/${other}/connect`, id, { Container: id }, [403]);
    }
    return id;
  }

  async network(): Promise<string> {
    const name = this.name();
    this.onEnd(() => this.remove(`/networks/${name}`));
    await this.again(() =>
      this.client.ask('POST', '/networks/create', {
        body: { Name: name, CheckDuplicate: true },
        accepts: [409],
      }),
    );
    return name;
  }

  async volume(): Promise<{ name: string; path: string }> {
    const name = this.name();
    this.onEnd(() => this.remove(`/volumes/${name}`));
    const made = (): Promise<{ Mountpoint: string }> =>
      this.client.json('POST', '/volumes/create', { body: { Name: name } });
    return { name, path: (await this.again(made)).Mountpoint };
  }

  start(id: string): Promise<void> {
    return this.post(`/containers/${id}/start`, id, undefined, [304]);
  }

  /** Something that may be asked twice. */
  async post(path: string, id: string, body?: unknown, accepts: readonly number[] = []): Promise<void> {
    await this.again(() => this.client.ask('POST', path, { body, accepts, on: [id] }));
  }

  /** The code that `wait` tells. */
  async exitCode(id: string): Promise<number> {
    const waited = await this.again(() =>
      this.client.json<{ StatusCode: number }>('POST', `/containers/${id}/wait`, { on: [id] }),
    );
    return waited.StatusCode;
  }

  async state(id: string): Promise<State> {
    const seen = (): Promise<{ State: State }> => this.client.json('GET', `/containers/${id}/json`);
    return (await this.again(seen)).State;
  }

  /** What is in the log. Without `follow` all of it: asked again where the daemon's end has cut the answer off. */
  logs(id: string, query = ''): Promise<Output> {
    return this.again(async () => {
      const since = performance.now();
      const said = await this.client.output(`/containers/${id}/logs?stdout=1&stderr=1${query}`, [id]);
      if (said.isWhole || query.includes('follow')) return said;
      throw this.client.explained(`logs of ${id}`, new Error('the answer was cut off'), since, []);
    });
  }

  /** Resolves when it has said so many lines, or does not run. */
  async until(id: string, lines: number): Promise<void> {
    for (;;) {
      const { stdout } = await this.logs(id);
      if (stdout.split('\n').length > lines || (await this.state(id)).Status !== 'running') return;
      await pause(pollMs);
    }
  }

  /** What a further process says, with its code. Throws Interrupted when its output may be cut. */
  async exec(id: string, command: readonly string[]): Promise<Output & { code: number | null }> {
    const since = performance.now();
    const created = await this.client.json<{ Id: string }>('POST', `/containers/${id}/exec`, {
      body: { Cmd: command, AttachStdout: true, AttachStderr: true },
      on: [id],
    });
    const { output } = await this.client.hijack(`/exec/${created.Id}/start`, { Detach: false, Tty: false }, [
      id,
    ]);
    const said = await output;
    const { ledger } = this.client;
    if (ledger.wasAway(since)) throw new Interrupted('exec');
    if (ledger.wasKilled(id)) throw new Disturbed('exec');
    const { ExitCode } = await this.client.json<{ ExitCode: number | null }>(
      'GET',
      `/exec/${created.Id}/json`,
    );
    return { ...said, code: ExitCode };
  }

  /** Repeats what may be asked twice, when the daemon was killed meanwhile. */
  async again<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        await pause(awayMs);
      }
    }
  }

  /** Whether the code is what the script ends with; that of a container whose VM was killed is known, too. */
  isOwnEnd(id: string, code: number, wanted: number): boolean {
    if (code === wanted) return true;
    if (code !== killedCode || !this.client.ledger.wasKilled(id))
      this.fault(`${id} exits with ${code}, not ${wanted}`);
    return false;
  }

  /** `whole`: nothing may be missing at the end. */
  compare(what: string, said: string, wanted: readonly string[], whole: boolean): void {
    const text = wanted.map((line) => `${line}\n`).join('');
    if (whole ? said === text : text.startsWith(said)) return;
    const lines = said.split('\n');
    const first = lines.findIndex((line, index) => line !== wanted[index]);
    this.fault(
      `${what}: ${lines.length - 1} lines instead of ${wanted.length}; line ${first + 1} is ` +
        `${JSON.stringify(lines[first])}, not ${JSON.stringify(wanted[first])}`,
    );
  }

  onEnd(cleanUp: () => Promise<void>): void {
    this.#cleanUps.push(cleanUp);
  }

  /** Also of what was disturbed: nothing may stand in the way of a removal. */
  async remove(path: string): Promise<void> {
    await this.again(() => this.client.ask('DELETE', path, { accepts: [404] }));
  }

  async end(): Promise<void> {
    for (const cleanUp of this.#cleanUps.splice(0).reverse()) await cleanUp();
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
