/** An answer that says what a request looks like after the middleware. */
import type { ExecutionContext } from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { Middleware } from '../../lib/http/middleware.js';
import { compose } from '../../lib/hosting/pipeline.js';
import type { ServerOptions } from '../../lib/server/options.js';
import { startServer } from './wire-server.js';

/** What is seen. */
export interface Seen {
  readonly address: string | null;
  readonly port: number;
  readonly scheme: string;
  readonly host: string;
  readonly pathBase: string;
  readonly path: string;
  /** Fields whose names tell of forwarding, in lower case. */
  readonly fields: Readonly<Record<string, string | undefined>>;
}

export function echo({ connection, request, response }: HttpContext): void | Promise<void> {
  const fields: Record<string, string> = {};
  for (const [name, value] of request.headers) {
    const lower = name.toLowerCase();
    if (/^(?:x-|forwarded$)/.test(lower)) {
      fields[lower] = lower in fields ? `${fields[lower]} | ${value}` : value;
    }
  }
  return response.json({
    address: connection.remoteAddress ?? null,
    port: connection.remotePort,
    scheme: request.scheme,
    host: request.host,
    pathBase: request.pathBase,
    path: request.path,
    fields,
  });
}

/** Starts a server on 127.0.0.1 with one middleware; the result sends field lines and tells what was seen. */
export async function startEcho(
  t: ExecutionContext,
  middleware: Middleware,
  options: ServerOptions = {},
): Promise<(...lines: readonly string[]) => Promise<Seen>> {
  const { connect } = await startServer(t, compose([middleware], echo), options);
  const client = await connect();
  return async (...lines) => {
    const head = ['GET /path HTTP/1.1', 'Host: inner.example', ...lines];
    const { status, text } = await client.request(`${head.join('\r\n')}\r\n\r\n`);
    t.is(status, 200);
    return JSON.parse(text) as Seen;
  };
}
