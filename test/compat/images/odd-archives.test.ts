// Archives that are hostile, broken or only odd, by the ways in which they come: what is refused, in which words, and the
// tree that is made of the rest.

import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

import { sendHttp } from '../../support/wire/http-client';
import type { OddTars } from '../../support/images/odd-tars';
import { makeTar, type TarItem } from '../../support/images/tar-maker';
import { defineCase } from '../harness/cases';

const tarType = { 'Content-Type': 'application/x-tar' };

async function post(host: string, path: string, body: Buffer): Promise<{ status: number; body: string }> {
  const request = { method: 'POST', path: `/v1.41${path}`, headers: tarType, body, timeoutMs: 300_000 };
  const reply = await sendHttp(host, request);
  return { status: reply.status, body: reply.body };
}

async function remove(host: string, name: string): Promise<void> {
  await sendHttp(host, { method: 'DELETE', path: `/v1.41/images/${name}?force=1` });
}

interface Sent {
  archive: Buffer;
  /** `repository:tag` of the case's own. */
  tag: string;
}

/** One archive after the other, each told by its name; what carries the case's tag is gone before the next comes. */
function archiveCase(
  group: string,
  title: string,
  archives: (tag: string) => OddTars,
  send: (host: string, sent: Sent) => Promise<unknown>,
): void {
  const digest = createHash('sha256');
  for (const [name, archive] of Object.entries(archives('digest:1'))) digest.update(name).update(archive);
  defineCase(group, title, digest.digest('hex'), async (host, caseName) => {
    const tag = `${caseName}:1`;
    const transcript: { label: string; value: unknown }[] = [];
    for (const [name, archive] of Object.entries(archives(tag)))
      transcript.push({ label: name, value: await send(host, { archive, tag }) });
    return transcript;
  });
}

// ---- docker load

const layer = makeTar([{ name: 'f', data: 'x' }]);
const digestOf = (data: Buffer | string): string =>
  `sha256:${createHash('sha256').update(data).digest('hex')}`;
const rootfs = { type: 'layers', diff_ids: [digestOf(layer)] };

