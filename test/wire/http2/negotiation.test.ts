/** How a protocol is agreed on: by ALPN over TLS (RFC 7301), by the preface over cleartext. */
import { once } from 'node:events';
import { request as request1 } from 'node:http';
import type { RequestOptions } from 'node:https';
import { request as requestTls } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { EndpointOptions } from '../../../lib/server/options.js';
import { H2Client } from '../../support/h2-client.js';
import { PREFACE, goaway, settings } from '../../support/h2/frames.js';
import { secureEndpoint, sharedCertificate } from '../../support/h2/server.js';
import { RawClient } from '../../support/raw-client.js';
import type { WireServer } from '../../support/wire-server.js';
import { startServer } from '../../support/wire-server.js';

/** What node:https takes and its types do not know. */
type TlsOptions = RequestOptions & { readonly ALPNProtocols: string[] | undefined };

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

function start(t: ExecutionContext, endpoint: EndpointOptions): Promise<WireServer> {
  return startServer(t, ({ request, response }) => response.text(request.protocol), {
    endpoints: [endpoint],
  });
}

/** What ALPN comes to: a protocol, `none`, or the error. */
async function agree(port: number, offered: readonly string[] | undefined): Promise<string> {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    ca: sharedCertificate().cert,
    servername: 'localhost',
    ...(offered === undefined ? {} : { ALPNProtocols: [...offered] }),
  });
  try {
    await once(socket, 'secureConnect');
    return socket.alpnProtocol === false ? 'none' : String(socket.alpnProtocol);
  } catch (error) {
    return String((error as { code?: string }).code);
  } finally {
    socket.destroy();
  }
}

test('ALPN: the server prefers h2, and takes http/1.1', async (t) => {
  const { port } = await start(t, secureEndpoint('http1AndHttp2'));
  t.is(await agree(port, ['http/1.1', 'h2']), 'h2');
  t.is(await agree(port, ['h2']), 'h2');
  t.is(await agree(port, ['http/1.1']), 'http/1.1');
  t.is(await agree(port, ['spdy/3', 'http/1.1']), 'http/1.1');
  t.is(await agree(port, undefined), 'none');
  t.regex(await agree(port, ['spdy/3']), /NO_APPLICATION_PROTOCOL/);
});

test('ALPN: an endpoint of one protocol agrees on no other', async (t) => {
  const one = await start(t, secureEndpoint('http1'));
  t.is(await agree(one.port, ['h2', 'http/1.1']), 'http/1.1');
  t.regex(await agree(one.port, ['h2']), /NO_APPLICATION_PROTOCOL/);
  const two = await start(t, secureEndpoint('http2'));
  t.is(await agree(two.port, ['http/1.1', 'h2']), 'h2');
  t.regex(await agree(two.port, ['http/1.1']), /NO_APPLICATION_PROTOCOL/);
});

test('one endpoint of TLS speaks both', async (t) => {
  const { port } = await start(t, secureEndpoint('http1AndHttp2'));
  const ca = sharedCertificate().cert;
  const client = await H2Client.open({ port, tls: { ca, servername: 'localhost' } });
  t.teardown(() => {
    client.destroy();
  });
  t.is((await client.fetch(client.get())).text, 'HTTP/2');
  for (const ALPNProtocols of [undefined, ['http/1.1']]) {
    const options: TlsOptions = {
      host: '127.0.0.1',
      port,
      ca,
      servername: 'localhost',
      ALPNProtocols,
    };
    const old = requestTls(options);
    old.end();
    const [response] = (await once(old, 'response')) as [AsyncIterable<Buffer>];
    let text = '';
    for await (const part of response) text += part.toString();
    t.is(text, 'HTTP/1.1');
  }
});

test('what says h2 by ALPN and speaks HTTP/1.1 is closed', async (t) => {
  const { port, metrics } = await start(t, secureEndpoint('http1AndHttp2'));
  const client = await H2Client.connect({
    port,
    tls: { ca: sharedCertificate().cert, servername: 'localhost' },
  });
  client.send(Buffer.from(GET));
  await client.ended();
  t.is(metrics().requests, 0);
});

