/** The limits that a server on node:http keeps, with the core's defaults and ranges (native/core/server/limits.h). */
import { codedRangeError } from '../../http/errors.js';
import type { ServerLimits } from '../options.js';
import { CODE, wrongType } from '../../http/option-errors.js';

/** The greatest time, and number of connections, that the core takes. */
const INT32_MAX = 2_147_483_647;

/** A limit: its default, its range, and whether there can be none. */
interface Row {
  readonly initial: number;
  readonly least: number;
  readonly greatest: number;
  readonly canBeUnlimited: boolean;
}

const row = (initial: number, least: number, greatest: number, canBeUnlimited = false): Row => ({
  initial,
  least,
  greatest,
  canBeUnlimited,
});

/** By the option's name; a test compares them with the core's. */
export const NODE_LIMITS = {
  maxRequestLineSize: row(8_192, 64, 2 ** 20),
  maxRequestHeadersTotalSize: row(32_768, 64, 2 ** 24),
  maxRequestHeaderCount: row(100, 1, 10_000),
  maxRequestBodySize: row(30_000_000, 0, Infinity, true),
  maxResponseBufferSize: row(65_536, 0, Infinity, true),
  keepAliveTimeout: row(130_000, 1, INT32_MAX, true),
  requestHeadersTimeout: row(30_000, 1, INT32_MAX, true),
  handshakeTimeout: row(10_000, 1, INT32_MAX, true),
  requestBodyDrainTimeout: row(5_000, 1, INT32_MAX),
  lingerTimeout: row(5_000, 1, INT32_MAX),
  requestTimeout: row(Infinity, 1, INT32_MAX, true),
  maxConcurrentUpgradedConnections: row(Infinity, 0, Infinity, true),
  maxConcurrentConnections: row(Infinity, 1, INT32_MAX, true),
  connectionLimitRetryAfter: row(5, 0, 86_400),
} as const satisfies Partial<Record<keyof ServerLimits, Row>>;

/** The same of HTTP/2. */
export const NODE_HTTP2_LIMITS = {
  maxStreamsPerConnection: row(100, 1, INT32_MAX),
  headerTableSize: row(4_096, 0, 2 ** 20),
  maxFrameSize: row(16_384, 16_384, 16_777_215),
  initialConnectionWindowSize: row(1_048_576, 65_535, INT32_MAX),
  initialStreamWindowSize: row(786_432, 65_535, INT32_MAX),
} as const satisfies Record<string, Row>;

/** What holds; Infinity where there is no limit. */
export type NodeLimits = Readonly<Record<keyof typeof NODE_LIMITS, number>> & {
  readonly http2: Readonly<Record<keyof typeof NODE_HTTP2_LIMITS, number>>;
};

/**
 * Checks the values and fills in the defaults.
 *
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value.
 */
export function toNodeLimits(limits: ServerLimits): NodeLimits {
  return {
    ...readAll('limits.', NODE_LIMITS, { ...limits }),
    http2: readAll('limits.http2.', NODE_HTTP2_LIMITS, { ...limits.http2 }),
  };
}

function readAll<N extends string>(
  prefix: string,
  rows: Readonly<Record<N, Row>>,
  given: Readonly<Partial<Record<string, unknown>>>,
): Record<N, number> {
  const names = Object.keys(rows) as N[];
  const values = names.map((name) => [name, read(prefix + name, rows[name], given[name])] as const);
  return Object.fromEntries(values) as Record<N, number>;
}

function read(name: string, limit: Row, value: unknown): number {
  const { initial, least, greatest, canBeUnlimited } = limit;
  if (value === undefined) return initial;
  if (canBeUnlimited && (value === null || value === Infinity)) return Infinity;
  const most = greatest === Infinity ? '' : ` to ${String(greatest)}`;
  const expected = `a whole number from ${String(least)}${most}${canBeUnlimited ? ', or null' : ''}`;
  if (typeof value !== 'number') throw wrongType(name, expected, value);
  if (Number.isSafeInteger(value) && value >= least && value <= greatest) return value;
  throw codedRangeError(CODE, `option '${name}' must be ${expected}, not ${String(value)}`);
}
