/** How middleware becomes one function: composed once, at the start, from the last step to the first. */
import { WindhoverError } from '../http/errors.js';
import type { Middleware } from '../http/middleware.js';
import type { RequestDelegate } from '../server/server.js';

/** Makes one function of steps, first to last, and of what comes after them. */
export function compose(steps: readonly Middleware[], end: RequestDelegate): RequestDelegate {
  return steps.reduceRight<RequestDelegate>((next, step) => link(step, next), end);
}

function link(step: Middleware, next: RequestDelegate): RequestDelegate {
  return (context) => {
    let called = false;
    let downstream: void | Promise<void> = undefined;
    const result = step(context, () => {
      if (called) throw calledTwice();
      called = true;
      return (downstream = next(context));
    });
    // A step that forgot to return what next() gave it must not end the request under what still runs.
    return result === undefined ? downstream : result;
  };
}

/** Whether what a handler returned is a promise (or anything that can be awaited). */
export function isPromise(result: void | Promise<void>): result is Promise<void> {
  return typeof (result as { then?: unknown } | undefined)?.then === 'function';
}

function calledTwice(): WindhoverError {
  return new WindhoverError('WH_ERR_NEXT_CALLED_TWICE', 'A middleware called next() twice');
}
