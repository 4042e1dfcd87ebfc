/** What an application does between the moment it is told to stop and the end of its listening. */
import { invalidArgument } from '../http/errors.js';

/**
 * Called when a stop begins, while everything is served as before; the stop waits for its promise before
 * it refuses connections. For what others must know first: a registry, a load balancer, a queue.
 */
export type StoppingHook = () => void | Promise<void>;

/** Hooks, and how they fared. */
export class StoppingHooks {
  private readonly hooks: StoppingHook[] = [];
  private readonly failures: unknown[] = [];
  private settled: Promise<unknown> | undefined = undefined;

  /** How many there are. */
  get size(): number {
    return this.hooks.length;
  }

  /**
   * Adds a hook. Where they have run already, this one runs at once and nobody waits for it.
   *
   * @throws TypeError WH_ERR_INVALID_ARGUMENT where it is no function.
   */
  add(hook: StoppingHook): void {
    if (typeof hook !== 'function') throw invalidArgument('hook', 'a function', hook);
    this.hooks.push(hook);
    if (this.settled !== undefined) void this.call(hook);
  }

  /** Runs them all side by side, once. Settles when all have; never rejects. */
  run(): Promise<unknown> {
    return (this.settled ??= Promise.all(this.hooks.map((hook) => this.call(hook))));
  }

  /** @throws What hooks have failed with so far: the error of one, an AggregateError of several. */
  throwFailures(): void {
    if (this.failures.length === 0) return;
    if (this.failures.length === 1) throw this.failures[0];
    throw new AggregateError(this.failures, 'Several hooks of the stop failed');
  }

  private async call(hook: StoppingHook): Promise<void> {
    try {
      await hook();
    } catch (error) {
      this.failures.push(error);
    }
  }
}
