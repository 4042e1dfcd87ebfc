/** The request on the native core: read from its slot when asked for, and open to be changed. */
import type { HeaderDictionary } from '../../features/header-dictionary.js';
import type {
  HttpRequestBodyDetectionFeature,
  HttpRequestFeature,
  HttpRequestTrailersFeature,
  RequestBodySource,
} from '../../features/http-features.js';
import { contextDisposed } from '../../http/errors.js';
import type { HeaderMap } from '../../http/header-map.js';
import { RequestFlag } from '../../native/generated/shared-layout.js';
import { copyBytes, NativeRequestBody } from '../../native/request-body.js';
import type { Slot } from '../../native/slot.js';
import { bodyError } from './body-error.js';
import type { LiveExchange } from './live-exchange.js';
import { NativeRequestHeaders } from './request-headers.js';
import { parseTrailers, trailersNotAvailable } from './request-trailers.js';

export class RequestFeature
  implements
    HttpRequestFeature,
    HttpRequestBodyDetectionFeature,
    HttpRequestTrailersFeature,
    RequestBodySource
{
  pathBase = '';
  private ownScheme: string | undefined = undefined;
  private ownMethod: string | undefined = undefined;
  private ownPath: string | undefined = undefined;
  private ownQuery: string | undefined = undefined;
  private ownTarget: string | undefined = undefined;
  private ownProtocol: string | undefined = undefined;
  private ownHeaders: HeaderDictionary | undefined = undefined;
  private ownBody: RequestBodySource | undefined = undefined;
  private nativeBody: NativeRequestBody | undefined = undefined;
  /** Whether the body that came with the head has been copied out of the arena. */
  private isSaved = false;
  /** Whether somebody has begun to read the body. */
  isOpened = false;
  private trailerMap: HeaderMap | undefined = undefined;

  constructor(private readonly exchange: LiveExchange) {}

  get protocol(): string {
    return (this.ownProtocol ??= this.slot().protocol());
  }
  set protocol(value: string) {
    this.ownProtocol = value;
  }

  get scheme(): string {
    return (this.ownScheme ??= (this.slot().flags() & RequestFlag.TLS) === 0 ? 'http' : 'https');
  }
  set scheme(value: string) {
    this.ownScheme = value;
  }

  get method(): string {
    return (this.ownMethod ??= this.slot().method());
  }
  set method(value: string) {
    this.ownMethod = value;
  }

  get path(): string {
    return (this.ownPath ??= this.slot().path());
  }
  set path(value: string) {
    this.ownPath = value;
  }

  get queryString(): string {
    return (this.ownQuery ??= this.slot().query());
  }
  set queryString(value: string) {
    this.ownQuery = value;
  }

  get rawTarget(): string {
    return (this.ownTarget ??= this.slot().target());
  }
  set rawTarget(value: string) {
    this.ownTarget = value;
  }

  get headers(): HeaderDictionary {
    return (this.ownHeaders ??= new NativeRequestHeaders(this.exchange));
  }
  set headers(value: HeaderDictionary) {
    this.ownHeaders = value;
  }

  get canHaveBody(): boolean {
    return (this.slot().flags() & RequestFlag.HAS_BODY) !== 0;
  }

  /** This object by itself: it takes the body from the core. */
  get body(): RequestBodySource {
    return this.ownBody ?? this;
  }
  set body(value: RequestBodySource) {
    this.ownBody = value;
  }

  bytes(): Promise<Uint8Array> {
    const slot = this.slot();
    this.open();
    if (!this.isSaved && (slot.flags() & RequestFlag.BODY_COMPLETE) !== 0) {
      // In the usual case, a small body, all of it is here already.
      this.isSaved = true;
      return Promise.resolve(copyBytes(slot.host.arena, slot.bodyOffset(), slot.bodyLength()));
    }
    const own = this.exchange.bodyLimit;
    const most = own === undefined ? slot.host.maxRequestBodySize : own.maxRequestBodySize;
    return this.pieces().all(most);
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    this.open();
    const pieces = this.pieces();
    return {
      next: () => pieces.next(),
      return: () => {
        pieces.cancel();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  // --- HttpRequestTrailersFeature ---

  get available(): boolean {
    const slot = this.slot();
    if ((slot.flags() & RequestFlag.HAS_BODY) === 0) return true;
    // A body that came with the head, and was taken out of the arena at once, leaves nothing behind.
    return this.nativeBody === undefined ? this.isSaved : this.nativeBody.isRead;
  }

  get trailers(): HeaderMap {
    if (!this.available) throw trailersNotAvailable();
    return (this.trailerMap ??= parseTrailers(this.nativeBody?.trailers ?? []));
  }

  /** Keeps the body that came with the head: the arena is overwritten once the batch is over. */
  saveBody(): void {
    if (this.isSaved) return;
    this.isSaved = true;
    const slot = this.slot();
    if ((slot.flags() & RequestFlag.BODY_COMPLETE) === 0) return;
    const pieces = (this.nativeBody ??= new NativeRequestBody(slot, this.exchange.generation));
    pieces.push(slot.bodyOffset(), slot.bodyLength());
    pieces.end();
  }

  onBody(offset: number, length: number): void {
    this.pieces().push(offset, length);
  }

  onTrailers(offset: number, length: number): void {
    this.pieces().pushTrailers(offset, length);
  }

  onBodyEnd(): void {
    this.pieces().end();
  }

  onAborted(status: number): void {
    this.nativeBody?.fail(bodyError(status));
  }

  /** The request is over: who still waits for the body is told so. */
  onReleased(): void {
    if (this.nativeBody?.isOpen === true) this.nativeBody.fail(contextDisposed());
    this.trailerMap?._dispose();
  }

  /** The first read settles the limit: what exceeds one of the application's own is refused now. */
  private open(): void {
    if (this.isOpened) return;
    this.isOpened = true;
    const limit = this.exchange.bodyLimit;
    if (limit?.changed !== true || !this.canHaveBody) return;
    const { slot, generation } = this.exchange;
    const most = limit.maxRequestBodySize;
    slot.host.commands.limitBody(slot.number, generation, most);
    const pieces = this.pieces();
    if (most !== null && pieces.knownLength > most) pieces.refuse(bodyError(413));
  }

  private pieces(): NativeRequestBody {
    const slot = this.slot();
    this.saveBody();
    if (this.nativeBody === undefined) {
      this.nativeBody = new NativeRequestBody(slot, this.exchange.generation);
      if (this.exchange.aborted) this.nativeBody.fail(bodyError(this.exchange.abortStatus));
    }
    return this.nativeBody;
  }

  /** The slot, as long as it is this request's. */
  private slot(): Slot {
    this.exchange.ensureLive();
    return this.exchange.slot;
  }
}
