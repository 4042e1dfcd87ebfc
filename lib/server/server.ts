/**
 * The contract between a server and an application: any server that fulfils it can carry any application.
 * Source: ASP.NET Core's IServer and IHttpApplication.
 */
import type { FeatureCollection } from '../features/feature-collection.js';
import { answerError } from '../http/error-response.js';
import { invalidArgument, isBadHttpRequestError } from '../http/errors.js';
import { HttpContext } from '../http/http-context.js';
import type { Logger } from './log-events.js';
import { isLogger, logEvent, LogEvents } from './log-events.js';
import { HttpRequestLifetimeFeature } from '../features/http-features.js';
import type { StoppingHook } from './stopping-hooks.js';

/** Accepts requests and gives each to an application as a collection of features. */
export interface Server {
  /** The server's own features, such as ServerAddressesFeature. */
  readonly features: FeatureCollection;
  /**
   * Begins to accept requests.
   *
   * @param application - What answers them.
   * @param signal - Gives the start up where it aborts in time.
   * @returns Settles when requests are accepted, or rejects where that cannot be.
   */
  start<T>(application: HttpApplication<T>, signal?: AbortSignal): Promise<void>;
  /**
   * Stops accepting, lets the running requests end, then aborts what is left. May be called again.
   *
   * @param signal - Ends the wait for running requests when it aborts; it may have aborted already.
   */
  stop(signal?: AbortSignal): Promise<void>;
  /**
   * Adds what the next `stop` runs first, and waits for, while it serves as before. A server that has no
   * such phase leaves it out: its application then waits before it calls `stop`.
   */
  onStopping?(hook: StoppingHook): void;
}

/**
 * Answers requests. For every request a server calls `createContext`, `processRequest`, waits for what
 * that returns, ends the answer where it was not ended, runs what was registered with onCompleted, and
 * calls `disposeContext` exactly once. It must provide HttpRequestFeature and HttpResponseFeature, and
 * HttpResponseBodyFeature for applications that write bodies.
 *
 * @typeParam T - What the application keeps about one request.
 */
export interface HttpApplication<T> {
  /** Makes the context of one request from its features. */
  createContext(features: FeatureCollection): T;
  /**
   * Answers one request. `undefined` means that it is done; a promise settles when it is. Where it throws
   * or rejects, the server calls {@link handleError}.
   */
  processRequest(context: T): void | Promise<void>;
  /**
   * Answers a request that `processRequest` failed with, or whose answer could not be ended (fewer bytes
   * than its Content-Length, a callback that failed). Where this is missing, throws or rejects, the
   * server answers 500, or cuts off the answer that has started.
   */
  handleError?(context: T, error: unknown): void | Promise<void>;
  /** The request is over. @param error - What `processRequest` failed with, if it did. */
  disposeContext(context: T, error?: unknown): void;
}

/** Handles one request. A promise says that it goes on; no promise, that it is done. */
export type RequestDelegate = (context: HttpContext) => void | Promise<void>;

/** Hears of the failures of handlers; what it throws or rejects with is dropped. */
export type ErrorListener = (error: unknown, context: HttpContext) => void;

/** How {@link createApplication} treats failures. */
export interface ApplicationOptions {
  /** Whether clients are told what went wrong: a page with the stack and the request. Default false. */
  readonly development?: boolean;
  /**
   * Hears of every failure but bad requests and those of clients that have gone. Default: the logger, or
   * console.error where there is none.
   */
  readonly onError?: ErrorListener | undefined;
  /** Where failures are logged that no `onError` hears of (event 13, ApplicationError). */
  readonly logger?: Logger | undefined;
}

/**
 * Makes an application of one function. A failure answers 500 (a BadHttpRequestError its own status), or
 * cuts off the answer that has started.
 *
 * @throws TypeError WH_ERR_INVALID_ARGUMENT where `delegate` or `onError` is no function.
 */
export function createApplication(
  delegate: RequestDelegate,
  options: ApplicationOptions = {},
): HttpApplication<HttpContext> {
  if (typeof delegate !== 'function') throw invalidArgument('delegate', 'a function', delegate);
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw invalidArgument('options', 'an object', options);
  }
  if (options.onError !== undefined && typeof options.onError !== 'function') {
    throw invalidArgument('onError', 'a function', options.onError);
  }
  const { logger } = options;
  if (logger !== undefined && !isLogger(logger)) {
    throw invalidArgument('logger', 'an object with debug, info, warn and error', logger);
  }
  return new DelegateApplication(
    delegate,
    options.development ?? false,
    options.onError ?? (logger === undefined ? logError : logTo(logger)),
  );
}

class DelegateApplication implements HttpApplication<HttpContext> {
  constructor(
    private readonly delegate: RequestDelegate,
    private readonly development: boolean,
    private readonly onError: ErrorListener,
  ) {}

  createContext(features: FeatureCollection): HttpContext {
    return new HttpContext(features);
  }

  processRequest(context: HttpContext): void | Promise<void> {
    const result = this.delegate(context);
    // Whatever else than a promise a handler returns says nothing.
    return typeof (result as { then?: unknown } | undefined)?.then === 'function'
      ? result
      : undefined;
  }

  disposeContext(context: HttpContext): void {
    context._dispose();
  }

  handleError(context: HttpContext, error: unknown): void | Promise<void> {
    if (!isClientsDoing(context, error)) this.report(context, error);
    // What fails here as well goes to the server, which has the last word.
    const answered = answerError(context, error, this.development);
    if (answered === true) return undefined;
    if (answered === false) throw error;
    return answered.then((done) => {
      if (!done) throw error;
    });
  }

  private report(context: HttpContext, error: unknown): void {
    try {
      const told: unknown = this.onError(error, context);
      if (told !== undefined) Promise.resolve(told).catch(() => undefined);
    } catch {
      // A listener that fails must not cost the client its answer.
    }
  }
}

/** Whether a failure needs no report: a bad request, or whatever broke because the client has gone. */
function isClientsDoing(context: HttpContext, error: unknown): boolean {
  if (isBadHttpRequestError(error)) return true;
  return context.features.get(HttpRequestLifetimeFeature)?.requestAborted.aborted === true;
}

function logTo(logger: Logger): ErrorListener {
  return (error, { request }) => {
    const { method, rawTarget } = request;
    logEvent(logger, LogEvents.applicationError, { err: error, method, target: rawTarget });
  };
}

function logError(error: unknown, context: HttpContext): void {
  const { method, rawTarget } = context.request;
  const what = `windhover: ${method} ${JSON.stringify(rawTarget)} failed:`;
  try {
    console.error(what, error);
  } catch {
    console.error(what, 'with something that cannot be shown');
  }
}
