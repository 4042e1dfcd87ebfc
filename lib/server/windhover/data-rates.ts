/** The least data rates of one request, as its features show them. */
import type { HttpMinRequestBodyDataRateFeature } from '../../features/http-features.js';
import { codedRangeError, invalidArgument } from '../../http/errors.js';
import { Command } from '../../native/generated/shared-layout.js';
import type { LaneLimits } from '../../native/addon.js';
import type { LiveExchange } from './live-exchange.js';

type Rate = HttpMinRequestBodyDataRateFeature['minDataRate'];

/** The core's ranges: see native/core/server/limits.h. */
const GRACE_LEAST = 1001;
const MOST = 2_147_483_647;

export class DataRate implements HttpMinRequestBodyDataRateFeature {
  private own: Rate | undefined = undefined;

  constructor(
    private readonly exchange: LiveExchange,
    private readonly kind: typeof Command.REQUEST_RATE | typeof Command.RESPONSE_RATE,
    private readonly limits: LaneLimits,
  ) {}

  get minDataRate(): Rate {
    this.exchange.ensureLive();
    if (this.own !== undefined) return this.own;
    const name = this.kind === Command.REQUEST_RATE ? 'minRequestBody' : 'minResponse';
    const bytesPerSecond = this.limits[`${name}DataRate.bytesPerSecond`];
    const gracePeriod = this.limits[`${name}DataRate.gracePeriod`];
    return bytesPerSecond === Infinity ? null : { bytesPerSecond, gracePeriod };
  }

  set minDataRate(rate: Rate) {
    this.exchange.ensureLive();
    const { bytesPerSecond, gracePeriod } = rate === null ? NO_RATE : requireRate(rate);
    const { slot, generation } = this.exchange;
    if (rate !== null && slot.isHttp2()) {
      throw invalidArgument(
        'minDataRate',
        "null on HTTP/2, where the rate is the connection's",
        rate,
      );
    }
    slot.host.commands.pair(this.kind, slot.number, generation, bytesPerSecond, gracePeriod);
    this.own = rate === null ? null : { bytesPerSecond, gracePeriod };
  }
}

/** How the core is told that there is none. */
const NO_RATE = { bytesPerSecond: 0, gracePeriod: GRACE_LEAST };

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
