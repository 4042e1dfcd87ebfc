/** The request on the native core: read from its slot when asked for, and open to be changed. */
import type { HeaderDictionary } from '../../features/header-dictionary.js';
import type {
  HttpRequestBodyDetectionFeature,
  HttpRequestFeature,
  RequestBodySource,
} from '../../features/http-features.js';
import type { NativeExchange } from '../../native/exchange.js';
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

  constructor(private readonly exchange: NativeExchange) {}

  get protocol(): string {
    return (this.ownProtocol ??= this.exchange.readProtocol());
  }
  set protocol(value: string) {
    this.ownProtocol = value;
  }

  get method(): string {
    return (this.ownMethod ??= this.exchange.readMethod());
  }
  set method(value: string) {
    this.ownMethod = value;
  }

  get path(): string {
    return (this.ownPath ??= this.exchange.readPath());
  }
  set path(value: string) {
    this.ownPath = value;
  }

  get queryString(): string {
    return (this.ownQuery ??= this.exchange.readQuery());
  }
  set queryString(value: string) {
    this.ownQuery = value;
  }

  get rawTarget(): string {
    return (this.ownTarget ??= this.exchange.readTarget());
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
    return this.exchange.hasBody();
  }

  /** This object by itself: it takes the body from the exchange. */
  get body(): RequestBodySource {
    return this.ownBody ?? this;
  }
  set body(value: RequestBodySource) {
    this.ownBody = value;
  }

  bytes(): Promise<Uint8Array> {
    return this.exchange.bodyBytes();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const body = this.exchange.body();
    return { next: () => body.next() };
  }
}
