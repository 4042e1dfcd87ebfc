/**
 * One request and its answer on the native core. Made anew for each request, so that what somebody kept
 * of an old one can never reach a new one; every use after the end throws.
 *
 * The exchange is its own feature collection, its answer's head and its answer's body (as Kestrel's
 * HttpProtocol is), so that a plain request costs one object; what only some requests need is made when
 * it is asked for.
 */
import type { PathLike } from 'node:fs';
import type { FeatureCollection, FeatureToken } from '../../features/feature-collection.js';
import type { InformationalHeaders, ResponseCallback } from '../../features/http-features.js';
import {
  HttpConnectionFeature,
  HttpInformationalResponseFeature,
  HttpMaxRequestBodySizeFeature,
  HttpMinRequestBodyDataRateFeature,
  HttpMinResponseDataRateFeature,
  HttpRequestBodyDetectionFeature,
  HttpRequestFeature,
  HttpRequestIdentifierFeature,
  HttpRequestLifetimeFeature,
  HttpRequestTimeoutFeature,
  HttpRequestTrailersFeature,
  HttpResponseBodyFeature,
  HttpResponseFeature,
  HttpResponseTrailersFeature,
  HttpUpgradeFeature,
  RouteValuesFeature,
} from '../../features/http-features.js';
import {
  Http2StreamIdFeature,
  HttpExtendedConnectFeature,
  HttpResetFeature,
} from '../../features/http2-features.js';
import { TlsConnectionFeature, TlsHandshakeFeature } from '../../features/tls-features.js';
import {
  contextDisposed,
  responseEnded,
  responseStarted,
  WindhoverError,
} from '../../http/errors.js';
import { checkFilePart } from '../../http/file-part.js';
import { HeaderMap } from '../../http/header-map.js';
import { isBodiless } from '../../http/send-file.js';
import { Command, CommandFlag, RequestFlag } from '../../native/generated/shared-layout.js';
import type { RunningExchange, Slot } from '../../native/slot.js';
import { RequestBodyLimit } from './body-limit.js';
import { ConnectionFeatures } from './connection-features.js';
import {
  contentLengthExceeded,
  contentLengthMismatch,
  contentLengthMissing,
} from './content-length.js';
import { DataRate } from './data-rates.js';
import { type FileTarget, SendQueue } from './file-sending.js';
import { dropConnectionFields, Http2Features, type ResettableExchange } from './http2-features.js';
import { checkInformationalStatus, composeInformational } from './interim.js';
import { RareState } from './rare-state.js';
import { noticed, runStarting } from './starting.js';
import { RequestDeadline, type TimedExchange } from './request-deadline.js';
import { RequestFeature } from './request-feature.js';
import {
  byteLength,
  checkStatus,
  composeHead,
  type ComposedHead,
  contentTypeFlag,
} from './response-head.js';
import { ResponseTrailers } from './response-trailers.js';
import { TlsFeatures } from './tls-features.js';
import { UpgradeFeature } from './upgrade-feature.js';
import type { UpgradeLink } from './upgrade-link.js';

