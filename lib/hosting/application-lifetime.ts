/** The life of an application, for everything that must begin or end with it. */
import { setMaxListeners } from 'node:events';
import type { StoppingHook } from '../server/stopping-hooks.js';
import { StoppingHooks } from '../server/stopping-hooks.js';

/** How far an application has got. It wants requests while it is `ready`. */
export type Readiness = 'starting' | 'ready' | 'stopping' | 'stopped';

/** Source: ASP.NET Core's IHostApplicationLifetime. */
export interface ApplicationLifetime {
  /** Aborts when the application accepts requests. */
  readonly started: AbortSignal;
  /**
   * Aborts when the application is told to stop, while requests still run. Answers without an end (a
   * stream of events) should end now: the stop waits for them.
   */
  readonly stopping: AbortSignal;
  /** Aborts when the last request is over and the server has stopped. */
  readonly stopped: AbortSignal;
  /** Where between start and stop the application is; a start that fails leaves it at `starting`. */
  readonly readiness: Readiness;
  /** Whether {@link readiness} is `ready`: what a readiness probe asks for. */
  readonly isReady: boolean;
  /**
   * Adds what is done when the application is told to stop, while everything is served as before; the
   * stop waits for it, within its timeout. All such hooks run side by side. Where one fails the stop goes
   * on, and rejects in the end. One that is added after that moment runs at once, and nobody waits.
   *
   * @throws TypeError WH_ERR_INVALID_ARGUMENT where it is no function.
   */
  onStopping(hook: StoppingHook): void;
  /** Stops the application, as a signal would. Does not wait for it. */
  stopApplication(): void;
}

/** The side of the lifetime that the application drives. */
export class LifetimeController implements ApplicationLifetime {
  private readonly controllers = {
    started: createController(),
    stopping: createController(),
    stopped: createController(),
  };

  readonly hooks = new StoppingHooks();

  constructor(readonly stopApplication: () => void) {}

  get readiness(): Readiness {
    if (this.stopped.aborted) return 'stopped';
    if (this.stopping.aborted) return 'stopping';
    return this.started.aborted ? 'ready' : 'starting';
  }

  get isReady(): boolean {
    return this.readiness === 'ready';
  }

  onStopping(hook: StoppingHook): void {
    this.hooks.add(hook);
  }

  get started(): AbortSignal {
    return this.controllers.started.signal;
  }

  get stopping(): AbortSignal {
    return this.controllers.stopping.signal;
  }

  get stopped(): AbortSignal {
    return this.controllers.stopped.signal;
  }

  /** Tells everybody that the application has got there. */
  reached(point: 'started' | 'stopping' | 'stopped'): void {
    this.controllers[point].abort();
  }
}

/** Every open stream listens for the stop: no number of listeners is a leak here. */
function createController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
