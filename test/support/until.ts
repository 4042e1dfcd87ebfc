/** Waiting for what no event tells. */
import { setTimeout as delay } from 'node:timers/promises';

/** How long to wait at most unless told otherwise (ms). Only a test that fails ever waits so long. */
const PATIENCE = 20_000;

/**
 * Settles when a condition holds; looks again and again, without holding the loop up.
 *
 * @throws Error that names what was waited for.
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  patience = PATIENCE,
): Promise<void> {
  const end = performance.now() + patience;
  for (let pause = 0; !(await condition()); pause = Math.min(pause + 1, 20)) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await delay(pause);
  }
}

/** The promise's result, or an error that names what was waited for. */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  patience = PATIENCE,
): Promise<T> {
  const controller = new AbortController();
  const limit = delay(patience, undefined, { signal: controller.signal, ref: true }).then(
    () => {
      throw new Error(`waited in vain for ${what}`);
    },
    () => undefined as never,
  );
  try {
    return await Promise.race([promise, limit]);
  } finally {
    controller.abort();
  }
}

/** A promise and what settles it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
