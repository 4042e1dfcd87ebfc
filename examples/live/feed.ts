/** Hands events to everybody who listens. */

/** Takes an event; a promise says that there is no room for another one before it settles. */
export type Receiver = (event: string) => void | Promise<void>;

export class Feed {
  private readonly receivers = new Set<Receiver>();

  /** Gives an event to all. */
  publish(event: string): void {
    for (const receive of this.receivers) void receive(event);
  }

  /**
   * Passes events on until one of the signals aborts, or the receiver fails. While the receiver has no
   * room events are left out: who reads slowly sees fewer, and nobody waits for him.
   */
  async pass(receive: Receiver, until: readonly AbortSignal[]): Promise<void> {
    const listening = new AbortController();
    let full = false;
    let fail: (error: unknown) => void = () => undefined;
    const pass: Receiver = async (event) => {
      if (full) return;
      full = true;
      try {
        await receive(event);
        full = false;
      } catch (error) {
        fail(error);
      }
    };
    this.receivers.add(pass);
    try {
      await new Promise<void>((resolve, reject) => {
        fail = reject;
        for (const signal of until) {
          if (signal.aborted) resolve();
          signal.addEventListener('abort', () => resolve(), { signal: listening.signal });
        }
      });
    } finally {
      this.receivers.delete(pass);
      listening.abort();
    }
  }
}
