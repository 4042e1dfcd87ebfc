/** From the endpoints that a person writes to those that the core takes. */
import { codedRangeError, codedTypeError, WindhoverError } from '../../http/errors.js';
import type { LaneEndpoint } from '../../native/addon.js';
import type { ConnectionMiddleware } from '../connections.js';
import type { EndpointOptions, EndpointSettings } from '../endpoints.js';
import type { HttpsOptions } from '../https-options.js';
import {
  checkHttps,
  checkShape,
  type CheckedHttps,
  PROTOCOLS,
  toProtocols,
} from './https-check.js';
import {
  CODE,
  refuseUnknown,
  requireBoolean,
  requireInteger,
  requireObject,
  requireString,
  wrongType,
} from '../../http/option-errors.js';
import { passedSockets } from './systemd.js';

type Kind = 'url' | 'path' | 'port' | 'fd' | 'systemd';

/** What every endpoint has. */
const COMMON = ['protocols', 'https', 'proxyProtocol', 'allow', 'deny', 'use'] as const;

/** The options of an endpoint, by the one that says what kind it is. */
const OPTIONS: Readonly<Record<Kind, readonly string[]>> = {
  url: ['url', ...COMMON, 'backlog', 'noDelay', 'reusePort'],
  path: ['path', 'mode', 'owner', ...COMMON, 'backlog'],
  port: ['host', 'port', ...COMMON, 'backlog', 'noDelay', 'reusePort'],
  fd: ['fd', ...COMMON, 'noDelay'],
  systemd: ['systemd', ...COMMON, 'noDelay'],
};

const KINDS = Object.keys(OPTIONS) as Kind[];

/** What `endpointDefaults` may say. */
const DEFAULTS: ReadonlySet<string> = new Set([...COMMON, 'backlog', 'noDelay', 'reusePort']);

const PORT_MAX = 65_535;
const BACKLOG_MAX = 65_535;
const DESCRIPTOR_MAX = 2_147_483_647;
const MODE_MAX = 0o777;
/** The greatest value of an id means "leave it" to the system. */
const ID_MAX = 4_294_967_294;

/** The members of a middleware. */
const HOOKS = ['filter', 'opened', 'closed', 'received', 'sent'] as const;

/** An endpoint for the core, and what is done with its connections in JavaScript. */
export interface CheckedEndpoint {
  /** Its name in messages. */
  readonly name: string;
  readonly lane: LaneEndpoint;
  readonly use: readonly ConnectionMiddleware[];
  /** How it speaks TLS, if it does. */
  readonly https: CheckedHttps | undefined;
  /** The sockets of systemd that it stands for; see {@link findDescriptors}. */
  readonly systemd: true | string | undefined;
}

/**
 * Checks the settings of all endpoints.
 *
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value.
 */
export function checkDefaults(defaults: EndpointSettings | undefined): void {
  if (defaults === undefined) return;
  requireObject('endpointDefaults', defaults);
  refuseUnknown(defaults, DEFAULTS, 'endpointDefaults.');
  toSettings('endpointDefaults', defaults);
  if (defaults.protocols !== undefined) {
    toProtocols('endpointDefaults.protocols', defaults.protocols);
  }
  if (defaults.https !== undefined) checkShape('endpointDefaults.https', defaults.https);
  checkUse('endpointDefaults.use', defaults.use);
}

/**
 * Checks an endpoint and writes it for the core.
 *
 * @param name - Its name in messages.
 * @param defaults - What it has where it does not say itself, if its kind has that; checked already.
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value.
 */
export function checkEndpoint(
  endpoint: EndpointOptions,
  name: string,
  defaults: EndpointSettings = {},
): CheckedEndpoint {
  requireObject(name, endpoint);
  const given = endpoint as Partial<Record<Kind, unknown>>;
  const kinds = KINDS.filter((candidate) => given[candidate] !== undefined);
  if (kinds.length !== 1) {
    const list = "'url', 'path', 'port', 'fd' and 'systemd'";
    throw codedTypeError(CODE, `option '${name}' needs exactly one of ${list}`);
  }
  const [kind] = kinds;
  refuseUnknown(endpoint, new Set(OPTIONS[kind]), `${name}.`);
  const place = toPlace(name, kind, endpoint);
  const settings = { ...defaultsOf(kind, place, defaults), ...withoutUndefined(endpoint) };
  const use = checkUse(`${name}.use`, settings.use);
  const https = toHttps(name, place, endpoint.https, defaults.https, settings.protocols);
  const protocols =
    https?.protocols ?? toProtocols(`${name}.protocols`, settings.protocols ?? 'http1');
  return {
    name,
    lane: { ...place, ...toSettings(name, settings), ...toWatch(use), protocols },
    use,
    https,
    systemd: given.systemd as true | string | undefined,
  };
}

