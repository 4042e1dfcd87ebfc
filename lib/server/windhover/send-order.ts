/** What an answer sends while a file is on its way waits its turn: parts arrive in the order of the calls. */
import { responseEnded } from '../../http/errors.js';
import { noticed } from './starting.js';

export class SendOrder {
  private last: Promise<void> | undefined = undefined;
  private isCancelled = false;
  /** What is called now has its turn. */
  private isRunning = false;

  /** Whether something is to be sent before what is called now. */
  get isBusy(): boolean {
    return this.last !== undefined && !this.isRunning;
  }

  /**
   * Does something once all that came before is done; where that fails, this fails with it. Who does not
   * wait for it learns at the end of the request, which is ordered in the same way.
   */
  add(action: () => void | Promise<void>): Promise<void> {
    const run = (): void | Promise<void> => {
      if (this.isCancelled) throw responseEnded();
      this.isRunning = true;
      try {
        return action();
      } finally {
        this.isRunning = false;
      }
    };
    const done = (this.last ?? Promise.resolve()).then(run);
    this.last = done;
    const end = (): void => {
      if (this.last === done) this.last = undefined;
    };
    done.then(end, end);
    return noticed(done);
  }

  /** Nothing of it is to be sent any more: only before the answer has started. */
  cancel(): void {
    this.isCancelled = true;
  }

  /** @throws WindhoverError WH_ERR_RESPONSE_ENDED where something else was answered. */
  protected ensureWanted(): void {
    if (this.isCancelled) throw responseEnded();
  }
}
