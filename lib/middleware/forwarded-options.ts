/** The options of the forwarded-headers middleware, checked and completed. */
import {
  refuseUnknown,
  requireBoolean,
  requireObject,
  requireString,
  requireStrings,
  wrongType,
  wrongValue,
} from '../http/option-errors.js';
import { HostPatterns } from './host-names.js';
import { ProxyList } from './proxy-list.js';

/** The fields that can be read. `forwarded` is RFC 7239's, the others are custom. */
export type ForwardedHeader =
  'xForwardedFor' | 'xForwardedProto' | 'xForwardedHost' | 'xForwardedPrefix' | 'forwarded';

export const FORWARDED_HEADERS = [
  'xForwardedFor',
  'xForwardedProto',
  'xForwardedHost',
  'xForwardedPrefix',
  'forwarded',
] as const satisfies readonly ForwardedHeader[];

/**
 * Whose word about a request counts, and which. Source: ASP.NET Core's ForwardedHeadersOptions, with other
 * defaults: there the loopback is trusted, and an empty list of proxies trusts everybody.
 */
export interface ForwardedHeadersOptions {
  /**
   * The fields to read. `forwarded` cannot be had together with the others, which a client could then use
   * past a proxy that writes only one of them. Default `['xForwardedFor', 'xForwardedProto']`.
   */
  readonly forwardedHeaders?: readonly ForwardedHeader[];
  /** How many proxies are walked through at most; `null` for no limit. Default 1. */
  readonly forwardLimit?: number | null;
  /**
   * The proxies: IP addresses, and `unix` for whoever connects by a Unix socket. Default: none, not even
   * the loopback.
   */
  readonly knownProxies?: readonly string[];
  /** Networks of proxies, such as `10.0.0.0/8`. Default: none. */
  readonly knownNetworks?: readonly string[];
  /**
   * The hosts that a proxy may tell: `example.com`, `*.example.com`, `*`; ports do not count. Another one is
   * ignored. Default: empty, which allows all.
   */
  readonly allowedHosts?: readonly string[];
  /**
   * Whether all fields that are read must have the same number of entries; where they have not, all are
   * ignored. With `forwarded` every element needs `for`, `proto` and `host`. Default false.
   */
  readonly requireHeaderSymmetry?: boolean;
  /** Default `X-Forwarded-For`. */
  readonly forwardedForHeaderName?: string;
  /** Default `X-Forwarded-Proto`. */
  readonly forwardedProtoHeaderName?: string;
  /** Default `X-Forwarded-Host`. */
  readonly forwardedHostHeaderName?: string;
  /** Default `X-Forwarded-Prefix`. */
  readonly forwardedPrefixHeaderName?: string;
  /** Has the peer's own address and port where they were replaced. Default `X-Original-For`. */
  readonly originalForHeaderName?: string;
  /** Has the scheme that was replaced. Default `X-Original-Proto`. */
  readonly originalProtoHeaderName?: string;
  /** Has the host that was replaced. Default `X-Original-Host`. */
  readonly originalHostHeaderName?: string;
  /** Has the path base that was replaced, where there was one. Default `X-Original-Prefix`. */
  readonly originalPrefixHeaderName?: string;
}

/** What is known of a request: the peer, the scheme, the host, the path base. */
export const FIELDS = ['for', 'proto', 'host', 'prefix'] as const;
export type Field = (typeof FIELDS)[number];

/** The options in the form that requests need. */
export interface ForwardedSettings {
  /** Whether RFC 7239's field is read, and not the others. */
  readonly isStandard: boolean;
  /** The custom fields that are read, with their names. */
  readonly read: readonly { readonly field: Field; readonly header: string }[];
  readonly originals: Readonly<Record<Field, string>>;
  readonly forwardLimit: number;
  readonly proxies: ProxyList;
  /** `undefined`: all. */
  readonly allowedHosts: HostPatterns | undefined;
  readonly requireHeaderSymmetry: boolean;
}

const KINDS: Readonly<Record<Field, ForwardedHeader>> = {
  for: 'xForwardedFor',
  proto: 'xForwardedProto',
  host: 'xForwardedHost',
  prefix: 'xForwardedPrefix',
};

