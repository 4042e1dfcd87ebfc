/** The options of a stop, with their defaults. */
import { codedRangeError, codedTypeError } from '../../http/errors.js';
import type { ShutdownOptions } from '../options.js';

const CODE = 'WH_ERR_INVALID_OPTION';

/** The longest delay that a timer takes (ms). */
export const TIMER_MAX = 2_147_483_647;

/** How long a stop waits for running requests unless told otherwise (ms). Source: .NET's HostOptions. */
export const SHUTDOWN_TIMEOUT = 30_000;

/**
 * Long enough for a client that asks without pause, over any network, to ask once more; short enough that
 * nobody minds waiting for idle connections (ms).
 */
const DRAIN_WINDOW = 500;

/** What the options come to (ms). */
export interface Shutdown {
  readonly preStopDelay: number;
  readonly drainWindow: number;
  /** Infinity where there is no limit. */
  readonly timeout: number;
}

const NAMES: ReadonlySet<string> = new Set(['preStopDelay', 'drainWindow', 'timeout']);

/**
 * Checks the options, and fills in the defaults.
 *
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value.
 */
export function toShutdown(options: ShutdownOptions | undefined): Shutdown {
  if (options === undefined) return toShutdown({});
  if (typeof options !== 'object' || (options as unknown) === null || Array.isArray(options)) {
    throw codedTypeError(CODE, `option 'shutdown' must be an object, not ${kindOf(options)}`);
  }
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (value === undefined || NAMES.has(name)) continue;
    const known = [...NAMES].join(', ');
    throw codedTypeError(CODE, `there is no option 'shutdown.${name}'; there are: ${known}`);
  }
  const { preStopDelay = 0, drainWindow = DRAIN_WINDOW, timeout = SHUTDOWN_TIMEOUT } = options;
  requireTime('preStopDelay', preStopDelay);
  requireTime('drainWindow', drainWindow);
  if (timeout === null || timeout === Infinity) {
    return { preStopDelay, drainWindow, timeout: Infinity };
  }
  requireTime('timeout', timeout);
  return { preStopDelay, drainWindow, timeout };
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `of type ${typeof value}`;
}

function requireTime(name: string, value: unknown): void {
  const expected = `a number of milliseconds from 0 to ${String(TIMER_MAX)}`;
  if (typeof value !== 'number') {
    const shown = typeof value === 'string' ? `'${value}'` : kindOf(value);
    throw codedTypeError(CODE, `option 'shutdown.${name}' must be ${expected}, not ${shown}`);
  }
  if (value >= 0 && value <= TIMER_MAX) return;
  throw codedRangeError(
    CODE,
    `option 'shutdown.${name}' must be ${expected}, not ${String(value)}`,
  );
}
