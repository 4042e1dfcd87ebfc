/** From settings to the options of a server, checked by the server itself. */
import { codedRangeError, codedTypeError, invalidArgument } from '../http/errors.js';
import type {
  EndpointOptions,
  EndpointSettings,
  ServerLimits,
  ServerOptions,
} from '../server/options.js';
import { WindhoverServer } from '../server/windhover-server.js';
import type { Scalar, Setting } from './configuration.js';
import { Configuration } from './configuration.js';
import { parseBoolean, parseDuration, parseNumber, parseSize } from './configuration-units.js';
import { readVariables } from './configuration-sources.js';
import type { Variables } from './host-environment.js';
import { nearestName } from './nearest-name.js';
import {
  KESTREL_CERTIFICATES,
  KESTREL_ENDPOINT,
  withDefaultCertificate,
  withHttps,
} from './server-https-binding.js';
import type { OptionKind } from './server-options-table.js';
import {
  CERTIFICATES,
  ENDPOINT_OPTIONS,
  limitKinds,
  memberDefaults,
  SERVER_OPTIONS,
  SERVER_SECTION,
} from './server-options-table.js';

const CODE = 'WH_ERR_INVALID_OPTION';

/**
 * The options of a server from configuration: for {@link WindhoverServer} and `serve`, where no
 * WebApplication reads them.
 *
 * @param source - A configuration (its section `Server` counts), or an object such as a parsed file: the
 * options themselves, with values as people write them (`{ limits: { keepAliveTimeout: '30s' } }`).
 * @param variables - Variables that win over `source`, such as `process.env`: `WINDHOVER_SERVER__...`,
 * `WINDHOVER_LIMITS__...`. Default: none.
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option, the value, the valid range and
 * where it was set; TypeError WH_ERR_INVALID_ARGUMENT.
 */
export function serverOptionsFromConfiguration(
  source: Configuration | object,
  variables: Variables = {},
): ServerOptions {
  if (typeof source !== 'object' || (source as unknown) === null) {
    throw invalidArgument('source', 'an object', source);
  }
  const settings =
    source instanceof Configuration
      ? [...source]
      : flatten(source, SERVER_SECTION, 'the configuration object');
  return bindServerOptions(new Configuration([...settings, ...readVariables(variables)]));
}

/** The settings of an object; functions and what else is no data are left for the server to refuse. */
function flatten(value: unknown, key: string, source: string): Setting[] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null) {
    return [{ key, value: value as Scalar, source }];
  }
  return Object.entries(value).flatMap(([name, member]) =>
    flatten(member, `${key}:${name}`, source),
  );
}

/** What the section can have: the options, and what stands for some of them. */
const KINDS: Readonly<Record<string, OptionKind>> = {
  ...SERVER_OPTIONS,
  endpointDefaults: {
    members: { ...SERVER_OPTIONS.endpointDefaults.members, ...KESTREL_ENDPOINT },
  },
  [CERTIFICATES]: KESTREL_CERTIFICATES,
};

const ENDPOINT_KIND: OptionKind = { members: { ...ENDPOINT_OPTIONS, ...KESTREL_ENDPOINT } };

/**
 * The options that a configuration's section `Server` has. Errors as of {@link serverOptionsFromConfiguration}.
 *
 * @param contentRoot - What the paths of certificates are relative to.
 */
export function bindServerOptions(configuration: Configuration, contentRoot = '.'): ServerOptions {
  const whole = configuration.get(SERVER_SECTION);
  if (whole !== undefined && whole !== null) {
    const [setting] = [...configuration].filter(
      ({ key }) => key.toLowerCase() === SERVER_SECTION.toLowerCase(),
    );
    throw codedTypeError(CODE, `the options of the server must be an object, ${told(setting)}`);
  }
  const section = configuration.getSection(SERVER_SECTION);
  const options: Record<string, unknown> = {};
  const all = members(section, '', KINDS);
  const defaults = bindDefaults(all, contentRoot);
  for (const { name, kind, node } of all) {
    if (kind === 'limits') options[name] = bindLimits(node);
    else if (kind === 'endpoints') options[name] = bindEndpoints(node, defaults ?? {}, contentRoot);
    else if (name === 'endpointDefaults' || name === CERTIFICATES) {
      options['endpointDefaults'] = defaults;
    } else {
      options[name] = convert(node, kind, name);
      check({ [name]: options[name] }, node);
    }
  }
  return options;
}

