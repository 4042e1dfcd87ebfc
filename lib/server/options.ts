/**
 * What a WindhoverServer is made from. Durations are milliseconds, sizes are bytes. Names and defaults
 * are Kestrel's where it has them.
 */

import type { EndpointOptions, EndpointSettings } from './endpoints.js';
import type { Logger } from './log-events.js';

export type {
  Bytes,
  CertificateOptions,
  HostTlsOptions,
  HttpsOptions,
  OneOrSeveral,
  SniOptions,
  TlsVersion,
} from './https-options.js';

export type {
  DescriptorEndpoint,
  EndpointOptions,
  EndpointSettings,
  ProxyProtocolOptions,
  SystemdEndpoint,
  TcpEndpoint,
  UnixEndpoint,
  UrlEndpoint,
} from './endpoints.js';

/** A least data rate. Source: Kestrel's MinDataRate. */
export interface MinDataRate {
  /** Whole bytes per second, 1 or more. */
  bytesPerSecond: number;
  /** The time over which it is measured (ms), 1,001 or more. Default 5,000. */
  gracePeriod?: number;
}

/** Limits of HTTP/2 (RFC 9113). Source, but where it says otherwise: Kestrel's Http2Limits. */
export interface Http2Limits {
  /** Requests of one connection at once; more are refused with REFUSED_STREAM. Default 100. */
  maxStreamsPerConnection?: number;
  /** The table with which clients compress fields (bytes), 0 to 1,048,576. Default 4,096. */
  headerTableSize?: number;
  /** The largest frame that is taken (bytes), 16,384 to 16,777,215. Default 16,384. */
  maxFrameSize?: number;
  /** The name and value of a header field (bytes), at most 65,536; more is answered 431. Default 32,768. */
  maxRequestHeaderFieldSize?: number;
  /**
   * How much of all bodies of a connection clients may send ahead of what is read (bytes), 65,535 or more.
   * Default 1,048,576.
   */
  initialConnectionWindowSize?: number;
  /** The same of one body. Default 786,432. */
  initialStreamWindowSize?: number;
  /** After how long without a byte from the client it is sent a PING (ms), 1,000 or more. Default `null`. */
  keepAlivePingDelay?: number | null;
  /** How long it has to answer that (ms), 1,000 or more; then the connection ends. Default 20,000. */
  keepAlivePingTimeout?: number | null;
  /**
   * How long a client has to acknowledge our SETTINGS (ms), 1,000 or more; the first frame after that is
   * answered with SETTINGS_TIMEOUT. Ours: RFC 9113 section 6.5.3. Default 10,000.
   */
  settingsTimeout?: number | null;
  /**
   * Streams that a client may reset, or have reset by its faults, within ten seconds; with more the
   * connection ends with ENHANCE_YOUR_CALM, as with all that follow. Ours. Default 1,000.
   */
  maxResets?: number | null;
  /** PING frames. Ours. Default 1,000. */
  maxPings?: number | null;
  /** SETTINGS frames. Ours. Default 100. */
  maxSettings?: number | null;
  /** PRIORITY and PRIORITY_UPDATE frames. Ours. Default 5,000. */
  maxPriorities?: number | null;
  /**
   * DATA frames without content, and CONTINUATION frames of less than 128 bytes, but for those that end
   * something. Ours. Default 1,000.
   */
  maxEmptyFrames?: number | null;
  /**
   * WINDOW_UPDATE frames, besides eight for each DATA frame that was sent and that the client's windows did
   * not cut to less than 256 bytes. Ours. Default 20,000.
   */
  maxWindowUpdates?: number | null;
  /** Frames of kinds that nobody knows, and GOAWAY. Ours. Default 1,000. */
  maxUnknownFrames?: number | null;
}

