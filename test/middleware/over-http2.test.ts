/** The same over HTTP/2, which a proxy may speak to the server: the host is the pseudo-field's there. */
import { once } from 'node:events';
import type { OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:http2';
import { text } from 'node:stream/consumers';
import test from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import { compose } from '../../lib/hosting/pipeline.js';
import { forwardedHeaders } from '../../lib/middleware/forwarded-headers.js';
import { hostFiltering } from '../../lib/middleware/host-filtering.js';
import { requestTimeouts } from '../../lib/middleware/request-timeouts.js';
import type { Seen } from '../support/echo.js';
import { echo } from '../support/echo.js';
import { startServer } from '../support/wire-server.js';

function untilAborted({ requestAborted }: HttpContext): Promise<void> {
  return new Promise((resolve) => {
    requestAborted.addEventListener('abort', () => {
      resolve();
    });
  });
}

test('forwarded headers, hosts and time-outs over HTTP/2', async (t) => {
  const { url } = await startServer(
    t,
    compose(
      [
        hostFiltering({ allowedHosts: ['inner.example'] }),
        forwardedHeaders({
          knownProxies: ['127.0.0.1'],
          forwardedHeaders: ['xForwardedFor', 'xForwardedProto', 'xForwardedHost'],
        }),
        requestTimeouts({ defaultPolicy: { timeout: 50, timeoutStatusCode: 503 } }),
      ],
      (context) => (context.request.path === '/slow' ? untilAborted(context) : echo(context)),
    ),
    { endpoints: [{ host: '127.0.0.1', port: 0, protocols: 'http2' }] },
  );
  const session = connect(url);
  const ask = async (headers: OutgoingHttpHeaders): Promise<[unknown, string]> => {
    const stream = session.request({ ':authority': 'inner.example', ...headers });
    const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
    return [answer[':status'], await text(stream)];
  };
  const [status, body] = await ask({
    'x-forwarded-for': '192.0.2.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'shop.example',
  });
  t.is(status, 200);
  const seen = JSON.parse(body) as Seen;
  t.like(seen, { address: '192.0.2.1', port: 0, scheme: 'https', host: 'shop.example' });
  t.is(seen.fields['x-original-host'], 'inner.example');
  // The next stream of the connection has its own words.
  t.like(JSON.parse((await ask({}))[1]), {
    address: '127.0.0.1',
    scheme: 'http',
    host: 'inner.example',
  });
  t.is((await ask({ ':authority': 'other.example' }))[0], 400);
  t.deepEqual(await ask({ ':path': '/slow' }), [503, '']);
  session.close();
  await once(session, 'close');
});
