/** What few exchanges have, and the callbacks that run before the start of an answer. */
import type { ResponseCallback } from '../../features/http-features.js';
import type { WindhoverError } from '../../http/errors.js';
import type { RequestBodyLimit } from './body-limit.js';
import type { ConnectionFeatures } from './connection-features.js';
import type { DataRate } from './data-rates.js';
import type { SendQueue } from './file-sending.js';
import type { RequestDeadline } from './request-deadline.js';
import type { ResponseTrailers } from './response-trailers.js';
import type { UpgradeFeature } from './upgrade-feature.js';
import type { UpgradeLink } from './upgrade-link.js';

/** What few exchanges have. */
export class RareState {
  replaced: Map<symbol, unknown> | undefined = undefined;
  connection: ConnectionFeatures | undefined = undefined;
  controller: AbortController | undefined = undefined;
  reasonPhrase: string | undefined = undefined;
  starting: ResponseCallback[] | undefined = undefined;
  /** Settles when those that were running have run. */
  pending: Promise<void> | undefined = undefined;
  /** Settles `pending` before its time. */
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
  /** The tunnel that the connection has become; it outlives the exchange. */
  link: UpgradeLink | undefined = undefined;
  /** Why the signal aborted, where the client is still there. */
  timeout: WindhoverError | undefined = undefined;
}

/**
 * Runs what was registered with onStarting, the last first. While that takes time, everybody who wants
 * to send waits for the same promise, and so in the order in which they came.
 */
export function runStarting(rare: RareState): Promise<void> | undefined {
  const callbacks = rare.starting;
  if (callbacks === undefined) return rare.pending;
  rare.starting = undefined;
  for (let callback = callbacks.pop(); callback !== undefined; callback = callbacks.pop()) {
    const result = callback();
    if (result !== undefined) {
      // A callback that waits for what waits for it must not hold the request for ever.
      return (rare.pending = new Promise((resolve, reject) => {
        rare.giveUp = resolve;
        runStartingAfter(result, callbacks).then(resolve, reject);
      }));
    }
  }
  return undefined;
}

async function runStartingAfter(
  first: Promise<void>,
  callbacks: ResponseCallback[],
): Promise<void> {
  await first;
  for (let callback = callbacks.pop(); callback !== undefined; callback = callbacks.pop()) {
    await callback();
  }
}

/** A promise that nobody need wait for: what it fails with reaches the end of the request as well. */
export function noticed(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined);
  return promise;
}
