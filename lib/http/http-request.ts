/** The request of a context: the words of HttpRequestFeature, and what is commonly made of them. */
import type { FeatureCollection } from '../features/feature-collection.js';
import type { HeaderDictionary } from '../features/header-dictionary.js';
import {
  HttpRequestBodyDetectionFeature,
  HttpRequestFeature,
  HttpRequestTrailersFeature,
  RouteValuesFeature,
} from '../features/http-features.js';
import { codedTypeError, featureMissing, invalidArgument } from './errors.js';
import { parseCookies } from './cookies.js';
import { lifetimeOf } from './default-features.js';
import { DISPOSED_FEATURES, requireFeature } from './feature-access.js';
import { RequestBody } from './request-body.js';

/** Values by name; a name that is not there is `undefined`. Has no prototype. */
export type ValuesByName = Readonly<Record<string, string | undefined>>;

const NO_ROUTE_VALUES: ValuesByName = Object.freeze(Object.create(null) as ValuesByName);

/** `token` of RFC 9110 section 5.6.2, what a method is. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The authority of a target in absolute form (RFC 3986 section 3.2). */
const AUTHORITY = /^https?:\/\/([^/?]*)/i;

/** 1*DIGIT of RFC 9110 section 8.6. */
const DIGITS = /^[0-9]+$/;

/**
 * What the client asked for. Made for one request; every member throws WH_ERR_CONTEXT_DISPOSED once that
 * is over. What is assigned is seen by everything that runs afterwards.
 */
export class HttpRequest {
  private features: FeatureCollection;
  private revision: number;
  private feature: HttpRequestFeature;
  private bodyReader: RequestBody | undefined = undefined;
  private parsedQuery: URLSearchParams | undefined = undefined;
  private parsedQueryOf = '';
  private parsedCookies: ValuesByName | undefined = undefined;
  private parsedCookiesOf: string | undefined = undefined;

  /** @internal */
  constructor(features: FeatureCollection) {
    this.features = features;
    this.revision = features.revision;
    this.feature = requireFeature(features, HttpRequestFeature);
  }

  /** `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`. */
  get protocol(): string {
    return this.current().protocol;
  }

  /** The method token as sent, case-sensitive (RFC 9110 section 9.1). */
  get method(): string {
    return this.current().method;
  }

  /** @throws TypeError WH_ERR_INVALID_ARGUMENT where it is no token. */
  set method(value: string) {
    const feature = this.current();
    if (typeof value !== 'string' || !TOKEN.test(value)) {
      throw invalidArgument('request.method', 'a method token', value);
    }
    feature.method = value;
  }

  /** `http` or `https`. */
  get scheme(): string {
    return this.current().scheme;
  }

  set scheme(value: string) {
    this.current().scheme = requireString('request.scheme', value);
  }

  /** Whether {@link scheme} is `https`. Source: ASP.NET Core. */
  get isHttps(): boolean {
    return this.current().scheme.toLowerCase() === 'https';
  }

  /**
   * The Host field: a name or an address, and the port where it was sent. Where there is none, which
   * HTTP/1.0 allows, the authority of a target in absolute form (RFC 9112 section 3.2.2), or `''`.
   */
  get host(): string {
    const feature = this.current();
    return feature.headers.get('Host') ?? AUTHORITY.exec(feature.rawTarget)?.[1] ?? '';
  }

  set host(value: string) {
    this.current().headers.set('Host', requireString('request.host', value));
  }

  /** The part of the path on which the application or a branch is mounted; `''` at the root. */
  get pathBase(): string {
    return this.current().pathBase;
  }

  /** @throws TypeError WH_ERR_INVALID_PATH unless it is empty, or starts with a slash and ends without one. */
  set pathBase(value: string) {
    const feature = this.current();
    requirePath('request.pathBase', value);
    if (value.endsWith('/')) {
      throw codedTypeError('WH_ERR_INVALID_PATH', 'request.pathBase must not end with a slash');
    }
    feature.pathBase = value;
  }

  /**
   * The decoded path below {@link pathBase}. It starts with a slash; it is empty for `OPTIONS *`, CONNECT,
   * and a request to {@link pathBase} itself. `%2F` stays as it was sent, so that it divides nothing.
   */
  get path(): string {
    return this.current().path;
  }

  /** @throws TypeError WH_ERR_INVALID_PATH unless it is empty or starts with a slash. */
  set path(value: string) {
    const feature = this.current();
    requirePath('request.path', value);
    feature.path = value;
  }