/**
 * The endpoints of the core that a checked one stands for: itself, or each socket of systemd that it means.
 *
 * @throws WindhoverError WH_ERR_ADDRESS_NOT_AVAILABLE where systemd passed no such socket.
 */
export function findDescriptors({ name, lane, systemd }: CheckedEndpoint): LaneEndpoint[] {
  if (systemd === undefined) return [lane];
  const passed = passedSockets(process.env, process.pid);
  const meant = passed.filter((socket) => systemd === true || socket.name === systemd);
  if (meant.length > 0) return meant.map(({ fd }) => ({ ...lane, fd }));
  const asked = systemd === true ? 'true' : `'${systemd}'`;
  const { LISTEN_PID = 'not set', LISTEN_FDS = 'not set' } = process.env;
  const why =
    passed.length > 0
      ? `the names of the sockets that systemd passed are ${passed.map((socket) => `'${socket.name}'`).join(', ')}`
      : `systemd passed no socket to this process (pid ${String(process.pid)}, LISTEN_PID ${LISTEN_PID}, LISTEN_FDS ${LISTEN_FDS})`;
  throw new WindhoverError(
    'WH_ERR_ADDRESS_NOT_AVAILABLE',
    `option '${name}.systemd' is ${asked}, but ${why}`,
  );
}

/**
 * Refuses a descriptor that two endpoints have.
 *
 * @throws RangeError WH_ERR_INVALID_OPTION
 */
export function refuseSharedDescriptors(
  endpoints: readonly (readonly [name: string, lane: LaneEndpoint])[],
): void {
  const names = new Map<number, string>();
  for (const [name, { fd }] of endpoints) {
    if (fd === undefined) continue;
    const other = names.get(fd);
    if (other !== undefined) {
      throw codedRangeError(
        CODE,
        `option '${name}' has the descriptor ${String(fd)}, which '${other}' has already`,
      );
    }
    names.set(fd, name);
  }
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as T;
}

/** The defaults that an endpoint of that kind has. */
function defaultsOf(kind: Kind, place: LaneEndpoint, defaults: EndpointSettings): EndpointSettings {
  const isUnix = kind === 'path' || /^https?:\/\/unix:/i.test(place.url ?? '');
  const known = new Set(OPTIONS[isUnix ? 'path' : kind]);
  return Object.fromEntries(
    Object.entries(withoutUndefined(defaults)).filter(([option]) => known.has(option)),
  );
}

function toPlace(name: string, kind: Kind, endpoint: EndpointOptions): LaneEndpoint {
  const { url, path, host, port, mode, owner, fd, systemd } = endpoint as unknown as Record<
    string,
    unknown
  >;
  switch (kind) {
    case 'url':
      requireString(`${name}.url`, url);
      return { url: url as string };
    case 'path':
      requireString(`${name}.path`, path);
      return { path: path as string, ...toPermissions(name, mode, owner) };
    case 'port':
      if (host !== undefined) requireString(`${name}.host`, host);
      requireInteger(`${name}.port`, PORT_MAX, port);
      return { host: (host as string | undefined) ?? 'localhost', port: port as number };
    case 'fd':
      requireInteger(`${name}.fd`, DESCRIPTOR_MAX, fd);
      return { fd: fd as number };
    case 'systemd':
      if (systemd !== true && (typeof systemd !== 'string' || systemd === '')) {
        throw wrongType(`${name}.systemd`, 'true or the name of a socket', systemd);
      }
      return {};
  }
}

