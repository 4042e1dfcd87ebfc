/**
 * Runs an application's requests on the native core: makes the context, calls the application, ends the
 * answer where the application has not, and gives everything back. A handler that is done when it
 * returns costs no promise; one that is not costs one.
 */
import { HttpResponseFeature } from '../../features/http-features.js';
import type { ResponseCallback } from '../../features/http-features.js';
import type { RefusalsTold, RequestHandler } from '../../native/native-server.js';
import type { FloodedConnection, RefusedRequest } from '../../native/refused-request.js';
import type { Slot } from '../../native/slot.js';
import type { HttpApplication } from '../server.js';
import { WindhoverExchange } from './exchange.js';
import type { Observer } from './observer.js';

export class RequestRunner<T> implements RequestHandler {
  /** Requests whose handlers have not settled. */
  private active = 0;
  private idleWaiters: (() => void)[] = [];
  /** Called once no connection is left after a stop. */
  onDrained: () => void = () => undefined;

  /**
   * @param application - What the requests are given to.
   * @param observer - What is told of them.
   * @param timeout - How long a request may take (ms); 0 = no limit.
   */
  constructor(
    private readonly application: HttpApplication<T>,
    private readonly observer: Observer,
    private readonly timeout = 0,
  ) {}

  /** Requests whose handlers have not settled. */
  get running(): number {
    return this.active;
  }

  onBatch(): RefusalsTold {
    return this.observer.refresh();
  }

  onRefused(refused: RefusedRequest): void {
    this.observer.requestRefused(refused);
  }

  onFlooded(flooded: FloodedConnection): void {
    this.observer.connectionFlooded(flooded);
  }

  onFieldDropped(name: string): void {
    this.observer.fieldDropped(name);
  }