/** Limits. `null` means none, where that is allowed. */
export interface ServerLimits {
  /** The request line with its line end (bytes); longer ones are answered 414. Default 8,192. */
  maxRequestLineSize?: number;
  /** All the header lines with their line ends (bytes); more is answered 431. Default 32,768. */
  maxRequestHeadersTotalSize?: number;
  /** The header lines; more are answered 431. Default 100. */
  maxRequestHeaderCount?: number;
  /** A request's body (bytes); more is answered 413. Default 30,000,000. */
  maxRequestBodySize?: number | null;
  /**
   * How much of a request's body may wait for the application to read it (bytes); above that the server
   * stops reading from the client, and goes on below a quarter of it. What is read at once, up to 64 KiB,
   * may come on top. At least {@link maxRequestLineSize} and {@link maxRequestHeadersTotalSize}.
   * Default 1,048,576.
   */
  maxRequestBufferSize?: number | null;
  /**
   * How much of an answer may wait for the client (bytes): above that the promise of a `write` settles
   * only when less than a quarter of it is left. 0 lets each write wait until the system has taken it;
   * `null` lets none wait. Default 65,536.
   */
  maxResponseBufferSize?: number | null;
  /** How long a connection may be idle between requests (ms). Default 130,000. */
  keepAliveTimeout?: number | null;
  /** How long the head of a request may take from its first byte (ms); then 408. Default 30,000. */
  requestHeadersTimeout?: number | null;
  /** How long a TLS handshake may take from the accept (ms); then the connection ends. Default 10,000. */
  handshakeTimeout?: number | null;
  /** Limits of HTTP/2. */
  http2?: Http2Limits;
  /**
   * How fast a body must come while the application reads it; slower ones are answered 408, or cut off
   * where the answer has started. Measured over each grace period on its own; time in which the
   * application does not read does not count. Default 240 bytes per second, 5,000 ms. `null`: no limit.
   */
  minRequestBodyDataRate?: MinDataRate | null;
  /**
   * How fast a client must take an answer that waits for it; the connection of a slower one is reset.
   * Default 240 bytes per second, 5,000 ms. `null`: no limit.
   */
  minResponseDataRate?: MinDataRate | null;
  /** How long the rest of a body that nobody reads may take (ms); then the connection ends. Default 5,000. */
  requestBodyDrainTimeout?: number;
  /** How long the client of an ended connection has to read the last answer (ms). Default 5,000. */
  lingerTimeout?: number;
  /**
   * How long a request may take from its head to the end of its handler (ms). Then its
   * `requestAborted` aborts with WH_ERR_REQUEST_TIMEOUT, and unless the handler answers at once, 504 is
   * answered, or the answer that has started is cut off. Default `null`: no limit. See `withTimeout`.
   */
  requestTimeout?: number | null;
  /** Requests of one connection that run at once when the client sends them ahead. Default 64. */
  maxPipelinedRequests?: number;
  /**
   * Connections that are upgraded (WebSockets, CONNECT) at once; where there are as many, upgrading fails
   * with WH_ERR_TOO_MANY_UPGRADED. 0 allows none. Default null: no limit.
   */
  maxConcurrentUpgradedConnections?: number | null;
  /**
   * Open connections; one more is answered 503, or closed: see `connectionLimitResponse`. 1 or more.
   * Default `null`. Source: Kestrel, which closes them without an answer.
   */
  maxConcurrentConnections?: number | null;
  /** What `Retry-After` of that 503 says (seconds, 0 to 86,400). Default 5. */
  connectionLimitRetryAfter?: number;
}

/** Why a request was refused, and how it is answered. */
export interface Refusal {
  /** A name that stays the same from version to version, such as `requestBodyTooLarge`. */
  readonly reason: string;
  /** The status of the answer. */
  readonly status: number;
  /** The status's phrase, such as `Content Too Large`. */
  readonly title: string;
  /** A sentence for people. */
  readonly detail: string;
}

/** What goes out with a refusal. Its status, framing, `Date` and `Connection: close` are the server's. */
export interface RefusalAnswer {
  /** Header fields. */
  headers?: Record<string, string>;
  /** The body, sent as UTF-8. Default: none. */
  body?: string;
}

/**
 * Makes the answer to requests refused for a reason. Called once for each reason when the server is
 * made, not for each request: a refusal never runs JavaScript.
 */
