/** Node's own client of HTTP/2. */
import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { constants } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import test from 'ava';
import { answerOf, ask, closed } from '../support/http2-client.js';
import { answer, DIGEST, LARGE } from '../support/interop-handler.js';
import { authority, startSecure, visitor } from '../support/secure-server.js';
import { deferred, until, within } from '../support/until.js';

for (const clear of [true, false]) {
  const how = clear ? 'h2c' : 'h2';

  test(`node:http2 over ${how}: hundreds of streams on one connection`, async (t) => {
    const server = await startSecure(t, answer);
    const session = await server.session({ clear });
    t.is(session.alpnProtocol, clear ? 'h2c' : 'h2');
    const asked = Array.from({ length: 600 }, async (_, i) => {
      const sent = Buffer.alloc((i * 131) % 20_000, i % 256);
      const { status, body } =
        i % 3 === 0
          ? await ask(session, { ':path': '/hello' })
          : await ask(
              session,
              { ':path': i % 3 === 1 ? '/echo' : '/stream', ':method': 'POST' },
              sent,
            );
      t.is(status, 200);
      t.true(body.equals(i % 3 === 0 ? Buffer.from('Hello') : sent));
    });
    await Promise.all(asked);
    t.is(server.metrics().totalConnections, 1);
    t.is(server.metrics().answers, 600);
  });

  test(`node:http2 over ${how}: large bodies, both ways at once`, async (t) => {
    const server = await startSecure(t, answer, { limits: { maxRequestBodySize: null } });
    // By itself it would reset its streams when it holds 10 MB.
    const session = await server.session({ clear, maxSessionMemory: 1000 });
    const [up, down, both, hello] = await Promise.all([
      ask(session, { ':path': '/digest', ':method': 'POST' }, LARGE),
      ask(session, { ':path': '/large' }),
      ask(session, { ':path': '/stream', ':method': 'PUT' }, LARGE),
      ask(session, { ':path': '/hello' }),
    ]);
    t.is(up.text, DIGEST);
    t.is(firstDifference(down.body), -1);
    t.is(firstDifference(both.body), -1);
    t.is(hello.text, 'Hello');
  });

  test(`node:http2 over ${how}: a stop says GOAWAY and lets streams end`, async (t) => {
    const goOn = deferred();
    const begun = deferred();
    const server = await startSecure(t, async ({ request, response }) => {
      await response.write('begun ');
      begun.resolve();
      await goOn.promise;
      await response.write(await request.body.text());
    });
    const session = await server.session({ clear });
    const codes: number[] = [];
    session.on('goaway', (code) => codes.push(code));
    const stream = session.request({ ':method': 'POST' });
    const got = answerOf(stream);
    await within(begun.promise, 'the start');
    const stopped = server.server.stop();
    await until(() => codes.length > 0, 'GOAWAY');
    goOn.resolve();
    stream.end('and ended');
    t.is((await got).text, 'begun and ended');
    await within(stopped, 'the stop');
    t.true(codes.every((code) => code === constants.NGHTTP2_NO_ERROR));
    await until(() => session.destroyed, 'the session is over');
  });
}

test('node:http2: settings, pings, and a client that takes no pushes', async (t) => {
  const server = await startSecure(t, answer, {
    limits: { http2: { maxStreamsPerConnection: 5 } },
  });
  const session = await server.session({
    settings: {
      enablePush: false,
      initialWindowSize: 1000,
      maxFrameSize: 20_000,
      headerTableSize: 0,
      maxHeaderListSize: 100_000,
    },
  });
  const { remoteSettings } = session;
  t.is(remoteSettings.maxConcurrentStreams, 5);
  t.true(remoteSettings.enableConnectProtocol);
  t.is((await ask(session, { ':path': '/large' })).body.length, LARGE.length);
  const asked = Array.from({ length: 50 }, () => ask(session, { ':path': '/hello' }));
  t.deepEqual(new Set((await Promise.all(asked)).map((got) => got.text)), new Set(['Hello']));
  session.settings({ initialWindowSize: 100_000, headerTableSize: 4096 });
  await within(once(session, 'localSettings'), 'the acknowledgement');
  t.is((await ask(session, { ':path': '/large' })).body.length, LARGE.length);
  const payload = Buffer.from('8 bytes!');
  const [, echoed] = await new Promise<[number, Buffer]>((resolve, reject) => {
    session.ping(payload, (error, duration, back) => {
      if (error === null) resolve([duration, back]);
      else reject(error);
    });
  });
  t.deepEqual(echoed, payload);
});

