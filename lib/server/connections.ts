/** What an application can do with connections, besides serving the requests on them. */

/** The two ends of a connection. */
export interface ConnectionEnds {
  /** The peer's IP address; `undefined` on a Unix socket. */
  readonly remoteAddress: string | undefined;
  /** The peer's port; 0 on a Unix socket. */
  readonly remotePort: number;
  /** The address that the peer connected to; `undefined` on a Unix socket. */
  readonly localAddress: string | undefined;
  /** The port that the peer connected to; 0 on a Unix socket. */
  readonly localPort: number;
}

/** A connection, as {@link ConnectionMiddleware} sees it. With a PROXY header its ends are what that told. */
export interface Connection extends ConnectionEnds {
  /** As `context.connection.id` of the requests on it. */
  readonly id: string;
  /** The ends of the socket itself, whatever a PROXY header told. */
  readonly socket: ConnectionEnds;
}

/** Why a connection ended. Source: `error.type` of Kestrel's connection metrics, where it has one. */
export type ConnectionEndReason =
  /** After an answer that ends it, or a refusal. */
  | 'server_closed'
  | 'client_closed'
  | 'connection_reset'
  | 'keep_alive_timeout'
  | 'request_headers_timeout'
  | 'min_request_body_data_rate'
  | 'min_response_data_rate'
  /** A handler aborted a request, or an answer could not be completed. */
  | 'aborted_by_app'
  | 'server_stopped';

/** What a connection was, told at its end. */
export interface ConnectionEnd {
  readonly reason: ConnectionEndReason;
  /** From accept to end (ms; the clock moves in steps of about 4). */
  readonly duration: number;
  /** Bytes of the socket in both directions, without a PROXY header. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Requests that came on it. */
  readonly requests: number;
}

/**
 * Looks at the connections of an endpoint: `endpoints: [{ port: 80, use: [middleware] }]`. All members are
 * optional, and what is not there costs nothing. What they throw is logged as CallbackFailed, or
 * written to console.error.
 *
 * A connection that a filter, a list or its PROXY header kept out is never told as opened or closed.
 * Source: Kestrel's connection middleware; the bytes themselves cannot be changed.
 */
export interface ConnectionMiddleware {
  /**
   * Whether the connection may come in; asked before any byte of HTTP is read, and it waits unread for the
   * answer (at most `limits.keepAliveTimeout`). Anything but `true` closes it, and so does a throw.
   */
  filter?(connection: Connection): boolean | Promise<boolean>;
  /** The connection has come in. */
  opened?(connection: Connection): void;
  /** It is over. Called once for each that was opened. */
  closed?(connection: Connection, end: ConnectionEnd): void;
  /** Bytes came, before they are parsed. The array belongs to the middleware. Costs a copy. */
  received?(connection: Connection, bytes: Uint8Array): void;
  /**
   * Bytes were handed to the system, other than those of files, which it reads itself. The array belongs to
   * the middleware. Costs a copy.
   */
  sent?(connection: Connection, bytes: Uint8Array): void;
}

/** What {@link connectionLogging} writes to: pino's and console's loggers have it. */
export interface DebugLogger {
  debug(message: string): void;
}

/** Bytes in a line of the log. */
const BYTES_PER_LINE = 16;

/** Bytes as a person reads them: sixteen a line, in hexadecimal and as ASCII. */
export function dump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += BYTES_PER_LINE) {
    const line = bytes.subarray(at, at + BYTES_PER_LINE);
    let hex = '';
    let ascii = '';
    for (const byte of line) {
      hex += `${byte.toString(16).toUpperCase().padStart(2, '0')} `;
      ascii += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
    }
    lines.push(`${hex.padEnd(BYTES_PER_LINE * 3)} ${ascii}`);
  }
  return lines.join('\n');
}

/**
 * Logs every byte of every connection, in hexadecimal and as ASCII, and when connections open and close.
 * For looking for faults: it shows passwords and cookies as well. Source: Kestrel's UseConnectionLogging.
 *
 * @param logger - Its `debug` gets each entry. Default: `console`.
 * @param name - What entries begin with.
 */
export function connectionLogging(
  logger: DebugLogger = console,
  name = 'windhover.connection',
): ConnectionMiddleware {
  const log = ({ id }: Connection, what: string): void => {
    logger.debug(`${name} ${id} ${what}`);
  };
  return {
    opened: (connection) => {
      const { remoteAddress = 'unix', remotePort } = connection;
      log(connection, `opened from ${remoteAddress} port ${String(remotePort)}`);
    },
    received: (connection, bytes) => {
      log(connection, `received ${String(bytes.length)} bytes\n${dump(bytes)}`);
    },
    sent: (connection, bytes) => {
      log(connection, `sent ${String(bytes.length)} bytes\n${dump(bytes)}`);
    },
    closed: (connection, { reason, duration, requests }) => {
      const facts = `${String(requests)} requests, ${String(duration)} ms`;
      log(connection, `closed: ${reason}, ${facts}`);
    },
  };
}
