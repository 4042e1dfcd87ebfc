/** What a step on a request's way is. How steps become one function: hosting/pipeline.ts. */
import type { HttpContext } from './http-context.js';

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
