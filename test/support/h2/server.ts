/** Servers for tests of what HTTP/2 does for an application, over cleartext and over TLS. */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { HttpContext } from '../../../lib/http/http-context.js';
import type { EndpointOptions, ServerOptions } from '../../../lib/server/options.js';
import type { Certificate } from '../certificates.js';
import { serverCertificate } from '../certificates.js';
import type { H2Options, H2Target } from '../h2-client.js';
import { H2Client } from '../h2-client.js';
import type { WireServer } from '../wire-server.js';
import { startServer } from '../wire-server.js';

export type Transport = 'h2c' | 'TLS';

export interface Http2Server extends WireServer {
  readonly target: H2Target;
  /** A connection that has shaken hands; it is closed after the test. */
  readonly open: (options?: H2Options) => Promise<H2Client>;
}

type Handler = (context: HttpContext) => void | Promise<void>;

let certificate: Certificate | undefined;

/** One certificate for all the tests of a file: making one takes a millisecond or more. */
export function sharedCertificate(): Certificate {
  certificate ??= serverCertificate();
  return certificate;
}

/** An endpoint of TLS on 127.0.0.1. */
export function secureEndpoint(
  protocols: 'http1' | 'http2' | 'http1AndHttp2' = 'http1AndHttp2',
): EndpointOptions {
  const { cert, key } = sharedCertificate();
  return { host: '127.0.0.1', port: 0, protocols, https: { cert, key } };
}

export async function startHttp2(
  t: ExecutionContext,
  transport: Transport,
  handler: Handler,
  options: ServerOptions = {},
): Promise<Http2Server> {
  const endpoint: EndpointOptions =
    transport === 'TLS' ? secureEndpoint() : { host: '127.0.0.1', port: 0, protocols: 'http2' };
  const clients: H2Client[] = [];
  const server = await startServer(t, handler, { endpoints: [endpoint], ...options });
  // Before the teardown of the server, which waits until nothing is left.
  t.teardown(() => {
    for (const client of clients) client.destroy();
  });
  const tls = { ca: sharedCertificate().cert, servername: 'localhost' };
  const target = { port: server.port, ...(transport === 'TLS' ? { tls } : {}) };
  const open = async (settings?: H2Options): Promise<H2Client> => {
    const client = await H2Client.open(target, settings);
    clients.push(client);
    return client;
  };
  return { ...server, target, open };
}

/** Starts the server of a test. */
export type Start = (handler: Handler, options?: ServerOptions) => Promise<Http2Server>;

/** Two tests: over cleartext, and over TLS. */
export function overBoth(
  title: string,
  run: (t: ExecutionContext, start: Start, transport: Transport) => Promise<void>,
): void {
  for (const transport of ['h2c', 'TLS'] as const) {
    test(`${transport}: ${title}`, (t) =>
      run(t, (handler, options) => startHttp2(t, transport, handler, options), transport));
  }
}