  /** Settles when no handler runs. */
  whenIdle(): Promise<void> {
    if (this.active === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.idleWaiters.push(resolve);
    });
  }

  onRequest(slot: Slot): void {
    const exchange = new WindhoverExchange(slot, slot.generation());
    const application = this.application;
    let context: T;
    try {
      context = application.createContext(exchange);
    } catch (error) {
      this.observer.callbackFailed(error);
      this.answerFailure(exchange);
      exchange.release();
      return;
    }
    if (this.observer.watchesRequests) this.observer.requestStarted(exchange, context);
    let failure: unknown = undefined;
    let result: void | Promise<void>;
    try {
      result = application.processRequest(context);
    } catch (error) {
      failure = error;
      result = this.handleError(exchange, context, error);
    }
    if (result === undefined) this.settle(exchange, context, failure);
    else this.wait(slot, exchange, context, result);
  }

  // --- handlers that are not done when they return ---

  private wait(slot: Slot, exchange: WindhoverExchange, context: T, result: Promise<void>): void {
    this.active++;
    exchange.context = context;
    slot.running = exchange;
    exchange.saveBody();
    if (this.timeout > 0 && !exchange.endOrdered) exchange.startDeadline(this.timeout);
    // One pair of functions for each slot, not for each request. That they are called once is sure
    // only of promises of the language itself.
    const rejected = this.rejectedOf(slot);
    try {
      const promise = result instanceof Promise ? result : Promise.resolve(result);
      void then.call(promise, this.fulfilledOf(slot), rejected);
    } catch (error) {
      rejected(error); // something that only looks like a promise
    }
  }

  private fulfilledOf(slot: Slot): () => void {
    return (slot.fulfilled ??= () => {
      const exchange = slot.running as WindhoverExchange;
      this.settleLater(slot, exchange, exchange.context as T, undefined);
    });
  }

  private rejectedOf(slot: Slot): (error: unknown) => void {
    return (slot.rejected ??= (error) => {
      const exchange = slot.running as WindhoverExchange;
      const context = exchange.context as T;
      // What a handler fails with because its time is over is no failure of its own.
      if (exchange.timedOut) exchange.answerTimeout();
      const handling = exchange.timedOut ? undefined : this.handleError(exchange, context, error);
      if (handling === undefined) {
        this.settleLater(slot, exchange, context, error);
      } else {
        void handling.then(() => {
          this.settleLater(slot, exchange, context, error);
        });
      }
    });
  }

  private settleLater(slot: Slot, exchange: WindhoverExchange, context: T, error: unknown): void {
    const waiting = this.end(exchange, context, error);
    if (waiting === undefined) {
      this.leave(slot, exchange, context, error);
    } else {
      void waiting.then(() => {
        this.leave(slot, exchange, context, error);
      });
    }
  }

  private leave(slot: Slot, exchange: WindhoverExchange, context: T, error: unknown): void {
    slot.running = undefined;
    this.dispose(exchange, context, error);
    if (--this.active > 0) return;
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const resolve of waiters) resolve();
  }

  // --- the end of a request ---

  /** The handler was done when it returned. */
  private settle(exchange: WindhoverExchange, context: T, error: unknown): void {
    const waiting = this.end(exchange, context, error);
    if (waiting === undefined) this.dispose(exchange, context, error);
    else this.wait(exchange.slot, exchange, context, waiting);
  }

  /** Ends the answer, and runs what wants to run then. Never throws or rejects. */
  private end(
    exchange: WindhoverExchange,
    context: T,
    failure: unknown,
  ): Promise<void> | undefined {
    if (!exchange.endOrdered) {
      let waiting: void | Promise<void>;
      try {
        waiting = this.complete(exchange);
      } catch (error) {
        waiting = this.failToEnd(exchange, context, error, failure);
      }
      if (waiting !== undefined) return this.endLater(exchange, context, waiting, failure);
    }
    const callbacks = exchange.takeCompleted();
    return callbacks === undefined ? undefined : this.runCompleted(callbacks);
  }

  private async endLater(
    exchange: WindhoverExchange,
    context: T,
    waiting: Promise<void>,
    failure: unknown,
  ): Promise<void> {
    try {
      await waiting;
    } catch (error) {
      await this.failToEnd(exchange, context, error, failure);
    }
    const callbacks = exchange.takeCompleted();
    if (callbacks !== undefined) await this.runCompleted(callbacks);
  }

  /**
   * An answer could not be ended (too few bytes, a callback that failed): a failure as any other, unless
   * it is the one that the application has heard of already.
   */
  private failToEnd(
    exchange: WindhoverExchange,
    context: T,
    error: unknown,
    failure: unknown,
  ): void | Promise<void> {
    if (failure !== undefined && error === failure) {
      this.answerFailure(exchange);
      return undefined;
    }
    if (this.application.handleError === undefined) {
      this.observer.callbackFailed(error);
      this.answerFailure(exchange);
      return undefined;
    }
    const handling = this.handleError(exchange, context, error);
    if (handling !== undefined) {
      return handling.then(() => {
        this.answerFailure(exchange);
      });
    }
    this.answerFailure(exchange);
    return undefined;
  }

  /** Runs what was registered with onCompleted, the last first; what fails is reported, and the rest runs. */
  private async runCompleted(callbacks: ResponseCallback[]): Promise<void> {
    for (let callback = callbacks.pop(); callback !== undefined; callback = callbacks.pop()) {
      try {
        await callback();
      } catch (error) {
        this.observer.callbackFailed(error);
      }
    }
  }

  /** Ends the answer; a head that middleware replaced says what it is. */
  private complete(exchange: WindhoverExchange): void | Promise<void> {
    if (exchange.timedOut && !exchange.hasStarted) {
      exchange.answerTimeout();
      return undefined;
    }
    if (!exchange.hasStarted && exchange.revision !== 0) {
      const head = exchange.get(HttpResponseFeature);
      if (head !== undefined && head !== exchange) exchange.statusCode = head.statusCode;
    }
    return exchange.complete();
  }

  private dispose(exchange: WindhoverExchange, context: T, error: unknown): void {
    if (this.observer.watching > 0) this.observer.requestEnded(exchange, error);
    try {
      this.application.disposeContext(context, error);
    } catch (failure) {
      this.observer.callbackFailed(failure);
    }
    exchange.release();
  }

  // --- failures ---

  /** Lets the application answer its own failure. Never throws or rejects. */
  private handleError(
    exchange: WindhoverExchange,
    context: T,
    error: unknown,
  ): void | Promise<void> {
    exchange.cancelQueue();
    try {
      if (this.application.handleError === undefined) {
        this.observer.applicationFailed(exchange, error);
        throw error;
      }
      const handling = this.application.handleError(context, error);
      if (handling === undefined) return undefined;
      return Promise.resolve(handling).then(undefined, () => {
        this.answerFailure(exchange);
      });
    } catch {
      this.answerFailure(exchange);
      return undefined;
    }
  }

  /** The last word: 500 where the answer has not started, else it is cut off. */
  private answerFailure(exchange: WindhoverExchange): void {
    if (exchange.endOrdered && exchange.link === undefined) return;
    try {
      if (exchange.hasStarted) {
        exchange.abort();
        return;
      }
      exchange.resetResponse(500);
      void exchange.complete(); // with no callbacks left it waits for nothing
    } catch (error) {
      this.observer.callbackFailed(error);
    }
  }
}

/** Promise's own, whatever somebody makes of the prototype later. */
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its receiver
const then = Promise.prototype.then;
