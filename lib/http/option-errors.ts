/** What is wrong with an option, said with its name and its value. */
import { codedRangeError, codedTypeError } from './errors.js';

/** The code of every error about an option. */
export const CODE = 'WH_ERR_INVALID_OPTION';

/** A value as a person would write it, for messages. */
export function show(value: unknown): string {
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

export function wrongType(name: string, expected: string, value: unknown): TypeError {
  return codedTypeError(CODE, `option '${name}' must be ${expected}, not ${show(value)}`);
}

export function wrongValue(name: string, expected: string, value: unknown): RangeError {
  return codedRangeError(CODE, `option '${name}' must be ${expected}, not ${show(value)}`);
}

export function requireObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(name, 'an object', value);
  }
}

export function requireString(name: string, value: unknown): void {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
}

export function requireBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw wrongType(name, 'a boolean', value);
}

export function requireInteger(name: string, most: number, value: unknown, least = 0): void {
  const expected = `a whole number from ${String(least)} to ${String(most)}`;
  if (typeof value !== 'number') throw wrongType(name, expected, value);
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw codedRangeError(CODE, `option '${name}' must be ${expected}, not ${String(value)}`);
}

export function requireFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw wrongType(name, 'a function', value);
}

/** An array of strings; whatever else is true of them is checked elsewhere. */
export function requireStrings(name: string, value: unknown): void {
  if (!Array.isArray(value)) throw wrongType(name, 'an array of strings', value);
  value.forEach((member, i) => {
    requireString(`${name}[${String(i)}]`, member);
  });
}

/** Refuses names that there are not. An option that is `undefined` is not given. */
export function refuseUnknown(options: object, known: ReadonlySet<string>, prefix: string): void {
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (value === undefined || known.has(name)) continue;
    throw codedTypeError(
      CODE,
      `there is no option '${prefix}${name}'; there are: ${[...known].join(', ')}`,
    );
  }
}
