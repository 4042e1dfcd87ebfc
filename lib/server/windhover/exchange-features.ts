/**
 * The features of one request on the native core. The exchange is its own feature collection, its
 * answer's head and its answer's body (as Kestrel's HttpProtocol is), so that a plain request costs one
 * object; what only some requests need is made when it is asked for.
 */
import type { FeatureCollection, FeatureToken } from '../../features/feature-collection.js';
import type { ResponseCallback } from '../../features/http-features.js';
import {
  HttpConnectionFeature,
  HttpRequestBodyDetectionFeature,
  HttpRequestFeature,
  HttpRequestIdentifierFeature,
  HttpRequestLifetimeFeature,
  HttpResponseBodyFeature,
  HttpResponseFeature,
} from '../../features/http-features.js';
import {
  contextDisposed,
  responseEnded,
  responseStarted,
  WindhoverError,
} from '../../http/errors.js';
import { HeaderMap } from '../../http/header-map.js';
import { byteLength, NativeExchange } from '../../native/exchange.js';
import type { NativeServer } from '../../native/native-server.js';
import type { Slab } from '../../native/slab.js';
import { ConnectionFeatures } from './connection-features.js';
import { RequestFeature } from './request-feature.js';
import { composeHead, contentTypeFlag } from './response-head.js';

/** Above this many bytes written a writer waits for the client. Source: Kestrel's MaxWriteBufferSize. */
const WRITE_HIGH = 65_536;

