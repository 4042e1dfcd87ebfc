/** The features of one request. Sources: ASP.NET Core's Microsoft.AspNetCore.Http.Features. */
import type { PathLike } from 'node:fs';
import type { Duplex } from 'node:stream';
import { createFeatureToken } from './feature-collection.js';
import type { HeaderDictionary } from './header-dictionary.js';

/**
 * Where the bytes of a request's body come from. Iterating takes them; they can be taken once. The pieces
 * belong to whoever iterates; leaving the iteration (`return`) gives the rest up.
 */
export interface RequestBodySource extends AsyncIterable<Uint8Array> {
  /**
   * The whole body at once, where the server can do that better than by iterating.
   * The array belongs to the caller.
   */
  bytes?(): Promise<Uint8Array>;
}

/** What the client asked for. Required of every server. */
export interface HttpRequestFeature {
  /** `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`. */
  protocol: string;
  /** `http` or `https`. */
  scheme: string;
  /** The method token as sent: case-sensitive, RFC 9110 section 9.1. */
  method: string;
  /** The part of the path on which the application is mounted, without a trailing slash; `''` at the root. */
  pathBase: string;
  /** The decoded path below {@link pathBase}; starts with a slash, or is empty (`OPTIONS *`, CONNECT). */
  path: string;
  /** The query with its `?`, not decoded; `''` where there is none. */
  queryString: string;
  /** The request target exactly as sent (RFC 9112 section 3.2). */
  rawTarget: string;
  /** The header fields. */
  headers: HeaderDictionary;
  /** The body; an empty one where the request has none. */
  body: RequestBodySource;
}
export const HttpRequestFeature = createFeatureToken<HttpRequestFeature>('HttpRequestFeature');

/** A callback of {@link HttpResponseFeature}. */
export type ResponseCallback = () => void | Promise<void>;

/** The answer's head. Required of every server. */
export interface HttpResponseFeature {
  /** 200 to 599; 200 until set. Throws WH_ERR_RESPONSE_STARTED once the answer has started. */
  statusCode: number;
  /** The reason phrase of HTTP/1.1; `undefined` means the registered one. */
  reasonPhrase: string | undefined;
  /** The header fields; read-only once the answer has started. */
  headers: HeaderDictionary;
  /** Whether the head has been handed over, and can no longer change. */
  readonly hasStarted: boolean;
  /** Runs before the head is sent; the last registered runs first. A throw answers 500. */
  onStarting(callback: ResponseCallback): void;
  /** Runs when the request is over; the last registered runs first. Throws are reported, not raised. */
  onCompleted(callback: ResponseCallback): void;
}
export const HttpResponseFeature = createFeatureToken<HttpResponseFeature>('HttpResponseFeature');

/** The answer's body. Required of a server whose applications write bodies. */
export interface HttpResponseBodyFeature {
  /** Sends the head, if that has not happened. */
  start(): void | Promise<void>;
  /**
   * Sends bytes (a string as UTF-8), the head before them if it was not sent. Where a promise comes
   * back it settles when there is room for more; `undefined` means that there is room now.
   */
  write(data: Uint8Array | string): void | Promise<void>;
  /**
   * Sends a part of a file, the head before it if it was not sent; see HttpResponse.sendFile. Optional:
   * without it the file is read and written.
   */
  sendFile?(path: PathLike, offset?: number, count?: number): Promise<void>;
  /** Ends the answer. What is written after it throws WH_ERR_RESPONSE_ENDED. */
  complete(): void | Promise<void>;
  /**
   * The whole answer in one call: sets Content-Length (and Content-Type where that is not set), sends
   * the head and the body, and ends the answer. Optional: only the quick way to the same result.
   */
  send?(body: Uint8Array | string, contentType: string | undefined): void | Promise<void>;
}
export const HttpResponseBodyFeature =
  createFeatureToken<HttpResponseBodyFeature>('HttpResponseBodyFeature');

/** The end of a request before its time. */
export interface HttpRequestLifetimeFeature {
  /** Aborts when the client has gone, or {@link abort} was called, while the request runs. */
  readonly requestAborted: AbortSignal;
  /** Ends the connection (HTTP/2: the stream) at once, without a proper end of the answer. */
  abort(): void;
}
export const HttpRequestLifetimeFeature = createFeatureToken<HttpRequestLifetimeFeature>(
  'HttpRequestLifetimeFeature',
);

