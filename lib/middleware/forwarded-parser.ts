/** The Forwarded field, strictly by RFC 7239 sections 4 and 6, and the nodes of X-Forwarded-For. */
import { normalizeAddress } from './proxy-list.js';

/** One hop's word. */
export interface ForwardedElement {
  /** By lower-case name; of a name that is there twice the whole element is malformed. */
  readonly parameters: ReadonlyMap<string, string>;
  /** As it was sent, without blanks around it. */
  readonly text: string;
}

/** Who made a request, as a proxy saw it. */
export interface ForwardedNode {
  /** `undefined` where the proxy does not know, or does not tell: `unknown`, `_hidden`. */
  readonly address: string | undefined;
  /** 0 where there is none, or it is obfuscated. */
  readonly port: number;
}

/** `token` of RFC 9110 section 5.6.2, at the place where the search is. */
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;

/** `quoted-string` of RFC 9110 section 5.6.4; a server's headers have no other bytes than these. */
const QUOTED = /"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"/y;

/** `obfnode` and `obfport` of RFC 7239 section 6. */
const OBFUSCATED = /^_[A-Za-z0-9._-]+$/;

const PORT_MAX = 65_535;

/**
 * The elements of one line of a Forwarded field. Where the line is malformed, those at its end that stand
 * for themselves: a client's nonsense must not take away what the proxy has written behind it.
 *
 * @returns `complete`: whether that is all of the line.
 */
export function parseForwarded(line: string): {
  readonly elements: readonly ForwardedElement[];
  readonly complete: boolean;
} {
  const elements = parseElements(line);
  if (elements !== undefined) return { elements, complete: true };
  const tail: ForwardedElement[] = [];
  for (const piece of line.split(',').reverse()) {
    const [element, ...others] = parseElements(piece) ?? [];
    if ((element as ForwardedElement | undefined) === undefined || others.length > 0) break;
    tail.unshift(element);
  }
  return { elements: tail, complete: false };
}

/** `1#forwarded-element`; empty members of the list are skipped (RFC 9110 section 5.6.1.2). */
function parseElements(line: string): ForwardedElement[] | undefined {
  const elements: ForwardedElement[] = [];
  let at = 0;
  for (;;) {
    at = skipBlanks(line, at);
    if (line[at] === ',') {
      at++;
      continue;
    }
    const start = at;
    const parameters = new Map<string, string>();
    while (at < line.length && line[at] !== ',') {
      if (line[at] === ';') {
        at++;
        continue;
      }
      const pair = parsePair(line, at);
      if (pair === undefined || parameters.has(pair.name)) return undefined;
      parameters.set(pair.name, pair.value);
      at = pair.end;
      const end = skipBlanks(line, at);
      if (end === line.length || line[end] === ',') at = end;
      else if (line[at] !== ';') return undefined;
    }
    if (parameters.size > 0) elements.push({ parameters, text: line.slice(start, at).trim() });
    else if (start !== at) return undefined;
    if (at === line.length) return elements;
    at++;
  }
}

/** `token "=" value`: no blanks around the equals sign. */
function parsePair(
  line: string,
  at: number,
): { readonly name: string; readonly value: string; readonly end: number } | undefined {
  const name = matchAt(TOKEN, line, at);
  if (name === undefined || line[at + name.length] !== '=') return undefined;
  const start = at + name.length + 1;
  const token = matchAt(TOKEN, line, start);
  if (token !== undefined) {
    return { name: name.toLowerCase(), value: token, end: start + token.length };
  }
  const quoted = matchAt(QUOTED, line, start);
  if (quoted === undefined) return undefined;
  const value = quoted.slice(1, -1).replace(/\\([^])/g, '$1');
  return { name: name.toLowerCase(), value, end: start + quoted.length };
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function skipBlanks(text: string, at: number): number {
  while (text[at] === ' ' || text[at] === '\t') at++;
  return at;
}

/**
 * `node` of RFC 7239 section 6: an IPv4 address, an IPv6 address in brackets, `unknown` or an obfuscated
 * identifier; perhaps a port, which may be obfuscated too. `undefined` for anything else.
 */
export function parseNode(text: string): ForwardedNode | undefined {
  const match = /^(\[[^\]]*\]|[^:[\]]+)(?::([^:]+))?$/.exec(text);
  if (match === null) return undefined;
  const [, name, portText] = match as unknown as [string, string, string | undefined];
  const port = parsePort(portText);
  if (port === undefined) return undefined;
  if (name.startsWith('[')) {
    const inner = name.slice(1, -1);
    const address = inner.includes(':') ? normalizeAddress(inner) : undefined;
    return address === undefined ? undefined : { address, port };
  }
  if (name.toLowerCase() === 'unknown' || OBFUSCATED.test(name)) {
    return { address: undefined, port };
  }
  const address = normalizeAddress(name);
  return address === undefined ? undefined : { address, port };
}

function parsePort(text: string | undefined): number | undefined {
  if (text === undefined || OBFUSCATED.test(text)) return 0;
  if (!/^[0-9]{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= PORT_MAX ? port : undefined;
}

/**
 * A member of X-Forwarded-For: an address, perhaps with a port; an IPv6 address may stand without brackets
 * then without a port. `undefined` for anything else.
 */
export function parseForwardedFor(
  text: string,
): { readonly address: string; readonly port: number } | undefined {
  const bare = normalizeAddress(text);
  if (bare !== undefined) return { address: bare, port: 0 };
  const node = parseNode(text);
  return node?.address === undefined ? undefined : { address: node.address, port: node.port };
}

/** An address and a port as one text, as X-Original-For has it. */
export function formatNode(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}:${String(port)}`;
}