function toPermissions(name: string, mode: unknown, owner: unknown): LaneEndpoint {
  const permissions: { unixMode?: number; unixUid?: number; unixGid?: number } = {};
  if (mode !== undefined) {
    requireMode(`${name}.mode`, mode);
    permissions.unixMode = mode;
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

/** Modes are written and read in octal. */
function requireMode(name: string, value: unknown): asserts value is number {
  const expected = `a file mode from 0 to 0o${MODE_MAX.toString(8)}`;
  if (typeof value !== 'number') throw wrongType(name, expected, value);
  if (Number.isInteger(value) && value >= 0 && value <= MODE_MAX) return;
  const octal = Number.isInteger(value) && value > 0 ? ` (0o${value.toString(8)})` : '';
  throw codedRangeError(CODE, `option '${name}' must be ${expected}, not ${String(value)}${octal}`);
}

/**
 * How an endpoint speaks TLS: because its URL says so, or because it has options for it.
 *
 * @param own - Its own options.
 * @param defaults - What holds where those say nothing.
 */
function toHttps(
  name: string,
  { url }: LaneEndpoint,
  own: HttpsOptions | undefined,
  defaults: HttpsOptions | undefined,
  protocols: EndpointSettings['protocols'],
): CheckedHttps | undefined {
  const asked = url !== undefined && /^https:/i.test(url);
  if (own === undefined && !asked) return undefined;
  if (own !== undefined && url !== undefined && !asked) {
    throw codedTypeError(CODE, `option '${name}.https' needs a URL with https:, not '${url}'`);
  }
  const spoken =
    protocols === undefined ? PROTOCOLS.http1AndHttp2 : toProtocols(`${name}.protocols`, protocols);
  // Not `??`: null is refused.
  return checkHttps(`${name}.https`, own === undefined ? {} : own, spoken, defaults);
}

function toSettings(name: string, settings: EndpointSettings): LaneEndpoint {
  const { backlog, noDelay, reusePort } = settings;
  if (backlog !== undefined) requireInteger(`${name}.backlog`, BACKLOG_MAX, backlog, 1);
  if (noDelay !== undefined) requireBoolean(`${name}.noDelay`, noDelay);
  if (reusePort !== undefined) requireBoolean(`${name}.reusePort`, reusePort);
  return {
    ...(backlog === undefined ? {} : { backlog }),
    ...(noDelay === undefined ? {} : { noDelay }),
    ...(reusePort === undefined ? {} : { reusePort }),
    ...toNetworks(`${name}.allow`, 'allow', settings.allow),
    ...toNetworks(`${name}.deny`, 'deny', settings.deny),
    ...toProxyProtocol(`${name}.proxyProtocol`, settings.proxyProtocol),
  };
}

/** A list of networks; what each entry says is the core's to understand, when it listens. */
function toNetworks(
  name: string,
  option: 'allow' | 'deny' | 'proxies',
  list: unknown,
): LaneEndpoint {
  if (list === undefined) return {};
  if (!Array.isArray(list)) throw wrongType(name, 'an array of networks', list);
  list.forEach((entry: unknown, i) => {
    if (typeof entry === 'string' && !entry.includes(' ') && entry !== '') return;
    throw wrongType(`${name}[${String(i)}]`, "an IP address, a network or 'unix'", entry);
  });
  return { [option]: list.join(' ') };
}

const PROXY_OPTIONS: ReadonlySet<string> = new Set(['trusted', 'required']);

function toProxyProtocol(name: string, options: unknown): LaneEndpoint {
  if (options === undefined) return {};
  requireObject(name, options);
  refuseUnknown(options as object, PROXY_OPTIONS, `${name}.`);
  const { trusted, required = true } = options as { trusted: unknown; required?: unknown };
  if (trusted === undefined) throw wrongType(`${name}.trusted`, 'an array of networks', trusted);
  requireBoolean(`${name}.required`, required);
  return {
    ...toNetworks(`${name}.trusted`, 'proxies', trusted),
    requiresProxy: required as boolean,
  };
}

function checkUse(name: string, use: unknown): readonly ConnectionMiddleware[] {
  if (use === undefined) return [];
  if (!Array.isArray(use)) throw wrongType(name, 'an array of connection middleware', use);
  use.forEach((middleware: unknown, i) => {
    const at = `${name}[${String(i)}]`;
    requireObject(at, middleware);
    for (const hook of HOOKS) {
      const value = (middleware as Record<string, unknown>)[hook];
      if (value === undefined || typeof value === 'function') continue;
      throw wrongType(`${at}.${hook}`, 'a function', value);
    }
  });
  return [...(use as ConnectionMiddleware[])];
}

/** What the core has to tell of connections, for these. */
function toWatch(use: readonly ConnectionMiddleware[]): LaneEndpoint {
  const has = (...hooks: (keyof ConnectionMiddleware)[]): boolean =>
    use.some((middleware) => hooks.some((hook) => middleware[hook] !== undefined));
  return {
    ...(has('opened', 'closed') ? { watched: true } : {}),
    ...(has('filter') ? { asks: true } : {}),
    ...(has('received', 'sent') ? { bytes: true } : {}),
  };
}
