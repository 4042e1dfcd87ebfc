/** The callbacks that run before the start of an answer (onStarting). */
import type { ResponseCallback } from '../../features/http-features.js';

export interface StartingState {
  /** What was registered and has not run. */
  starting: ResponseCallback[] | undefined;
  /** Settles when those that were running have run. */
  pending: Promise<void> | undefined;
  /** Settles `pending` before its time. */
  giveUp: (() => void) | undefined;
}

/**
 * Runs what was registered with onStarting, the last first. While that takes time, everybody who wants
 * to send waits for the same promise, and so in the order in which they came.
 */
export function runStarting(state: StartingState): Promise<void> | undefined {
  const callbacks = state.starting;
  if (callbacks === undefined) return state.pending;
  state.starting = undefined;
  for (let callback = callbacks.pop(); callback !== undefined; callback = callbacks.pop()) {
    const result = callback();
    if (result !== undefined) {
      // A callback that waits for what waits for it must not hold the request for ever.
      return (state.pending = new Promise((resolve, reject) => {
        state.giveUp = resolve;
        runStartingAfter(result, callbacks).then(resolve, reject);
      }));
    }
  }
  return undefined;
}

async function runStartingAfter(
  first: Promise<void>,
  callbacks: ResponseCallback[],
): Promise<void> {
  await first;
  for (let callback = callbacks.pop(); callback !== undefined; callback = callbacks.pop()) {
    await callback();
  }
}

/** A promise that nobody need wait for: what it fails with reaches the end of the request as well. */
export function noticed(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined);
  return promise;
}
