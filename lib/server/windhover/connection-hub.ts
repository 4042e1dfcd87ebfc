/** Runs the connection middleware of a server's endpoints. */
import { getSystemErrorName } from 'node:util';
import { WindhoverError } from '../../http/errors.js';
import type { LaneConnection } from '../../native/addon.js';
import { ConnectionNews, CloseReason } from '../../native/generated/shared-layout.js';
import type { ConnectionHandler } from '../../native/native-server.js';
import type {
  Connection,
  ConnectionEnd,
  ConnectionEndReason,
  ConnectionMiddleware,
} from '../connections.js';
import { logEvent, LogEvents } from '../log-events.js';
import type { ServerOptions } from '../options.js';
import { connectionName } from './connection-features.js';
import type { Observer } from './observer.js';

/** What the hub needs of a native server. */
export interface WatchedConnections {
  connection(handle: number): LaneConnection | null;
  forgetConnection(handle: number): void;
  decideConnection(handle: number, admit: boolean): void;
  nextBytes(): ArrayBuffer | null;
}

/** A connection that is open, or waits for its filters. */
interface Known {
  readonly connection: Connection;
  readonly use: readonly ConnectionMiddleware[];
  /** Its observers were told; until then it may still be refused. */
  isOpened: boolean;
  /** What came before they were. */
  early: Uint8Array[];
}

const REASONS: Readonly<Record<number, ConnectionEndReason>> = {
  [CloseReason.CLIENT_CLOSED]: 'client_closed',
  [CloseReason.CONNECTION_RESET]: 'connection_reset',
  [CloseReason.KEEP_ALIVE_TIMEOUT]: 'keep_alive_timeout',
  [CloseReason.REQUEST_HEADERS_TIMEOUT]: 'request_headers_timeout',
  [CloseReason.MIN_REQUEST_BODY_DATA_RATE]: 'min_request_body_data_rate',
  [CloseReason.MIN_RESPONSE_DATA_RATE]: 'min_response_data_rate',
  [CloseReason.ABORTED_BY_APP]: 'aborted_by_app',
  [CloseReason.SERVER_STOPPED]: 'server_stopped',
};

export class ConnectionHub implements ConnectionHandler {
  private readonly known = new Map<number, Known>();
  /** The middleware of the core's endpoints, in the order in which it listens on them. */
  private readonly endpoints: (readonly ConnectionMiddleware[])[] = [];
  private native: WatchedConnections | undefined = undefined;

  constructor(
    private readonly options: ServerOptions,
    private readonly observer: Observer,
  ) {}

  /** The server whose connections these are. */
  attach(native: WatchedConnections): void {
    this.native = native;
  }

  /** The core listens on one more endpoint. */
  addEndpoint(use: readonly ConnectionMiddleware[]): void {
    this.endpoints.push(use);
  }

  onConnection(news: number, handle: number, a: number): void {
    switch (news) {
      case ConnectionNews.OPENED:
        this.open(handle, a === 1);
        break;
      case ConnectionNews.CLOSED:
        this.close(handle);
        break;
      case ConnectionNews.BYTES:
        this.passOn(handle, a === 1);
        break;
      case ConnectionNews.ACCEPT_PAUSED:
        this.paused(a);
        break;
      case ConnectionNews.ACCEPT_RESUMED:
        this.resumed(a);
        break;
    }
  }

  /** The server has closed all its connections: tells of those whose ends were not told. */
  closeAll(): void {
    for (const handle of [...this.known.keys()]) this.close(handle);
  }

  private open(handle: number, asks: boolean): void {
    const facts = this.native?.connection(handle);
    if (facts == null) return;
    const connection = describe(facts);
    const known = { connection, use: this.endpoints[facts[1]], isOpened: false, early: [] };
    this.known.set(handle, known);
    if (asks) void this.ask(handle, known);
    else this.tellOpened(known);
  }