/** The least rate at which the request's body must come while it is read. Source: Kestrel. */
export interface HttpMinRequestBodyDataRateFeature {
  /**
   * Bytes per second over windows of `gracePeriod` ms; `null` for no limit. Setting it takes effect at
   * once, for this request only. On HTTP/2, where the rate is the connection's, it takes `null` alone.
   *
   * @throws TypeError or RangeError WH_ERR_INVALID_ARGUMENT
   */
  minDataRate: { readonly bytesPerSecond: number; readonly gracePeriod: number } | null;
}
export const HttpMinRequestBodyDataRateFeature =
  createFeatureToken<HttpMinRequestBodyDataRateFeature>('HttpMinRequestBodyDataRateFeature');

/** The least rate at which the client must take the answer. Not on HTTP/2. Source: Kestrel. */
export interface HttpMinResponseDataRateFeature {
  /** As {@link HttpMinRequestBodyDataRateFeature.minDataRate}. */
  minDataRate: { readonly bytesPerSecond: number; readonly gracePeriod: number } | null;
}
export const HttpMinResponseDataRateFeature = createFeatureToken<HttpMinResponseDataRateFeature>(
  'HttpMinResponseDataRateFeature',
);

/** The time that the request may take. Source: ASP.NET Core's IHttpRequestTimeoutFeature. */
export interface HttpRequestTimeoutFeature {
  /** What is left (ms); `undefined` where there is no limit. */
  readonly timeLeft: number | undefined;
  /**
   * Sets another limit, counted from now (ms), or none.
   *
   * @throws RangeError WH_ERR_INVALID_ARGUMENT
   */
  setTimeout(milliseconds: number | null): void;
}
export const HttpRequestTimeoutFeature = createFeatureToken<HttpRequestTimeoutFeature>(
  'HttpRequestTimeoutFeature',
);

/** The connection on which the request came. */
export interface HttpConnectionFeature {
  /** Unique in this process while it lives. */
  readonly connectionId: string;
  /** The peer's IP address; `undefined` on a Unix socket. */
  remoteAddress: string | undefined;
  /** The peer's port; 0 on a Unix socket. */
  remotePort: number;
  /** The address that the peer connected to; `undefined` on a Unix socket. */
  localAddress: string | undefined;
  /** The port that the peer connected to; 0 on a Unix socket. */
  localPort: number;
  /**
   * The ends of the socket itself, where the others may be what a proxy told or what middleware assigned.
   * Optional: `undefined` where the server does not know. Source: Kestrel's IConnectionSocketFeature.
   */
  readonly socket?: {
    readonly remoteAddress: string | undefined;
    readonly remotePort: number;
    readonly localAddress: string | undefined;
    readonly localPort: number;
  };
}
export const HttpConnectionFeature =
  createFeatureToken<HttpConnectionFeature>('HttpConnectionFeature');

/** Names the request in logs. */
export interface HttpRequestIdentifierFeature {
  /** `<connection id>:<number of the request on it, 8 hex digits>` until set to something else. */
  traceIdentifier: string;
}
export const HttpRequestIdentifierFeature = createFeatureToken<HttpRequestIdentifierFeature>(
  'HttpRequestIdentifierFeature',
);

/** Whether the request can have a body. */
export interface HttpRequestBodyDetectionFeature {
  /** False where the head says that there is none (no Content-Length, or 0, and no Transfer-Encoding). */
  readonly canHaveBody: boolean;
}
export const HttpRequestBodyDetectionFeature = createFeatureToken<HttpRequestBodyDetectionFeature>(
  'HttpRequestBodyDetectionFeature',
);

/** The trailer fields of the request. */
export interface HttpRequestTrailersFeature {
  /** Whether the trailers are there to read: the body has been read to its end. */
  readonly available: boolean;
  /** The trailer fields; throws WH_ERR_TRAILERS_NOT_AVAILABLE before they are {@link available}. */
  readonly trailers: HeaderDictionary;
}
export const HttpRequestTrailersFeature = createFeatureToken<HttpRequestTrailersFeature>(
  'HttpRequestTrailersFeature',
);

