/**
 * The sections of the configuration that belong to ready-made middleware: ForwardedHeaders, AllowedHosts and
 * HostFiltering, HttpsRedirection, Hsts. Each option is checked by its middleware, and an error says where it
 * was set.
 */
import { codedRangeError, codedTypeError } from '../http/errors.js';
import { CODE } from '../http/option-errors.js';
import { forwardedHeaders } from '../middleware/forwarded-headers.js';
import type { ForwardedHeadersOptions } from '../middleware/forwarded-options.js';
import { FORWARDED_HEADERS } from '../middleware/forwarded-options.js';
import type { HostFilteringOptions } from '../middleware/host-filtering.js';
import { hostFiltering } from '../middleware/host-filtering.js';
import type { HstsOptions } from '../middleware/hsts.js';
import { hsts } from '../middleware/hsts.js';
import type { HttpsRedirectionOptions } from '../middleware/https-redirection.js';
import { httpsRedirection } from '../middleware/https-redirection.js';
import type { Configuration, Scalar } from './configuration.js';
import { parseBoolean, parseDuration, parseNumber } from './configuration-units.js';
import { nearestName } from './nearest-name.js';

/** How a value is read; what cannot be read stays as it is, and the middleware refuses it. */
type Kind = 'text' | 'plain' | 'duration' | 'list' | 'names';

/** Divides the members of a list that is one text: `a;b`, `a, b`. */
const DIVIDER = /[;,]/;

/** The first steps of the keys that are read here, so that nobody takes them for slips. */
export const MIDDLEWARE_KEYS = [
  'allowedHosts',
  'forwardedHeaders',
  'hostFiltering',
  'hsts',
  'httpsRedirection',
  'httpsPort',
  'https_port',
] as const;

const FORWARDED_KINDS = {
  forwardedHeaders: 'names',
  forwardLimit: 'plain',
  knownProxies: 'list',
  knownNetworks: 'list',
  allowedHosts: 'list',
  requireHeaderSymmetry: 'plain',
  forwardedForHeaderName: 'text',
  forwardedProtoHeaderName: 'text',
  forwardedHostHeaderName: 'text',
  forwardedPrefixHeaderName: 'text',
  originalForHeaderName: 'text',
  originalProtoHeaderName: 'text',
  originalHostHeaderName: 'text',
  originalPrefixHeaderName: 'text',
} as const satisfies Record<keyof ForwardedHeadersOptions, Kind>;

const HOST_FILTERING_KINDS = {
  allowedHosts: 'list',
  allowEmptyHosts: 'plain',
  includeFailureMessage: 'plain',
} as const satisfies Record<keyof HostFilteringOptions, Kind>;

const HSTS_KINDS = {
  maxAge: 'duration',
  includeSubDomains: 'plain',
  preload: 'plain',
  excludedHosts: 'list',
} as const satisfies Record<keyof HstsOptions, Kind>;

const REDIRECTION_KINDS = {
  redirectStatusCode: 'plain',
  httpsPort: 'plain',
} as const satisfies Record<keyof HttpsRedirectionOptions, Kind>;

/** What the section ForwardedHeaders says; `enabled`: whether the middleware is there without a call. */
export function bindForwardedHeaders(configuration: Configuration): {
  readonly enabled: boolean;
  readonly options: ForwardedHeadersOptions;
} {
  const name = 'forwardedHeaders';
  const options = bindSection(configuration, name, FORWARDED_KINDS, forwardedHeaders, ['enabled']);
  return { enabled: configuration.getBoolean(`${name}:enabled`, false), options };
}

/** What AllowedHosts and the section HostFiltering say. */
export function bindHostFiltering(configuration: Configuration): HostFilteringOptions {
  const options = bindSection(
    configuration,
    'hostFiltering',
    HOST_FILTERING_KINDS,
    hostFiltering,
  ) as HostFilteringOptions;
  if (options.allowedHosts !== undefined || !configuration.has('allowedHosts')) return options;
  const allowedHosts = read(configuration, 'allowedHosts', 'list') as readonly string[];
  const found = { allowedHosts };
  blaming(configuration, 'allowedHosts', () => hostFiltering(found));
  return { ...options, ...found };
}

