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

/** The gRPC-like call: its path, its content type, the request of a client and the right answer. */
export const unary = {
  path: '/bench.Greeter/SayHello',
  type: 'application/grpc',
  request: '\0\0\0\0\x0b\x0a\x09windhover',
  answer: '\0\0\0\0\x12\x0a\x10Hello, windhover',
};

const unaryPrefix = 5;
const unaryField = 2;
const greeting = [...'Hello, '].map((letter) => letter.charCodeAt(0));

/**
 * The work of the gRPC-like call: one message in, one message out, each behind its prefix of five bytes
 * (not compressed, length) and with one field, a string shorter than 100 bytes.
 *
 * @param {Uint8Array} body The whole body of the request.
 * @returns {Uint8Array | null} The whole body of the answer; null where the request is not such a one.
 */
export function greet(body) {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const start = unaryPrefix + unaryField;
  if (body.length < start || body[0] !== 0) return null;
  if (view.getUint32(1) !== body.length - unaryPrefix || body[start - 1] !== body.length - start) {
    return null;
  }
  const answer = new Uint8Array(body.length + greeting.length);
  new DataView(answer.buffer).setUint32(1, answer.length - unaryPrefix);
  answer[unaryPrefix] = 0x0a;
  answer[start - 1] = answer.length - start;
  answer.set(greeting, start);
  answer.set(body.subarray(start), start + greeting.length);
  return answer;
}

/**
 * What an application is started with.
 *
 * @param {readonly string[]} args Behind the name of the program.
 */
export function readArguments([port, route, protocol, cert, key]) {
  return { port: Number(port), route, protocol, cert, key };
}

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
