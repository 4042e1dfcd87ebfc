/** The request on the native core: read from its slot when asked for, and open to be changed. */
import type { HeaderDictionary } from '../../features/header-dictionary.js';
import type {
  HttpRequestBodyDetectionFeature,
  HttpRequestFeature,
  RequestBodySource,
} from '../../features/http-features.js';
import { BadHttpRequestError, contextDisposed, WindhoverError } from '../../http/errors.js';
import { RequestFlag } from '../../native/generated/shared-layout.js';
import { copyBytes, NativeRequestBody } from '../../native/request-body.js';
import type { Slot } from '../../native/slot.js';
import type { LiveExchange } from './live-exchange.js';
import { NativeRequestHeaders } from './request-headers.js';

export class RequestFeature
  implements HttpRequestFeature, HttpRequestBodyDetectionFeature, RequestBodySource
{
  scheme = 'http';
  pathBase = '';
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

  constructor(private readonly exchange: LiveExchange) {}

  get protocol(): string {
    return (this.ownProtocol ??= this.slot().protocol());
  }
  set protocol(value: string) {
    this.ownProtocol = value;
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
    if (!this.isSaved && (slot.flags() & RequestFlag.BODY_COMPLETE) !== 0) {
      // In the usual case, a small body, all of it is here already.
      this.isSaved = true;
      return Promise.resolve(copyBytes(slot.host.arena, slot.bodyOffset(), slot.bodyLength()));
    }
    return this.pieces().all();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const pieces = this.pieces();
    return { next: () => pieces.next() };
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

  onBodyEnd(): void {
    this.pieces().end();
  }

  onAborted(status: number): void {
    this.nativeBody?.fail(bodyError(status));
  }

  /** The request is over: who still waits for the body is told so. */
  onReleased(): void {
    if (this.nativeBody?.isOpen === true) this.nativeBody.fail(contextDisposed());
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

/** The error of a body that will not be complete; status 0 means that the client is gone. */
function bodyError(status: number): WindhoverError {
  if (status === 0) {
    return new WindhoverError(
      'WH_ERR_REQUEST_ABORTED',
      'The client has gone before its request was complete',
    );
  }
  return new BadHttpRequestError(status, 'The body of the request is not valid', 'WH_ERR_BAD_BODY');
}
