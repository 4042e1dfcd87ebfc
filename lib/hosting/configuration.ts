/** Settings by key, from files, the environment and the command line. */
import { codedTypeError, invalidArgument } from '../http/errors.js';
import { parseBoolean, parseDuration, parseNumber, parseSize } from './configuration-units.js';

/** What a setting can be. */
export type Scalar = string | number | boolean | null;

/** One setting, and where it was set. */
export interface Setting {
  /** Its key, its parts divided by colons, as it was written. */
  readonly key: string;
  readonly value: Scalar;
  /** For messages, such as `appsettings.json:12`. */
  readonly source: string;
}

/**
 * Settings by key. A key is a path with colons (`Server:Limits:KeepAliveTimeout`), in any case of letters;
 * members of arrays have numbers (`origins:0`). Where several sources set a key, the last one counts.
 * Source: .NET's IConfiguration.
 */
export class Configuration {
  /** By key in lower case. */
  private readonly settings = new Map<string, Setting>();

  /** @param settings - In the order of their strength, the weakest first. */
  constructor(settings: Iterable<Setting> = []) {
    for (const setting of settings) this.add(setting);
  }

  /**
   * The value as it stands there: a file has strings, numbers, booleans and `null`, everything else has
   * strings. `undefined` where it is not set, or is a section.
   */
  get(key: string): Scalar | undefined {
    return this.find(key)?.value;
  }

  /** The value as text; `fallback` where it is not set or `null`. */
  getString(key: string): string | undefined;
  getString(key: string, fallback: string): string;
  getString(key: string, fallback?: string): string | undefined {
    const value = this.get(key) ?? undefined;
    return value === undefined ? fallback : String(value);
  }

  /**
   * The value as a number; `fallback` where it is not set or `null`.
   *
   * @throws TypeError WH_ERR_INVALID_CONFIGURATION, naming key, value and source.
   */
  getNumber(key: string): number | undefined;
  getNumber(key: string, fallback: number): number;
  getNumber(key: string, fallback?: number): number | undefined {
    return this.convert(key, parseNumber, 'a number') ?? fallback;
  }

  /** The value as a boolean. As {@link getNumber}. */
  getBoolean(key: string): boolean | undefined;
  getBoolean(key: string, fallback: boolean): boolean;
  getBoolean(key: string, fallback?: boolean): boolean | undefined {
    return this.convert(key, parseBoolean, 'true or false') ?? fallback;
  }

  /** The value as milliseconds: a number, `'30s'`, `'1.5h'`, `'00:02:00'`. As {@link getNumber}. */
  getDuration(key: string): number | undefined;
  getDuration(key: string, fallback: number): number;
  getDuration(key: string, fallback?: number): number | undefined {
    const expected = "a duration such as 30000, '30s' or '00:00:30'";
    return this.convert(key, parseDuration, expected) ?? fallback;
  }

  /** The value as bytes: a number, `'10mb'`, `'64KiB'`. As {@link getNumber}. */
  getSize(key: string): number | undefined;
  getSize(key: string, fallback: number): number;
  getSize(key: string, fallback?: number): number | undefined {
    return this.convert(key, parseSize, "a size such as 65536, '10mb' or '64KiB'") ?? fallback;
  }

  /** What stands below a key, with keys that begin there. */
  getSection(key: string): Configuration {
    const prefix = `${checkKey(key).toLowerCase()}:`;
    return new Configuration(
      [...this.settings]
        .filter(([lower]) => lower.startsWith(prefix))
        .map(([, setting]) => ({ ...setting, key: setting.key.slice(prefix.length) })),
    );
  }

  /** The names of the settings and sections right below here, as they were first written. */
  getNames(): string[] {
    const names = new Map<string, string>();
    for (const { key } of this.settings.values()) {
      const [name] = key.split(':');
      if (!names.has(name.toLowerCase())) names.set(name.toLowerCase(), name);
    }
    return [...names.values()];
  }

  /** Whether there is a value or a section. */
  has(key: string): boolean {
    return this.find(key) !== undefined || this.getSection(key).settings.size > 0;
  }

  /** Where a value was set, for messages; `undefined` where it is not set. */
  getSource(key: string): string | undefined {
    return this.find(key)?.source;
  }

  /** All settings, with their keys from here. */
  [Symbol.iterator](): Iterator<Setting> {
    return this.settings.values();
  }

  private find(key: string): Setting | undefined {
    return this.settings.get(checkKey(key).toLowerCase());
  }

  /** A value takes the place of the section of its key, and a section that of a value. */
  private add(setting: Setting): void {
    const lower = setting.key.toLowerCase();
    for (const other of [...this.settings.keys()]) {
      if (other.startsWith(`${lower}:`) || lower.startsWith(`${other}:`)) {
        this.settings.delete(other);
      }
    }
    this.settings.set(lower, setting);
  }

  private convert<T>(
    key: string,
    parse: (value: unknown) => T | undefined,
    expected: string,
  ): T | undefined {
    const setting = this.find(key);
    if (setting === undefined || setting.value === null) return undefined;
    const parsed = parse(setting.value);
    if (parsed !== undefined) return parsed;
    const value = typeof setting.value === 'string' ? `'${setting.value}'` : String(setting.value);
    throw codedTypeError(
      'WH_ERR_INVALID_CONFIGURATION',
      `setting '${key}' must be ${expected}, not ${value} (${setting.source})`,
    );
  }
}

function checkKey(key: unknown): string {
  if (typeof key !== 'string' || key === '') throw invalidArgument('key', 'a key', key);
  return key;
}