export type RefusalHook = (refusal: Refusal) => RefusalAnswer | undefined;
/**
 * What is let through on HTTP/1 that is answered 400 by default. Each of them makes the server less
 * strict than RFC 9112 or its neighbours may be: what two servers read differently can be used to smuggle
 * requests past one of them.
 */
export interface Http1Options {
  /**
   * Whether a query may hold `" < > [ \ ] ^ { | }`, the backtick, and `%` without two hexadecimal digits,
   * as browsers send them. RFC 3986 section 3.4 does not allow them. Default false.
   */
  allowRawQueryCharacters?: boolean;
  /**
   * Whether a bare LF ends a request line, a header line and a trailer line; never a line of the chunked
   * framing. Source: RFC 9112 section 2.2, and Kestrel, which lets it through by default. Default false.
   */
  allowBareLineFeed?: boolean;
  /**
   * Whether the authority of a target in absolute form takes the place of a Host field that names another.
   * Source: Kestrel's AllowHostHeaderOverride; RFC 9112 section 3.2.2. Default false.
   */
  allowHostHeaderOverride?: boolean;
}

/** How a stop goes. `preStopDelay + timeout` and a second is the longest that it takes. */
export interface ShutdownOptions {
  /**
   * How long everything is served as before after the stop has begun (ms): for load balancers that need a
   * while to see that the server is not ready any more. Default 0.
   */
  preStopDelay?: number;
  /**
   * How long, after new connections are refused, a connection without a running request waits for the
   * next one, which is answered with `Connection: close` (ms). Default 500.
   */
  drainWindow?: number;
  /**
   * How long running requests have, counted from the end of `preStopDelay` (ms); then their connections
   * are reset. `null` means for ever. Default 30,000. Source: .NET's HostOptions.ShutdownTimeout.
   */
  timeout?: number | null;
}

/** What a WindhoverServer is made from. Source: Kestrel's KestrelServerOptions. */
export interface ServerOptions {
  /** Where to listen. Default `http://localhost:5000`. */
  endpoints?: EndpointOptions[];
  /**
   * Settings of every endpoint that does not say otherwise, of those kinds that have them. URLs get them
   * too. Source: Kestrel's ConfigureEndpointDefaults.
   */
  endpointDefaults?: EndpointSettings;
  /** Limits of size, number and time. */
  limits?: ServerLimits;
  /**
   * What happens to connections over `limits.maxConcurrentConnections`: `'503'` (the default) answers
   * 503 with `Retry-After` and closes, `'close'` closes at once, as Kestrel does. The 503 goes to at most
   * 128 of them at a time; one more is closed.
   */
  connectionLimitResponse?: '503' | 'close';
  /**
   * Hears that no connection can be accepted, because the process or the system has no descriptors or no
   * memory left; the cause has the system's code, such as `EMFILE`. Called once until one is accepted
   * again. The server tries again every 100 ms. It is logged besides; where there is no `logger` either, it
   * is written to console.error.
   */
  onAcceptPaused?: (error: Error) => void;
  /** Hears that connections are accepted again, and after how long (ms). Otherwise as above. */
  onAcceptResumed?: (pausedFor: number) => void;
  /**
   * What answers to refused requests say beside their status: nothing (`'empty'`, the default: all of it
   * may be noise to an attacker), a line of text, a problem document (RFC 9457), or what a hook makes.
   */
  refusals?: 'empty' | 'text' | 'problem' | RefusalHook;
  /** How a stop goes. */
  shutdown?: ShutdownOptions;
  /** What HTTP/1 lets through that is refused by default. */
  http1?: Http1Options;
  /** Whether answers carry a `Server` field where the application sets none. Default true. */
  addServerHeader?: boolean;
  /**
   * Where the server's events go, such as a pino logger; docs/observability.md lists them with their ids.
   * Default: nowhere, but for callbacks of the application that fail, which console.error is told.
   */
  logger?: Logger | undefined;
  /**
   * Whether the server polls for a while before it sleeps, which more than halves a lone client's round
   * trip: `'adaptive'` (default) only while requests come close together, a number always for so many
   * microseconds, `false` never.
   */
  busyPoll?: 'adaptive' | number | false;
}
