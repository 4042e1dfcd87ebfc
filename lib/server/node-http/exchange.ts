/** One request and its answer on Node's own HTTP: its own feature collection, as the native core's exchange is. */
import type { PathLike } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import type { FeatureCollection, FeatureToken } from '../../features/feature-collection.js';
import type {
  HttpResponseBodyFeature,
  HttpResponseFeature as ResponseFeature,
  HttpInformationalResponseFeature as InformationalFeature,
  HttpRequestLifetimeFeature as LifetimeFeature,
  InformationalHeaders,
  ResponseCallback,
} from '../../features/http-features.js';
import * as features from '../../features/http-features.js';
import { Http2StreamIdFeature, HttpResetFeature } from '../../features/http2-features.js';
import { TlsConnectionFeature, TlsHandshakeFeature } from '../../features/tls-features.js';
import {
  contextDisposed,
  responseEnded,
  responseStarted,
  WindhoverError,
} from '../../http/errors.js';
import { checkFilePart } from '../../http/file-part.js';
import { HeaderMap } from '../../http/header-map.js';
import { isBodiless, sendFileByParts } from '../../http/send-file.js';
import { TrailerMap } from '../../http/trailer-fields.js';
import { CommandFlag } from '../../native/generated/shared-layout.js';
import {
  contentLengthExceeded,
  contentLengthMismatch,
  contentLengthMissing,
} from '../windhover/content-length.js';
import { checkErrorCode } from '../windhover/http2-features.js';
import { checkInformationalStatus, informationalFields } from '../windhover/interim.js';
import { RequestDeadline, type TimedExchange } from '../windhover/request-deadline.js';
import {
  byteLength,
  checkStatus,
  composeHead,
  withoutPersistence,
} from '../windhover/response-head.js';
import { TRAILERS } from '../windhover/response-trailers.js';
import { SendOrder } from '../windhover/send-order.js';
import { noticed, runStarting, type StartingState } from '../windhover/starting.js';
import { NodeConnectionFeatures, NodeTlsFeatures } from './connection-features.js';
import type { NodeConnection, OnConnection } from './connections.js';
import type { NodeRequestBody } from './request-body.js';
import { NodeRequestFeature, type RequestHead, valuesOf } from './request-feature.js';
import type { NodeSettings } from './settings.js';
import type { Target } from './target.js';
import type { AnswerWire, FieldLines } from './wire.js';

/** What an exchange is made of. */
export interface ExchangeParts {
  readonly head: RequestHead;
  readonly target: Target;
  readonly body: NodeRequestBody;
  readonly wire: AnswerWire;
  readonly connection: NodeConnection;
  readonly settings: NodeSettings;
  /** Whether answers end their connections: the server stops. */
  readonly isStopping: () => boolean;
}

/** The features that a request can have of the server. */
const OWN_TOKENS = [
  features.HttpRequestFeature,
  features.HttpResponseFeature,
  features.HttpResponseBodyFeature,
  features.HttpRequestLifetimeFeature,
  features.HttpConnectionFeature,
  features.HttpRequestIdentifierFeature,
  features.HttpRequestBodyDetectionFeature,
  features.HttpUpgradeFeature,
  features.HttpRequestTrailersFeature,
  features.HttpMaxRequestBodySizeFeature,
  features.HttpResponseTrailersFeature,
  features.HttpInformationalResponseFeature,
  features.HttpRequestTimeoutFeature,
  HttpResetFeature,
  Http2StreamIdFeature,
  TlsConnectionFeature,
  TlsHandshakeFeature,
] as const;

const SERVER: readonly [string, string] = ['Server', 'windhover'];

