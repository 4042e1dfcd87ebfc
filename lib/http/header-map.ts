/**
 * A HeaderDictionary in plain arrays: what an answer's head has in lines is few, and a walk over a few
 * lower-case names costs less than a Map. Names and values are checked at assignment, so that nothing
 * that would split a message (RFC 9112 section 11.1) can ever reach the wire.
 */
import type { HeaderDictionary } from '../features/header-dictionary.js';
import { codedTypeError, contextDisposed, invalidArgument, responseStarted } from './errors.js';

/** `token` of RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** What a value may not have: anything but visible ASCII, space and TAB. Source: Kestrel's default. */
const NOT_IN_VALUE = /[^\t\x20-\x7e]/;

const SPACE = 0x20;

/** At most this much of what somebody gave is told in a message (characters). Source: Kestrel quotes 128. */
const QUOTED_MAX = 128;

/** How many names the cache below keeps; what a program uses is far less, what a proxy passes may be more. */
const CACHED_NAMES_MAX = 512;

/** Valid names as spelled, with their lower-case form. A name in here needs no second check. */
const cachedNames = new Map<string, string>();

/**
 * The lower-case form of a field name.
 *
 * @returns `undefined` where it is no token.
 */
function lowerCaseName(name: string): string | undefined {
  const cached = cachedNames.get(name);
  if (cached !== undefined) return cached;
  if (typeof name !== 'string' || !TOKEN.test(name)) return undefined;
  const lower = name.toLowerCase();
  if (cachedNames.size < CACHED_NAMES_MAX) cachedNames.set(name, lower);
  return lower;
}

function requireName(name: string): string {
  const lower = lowerCaseName(name);
  if (lower !== undefined) return lower;
  if (typeof name !== 'string') throw invalidArgument('A header name', 'a string', name);
  throw codedTypeError(
    'WH_ERR_INVALID_HEADER_NAME',
    `The header name ${quote(name)} is not a token (RFC 9110 section 5.6.2)`,
  );
}

/**
 * Checks and normalises a field value: a number becomes text, blanks around it go.
 *
 * @param name - The field's name, for the message.
 * @throws TypeError WH_ERR_INVALID_HEADER_VALUE where it has anything but visible ASCII, space and TAB.
 */
export function normalizeHeaderValue(name: string, value: string | number): string {
  let text: string;
  if (typeof value === 'string') text = value;
  else if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  else throw invalidArgument(`The value of header ${name}`, 'a string or a finite number', value);
  if (NOT_IN_VALUE.test(text)) {
    throw codedTypeError(
      'WH_ERR_INVALID_HEADER_VALUE',
      `The value of header ${name} has a character that is not visible ASCII, space or TAB: ${quote(text)}`,
    );
  }
  const last = text.length - 1;
  if (last >= 0 && (text.charCodeAt(0) <= SPACE || text.charCodeAt(last) <= SPACE))
    return text.trim();
  return text;
}

function headerStarted(name: string): Error {
  return responseStarted(`Header ${name}`);
}

function quote(text: string): string {
  return JSON.stringify(text.length > QUOTED_MAX ? `${text.slice(0, QUOTED_MAX)}…` : text);
}

/** One field line. */
export interface HeaderLine {
  /** The name as it was spelled. */
  readonly name: string;
  /** The name to compare by. */
  readonly lower: string;
  readonly value: string;
}

/**
 * Stands in for the lines of a request that is over: whoever looks at its first line is told so, which
 * costs those of a live one nothing.
 */
const DISPOSED_LINES: HeaderLine[] = [];
Object.defineProperty(DISPOSED_LINES, 0, {
  get() {
    throw contextDisposed();
  },
});

/** The header fields of a message, in the order in which they were set. */
export class HeaderMap implements HeaderDictionary {
  private lines: HeaderLine[] = [];
  private serialized: string | undefined = '';
  /** Makes the error of a change; where it is there, there can be none. */
  private frozen: ((name: string) => Error) | undefined = undefined;

  /**
   * Takes field lines as a peer sent them: their values are not checked, because what came in is judged
   * by the parser that read it.
   *
   * @throws TypeError WH_ERR_INVALID_HEADER_NAME where a name is no token.
   */
  static fromLines(lines: Iterable<readonly [name: string, value: string]>): HeaderMap {
    const map = new HeaderMap();
    for (const [name, value] of lines) map.add({ name, lower: requireName(name), value });
    return map;
  }

