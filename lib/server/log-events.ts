/**
 * Every event that a server logs, with its id: ids and names stay the same from release to release, texts
 * may change. Ids below 1,000 are Kestrel's for the same event (its KestrelTrace).
 */

/** A logger such as pino's: each method takes an object of details, and a text. */
export interface Logger {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** What stands for one event in the table. */
export interface LogEvent {
  readonly id: number;
  readonly name: string;
  readonly level: keyof Logger;
  readonly message: string;
}

/** The table. What each carries besides `eventId` and `event`: docs/observability.md. */
export const LogEvents = {
  applicationError: {
    id: 13,
    name: 'ApplicationError',
    level: 'error',
    message: 'A handler of the application failed',
  },
  stopForced: {
    id: 16,
    name: 'NotAllConnectionsClosedGracefully',
    level: 'warn',
    message: 'Requests or connections were left when the time to stop was over: they were aborted',
  },
  requestRefused: {
    id: 17,
    name: 'RequestRefused',
    level: 'debug',
    message: 'A request was refused',
  },
  invalidResponseHeaderRemoved: {
    id: 41,
    name: 'InvalidResponseHeaderRemoved',
    level: 'warn',
    message: 'A header field of HTTP/1 was left out of an answer on HTTP/2; this is told once',
  },
  listening: { id: 1001, name: 'Listening', level: 'info', message: 'Now listening' },
  started: { id: 1002, name: 'ServerStarted', level: 'info', message: 'The server has started' },
  stopping: { id: 1003, name: 'ServerStopping', level: 'info', message: 'The server is stopping' },
  stopped: { id: 1004, name: 'ServerStopped', level: 'info', message: 'The server has stopped' },
  callbackFailed: {
    id: 1005,
    name: 'CallbackFailed',
    level: 'error',
    message: 'A callback of the application failed',
  },
  requestHeadersTimeout: {
    id: 1006,
    name: 'RequestHeadersTimeout',
    level: 'debug',
    message: 'The head of a request did not come in time',
  },
  acceptPaused: {
    id: 1007,
    name: 'AcceptPaused',
    level: 'error',
    message: 'No connection can be accepted for now',
  },
  acceptResumed: {
    id: 1008,
    name: 'AcceptResumed',
    level: 'info',
    message: 'Connections are accepted again',
  },
  certificatesReloaded: {
    id: 1009,
    name: 'CertificatesReloaded',
    level: 'info',
    message: 'Certificates were read again: new connections get them',
  },
  certificatesNotReloaded: {
    id: 1010,
    name: 'CertificatesNotReloaded',
    level: 'error',
    message: 'Certificates have changed and cannot be used: the old ones stay',
  },
  http2Flood: {
    id: 1011,
    name: 'Http2Flood',
    level: 'debug',
    message: 'A flood of frames has ended a connection of HTTP/2',
  },
} as const satisfies Record<string, LogEvent>;

/**
 * Logs an event. A logger that fails costs nothing but its line.
 *
 * @param details - What the event carries; an error under `err`, as pino has it.
 */
export function logEvent(logger: Logger | undefined, event: LogEvent, details: object = {}): void {
  if (logger === undefined) return;
  try {
    logger[event.level]({ eventId: event.id, event: event.name, ...details }, event.message);
  } catch {
    // Whatever a logger does must not reach the server.
  }
}

/** Whether something can be logged to. */
export function isLogger(value: unknown): value is Logger {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return (['debug', 'info', 'warn', 'error'] as const).every(
    (level) => typeof (value as Partial<Logger>)[level] === 'function',
  );
}