/** The defaults of the names, by option. */
const HEADER_NAMES = {
  forwardedForHeaderName: 'X-Forwarded-For',
  forwardedProtoHeaderName: 'X-Forwarded-Proto',
  forwardedHostHeaderName: 'X-Forwarded-Host',
  forwardedPrefixHeaderName: 'X-Forwarded-Prefix',
  originalForHeaderName: 'X-Original-For',
  originalProtoHeaderName: 'X-Original-Proto',
  originalHostHeaderName: 'X-Original-Host',
  originalPrefixHeaderName: 'X-Original-Prefix',
} as const;

const OPTIONS = new Set([
  'forwardedHeaders',
  'forwardLimit',
  'knownProxies',
  'knownNetworks',
  'allowedHosts',
  'requireHeaderSymmetry',
  ...Object.keys(HEADER_NAMES),
]);

const PREFIX = 'forwardedHeaders.';

/** `token` of RFC 9110 section 5.6.2, what a field name is. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming option and value. */
export function readForwardedOptions(options: ForwardedHeadersOptions): ForwardedSettings {
  requireObject('forwardedHeaders', options);
  refuseUnknown(options, OPTIONS, PREFIX);
  const {
    forwardedHeaders = ['xForwardedFor', 'xForwardedProto'],
    forwardLimit = 1,
    knownProxies = [],
    knownNetworks = [],
    allowedHosts = [],
    requireHeaderSymmetry = false,
  } = options;
  requireKinds(forwardedHeaders);
  requireLimit(forwardLimit);
  requireBoolean(`${PREFIX}requireHeaderSymmetry`, requireHeaderSymmetry);
  const names = readNames(options);
  const hosts = new HostPatterns(`${PREFIX}allowedHosts`, allowedHosts);
  return {
    isStandard: forwardedHeaders.includes('forwarded'),
    read: FIELDS.filter((field) => forwardedHeaders.includes(KINDS[field])).map((field) => ({
      field,
      header: names[`forwarded${capitalize(field)}HeaderName`],
    })),
    originals: {
      for: names.originalForHeaderName,
      proto: names.originalProtoHeaderName,
      host: names.originalHostHeaderName,
      prefix: names.originalPrefixHeaderName,
    },
    forwardLimit: forwardLimit ?? Infinity,
    proxies: new ProxyList(PREFIX, knownProxies, knownNetworks),
    allowedHosts: allowedHosts.length === 0 || hosts.matchesAll ? undefined : hosts,
    requireHeaderSymmetry,
  };
}

function capitalize<T extends string>(text: T): Capitalize<T> {
  return `${text[0].toUpperCase()}${text.slice(1)}` as Capitalize<T>;
}

function requireKinds(kinds: readonly ForwardedHeader[]): void {
  const option = `${PREFIX}forwardedHeaders`;
  requireStrings(option, kinds);
  kinds.forEach((kind, i) => {
    if (FORWARDED_HEADERS.includes(kind)) return;
    const expected = `one of ${FORWARDED_HEADERS.map((known) => `'${known}'`).join(', ')}`;
    throw wrongValue(`${option}[${String(i)}]`, expected, kind);
  });
  if (kinds.includes('forwarded') && kinds.length > 1) {
    throw wrongValue(option, "either ['forwarded'] or X-Forwarded fields", kinds.join(', '));
  }
}

function requireLimit(limit: number | null): void {
  const option = `${PREFIX}forwardLimit`;
  const expected = 'a whole number from 1, or null for no limit';
  if (limit === null) return;
  if (typeof limit !== 'number') throw wrongType(option, expected, limit);
  if (!Number.isSafeInteger(limit) || limit < 1) throw wrongValue(option, expected, limit);
}

function readNames(options: ForwardedHeadersOptions): Record<keyof typeof HEADER_NAMES, string> {
  const names: Record<keyof typeof HEADER_NAMES, string> = { ...HEADER_NAMES };
  const owners = new Map<string, string>();
  for (const option of Object.keys(HEADER_NAMES) as (keyof typeof HEADER_NAMES)[]) {
    const name = options[option] ?? HEADER_NAMES[option];
    requireString(`${PREFIX}${option}`, name);
    if (!TOKEN.test(name)) throw wrongValue(`${PREFIX}${option}`, 'the name of a field', name);
    const owner = owners.get(name.toLowerCase());
    if (owner !== undefined) {
      throw wrongValue(`${PREFIX}${option}`, `another name than that of ${owner}`, name);
    }
    owners.set(name.toLowerCase(), option);
    names[option] = name;
  }
  return names;
}
