/** One request and its answer, as a handler sees them. */
import type { FeatureCollection } from '../features/feature-collection.js';
import type { Duplex } from 'node:stream';
import { HttpUpgradeFeature } from '../features/http-features.js';
import { ConnectionInfo } from './connection-info.js';
import { identifierOf, lifetimeOf } from './default-features.js';
import { contextDisposed, invalidArgument } from './errors.js';
import { DISPOSED_FEATURES, requireFeature } from './feature-access.js';
import { HttpRequest } from './http-request.js';
import { HttpResponse } from './http-response.js';

/**
 * Everything about one request. Made for every request by the application's `createContext`; once the
 * request is over every use of it, or of what was taken from it, throws WH_ERR_CONTEXT_DISPOSED.
 */
export class HttpContext {
  private currentFeatures: FeatureCollection;
  private currentRequest: HttpRequest | undefined = undefined;
  private currentResponse: HttpResponse | undefined = undefined;
  private currentConnection: ConnectionInfo | undefined = undefined;
  private currentItems: Map<unknown, unknown> | undefined = undefined;

  /** @param features - The features that the server gave this request. */
  constructor(features: FeatureCollection) {
    this.currentFeatures = features;
  }

  /** The words in which server and application talk about the request; see `createFeatureToken`. */
  get features(): FeatureCollection {
    const features = this.currentFeatures;
    if (features === DISPOSED_FEATURES) throw contextDisposed();
    return features;
  }

  /** What the client asked for. */
  get request(): HttpRequest {
    return this.currentRequest ?? (this.currentRequest = new HttpRequest(this.features));
  }

  /** The answer. */
  get response(): HttpResponse {
    return this.currentResponse ?? (this.currentResponse = new HttpResponse(this.features));
  }

  /** The connection on which the request came. */
  get connection(): ConnectionInfo {
    return this.currentConnection ?? (this.currentConnection = new ConnectionInfo(this.features));
  }

  /** A place for what middleware hands on to what runs after it. */
  get items(): Map<unknown, unknown> {
    if (this.currentItems === undefined) {
      if (this.currentFeatures === DISPOSED_FEATURES) throw contextDisposed();
      this.currentItems = new Map();
    }
    return this.currentItems;
  }

  /** The request's name in logs. */
  get traceIdentifier(): string {
    return identifierOf(this.currentFeatures).traceIdentifier;
  }

  set traceIdentifier(value: string) {
    if (typeof value !== 'string')
      throw invalidArgument('context.traceIdentifier', 'a string', value);
    identifierOf(this.currentFeatures).traceIdentifier = value;
  }

  /** Aborts when the client has gone, or {@link abort} was called, while the request runs. */
  get requestAborted(): AbortSignal {
    return lifetimeOf(this.currentFeatures).requestAborted;
  }

  /** Ends the connection (HTTP/2: the stream) at once, without a proper end of the answer. */
  abort(): void {
    lifetimeOf(this.currentFeatures).abort();
  }

  /** Whether {@link upgrade} can make a tunnel of the connection; false where the server knows no such thing. */
  get isUpgradableRequest(): boolean {
    return this.features.get(HttpUpgradeFeature)?.isUpgradableRequest ?? false;
  }

  /**
   * Answers 101 (CONNECT: 200) and gives the connection as a stream, which outlives the handler; see
   * HttpUpgradeFeature.
   *
   * @returns Rejects as HttpUpgradeFeature.upgrade does, and with WindhoverError WH_ERR_FEATURE_MISSING where
   * the server provides none.
   */
  async upgrade(): Promise<Duplex> {
    return requireFeature(this.features, HttpUpgradeFeature).upgrade();
  }

  /** @internal The request is over. Called once, by HttpApplication.disposeContext. */
  _dispose(): void {
    this.currentFeatures = DISPOSED_FEATURES;
    if (this.currentRequest !== undefined) {
      this.currentRequest._dispose();
      this.currentRequest = undefined;
    }
    if (this.currentResponse !== undefined) {
      this.currentResponse._dispose();
      this.currentResponse = undefined;
    }
    this.currentConnection?._dispose();
    this.currentConnection = undefined;
    this.currentItems = undefined;
  }

  /** @internal Whether the whole answer was handed over through {@link response}. */
  get _responseEnded(): boolean {
    return this.currentResponse?._ended ?? false;
  }
}
