/** Where settings come from: files of the content root, the environment, the command line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument, WindhoverError } from '../http/errors.js';
import type { Setting } from './configuration.js';
import { Configuration } from './configuration.js';
import { readJsonSettings } from './configuration-json.js';
import type { EnvironmentChoice, Variables } from './host-environment.js';
import { resolveEnvironment } from './host-environment.js';
import { MIDDLEWARE_KEYS } from './middleware-configuration.js';
import { nearestName } from './nearest-name.js';
import { SERVER_SECTION, serverOptionNames } from './server-options-table.js';

/** What variables of the environment begin with. */
const PREFIX = 'WINDHOVER_';

/** Names of the first step of a key that mean something to the application itself. */
const HOST_NAMES = [
  SERVER_SECTION,
  'urls',
  'environment',
  'contentRoot',
  'shutdownTimeout',
  'suppressStatusMessages',
  ...MIDDLEWARE_KEYS,
] as const;

/** Which sources are read. */
export interface ConfigurationOptions extends EnvironmentChoice {
  /** The environment. Default `process.env`. */
  readonly variables?: Variables | undefined;
}

/**
 * Reads, each stronger than the one before: `appsettings.json` and `appsettings.{environment}.json` of the
 * content root, where they are there; variables of the environment (`WINDHOVER_`, with `__` between the
 * steps of a key); the command line (`--Key:Of:Setting=value`). Of the last two, options of the server need
 * not be below `Server`: `WINDHOVER_LIMITS__KEEPALIVETIMEOUT=30s`, `--limits:keepAliveTimeout=30s`.
 * Source: WebApplication.CreateBuilder.
 *
 * @throws WindhoverError WH_ERR_INVALID_CONFIGURATION, naming file and line, for a file that cannot be read;
 * TypeError WH_ERR_INVALID_ARGUMENT.
 */
export function loadConfiguration(options: ConfigurationOptions = {}): Configuration {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw invalidArgument('options', 'an object', options);
  }
  const { args = [], variables = process.env } = options;
  if (!Array.isArray(args)) throw invalidArgument('args', 'an array of strings', args);
  const { contentRoot, environmentName } = resolveEnvironment(options, variables);
  const files = ['appsettings.json'];
  // A name with a slash would lead elsewhere.
  if (/^[\w.-]+$/.test(environmentName)) files.push(`appsettings.${environmentName}.json`);
  const fromFiles = files.flatMap((name) => readFileSettings(join(contentRoot, name), name));
  return new Configuration([
    ...fromFiles,
    ...readVariables(variables, fromFiles),
    ...readArguments(args, fromFiles),
  ]);
}

/** Reads a JSON file; nothing where there is none. */
function readFileSettings(path: string, name: string): Setting[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new WindhoverError('WH_ERR_INVALID_CONFIGURATION', `${path} cannot be read`, {
      cause: error,
    });
  }
  return readJsonSettings(text, name);
}

/** Reads the variables that begin with `WINDHOVER_`; empty ones count as not set. */
export function readVariables(variables: Variables, others: readonly Setting[] = []): Setting[] {
  const settings: Setting[] = [];
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined || value === '' || !name.toUpperCase().startsWith(PREFIX)) continue;
    const key = name.slice(PREFIX.length).replaceAll('__', ':');
    // WINDHOVER_SERVER chooses which server it is: see makeDefaultServer.
    if (isKey(key) && key.toUpperCase() !== SERVER_SECTION.toUpperCase()) {
      settings.push({ key, value, source: `the environment variable ${name}` });
    }
  }
  return settings.map((setting) => place(setting, others));
}

/** Reads `--key=value` and `--key value` up to a lone `--`; a key without a value is `true`. */
export function readArguments(args: readonly string[], others: readonly Setting[] = []): Setting[] {
  const settings: Setting[] = [];
  for (let i = 0; i < args.length && args[i] !== '--'; i++) {
    const match = /^--([^=]+)(?:=([^]*))?$/.exec(args[i]);
    if (match === null) continue;
    const [, name, given] = match;
    const key = name.replaceAll('__', ':');
    if (!isKey(key)) continue;
    let value = given as string | undefined;
    if (value === undefined && i + 1 < args.length && !args[i + 1].startsWith('--')) {
      value = args[++i];
    }
    const source = `--${name} on the command line`;
    settings.push({ key, value: value ?? 'true', source });
  }
  return settings.map((setting) => place(setting, others));
}

function isKey(key: string): boolean {
  return key.split(':').every((part) => part !== '');
}

/**
 * An option of the server goes below `Server`. A key of an application goes where it says; where nobody
 * else knows it and it is but a slip away from an option, a warning says so.
 */
function place(setting: Setting, others: readonly Setting[]): Setting {
  const [first] = setting.key.split(':');
  const is = (name: string): boolean => name.toLowerCase() === first.toLowerCase();
  const options = serverOptionNames();
  if (options.some(is)) return { ...setting, key: `${SERVER_SECTION}:${setting.key}` };
  if (HOST_NAMES.some(is) || others.some(({ key }) => is(key.split(':')[0]))) return setting;
  const near = nearestName(first, [...options, ...HOST_NAMES]);
  if (near !== undefined) {
    process.emitWarning(
      `${setting.source} sets '${setting.key}', which is no option of the server: '${near}' is`,
      { code: 'WH_WARN_UNKNOWN_SETTING' },
    );
  }
  return setting;
}
