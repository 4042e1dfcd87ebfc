/** The servers that the cases of conformance are run against. */
import { once } from 'node:events';
import { createApplication } from '../../../lib/server/server.js';
import type { HttpContext } from '../../../lib/http/http-context.js';
import { WindhoverServer } from '../../../lib/server/windhover-server.js';
import type { Certificate } from '../certificates.js';
import type { H2Target } from '../h2-client.js';

/** How long a case waits for a frame (ms). Only a case that fails ever waits so long. */
const PATIENCE = 10_000;

/** What `/large` answers with. */
export const LARGE = 100_000;

/** The application: a path for each thing that a case needs an application to do. */
export async function handle(context: HttpContext): Promise<void> {
  const { request, response } = context;
  switch (request.path) {
    case '/echo': {
      const body = await request.body.bytes();
      await response.bytes(body);
      return;
    }
    case '/inspect': {
      const body = await request.body.bytes();
      await response.json({
        method: request.method,
        scheme: request.scheme,
        protocol: request.protocol,
        path: request.path,
        host: String(request.host),
        headers: [...request.headers],
        length: body.length,
        trailers: [...request.trailers],
      });
      return;
    }
    case '/large':
      await response.bytes(Buffer.alloc(LARGE, 'x'));
      return;
    // Reads nothing and answers nothing until the client has gone, or resets the stream.
    case '/hold':
      if (!context.requestAborted.aborted) await once(context.requestAborted, 'abort');
      return;
    // Answers as soon as the body is there, whatever it is.
    case '/drain':
      await request.body.bytes();
      await response.text('drained');
      return;
    default:
      await response.text('Hello from the conformance server');
  }
}

/** Both servers of a file: cleartext by prior knowledge, and TLS by ALPN. */
export interface ConformanceServers {
  readonly cleartext: H2Target;
  readonly tls: H2Target;
  stop(): Promise<void>;
}

export async function startServers(certificate: Certificate): Promise<ConformanceServers> {
  const server = new WindhoverServer({
    endpoints: [
      { host: '127.0.0.1', port: 0, protocols: 'http2' },
      {
        host: '127.0.0.1',
        port: 0,
        protocols: 'http1AndHttp2',
        https: { cert: certificate.cert, key: certificate.key },
      },
    ],
  });
  await server.start(createApplication(handle));
  const [cleartext, tls] = server.addresses.map((address) => Number(new URL(address).port));
  const common = { strict: true, patience: PATIENCE };
  return {
    cleartext: { port: cleartext, ...common },
    tls: { port: tls, tls: { ca: certificate.cert, servername: 'localhost' }, ...common },
    stop: () => server.stop(AbortSignal.abort()),
  };
}