interface ImageParts {
  manifest?: unknown;
  config?: unknown;
  layers?: readonly TarItem[];
  more?: readonly TarItem[];
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** A docker-archive, right but for what is told. */
function imageArchive({ manifest = {}, config = {}, layers, more = [] }: ImageParts, tag: string): Buffer {
  const item = { Config: 'c.json', RepoTags: [tag], Layers: ['l.tar'] };
  const isMembers = typeof manifest === 'object' && manifest !== null && !Array.isArray(manifest);
  const whole = isMembers ? [{ ...item, ...manifest }] : manifest;
  const plain = { architecture: 'amd64', os: 'linux', config: {}, rootfs };
  return makeTar([
    { name: 'manifest.json', data: text(whole) },
    { name: 'c.json', data: typeof config === 'object' ? text({ ...plain, ...config }) : text(config) },
    ...(layers ?? [{ name: 'l.tar', data: layer }]),
    ...more,
  ]);
}

const directory = { type: '5', mode: 0o755 };
function images(tag: string): OddTars {
  const image = (parts: ImageParts): Buffer => imageArchive(parts, tag);
  return {
    good: image({}),
    'with a name of none': image({ manifest: { RepoTags: null } }),
    'nothing in it': makeTar([]),
    'no manifest': makeTar([{ name: 'x', data: 'y' }]),
    'manifest: an object': image({ manifest: '{}' }),
    'manifest: an empty list': image({ manifest: [] }),
    'manifest: null': image({ manifest: 'null' }),
    'manifest: an empty file': image({ manifest: '' }),
    'manifest: a word': image({ manifest: 'hello' }),
    'manifest: cut': image({ manifest: '[{"Config":' }),
    'manifest: a number in the list': image({ manifest: [1] }),
    'manifest: an empty object in the list': image({ manifest: '[{}]' }),
    'manifest: null in the list': image({ manifest: '[null]' }),
    'manifest: something behind it': image({ manifest: '[{"Config":"none"}] more' }),
    'manifest: a directory': makeTar([{ name: 'manifest.json', ...directory }]),
    'Config missing': image({ manifest: { Config: 'none.json' } }),
    'Config an absolute path': image({ manifest: { Config: '/etc/passwd' } }),
    'Config a number': image({ manifest: { Config: 5 } }),
    'Config empty': image({ manifest: { Config: '' } }),
    'configuration: a word': image({ config: 'nope' }),
    'configuration: a list': image({ config: '[]' }),
    'configuration: an empty object': image({ config: '{}' }),
    'configuration: null': image({ config: 'null' }),
    'configuration: nothing': image({ config: '' }),
    'configuration: no rootfs': image({ config: { rootfs: null } }),
    'configuration: another system': image({ config: { os: 'windows' } }),
    'Layers missing': image({ manifest: { Layers: ['none.tar'] } }),
    'Layers an absolute path': image({ manifest: { Layers: ['/etc/passwd'] } }),
    'Layers a number': image({ manifest: { Layers: [1] } }),
    'Layers a text': image({ manifest: { Layers: 'l.tar' } }),
    'Layers null': image({ manifest: { Layers: null } }),
    'Layers empty': image({ manifest: { Layers: [] } }),
    'Layers with an empty name': image({ manifest: { Layers: [''] } }),
    'Layers one too many': image({ manifest: { Layers: ['l.tar', 'l.tar'] } }),
    'Layers by a name with dots': image({ manifest: { Layers: ['a/../l.tar'] } }),
    'layer a directory': image({ layers: [{ name: 'l.tar', ...directory }] }),
    'layer of another digest': image({ layers: [{ name: 'l.tar', data: makeTar([{ name: 'g' }]) }] }),
    'layer compressed': image({ layers: [{ name: 'l.tar', data: gzipSync(layer) }] }),
    'layer a link': image({
      layers: [
        { name: 'real', data: layer },
        { name: 'l.tar', type: '2', link: 'real' },
      ],
    }),
    'layer an absolute link': image({
      layers: [
        { name: 'real', data: layer },
        { name: 'l.tar', type: '2', link: '/real' },
      ],
    }),
    'layer a link that leads out': image({
      layers: [{ name: 'l.tar', type: '2', link: '../../../../../../etc/none-such' }],
    }),
    'layer a link to itself': image({ layers: [{ name: 'l.tar', type: '2', link: 'l.tar' }] }),
    'layer a hard link': image({
      layers: [
        { name: 'real', data: layer },
        { name: 'l.tar', type: '1', link: 'real' },
      ],
    }),
    'layer a hard link to nothing': image({ layers: [{ name: 'l.tar', type: '1', link: 'none' }] }),
    'layer a hard link that leads out': image({
      layers: [{ name: 'l.tar', type: '1', link: '../../none-such' }],
    }),
    'layer through a link to a directory': image({
      manifest: { Layers: ['s/l.tar'] },
      layers: [
        { name: 'd', ...directory },
        { name: 'd/l.tar', data: layer },
        { name: 's', type: '2', link: 'd' },
      ],
    }),
    'name in capitals': image({ manifest: { RepoTags: ['UPPER'] } }),
    'name without a tag': image({ manifest: { RepoTags: [tag.split(':')[0]] } }),
    'name with a digest': image({ manifest: { RepoTags: [`a@${digestOf('')}`] } }),
    'name that is empty': image({ manifest: { RepoTags: [''] } }),
    'name that is a number': image({ manifest: { RepoTags: [1] } }),
    'a member that leads out': image({ more: [{ name: '../../../evil', data: 'x' }] }),
    'a member with an absolute name': image({ more: [{ name: '/evil', data: 'x' }] }),
    'a fifo besides': image({ more: [{ name: 'p', type: '6' }] }),
    'a configuration twice': image({ more: [{ name: 'c.json', data: '{}' }] }),
    'cut in its layer': image({}).subarray(0, 3300),
  };
}

archiveCase('archives', 'load of odd ones', images, async (host, { archive, tag }) => {
  const reply = await post(host, '/images/load?quiet=1', archive);
  // one without a name is told by its id
  for (const name of [tag, ...(/sha256:[0-9a-f]{64}/.exec(reply.body) ?? [])]) await remove(host, name);
  return reply;
});