export class WindhoverExchange
  implements
    FeatureCollection,
    HttpResponseFeature,
    HttpResponseBodyFeature,
    HttpRequestLifetimeFeature,
    HttpInformationalResponseFeature,
    RunningExchange,
    TimedExchange,
    FileTarget,
    ResettableExchange
{
  /** The application is done with it: nothing of it may be touched. */
  over = false;
  /** The end of the answer has been ordered. */
  endOrdered = false;
  /** The client has gone, or its request turned out to be bad: nothing that is answered arrives. */
  aborted = false;
  hasStarted = false;
  revision = 0;
  statusCode = 200;
  /** What the application made of it; for the runner. */
  context: unknown = undefined;
  private request: RequestFeature | undefined = undefined;
  private routeValues: RouteValuesFeature | undefined = undefined;
  private headerMap: HeaderMap | undefined = undefined;
  private rareState: RareState | undefined = undefined;
  /** Where the command stands that ended the answer, and when it was written. */
  private lastPlace = -1;
  private lastEpoch = 0;

  constructor(
    readonly slot: Slot,
    /** Tells this use of the slot from all others. */
    readonly generation: number,
  ) {}

  rare(): RareState {
    return (this.rareState ??= new RareState());
  }

  /** Throws where the request is over. Everything that reads the slot comes through here. */
  ensureLive(): void {
    if (this.over) throw contextDisposed();
  }

  // --- FeatureCollection ---

  get<T>(token: FeatureToken<T>): T | undefined {
    if (this.over) throw contextDisposed();
    const { key } = token;
    const replaced = this.rareState?.replaced;
    if (replaced?.has(key) === true) return replaced.get(key) as T | undefined;
    return this.own(key) as T | undefined;
  }

  set<T>(token: FeatureToken<T>, feature: T | undefined): void {
    if (this.over) throw contextDisposed();
    this.revision++;
    if (token.key === RouteValuesFeature.key) {
      this.routeValues = feature as RouteValuesFeature | undefined;
      return;
    }
    const rare = this.rare();
    (rare.replaced ??= new Map<symbol, unknown>()).set(token.key, feature);
  }

  [Symbol.iterator](): Iterator<readonly [symbol, unknown]> {
    if (this.over) throw contextDisposed();
    return this.entries();
  }

  private *entries(): Generator<readonly [symbol, unknown]> {
    const replaced = this.rareState?.replaced;
    for (const { key } of OWN_TOKENS) {
      const own = replaced?.has(key) === true ? undefined : this.own(key);
      if (own !== undefined) yield [key, own];
    }
    for (const entry of replaced ?? []) if (entry[1] !== undefined) yield entry;
  }

  private own(key: symbol): unknown {
    switch (key) {
      case HttpResponseBodyFeature.key:
      case HttpResponseFeature.key:
      case HttpRequestLifetimeFeature.key:
      case HttpInformationalResponseFeature.key:
        return this;
      case HttpRequestFeature.key:
      case HttpRequestBodyDetectionFeature.key:
      case HttpRequestTrailersFeature.key:
        return (this.request ??= new RequestFeature(this));
      case RouteValuesFeature.key:
        return this.routeValues;
      case HttpConnectionFeature.key:
      case HttpRequestIdentifierFeature.key:
        return (this.rare().connection ??= new ConnectionFeatures(this));
      case HttpUpgradeFeature.key:
        return this.upgradeFeature();
      default:
        return this.ownRare(key);
    }
  }

  private ownRare(key: symbol): unknown {
    switch (key) {
      case HttpMaxRequestBodySizeFeature.key:
        return (this.rare().bodyLimit ??= new RequestBodyLimit(
          this.slot.host.maxRequestBodySize,
          () => this.isBodyOpened(),
        ));
      case HttpResponseTrailersFeature.key:
        return (this.rare().responseTrailers ??= new ResponseTrailers(
          () => this.over || this.endOrdered,
        ));
      case HttpRequestTimeoutFeature.key:
        return (this.rare().deadline ??= new RequestDeadline(this));
      case HttpMinRequestBodyDataRateFeature.key:
        return (this.rare().requestRate ??= this.dataRate(Command.REQUEST_RATE));
      case HttpMinResponseDataRateFeature.key:
        if (this.slot.isHttp2()) return undefined; // the connection's, which others share
        return (this.rare().responseRate ??= this.dataRate(Command.RESPONSE_RATE));
      case TlsConnectionFeature.key:
      case TlsHandshakeFeature.key:
        if ((this.slot.flags() & RequestFlag.TLS) === 0) return undefined;
        return (this.rare().tls ??= new TlsFeatures(this));
      case HttpResetFeature.key:
      case Http2StreamIdFeature.key:
      case HttpExtendedConnectFeature.key:
        if (!this.slot.isHttp2()) return undefined;
        return (this.rare().http2 ??= new Http2Features(this));
      default:
        return undefined;
    }
  }

  upgradeFeature(): UpgradeFeature {
    return (this.rare().upgrade ??= new UpgradeFeature(this));
  }

  private dataRate(kind: typeof Command.REQUEST_RATE | typeof Command.RESPONSE_RATE): DataRate {
    return new DataRate(this, kind, this.slot.host.limits);
  }

  // --- HttpResponseFeature ---

  get reasonPhrase(): string | undefined {
    return this.rareState?.reasonPhrase;
  }
  set reasonPhrase(value: string | undefined) {
    if (this.over) throw contextDisposed();
    this.rare().reasonPhrase = value;
  }

  get headers(): HeaderMap {
    if (this.over) throw contextDisposed();
    if (this.headerMap === undefined) {
      this.headerMap = new HeaderMap();
      if (this.hasStarted) this.headerMap.freeze();
    }
    return this.headerMap;
  }

  onStarting(callback: ResponseCallback): void {
    if (this.over) throw contextDisposed();
    if (this.hasStarted) throw responseStarted('What runs before the start');
    (this.rare().starting ??= []).push(callback);
  }

  onCompleted(callback: ResponseCallback): void {
    if (this.over) throw contextDisposed();
    (this.rare().completed ??= []).push(callback);
  }

  // --- HttpResponseBodyFeature ---

  send(body: Uint8Array | string, contentType: string | undefined): void | Promise<void> {
    this.ensureOpen();
    if (this.hasStarted) throw responseStarted('The head');
    if (this.rareState !== undefined) {
      const { queue } = this.rareState;
      if (queue?.isBusy === true) return queue.add(() => this.send(body, contentType));
      const waiting = runStarting(this.rareState);
      if (waiting !== undefined) {
        return noticed(waiting.then(() => this.sendUnlessStarted(body, contentType)));
      }
      return this.sendUnlessStarted(body, contentType); // what ran may have answered
    }
    this.sendNow(body, contentType);
    return undefined;
  }

  start(): void | Promise<void> {
    this.ensureOpen();
    if (this.hasStarted) return undefined;
    const queue = this.rareState?.queue;
    if (queue?.isBusy === true) return queue.add(() => this.start());
    const waiting = this.rareState === undefined ? undefined : runStarting(this.rareState);
    if (waiting !== undefined) {
      return noticed(
        waiting.then(() => {
          this.startNow();
        }),
      );
    }
    this.startNow();
    return undefined;
  }

  write(data: Uint8Array | string): void | Promise<void> {
    this.ensureOpen();
    const queue = this.rareState?.queue;
    if (queue?.isBusy === true) return queue.add(() => this.write(data));
    if (!this.hasStarted) {
      const waiting = this.rareState === undefined ? undefined : runStarting(this.rareState);
      if (waiting !== undefined) {
        return noticed(
          waiting.then(() => {
            this.startNow(undefined, data);
            return this.writeNow(data);
          }),
        );
      }
      this.startNow(undefined, data);
    }
    return this.writeNow(data);
  }

  sendFile(path: PathLike, offset = 0, count?: number): Promise<void> {
    this.ensureOpen();
    checkFilePart(path, offset, count);
    return (this.rare().queue ??= new SendQueue(this)).addFile(path, offset, count);
  }

  complete(): void | Promise<void> {
    this.ensureOpen();
    const queue = this.rareState?.queue;
    if (queue?.isBusy === true) return queue.add(() => this.complete());
    if (!this.hasStarted && this.rareState !== undefined) {
      const waiting = runStarting(this.rareState);
      if (waiting !== undefined) {
        return noticed(
          waiting.then(() => {
            this.completeNow();
          }),
        );
      }
    }
    this.completeNow();
    return undefined;
  }

  // --- HttpInformationalResponseFeature ---

  writeInformational(statusCode: number, headers?: InformationalHeaders): void | Promise<void> {
    this.ensureOpen();
    checkInformationalStatus(statusCode);
    const fields = composeInformational(headers);
    if (this.hasStarted) {
      throw new WindhoverError(
        'WH_ERR_RESPONSE_STARTED',
        'An informational answer comes before the answer, which has started',
      );
    }
    if (this.aborted) return undefined;
    return this.orderPiece(Command.INFORM, statusCode, fields, '', fields.length + INTERIM_LINE);
  }

  // --- HttpRequestLifetimeFeature ---

  get requestAborted(): AbortSignal {
    if (this.over) throw contextDisposed();
    const rare = this.rare();
    if (rare.controller === undefined) {
      rare.controller = new AbortController();
      if (this.aborted) rare.controller.abort();
      else if (rare.timeout !== undefined) rare.controller.abort(rare.timeout);
    }
    return rare.controller.signal;
  }

  abort(): void {
    if (this.over) throw contextDisposed();
    if (this.aborted) return;
    this.order(Command.ABORT);
    this.hasStarted = true;
    this.onAborted(0);
  }

  cut(code: number): void {
    if (this.over) throw contextDisposed();
    if (this.aborted || (this.endOrdered && this.link === undefined)) return;
    const { host, number } = this.slot;
    host.commands.write(Command.ABORT, 0, number, this.generation, code + 1, '', '');
    this.hasStarted = true;
    this.onAborted(0);
  }

  // --- the time that the request may take ---

  /** Gives it that much time (ms), unless its handler has set a limit already. */
  startDeadline(limit: number): void {
    const rare = this.rare();
    if (rare.deadline !== undefined) return;
    rare.deadline = new RequestDeadline(this);
    rare.deadline.setTimeout(limit);
  }

  /** Its deadline has come, and it was not answered by then. */
  get timedOut(): boolean {
    return this.rareState?.timeout !== undefined;
  }

  abortForTimeout(reason: WindhoverError): void {
    if (this.over || this.aborted || this.endOrdered) return;
    const rare = this.rare();
    rare.timeout = reason;
    rare.controller?.abort(reason);
  }

  answerTimeout(): void {
    if (this.over || this.aborted || this.endOrdered || !this.timedOut) return;
    if (this.hasStarted) {
      this.abort();
      return;
    }
    this.resetResponse(504);
    void this.complete(); // with no callbacks left it waits for nothing
  }

  // --- what the core reports ---

  onBody(offset: number, length: number): void {
    if (this.link !== undefined) this.link.onBody(offset, length);
    else (this.request ??= new RequestFeature(this)).onBody(offset, length);
  }

  onTrailers(offset: number, length: number): void {
    (this.request ??= new RequestFeature(this)).onTrailers(offset, length);
  }

  onBodyEnd(): void {
    if (this.link !== undefined) this.link.onBodyEnd();
    else (this.request ??= new RequestFeature(this)).onBodyEnd();
  }

  onAborted(status: number): void {
    this.aborted = true;
    const rare = this.rare();
    rare.abortStatus = status;
    rare.giveUp?.();
    rare.queue?.onAborted();
    this.request?.onAborted(status);
    this.onRoom();
    rare.link?.onAborted();
    rare.controller?.abort();
  }

  onFileDone(result: number): void {
    this.rareState?.queue?.onFileDone(result);
  }

  onRoom(): void {
    const rare = this.rareState;
    if (rare === undefined) return;
    const waiters = rare.roomWaiters;
    rare.roomWaiters = [];
    for (const resolve of waiters) resolve();
    rare.link?.onRoom();
  }

  onStopping(): void {
    this.link?.onStopping();
  }

  // --- for HttpUpgradeFeature ---

  /** The same as before the start of any answer. */
  prepareUpgrade(): Promise<void> | undefined {
    this.ensureOpen();
    if (this.hasStarted) throw responseStarted('The head');
    return runStarting(this.rare());
  }

  /** The answer is out, and the connection a tunnel. */
  becomeTunnel(statusCode: number, link: UpgradeLink): void {
    this.statusCode = statusCode;
    this.hasStarted = true;
    this.endOrdered = true;
    this.headerMap?.freeze();
    const rare = this.rare();
    rare.deadline?.cancel();
    rare.link = link;
  }

  /** The tunnel that the connection has become. */
  get link(): UpgradeLink | undefined {
    return this.rareState?.link;
  }

  // --- for the runner ---

  /** Gives up files of which nothing is sent, and what waits behind them: something else is answered. */
  cancelQueue(): void {
    if (this.hasStarted || this.rareState?.queue === undefined) return;
    this.rareState.queue.cancel();
    this.rareState.queue = undefined;
  }

  /** Keeps what came with the head, before the batch is over: the handler goes on after it. */
  saveBody(): void {
    if ((this.slot.flags() & RequestFlag.BODY_COMPLETE) === 0) return;
    (this.request ??= new RequestFeature(this)).saveBody();
  }

  /** Throws away what an application that failed has prepared. Only before the start. */
  resetResponse(statusCode: number): void {
    this.statusCode = statusCode;
    this.headerMap = undefined;
    this.cancelQueue();
    if (this.rareState !== undefined) {
      this.rareState.reasonPhrase = undefined;
      this.rareState.starting = undefined;
      this.rareState.pending = undefined;
      this.rareState.responseTrailers = undefined;
    }
  }

  /** Of an aborted exchange: the status that its request was refused with; 0 where the client is gone. */
  get abortStatus(): number {
    return this.rareState?.abortStatus ?? 0;
  }

  get bodyLimit(): RequestBodyLimit | undefined {
    return this.rareState?.bodyLimit;
  }

  /** Takes the callbacks registered with onCompleted, in the order in which they were registered. */
  takeCompleted(): ResponseCallback[] | undefined {
    const rare = this.rareState;
    if (rare === undefined) return undefined;
    const callbacks = rare.completed;
    rare.completed = undefined;
    return callbacks;
  }

  /** The application is done: the slot is the core's again. */
  release(): void {
    if (this.over) return;
    this.over = true;
    this.headerMap?._dispose();
    this.rareState?.deadline?.cancel();
    this.request?.onReleased();
    this.rareState?.responseTrailers?.trailers._dispose();
    if (this.link !== undefined) {
      this.link.detach();
      return;
    }
    const commands = this.slot.host.commands;
    if (this.lastPlace >= 0 && this.lastEpoch === commands.epoch) {
      commands.addFlag(this.lastPlace, CommandFlag.RELEASE);
    } else {
      this.order(Command.RELEASE);
    }
  }

  /** Orders what is nothing but a command. */
  order(kind: number): number {
    return this.slot.host.commands.bare(kind, 0, this.slot.number, this.generation);
  }

  // --- the answer, without the callbacks ---

  private ensureOpen(): void {
    if (this.over) throw contextDisposed();
    if (this.endOrdered) throw responseEnded();
  }

  private isBodyOpened(): boolean {
    this.ensureLive();
    return this.request?.isOpened ?? false;
  }

  private sendUnlessStarted(
    body: Uint8Array | string,
    contentType: string | undefined,
  ): void | Promise<void> {
    this.ensureOpen();
    if (this.hasStarted) throw responseStarted('The head');
    if (this.wantsTrailers()) {
      // Behind a body of known length there is no place for trailers.
      this.startNow(contentType, body);
      const waiting = this.writeNow(body);
      this.completeNow();
      return waiting;
    }
    this.sendNow(body, contentType);
    return undefined;
  }

  /** Whether the answer, which has not started, is to be sent in pieces because of its trailers. */
  wantsTrailers(): boolean {
    return (
      this.rareState?.responseTrailers?.areWanted(this.slot) === true &&
      this.hasBody() &&
      (this.slot.isHttp2() || this.headerMap?.has('Content-Length') !== true)
    );
  }

  private sendNow(body: Uint8Array | string, contentType: string | undefined): void {
    if (this.statusCode !== 200) checkStatus(this.statusCode);
    const headers = this.headerMap;
    if (headers === undefined && this.rareState?.reasonPhrase === undefined) {
      // The usual answer: nothing set but the body.
      const flag = contentTypeFlag(contentType);
      if (flag >= 0) {
        this.hasStarted = true;
        this.orderAnswer(flag, '', body);
        return;
      }
    }
    const head = this.compose(contentType);
    if (head.contentLength >= 0 && head.contentLength !== byteLength(body)) {
      throw contentLengthMismatch(head.contentLength, byteLength(body));
    }
    this.hasStarted = true;
    headers?.freeze();
    this.orderAnswer(head.flags, head.text, body);
  }

  private compose(contentType: string | undefined): ComposedHead {
    const headers = this.headerMap;
    if (headers !== undefined && this.slot.isHttp2()) dropConnectionFields(headers, this.slot.host);
    return composeHead(headers, this.reasonPhrase, contentType);
  }

  /** Sends the head; `first` is what follows at once. */
  startNow(contentType?: string, first?: Uint8Array | string): void {
    this.ensureOpen();
    if (this.hasStarted) return;
    if (this.statusCode !== 200) checkStatus(this.statusCode);
    const head = this.compose(contentType);
    if (head.contentLength >= 0 && first !== undefined && byteLength(first) > head.contentLength) {
      throw contentLengthExceeded(byteLength(first) - head.contentLength);
    }
    const rare = this.rareState;
    const announced =
      rare?.responseTrailers !== undefined && this.wantsTrailers()
        ? rare.responseTrailers.announcement(this.slot, this.headerMap)
        : '';
    this.hasStarted = true;
    this.headerMap?.freeze();
    if (head.contentLength >= 0) this.rare().lengthLeft = head.contentLength;
    this.orderStart(head.flags, head.text + announced, head.contentLength);
  }

  private writeNow(data: Uint8Array | string): void | Promise<void> {
    this.ensureOpen();
    const length = byteLength(data);
    if (length === 0) return undefined;
    this.takeLength(length);
    if (this.aborted) return undefined; // nobody reads it; who wants to know has requestAborted
    return this.orderPiece(Command.WRITE, 0, '', data, length);
  }

  /** Counts bytes of the body. Throws WH_ERR_CONTENT_LENGTH_EXCEEDED where they are too many. */
  takeLength(length: number): void {
    const rare = this.rare();
    if (rare.lengthLeft < 0) return;
    if (length > rare.lengthLeft) throw contentLengthExceeded(length - rare.lengthLeft);
    rare.lengthLeft -= length;
  }

  /** Orders what has `length` bytes; a promise where the client is to take earlier ones first. */
  private orderPiece(
    kind: number,
    status: number,
    head: string,
    data: Uint8Array | string,
    length: number,
  ): void | Promise<void> {
    const rare = this.rare();
    const { host, number } = this.slot;
    rare.unconfirmed += length;
    const full = rare.unconfirmed >= host.limits.maxResponseBufferSize;
    const flags = full ? CommandFlag.NOTIFY : 0;
    host.commands.write(kind, flags, number, this.generation, status, head, data);
    if (!full) return undefined;
    rare.unconfirmed = 0;
    return new Promise((resolve) => {
      rare.roomWaiters.push(resolve);
    });
  }

  private completeNow(): void {
    this.ensureOpen();
    if (this.hasStarted) {
      const missing = this.rareState?.lengthLeft ?? -1;
      if (this.aborted) this.endOrdered = true;
      else if (missing > 0 && this.hasBody()) throw contentLengthMissing(missing);
      else this.orderEnd();
      return;
    }
    if (this.rareState !== undefined && this.wantsTrailers()) {
      this.startNow();
      if (this.aborted) this.endOrdered = true;
      else this.orderEnd();
      return;
    }
    if (this.statusCode !== 200) checkStatus(this.statusCode);
    const head = this.compose(undefined);
    if (head.contentLength > 0) {
      if (this.hasBody()) throw contentLengthMismatch(head.contentLength, 0);
      // The length that a GET would have.
      this.hasStarted = true;
      this.headerMap?.freeze();
      this.orderStart(head.flags, head.text, head.contentLength);
      if (this.aborted) this.endOrdered = true;
      else this.orderEnd();
      return;
    }
    this.hasStarted = true;
    this.headerMap?.freeze();
    this.orderAnswer(head.flags, head.text, '');
  }

  /** Whether the answer has a body on the wire: not to HEAD, nor with a status that has none. */
  hasBody(): boolean {
    if ((this.slot.flags() & RequestFlag.HEAD_METHOD) !== 0) return false;
    if (this.statusCode < 300 && this.slot.method() === 'CONNECT') return false;
    return !isBodiless(this.statusCode);
  }

  private orderAnswer(flags: number, head: string, body: Uint8Array | string): void {
    if (this.aborted) {
      this.endOrdered = true;
      return;
    }
    const { host, number } = this.slot;
    const commands = host.commands;
    this.lastPlace = commands.write(
      Command.RESPOND,
      flags,
      number,
      this.generation,
      this.statusCode,
      head,
      body,
    );
    this.endOrdered = true; // not before: what is too long is refused
    this.lastEpoch = commands.epoch;
  }

  private orderStart(flags: number, head: string, contentLength: number): void {
    if (this.aborted) return;
    const { host, number } = this.slot;
    host.commands.start(flags, number, this.generation, this.statusCode, head, contentLength);
  }

  private orderEnd(): void {
    const trailers = this.rareState?.responseTrailers;
    if (trailers?.areWanted(this.slot) === true) {
      const lines = trailers.compose();
      const { host, number } = this.slot;
      this.lastPlace = host.commands.write(
        Command.TRAILERS,
        0,
        number,
        this.generation,
        0,
        lines,
        '',
      );
    } else {
      this.lastPlace = this.order(Command.END);
    }
    this.endOrdered = true;
    this.lastEpoch = this.slot.host.commands.epoch;
  }
}

/** About what the status line of an interim answer takes (bytes). */
const INTERIM_LINE = 32;

/** The features that a request can have of the server. */
const OWN_TOKENS = [
  HttpRequestFeature,
  HttpResponseFeature,
  HttpResponseBodyFeature,
  HttpRequestLifetimeFeature,
  HttpConnectionFeature,
  HttpRequestIdentifierFeature,
  HttpRequestBodyDetectionFeature,
  HttpUpgradeFeature,
  HttpRequestTrailersFeature,
  HttpMaxRequestBodySizeFeature,
  HttpResponseTrailersFeature,
  HttpInformationalResponseFeature,
  HttpRequestTimeoutFeature,
  HttpMinRequestBodyDataRateFeature,
  HttpMinResponseDataRateFeature,
  TlsConnectionFeature,
  TlsHandshakeFeature,
  HttpResetFeature,
  Http2StreamIdFeature,
  HttpExtendedConnectFeature,
  RouteValuesFeature,
] as const;