/** The defaults of endpoints, of which the default certificate is one. */
function bindDefaults(all: readonly Member[], contentRoot: string): EndpointSettings | undefined {
  let defaults: EndpointSettings | undefined;
  for (const name of ['endpointDefaults', CERTIFICATES]) {
    const member = all.find((candidate) => candidate.name === name);
    if (member === undefined) continue;
    const { node, kind } = member;
    const converted = convert(node, kind, name) as EndpointSettings;
    blaming(node, () => {
      if (node.value !== undefined)
        throw codedTypeError(CODE, `option '${name}' must be an object`);
      defaults =
        name === CERTIFICATES
          ? withDefaultCertificate({ ...converted }, { ...defaults }, contentRoot)
          : withHttps(name, { ...converted }, contentRoot);
    });
    if (defaults !== undefined) check({ endpointDefaults: defaults }, node);
  }
  return defaults;
}

/** A value or section, under the name that options have for it. */
interface Node {
  readonly value: Scalar | undefined;
  readonly section: Configuration;
  /** What is below, or the value itself. */
  readonly settings: readonly Setting[];
}

interface Member {
  readonly name: string;
  readonly kind: OptionKind;
  readonly node: Node;
}

function child(section: Configuration, name: string): Node {
  const below = section.getSection(name);
  const own = [...section].filter(({ key }) => key.toLowerCase() === name.toLowerCase());
  return { value: section.get(name), section: below, settings: own.length > 0 ? own : [...below] };
}

/**
 * The members of a section that are options, under their proper names.
 *
 * @throws TypeError WH_ERR_INVALID_OPTION for a name that is none, with the nearest one.
 */
function members(
  section: Configuration,
  prefix: string,
  kinds: Readonly<Record<string, OptionKind>>,
): Member[] {
  const known = Object.keys(kinds);
  return section.getNames().map((written) => {
    const name = known.find((candidate) => candidate.toLowerCase() === written.toLowerCase());
    const node = child(section, written);
    if (name !== undefined) return { name, kind: kinds[name], node };
    const near = nearestName(written, known);
    const hint = near === undefined ? '' : `did you mean '${prefix}${near}'? `;
    throw codedTypeError(
      CODE,
      `there is no option '${prefix}${written}', ${told(node.settings[0])}; ` +
        `${hint}There are: ${known.join(', ')}`,
    );
  });
}

function bindLimits(node: Node): ServerLimits {
  if (node.value !== undefined) check({ limits: node.value as never }, node);
  const limits: Record<string, unknown> = {};
  for (const { name, kind, node: limit } of members(node.section, 'limits.', limitKinds())) {
    const value = convert(limit, kind, `limits.${name}`);
    const isRate = name.endsWith('DataRate') && typeof value === 'object' && value !== null;
    limits[name] = isRate ? { ...memberDefaults(name), ...value } : value;
  }
  // All at once: some must not exceed others.
  check({ limits }, node);
  return limits;
}

function bindEndpoints(
  node: Node,
  endpointDefaults: EndpointSettings,
  contentRoot: string,
): EndpointOptions[] {
  if (node.value !== undefined) check({ endpoints: node.value as never }, node);
  return node.section.getNames().map((name) => {
    const one = child(node.section, name);
    const option = `endpoints.${name}`;
    // `"Endpoints": ["http://localhost:5000"]` is plain enough.
    let endpoint: unknown = { url: one.value };
    if (one.value === undefined) {
      const converted = convert(one, ENDPOINT_KIND, option) as Readonly<Record<string, unknown>>;
      blaming(one, () => {
        endpoint = withHttps(option, converted, contentRoot);
      });
    }
    check({ endpoints: [endpoint as EndpointOptions], endpointDefaults }, one, option);
    return endpoint as EndpointOptions;
  });
}

// --- values ---

