/** The request target (RFC 9112 section 3.2) on node:http, read as strictly as the core does. */
import { Buffer } from 'node:buffer';
import type { RefusalReason } from './refusals.js';

export interface Target {
  /** Decoded, without dot segments; `''` for `OPTIONS *` and CONNECT. */
  readonly path: string;
  /** With its `?`. */
  readonly queryString: string;
  /** Of a target in absolute form. */
  readonly authority: string | undefined;
}

/** `absolute-path [ "?" query ]`, by RFC 3986 section 3.3 and 3.4. */
const PATH = /^\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/;
const QUERY = /^\?(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*$/;
/** What browsers send besides. */
const RAW_QUERY = /^\?[\x21\x22\x24-\x7e]*$/;
const ABSOLUTE = /^https?:\/\/([^/?#@]+)([^#]*)$/i;
const HOST_AND_PORT = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]+):[0-9]+$/;
/** `uri-host [ ":" port ]` of RFC 9110 section 7.2. */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)(?::[0-9]*)?$/;

/** Takes a target apart; or says why the request is refused. */
export function parseTarget(
  method: string,
  target: string,
  allowRawQuery: boolean,
): Target | RefusalReason {
  if (method === 'CONNECT') {
    if (!HOST_AND_PORT.test(target)) return 'invalidRequestLine';
    return { path: '', queryString: '', authority: undefined };
  }
  if (target === '*') {
    if (method !== 'OPTIONS') return 'methodForTarget';
    return { path: '', queryString: '', authority: undefined };
  }
  const absolute = target.startsWith('/') ? null : ABSOLUTE.exec(target);
  if (absolute === null && !target.startsWith('/')) {
    return HOST_AND_PORT.test(target) ? 'methodForTarget' : 'invalidRequestLine';
  }
  const [, authority, afterAuthority = ''] = absolute ?? [];
  if (authority !== undefined && !isHost(authority)) return 'invalidRequestLine';
  const text = absolute === null ? target : afterAuthority;
  const mark = text.indexOf('?');
  const raw = (mark < 0 ? text : text.slice(0, mark)) || '/';
  const queryString = mark < 0 ? '' : text.slice(mark);
  if (!PATH.test(raw)) return 'invalidRequestLine';
  if (queryString !== '' && !(allowRawQuery ? RAW_QUERY : QUERY).test(queryString)) {
    return 'invalidRequestLine';
  }
  const path = decodePath(raw);
  return path === undefined ? 'invalidRequestLine' : { path, queryString, authority };
}

/** Whether a Host field may say so. */
export function isHost(value: string): boolean {
  return HOST.test(value);
}

/**
 * Decodes percent-encoded bytes once, then removes dot segments (RFC 3986 section 5.2.4). `%2F`, and bytes
 * that are no well-formed UTF-8, stay as they are. `undefined` where it has `%00`.
 */
export function decodePath(raw: string): string | undefined {
  const decoded = raw.includes('%') ? raw.replace(/(?:%[0-9A-Fa-f]{2})+/g, decodeRun) : raw;
  if (decoded.includes('\0')) return undefined;
  return /\/\.\.?(?:\/|$)/.test(decoded) ? removeDotSegments(decoded) : decoded;
}

const SLASH = 0x2f;

/** Decodes what is encoded without a break, character by character. */
function decodeRun(run: string): string {
  const bytes = Buffer.from(run.replaceAll('%', ''), 'hex');
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at] === SLASH ? 0 : characterLength(bytes, at);
    if (length === 0) text += run.slice(3 * at, 3 * at + 3);
    else text += bytes.toString('utf8', at, at + length);
    at += length || 1;
  }
  return text;
}

/** The bytes of the well-formed character that begins there; 0 where none does. */
function characterLength(bytes: Buffer, at: number): number {
  const lead = bytes[at];
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (at + length > bytes.length) return 0;
  const character = bytes.toString('utf8', at, at + length);
  return character.includes('\ufffd') && !bytes.subarray(at, at + length).equals(REPLACEMENT)
    ? 0
    : length;
}

/** U+FFFD as itself. */
const REPLACEMENT = Buffer.from('\ufffd');

function removeDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  for (const [i, segment] of segments.entries()) {
    const isDot = segment === '.' || segment === '..';
    if (segment === '..') kept.pop();
    if (!isDot) kept.push(segment);
    else if (i === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
}
