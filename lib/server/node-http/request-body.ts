/** The body of a request on Node's streams: taken piece by piece, within its limit. */
import type { Readable } from 'node:stream';
import type {
  HttpMaxRequestBodySizeFeature,
  HttpRequestBodyDetectionFeature,
  HttpRequestTrailersFeature,
  RequestBodySource,
} from '../../features/http-features.js';
import { contextDisposed } from '../../http/errors.js';
import type { HeaderMap } from '../../http/header-map.js';
import { bodyError } from '../windhover/body-error.js';
import { RequestBodyLimit } from '../windhover/body-limit.js';
import { toTrailers, trailersNotAvailable } from '../windhover/request-trailers.js';
import type { FieldLines } from './wire.js';

/** What a body needs of its request. */
export interface BodyOwner {
  readonly canHaveBody: boolean;
  /** What Content-Length says; -1 where it says nothing. */
  readonly contentLength: number;
  /** Whether all of it has come. */
  isReceived(): boolean;
  /** Tells a client that waits with its body that it is wanted. */
  sendContinue(): void;
  /** The field lines behind the body, once it has been read. */
  trailerLines(): FieldLines;
  /** The body is too large: its connection cannot go on. */
  onTooLarge(): void;
}

export class NodeRequestBody
  implements
    RequestBodySource,
    HttpRequestBodyDetectionFeature,
    HttpRequestTrailersFeature,
    AsyncIterator<Uint8Array>
{
  readonly limit: RequestBodyLimit & HttpMaxRequestBodySizeFeature;
  /** Somebody has begun to read it. */
  isOpened = false;
  private received = 0;
  private isRead: boolean;
  private isCancelled = false;
  private failure: Error | undefined = undefined;
  private waiters: (() => void)[] = [];
  private trailerMap: HeaderMap | undefined = undefined;

  constructor(
    private readonly stream: Readable,
    private readonly owner: BodyOwner,
    most: number,
  ) {
    this.isRead = !owner.canHaveBody;
    this.limit = new RequestBodyLimit(most === Infinity ? null : most, () => this.isOpened);
  }

  get canHaveBody(): boolean {
    return this.owner.canHaveBody;
  }

  /** All of it has been read. */
  get isComplete(): boolean {
    return this.isRead;
  }

  /** All of it has come. */
  get isReceived(): boolean {
    return this.isRead || this.owner.isReceived();
  }

  /** Whether a client that goes on sending would exceed the limit. */
  get isTooLarge(): boolean {
    return this.owner.contentLength > (this.limit.maxRequestBodySize ?? Infinity);
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    this.open();
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      if (this.failure !== undefined) throw this.failure;
      if (this.isRead || this.isCancelled) return { done: true, value: undefined };
      const piece = this.stream.read() as Uint8Array | null;
      if (piece !== null) {
        this.received += piece.byteLength;
        if (this.received > (this.limit.maxRequestBodySize ?? Infinity)) this.refuse();
        else return { done: false, value: piece };
      } else if (this.stream.readableEnded) {
        this.isRead = true;
      } else {
        await new Promise<void>((resolve) => this.waiters.push(resolve));
      }
    }
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.isCancelled = true;
    this.wake();
    return Promise.resolve({ done: true, value: undefined });
  }

  get available(): boolean {
    return this.isRead;
  }

  get trailers(): HeaderMap {
    if (!this.isRead) throw trailersNotAvailable();
    return (this.trailerMap ??= toTrailers(this.owner.trailerLines()));
  }

  /** Nothing more comes: the client is gone (0), or its request is bad (a status). */
  fail(status: number): void {
    if (this.isRead) return;
    this.failure ??= bodyError(status);
    this.wake();
  }

  /** The request is over. */
  release(): void {
    this.failure ??= contextDisposed();
    this.wake();
    this.trailerMap?._dispose();
  }

  /** Lets what nobody reads go by. */
  discard(): void {
    for (const event of EVENTS) this.stream.off(event, this.wake);
    this.stream.resume();
  }

  private open(): void {
    if (this.isOpened) return;
    this.isOpened = true;
    if (this.isRead || this.failure !== undefined) return;
    if (this.isTooLarge) {
      this.refuse();
      return;
    }
    for (const event of EVENTS) this.stream.on(event, this.wake);
    this.owner.sendContinue();
  }

  private refuse(): void {
    this.fail(413);
    this.owner.onTooLarge();
  }

  private readonly wake = (): void => {
    const { waiters } = this;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  };
}

/** What can change while a reader waits. */
const EVENTS = ['readable', 'end', 'close', 'error'] as const;