export class WindhoverExchange
  extends NativeExchange
  implements
    FeatureCollection,
    HttpResponseFeature,
    HttpResponseBodyFeature,
    HttpRequestLifetimeFeature
{
  // The feature collection.
  revision = 0;
  private replaced: Map<symbol, unknown> | undefined = undefined;
  private requestFeature: RequestFeature | undefined = undefined;
  private connectionFeatures: ConnectionFeatures | undefined = undefined;
  private controller: AbortController | undefined = undefined;

  // The answer.
  statusCode = 200;
  reasonPhrase: string | undefined = undefined;
  hasStarted = false;
  private headerMap: HeaderMap | undefined = undefined;
  private startingCallbacks: ResponseCallback[] | undefined = undefined;
  private completedCallbacks: ResponseCallback[] | undefined = undefined;
  /** Bytes still to come of the declared Content-Length; -1 where none is declared. */
  private lengthLeft = -1;
  private unconfirmed = 0;

  constructor(
    private readonly nativeServer: NativeServer,
    slab: Slab,
    base: number,
    slot: number,
    generation: number,
  ) {
    super(nativeServer, slab, base, slot, generation);
  }

  // --- FeatureCollection ---

  get<T>(token: FeatureToken<T>): T | undefined {
    if (this.over) throw contextDisposed();
    const { key } = token;
    if (this.replaced?.has(key) === true) return this.replaced.get(key) as T | undefined;
    return this.own(key) as T | undefined;
  }

  set<T>(token: FeatureToken<T>, feature: T | undefined): void {
    if (this.over) throw contextDisposed();
    this.revision++;
    (this.replaced ??= new Map<symbol, unknown>()).set(token.key, feature);
  }

  *[Symbol.iterator](): Iterator<readonly [symbol, unknown]> {
    for (const { key } of OWN_TOKENS) {
      if (this.replaced?.has(key) !== true) yield [key, this.own(key)];
    }
    for (const entry of this.replaced ?? []) if (entry[1] !== undefined) yield entry;
  }

  private own(key: symbol): unknown {
    switch (key) {
      case HttpResponseBodyFeature.key:
      case HttpResponseFeature.key:
      case HttpRequestLifetimeFeature.key:
        return this;
      case HttpRequestFeature.key:
      case HttpRequestBodyDetectionFeature.key:
        return (this.requestFeature ??= new RequestFeature(this));
      case HttpConnectionFeature.key:
      case HttpRequestIdentifierFeature.key:
        return (this.connectionFeatures ??= new ConnectionFeatures(this, this.nativeServer));
      default:
        return undefined;
    }
  }

  // --- HttpResponseFeature ---

  get headers(): HeaderMap {
    if (this.over) throw contextDisposed();
    return (this.headerMap ??= new HeaderMap());
  }

  onStarting(callback: ResponseCallback): void {
    if (this.over) throw contextDisposed();
    if (this.hasStarted) throw responseStarted('What runs before the start');
    (this.startingCallbacks ??= []).push(callback);
  }

  onCompleted(callback: ResponseCallback): void {
    if (this.over) throw contextDisposed();
    (this.completedCallbacks ??= []).push(callback);
  }

  // --- HttpResponseBodyFeature ---

  send(body: Uint8Array | string, contentType: string | undefined): void | Promise<void> {
    this.ensureOpen();
    if (this.hasStarted) throw responseStarted('The head');
    if (this.startingCallbacks !== undefined) {
      const waiting = this.runStarting();
      if (waiting !== undefined) {
        return waiting.then(() => {
          this.sendNow(body, contentType);
        });
      }
    }
    this.sendNow(body, contentType);
    return undefined;
  }

  start(): void | Promise<void> {
    this.ensureOpen();
    if (this.hasStarted) return undefined;
    const waiting = this.runStarting();
    if (waiting !== undefined) {
      return waiting.then(() => {
        this.startNow();
      });
    }
    this.startNow();
    return undefined;
  }

  write(data: Uint8Array | string): void | Promise<void> {
    this.ensureOpen();
    const waiting = this.start();
    if (waiting !== undefined) return waiting.then(() => this.writeNow(data));
    return this.writeNow(data);
  }

  complete(): void | Promise<void> {
    this.ensureOpen();
    if (this.hasStarted) {
      this.endNow();
      return undefined;
    }
    const waiting = this.runStarting();
    if (waiting !== undefined) {
      return waiting.then(() => {
        this.completeEmpty();
      });
    }
    this.completeEmpty();
    return undefined;
  }

  // --- HttpRequestLifetimeFeature ---

  get requestAborted(): AbortSignal {
    if (this.over) throw contextDisposed();
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.aborted) this.controller.abort();
    }
    return this.controller.signal;
  }

  abort(): void {
    if (this.over) throw contextDisposed();
    if (this.aborted) return;
    this.orderAbort();
    this.hasStarted = true;
    this.onAborted(0);
  }

  override onAborted(status: number): void {
    super.onAborted(status);
    this.controller?.abort();
  }

  // --- for the server ---

  /** Throws away what an application that failed has prepared. Only before the start. */
  resetResponse(statusCode: number): void {
    this.statusCode = statusCode;
    this.reasonPhrase = undefined;
    this.headerMap = undefined;
    this.startingCallbacks = undefined;
  }

  /** The handler has settled: what the core reports no longer concerns it. */
  forget(): void {
    this.nativeServer.settled(this);
  }

  /** Takes the callbacks registered with onCompleted, in the order in which they were registered. */
  takeCompletedCallbacks(): ResponseCallback[] | undefined {
    const callbacks = this.completedCallbacks;
    this.completedCallbacks = undefined;
    return callbacks;
  }

  // --- the answer, without the callbacks ---

  private ensureOpen(): void {
    if (this.over) throw contextDisposed();
    if (this.endOrdered) throw responseEnded();
  }

  private sendNow(body: Uint8Array | string, contentType: string | undefined): void {
    const headers = this.headerMap;
    if (headers === undefined && this.reasonPhrase === undefined) {
      // The usual answer: nothing set but the body.
      const flag = contentTypeFlag(contentType);
      if (flag >= 0) {
        this.hasStarted = true;
        if (!this.aborted) this.orderAnswer(flag, this.statusCode, '', body);
        else this.endOrdered = true;
        return;
      }
    }
    const head = composeHead(headers, this.reasonPhrase, contentType);
    if (head.contentLength >= 0 && head.contentLength !== byteLength(body)) {
      throw new WindhoverError(
        'WH_ERR_CONTENT_LENGTH_MISMATCH',
        `Content-Length is ${String(head.contentLength)}, but the body has ${String(byteLength(body))} bytes`,
      );
    }
    this.hasStarted = true;
    headers?.freeze();
    if (!this.aborted) this.orderAnswer(head.flags, this.statusCode, head.text, body);
    else this.endOrdered = true;
  }

  private startNow(): void {
    const head = composeHead(this.headerMap, this.reasonPhrase, undefined);
    this.hasStarted = true;
    this.headerMap?.freeze();
    this.lengthLeft = head.contentLength;
    if (!this.aborted) this.orderStart(head.flags, this.statusCode, head.text, head.contentLength);
  }

  private writeNow(data: Uint8Array | string): void | Promise<void> {
    this.ensureOpen();
    const length = byteLength(data);
    if (length === 0) return undefined;
    if (this.lengthLeft >= 0) {
      if (length > this.lengthLeft) {
        throw new WindhoverError(
          'WH_ERR_CONTENT_LENGTH_EXCEEDED',
          `The body has ${String(length - this.lengthLeft)} bytes more than its Content-Length says`,
        );
      }
      this.lengthLeft -= length;
    }
    if (this.aborted) return undefined; // nobody reads it; who wants to know has requestAborted
    this.unconfirmed += length;
    if (this.unconfirmed < WRITE_HIGH) {
      this.orderWrite(data, false);
      return undefined;
    }
    this.unconfirmed = 0;
    this.orderWrite(data, true);
    return this.waitForRoom();
  }

  private completeEmpty(): void {
    const head = composeHead(this.headerMap, this.reasonPhrase, undefined);
    this.hasStarted = true;
    this.headerMap?.freeze();
    if (this.aborted) {
      this.endOrdered = true;
    } else if (head.contentLength > 0) {
      // The length that a GET would have, on the answer to HEAD; else a body that never came.
      this.orderStart(head.flags, this.statusCode, head.text, head.contentLength);
      this.orderEnd();
    } else {
      this.orderAnswer(head.flags, this.statusCode, head.text, '');
    }
  }

  private endNow(): void {
    if (this.aborted) this.endOrdered = true;
    else this.orderEnd();
  }

  /** Runs what was registered with onStarting, the last first. */
  private runStarting(): void | Promise<void> {
    const callbacks = this.startingCallbacks;
    if (callbacks === undefined) return undefined;
    this.startingCallbacks = undefined;
    for (let callback = callbacks.pop(); callback !== undefined; callback = callbacks.pop()) {
      const result = callback();
      if (result !== undefined) return this.runStartingAfter(result, callbacks);
    }
    return undefined;
  }

  private async runStartingAfter(
    first: Promise<void>,
    callbacks: ResponseCallback[],
  ): Promise<void> {
    await first;
    for (let callback = callbacks.pop(); callback !== undefined; callback = callbacks.pop()) {
      await callback();
    }
    this.ensureOpen();
    if (this.hasStarted) throw responseStarted('The head');
  }
}

/** The features that every request has. */
const OWN_TOKENS = [
  HttpRequestFeature,
  HttpResponseFeature,
  HttpResponseBodyFeature,
  HttpRequestLifetimeFeature,
  HttpConnectionFeature,
  HttpRequestIdentifierFeature,
  HttpRequestBodyDetectionFeature,
] as const;
