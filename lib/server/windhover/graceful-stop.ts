/**
 * The order of a stop: first everybody is told, while all is served as before; then no connection is
 * taken any more, and those that are there end with their next answer; what is left in the end is reset.
 */
import type { StoppingHooks } from '../stopping-hooks.js';
import type { Shutdown } from './shutdown-options.js';
import { TIMER_MAX } from './shutdown-options.js';

/** How long handlers have, after their connections were reset, to notice (ms). Source: Kestrel. */
const ABORT_TIME = 1_000;

/** What is stopped. */
export interface Stoppable {
  /** Refuses new connections; who was let in is served. */
  stopListening(): void;
  /** Ends connections with their next answer, and idle ones after the window (ms). */
  stop(window: number): void;
  /** Resets every connection. */
  abort(): void;
}

/** What a stop waits for. */
export interface Running {
  /** Called once no listener and no connection is left. */
  onDrained: () => void;
  /** Settles when no handler runs. */
  whenIdle(): Promise<void>;
}

/** One stop of one server. */
export class GracefulStop {
  /** Ends the wait: what still runs is aborted. */
  readonly force: () => void;
  private readonly forced: Promise<void>;
  private isForced = false;

  constructor(
    private readonly server: Stoppable,
    private readonly running: Running,
    private readonly shutdown: Shutdown,
    private readonly hooks: StoppingHooks,
  ) {
    let end: () => void = () => undefined;
    this.forced = new Promise((resolve) => {
      end = resolve;
    });
    this.force = () => {
      this.isForced = true;
      end();
    };
  }

  /**
   * Stops. Up to its first wait nothing is deferred: without a delay and hooks the listeners are closed,
   * or about to be, when this returns.
   *
   * @param hasLimit - Whether `shutdown.timeout` holds.
   */
  async run(hasLimit: boolean): Promise<void> {
    const { preStopDelay, timeout } = this.shutdown;
    const limit = preStopDelay + timeout;
    const timer = hasLimit && limit <= TIMER_MAX ? setTimeout(this.force, limit) : undefined;
    try {
      if (preStopDelay > 0 || this.hooks.size > 0) await this.announce();
      await this.drain();
    } finally {
      clearTimeout(timer);
    }
  }

  private async announce(): Promise<void> {
    let timer: NodeJS.Timeout | undefined = undefined;
    const delay = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.shutdown.preStopDelay);
    });
    await Promise.race([Promise.all([this.hooks.run(), delay]), this.forced]);
    clearTimeout(timer);
  }

  private async drain(): Promise<void> {
    const { server, running } = this;
    const drained = new Promise<void>((resolve) => {
      running.onDrained = resolve;
    });
    const over = drained.then(() => running.whenIdle());
    server.stopListening();
    server.stop(Math.ceil(this.shutdown.drainWindow));
    await Promise.race([over, this.forced]);
    if (!this.isForced) return;
    server.abort();
    let timer: NodeJS.Timeout | undefined = undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ABORT_TIME);
    });
    await Promise.race([over, patience]);
    clearTimeout(timer);
  }
}
