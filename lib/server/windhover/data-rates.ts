/** The least data rates of one request, as its features show them. */
import type { HttpMinRequestBodyDataRateFeature } from '../../features/http-features.js';
import { codedRangeError, invalidArgument } from '../../http/errors.js';
import { Command } from '../../native/generated/shared-layout.js';
import type { LaneOptions } from '../../native/addon.js';
import type { LiveExchange } from './live-exchange.js';

type Rate = HttpMinRequestBodyDataRateFeature['minDataRate'];

/** The core's ranges: see native/core/server/limits.h. */
const GRACE_LEAST = 1001;
const MOST = 2_147_483_647;
/** Kestrel's defaults. */
const DEFAULT_RATE = 240;
const DEFAULT_GRACE = 5000;

export class DataRate implements HttpMinRequestBodyDataRateFeature {
  private own: Rate | undefined = undefined;

  constructor(
    private readonly exchange: LiveExchange,
    private readonly kind: typeof Command.REQUEST_RATE | typeof Command.RESPONSE_RATE,
    private readonly options: LaneOptions,
  ) {}

  get minDataRate(): Rate {
    this.exchange.ensureLive();
    if (this.own !== undefined) return this.own;
    const name = this.kind === Command.REQUEST_RATE ? 'minRequestBody' : 'minResponse';
    const bytes = this.options[`${name}DataRate.bytesPerSecond`] ?? DEFAULT_RATE;
    const grace = this.options[`${name}DataRate.gracePeriod`] ?? DEFAULT_GRACE;
    if (this.options[`${name}DataRate.bytesPerSecond`] === null || bytes === Infinity) return null;
    return { bytesPerSecond: Number(bytes), gracePeriod: Number(grace) };
  }

  set minDataRate(rate: Rate) {
    this.exchange.ensureLive();
    const { bytesPerSecond, gracePeriod } = rate === null ? NO_RATE : requireRate(rate);
    const { slot, generation } = this.exchange;
    slot.host.commands.pair(this.kind, slot.number, generation, bytesPerSecond, gracePeriod);
    this.own = rate === null ? null : { bytesPerSecond, gracePeriod };
  }
}

/** How the core is told that there is none. */
const NO_RATE = { bytesPerSecond: 0, gracePeriod: DEFAULT_GRACE };

function requireRate(rate: unknown): NonNullable<Rate> {
  if (typeof rate !== 'object' || rate === null) {
    throw invalidArgument('minDataRate', 'an object or null', rate);
  }
  const { bytesPerSecond, gracePeriod } = rate as NonNullable<Rate>;
  requireInteger('minDataRate.bytesPerSecond', 1, bytesPerSecond);
  requireInteger('minDataRate.gracePeriod', GRACE_LEAST, gracePeriod);
  return { bytesPerSecond, gracePeriod };
}

function requireInteger(name: string, least: number, value: unknown): void {
  const expected = `a whole number from ${String(least)} to ${String(MOST)}`;
  if (typeof value !== 'number') throw invalidArgument(name, expected, value);
  if (Number.isInteger(value) && value >= least && value <= MOST) return;
  throw codedRangeError(
    'WH_ERR_INVALID_ARGUMENT',
    `${name} must be ${expected}, not ${String(value)}`,
  );
}
