// The `docker run` line that makes a container, from a form or from what inspect says of one.

import type { ContainerInspect } from '../../../src/docker/types';

export interface RunForm {
  image: string;
  name: string;
  /** As a shell would take it apart. */
  command: string;
  /** `8080:80`, `127.0.0.1::53/udp` */
  ports: string[];
  /** `data:/data:ro` */
  volumes: string[];
  /** `NAME=value` */
  environment: string[];
  network: string;
  /** `512m`; empty: no limit. */
  memory: string;
  cpus: string;
  restart: string;
  interactive: boolean;
  remove: boolean;
}

export const emptyForm: RunForm = {
  image: '',
  name: '',
  command: '',
  ports: [],
  volumes: [],
  environment: [],
  network: '',
  memory: '',
  cpus: '',
  restart: 'no',
  interactive: false,
  remove: false,
};

/** In single quotes where a shell would else see more than a word. */
export function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Words of a command as a shell takes them apart, without variables and patterns. Throws for a quote without an end. */
export function words(text: string): string[] {
  const found: string[] = [];
  let word = '';
  let inWord = false;
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (quote === "'") {
      if (character === "'") quote = '';
      else word += character;
    } else if (character === '\\' && at + 1 < text.length) {
      const next = text.charAt(++at);
      word += quote === '"' && !'"\\$`'.includes(next) ? `\\${next}` : next;
      inWord = true;
    } else if (quote === '"') {
      if (character === '"') quote = '';
      else word += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      inWord = true;
    } else if (/\s/.test(character)) {
      if (inWord) found.push(word);
      word = '';
      inWord = false;
    } else {
      word += character;
      inWord = true;
    }
  }
  if (quote !== '') throw new Error(`a ${quote} has no end`);
  if (inWord) found.push(word);
  return found;
}

export function runLine(form: RunForm): string {
  const flags = ['docker run', form.interactive ? '-dit' : '-d'];
  const add = (flag: string, value: string): void => {
    if (value.trim() !== '') flags.push(`${flag} ${quoted(value.trim())}`);
  };
  if (form.remove) flags.push('--rm');
  add('--name', form.name);
  if (form.network !== '' && form.network !== 'default') add('--network', form.network);
  for (const port of form.ports) add('-p', port);
  for (const volume of form.volumes) add('-v', volume);
  for (const variable of form.environment) add('-e', variable);
  add('--memory', form.memory);
  add('--cpus', form.cpus);
  if (form.restart !== 'no') add('--restart', form.restart);
  flags.push(form.image.trim() === '' ? 'IMAGE' : quoted(form.image.trim()));
  try {
    flags.push(...words(form.command).map(quoted));
  } catch {
    flags.push(form.command);
  }
  return flags.join(' ');
}

/** Bytes; throws for what is no size. */
export function sizeOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i.exec(text.trim());
  if (match === null) throw new Error(`${text} is no size: write it like 512m or 2g`);
  return Math.floor(Number(match[1]) * 1024 ** ' kmgt'.indexOf((match[2] ?? '').toLowerCase() || ' '));
}

/** The create body of the form. Throws what is wrong with it. */
export function createBody(form: RunForm): object {
  if (form.image.trim() === '') throw new Error('an image is wanted');
  const exposed: Record<string, object> = {};
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const port of form.ports.map((text) => text.trim()).filter(Boolean)) {
    const match = /^(?:(?:(\[[\da-f:]+\]|[\d.]+):)?(\d*):)?(\d+)(?:\/(tcp|udp))?$/i.exec(port);
    if (match === null) throw new Error(`${port} is no port: write it like 8080:80`);
    const key = `${match[3] ?? ''}/${(match[4] ?? 'tcp').toLowerCase()}`;
    exposed[key] = {};
    const binding = { HostIp: (match[1] ?? '').replace(/[[\]]/g, ''), HostPort: match[2] ?? '' };
    bindings[key] = [...(bindings[key] ?? []), binding];
  }
  const cpus = form.cpus.trim() === '' ? 0 : Number(form.cpus);
  if (!(cpus >= 0)) throw new Error(`${form.cpus} is no number of CPUs`);
  const [restart = 'no', retries] = form.restart.split(':');
  const command = words(form.command);
  const filled = (texts: string[]): string[] => texts.map((text) => text.trim()).filter(Boolean);
  return {
    Image: form.image.trim(),
    ...(command.length === 0 ? {} : { Cmd: command }),
    Env: filled(form.environment),
    ExposedPorts: exposed,
    Tty: form.interactive,
    OpenStdin: form.interactive,
    HostConfig: {
      Binds: filled(form.volumes),
      PortBindings: bindings,
      NetworkMode: form.network === '' ? 'default' : form.network,
      RestartPolicy: { Name: restart, MaximumRetryCount: Number(retries ?? 0) },
      AutoRemove: form.remove,
      Memory: form.memory.trim() === '' ? 0 : sizeOf(form.memory),
      NanoCpus: Math.round(cpus * 1e9),
    },
  };
}

/** What the image has by itself is left out where it can be told. */
export function runLineOf(
  { Name, Config, HostConfig, Mounts }: ContainerInspect,
  image?: { Env?: readonly string[] | null; Cmd?: readonly string[] | null },
): string {
  const line = ['docker run', Config.Tty && Config.OpenStdin ? '-dit' : '-d'];
  const add = (flag: string, value: string): void => void line.push(`${flag} ${quoted(value)}`);
  add('--name', Name.replace(/^\//, ''));
  if (HostConfig.AutoRemove) line.push('--rm');
  if (HostConfig.Privileged) line.push('--privileged');
  const mode = HostConfig.NetworkMode;
  if (mode !== '' && mode !== 'default' && mode !== 'bridge') add('--network', mode);
  for (const [port, bindings] of Object.entries(HostConfig.PortBindings ?? {})) {
    for (const { HostIp = '', HostPort = '' } of bindings ?? []) {
      const ip = HostIp.includes(':') ? `[${HostIp}]` : HostIp;
      add('-p', `${ip === '' ? '' : `${ip}:`}${HostPort}:${port.replace(/\/tcp$/, '')}`);
    }
  }
  for (const bind of HostConfig.Binds ?? []) add('-v', bind);
  const binds = (HostConfig.Binds ?? []).map((bind) => bind.split(':')[1]);
  for (const mount of Mounts) {
    if (binds.includes(mount.Destination) || mount.Type === 'tmpfs') continue;
    const source = mount.Type === 'volume' ? (mount.Name ?? '') : mount.Source;
    add('-v', `${source}:${mount.Destination}${mount.RW ? '' : ':ro'}`);
  }
  const ofImage = new Set(image?.Env ?? []);
  for (const variable of Config.Env ?? []) if (!ofImage.has(variable)) add('-e', variable);
  if (HostConfig.Memory > 0) add('--memory', String(HostConfig.Memory));
  if (HostConfig.NanoCpus > 0) add('--cpus', String(HostConfig.NanoCpus / 1e9));
  const { Name: restart = '', MaximumRetryCount: retries = 0 } = HostConfig.RestartPolicy ?? {};
  if (restart !== '' && restart !== 'no') add('--restart', retries > 0 ? `${restart}:${retries}` : restart);
  line.push(quoted(Config.Image));
  const command = Config.Cmd ?? [];
  if (command.join('\0') !== (image?.Cmd ?? []).join('\0')) line.push(...command.map(quoted));
  return line.join(' ');
}