  /** Asks the filters one after the other, until one says no. */
  private async ask(handle: number, known: Known): Promise<void> {
    let admit = true;
    try {
      for (const middleware of known.use) {
        if (middleware.filter === undefined) continue;
        const answer: unknown = middleware.filter(known.connection);
        // A filter that knows at once does not make the connection wait for a microtask.
        admit = (answer instanceof Promise ? await answer : answer) === true;
        if (!admit) break;
      }
    } catch (error) {
      admit = false;
      this.observer.callbackFailed(error);
    }
    if (this.known.get(handle) !== known) return; // it is gone, and its handle may be another's
    if (admit) this.tellOpened(known);
    else this.known.delete(handle);
    this.native?.decideConnection(handle, admit);
  }

  private tellOpened(known: Known): void {
    known.isOpened = true;
    for (const middleware of known.use) this.call(() => middleware.opened?.(known.connection));
    for (const bytes of known.early) this.tellBytes(known, bytes, false);
    known.early = [];
  }

  private close(handle: number): void {
    const known = this.known.get(handle);
    const facts = this.native?.connection(handle);
    this.known.delete(handle);
    this.native?.forgetConnection(handle);
    if (known?.isOpened !== true || facts == null) return;
    const [, , , reason, duration, bytesReceived, bytesSent, requests] = facts;
    const end: ConnectionEnd = {
      reason: REASONS[reason] ?? 'server_closed',
      duration,
      bytesReceived,
      bytesSent,
      requests,
    };
    for (const middleware of known.use) this.call(() => middleware.closed?.(known.connection, end));
  }

  private passOn(handle: number, isSent: boolean): void {
    const memory = this.native?.nextBytes();
    const known = this.known.get(handle);
    if (memory == null || known === undefined) return;
    const bytes = new Uint8Array(memory);
    if (known.isOpened) this.tellBytes(known, bytes, isSent);
    else known.early.push(bytes);
  }

  private tellBytes(known: Known, bytes: Uint8Array, isSent: boolean): void {
    for (const middleware of known.use) {
      // Each has its own: one that writes into it must not change what the next one sees.
      this.call(() => {
        if (isSent) middleware.sent?.(known.connection, bytes.slice());
        else middleware.received?.(known.connection, bytes.slice());
      });
    }
  }

  private paused(number: number): void {
    const name = nameOf(number);
    const cause = Object.assign(new Error(name), { code: name, errno: -number });
    const error = new WindhoverError(
      'WH_ERR_ACCEPT_PAUSED',
      `no connection can be accepted (${name}); it is tried again every 100 ms`,
      { cause },
    );
    const { logger, onAcceptPaused } = this.options;
    logEvent(logger, LogEvents.acceptPaused, { err: error, reason: name });
    if (onAcceptPaused === undefined && logger === undefined) say(error.message);
    this.call(() => onAcceptPaused?.(error));
  }

  private resumed(pausedFor: number): void {
    const { logger, onAcceptResumed } = this.options;
    logEvent(logger, LogEvents.acceptResumed, { pausedFor });
    if (onAcceptResumed === undefined && logger === undefined) {
      say(`connections are accepted again, after ${String(pausedFor)} ms`);
    }
    this.call(() => {
      onAcceptResumed?.(pausedFor);
    });
  }

  private call(hook: () => void): void {
    try {
      hook();
    } catch (error) {
      this.observer.callbackFailed(error);
    }
  }
}

/** Where there is neither a callback nor a logger. */
function say(message: string): void {
  try {
    console.error(`windhover: ${message}`);
  } catch {
    // A console that fails must not cost more than the line.
  }
}

function nameOf(number: number): string {
  try {
    return getSystemErrorName(-number);
  } catch {
    return `error ${String(number)}`;
  }
}

function describe(facts: LaneConnection): Connection {
  const [number, , , , , , , , remoteAddress, remotePort, localAddress, localPort] = facts;
  const [socketRemote, socketRemotePort, socketLocal, socketLocalPort] = facts.slice(12) as [
    string,
    number,
    string,
    number,
  ];
  return {
    id: connectionName(number),
    remoteAddress: remoteAddress === '' ? undefined : remoteAddress,
    remotePort,
    localAddress: localAddress === '' ? undefined : localAddress,
    localPort,
    socket: {
      remoteAddress: socketRemote === '' ? undefined : socketRemote,
      remotePort: socketRemotePort,
      localAddress: socketLocal === '' ? undefined : socketLocal,
      localPort: socketLocalPort,
    },
  };
}