export class NodeExchange
  implements
    FeatureCollection,
    ResponseFeature,
    HttpResponseBodyFeature,
    LifetimeFeature,
    InformationalFeature,
    TimedExchange,
    OnConnection
{
  over = false;
  endOrdered = false;
  aborted = false;
  hasStarted = false;
  revision = 0;
  statusCode = 200;
  reasonPhrase: string | undefined = undefined;
  /** Of a request whose body is bad: the status that it is refused with. */
  abortStatus = 0;
  /** Why the signal aborted, where the client is still there. */
  timeout: WindhoverError | undefined = undefined;
  upgrade: features.HttpUpgradeFeature | undefined = undefined;
  /** Called when there is no end of the answer to wait for: the connection is gone, or a tunnel. */
  onAnswered: () => void = () => undefined;
  /** For those who watch requests. */
  readonly slot: { method(): string; target(): string; protocol(): string };
  private readonly request: NodeRequestFeature;
  private readonly requestNumber: number;
  private replaced = new Map<symbol, unknown>();
  private connectionFeatures: NodeConnectionFeatures | undefined = undefined;
  private tls: NodeTlsFeatures | undefined = undefined;
  private controller: AbortController | undefined = undefined;
  private deadline: RequestDeadline | undefined = undefined;
  private headerMap = new HeaderMap();
  private trailerMap: TrailerMap | undefined = undefined;
  private readonly starting: StartingState = {
    starting: undefined,
    pending: undefined,
    giveUp: undefined,
  };
  private completed: ResponseCallback[] = [];
  private order: FileOrder | undefined = undefined;
  private lengthLeft = -1;
  /** Bytes that the system has not taken. */
  private waiting = 0;
  private roomWaiters: (() => void)[] = [];

  constructor(private readonly parts: ExchangeParts) {
    const { head, target, body, connection } = parts;
    this.request = new NodeRequestFeature(head, target, body);
    this.requestNumber = ++connection.requests;
    connection.running.add(this);
    const { method, target: raw, protocol } = head;
    this.slot = { method: () => method, target: () => raw, protocol: () => protocol };
  }

  get connection(): NodeConnection {
    return this.parts.connection;
  }

  get head(): RequestHead {
    return this.parts.head;
  }

  ensureLive(): void {
    if (this.over) throw contextDisposed();
  }

  // --- FeatureCollection ---

  get<T>(token: FeatureToken<T>): T | undefined {
    this.ensureLive();
    const { key } = token;
    return (this.replaced.has(key) ? this.replaced.get(key) : this.own(key)) as T | undefined;
  }

  set<T>(token: FeatureToken<T>, feature: T | undefined): void {
    this.ensureLive();
    this.revision++;
    this.replaced.set(token.key, feature);
  }

  *[Symbol.iterator](): Iterator<readonly [symbol, unknown]> {
    this.ensureLive();
    for (const { key } of OWN_TOKENS) {
      const own = this.replaced.has(key) ? undefined : this.own(key);
      if (own !== undefined) yield [key, own];
    }
    for (const entry of this.replaced) if (entry[1] !== undefined) yield entry;
  }

  private own(key: symbol): unknown {
    const { connection, body } = this.parts;
    switch (key) {
      case features.HttpRequestFeature.key:
        return this.request;
      case features.HttpResponseFeature.key:
      case features.HttpResponseBodyFeature.key:
      case features.HttpRequestLifetimeFeature.key:
      case features.HttpInformationalResponseFeature.key:
        return this;
      case features.HttpRequestBodyDetectionFeature.key:
      case features.HttpRequestTrailersFeature.key:
        return body;
      case features.HttpMaxRequestBodySizeFeature.key:
        return body.limit;
      case features.HttpConnectionFeature.key:
      case features.HttpRequestIdentifierFeature.key:
        return (this.connectionFeatures ??= new NodeConnectionFeatures(
          connection,
          this.requestNumber,
        ));
      case features.HttpUpgradeFeature.key:
        return this.upgrade;
      case features.HttpResponseTrailersFeature.key:
        return { trailers: this.responseTrailers() };
      case Http2StreamIdFeature.key:
      case HttpResetFeature.key:
        return this.http2();
      case features.HttpRequestTimeoutFeature.key:
        return (this.deadline ??= new RequestDeadline(this));
      case TlsConnectionFeature.key:
      case TlsHandshakeFeature.key:
        if (connection.stream === connection.raw) return undefined;
        return (this.tls ??= new NodeTlsFeatures(connection.stream as TLSSocket));
      default:
        return undefined;
    }
  }

  // --- HttpResponseFeature ---

  get headers(): HeaderMap {
    this.ensureLive();
    return this.headerMap;
  }

  onStarting(callback: ResponseCallback): void {
    this.ensureLive();
    if (this.hasStarted) throw responseStarted('What runs before the start');
    (this.starting.starting ??= []).push(callback);
  }

  onCompleted(callback: ResponseCallback): void {
    this.ensureLive();
    this.completed.push(callback);
  }

  /** Takes the callbacks registered with onCompleted, in the order in which they were registered. */
  takeCompleted(): ResponseCallback[] {
    const { completed } = this;
    this.completed = [];
    return completed;
  }

  // --- HttpResponseBodyFeature ---

  start(): void | Promise<void> {
    return this.inTurn(() => this.startNow());
  }

  write(data: Uint8Array | string): void | Promise<void> {
    return this.inTurn(() => {
      this.startNow(undefined, data);
      return this.writeNow(data);
    });
  }

  send(body: Uint8Array | string, contentType: string | undefined): void | Promise<void> {
    this.ensureOpen();
    if (this.hasStarted) throw responseStarted('The head');
    return this.inTurn(() => {
      if (this.hasStarted) throw responseStarted('The head'); // what ran may have answered
      this.sendNow(body, contentType);
    });
  }

  complete(): void | Promise<void> {
    return this.inTurn(() => {
      if (this.hasStarted) this.endNow();
      else this.sendNow('', undefined);
    });
  }

  sendFile(path: PathLike, offset = 0, count?: number): Promise<void> {
    this.ensureOpen();
    checkFilePart(path, offset, count);
    const order = (this.order ??= new FileOrder());
    // The file has its turn: what it sends must not wait for itself.
    const body: HttpResponseBodyFeature = {
      start: async () => {
        order.check();
        await runStarting(this.starting);
        this.startNow();
      },
      write: (data) => this.writeNow(data),
      complete: () => undefined,
    };
    return order.add(() => sendFileByParts(this, body, path, offset, count));
  }

  // --- HttpInformationalResponseFeature ---

  writeInformational(statusCode: number, headers: InformationalHeaders = []): void {
    this.ensureOpen();
    checkInformationalStatus(statusCode);
    const fields = informationalFields(headers);
    if (this.hasStarted) {
      throw new WindhoverError(
        'WH_ERR_RESPONSE_STARTED',
        'An informational answer comes before the answer, which has started',
      );
    }
    if (!this.aborted) this.parts.wire.inform(statusCode, [...fields]);
  }

  // --- HttpRequestLifetimeFeature ---

  get requestAborted(): AbortSignal {
    this.ensureLive();
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.aborted) this.controller.abort();
      else if (this.timeout !== undefined) this.controller.abort(this.timeout);
    }
    return this.controller.signal;
  }

  abort(): void {
    this.ensureLive();
    if (!this.aborted) this.cut(undefined);
  }

  private cut(code: number | undefined): void {
    this.hasStarted = true;
    this.parts.wire.reset(code);
    this.onAborted(0);
  }

  private http2(): (Http2StreamIdFeature & HttpResetFeature) | undefined {
    const { streamId } = this.parts.wire;
    if (streamId === undefined) return undefined;
    return {
      streamId,
      reset: (errorCode) => {
        this.ensureLive();
        checkErrorCode(errorCode);
        if (!this.aborted) this.cut(errorCode);
      },
    };
  }

  // --- the time that the request may take ---

  /** Gives it that much time (ms), unless its handler has set a limit already. */
  startDeadline(limit: number): void {
    if (this.deadline !== undefined) return;
    this.deadline = new RequestDeadline(this);
    this.deadline.setTimeout(limit);
  }

  get timedOut(): boolean {
    return this.timeout !== undefined;
  }

  abortForTimeout(reason: WindhoverError): void {
    if (this.over || this.aborted || this.endOrdered) return;
    this.timeout = reason;
    this.controller?.abort(reason);
  }

  answerTimeout(): void {
    if (this.over || this.aborted || this.endOrdered || !this.timedOut) return;
    if (this.hasStarted) {
      this.abort();
      return;
    }
    this.resetResponse(504);
    void this.complete();
  }

  // --- what the connection tells ---

  onGone(): void {
    if (!this.endOrdered) this.onAborted(0);
    this.letWritersGo();
    this.onAnswered();
  }

  onStopping(): void {
    // Its answer says that it is the last.
  }

  /** The client is gone (0), or what it sends is bad (a status). */
  onAborted(status: number): void {
    if (this.aborted) return;
    this.parts.body.fail(status);
    if (status !== 0) {
      this.abortStatus = status;
      return;
    }
    this.aborted = true;
    this.starting.giveUp?.();
    this.letWritersGo();
    this.controller?.abort();
  }

  // --- for HttpUpgradeFeature ---

  prepareUpgrade(): Promise<void> | undefined {
    this.ensureOpen();
    if (this.hasStarted) throw responseStarted('The head');
    return runStarting(this.starting);
  }

  becomeTunnel(statusCode: number): void {
    this.statusCode = statusCode;
    this.hasStarted = true;
    this.endOrdered = true;
    this.headerMap.freeze();
    this.deadline?.cancel();
    this.onAnswered();
  }

  /** Whether all of the request has come. */
  get isReceived(): boolean {
    return this.parts.body.isReceived;
  }

  // --- for the runner ---

  cancelOrder(): void {
    if (this.hasStarted) return;
    this.order?.cancel();
    this.order = undefined;
  }

  /** Throws away what an application that failed has prepared. Only before the start. */
  resetResponse(statusCode: number): void {
    this.statusCode = statusCode;
    this.headerMap = new HeaderMap();
    this.cancelOrder();
    this.reasonPhrase = undefined;
    this.starting.starting = undefined;
    this.starting.pending = undefined;
    this.trailerMap = undefined;
  }

  /** The application is done. */
  release(): void {
    if (this.over) return;
    this.over = true;
    this.headerMap._dispose();
    this.trailerMap?._dispose();
    this.deadline?.cancel();
    this.parts.body.release();
  }

  // --- the answer, without the callbacks ---

  private ensureOpen(): void {
    this.ensureLive();
    if (this.endOrdered) throw responseEnded();
  }

  /** Does it once the files before it are sent and the callbacks of onStarting have run. */
  private inTurn(action: () => void | Promise<void>): void | Promise<void> {
    this.ensureOpen();
    if (this.order?.isBusy === true) return this.order.add(() => this.inTurn(action));
    const waiting = this.hasStarted ? undefined : runStarting(this.starting);
    if (waiting === undefined) {
      this.ensureOpen(); // what ran may have answered
      return action();
    }
    return noticed(
      waiting.then(() => {
        this.ensureOpen();
        return action();
      }),
    );
  }

  private responseTrailers(): TrailerMap {
    return (this.trailerMap ??= new TrailerMap(() => this.over || this.endOrdered));
  }

  private wantsTrailers(): boolean {
    const { protocol, lines } = this.parts.head;
    return (
      (this.trailerMap?.size ?? 0) > 0 &&
      this.hasBody() &&
      (protocol === 'HTTP/2' ||
        (protocol === 'HTTP/1.1' && valuesOf(lines, 'te').some((value) => TRAILERS.test(value))))
    );
  }

  private hasBody(): boolean {
    const { method } = this.parts.head;
    if (method === 'HEAD' || (method === 'CONNECT' && this.statusCode < 300)) return false;
    return !isBodiless(this.statusCode);
  }

  private sendNow(body: Uint8Array | string, contentType: string | undefined): void {
    this.ensureOpen();
    const length = byteLength(body);
    if (this.wantsTrailers() && !this.headerMap.has('Content-Length')) {
      this.startNow(contentType, body);
      void this.writeNow(body);
      this.endNow();
      return;
    }
    const isToHead = this.parts.head.method === 'HEAD';
    const declared = this.startHead(contentType, (told) => {
      if (told >= 0 && told !== length && !(length === 0 && !this.hasBody())) {
        throw contentLengthMismatch(told, length);
      }
      if (told >= 0) return told;
      return this.hasBody() || isToHead ? length : this.statusCode === 205 ? 0 : -1;
    });
    this.lengthLeft = declared;
    this.endOrdered = true;
    if (!this.aborted) this.parts.wire.end(this.hasBody() ? body : undefined, undefined);
  }

  /** Sends the head; `first` is what follows at once. */
  private startNow(contentType?: string, first?: Uint8Array | string): void {
    this.ensureOpen();
    if (this.hasStarted) return;
    this.lengthLeft = this.startHead(contentType, (told) => {
      const excess = first === undefined || told < 0 ? 0 : byteLength(first) - told;
      if (excess > 0) throw contentLengthExceeded(excess);
      return told < 0 && this.statusCode === 205 ? 0 : told;
    });
  }

  /** @param lengthOf - From the Content-Length that was set (-1: none) to the one that is sent. */
  private startHead(contentType: string | undefined, lengthOf: (told: number) => number): number {
    const { wire, settings, connection, body, head, isStopping } = this.parts;
    checkStatus(this.statusCode);
    if (head.method === 'CONNECT' && this.statusCode < 300) this.refuseConnect();
    const { headerMap: headers, reasonPhrase } = this;
    const composed = composeHead(headers, reasonPhrase, contentType);
    const contentLength = lengthOf(composed.contentLength);
    const lines: (readonly [string, string])[] = [];
    for (const { name, lower, value } of headers._lines) {
      if (lower === 'content-length') continue;
      if (lower !== 'connection') lines.push([name, value]);
      else if (withoutPersistence(value) !== '') lines.push([name, withoutPersistence(value)]);
    }
    if (contentType !== undefined && !headers.has('Content-Type')) {
      lines.push(['Content-Type', contentType]);
    }
    const trailers = contentLength < 0 && this.wantsTrailers();
    if (trailers && head.protocol !== 'HTTP/2' && !headers.has('Trailer')) {
      const names = new Set([...this.responseTrailers()].map(([name]) => name));
      lines.push(['Trailer', [...names].join(', ')]);
    }
    if (settings.addServerHeader && (composed.flags & CommandFlag.HAS_SERVER) === 0) {
      lines.push(SERVER);
    }
    const close =
      (composed.flags & CommandFlag.CLOSE) !== 0 ||
      isStopping() ||
      connection.isLast ||
      this.abortStatus !== 0 ||
      this.upgrade?.isUpgradableRequest === true ||
      (!body.isComplete && body.isTooLarge);
    if (close) connection.isLast = true;
    this.hasStarted = true;
    headers.freeze();
    if (!this.aborted) {
      const hasBody = this.hasBody();
      const { statusCode: status } = this;
      wire.start({ status, reason: reasonPhrase, lines, contentLength, hasBody, close, trailers });
    }
    return contentLength;
  }

  /** An answer that says yes to CONNECT would make a tunnel of the connection. */
  private refuseConnect(): void {
    this.statusCode = 405;
    this.reasonPhrase = undefined;
    this.headerMap.delete('Content-Length');
  }

  private writeNow(data: Uint8Array | string): void | Promise<void> {
    this.ensureOpen();
    const length = byteLength(data);
    if (length === 0) return undefined;
    if (this.lengthLeft >= 0) {
      if (length > this.lengthLeft) throw contentLengthExceeded(length - this.lengthLeft);
      this.lengthLeft -= length;
    }
    if (this.aborted || !this.hasBody()) return undefined;
    this.waiting += length;
    this.parts.wire.write(data, () => {
      this.waiting -= length;
      if (this.waiting <= this.parts.settings.limits.maxResponseBufferSize / 4) this.letWritersGo();
    });
    if (this.waiting < this.parts.settings.limits.maxResponseBufferSize) return undefined;
    return new Promise((resolve) => {
      if (this.waiting === 0) resolve();
      else this.roomWaiters.push(resolve);
    });
  }

  private endNow(): void {
    this.ensureOpen();
    if (!this.aborted && this.lengthLeft > 0 && this.hasBody()) {
      throw contentLengthMissing(this.lengthLeft);
    }
    const trailers: FieldLines | undefined = this.wantsTrailers()
      ? [...this.responseTrailers()]
      : undefined;
    this.endOrdered = true;
    if (!this.aborted) this.parts.wire.end(undefined, trailers);
  }

  private letWritersGo(): void {
    const { roomWaiters } = this;
    this.roomWaiters = [];
    for (const resolve of roomWaiters) resolve();
  }
}

/** The order of an answer with files. */
class FileOrder extends SendOrder {
  check(): void {
    this.ensureWanted();
  }
}
