/** Durations and sizes as people write them in configuration. */

/** Milliseconds of each unit of time. */
const TIME_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Bytes of each unit of size. */
const SIZE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};

/** `1.5h`: a number, perhaps blanks, a unit. */
const WITH_UNIT = /^([0-9]+(?:\.[0-9]+)?)[ \t]*([a-z]+)$/i;

/** `[days.]hours:minutes:seconds[.fraction]`. Source: .NET's TimeSpan. */
const CLOCK = /^(?:([0-9]+)\.)?([0-9]{1,2}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?)$/;

/**
 * The milliseconds of `5000`, `'5000'`, `'30s'`, `'1.5h'`, `'250ms'`, `'2m'`, `'1d'` or `'00:02:00'`;
 * `undefined` for anything else.
 */
export function parseDuration(value: unknown): number | undefined {
  const number = parseNumber(value);
  if (number !== undefined || typeof value !== 'string') return number;
  const clock = CLOCK.exec(value.trim());
  if (clock !== null) {
    const [, days = '0', hours, minutes, seconds] = clock;
    if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) >= 60) return undefined;
    const wholeMinutes = (Number(days) * 24 + Number(hours)) * 60 + Number(minutes);
    return tidy(wholeMinutes * 60_000 + Number(seconds) * 1000);
  }
  return parseWithUnit(value, TIME_UNITS);
}

/**
 * The bytes of `4096`, `'4096'`, `'10mb'` (10,000,000) or `'64KiB'` (65,536); `undefined` for anything else.
 */
export function parseSize(value: unknown): number | undefined {
  const number = parseNumber(value);
  if (number !== undefined || typeof value !== 'string') return number;
  return parseWithUnit(value, SIZE_UNITS);
}

/** The number of `5`, `'5'` or `'1.5'`; `undefined` for anything else. */
export function parseNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || !/^-?[0-9]+(?:\.[0-9]+)?$/.test(value.trim())) return undefined;
  return Number(value);
}

/** The boolean of `true`, `'true'` or `'False'`; `undefined` for anything else. */
export function parseBoolean(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string') return undefined;
  const lower = value.trim().toLowerCase();
  return lower === 'true' ? true : lower === 'false' ? false : undefined;
}

function parseWithUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = WITH_UNIT.exec(text.trim());
  if (match === null) return undefined;
  const name = match[2].toLowerCase();
  return Object.hasOwn(units, name) ? tidy(Number(match[1]) * units[name]) : undefined;
}

/** Without what binary fractions leave behind: 1.001 s are 1001 ms. */
function tidy(value: number): number {
  return Number(value.toPrecision(15));
}
