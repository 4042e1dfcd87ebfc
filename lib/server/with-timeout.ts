/** A limit of time for one handler. */
import { HttpRequestTimeoutFeature } from '../features/http-features.js';
import { invalidArgument } from '../http/errors.js';
import type { RequestDelegate } from './server.js';

/**
 * Gives a handler a limit of time of its own, in place of `limits.requestTimeout`: after it the
 * request's `requestAborted` aborts, and unless the handler answers at once, 504 is answered, or the
 * answer that has started is cut off. On a server without HttpRequestTimeoutFeature it has no effect.
 *
 * @param milliseconds - From the call of the handler; `null` for no limit.
 * @param handler - The handler, such as that of a route.
 * @throws TypeError WH_ERR_INVALID_ARGUMENT; when a request comes, RangeError WH_ERR_INVALID_ARGUMENT for a
 * number that is no time. Source: ASP.NET Core's WithRequestTimeout.
 */
export function withTimeout(
  milliseconds: number | null,
  handler: RequestDelegate,
): RequestDelegate {
  if (typeof milliseconds !== 'number' && milliseconds !== null) {
    throw invalidArgument('milliseconds', 'a number or null', milliseconds);
  }
  if (typeof handler !== 'function') throw invalidArgument('handler', 'a function', handler);
  return (context) => {
    context.features.get(HttpRequestTimeoutFeature)?.setTimeout(milliseconds);
    return handler(context);
  };
}
