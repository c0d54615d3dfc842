// Who may use the page: a token that is good for one exchange, and the sessions that came of it. Tokens and cookies are 256 bits; of
// sessions only digests are kept, in a file, so that a browser goes on after a restart of the daemon.
//
// Cookies know no ports: whatever else serves pages on this address, a container's published port for one, would be sent ours. So
// a session has an area, a part of its paths that nobody can guess, and the cookie is sent there alone.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errorMessage, systemErrorCode } from '../errors';
import { log } from '../log';

const sessionsKept = 32;
const sessionDays = 30;
const cookieName = 'caisson';
const areaPattern = /^[\w-]{22}$/;

const sessionSchema = z.array(
  z.object({ area: z.string().regex(areaPattern), digest: z.string(), expires: z.number() }),
);
type Session = z.infer<typeof sessionSchema>[number];

export interface NewSession {
  area: string;
  /** Of `Set-Cookie`. */
  cookie: string;
}

export class Sessions {
  readonly #directory: string;
  readonly #outlive: boolean;
  readonly #now: () => number;
  #sessions: Session[] = [];
  #token = '';
  #origin = '';
  #writing: Promise<void> = Promise.resolve();

  private constructor(directory: string, outlive: boolean, now: () => number) {
    this.#directory = directory;
    this.#outlive = outlive;
    this.#now = now;
  }

  /**
   * `directory`: of root's alone, or one that nobody lists. A file that can't be read is as good as none. `outlive`: sessions are good for
   * the next daemon, too. Only where nobody else can take the port meanwhile: whoever does is sent the cookies of pages that are open.
   */
  static async open(directory: string, outlive: boolean, now: () => number = Date.now): Promise<Sessions> {
    const sessions = new Sessions(directory, outlive, now);
    // what an earlier daemon has left, perhaps on another port
    if (!outlive) {
      await rm(sessions.#file('web-sessions.json'), { force: true });
      return sessions;
    }
    try {
      const text = await readFile(sessions.#file('web-sessions.json'), 'utf8');
      sessions.#sessions = sessionSchema.parse(JSON.parse(text));
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') {
        log.warn('the sessions of the web page are lost', { error: errorMessage(error) });
      }
    }
    return sessions;
  }

  /** Where the address of the page with its token lies, for root alone. */
  get urlFile(): string {
    return this.#file('web-url');
  }

  /** From here on there is a token; `origin` is the page's. */
  async offer(origin: string): Promise<void> {
    this.#origin = origin;
    await this.#renewToken();
  }

  /** What the page's address is, with the token that is good now. */
  get url(): string {
    return `${this.#origin}/?token=${this.#token}`;
  }

  /** Undefined for a token that is not the one that is good now; that one is used up then. */
  async exchange(token: string): Promise<NewSession | undefined> {
    if (this.#token === '' || !isEqual(digestOf(token), digestOf(this.#token))) return undefined;
    this.#token = ''; // at once: a second exchange may be on its way
    const area = randomBytes(16).toString('base64url');
    const secret = randomBytes(32).toString('base64url');
    const maxAge = sessionDays * 24 * 3600;
    this.#sessions.push({ area, digest: digestOf(secret), expires: this.#now() + maxAge * 1000 });
    this.#sessions = this.#live().slice(-sessionsKept);
    await this.#write();
    await this.#renewToken();
    return {
      area,
      cookie: `${cookieName}=${secret}; Path=/api/${area}/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict`,
    };
  }

  /** True if one of the request's cookies is the area's. */
  admits(area: string, cookies: string | undefined): boolean {
    const session = this.#live().find((candidate) => candidate.area === area);
    if (session === undefined) return false;
    return secretsIn(cookies ?? '').some((secret) => isEqual(digestOf(secret), session.digest));
  }

  /** `Set-Cookie` that takes the cookie away. */
  async end(area: string): Promise<string> {
    this.#sessions = this.#live().filter((session) => session.area !== area);
    await this.#write();
    return `${cookieName}=; Path=/api/${area}/; Max-Age=0; HttpOnly; SameSite=Strict`;
  }

  /** The token leads nowhere any more. */
  async close(): Promise<void> {
    this.#token = '';
    await this.#writing;
    await rm(this.urlFile, { force: true });
  }

  #live(): Session[] {
    return this.#sessions.filter(({ expires }) => expires > this.#now());
  }

  async #renewToken(): Promise<void> {
    this.#token = randomBytes(32).toString('base64url');
    await this.#replace('web-url', `${this.url}\n`);
  }

  async #write(): Promise<void> {
    if (this.#outlive) await this.#replace('web-sessions.json', JSON.stringify(this.#sessions));
  }

  /** One after the other; a file is there whole or as it was. */
  #replace(name: string, text: string): Promise<void> {
    const path = this.#file(name);
    const written = this.#writing.then(async () => {
      await writeFile(`${path}.new`, text, { mode: 0o600 });
      await rename(`${path}.new`, path);
    });
    this.#writing = written.catch(() => undefined);
    return written;
  }

  #file(name: string): string {
    return join(this.#directory, name);
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function isEqual(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** All that have our name: others on this address may have set some, too. */
function secretsIn(cookies: string): string[] {
  return cookies
    .split(';')
    .map((cookie) => cookie.trim())
    .filter((cookie) => cookie.startsWith(`${cookieName}=`))
    .map((cookie) => cookie.slice(cookieName.length + 1))
    .slice(0, 16);
}
