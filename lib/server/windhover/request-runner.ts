/**
 * Runs an application's requests on the native core: makes the context, calls the application, ends the
 * answer where the application has not, and gives everything back. A handler that is done when it
 * returns costs no promise.
 */
import { HttpResponseFeature } from '../../features/http-features.js';
import type { ResponseCallback } from '../../features/http-features.js';
import { BadHttpRequestError, contextDisposed, WindhoverError } from '../../http/errors.js';
import type { ExchangeHandler, NativeServer } from '../../native/native-server.js';
import type { Slab } from '../../native/slab.js';
import type { HttpApplication } from '../server.js';
import { WindhoverExchange } from './exchange-features.js';

export class RequestRunner<T> implements ExchangeHandler {
  /** Requests whose handlers have not settled. */
  private active = 0;
  private idleWaiters: (() => void)[] = [];
  /** Called once no connection is left after a stop. */
  onDrained: () => void = () => undefined;

  constructor(private readonly application: HttpApplication<T>) {}

  /** Settles when no handler runs. */
  whenIdle(): Promise<void> {
    if (this.active === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.idleWaiters.push(resolve);
    });
  }

  create(
    server: NativeServer,
    slab: Slab,
    base: number,
    slot: number,
    generation: number,
  ): WindhoverExchange {
    return new WindhoverExchange(server, slab, base, slot, generation);
  }

  run(exchange: WindhoverExchange): boolean {
    const application = this.application;
    let context: T;
    try {
      context = application.createContext(exchange);
    } catch (error) {
      report(error);
      this.answerFailure(exchange);
      exchange.release();
      return false;
    }
    let result: void | Promise<void>;
    try {
      result = application.processRequest(context);
    } catch (error) {
      result = this.handle(exchange, context, error);
      if (result === undefined) return this.finish(exchange, context, error);
    }
    if (result === undefined) return this.finish(exchange, context, undefined);
    this.active++;
    result.then(
      () => {
        this.settle(exchange, context, undefined);
      },
      (error: unknown) => {
        const handling = this.handle(exchange, context, error);
        if (handling === undefined) this.settle(exchange, context, error);
        else
          void handling.then(() => {
            this.settle(exchange, context, error);
          });
      },
    );
    return true;
  }

  drained(): void {
    this.onDrained();
  }

  overError(): Error {
    return contextDisposed();
  }

  bodyError(status: number): Error {
    if (status === 0) {
      return new WindhoverError(
        'WH_ERR_REQUEST_ABORTED',
        'The client has gone before its request was complete',
      );
    }
    return new BadHttpRequestError(
      status,
      'The body of the request is not valid',
      'WH_ERR_BAD_BODY',
    );
  }

  /** The handler is done, in the batch. Returns whether something still runs. */
  private finish(exchange: WindhoverExchange, context: T, error: unknown): boolean {
    const waiting = this.end(exchange);
    if (waiting === undefined) {
      this.dispose(exchange, context, error);
      return false;
    }
    this.active++;
    void waiting.then(() => {
      this.dispose(exchange, context, error);
      this.leave(exchange);
    });
    return true;
  }

  /** The handler is done, later. */
  private settle(exchange: WindhoverExchange, context: T, error: unknown): void {
    const waiting = this.end(exchange);
    if (waiting === undefined) {
      this.dispose(exchange, context, error);
      this.leave(exchange);
      return;
    }
    void waiting.then(() => {
      this.dispose(exchange, context, error);
      this.leave(exchange);
    });
  }

  /** Ends the answer, and runs what wants to run then. Never throws or rejects. */
  private end(exchange: WindhoverExchange): Promise<void> | undefined {
    if (!exchange.endOrdered) {
      let waiting: void | Promise<void> = undefined;
      try {
        waiting = this.complete(exchange);
      } catch (error) {
        report(error);
        this.answerFailure(exchange);
      }
      if (waiting !== undefined) return this.endLater(exchange, waiting);
    }
    const callbacks = exchange.takeCompletedCallbacks();
    return callbacks === undefined ? undefined : runCompleted(callbacks);
  }

  private async endLater(exchange: WindhoverExchange, waiting: Promise<void>): Promise<void> {
    try {
      await waiting;
    } catch (error) {
      report(error);
      this.answerFailure(exchange);
    }
    const callbacks = exchange.takeCompletedCallbacks();
    if (callbacks !== undefined) await runCompleted(callbacks);
  }

  /** Ends the answer; a head that middleware replaced says what it is. */
  private complete(exchange: WindhoverExchange): void | Promise<void> {
    if (!exchange.hasStarted && exchange.revision !== 0) {
      const head = exchange.get(HttpResponseFeature);
      if (head !== undefined && head !== exchange) exchange.statusCode = head.statusCode;
    }
    return exchange.complete();
  }

  /** Lets the application answer its own failure; never throws or rejects. */
  private handle(exchange: WindhoverExchange, context: T, error: unknown): void | Promise<void> {
    try {
      if (this.application.handleError === undefined) throw error;
      return this.application.handleError(context, error)?.then(undefined, () => {
        this.answerFailure(exchange);
      });
    } catch {
      this.answerFailure(exchange);
      return undefined;
    }
  }

  /** The application has failed: 500 where the answer has not started, else it is cut off. */
  private answerFailure(exchange: WindhoverExchange): void {
    if (exchange.endOrdered) return;
    try {
      if (exchange.hasStarted) {
        exchange.abort();
        return;
      }
      exchange.resetResponse(500);
      void exchange.complete();
    } catch (error) {
      report(error);
    }
  }

  private dispose(exchange: WindhoverExchange, context: T, error: unknown): void {
    try {
      this.application.disposeContext(context, error);
    } catch (failure) {
      report(failure);
    }
    exchange.release();
  }

  private leave(exchange: WindhoverExchange): void {
    exchange.forget();
    if (--this.active > 0) return;
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const resolve of waiters) resolve();
  }
}

/** Runs what was registered with onCompleted, the last first; what fails is reported, and the rest runs. */
async function runCompleted(callbacks: ResponseCallback[]): Promise<void> {
  for (let callback = callbacks.pop(); callback !== undefined; callback = callbacks.pop()) {
    try {
      await callback();
    } catch (error) {
      report(error);
    }
  }
}

function report(error: unknown): void {
  console.error('windhover: a callback of the application failed:', error);
}
