/** undici with allowH2, against the endpoint that has both. */
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { Agent, Client, fetch as undiciFetch } from 'undici';
import { answer, DIGEST, LARGE } from '../support/interop-handler.js';
import type { SecureServer } from '../support/secure-server.js';
import { authority, startSecure, visitor } from '../support/secure-server.js';
import { until } from '../support/until.js';

async function start(t: ExecutionContext): Promise<SecureServer & { client: Client }> {
  const server = await startSecure(t, answer, { limits: { maxRequestBodySize: null } });
  const client = new Client(server.url, {
    allowH2: true,
    connect: { ca: authority.cert, cert: visitor.cert, key: visitor.key },
  });
  t.teardown(() => client.destroy());
  return { ...server, client };
}

test('undici: HTTP/2 by ALPN where it is allowed, HTTP/1.1 where not', async (t) => {
  const { client, url } = await start(t);
  const { body } = await client.request({ method: 'GET', path: '/facts' });
  t.like(await body.json(), { protocol: 'HTTP/2', alpn: 'h2', visitor: 'CN=visitor' });
  const old = new Client(url, { allowH2: false, connect: { ca: authority.cert } });
  t.teardown(() => old.destroy());
  const asked = await old.request({ method: 'GET', path: '/facts' });
  t.like(await asked.body.json(), { protocol: 'HTTP/1.1', alpn: 'http/1.1', visitor: null });
});

test('undici over HTTP/2: many at once, bodies both ways', async (t) => {
  const { client, metrics } = await start(t);
  const asked = Array.from({ length: 300 }, async (_, i) => {
    const sent = Buffer.alloc((i * 131) % 50_000, i % 256);
    const { statusCode, body } = await client.request(
      i % 3 === 0
        ? { method: 'GET', path: '/hello' }
        : { method: 'POST', path: i % 3 === 1 ? '/echo' : '/stream', body: sent },
    );
    t.is(statusCode, 200);
    const received = Buffer.from(await body.arrayBuffer());
    t.true(received.equals(i % 3 === 0 ? Buffer.from('Hello') : sent));
  });
  await Promise.all(asked);
  const up = await client.request({ method: 'POST', path: '/digest', body: LARGE });
  t.is(await up.body.text(), DIGEST);
  const down = await client.request({ method: 'GET', path: '/large/written' });
  t.true(Buffer.from(await down.body.arrayBuffer()).equals(LARGE));
  t.is(metrics().totalConnections, 1);
});

test('fetch of undici over HTTP/2, and one that is aborted', async (t) => {
  const { url, metrics } = await start(t);
  const dispatcher = new Agent({ allowH2: true, connect: { ca: authority.cert } });
  t.teardown(() => dispatcher.destroy());
  const facts = await undiciFetch(`${url}/facts`, { dispatcher });
  t.like(await facts.json(), { protocol: 'HTTP/2' });
  const posted = await undiciFetch(`${url}/echo`, { dispatcher, method: 'POST', body: 'grüße' });
  t.is(await posted.text(), 'grüße');
  t.is((await undiciFetch(`${url}/nothing`, { dispatcher })).status, 404);
  const controller = new AbortController();
  const endless = await undiciFetch(`${url}/forever`, { dispatcher, signal: controller.signal });
  await endless.body?.getReader().read();
  controller.abort();
  await until(() => metrics().activeRequests === 0, 'the server has noticed');
});
