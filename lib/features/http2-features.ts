/** What only HTTP/2 has. Sources: ASP.NET Core's IHttpResetFeature, IHttp2StreamIdFeature and IHttpExtendedConnectFeature. */
import type { Duplex } from 'node:stream';
import { createFeatureToken } from './feature-collection.js';

/** Ends a stream with an error code of the application's choice. On HTTP/2 only. */
export interface HttpResetFeature {
  /**
   * Sends RST_STREAM: what was written and is not sent yet is dropped, and `requestAborted` aborts. Does
   * nothing once the answer is complete, or the client gone.
   *
   * @param errorCode - Of RFC 9113 section 7, such as 8 (CANCEL): 0 to 4,094.
   * @throws TypeError or RangeError WH_ERR_INVALID_ARGUMENT; WindhoverError WH_ERR_CONTEXT_DISPOSED.
   */
  reset(errorCode: number): void;
}
export const HttpResetFeature = createFeatureToken<HttpResetFeature>('HttpResetFeature');

/** The stream on which the request came. On HTTP/2 only. */
export interface Http2StreamIdFeature {
  /** Its number on the connection, which is odd. */
  readonly streamId: number;
}
export const Http2StreamIdFeature =
  createFeatureToken<Http2StreamIdFeature>('Http2StreamIdFeature');

/**
 * Extended CONNECT (RFC 8441): a stream that becomes a tunnel for another protocol. Browsers open their
 * WebSockets so where a connection is HTTP/2 already. On HTTP/2 only.
 */
export interface HttpExtendedConnectFeature {
  /** Whether the request is one. Its method is `CONNECT`; unlike a plain one it has a path and a scheme. */
  readonly isExtendedConnect: boolean;
  /** The protocol that the client wants, such as `websocket` (the field `:protocol`). */
  readonly protocol: string | undefined;
  /**
   * Answers with the response's status, 200 unless it was set to another 2xx, and gives the stream; the rest
   * is as HttpUpgradeFeature.upgrade says, which does the same.
   *
   * @returns Rejects as HttpUpgradeFeature.upgrade does; with WH_ERR_NOT_UPGRADABLE where the request is no
   * extended CONNECT.
   */
  accept(): Promise<Duplex>;
}
export const HttpExtendedConnectFeature = createFeatureToken<HttpExtendedConnectFeature>(
  'HttpExtendedConnectFeature',
);
