/**
 * What the handlers of all peers have in common, so that they do the same work. It runs in Node,
 * Bun and Deno and is read by the scenarios for what a right answer is.
 */

export const hello = 'Hello, World!';

/** What the answer to /json must be; the handlers make the object anew for each request. */
export const jsonText = '{"message":"Hello, World!"}';

/** Bytes of the answer to /large. */
export const largeBytes = 100 * 1024;

/** Milliseconds that a connection may idle; the idle-memory scenario needs about ten seconds. */
export const idleMilliseconds = 75_000;

/** @returns {Uint8Array} The answer to /large. */
export function makeLarge() {
  return new Uint8Array(largeBytes).fill(0x78);
}

/** What an asynchronous handler waits for: a value that is there already, as from a cache. */
export async function lookUp() {
  return hello;
}

/**
 * A pipeline of middlewares for servers that have none of their own.
 *
 * @template C, R
 * @param {readonly ((context: C, next: () => Promise<R>) => Promise<R>)[]} middlewares
 * @param {(context: C) => Promise<R>} handler
 * @returns {(context: C) => Promise<R>}
 */
export function compose(middlewares, handler) {
  return middlewares.reduceRight(
    (/** @type {(context: C) => Promise<R>} */ next, middleware) => (context) =>
      middleware(context, () => next(context)),
    handler,
  );
}

/**
 * The middleware of the async scenario, twice in every pipeline.
 *
 * @template R
 * @param {unknown} context
 * @param {() => Promise<R>} next
 */
export async function awaiting(context, next) {
  return await next();
}
