/** What a request on HTTP/2 has besides, on the native core. */
import type { Duplex } from 'node:stream';
import type {
  Http2StreamIdFeature,
  HttpExtendedConnectFeature,
  HttpResetFeature,
} from '../../features/http2-features.js';
import type { HttpUpgradeFeature } from '../../features/http-features.js';
import { codedRangeError, invalidArgument, WindhoverError } from '../../http/errors.js';
import type { HeaderMap } from '../../http/header-map.js';
import type { SlotHost } from '../../native/slot.js';
import type { LiveExchange } from './live-exchange.js';

/** The greatest error code for which a command has room: those of RFC 9113 end at 13. */
const CODE_MOST = 4094;

/** What the features need of their exchange. */
export interface ResettableExchange extends LiveExchange {
  /** Ends the stream at once; `code` is an error code of HTTP/2. */
  cut(code: number): void;
  upgradeFeature(): HttpUpgradeFeature;
}

export class Http2Features
  implements HttpResetFeature, Http2StreamIdFeature, HttpExtendedConnectFeature
{
  readonly streamId: number;
  readonly protocol: string | undefined;

  constructor(private readonly exchange: ResettableExchange) {
    exchange.ensureLive();
    this.streamId = exchange.slot.requestNumber();
    this.protocol = exchange.slot.connectProtocol();
  }

  get isExtendedConnect(): boolean {
    return this.protocol !== undefined;
  }

  reset(errorCode: number): void {
    checkErrorCode(errorCode);
    this.exchange.cut(errorCode);
  }

  async accept(): Promise<Duplex> {
    this.exchange.ensureLive();
    if (!this.isExtendedConnect) {
      throw new WindhoverError('WH_ERR_NOT_UPGRADABLE', 'The request is no extended CONNECT');
    }
    return this.exchange.upgradeFeature().upgrade();
  }
}

/** @throws TypeError or RangeError WH_ERR_INVALID_ARGUMENT */
export function checkErrorCode(errorCode: unknown): void {
  const expected = `an error code of 0 to ${String(CODE_MOST)}`;
  if (typeof errorCode !== 'number') throw invalidArgument('errorCode', expected, errorCode);
  if (Number.isInteger(errorCode) && errorCode >= 0 && errorCode <= CODE_MOST) return;
  throw codedRangeError(
    'WH_ERR_INVALID_ARGUMENT',
    `errorCode must be ${expected}, not ${String(errorCode)}`,
  );
}

/** Fields of a connection of HTTP/1, which no message on HTTP/2 has (RFC 9113 section 8.2.2). */
const OF_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'upgrade',
]);

/** Takes out of an answer's head what it cannot have on HTTP/2. */
export function dropConnectionFields(headers: HeaderMap, host: SlotHost): void {
  for (const { name, lower } of headers._lines.slice()) {
    if (OF_CONNECTION.has(lower) && headers.delete(name)) host.onFieldDropped(name);
  }
}