function convert(node: Node, kind: OptionKind, option: string): unknown {
  const { value, section } = node;
  if (kind === 'code') {
    const where = told(node.settings[0]);
    throw codedTypeError(CODE, `option '${option}' can be set by code only, but is ${where}`);
  }
  if (typeof kind === 'object' && 'members' in kind) {
    if (value !== undefined) return isUnlimited(value) ? null : value;
    return Object.fromEntries(
      members(section, `${option}.`, kind.members).map((member) => [
        member.name,
        convert(member.node, member.kind, `${option}.${member.name}`),
      ]),
    );
  }
  if (typeof kind === 'object' && 'list' in kind) {
    if (value !== undefined) return value;
    return section
      .getNames()
      .map((name) => convert(child(section, name), kind.list, `${option}.${name}`));
  }
  if (typeof kind === 'object' && 'map' in kind) {
    if (value !== undefined) return value;
    return Object.fromEntries(
      section
        .getNames()
        .map((name) => [name, convert(child(section, name), kind.map, `${option}.${name}`)]),
    );
  }
  // A section where a value is expected: the server says so.
  return value === undefined ? {} : convertScalar(value, kind);
}

function convertScalar(value: Scalar, kind: OptionKind): unknown {
  if (typeof kind === 'object' && 'oneOf' in kind) {
    const is = (name: string): boolean => name.toLowerCase() === String(value).toLowerCase();
    return kind.oneOf.find(is) ?? toPlain(value);
  }
  switch (kind) {
    case 'duration':
      return isUnlimited(value) ? null : (parseDuration(value) ?? value);
    case 'size':
      return isUnlimited(value) ? null : (parseSize(value) ?? value);
    case 'plain':
      return isUnlimited(value) ? null : toPlain(value);
    case 'octal':
      return typeof value === 'string' && /^(?:0o)?[0-7]{3,4}$/i.test(value)
        ? parseInt(value.replace(/^0o/i, ''), 8)
        : value;
    default:
      return value;
  }
}

function toPlain(value: Scalar): unknown {
  return parseBoolean(value) ?? parseNumber(value) ?? value;
}

function isUnlimited(value: Scalar): boolean {
  return value === null || (typeof value === 'string' && value.toLowerCase() === 'unlimited');
}

// --- checks ---

/**
 * Lets a server check an option, and says where it was set if it is refused.
 *
 * @param endpoint - The name of the endpoint that is checked, in place of its number.
 */
function check(options: ServerOptions, node: Node, endpoint?: string): void {
  const make = (): WindhoverServer => new WindhoverServer(options);
  blaming(node, make, endpoint);
}

/** Does something, and says where the option was set that is refused. */
function blaming(node: Node, attempt: () => void, endpoint?: string): void {
  try {
    attempt();
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== CODE) throw error;
    let { message } = error as Error;
    if (endpoint !== undefined) message = message.replaceAll('endpoints[0]', endpoint);
    const setting = blame(message, node.settings);
    const text = setting === undefined ? message : `${message}; it is ${told(setting)}`;
    throw error instanceof RangeError ? codedRangeError(CODE, text) : codedTypeError(CODE, text);
  }
}

/** The setting that a message is about: the first that is, or is part of, an option that it names. */
function blame(message: string, settings: readonly Setting[]): Setting | undefined {
  for (const [, quoted] of message.matchAll(/option '([^']*)'/g)) {
    const option = `.${quoted.toLowerCase()}`;
    const named = settings.find(({ key }) => {
      const path = `.${key.toLowerCase().replaceAll(':', '.')}`;
      return option.endsWith(path) || path.startsWith(`.${option.split('.').at(-1) ?? ''}.`);
    });
    if (named !== undefined) return named;
  }
  return settings[0];
}

/** How a setting was made: its value as written, and where. */
function told(setting: Setting | undefined): string {
  if (setting === undefined) return 'set nowhere';
  if (isSecret(setting.key)) return `set by ${setting.source}`;
  const value = typeof setting.value === 'string' ? `'${setting.value}'` : String(setting.value);
  return `set to ${value} by ${setting.source}`;
}

/** Whether a value must not be shown: a key, or what opens one, or what was meant as such. */
function isSecret(key: string): boolean {
  return /pass|secret|(?:^|:)(?:key|pfx|ticketkeys)(?::|$)/i.test(key);
}