  get size(): number {
    if (this.lines === DISPOSED_LINES) throw contextDisposed();
    return this.lines.length;
  }

  /** @internal The lines, for servers that compose a head of them. */
  get _lines(): readonly HeaderLine[] {
    return this.lines;
  }

  get(name: string): string | undefined {
    const lower = lowerCaseName(name);
    let value: string | undefined;
    for (const line of this.lines) {
      if (line.lower !== lower) continue;
      if (value === undefined) value = line.value;
      else value += (lower === 'cookie' ? '; ' : ', ') + line.value;
    }
    return value;
  }

  getAll(name: string): readonly string[] {
    const lower = lowerCaseName(name);
    return this.lines.filter((line) => line.lower === lower).map((line) => line.value);
  }

  has(name: string): boolean {
    return this.find(lowerCaseName(name), 0) >= 0;
  }

  set(name: string, value: string | number | readonly string[]): void {
    const lower = requireName(name);
    if (typeof value === 'object') {
      this.setLines(name, lower, value);
      return;
    }
    const line = { name, lower, value: normalizeHeaderValue(name, value) };
    this.ensureOpen(name);
    const first = this.find(lower, 0);
    if (first < 0) {
      this.add(line);
      return;
    }
    this.serialized = undefined;
    this.lines[first] = line;
    this.removeFrom(first + 1, lower);
  }

  append(name: string, value: string | number): void {
    const line = { name, lower: requireName(name), value: normalizeHeaderValue(name, value) };
    this.ensureOpen(name);
    this.add(line);
  }

  delete(name: string): boolean {
    this.ensureOpen(name);
    return this.removeFrom(0, lowerCaseName(name));
  }

  /** Each field line by itself; changes made meanwhile are not seen. */
  [Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    return this.lines.map((line) => [line.name, line.value] as const).values();
  }

  /**
   * The field section as HTTP/1.1 writes it: `Name: value` and CRLF for each line, without the empty line
   * at the end; pure ASCII unless it came by {@link fromLines}. Kept until the next change.
   *
   * @internal for servers
   */
  serialize(): string {
    if (this.serialized !== undefined) return this.serialized;
    let text = '';
    for (const line of this.lines) text += `${line.name}: ${line.value}\r\n`;
    return (this.serialized = text);
  }

  /**
   * From now on changes throw WH_ERR_RESPONSE_STARTED, or what `error` makes of the field's name.
   *
   * @internal for servers, at the moment when the head is handed over
   */
  freeze(error: (name: string) => Error = headerStarted): void {
    this.frozen = error;
  }

  /** @internal From now on every use throws WH_ERR_CONTEXT_DISPOSED. */
  _dispose(): void {
    this.lines = DISPOSED_LINES;
    this.serialized = undefined;
  }

  private setLines(name: string, lower: string, values: readonly string[]): void {
    if (!Array.isArray(values)) {
      throw invalidArgument(
        `The value of header ${name}`,
        'a string, a number or an array',
        values,
      );
    }
    const texts = values.map((value: string) => normalizeHeaderValue(name, value));
    this.ensureOpen(name);
    this.removeFrom(0, lower);
    for (const value of texts) this.add({ name, lower, value });
  }

  private add(line: HeaderLine): void {
    this.serialized = undefined;
    this.lines.push(line);
  }

  private find(lower: string | undefined, start: number): number {
    const lines = this.lines;
    for (let i = start; i < lines.length; i++) {
      if (lines[i].lower === lower) return i;
    }
    return -1;
  }

  private removeFrom(start: number, lower: string | undefined): boolean {
    let found = false;
    for (let i = this.find(lower, start); i >= 0; i = this.find(lower, i)) {
      this.lines.splice(i, 1);
      found = true;
    }
    if (found) this.serialized = undefined;
    return found;
  }

  private ensureOpen(name: string): void {
    if (this.lines === DISPOSED_LINES) throw contextDisposed();
    if (this.frozen !== undefined) throw this.frozen(name);
  }
}
