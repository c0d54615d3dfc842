// Templates of other sizes than the usual one. The first VM of a size is booted; a size that is asked for again gets a
// template in the background, so that the next one is a clone. The one that was of no use for longest makes room.

import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { MachineSpec } from '../qemu/command-line';
import type { LaunchSettings } from '../qemu/launch';
import {
  findTemplate,
  makeTemplate,
  removeTemplateDir,
  templateKey,
  templateSize,
  type Template,
  type TemplateSource,
} from '../qemu/template';
import type { VmResources } from '../contract/vm';

/** After this many boots of a size: most sizes are wanted once. */
const bootsBeforeTemplate = 2;
const vmId = 'template-sized';
const keyPattern = /^[0-9a-f]{24}$/;

export interface SizedTemplatesParts {
  settings: LaunchSettings;
  source: TemplateSource;
  /** Of the usual template. */
  key: string;
  /** Of the usual size. */
  machine: MachineSpec;
  /** Most there are, beside the usual one. 0: none. */
  limit: number;
  /** Of the VM that is booted and saved; there is one at a time. */
  slot: number;
}

interface Entry {
  key: string;
  resources: VmResources;
}

export class SizedTemplates {
  readonly #parts: SizedTemplatesParts;
  readonly #stopping = new AbortController();
  /** The one that was used last is the last one. */
  readonly #entries = new Map<string, Entry>();
  readonly #boots = new Map<string, number>();
  #making: Promise<void> | undefined;

  constructor(parts: SizedTemplatesParts) {
    this.#parts = parts;
  }

  list(): VmResources[] {
    return [...this.#entries.values()].map(({ resources }) => resources);
  }

  /** Finds those that an earlier daemon has made. Removes what is half-made, or of another QEMU or guest, or too many. */
  async recover(): Promise<void> {
    const { source, limit, key: usual } = this.#parts;
    const found: (Entry & { usedMs: number })[] = [];
    const names = await readdir(source.templatesDir);
    for (const key of names.filter((name) => keyPattern.test(name) && name !== usual)) {
      const size = await templateSize(source, key);
      const fits = size !== undefined && (await this.#keyOf(size.resources)) === key;
      if (fits) found.push({ key, ...size });
      else await removeTemplateDir(source, key);
    }
    found.sort((a, b) => b.usedMs - a.usedMs);
    for (const { key } of found.splice(limit)) await removeTemplateDir(source, key);
    for (const { key, resources } of found.reverse()) {
      this.#entries.set(sizeName(resources), { key, resources });
    }
  }

  /** Undefined: there is none of this size. */
  async find(resources: VmResources): Promise<Template | undefined> {
    const { source } = this.#parts;
    const entry = this.#entries.get(sizeName(resources));
    if (entry === undefined) return undefined;
    const template = await findTemplate(source, entry.key);
    this.#entries.delete(sizeName(resources));
    if (template === undefined) return undefined;
    this.#entries.set(sizeName(resources), entry);
    // Which one was used last is to be known to the next daemon too.
    const now = new Date();
    await utimes(join(source.templatesDir, entry.key, 'state'), now, now);
    return template;
  }

  /** A VM of this size had to be booted. */
  booted(resources: VmResources): void {
    const name = sizeName(resources);
    const boots = (this.#boots.get(name) ?? 0) + 1;
    this.#boots.set(name, boots);
    if (boots < bootsBeforeTemplate || this.#parts.limit === 0) return;
    if (this.#making !== undefined || this.#entries.has(name)) return;
    this.#boots.delete(name);
    this.#making = this.#make(resources)
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return;
        log.warn('a template could not be made', { size: name, error: errorMessage(error) });
      })
      .finally(() => (this.#making = undefined));
  }

  /** Gives up what is under way, and waits for that. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#making;
  }

  async #make(resources: VmResources): Promise<void> {
    const { settings, source, machine, slot, limit } = this.#parts;
    const key = await this.#keyOf(resources);
    try {
      await makeTemplate(
        settings,
        source,
        key,
        { ...machine, ...resources },
        {
          id: vmId,
          slot,
          signal: this.#stopping.signal,
        },
      );
    } catch (error) {
      await removeTemplateDir(source, key);
      throw error;
    }
    this.#entries.set(sizeName(resources), { key, resources });
    for (const [name, old] of [...this.#entries].slice(0, -limit)) {
      this.#entries.delete(name);
      // VMs that were cloned of it have its files open, or mapped.
      await removeTemplateDir(source, old.key);
    }
  }

  #keyOf(resources: VmResources): Promise<string> {
    const { machine, settings, source } = this.#parts;
    return templateKey({ ...machine, ...resources }, settings, source);
  }
}

function sizeName({ memoryBytes, cpus }: VmResources): string {
  return `${memoryBytes / 2 ** 20} MiB, ${cpus} CPUs`;
}