test('one endpoint of cleartext tells both apart by the preface', async (t) => {
  const { port, connect } = await start(t, {
    host: '127.0.0.1',
    port: 0,
    protocols: 'http1AndHttp2',
  });
  const client = await H2Client.open({ port });
  t.teardown(() => {
    client.destroy();
  });
  t.is((await client.fetch(client.get())).text, 'HTTP/2');
  const old = await connect();
  t.is((await old.request(GET)).text, 'HTTP/1.1');
  t.is((await old.request(GET)).text, 'HTTP/1.1');
});

test('the preface is told apart however it is cut, and so is what only begins like it', async (t) => {
  const { port, connect } = await start(t, {
    host: '127.0.0.1',
    port: 0,
    protocols: 'http1AndHttp2',
  });
  for (let cut = 1; cut < PREFACE.length; cut++) {
    const client = await H2Client.connect({ port });
    t.teardown(() => {
      client.destroy();
    });
    await new Promise((resolve) => client.socket.write(PREFACE.subarray(0, cut), resolve));
    client.send(PREFACE.subarray(cut), settings());
    t.is((await client.fetch(client.get())).text, 'HTTP/2');
  }
  for (const method of ['P', 'PR', 'PRI', 'PUT', 'PROPFIND']) {
    const old = await connect();
    for (const byte of Buffer.from(
      `${method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n`,
    )) {
      await old.write(Buffer.of(byte));
    }
    const { version } = await old.answer();
    t.is(version, 'HTTP/1.1', method);
  }
});

test('an endpoint of HTTP/1.1 alone says so to the preface', async (t) => {
  const { port, metrics } = await start(t, { host: '127.0.0.1', port: 0, protocols: 'http1' });
  const client = await RawClient.connect(port);
  t.teardown(() => {
    client.destroy();
  });
  void client.write(PREFACE);
  const answer = await client.rest();
  // In words of HTTP/1.1, or in those that the client knows.
  const text = answer.toString('latin1');
  if (!/^HTTP\/1\.1 (400|505) /.test(text)) {
    t.deepEqual(answer, goaway(0, 'HTTP_1_1_REQUIRED'));
  }
  t.is(metrics().requests, 0);
});

test('Upgrade: h2c is not taken (RFC 9113 section 3.1)', async (t) => {
  const { port } = await start(t, { host: '127.0.0.1', port: 0, protocols: 'http1AndHttp2' });
  const old = request1({
    host: '127.0.0.1',
    port,
    headers: {
      Connection: 'Upgrade, HTTP2-Settings',
      Upgrade: 'h2c',
      'HTTP2-Settings': 'AAMAAABkAAQAoAAAAAIAAAAA',
    },
  });
  old.end();
  const [response] = (await once(old, 'response')) as [{ statusCode: number; resume(): void }];
  response.resume();
  t.is(response.statusCode, 200);
});

test('h2 is not spoken below TLS 1.2 (RFC 9113 section 9.2)', async (t) => {
  const { port } = await start(t, secureEndpoint('http1AndHttp2'));
  for (const maxVersion of ['TLSv1.1', 'TLSv1'] as const) {
    const socket: TLSSocket = connectTls({
      host: '127.0.0.1',
      port,
      ca: sharedCertificate().cert,
      servername: 'localhost',
      minVersion: 'TLSv1',
      maxVersion,
      // Node's own limits are above that.
      ciphers: 'DEFAULT@SECLEVEL=0',
      ALPNProtocols: ['h2'],
    });
    await t.throwsAsync(once(socket, 'secureConnect'));
    socket.destroy();
  }
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const tls = {
      ca: sharedCertificate().cert,
      servername: 'localhost',
      minVersion: version,
      maxVersion: version,
    };
    const client = await H2Client.open({ port, tls });
    t.is((await client.fetch(client.get())).text, 'HTTP/2');
    client.destroy();
  }
});
