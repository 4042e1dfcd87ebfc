/**
 * What the server publishes through node:diagnostics_channel: every channel and every message. A channel
 * without subscribers costs a request nothing.
 */
import type { Channel } from 'node:diagnostics_channel';
import { channel } from 'node:diagnostics_channel';
import type { FeatureCollection } from '../features/feature-collection.js';
import type { Server } from './server.js';

/** The names of the channels. */
export const ChannelNames = {
  /** {@link ServerStartMessage} */
  serverStart: 'windhover.server.start',
  /** {@link ServerStopMessage} */
  serverStop: 'windhover.server.stop',
  /** {@link RequestMessage} */
  requestStart: 'windhover.request.start',
  /** {@link RequestMessage}, the same object */
  requestStop: 'windhover.request.stop',
  /** {@link RequestRefusedMessage} */
  requestRefused: 'windhover.request.refused',
  /** {@link Http2FloodMessage} */
  http2Flood: 'windhover.http2.flood',
} as const;

/** A server accepts requests. */
export interface ServerStartMessage {
  readonly server: Server;
  /** The URLs really bound. */
  readonly addresses: readonly string[];
}

/** A server has stopped. */
export interface ServerStopMessage {
  readonly server: Server;
  /** Whether requests or connections were left that had to be aborted. */
  readonly forced: boolean;
}

/**
 * A request of an application. At the start what its end knows is `undefined`; both get the same object.
 * Source: the tags of http.server.request.duration (OpenTelemetry's semantic conventions).
 */
export interface RequestMessage {
  readonly server: Server;
  /** What the application made of the request: an HttpContext, of applications made here. */
  readonly context: unknown;
  /** The features of the request. As the context, they end with the request: after the stop message. */
  readonly features: FeatureCollection;
  readonly method: string;
  /** The request target as sent. */
  readonly rawTarget: string;
  /** Such as `HTTP/1.1`. */
  readonly protocol: string;
  /** By `performance.now()`. */
  readonly startTime: number;
  /** From the call of the application to the end of its handler (ms). */
  readonly duration: number | undefined;
  /** Of the answer; of a request that was aborted because its body was refused: the refusal's. */
  readonly statusCode: number | undefined;
  /** Whether the client went away, or the request was aborted, before the end. */
  readonly aborted: boolean | undefined;
  /** Whether it took longer than its limit (`requestTimeout`). */
  readonly timedOut: boolean | undefined;
  /** What the handler failed with. */
  readonly error: unknown;
}

/** A request that the core refused; no application hears of it otherwise. */
export interface RequestRefusedMessage {
  readonly server: Server;
  /** A name that stays the same, such as `invalidRequestLine`; docs/refusals.md has all of them. */
  readonly reason: string;
  readonly statusCode: number;
  /** As HttpContext's `connection.id`. */
  readonly connectionId: string;
  /** `undefined` on a Unix socket. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number;
  /** From the first byte of the request to its refusal (ms). */
  readonly duration: number;
  /** Whether the application has the request already, and its stop is published as well: a bad body. */
  readonly dispatched: boolean;
  /**
   * At most 128 bytes of what is at fault, or of the request line, as received: one character for each
   * byte. Whoever logs it must expect anything.
   */
  readonly input: string;
}

/** A flood of frames has ended a connection of HTTP/2. */
export interface Http2FloodMessage {
  readonly server: Server;
  /** A name that stays the same, such as `pings`: those of {@link ServerMetrics.http2Floods}. */
  readonly kind: string;
  /** As HttpContext's `connection.id`. */
  readonly connectionId: string;
  /** `undefined` on a Unix socket. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number;
}

/** The channels. */
export const channels = {
  serverStart: channel(ChannelNames.serverStart) as Channel<unknown, ServerStartMessage>,
  serverStop: channel(ChannelNames.serverStop) as Channel<unknown, ServerStopMessage>,
  requestStart: channel(ChannelNames.requestStart) as Channel<unknown, RequestMessage>,
  requestStop: channel(ChannelNames.requestStop) as Channel<unknown, RequestMessage>,
  requestRefused: channel(ChannelNames.requestRefused) as Channel<unknown, RequestRefusedMessage>,
  http2Flood: channel(ChannelNames.http2Flood) as Channel<unknown, Http2FloodMessage>,
};
