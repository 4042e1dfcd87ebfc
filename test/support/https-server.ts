/** A WindhoverServer that speaks TLS, and clients of node:tls and node:https for it. */
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { connect } from 'node:tls';
import type { ExecutionContext } from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { HttpsOptions, ServerOptions } from '../../lib/server/options.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The serial number of the certificate that was shown. */
  readonly serial: string;
}

export interface HttpsServer {
  readonly server: WindhoverServer;
  readonly port: number;
  /** A request on a connection of its own. Certificates are not checked unless the options say so. */
  readonly get: (options?: RequestOptions) => Promise<Answer>;
  /** A connection, once its handshake is done; destroyed after the test. Rejects where that fails. */
  readonly connect: (options?: ConnectionOptions) => Promise<TLSSocket>;
}

/** Starts one on 127.0.0.1. */
export async function startHttps(
  t: ExecutionContext,
  https: HttpsOptions,
  handler: (context: HttpContext) => void | Promise<void> = ({ response }) =>
    response.text('hello'),
  options: ServerOptions = {},
): Promise<HttpsServer> {
  const server = new WindhoverServer({
    endpoints: [{ host: '127.0.0.1', port: 0, https }],
    ...options,
  });
  await server.start(createApplication(handler));
  const sockets: TLSSocket[] = [];
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await server.stop(AbortSignal.abort());
  });
  const port = Number(new URL(server.addresses[0]).port);
  return {
    server,
    port,
    get: (own) => get({ port, ...own }),
    connect: async (own) => {
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...own });
      sockets.push(socket);
      await once(socket, 'secureConnect');
      return socket;
    },
  };
}

/** One request with node:https, without a kept connection unless the options have an agent. */
export async function get(options: RequestOptions): Promise<Answer> {
  const agent = options.agent ?? new Agent({ maxCachedSessions: 0 });
  const outgoing = request({
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...options,
    agent,
  });
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
  const body = await text(response);
  if (options.agent === undefined) (agent as Agent).destroy();
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body,
    serial: serialNumber,
  };
}

/** The code of what a promise rejects with, or of its cause. */
export async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return `${code ?? ''} ${message}`;
  }
  return 'nothing failed';
}
