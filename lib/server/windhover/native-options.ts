/** From the options that a person writes to those that the core takes. */
import { codedRangeError, codedTypeError, invalidArgument } from '../../http/errors.js';
import type { LaneEndpoint, LaneOptions } from '../../native/addon.js';
import { isLogger } from '../log-events.js';
import type { EndpointOptions, MinDataRate, ServerLimits, ServerOptions } from '../options.js';
import { toRefusalAnswers } from './refusals.js';

const CODE = 'WH_ERR_INVALID_OPTION';

/** The limits that the core has; an unknown name is a mistake that must not pass in silence. */
const LIMITS: ReadonlySet<string> = new Set([
  'maxRequestLineSize',
  'maxRequestHeadersTotalSize',
  'maxRequestHeaderCount',
  'maxRequestBodySize',
  'maxRequestBufferSize',
  'maxResponseBufferSize',
  'maxPipelinedRequests',
  'maxConcurrentUpgradedConnections',
  'keepAliveTimeout',
  'requestHeadersTimeout',
  'minRequestBodyDataRate',
  'minResponseDataRate',
  'requestBodyDrainTimeout',
  'lingerTimeout',
  'requestTimeout',
]);

/** What `http1` can let through. */
const HTTP1_OPTIONS: ReadonlySet<string> = new Set([
  'allowRawQueryCharacters',
  'allowBareLineFeed',
  'allowHostHeaderOverride',
]);

const OPTIONS: ReadonlySet<string> = new Set([
  'endpoints',
  'limits',
  'http1',
  'addServerHeader',
  'refusals',
  'shutdown',
  'logger',
  'busyPoll',
]);

/** The options of an endpoint, by the one that says what kind it is. */
const ENDPOINT_OPTIONS = {
  url: new Set(['url', 'protocols']),
  path: new Set(['path', 'mode', 'owner', 'protocols']),
  port: new Set(['host', 'port', 'protocols']),
} as const satisfies Record<string, ReadonlySet<string>>;

const PORT_MAX = 65_535;
const MODE_MAX = 0o777;
/** The greatest value of an id means "leave it" to the system. */
const ID_MAX = 4_294_967_294;

/** A value as a person would write it, for messages. */
function show(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `'${value}'`;
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object';
    case 'function':
      return 'a function';
    default:
      return String(value);
  }
}

function wrongType(name: string, expected: string, value: unknown): TypeError {
  return codedTypeError(CODE, `option '${name}' must be ${expected}, not ${show(value)}`);
}

function requireObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(name, 'an object', value);
  }
}

function requireString(name: string, value: unknown): void {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
}

function requireInteger(name: string, most: number, value: unknown): void {
  const expected = `a whole number from 0 to ${String(most)}`;
  if (typeof value !== 'number') throw wrongType(name, expected, value);
  if (Number.isInteger(value) && value >= 0 && value <= most) return;
  throw codedRangeError(CODE, `option '${name}' must be ${expected}, not ${String(value)}`);
}

/** Refuses names that there are not. An option that is `undefined` is not given. */
function refuseUnknown(options: object, known: ReadonlySet<string>, prefix: string): void {
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (value === undefined || known.has(name)) continue;
    throw codedTypeError(
      CODE,
      `there is no option '${prefix}${name}'; there are: ${[...known].join(', ')}`,
    );
  }
}

/**
 * The options for the core, which checks the values of limits itself.
 *
 * @throws TypeError WH_ERR_INVALID_ARGUMENT where it is no object; TypeError or RangeError
 * WH_ERR_INVALID_OPTION, naming the option and the value.
 */
export function toLaneOptions(options: ServerOptions): LaneOptions {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw invalidArgument('options', 'an object', options);
  }
  refuseUnknown(options, OPTIONS, '');
  const { endpoints, limits = {}, http1 = {}, busyPoll = 'adaptive' } = options;
  const { addServerHeader, refusals, logger } = options;
  if (endpoints !== undefined && !Array.isArray(endpoints)) {
    throw wrongType('endpoints', 'an array', endpoints);
  }
  requireObject('limits', limits);
  refuseUnknown(limits, LIMITS, 'limits.');
  requireObject('http1', http1);
  refuseUnknown(http1, HTTP1_OPTIONS, 'http1.');
  for (const [name, value] of Object.entries(http1) as [string, unknown][]) {
    if (value !== undefined && typeof value !== 'boolean') {
      throw wrongType(`http1.${name}`, 'a boolean', value);
    }
  }
  if (addServerHeader !== undefined && typeof addServerHeader !== 'boolean') {
    throw wrongType('addServerHeader', 'a boolean', addServerHeader);
  }
  if (logger !== undefined && !isLogger(logger)) {
    throw wrongType('logger', 'an object with debug, info, warn and error', logger);
  }
  return {
    ...flattenLimits(limits),
    ...http1,
    ...(addServerHeader === undefined ? {} : { addServerHeader }),
    ...(refusals === undefined ? {} : { refusals: toRefusalAnswers(refusals) }),
    busyPoll: busyPoll === 'adaptive' ? -1 : busyPoll === false ? 0 : toMicroseconds(busyPoll),
  };
}

