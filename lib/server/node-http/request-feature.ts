/** What the client asked for, from what Node's parsers say. */
import { Buffer } from 'node:buffer';
import type { HttpRequestFeature, RequestBodySource } from '../../features/http-features.js';
import type { HeaderDictionary } from '../../features/header-dictionary.js';
import { HeaderMap } from '../../http/header-map.js';
import type { NodeSettings } from './settings.js';
import type { RefusalReason } from './refusals.js';
import { isHost, parseTarget, type Target } from './target.js';
import type { FieldLines } from './wire.js';

/** A request's head. */
export interface RequestHead {
  readonly protocol: string;
  readonly scheme: string;
  readonly method: string;
  readonly target: string;
  readonly lines: FieldLines;
}

export class NodeRequestFeature implements HttpRequestFeature {
  protocol: string;
  scheme: string;
  method: string;
  pathBase = '';
  path: string;
  queryString: string;
  rawTarget: string;
  headers: HeaderDictionary;

  constructor(
    head: RequestHead,
    target: Target,
    public body: RequestBodySource,
  ) {
    this.protocol = head.protocol;
    this.scheme = head.scheme;
    this.method = head.method;
    this.rawTarget = head.target;
    this.path = target.path;
    this.queryString = target.queryString;
    this.headers = HeaderMap.fromLines(head.lines);
  }
}

/** Pairs of Node's flat list. Values are UTF-8, where they are not ASCII. */
export function toLines(flat: readonly string[]): [name: string, value: string][] {
  const lines: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) lines.push([flat[i], toText(flat[i + 1])]);
  return lines;
}

function toText(value: string): string {
  // eslint-disable-next-line no-control-regex -- all of ASCII
  return /^[\x00-\x7f]*$/.test(value) ? value : Buffer.from(value, 'latin1').toString('utf8');
}

/** The values of a field. */
export function valuesOf(lines: FieldLines, lower: string): string[] {
  return lines.filter(([name]) => name.toLowerCase() === lower).map(([, value]) => value);
}

const VERSIONS: ReadonlySet<string> = new Set(['HTTP/1.0', 'HTTP/1.1', 'HTTP/2']);

/** What stands around a field line on HTTP/1: `: ` and the line end. */
const LINE_EXTRA = 4;

/** Looks at a head as the core does, as far as Node has not. The target, or why it is refused. */
export function checkHead(head: RequestHead, settings: NodeSettings): Target | RefusalReason {
  const { method, target, protocol, lines } = head;
  const { limits, allowRawQueryCharacters } = settings;
  if (!VERSIONS.has(protocol)) {
    return protocol === 'HTTP/0.9' ? 'invalidRequestLine' : 'unrecognizedHttpVersion';
  }
  const lineSize = method.length + target.length + protocol.length + LINE_EXTRA;
  if (lineSize > limits.maxRequestLineSize) return 'requestLineTooLong';
  if (lines.length > limits.maxRequestHeaderCount) return 'tooManyHeaders';
  const size = lines.reduce(
    (sum, [name, value]) => sum + name.length + value.length + LINE_EXTRA,
    0,
  );
  if (size > limits.maxRequestHeadersTotalSize) return 'headersExceedMaxTotalSize';
  const parsed = parseTarget(method, target, allowRawQueryCharacters);
  if (typeof parsed === 'string') return parsed;
  const hosts = valuesOf(lines, 'host');
  const [host] = hosts;
  if (hosts.length === 0 && protocol === 'HTTP/1.1') return 'invalidHost';
  if (hosts.length > 1 || (host !== undefined && !isHost(host))) return 'invalidHost';
  const { authority } = parsed;
  if (host !== undefined && authority !== undefined && !isSame(host, authority)) {
    return 'invalidHost';
  }
  return parsed;
}

function isSame(host: string, authority: string): boolean {
  return host.toLowerCase() === authority.toLowerCase();
}
