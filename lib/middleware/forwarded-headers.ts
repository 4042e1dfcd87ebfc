/**
 * What proxies tell of a request: who made it, by which scheme, for which host. The entries are walked from
 * the right, from the proxy that is connected to us towards the client: each entry counts only if the hop
 * that wrote it is known. Source: ASP.NET Core's ForwardedHeadersMiddleware; RFC 7239.
 */
import type { HeaderDictionary } from '../features/header-dictionary.js';
import type { HttpContext } from '../http/http-context.js';
import type { Middleware } from '../http/middleware.js';
import type { Field, ForwardedHeadersOptions, ForwardedSettings } from './forwarded-options.js';
import { FIELDS, readForwardedOptions } from './forwarded-options.js';
import { formatNode, parseForwarded, parseForwardedFor, parseNode } from './forwarded-parser.js';
import { parseHost } from './host-names.js';
import { encodePath, parsePrefix } from './path-prefix.js';

/** RFC 7239's field. */
const FORWARDED = 'Forwarded';

/** The schemes that a proxy may tell, and what a request's scheme then is; some tell that of a WebSocket. */
const SCHEMES: ReadonlyMap<string, string> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['ws', 'http'],
  ['wss', 'https'],
]);

/** What a field value may not have. */
const NOT_IN_VALUE = /[^\t\x20-\x7e]/;

/** What the hops have told, the nearest first. */
interface Told {
  /** The entries of each field that is read. */
  readonly entries: Partial<Record<Field, readonly string[]>>;
  /** Whether the addresses are nodes of RFC 7239. */
  readonly isStandard: boolean;
  /** Takes the entries of so many hops out of the fields. */
  consume(headers: HeaderDictionary, hops: number, used: ReadonlySet<Field>): void;
}

/** What the request will be. */
interface Outcome {
  peer?: { readonly address: string; readonly port: number };
  scheme?: string;
  host?: string;
  prefix?: string;
  /** How many hops were believed. */
  hops: number;
}

/**
 * Middleware that takes the word of known proxies: sets `connection.remoteAddress` and `remotePort`,
 * `request.scheme`, `request.host` and `request.pathBase`. What was replaced stays in the X-Original fields,
 * which a client cannot set; the entries that were believed leave their fields. Wrong entries are ignored.
 * Put it first. When such fields come from somebody who is not known, a warning says so, once
 * (WH_WARN_FORWARDED_HEADERS_UNTRUSTED).
 *
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming option and value.
 */
export function forwardedHeaders(options: ForwardedHeadersOptions = {}): Middleware {
  const settings = readForwardedOptions(options);
  const names = settings.isStandard ? [FORWARDED] : settings.read.map(({ header }) => header);
  const originals = FIELDS.map((field) => settings.originals[field]);
  let hasWarned = false;
  return (context, next) => {
    const { headers } = context.request;
    for (const name of originals) if (headers.has(name)) headers.delete(name);
    for (const name of names) {
      if (!headers.has(name)) continue;
      const { remoteAddress } = context.connection;
      if (settings.proxies.has(remoteAddress)) {
        apply(context, settings);
      } else if (!hasWarned) {
        hasWarned = true;
        warnUntrusted(name, remoteAddress);
      }
      break;
    }
    return next();
  };
}

function warnUntrusted(header: string, address: string | undefined): void {
  const peer = address ?? "a Unix socket ('unix')";
  process.emitWarning(
    `${header} came from ${peer}, which is no known proxy: it is ignored, as are all to come. ` +
      `If that is a proxy of yours, name it in forwardedHeaders.knownProxies or knownNetworks`,
    { code: 'WH_WARN_FORWARDED_HEADERS_UNTRUSTED' },
  );
}

function apply(context: HttpContext, settings: ForwardedSettings): void {
  const { headers } = context.request;
  const told = settings.isStandard ? readStandard(headers) : readCustom(headers, settings);
  if (settings.requireHeaderSymmetry && !settings.isStandard && !isSymmetric(told)) return;
  const outcome = walk(told, context.connection.remoteAddress, settings);
  if (outcome !== undefined) change(context, told, outcome, settings);
}

/** The members of the custom fields. */
function readCustom(headers: HeaderDictionary, settings: ForwardedSettings): Told {
  const entries: Partial<Record<Field, string[]>> = {};
  for (const { field, header } of settings.read) {
    const members = (headers.get(header) ?? '').split(',').map((member) => member.trim());
    entries[field] = members.filter((member) => member !== '').reverse();
  }
  return {
    entries,
    isStandard: false,
    consume(to, hops, used) {
      for (const { field, header } of settings.read) {
        if (used.has(field)) setRest(to, header, (entries[field] ?? []).slice(hops));
      }
    },
  };
}