/** The trailer fields of the answer. */
export interface HttpResponseTrailersFeature {
  /**
   * The fields to send behind the body; can be set until the answer is ended. On HTTP/2 they are sent. On
   * HTTP/1.1 they are where the client wants trailers (`TE: trailers`) and the answer is chunked, and
   * dropped otherwise (RFC 9110 section 6.5.1). Setting a field that cannot be a trailer throws TypeError WH_ERR_FORBIDDEN_TRAILER.
   */
  readonly trailers: HeaderDictionary;
}
export const HttpResponseTrailersFeature = createFeatureToken<HttpResponseTrailersFeature>(
  'HttpResponseTrailersFeature',
);

/** How large the body of this request may be. Source: ASP.NET Core's IHttpMaxRequestBodySizeFeature. */
export interface HttpMaxRequestBodySizeFeature {
  /** Whether the body is being read, so that the limit is settled. */
  readonly isReadOnly: boolean;
  /**
   * The most bytes of body, `null` for no limit; the server's `limits.maxRequestBodySize` until set. A body
   * that exceeds it is refused with 413 when it is read. Throws TypeError or RangeError
   * WH_ERR_INVALID_ARGUMENT, WindhoverError WH_ERR_BODY_LIMIT_READ_ONLY.
   */
  maxRequestBodySize: number | null;
}
export const HttpMaxRequestBodySizeFeature = createFeatureToken<HttpMaxRequestBodySizeFeature>(
  'HttpMaxRequestBodySizeFeature',
);

/** Fields of an interim answer: pairs of name and value, or an object by names. */
export type InformationalHeaders =
  | Iterable<readonly [name: string, value: string | number]>
  | Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** Interim answers (RFC 9110 section 15.2), sent before the final one. */
export interface HttpInformationalResponseFeature {
  /** See `HttpResponse.writeInformational`. */
  writeInformational(statusCode: number, headers?: InformationalHeaders): void | Promise<void>;
}
export const HttpInformationalResponseFeature =
  createFeatureToken<HttpInformationalResponseFeature>('HttpInformationalResponseFeature');
/**
 * Leaving HTTP: the connection becomes a tunnel, by Upgrade (RFC 9110 section 7.8) or by CONNECT (section
 * 9.3.6). Source: ASP.NET Core's IHttpUpgradeFeature.
 */
export interface HttpUpgradeFeature {
  /**
   * Whether the connection (HTTP/2: the stream) can become a tunnel: an HTTP/1.1 request without a body that
   * has `Connection: upgrade` and an `Upgrade` field, or CONNECT, plain or extended (RFC 8441). With a body
   * the wish is ignored.
   */
  readonly isUpgradableRequest: boolean;
  /**
   * Answers 101 (CONNECT: the response's status, 2xx) with the header fields that were set, and gives the
   * connection as a stream: everything that the client sends from here on, and nothing that it sent
   * before. The stream outlives the handler, and nothing of HTTP limits it any more; whoever has it must
   * end or destroy it. When the server stops it emits `closing`; where nobody listens for that it is ended.
   *
   * `Upgrade` is the response's field of that name; where none was set and the client named one protocol,
   * that one.
   *
   * @returns Rejects with WindhoverError WH_ERR_NOT_UPGRADABLE, WH_ERR_ALREADY_UPGRADED,
   * WH_ERR_RESPONSE_STARTED, WH_ERR_RESPONSE_ENDED, WH_ERR_UPGRADE_PROTOCOL (no `Upgrade` was set and the
   * client named several), WH_ERR_TOO_MANY_UPGRADED (answered 503 where the handler lets it pass),
   * WH_ERR_REQUEST_ABORTED; TypeError WH_ERR_INVALID_HEADER_NAME where Content-Length or Transfer-Encoding
   * was set; RangeError WH_ERR_INVALID_STATUS. Nothing was sent then.
   */
  upgrade(): Promise<Duplex>;
}
export const HttpUpgradeFeature = createFeatureToken<HttpUpgradeFeature>('HttpUpgradeFeature');

/** The values that the matched route took from the path. */
export interface RouteValuesFeature {
  routeValues: Readonly<Record<string, string | undefined>>;
}
export const RouteValuesFeature = createFeatureToken<RouteValuesFeature>('RouteValuesFeature');
