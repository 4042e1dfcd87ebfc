/**
 * What a server tells of its work: to the channels of node:diagnostics_channel while somebody listens, to
 * the logger if there is one, and to the console what has no other place.
 */
import type { FeatureCollection } from '../../features/feature-collection.js';
import type { FloodedConnection, RefusedRequest } from '../../native/refused-request.js';
import { RefusalsTold } from '../../native/native-server.js';
import type { RequestMessage, RequestRefusedMessage } from '../diagnostics.js';
import { channels } from '../diagnostics.js';
import type { Logger } from '../log-events.js';
import { logEvent, LogEvents } from '../log-events.js';
import type { Server } from '../server.js';
import { connectionName } from './connection-features.js';

/** A request and its answer, as far as they are watched. */
export interface ObservedExchange extends FeatureCollection {
  readonly slot: { method(): string; target(): string; protocol(): string };
  readonly aborted: boolean;
  readonly timedOut: boolean;
  readonly abortStatus: number;
  readonly statusCode: number;
}

/** A request that somebody watches. */
class ObservedRequest implements RequestMessage {
  readonly method: string;
  readonly rawTarget: string;
  readonly protocol: string;
  readonly startTime = performance.now();
  duration: number | undefined = undefined;
  statusCode: number | undefined = undefined;
  aborted: boolean | undefined = undefined;
  timedOut: boolean | undefined = undefined;
  error: unknown = undefined;

  constructor(
    readonly server: Server,
    readonly context: unknown,
    readonly features: ObservedExchange,
  ) {
    const { slot } = features;
    this.method = slot.method();
    this.rawTarget = slot.target();
    this.protocol = slot.protocol();
  }
}

export class Observer {
  /** Whether requests that start now are watched; looked at once per batch. */
  watchesRequests = false;
  /** How many are watched and have not ended. */
  watching = 0;
  private toldDropped = false;
  private readonly watched = new Map<ObservedExchange, ObservedRequest>();

  constructor(
    private readonly server: Server,
    readonly logger: Logger | undefined,
  ) {}

  /** Looks at who listens. */
  refresh(): RefusalsTold {
    this.watchesRequests =
      channels.requestStart.hasSubscribers || channels.requestStop.hasSubscribers;
    return this.wantsRefusals() ? RefusalsTold.ALL : RefusalsTold.SAMPLES;
  }

  /** A request is about to reach the application. */
  requestStarted(exchange: ObservedExchange, context: unknown): void {
    const request = new ObservedRequest(this.server, context, exchange);
    this.watched.set(exchange, request);
    this.watching++;
    channels.requestStart.publish(request);
  }

  /** The application is done with a request, its answer is ordered. */
  requestEnded(exchange: ObservedExchange, error: unknown): void {
    const request = this.watched.get(exchange);
    if (request === undefined) return;
    this.watched.delete(exchange);
    this.watching--;
    request.duration = performance.now() - request.startTime;
    request.aborted = exchange.aborted;
    request.timedOut = exchange.timedOut;
    request.statusCode = exchange.abortStatus || exchange.statusCode;
    request.error = error;
    channels.requestStop.publish(request);
  }

  requestRefused(refused: RefusedRequest): void {
    if (!this.wantsRefusals()) return;
    const { connectionNumber, status, ...told } = refused;
    this.tellRefused({
      ...told,
      statusCode: status,
      connectionId: connectionNumber === 0 ? '' : connectionName(connectionNumber),
    });
  }

  /** A server that is not the core's has refused a request. */
  nodeRefused(details: Omit<RequestRefusedMessage, 'server'>): void {
    if (this.wantsRefusals()) this.tellRefused(details);
  }

  private tellRefused(details: Omit<RequestRefusedMessage, 'server'>): void {
    if (channels.requestRefused.hasSubscribers) {
      channels.requestRefused.publish({ server: this.server, ...details });
    }
    const isTimeout = details.reason === 'requestHeadersTimeout';
    logEvent(
      this.logger,
      isTimeout ? LogEvents.requestHeadersTimeout : LogEvents.requestRefused,
      details,
    );
  }

  connectionFlooded({ connectionNumber, ...told }: FloodedConnection): void {
    const details = {
      ...told,
      connectionId: connectionNumber === 0 ? '' : connectionName(connectionNumber),
    };
    if (channels.http2Flood.hasSubscribers) {
      channels.http2Flood.publish({ server: this.server, ...details });
    }
    logEvent(this.logger, LogEvents.http2Flood, details);
  }

  /** A field that only HTTP/1 has was left out of an answer on HTTP/2: told once, or a log would be full of it. */
  fieldDropped(name: string): void {
    if (this.toldDropped) return;
    this.toldDropped = true;
    logEvent(this.logger, LogEvents.invalidResponseHeaderRemoved, { field: name });
  }

  serverStarted(addresses: readonly string[]): void {
    for (const address of addresses) logEvent(this.logger, LogEvents.listening, { address });
    logEvent(this.logger, LogEvents.started, { addresses: [...addresses] });
    channels.serverStart.publish({ server: this.server, addresses: [...addresses] });
  }

  serverStopping(): void {
    logEvent(this.logger, LogEvents.stopping);
  }

  /** @param left - What was aborted, if the stop did not wait for it. */
  serverStopped(left: { readonly connections: number; readonly requests: number }): void {
    const forced = left.connections > 0 || left.requests > 0;
    if (forced) logEvent(this.logger, LogEvents.stopForced, left);
    logEvent(this.logger, LogEvents.stopped);
    channels.serverStop.publish({ server: this.server, forced });
  }

  /** A handler failed, and its application has no way to hear of it. */
  applicationFailed(exchange: ObservedExchange, error: unknown): void {
    const { slot } = exchange;
    logEvent(this.logger, LogEvents.applicationError, {
      err: error,
      method: slot.method(),
      target: slot.target(),
    });
  }

  /** Something failed that the application does beside its handlers. */
  callbackFailed(error: unknown): void {
    if (this.logger !== undefined) {
      logEvent(this.logger, LogEvents.callbackFailed, { err: error });
      return;
    }
    try {
      console.error('windhover: a callback of the application failed:', error);
    } catch {
      // An error that cannot be shown, or a console that fails, must not cost more than the report.
    }
  }

  private wantsRefusals(): boolean {
    return (
      this.logger !== undefined ||
      channels.requestRefused.hasSubscribers ||
      channels.http2Flood.hasSubscribers
    );
  }
}
