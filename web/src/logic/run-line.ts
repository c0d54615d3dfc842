// A container by a form: the `docker run` line that makes it, and the request.

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
