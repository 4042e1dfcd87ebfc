/**
 * A server without a network: requests are function calls. It provides the three features that a custom
 * server must provide and nothing else, and so proves that they are enough.
 */
import { FeatureCollection } from '../../lib/features/feature-collection.js';
import type { HeaderDictionary } from '../../lib/features/header-dictionary.js';
import type { RequestBodySource, ResponseCallback } from '../../lib/features/http-features.js';
import {
  HttpRequestFeature,
  HttpResponseBodyFeature,
  HttpResponseFeature,
} from '../../lib/features/http-features.js';
import { ServerAddressesFeature } from '../../lib/features/server-features.js';
import { WindhoverError, responseStarted } from '../../lib/http/errors.js';
import { HeaderMap } from '../../lib/http/header-map.js';
import type { HttpApplication, Server } from '../../lib/server/server.js';

/** A request to make. */
export interface MemoryRequest {
  readonly method?: string;
  /** The target in origin form; `*` for OPTIONS. */
  readonly target?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body's pieces. */
  readonly body?: readonly (string | Uint8Array)[];
  /** Adds to the request's features before the application sees them. */
  readonly arrange?: (features: FeatureCollection) => void;
}

/** What came of a request. */
export interface MemoryResponse {
  readonly statusCode: number;
  readonly reasonPhrase: string | undefined;
  readonly headers: HeaderDictionary;
  /** The pieces that the application wrote. */
  readonly chunks: readonly Buffer[];
  readonly text: string;
  /** Whether the head was sent and the answer ended. */
  readonly complete: boolean;
  /** What the application failed with, if it let the server see that. */
  readonly error: unknown;
  /** Whether `processRequest` returned no promise. */
  readonly sync: boolean;
}

/** What a server keeps about one answer. */
class MemoryAnswer implements HttpResponseFeature, HttpResponseBodyFeature {
  reasonPhrase: string | undefined = undefined;
  readonly headers = new HeaderMap();
  readonly chunks: Buffer[] = [];
  hasStarted = false;
  ended = false;
  private status = 200;
  private readonly starting: ResponseCallback[] = [];
  private readonly completed: ResponseCallback[] = [];

  get statusCode(): number {
    return this.status;
  }

  set statusCode(value: number) {
    if (this.hasStarted) throw responseStarted('The status');
    this.status = value;
  }

  onStarting(callback: ResponseCallback): void {
    this.starting.push(callback);
  }

  onCompleted(callback: ResponseCallback): void {
    this.completed.push(callback);
  }

  start(): void | Promise<void> {
    while (!this.hasStarted) {
      const result = this.starting.pop()?.();
      if (result !== undefined) return result.then(() => this.start());
      if (this.starting.length > 0) continue;
      this.hasStarted = true;
      this.headers.freeze();
    }
  }

  write(data: Uint8Array | string): void | Promise<void> {
    this.ensureOpen();
    const started = this.start();
    if (started !== undefined) return started.then(() => this.write(data));
    this.chunks.push(Buffer.from(data as string));
  }

  complete(): void | Promise<void> {
    this.ensureOpen();
    const started = this.start();
    if (started !== undefined) return started.then(() => this.complete());
    this.ended = true;
  }

  async finish(): Promise<void> {
    for (const callback of this.completed.reverse()) await callback();
  }

  private ensureOpen(): void {
    if (this.ended) throw new WindhoverError('WH_ERR_RESPONSE_ENDED', 'The answer has ended');
  }
}

/** The server. Make requests with {@link request}, which works from the start to the stop. */
export class MemoryServer implements Server {
  readonly features = new FeatureCollection();
  /** How often each happened. */
  readonly calls = { start: 0, stop: 0, dispose: 0 };
  /** The signal that the last stop was given. */
  stopSignal: AbortSignal | undefined = undefined;
  /** Holds a stop up until it settles, or the signal of the stop aborts. */
  drained: Promise<void> = Promise.resolve();
  /** Makes the next start fail. */
  startError: Error | undefined = undefined;
  private run: ((request: MemoryRequest) => Promise<MemoryResponse>) | undefined = undefined;

  constructor() {
    this.features.set(ServerAddressesFeature, { addresses: [] });
  }

  async start<T>(application: HttpApplication<T>): Promise<void> {
    this.calls.start++;
    if (this.startError !== undefined) throw this.startError;
    this.run = (request) => this.serve(application, request);
  }

  async stop(signal?: AbortSignal): Promise<void> {
    this.calls.stop++;
    this.stopSignal = signal;
    const forced = new Promise<void>((resolve) => {
      if (signal?.aborted === true) resolve();
      else signal?.addEventListener('abort', () => resolve());
    });
    await Promise.race([this.drained, forced]);
    this.run = undefined;
  }

  request(request: MemoryRequest | string = {}): Promise<MemoryResponse> {
    if (this.run === undefined) throw new Error('The server is not running');
    return this.run(typeof request === 'string' ? { target: request } : request);
  }

  private async serve<T>(
    application: HttpApplication<T>,
    request: MemoryRequest,
  ): Promise<MemoryResponse> {
    const answer = new MemoryAnswer();
    const features = new FeatureCollection();
    features.set(HttpRequestFeature, readRequest(request));
    features.set(HttpResponseFeature, answer);
    features.set(HttpResponseBodyFeature, answer);
    request.arrange?.(features);

    const context = application.createContext(features);
    let sync = true;
    let error: unknown;
    try {
      try {
        const result = application.processRequest(context);
        sync = result === undefined;
        await result;
      } catch (caught) {
        if (application.handleError === undefined) throw caught;
        const handling = application.handleError(context, caught);
        sync &&= handling === undefined;
        await handling;
      }
      if (!answer.ended) await answer.complete();
    } catch (caught) {
      error = caught;
    }
    await answer.finish();
    this.calls.dispose++;
    application.disposeContext(context, error);
    return {
      statusCode: answer.statusCode,
      reasonPhrase: answer.reasonPhrase,
      headers: answer.headers,
      chunks: answer.chunks,
      text: Buffer.concat(answer.chunks).toString(),
      complete: answer.ended,
      error,
      sync,
    };
  }
}

function readRequest(request: MemoryRequest): HttpRequestFeature {
  const target = request.target ?? '/';
  const question = target.indexOf('?');
  const rawPath = question < 0 ? target : target.slice(0, question);
  return {
    protocol: 'HTTP/1.1',
    scheme: 'http',
    method: request.method ?? 'GET',
    pathBase: '',
    path: rawPath === '*' ? '' : decodePath(rawPath),
    queryString: question < 0 ? '' : target.slice(question),
    rawTarget: target,
    headers: HeaderMap.fromLines([['Host', 'memory'], ...Object.entries(request.headers ?? {})]),
    body: bodyOf(request.body ?? []),
  };
}

/** Decodes as Kestrel does: everything once, but `%2F`. */
function decodePath(path: string): string {
  return path
    .split(/(%2f)/i)
    .map((part, i) => (i % 2 === 0 ? decodeURIComponent(part) : part))
    .join('');
}

function bodyOf(pieces: readonly (string | Uint8Array)[]): RequestBodySource {
  return {
    async *[Symbol.asyncIterator]() {
      for (const piece of pieces) {
        await Promise.resolve();
        yield Buffer.from(piece as string);
      }
    },
  };
}

/** Starts a server with an application. */
export async function startMemoryServer<T>(application: HttpApplication<T>): Promise<MemoryServer> {
  const server = new MemoryServer();
  await server.start(application);
  return server;
}