/** The elements of RFC 7239's field, line by line from the last; a malformed line ends it. */
function readStandard(headers: HeaderDictionary): Told {
  const texts: string[] = [];
  const entries: Record<'for' | 'proto' | 'host', string[]> = { for: [], proto: [], host: [] };
  for (const line of [...headers.getAll(FORWARDED)].reverse()) {
    const { elements, complete } = parseForwarded(line);
    for (const { parameters, text } of [...elements].reverse()) {
      texts.push(text);
      for (const field of ['for', 'proto', 'host'] as const) {
        entries[field].push(parameters.get(field) ?? '');
      }
    }
    if (!complete) break;
  }
  return {
    entries,
    isStandard: true,
    consume(to, hops) {
      setRest(to, FORWARDED, texts.slice(hops));
    },
  };
}

/** Leaves in a field what is left, the farthest hop first. */
function setRest(headers: HeaderDictionary, name: string, rest: readonly string[]): void {
  const text = [...rest].reverse().join(', ');
  if (text === '' || NOT_IN_VALUE.test(text)) headers.delete(name);
  else headers.set(name, text);
}

function isSymmetric({ entries }: Told): boolean {
  const lengths = Object.values(entries).map(({ length }) => length);
  return lengths.every((length) => length === lengths[0]);
}

/** @returns `undefined` where nothing is to change. */
function walk(
  told: Told,
  remoteAddress: string | undefined,
  settings: ForwardedSettings,
): Outcome | undefined {
  const { entries, isStandard } = told;
  const { allowedHosts, forwardLimit, proxies, requireHeaderSymmetry } = settings;
  const lengths = Object.values(entries).map(({ length }) => length);
  const most = Math.min(Math.max(0, ...lengths), forwardLimit);
  const outcome: Outcome = { hops: 0 };
  let address = remoteAddress;
  for (let i = 0; i < most && proxies.has(address); i++) {
    const node = readNode(entries.for?.[i], isStandard);
    // What follows an entry that nobody can read cannot be trusted, nor can its own other parts.
    if (node === 'malformed') break;
    const scheme = SCHEMES.get((entries.proto?.[i] ?? '').toLowerCase());
    const host = readHost(entries.host?.[i], allowedHosts);
    const prefix = parsePrefix(entries.prefix?.[i] ?? '');
    if (requireHeaderSymmetry) {
      const lacks = (field: Field, value: unknown): boolean =>
        entries[field] !== undefined && value === undefined;
      if (lacks('for', node) || lacks('proto', scheme)) return undefined;
      if (lacks('host', host) || lacks('prefix', prefix)) return undefined;
    }
    outcome.hops = i + 1;
    if (scheme !== undefined) outcome.scheme = scheme;
    if (host !== undefined) outcome.host = host;
    if (prefix !== undefined) outcome.prefix = prefix;
    // Who has written the entry before this one is not known then.
    if (node?.address === undefined) break;
    outcome.peer = { address: node.address, port: node.port };
    address = node.address;
  }
  const { peer, scheme, host, prefix } = outcome;
  return (peer ?? scheme ?? host ?? prefix) === undefined ? undefined : outcome;
}

/** @returns `undefined` where nothing was told. */
function readNode(
  text: string | undefined,
  isStandard: boolean,
): { readonly address: string | undefined; readonly port: number } | 'malformed' | undefined {
  if (text === undefined || text === '') return undefined;
  return (isStandard ? parseNode(text) : parseForwardedFor(text)) ?? 'malformed';
}

function readHost(
  text: string | undefined,
  allowed: ForwardedSettings['allowedHosts'],
): string | undefined {
  if (text === undefined) return undefined;
  const parts = parseHost(text);
  if (parts === undefined) return undefined;
  return allowed === undefined || allowed.matches(parts.host) ? text : undefined;
}

function change(
  { connection, request }: HttpContext,
  told: Told,
  outcome: Outcome,
  { originals }: ForwardedSettings,
): void {
  const { headers } = request;
  const { peer, scheme, host, prefix } = outcome;
  const used = new Set<Field>();
  if (peer !== undefined) {
    used.add('for');
    const { remoteAddress, remotePort } = connection;
    if (remoteAddress !== undefined) {
      setRest(headers, originals.for, [formatNode(remoteAddress, remotePort)]);
    }
    connection.remoteAddress = peer.address;
    connection.remotePort = peer.port;
  }
  if (scheme !== undefined) {
    used.add('proto');
    setRest(headers, originals.proto, [request.scheme]);
    request.scheme = scheme;
  }
  if (host !== undefined) {
    used.add('host');
    setRest(headers, originals.host, [request.host]);
    request.host = host;
  }
  if (prefix !== undefined) {
    used.add('prefix');
    setRest(headers, originals.prefix, [encodePath(request.pathBase)]);
    request.pathBase = prefix;
  }
  told.consume(headers, outcome.hops, used);
}
