/** The state of an exchange that is made only when somebody needs it. */
import type { ResponseCallback } from '../../features/http-features.js';
import type { WindhoverError } from '../../http/errors.js';
import type { RequestBodyLimit } from './body-limit.js';
import type { ConnectionFeatures } from './connection-features.js';
import type { DataRate } from './data-rates.js';
import type { SendQueue } from './file-sending.js';
import type { Http2Features } from './http2-features.js';
import type { RequestDeadline } from './request-deadline.js';
import type { ResponseTrailers } from './response-trailers.js';
import type { StartingState } from './starting.js';
import type { TlsFeatures } from './tls-features.js';
import type { UpgradeFeature } from './upgrade-feature.js';
import type { UpgradeLink } from './upgrade-link.js';

/** What few exchanges have. */
export class RareState implements StartingState {
  replaced: Map<symbol, unknown> | undefined = undefined;
  connection: ConnectionFeatures | undefined = undefined;
  controller: AbortController | undefined = undefined;
  reasonPhrase: string | undefined = undefined;
  starting: ResponseCallback[] | undefined = undefined;
  pending: Promise<void> | undefined = undefined;
  giveUp: (() => void) | undefined = undefined;
  completed: ResponseCallback[] | undefined = undefined;
  /** Bytes still to come of the declared Content-Length; -1 where none is declared. */
  lengthLeft = -1;
  /** Bytes written since the core last said that there is room. */
  unconfirmed = 0;
  roomWaiters: (() => void)[] = [];
  /** Files, and what is sent behind them. */
  queue: SendQueue | undefined = undefined;
  /** Of an aborted exchange: the status that its request was refused with, or 0. */
  abortStatus = 0;
  bodyLimit: RequestBodyLimit | undefined = undefined;
  responseTrailers: ResponseTrailers | undefined = undefined;
  requestRate: DataRate | undefined = undefined;
  responseRate: DataRate | undefined = undefined;
  deadline: RequestDeadline | undefined = undefined;
  upgrade: UpgradeFeature | undefined = undefined;
  tls: TlsFeatures | undefined = undefined;
  http2: Http2Features | undefined = undefined;
  /** The tunnel that the connection has become; it outlives the exchange. */
  link: UpgradeLink | undefined = undefined;
  /** Why the signal aborted, where the client is still there. */
  timeout: WindhoverError | undefined = undefined;
}
