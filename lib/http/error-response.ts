/** What a client gets when a handler fails: a bare status in production, a readable page in development. */
import { STATUS_CODES } from 'node:http';
import type { HeaderDictionary } from '../features/header-dictionary.js';
import {
  HttpRequestLifetimeFeature,
  HttpResponseTrailersFeature,
} from '../features/http-features.js';
import { developerPage, developerText } from './developer-page.js';
import { isBadHttpRequestError } from './errors.js';
import type { HttpContext } from './http-context.js';

/**
 * Answers a request whose handler failed. An answer that has started is cut off, so that no client takes
 * a part for the whole.
 *
 * @param development - Whether to tell the client what went wrong.
 * @returns False where nothing can be done from here: the answer has started, and the server provides no
 * HttpRequestLifetimeFeature to cut it off with.
 */
export function answerError(
  context: HttpContext,
  error: unknown,
  development: boolean,
): boolean | Promise<boolean> {
  const response = context.response;
  if (context._responseEnded) return true;
  if (response.hasStarted) {
    const lifetime = context.features.get(HttpRequestLifetimeFeature);
    lifetime?.abort();
    return lifetime !== undefined;
  }
  const status = statusOf(error);
  clear(response.headers);
  clear(context.features.get(HttpResponseTrailersFeature)?.trailers);
  response.reasonPhrase = undefined;
  response.statusCode = status;
  response.headers.set('Cache-Control', 'no-store');
  const sent = development
    ? sendDetails(context, error, status)
    : response.text(`${String(status)} ${STATUS_CODES[status] ?? 'Error'}\n`);
  return sent === undefined ? true : sent.then(() => true);
}

function clear(fields: HeaderDictionary | undefined): void {
  if (fields === undefined) return;
  for (const name of new Set([...fields].map(([name]) => name))) fields.delete(name);
}

/** The status that tells a client of a failure. */
export function statusOf(error: unknown): number {
  if (isBadHttpRequestError(error)) return error.statusCode;
  return (error as { code?: unknown } | null | undefined)?.code === 'WH_ERR_TOO_MANY_UPGRADED'
    ? 503
    : 500;
}

function sendDetails(context: HttpContext, error: unknown, status: number): void | Promise<void> {
  const accept = context.request.headers.get('Accept') ?? '';
  return accept.includes('text/html')
    ? context.response.text(developerPage(context, error, status), 'text/html; charset=utf-8')
    : context.response.text(developerText(context, error, status));
}