  /** The query with its `?`, as sent; `''` where there is none. */
  get queryString(): string {
    return this.current().queryString;
  }

  /** @throws TypeError WH_ERR_INVALID_ARGUMENT unless it is empty or starts with a question mark. */
  set queryString(value: string) {
    const feature = this.current();
    if (typeof value !== 'string' || (value !== '' && !value.startsWith('?'))) {
      throw invalidArgument('request.queryString', "'' or a string that starts with ?", value);
    }
    feature.queryString = value;
  }

  /** The query's names and values, parsed when first read. Changing them changes nothing else. */
  get query(): URLSearchParams {
    const text = this.current().queryString;
    if (this.parsedQuery === undefined || this.parsedQueryOf !== text) {
      this.parsedQuery = new URLSearchParams(text);
      this.parsedQueryOf = text;
    }
    return this.parsedQuery;
  }

  /** The request target exactly as sent (RFC 9112 section 3.2). */
  get rawTarget(): string {
    return this.current().rawTarget;
  }

  /** The header fields. */
  get headers(): HeaderDictionary {
    return this.current().headers;
  }

  /** The cookies by name, parsed when first read, percent-decoded; the first of a name counts (RFC 6265). */
  get cookies(): ValuesByName {
    const text = this.current().headers.get('Cookie');
    if (this.parsedCookies === undefined || this.parsedCookiesOf !== text) {
      this.parsedCookies = Object.freeze(parseCookies(text ?? ''));
      this.parsedCookiesOf = text;
    }
    return this.parsedCookies;
  }

  /** The Content-Type field; `undefined` where there is none. */
  get contentType(): string | undefined {
    return this.current().headers.get('Content-Type');
  }

  /** The Content-Length field (bytes); `undefined` where there is none, as in a chunked request. */
  get contentLength(): number | undefined {
    const text = this.current().headers.get('Content-Length');
    if (text === undefined || !DIGITS.test(text)) return undefined;
    const length = Number(text);
    return Number.isSafeInteger(length) ? length : undefined;
  }

  /** What the matched route took from the path, by parameter name; `*` is a wildcard's part. */
  get routeValues(): ValuesByName {
    return this.features.get(RouteValuesFeature)?.routeValues ?? NO_ROUTE_VALUES;
  }

  /** Whether the request can have a body: false where its head says that there is none. */
  get hasBody(): boolean {
    const detection = this.features.get(HttpRequestBodyDetectionFeature);
    if (detection !== undefined) return detection.canHaveBody;
    const headers = this.current().headers;
    if (headers.has('Transfer-Encoding')) return true;
    const length = headers.get('Content-Length');
    return length !== undefined && length !== '0';
  }

  /** The body; an empty one where the request has none. It can be read once. */
  get body(): RequestBody {
    const source = this.current().body;
    if (this.bodyReader === undefined || this.bodyReader._source !== source) {
      this.bodyReader = new RequestBody(source);
    }
    return this.bodyReader;
  }

  /** Aborts when the client has gone, or the request was aborted, while it runs. */
  get aborted(): AbortSignal {
    return lifetimeOf(this.features).requestAborted;
  }

  /**
   * The trailer fields, once the body has been read to its end.
   *
   * @throws WindhoverError WH_ERR_TRAILERS_NOT_AVAILABLE before that, WH_ERR_FEATURE_MISSING where the
   * server provides none.
   */
  get trailers(): HeaderDictionary {
    const feature = this.features.get(HttpRequestTrailersFeature);
    if (feature === undefined) throw featureMissing(HttpRequestTrailersFeature.name);
    return feature.trailers;
  }

  /** @internal */
  _dispose(): void {
    this.features = DISPOSED_FEATURES;
    this.bodyReader?._dispose();
  }

  private current(): HttpRequestFeature {
    return this.features.revision === this.revision ? this.feature : this.refresh();
  }

  private refresh(): HttpRequestFeature {
    this.feature = requireFeature(this.features, HttpRequestFeature);
    this.revision = this.features.revision;
    return this.feature;
  }
}

function requireString(name: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidArgument(name, 'a string', value);
  return value;
}

function requirePath(name: string, value: unknown): void {
  if (typeof value !== 'string') throw invalidArgument(name, 'a string', value);
  if (value !== '' && !value.startsWith('/')) {
    throw codedTypeError('WH_ERR_INVALID_PATH', `${name} must be empty or start with a slash`);
  }
}
