/** The life of an application, for everything that must begin or end with it. */
import { setMaxListeners } from 'node:events';

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

  constructor(readonly stopApplication: () => void) {}

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
