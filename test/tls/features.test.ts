import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { HttpRequestFeature } from '../../lib/features/http-features.js';
import { TlsConnectionFeature, TlsHandshakeFeature } from '../../lib/features/tls-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { codeOf } from '../support/errors.js';
import { clientCertificate, serverCertificate } from '../support/certificates.js';
import { startHttps } from '../support/https-server.js';
import { deferred, until } from '../support/until.js';
import { startServer } from '../support/wire-server.js';

const { cert, key } = serverCertificate();

function tell({ features, response }: HttpContext): void | Promise<void> {
  const handshake = features.get(TlsHandshakeFeature);
  return response.json({
    protocol: handshake?.protocol,
    cipher: handshake?.negotiatedCipherSuite,
    bits: handshake?.cipherStrength,
    host: handshake?.hostName,
    alpn: handshake?.applicationProtocol,
    group: handshake?.keyExchangeGroup.toLowerCase(),
    resumed: handshake?.isResumed,
    binding: Buffer.from(features.get(TlsConnectionFeature)?.channelBinding ?? []).toString('hex'),
  });
}

for (const [maxVersion, cipher] of [
  ['TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['TLSv1.3', 'TLS_AES_128_GCM_SHA256'],
] as const) {
  test(`${maxVersion}: a request knows its handshake, and the binding that its client knows`, async (t) => {
    const { connect } = await startHttps(t, { cert, key }, tell);
    const socket = await connect({
      maxVersion,
      ciphers: cipher,
      servername: 'a.example',
      ALPNProtocols: ['http/1.1'],
      ecdhCurve: 'P-256',
    });
    const binding = socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
    socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    const told = JSON.parse((await text(socket)).split('\r\n\r\n')[1]) as object;
    t.like(told, {
      protocol: maxVersion,
      cipher,
      bits: 128,
      host: 'a.example',
      alpn: 'http/1.1',
      resumed: false,
      binding: binding.toString('hex'),
    });
    const { group } = told as { group: string };
    t.true(['prime256v1', 'p-256', 'secp256r1', ''].includes(group), group);
  });
}

test('over HTTP/2 all requests of a connection know the same', async (t) => {
  const { port } = await startHttps(t, { cert, key }, (context) => {
    t.is(context.request.scheme, 'https');
    t.is(context.request.protocol, 'HTTP/2');
    return tell(context);
  });
  const session = connectHttp2(`https://localhost:${String(port)}`, { ca: cert });
  t.teardown(() => {
    session.destroy();
  });
  const answers = await Promise.all(
    [1, 2, 3].map(async () => text(session.request({ ':path': '/' }))),
  );
  t.is(new Set(answers).size, 1);
  t.like(JSON.parse(answers[0]), { alpn: 'h2', host: 'localhost', protocol: 'TLSv1.3' });
});

test('without TLS there are no such features', async (t) => {
  const { once: ask } = await startServer(t, ({ connection, features, request, response }) => {
    const tokens = [TlsConnectionFeature, TlsHandshakeFeature];
    const found = tokens.map((token) => features.get(token as typeof TlsConnectionFeature));
    const keys = [...features].map(([symbol]) => symbol);
    return response.json([
      found.every((feature) => feature === undefined),
      tokens.some((token) => keys.includes(token.key)),
      connection.clientCertificate ?? null,
      request.isHttps,
      request.scheme,
    ]);
  });
  const { body } = await ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  t.deepEqual(JSON.parse(String(body)), [true, false, null, false, 'http']);
});

test('they are listed, found twice as the same, and may be replaced', async (t) => {
  const { get } = await startHttps(t, { cert, key }, ({ features, response }) => {
    const keys = [...features].map(([symbol]) => symbol);
    const both = [TlsConnectionFeature, TlsHandshakeFeature].every(({ key: own }) =>
      keys.includes(own),
    );
    const feature = features.get(TlsHandshakeFeature);
    const same = feature === features.get(TlsHandshakeFeature);
    features.set(TlsHandshakeFeature, undefined);
    return response.json([both, same, features.get(TlsHandshakeFeature) === undefined]);
  });
  t.deepEqual(JSON.parse((await get()).body), [true, true, true]);
});

test('the scheme may be set, as behind a proxy', async (t) => {
  const { get } = await startHttps(t, { cert, key }, ({ features, request, response }) => {
    request.scheme = 'http';
    return response.json([request.isHttps, features.get(HttpRequestFeature)?.scheme]);
  });
  t.deepEqual(JSON.parse((await get()).body), [false, 'http']);
});

test('once the request is over they throw; once the client is gone they know nothing new', async (t) => {
  const kept = deferred<HttpContext>();
  const go = deferred();
  const seen = deferred<unknown[]>();
  const own = clientCertificate();
  const { connect, get, port } = await startHttps(
    t,
    { cert, key, clientCertificateMode: 'allow', allowAnyClientCertificate: true },
    async (context) => {
      const handshake = context.features.get(TlsHandshakeFeature);
      const connection = context.features.get(TlsConnectionFeature);
      if (context.request.path === '/kept') {
        kept.resolve(context);
        return;
      }
      go.resolve();
      await until(() => context.requestAborted.aborted, 'the client is gone');
      seen.resolve([
        handshake?.protocol,
        connection?.clientCertificate,
        connection?.clientCertificateChain,
        connection?.isClientCertificateVerified,
        connection?.channelBinding,
      ]);
    },
  );
  t.is((await get({ path: '/kept' })).status, 200);
  const context = await kept.promise;
  await until(
    () =>
      codeOf(() => context.request) !== undefined ||
      codeOf(() => context.features.get(TlsHandshakeFeature)) !== undefined,
    'it is over',
  );
  t.is(
    codeOf(() => context.features.get(TlsHandshakeFeature)),
    'WH_ERR_CONTEXT_DISPOSED',
  );
  t.is(
    codeOf(() => context.connection.clientCertificate),
    'WH_ERR_CONTEXT_DISPOSED',
  );

  const wire = connectTcp(port, '127.0.0.1');
  const socket = await connect({ socket: wire, cert: own.cert, key: own.key });
  socket.write('GET /gone HTTP/1.1\r\nHost: h\r\n\r\n');
  await go.promise;
  wire.resetAndDestroy();
  t.deepEqual(await seen.promise, ['', undefined, [], false, undefined]);
});

test('what was read stays', async (t) => {
  const own = clientCertificate('kept');
  const told = deferred<unknown[]>();
  const { connect, port } = await startHttps(
    t,
    { cert, key, clientCertificateMode: 'allow', allowAnyClientCertificate: true },
    async ({ connection, features, requestAborted, response }) => {
      const handshake = features.get(TlsHandshakeFeature);
      const before = [handshake?.protocol, connection.clientCertificate?.subject];
      await response.write('x');
      await until(() => requestAborted.aborted, 'the client is gone');
      told.resolve([...before, handshake?.protocol, connection.clientCertificate?.subject]);
    },
  );
  const wire = connectTcp(port, '127.0.0.1');
  const socket = await connect({ socket: wire, cert: own.cert, key: own.key });
  socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  await once(socket, 'data');
  wire.resetAndDestroy();
  t.deepEqual(await told.promise, ['TLSv1.3', 'CN=kept', 'TLSv1.3', 'CN=kept']);
});