test('node:http2: streams that are reset in every state leave nothing behind', async (t) => {
  const server = await startSecure(t, answer);
  const session = await server.session();
  const reset = async (stream: ClientHttp2Stream, code: number): Promise<void> => {
    stream.close(code);
    await closed(stream);
  };
  const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR } = constants;
  for (let i = 0; i < 10; i++) {
    // At once, with a body half sent, while the answer comes, and when it has come.
    await reset(session.request({ ':path': '/hello' }), NGHTTP2_CANCEL);
    const half = session.request({ ':path': '/echo', ':method': 'POST' });
    half.write('half');
    await until(() => server.metrics().activeRequests > 0, 'it runs');
    await reset(half, NGHTTP2_INTERNAL_ERROR);
    const coming = session.request({ ':path': '/forever' });
    await once(coming, 'data');
    await reset(coming, NGHTTP2_CANCEL);
    const come = session.request({ ':path': '/hello' });
    await once(come, 'response');
    await reset(come, NGHTTP2_CANCEL);
    await until(() => server.metrics().activeRequests === 0, 'nothing runs');
  }
  t.is((await ask(session, { ':path': '/hello' })).text, 'Hello');
  t.is(server.metrics().totalConnections, 1);
});

test('node:http2: trailers, both ways, and a request that is refused for its fields', async (t) => {
  const server = await startSecure(t, async ({ request, response }) => {
    const body = await request.body.text();
    response.trailers.set('X-Got', `${body} ${request.trailers.get('x-sent') ?? 'none'}`);
    await response.text('body');
  });
  const session = await server.session();
  const stream = session.request({ ':method': 'POST' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => {
    stream.sendTrailers({ 'x-sent': 'yes' });
  });
  stream.end('abc');
  const { trailers } = await answerOf(stream);
  t.is(trailers?.['x-got'], 'abc yes');
  const big = await ask(session, { 'x-big': 'x'.repeat(40_000) });
  t.is(big.status, 431);
  t.is((await ask(session, { ':method': 'POST' }, 'still')).trailers?.['x-got'], 'still none');
  t.is(server.metrics().totalConnections, 1);
});

test('one endpoint: node:https and node:http2, by host name, with and without a certificate', async (t) => {
  const server = await startSecure(t, answer);
  const facts = async (session: ClientHttp2Session): Promise<unknown> =>
    JSON.parse((await ask(session, { ':path': '/facts' })).text);
  for (const servername of ['localhost', 'other.test']) {
    for (const own of [undefined, visitor]) {
      const wanted = { servername, cert: own?.cert, key: own?.key };
      const expected = { sni: servername, visitor: own === undefined ? null : 'CN=visitor' };
      t.like(await facts(await server.session(wanted)), {
        ...expected,
        protocol: 'HTTP/2',
        alpn: 'h2',
      });
      const request = requestHttps(`${server.url}/facts`, { ...wanted, ca: authority.cert });
      request.end();
      const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream];
      t.like(JSON.parse(await text(response)), { ...expected, protocol: 'HTTP/1.1' });
    }
  }
  const stranger = connectTls({
    host: '127.0.0.1',
    port: server.port,
    ca: authority.cert,
    servername: 'localhost',
    ALPNProtocols: ['spdy/3'],
  });
  const [error] = (await within(once(stranger, 'error'), 'the alert')) as [NodeJS.ErrnoException];
  t.is(error.code, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
});

test('Node’s compatibility client sees what HTTP/1.1 showed', async (t) => {
  const server = await startSecure(t, answer);
  const session = await server.session();
  const stream = session.request({ ':path': '/headers', 'x-a': '1', authorization: 'secret' });
  const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  t.is(head.server, 'windhover');
  t.regex(String(head.date), /GMT$/);
  const lines = JSON.parse(await text(stream)) as [string, string][];
  t.deepEqual(lines, [
    ['host', new URL(server.url).host],
    ['x-a', '1'],
    ['authorization', 'secret'],
  ]);
});

/** Where a body stops being LARGE; -1: nowhere. */
function firstDifference(body: Buffer): number {
  if (body.equals(LARGE)) return -1;
  const at = body.findIndex((byte, i) => byte !== LARGE[i]);
  return at < 0 ? body.length : at;
}
