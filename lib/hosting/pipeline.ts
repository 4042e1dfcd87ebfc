/** How middleware becomes one function: composed once, at the start, from the last step to the first. */
import { WindhoverError } from '../http/errors.js';
import type { HttpContext } from '../http/http-context.js';
import type { RequestDelegate } from '../server/server.js';

/**
 * Runs what comes after a middleware. Returns its promise, or `undefined` where all of it was done at
 * once. Throws WindhoverError WH_ERR_NEXT_CALLED_TWICE the second time.
 */
export type Next = () => void | Promise<void>;

/**
 * A step on a request's way. It answers by itself, or calls `next` once, and may act before and after:
 * `async (context, next) => { ...; await next(); ... }`. A step that is not async stays so, and costs no
 * promise; where it returns nothing, the request lasts until what `next` returned has settled.
 */
export type Middleware = (context: HttpContext, next: Next) => void | Promise<void>;

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