const RATE_MEMBERS: ReadonlySet<string> = new Set(['bytesPerSecond', 'gracePeriod']);

/** The core knows the members of a limit that is an object by names with a dot. */
function flattenLimits(limits: ServerLimits): Record<string, number | null | undefined> {
  const flat: Record<string, number | null | undefined> = {};
  for (const [name, value] of Object.entries(limits) as [string, unknown][]) {
    if (name !== 'minRequestBodyDataRate' && name !== 'minResponseDataRate') {
      flat[name] = value as number | null | undefined;
    } else if (value === null) {
      flat[`${name}.bytesPerSecond`] = null;
    } else if (value !== undefined) {
      if (typeof value !== 'object' || Array.isArray(value)) {
        throw wrongType(`limits.${name}`, 'an object or null', value);
      }
      refuseUnknown(value, RATE_MEMBERS, `limits.${name}.`);
      const { bytesPerSecond, gracePeriod } = value as MinDataRate;
      if (typeof bytesPerSecond !== 'number') {
        throw wrongType(`limits.${name}.bytesPerSecond`, 'a number', bytesPerSecond);
      }
      flat[`${name}.bytesPerSecond`] = bytesPerSecond;
      flat[`${name}.gracePeriod`] = gracePeriod;
    }
  }
  return flat;
}

/** The longest time to poll (µs). */
const BUSY_POLL_MAX = 1_000_000;

function toMicroseconds(busyPoll: number): number {
  if (Number.isInteger(busyPoll) && busyPoll >= 0 && busyPoll <= BUSY_POLL_MAX) return busyPoll;
  const expected = `'adaptive', false or a whole number from 0 to ${String(BUSY_POLL_MAX)}`;
  if (typeof busyPoll !== 'number') throw wrongType('busyPoll', expected, busyPoll);
  throw codedRangeError(CODE, `option 'busyPoll' must be ${expected}, not ${String(busyPoll)}`);
}

/**
 * An endpoint for the core.
 *
 * @param name - Its name in messages.
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value.
 */
export function toLaneEndpoint(endpoint: EndpointOptions, name = 'endpoint'): LaneEndpoint {
  requireObject(name, endpoint);
  const { protocols = 'http1AndHttp2', ...rest } = endpoint;
  const { url, path, host, port, mode, owner } = rest as Record<string, unknown>;
  const kinds = (['url', 'path', 'port'] as const).filter(
    (kind) => rest[kind as never] !== undefined,
  );
  if (kinds.length !== 1) {
    throw codedTypeError(CODE, `option '${name}' needs exactly one of 'url', 'path' and 'port'`);
  }
  const [kind] = kinds;
  if ('https' in endpoint && endpoint.https !== undefined) {
    throw codedTypeError(CODE, `option '${name}.https' is not supported in this version`);
  }
  refuseUnknown(endpoint, ENDPOINT_OPTIONS[kind], `${name}.`);
  if (protocols !== 'http1' && protocols !== 'http1AndHttp2') {
    throw wrongType(`${name}.protocols`, "'http1' or 'http1AndHttp2' in this version", protocols);
  }
  if (kind === 'url') {
    requireString(`${name}.url`, url);
    return { url: url as string };
  }
  if (kind === 'path') {
    requireString(`${name}.path`, path);
    return { path: path as string, ...toPermissions(name, mode, owner) };
  }
  if (host !== undefined) requireString(`${name}.host`, host);
  requireInteger(`${name}.port`, PORT_MAX, port);
  return { host: (host as string | undefined) ?? 'localhost', port: port as number };
}

function toPermissions(name: string, mode: unknown, owner: unknown): LaneEndpoint {
  const permissions: { unixMode?: number; unixUid?: number; unixGid?: number } = {};
  if (mode !== undefined) {
    requireInteger(`${name}.mode`, MODE_MAX, mode);
    permissions.unixMode = mode as number;
  }
  if (owner !== undefined) {
    requireObject(`${name}.owner`, owner);
    const { uid, gid } = owner as { uid: number; gid: number };
    requireInteger(`${name}.owner.uid`, ID_MAX, uid);
    requireInteger(`${name}.owner.gid`, ID_MAX, gid);
    permissions.unixUid = uid;
    permissions.unixGid = gid;
  }
  return permissions;
}
