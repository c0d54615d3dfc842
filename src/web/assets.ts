// The page's files, as they were built: read once, compressed once, few enough to be kept.

import { randomBytes } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { DaemonError, systemErrorCode } from '../errors';
import { pagePolicy } from './guard';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};
/** In index.html, for the nonce of each answer. */
const nonceMark = 'STYLE_NONCE';

type Coding = 'br' | 'gzip' | 'identity';

export class Assets {
  readonly #directory: string;
  readonly #names: ReadonlySet<string>;
  /** By coding and name. */
  readonly #bytes = new Map<string, Promise<Buffer>>();

  private constructor(directory: string, names: ReadonlySet<string>) {
    this.#directory = directory;
    this.#names = names;
  }

  /** Throws InvalidParameter where the page was not built. */
  static async open(directory: string): Promise<Assets> {
    try {
      const built = await readdir(join(directory, 'assets'));
      await readFile(join(directory, 'index.html'));
      const names = built.filter((name) => types[extname(name)] !== undefined);
      return new Assets(directory, new Set(names.map((name) => `assets/${name}`)));
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
      throw new DaemonError(
        'InvalidParameter',
        `--web: the page was not built (${directory}): npm run build`,
        {
          cause: error,
        },
      );
    }
  }

  /** Answers with the file of `path`, the page itself for `/`; throws NotFound. */
  async send(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (path === '/' || path === '/index.html') {
      await this.#sendPage(request, response);
      return;
    }
    const name = path.slice(1);
    if (!this.#names.has(name)) throw new DaemonError('NotFound', 'page not found');
    const coding = codingOf(request, name);
    const body = await this.#read(name, coding);
    write(request, response, body, {
      'Content-Type': types[extname(name)] ?? '',
      ...(coding === 'identity' ? {} : { 'Content-Encoding': coding }),
      Vary: 'Accept-Encoding',
      // the name has a digest of what is in it
      'Cache-Control': 'public, max-age=31536000, immutable',
    });
  }

  async #sendPage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const nonce = randomBytes(16).toString('base64');
    const text = (await this.#read('index.html', 'identity')).toString().replaceAll(nonceMark, nonce);
    write(request, response, Buffer.from(text), {
      'Content-Type': types['.html'] ?? '',
      'Content-Security-Policy': pagePolicy(nonce),
      'Cache-Control': 'no-store',
    });
  }

  #read(name: string, coding: Coding): Promise<Buffer> {
    const key = `${coding} ${name}`;
    const known = this.#bytes.get(key);
    if (known !== undefined) return known;
    const bytes = this.#make(name, coding);
    this.#bytes.set(key, bytes);
    bytes.catch(() => this.#bytes.delete(key));
    return bytes;
  }

  async #make(name: string, coding: Coding): Promise<Buffer> {
    if (coding === 'identity') return readFile(join(this.#directory, name));
    const plain = await this.#read(name, 'identity');
    if (coding === 'gzip') return promisify(gzip)(plain);
    return promisify(brotliCompress)(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } });
  }
}

function codingOf({ headers }: IncomingMessage, name: string): Coding {
  if (name.endsWith('.woff2')) return 'identity';
  const accepted = [headers['accept-encoding'] ?? ''].flat().join(',');
  return /\bbr\b/.test(accepted) ? 'br' : /\bgzip\b/.test(accepted) ? 'gzip' : 'identity';
}

function write(
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  headers: Record<string, string>,
): void {
  response.writeHead(200, { ...headers, 'Content-Length': body.length });
  response.end(request.method === 'HEAD' ? undefined : body);
}
