/** Runs an application's requests on Node's own HTTP, in the order that HttpApplication tells. */
import type { HttpApplication } from '../server.js';
import type { Observer } from '../windhover/observer.js';
import type { NodeExchange } from './exchange.js';

export class NodeRequestRunner<T> {
  /** Called once no connection is left after a stop. */
  onDrained: () => void = () => undefined;
  /** Requests given to the application so far. */
  requests = 0;
  /** Answers by status. */
  readonly statuses = new Map<number, number>();
  private active = 0;
  private idleWaiters: (() => void)[] = [];

  /**
   * @param application - What the requests are given to.
   * @param observer - What is told of them.
   * @param timeout - How long a request may take (ms); Infinity = no limit.
   */
  constructor(
    private readonly application: HttpApplication<T>,
    private readonly observer: Observer,
    private readonly timeout: number,
  ) {}

  /** Requests whose handlers have not settled. */
  get running(): number {
    return this.active;
  }

  /** Settles when no handler runs. */
  whenIdle(): Promise<void> {
    if (this.active === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.idleWaiters.push(resolve);
    });
  }

  /** Gives a request to the application; settles when it is over. Never rejects. */
  async run(exchange: NodeExchange): Promise<void> {
    this.requests++;
    this.active++;
    try {
      await this.serve(exchange);
    } finally {
      this.count(exchange);
      exchange.release();
      if (--this.active === 0) {
        const waiters = this.idleWaiters;
        this.idleWaiters = [];
        for (const resolve of waiters) resolve();
      }
    }
  }

  private async serve(exchange: NodeExchange): Promise<void> {
    const { application, observer } = this;
    let context: T;
    try {
      context = application.createContext(exchange);
    } catch (error) {
      observer.callbackFailed(error);
      this.answerFailure(exchange);
      return;
    }
    observer.refresh();
    if (observer.watchesRequests) observer.requestStarted(exchange, context);
    const failure = await this.process(exchange, context);
    await this.end(exchange, context, failure?.error);
    for (const callback of exchange.takeCompleted().reverse()) {
      try {
        await callback();
      } catch (error) {
        observer.callbackFailed(error);
      }
    }
    if (observer.watching > 0) observer.requestEnded(exchange, failure?.error);
    try {
      application.disposeContext(context, failure?.error);
    } catch (error) {
      observer.callbackFailed(error);
    }
  }

  private async process(
    exchange: NodeExchange,
    context: T,
  ): Promise<{ readonly error: unknown } | undefined> {
    try {
      const result = this.application.processRequest(context);
      if (result === undefined) return undefined;
      if (this.timeout !== Infinity && !exchange.endOrdered) exchange.startDeadline(this.timeout);
      await result;
      return undefined;
    } catch (error) {
      // What a handler fails with because its time is over is no failure of its own.
      if (exchange.timedOut) exchange.answerTimeout();
      else await this.handleError(exchange, context, error);
      return { error };
    }
  }

  /** Ends the answer, where that has not happened. */
  private async end(exchange: NodeExchange, context: T, failure: unknown): Promise<void> {
    if (exchange.endOrdered) return;
    try {
      if (exchange.timedOut && !exchange.hasStarted) exchange.answerTimeout();
      else await exchange.complete();
    } catch (error) {
      // One that the application has heard of already is not told again.
      if (failure === undefined || error !== failure) {
        if (this.application.handleError === undefined) this.observer.callbackFailed(error);
        else await this.handleError(exchange, context, error);
      }
      this.answerFailure(exchange);
    }
  }

  /** Lets the application answer its own failure. */
  private async handleError(exchange: NodeExchange, context: T, error: unknown): Promise<void> {
    exchange.cancelOrder();
    try {
      if (this.application.handleError === undefined) {
        this.observer.applicationFailed(exchange, error);
        throw error;
      }
      await this.application.handleError(context, error);
    } catch {
      this.answerFailure(exchange);
    }
  }

  /** The last word: 500 where the answer has not started, else it is cut off. */
  private answerFailure(exchange: NodeExchange): void {
    if (exchange.endOrdered) return;
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

  private count({ hasStarted, aborted, statusCode }: NodeExchange): void {
    if (!hasStarted || aborted) return;
    this.statuses.set(statusCode, (this.statuses.get(statusCode) ?? 0) + 1);
  }
}
