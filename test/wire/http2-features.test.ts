/** What an application sees of HTTP/2, and what its clients see of it: in cleartext and over TLS. */
import { once } from 'node:events';
import { constants } from 'node:http2';
import test from 'ava';
import {
  HttpConnectionFeature,
  HttpMinRequestBodyDataRateFeature,
  HttpMinResponseDataRateFeature,
  HttpRequestIdentifierFeature,
  HttpRequestTrailersFeature,
  HttpResponseTrailersFeature,
} from '../../lib/features/http-features.js';
import {
  Http2StreamIdFeature,
  HttpExtendedConnectFeature,
  HttpResetFeature,
} from '../../lib/features/http2-features.js';
import { TlsConnectionFeature, TlsHandshakeFeature } from '../../lib/features/tls-features.js';
import type { HttpContext } from '../../lib/http/http-context.js';
import { codeOfError } from '../support/errors.js';
import { answerOf, ask, closed } from '../support/http2-client.js';
import { startSecure, visitor } from '../support/secure-server.js';
import { deferred, until, within } from '../support/until.js';

for (const clear of [true, false]) {
  const how = clear ? 'h2c' : 'h2';

  test(`${how}: the request as the application sees it`, async (t) => {
    const server = await startSecure(t, async ({ request, response, features, connection }) => {
      const body = await request.body.text();
      await response.json({
        protocol: request.protocol,
        scheme: request.scheme,
        method: request.method,
        path: request.path,
        query: request.queryString,
        target: request.rawTarget,
        host: request.host,
        cookies: request.cookies,
        length: request.contentLength,
        multiple: request.headers.getAll('x-a'),
        body,
        streamId: features.get(Http2StreamIdFeature)?.streamId,
        trace: features.get(HttpRequestIdentifierFeature)?.traceIdentifier.split(':')[1],
        sameId: features.get(HttpConnectionFeature)?.connectionId === connection.id,
        remote: [connection.remoteAddress, connection.remotePort > 0],
        local: [connection.localAddress, connection.localPort],
        isTls: features.get(TlsConnectionFeature) !== undefined,
        alpn: features.get(TlsHandshakeFeature)?.applicationProtocol,
        visitor: features.get(TlsConnectionFeature)?.clientCertificate?.subject,
        isExtended: features.get(HttpExtendedConnectFeature)?.isExtendedConnect,
        canUpgrade: features.get(HttpResponseTrailersFeature) !== undefined,
        pathBase: request.pathBase,
      });
    });
    const session = await server.session({ clear, cert: visitor.cert, key: visitor.key });
    const url = new URL(clear ? server.clearUrl : server.url);
    const { headers, text, status } = await ask(
      session,
      {
        ':path': '/a%20b/c?d=e%20f',
        ':method': 'PUT',
        'x-a': ['1', '2'],
        cookie: 'a=1; b=2',
      },
      'grüße',
    );
    t.is(status, 200, text);
    t.is(headers['content-type'], 'application/json; charset=utf-8');
    t.deepEqual(JSON.parse(text), {
      protocol: 'HTTP/2',
      scheme: clear ? 'http' : 'https',
      method: 'PUT',
      path: '/a b/c',
      query: '?d=e%20f',
      target: '/a%20b/c?d=e%20f',
      host: url.host,
      cookies: { a: '1', b: '2' },
      multiple: ['1', '2'],
      body: 'grüße',
      streamId: 1,
      trace: '00000001',
      sameId: true,
      remote: ['127.0.0.1', true],
      local: ['127.0.0.1', Number(url.port)],
      isTls: !clear,
      ...(clear ? {} : { alpn: 'h2', visitor: 'CN=visitor' }),
      isExtended: false,
      canUpgrade: true,
      pathBase: '',
    });
    const again = await ask(session, { ':path': '/' });
    t.is((JSON.parse(again.text) as { streamId: number }).streamId, 3);
  });

  test(`${how}: trailers of answers, whatever the body was`, async (t) => {
    const server = await startSecure(t, async ({ request, response, features }) => {
      const { trailers } = features.get(HttpResponseTrailersFeature) ?? t.fail('no feature');
      switch (request.path) {
        case '/whole':
          trailers.set('X-End', 'whole');
          return response.text('body');
        case '/length':
          response.contentLength = 4;
          await response.write('bo');
          await response.write('dy');
          trailers.set('X-End', 'length');
          return undefined;
        case '/late':
          await response.write('one ');
          await new Promise(setImmediate);
          await new Promise(setImmediate);
          await response.write('two');
          await new Promise(setImmediate);
          trailers.set('X-End', 'late');
          return undefined;
        case '/empty':
          trailers.set('X-End', 'empty');
          return undefined;
        case '/started':
          void response.write('');
          await new Promise(setImmediate);
          trailers.set('X-End', 'started');
          return undefined;
        case '/large':
          await response.write(Buffer.alloc(3_000_000, 'x'));
          trailers.set('X-End', 'large');
          return undefined;
        case '/file':
          await response.sendFile(new URL(import.meta.url).pathname);
          trailers.set('X-End', 'file');
          return undefined;
        case '/nothing':
          response.statusCode = 204;
          trailers.set('X-End', 'nothing');
          return undefined;
        default:
          // What gRPC calls trailers-only: one frame.
          response.headers.set('grpc-status', '12');
          return response.end();
      }
    });
    const session = await server.session({ clear });
    const sizes: Record<string, number> = {
      '/whole': 4,
      '/length': 4,
      '/late': 7,
      '/empty': 0,
      '/started': 0,
      '/large': 3_000_000,
    };
    for (const path of [...Object.keys(sizes), '/file']) {
      for (const method of ['GET', 'POST']) {
        const answer = await ask(
          session,
          { ':path': path, ':method': method },
          method === 'POST' ? 'x' : undefined,
        );
        t.is(answer.status, 200, path);
        t.is(answer.trailers?.['x-end'], path.slice(1), path);
        t.is(answer.headers.trailer, undefined, path);
        if (path in sizes) t.is(answer.body.length, sizes[path], path);
      }
      const head = await ask(session, { ':path': path, ':method': 'HEAD' });
      t.is(head.status, 200, path);
      t.is(head.body.length, 0, path);
      t.is(head.trailers, undefined, path);
    }
    const none = await ask(session, { ':path': '/nothing' });
    t.is(none.status, 204);
    t.is(none.trailers, undefined);
    const only = await ask(session, { ':path': '/only' });
    t.is(only.headers['grpc-status'], '12');
    t.is(only.trailers, undefined);
    t.deepEqual(server.reported, []);
  });

  test(`${how}: trailers of requests`, async (t) => {
    const server = await startSecure(t, async ({ request, response, features }) => {
      const feature = features.get(HttpRequestTrailersFeature) ?? t.fail('no feature');
      const before = feature.available;
      const body = await request.body.text();
      await response.json({ before, body, trailers: [...feature.trailers] });
    });
    const session = await server.session({ clear });
    const stream = session.request({ ':method': 'POST' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      stream.sendTrailers({ 'X-Sum': 'abc', 'x-two': ['1', '2'] });
    });
    stream.end('a body');
    const { text } = await answerOf(stream);
    t.deepEqual(JSON.parse(text), {
      before: false,
      body: 'a body',
      trailers: [
        ['x-sum', 'abc'],
        ['x-two', '1'],
        ['x-two', '2'],
      ],
    });
  });

  test(`${how}: interim answers`, async (t) => {
    const server = await startSecure(t, async ({ request, response }) => {
      await response.writeInformational(103, { Link: ['</a.css>; rel=preload', '</b.js>'] });
      await response.writeInformational(102);
      await response.text(await request.body.text());
    });
    const session = await server.session({ clear });
    const stream = session.request({ ':method': 'POST', expect: '100-continue' });
    const goOn = once(stream, 'continue');
    const answer = answerOf(stream);
    await within(goOn, '100');
    stream.end('late');
    const { informational, text } = await answer;
    t.is(text, 'late');
    t.deepEqual(
      informational.map((head) => head[':status']),
      [103, 102, 100], // when the body was asked for
    );
    t.deepEqual(informational[0]['link'], '</a.css>; rel=preload, </b.js>');
  });

  test(`${how}: reset with a code, and abort`, async (t) => {
    const aborted: string[] = [];
    const server = await startSecure(t, async (context) => {
      const { request, response, features, requestAborted } = context;
      const code = Number(request.path.slice(1));
      if (request.queryString === '?started') await response.write('begun');
      requestAborted.addEventListener('abort', () => aborted.push(request.rawTarget));
      if (Number.isNaN(code)) context.abort();
      else features.get(HttpResetFeature)?.reset(code);
      t.true(requestAborted.aborted);
      features.get(HttpResetFeature)?.reset(3); // too late
    });
    const session = await server.session({ clear });
    for (const code of [0, 1, 2, 5, 8, 13, 4094]) {
      for (const query of ['', '?started']) {
        const stream = session.request({ ':path': `/${String(code)}${query}` });
        await within(closed(stream), 'the end');
        t.is(stream.rstCode, code);
      }
    }
    const stream = session.request({ ':path': '/abort' });
    await within(closed(stream), 'the end');
    t.is(stream.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
    t.is(aborted.length, 15);
    t.deepEqual(server.reported, []);
  });

  test(`${how}: a client that resets its stream aborts the request, and no other`, async (t) => {
    const begun = deferred();
    const aborted = deferred();
    const server = await startSecure(t, async ({ request, response, requestAborted }) => {
      if (request.path !== '/long') return response.text('other');
      await response.write('begun');
      begun.resolve();
      await once(requestAborted, 'abort');
      aborted.resolve();
      return undefined;
    });
    const session = await server.session({ clear });
    const long = session.request({ ':path': '/long' });
    long.resume();
    await within(begun.promise, 'the start');
    long.close(constants.NGHTTP2_CANCEL);
    await within(aborted.promise, 'the signal');
    t.is((await ask(session, { ':path': '/' })).text, 'other');
    t.is(server.metrics().totalConnections, 1);
  });
}

test('misuse of what only HTTP/2 has', async (t) => {
  const server = await startSecure(t, async ({ request, response, features }) => {
    const isHttp2 = request.protocol === 'HTTP/2';
    t.is(features.get(Http2StreamIdFeature) !== undefined, isHttp2);
    t.is(features.get(HttpExtendedConnectFeature) !== undefined, isHttp2);
    t.is(features.get(HttpMinResponseDataRateFeature) === undefined, isHttp2);
    const reset = features.get(HttpResetFeature);
    t.is(reset !== undefined, isHttp2);
    const keys = [...features].map(([key]) => key);
    t.is(keys.includes(HttpResetFeature.key), isHttp2);
    if (reset === undefined) return response.text('old');
    for (const code of [-1, 4095, 1.5, NaN, Infinity]) {
      const error = t.throws(() => reset.reset(code), { instanceOf: RangeError });
      t.is(codeOfError(error), 'WH_ERR_INVALID_ARGUMENT');
    }
    for (const code of ['8', undefined, null, {}] as unknown as number[]) {
      const error = t.throws(() => reset.reset(code), { instanceOf: TypeError });
      t.is(codeOfError(error), 'WH_ERR_INVALID_ARGUMENT');
    }
    const rate = features.get(HttpMinRequestBodyDataRateFeature) ?? t.fail('no feature');
    t.throws(() => (rate.minDataRate = { bytesPerSecond: 10, gracePeriod: 2000 }), {
      instanceOf: TypeError,
      code: 'WH_ERR_INVALID_ARGUMENT',
    });
    rate.minDataRate = null;
    t.is(rate.minDataRate, null);
    const extended = features.get(HttpExtendedConnectFeature) ?? t.fail('no feature');
    t.is(codeOfError(await t.throwsAsync(extended.accept())), 'WH_ERR_NOT_UPGRADABLE');
    return response.text('new');
  });
  t.is(await fetch(`${server.clearUrl}/`).then((answer) => answer.text()), 'old');
  t.is((await ask(await server.session({ clear: true }), {})).text, 'new');
  t.deepEqual(server.reported, []);
});

test('fields of HTTP/1 are left out of an answer, and told once', async (t) => {
  const warned: object[] = [];
  const ignore = (): void => undefined;
  const logger = {
    debug: ignore,
    info: ignore,
    error: ignore,
    warn: (details: object) => warned.push(details),
  };
  const contexts: HttpContext[] = [];
  const server = await startSecure(
    t,
    async (context) => {
      const { request, response } = context;
      contexts.push(context);
      const { headers } = response;
      headers.set('Connection', 'close, X-Own');
      headers.set('Keep-Alive', 'timeout=5');
      headers.append('keep-alive', 'max=2');
      headers.set('Upgrade', 'h2c');
      headers.set('Proxy-Connection', 'keep-alive');
      headers.set('X-Own', 'stays');
      response.reasonPhrase = 'Not Told';
      t.is(headers.get('connection'), 'close, X-Own');
      if (request.path === '/stream') {
        await response.write('a');
        await response.write('b');
      } else if (request.path === '/empty') {
        await response.end();
      } else {
        await response.text('ab');
      }
      t.is(headers.has('Connection'), request.protocol === 'HTTP/1.1');
      t.is(headers.has('Keep-Alive'), request.protocol === 'HTTP/1.1');
      t.is(headers.get('X-Own'), 'stays');
    },
    { logger },
  );
  const session = await server.session();
  for (const path of ['/whole', '/stream', '/empty']) {
    const { headers, text, status } = await ask(session, { ':path': path });
    t.is(status, 200);
    t.is(text, path === '/empty' ? '' : 'ab');
    t.is(headers['x-own'], 'stays');
    for (const name of ['connection', 'keep-alive', 'upgrade', 'proxy-connection']) {
      t.is(headers[name], undefined, `${path} ${name}`);
    }
  }
  t.is(server.metrics().totalConnections, 1);
  const old = await fetch(server.clearUrl);
  t.is(old.headers.get('connection'), 'close, X-Own'.replace('close, ', '') + ', close');
  t.is(old.statusText, 'Not Told');
  t.is(await old.text(), 'ab');
  t.like(warned, [{ eventId: 41, event: 'InvalidResponseHeaderRemoved', field: 'Connection' }]);
  t.is(warned.length, 1);
  t.deepEqual(server.reported, []);
  t.throws(() => contexts[0].response.headers, { code: 'WH_ERR_CONTEXT_DISPOSED' });
});

test('a body without a least rate may take its time', async (t) => {
  const gone = deferred();
  const server = await startSecure(
    t,
    async ({ request, response, features }) => {
      const feature = features.get(HttpMinRequestBodyDataRateFeature) ?? t.fail('no feature');
      if (request.path === '/free') feature.minDataRate = null;
      try {
        await response.text(await request.body.text());
      } catch (error) {
        gone.resolve();
        throw error;
      }
    },
    { limits: { minRequestBodyDataRate: { bytesPerSecond: 1000, gracePeriod: 1001 } } },
  );
  const free = (await server.session()).request({ ':method': 'POST', ':path': '/free' });
  free.write('a');
  const slow = (await server.session()).request({ ':method': 'POST', ':path': '/slow' });
  slow.write('a');
  const refused = answerOf(slow);
  await within(gone.promise, 'the end of the slow one');
  t.is((await refused).status, 408);
  const answer = answerOf(free);
  free.end('b');
  t.is((await answer).text, 'ab');
  await until(() => server.metrics().activeRequests === 0, 'all are over');
});