/** What the section Hsts says. */
export function bindHsts(configuration: Configuration): HstsOptions {
  return bindSection(configuration, 'hsts', HSTS_KINDS, hsts);
}

/** What the section HttpsRedirection and the settings `https_port` and `httpsPort` say. */
export function bindHttpsRedirection(configuration: Configuration): HttpsRedirectionOptions {
  const options = bindSection(
    configuration,
    'httpsRedirection',
    REDIRECTION_KINDS,
    httpsRedirection,
  ) as HttpsRedirectionOptions;
  if (options.httpsPort !== undefined) return options;
  for (const key of ['httpsPort', 'https_port']) {
    if (!configuration.has(key)) continue;
    const found = { httpsPort: read(configuration, key, 'plain') as number };
    blaming(configuration, key, () => httpsRedirection(found));
    return { ...options, ...found };
  }
  return options;
}

/** @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming option, value and source. */
function bindSection<T extends object>(
  configuration: Configuration,
  section: string,
  kinds: Readonly<Record<string, Kind>>,
  check: (options: T) => unknown,
  others: readonly string[] = [],
): T {
  const options: Record<string, unknown> = {};
  const known = Object.keys(kinds);
  for (const written of configuration.getSection(section).getNames()) {
    const is = (name: string): boolean => name.toLowerCase() === written.toLowerCase();
    if (others.some(is)) continue;
    const key = `${section}:${written}`;
    const name = known.find(is);
    if (name === undefined) {
      const near = nearestName(written, known);
      throw codedTypeError(
        CODE,
        `there is no option '${section}.${written}', ${told(configuration, key)}; ` +
          `${near === undefined ? '' : `did you mean '${near}'? `}There are: ${known.join(', ')}`,
      );
    }
    options[name] = read(configuration, key, kinds[name]);
    blaming(configuration, key, () => check({ [name]: options[name] } as T));
  }
  if (configuration.get(section) !== undefined && configuration.get(section) !== null) {
    throw codedTypeError(
      CODE,
      `option '${section}' must be an object; it is ${told(configuration, section)}`,
    );
  }
  return options as T;
}

function read(configuration: Configuration, key: string, kind: Kind): unknown {
  const value = configuration.get(key);
  if (kind === 'list' || kind === 'names') {
    const list = readList(configuration, key, value);
    return kind === 'list' ? list : list.map(properName);
  }
  // A section where a value is expected: the middleware says so.
  if (value === undefined) return {};
  switch (kind) {
    case 'duration':
      return parseDuration(value) ?? value;
    case 'plain':
      return isUnlimited(value) ? null : (parseBoolean(value) ?? parseNumber(value) ?? value);
    default:
      return value;
  }
}

function isUnlimited(value: Scalar): boolean {
  return value === null || (typeof value === 'string' && value.toLowerCase() === 'unlimited');
}

function readList(
  configuration: Configuration,
  key: string,
  value: Scalar | undefined,
): readonly unknown[] {
  if (value === undefined) {
    const section = configuration.getSection(key);
    return section.getNames().map((name) => section.get(name));
  }
  if (typeof value !== 'string') return value === null ? [] : [value];
  const members = value.split(DIVIDER).map((member) => member.trim());
  return members.filter((member) => member !== '');
}

/** ASP.NET Core's names begin with a capital letter. */
function properName(name: unknown): unknown {
  const lower = String(name).toLowerCase();
  return FORWARDED_HEADERS.find((known) => known.toLowerCase() === lower) ?? name;
}

/** Lets a middleware check an option, and says where it was set if it is refused. */
function blaming(configuration: Configuration, key: string, attempt: () => unknown): void {
  try {
    attempt();
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== CODE) throw error;
    const text = `${(error as Error).message}; it is ${told(configuration, key)}`;
    throw error instanceof RangeError ? codedRangeError(CODE, text) : codedTypeError(CODE, text);
  }
}

/** How a setting was made; a list by its first member. */
function told(configuration: Configuration, key: string): string {
  const [setting] = [...configuration].filter(({ key: other }) =>
    `${other.toLowerCase()}:`.startsWith(`${key.toLowerCase()}:`),
  );
  const { value, source } = setting;
  return `set to ${typeof value === 'string' ? `'${value}'` : String(value)} by ${source}`;
}
