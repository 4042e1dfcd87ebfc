import { execFile } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';
import type { ConnectionOptions } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { getAddon } from '../../lib/native/addon.js';
import type { HttpsOptions } from '../../lib/server/options.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { developmentCertificatePaths } from '../../lib/server/development-certificate.js';
import { certificateAuthority, serverCertificate } from '../support/certificates.js';
import { failure, get, startHttps } from '../support/https-server.js';
import { findProgram, foreignEnvironment } from '../support/programs.js';
import { until } from '../support/until.js';

const run = promisify(execFile);
const certificate = serverCertificate();
const { cert, key } = certificate;

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'windhover-tls-'));
  t.teardown(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

test('an endpoint with https answers over TLS, and says so', async (t) => {
  const { server, get: ask } = await startHttps(t, { cert, key }, ({ request, response }) =>
    response.json([request.scheme, request.isHttps, request.protocol, request.path]),
  );
  t.regex(server.addresses[0], /^https:\/\/127\.0\.0\.1:\d+$/);
  const answer = await ask({ path: '/a', ca: cert, rejectUnauthorized: true });
  t.is(answer.status, 200);
  t.deepEqual(JSON.parse(answer.body), ['https', true, 'HTTP/1.1', '/a']);
});

test('a URL with https takes the development certificate', async (t) => {
  const home = folder(t);
  const before = process.env['XDG_CONFIG_HOME'];
  process.env['XDG_CONFIG_HOME'] = home;
  const { certFile, keyFile } = developmentCertificatePaths();
  mkdirSync(dirname(certFile), { recursive: true });
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key);
  const server = new WindhoverServer({ endpoints: [{ url: 'https://127.0.0.1:0' }] });
  try {
    await server.start(createApplication(({ response }) => response.text('dev')));
  } finally {
    if (before === undefined) delete process.env['XDG_CONFIG_HOME'];
    else process.env['XDG_CONFIG_HOME'] = before;
  }
  const port = Number(new URL(server.addresses[0]).port);
  t.is((await get({ port, ca: cert, rejectUnauthorized: true })).body, 'dev');
  await server.stop();
});

const curl = findProgram('curl');

(curl === undefined ? test.skip : test)('curl trusts a certificate by its authority', async (t) => {
  const authority = certificateAuthority();
  const issuer = certificateAuthority('an intermediate', { issuer: authority });
  const own = serverCertificate(['localhost'], { issuer });
  const { port } = await startHttps(t, { cert: own.cert + issuer.cert, key: own.key });
  const root = join(folder(t), 'root.pem');
  writeFileSync(root, authority.cert);
  const url = `https://localhost:${String(port)}/`;
  const options = { env: foreignEnvironment() };
  const args = [
    '-sS',
    '--http1.1',
    '--cacert',
    root,
    '--resolve',
    `localhost:${String(port)}:127.0.0.1`,
  ];
  t.is((await run(curl ?? '', [...args, url], options)).stdout, 'hello');
  for (const version of ['1.2', '1.3']) {
    const only = [`--tlsv${version}`, '--tls-max', version];
    t.is((await run(curl ?? '', [...args, ...only, url], options)).stdout, 'hello', version);
  }
  await t.throwsAsync(
    run(
      curl ?? '',
      ['-sS', '--tls-max', '1.1', '--ciphers', 'ALL@SECLEVEL=0', ...args, url],
      options,
    ),
  );
});

test('many requests on one connection, with bodies both ways', async (t) => {
  const large = 'x'.repeat(300_000);
  const { connect } = await startHttps(t, { cert, key }, async ({ request, response }) => {
    const body = await request.body.text();
    await response.text(`${String(body.length)} ${large}`);
  });
  const socket = await connect({ ALPNProtocols: ['http/1.1'] });
  t.is(socket.alpnProtocol, 'http/1.1');
  let received = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (received += piece));
  const count = 5;
  for (let i = 0; i < count; i++) {
    socket.write(
      `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${String(large.length)}\r\n\r\n${large}`,
    );
  }
  while (received.split('HTTP/1.1 200 OK').length <= count || !received.endsWith(large)) {
    await once(socket, 'data');
  }
  t.is(received.split(`\r\n\r\n${String(large.length)} x`).length, count + 1);
});

test('what is no TLS is closed without a byte', async (t) => {
  const { port, get: ask } = await startHttps(t, { cert, key });
  const socket = connectTcp(port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  let received = 0;
  socket.on('data', (piece) => (received += piece.length));
  socket.on('error', () => undefined);
  await once(socket, 'close');
  // An alert at most (7 bytes), never an answer.
  t.true(received <= 7, String(received));
  const error = await failure(
    new Promise((resolve, reject) => {
      plainRequest({ port, host: '127.0.0.1' }, resolve).on('error', reject).end();
    }),
  );
  t.regex(error, /ECONNRESET|socket hang up|EPIPE|HPE_/);
  t.is((await ask()).status, 200);
});

test('versions are those that the options say', async (t) => {
  for (const [options, client, spoken] of [
    [{}, {}, 'TLSv1.3'],
    [{}, { maxVersion: 'TLSv1.2' }, 'TLSv1.2'],
    [{ maxVersion: 'TLSv1.2' }, {}, 'TLSv1.2'],
    [{ minVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' }, undefined],
    [{ maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1.3' }, undefined],
    [{}, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }, undefined],
  ] as const) {
    const { connect } = await startHttps(t, { cert, key, ...options });
    const title = JSON.stringify([options, client]);
    if (spoken === undefined)
      t.regex(await failure(connect(client)), /alert|EPROTO|version/i, title);
    else t.is((await connect(client)).getProtocol(), spoken, title);
  }
});

test('ciphers, suites and groups are those that the options say', async (t) => {
  const { connect } = await startHttps(t, {
    cert,
    key,
    ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384',
    cipherSuites: 'TLS_CHACHA20_POLY1305_SHA256',
    groups: 'P-384',
  });
  t.is((await connect()).getCipher().standardName, 'TLS_CHACHA20_POLY1305_SHA256');
  const older = await connect({ maxVersion: 'TLSv1.2' });
  t.is(older.getCipher().name, 'ECDHE-ECDSA-AES256-GCM-SHA384');
  t.like(older.getEphemeralKeyInfo(), { name: 'secp384r1' });
  t.regex(await failure(connect({ ecdhCurve: 'X25519' })), /alert|EPROTO/);
});

test('a client gets the certificate of the key type that it reads', async (t) => {
  const rsa = serverCertificate(['localhost'], { keyType: 'rsa' });
  const { connect } = await startHttps(t, { cert: [cert, rsa.cert], key: [key, rsa.key] });
  for (const [sigalgs, type] of [
    ['ECDSA+SHA256', 'ECDSA'],
    ['RSA-PSS+SHA256', 'RSA'],
  ]) {
    const socket = await connect({ sigalgs, maxVersion: 'TLSv1.2' });
    t.true(socket.getCipher().name.includes(type), type);
  }
});

test('certificates come as PEM, DER, with the key among them, and with encrypted keys', async (t) => {
  const passphrase = 'word';
  const encrypted = createPrivateKey(key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase,
  }) as string;
  const der = Buffer.from(cert.replace(/-----.*?-----|\n/g, ''), 'base64');
  const keyDer = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' });
  const forms: Record<string, HttpsOptions> = {
    'bytes of PEM': { cert: Buffer.from(cert), key: Buffer.from(key) },
    'the key among them': { cert: key + cert },
    'an encrypted key': { cert, key: encrypted, passphrase },
    DER: { cert: der, key: keyDer },
  };
  for (const [title, https] of Object.entries(forms)) {
    const { get: ask } = await startHttps(t, https);
    t.is((await ask({ ca: cert, rejectUnauthorized: true })).body, 'hello', title);
  }
});

const openssl = findProgram('openssl');

(openssl === undefined ? test.skip : test)('certificates come as PKCS #12', async (t) => {
  const path = folder(t);
  const at = (name: string): string => join(path, name);
  writeFileSync(at('cert.pem'), cert);
  writeFileSync(at('key.pem'), key);
  const args = ['pkcs12', '-export', '-in', at('cert.pem'), '-inkey', at('key.pem')];
  await run(openssl ?? '', [...args, '-out', at('site.pfx'), '-passout', 'pass:word']);
  const pfx = readFileSync(at('site.pfx'));
  for (const https of [{ pfx }, { pfxFile: at('site.pfx') }]) {
    const { get: ask } = await startHttps(t, { ...https, passphrase: 'word' });
    t.is((await ask({ ca: cert, rejectUnauthorized: true })).body, 'hello');
  }
  const error = await t.throwsAsync(startHttps(t, { pfx, passphrase: 'wrong-word' }), {
    code: 'WH_ERR_INVALID_OPTION',
  });
  t.true(error.message.includes('endpoints[0]'), error.message);
  t.false(error.message.includes('wrong-word'), error.message);
});

test('what cannot be used fails the start by name, and shows no secret', async (t) => {
  const other = serverCertificate();
  const encrypted = createPrivateKey(key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'right-word',
  }) as string;
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const wrong: Record<string, HttpsOptions> = {
    'a key of another certificate': { cert, key: other.key },
    'no key': { cert },
    'a broken certificate': { cert: broken, key },
    'a broken key': { cert, key: key.replace(/\n\S{20}/, `\n${'A'.repeat(20)}`) },
    'a wrong passphrase': { cert, key: encrypted, passphrase: 'wrong-word' },
    'no passphrase': { cert, key: encrypted },
    'ciphers that there are not': { cert, key, ciphers: 'NO-SUCH-CIPHER' },
    'suites that there are not': { cert, key, cipherSuites: 'TLS_NO_SUCH_SUITE' },
    'groups that there are not': { cert, key, groups: 'no-such-group' },
    'authorities that are none': { cert, key, clientCertificateMode: 'require', ca: broken },
    'a host that has it wrong': { cert, key, sni: { 'b.example': { cert, key: other.key } } },
  };
  for (const [title, https] of Object.entries(wrong)) {
    const error = await t.throwsAsync(
      startHttps(t, https),
      { code: 'WH_ERR_INVALID_OPTION' },
      title,
    );
    const { message } = error;
    t.true(message.startsWith('endpoints[0]'), `${title}: ${message}`);
    t.notRegex(message, /wrong-word|right-word|BEGIN/, title);
    if (title.startsWith('a host')) t.true(message.includes('b.example'), message);
  }
});

test('a handshake that does not end is ended', async (t) => {
  const limits = { handshakeTimeout: 1_500 }; // a busy machine needs some of that itself
  const { server, port, connect } = await startHttps(t, { cert, key }, undefined, { limits });
  const started = performance.now();
  const silent = connectTcp(port, '127.0.0.1');
  const half = connectTcp(port, '127.0.0.1');
  half.write(Buffer.of(0x16, 3, 1, 0, 200, 1, 0, 0, 196));
  await Promise.all(
    [silent, half].map(async (socket) => {
      socket.on('error', () => undefined).resume();
      await once(socket, 'close');
    }),
  );
  t.true(performance.now() - started >= 1_400);
  // Who is through has all the time.
  const socket = await connect();
  await until(() => server.metrics().connections === 1, 'the others are gone');
  socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.true(answer.toString().startsWith('HTTP/1.1 200'));
});

test('an OCSP response is stapled for those who ask', async (t) => {
  const ocspResponse = Buffer.from('as the authority has it');
  const { port } = await startHttps(t, { cert, key, ocspResponse });
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const asking = { requestOCSP: true, rejectUnauthorized: false } as ConnectionOptions;
    const socket = connectTls({ host: '127.0.0.1', port, maxVersion, ...asking });
    t.teardown(() => socket.destroy());
    const [stapled] = (await once(socket, 'OCSPResponse')) as [Buffer];
    t.deepEqual(stapled, ocspResponse);
  }
});

test('what the layer above may not do wrong is refused by the addon too', (t) => {
  const lane = getAddon().create(
    {},
    {
      onBatch: () => undefined,
      onSlab: () => undefined,
      onDrained: () => undefined,
    },
  );
  const tls = {
    protocols: 1,
    hosts: [{ name: '*', identities: [{ cert: Buffer.from(cert), key: Buffer.from(key) }] }],
  };
  const endpoint = { host: '127.0.0.1', port: 0 };
  try {
    for (const bad of [
      5,
      {},
      { hosts: 5 },
      { hosts: [5] },
      { hosts: [{}] },
      { hosts: [{ name: '*' }] },
      { hosts: [{ name: '*', identities: [null] }] },
      { hosts: [{ name: '*', identities: [{ cert: 'text' }] }] },
      { hosts: [{ name: '*', identities: [{ cert: new Uint16Array(4) }] }] },
      { ...tls, ciphers: 5 },
      { ...tls, protocols: 4 },
      { ...tls, ticketKeys: [] },
    ]) {
      const listen = (): void => {
        lane.listen({ ...endpoint, tls: bad as never });
      };
      t.throws(listen, { code: 'WH_ERR_INVALID_OPTION' }, JSON.stringify(bad));
    }
    lane.listen(endpoint);
    lane.listen({ ...endpoint, tls: tls as never });
    t.deepEqual(
      lane.urls().map((url) => url.split(':')[0]),
      ['http', 'https'],
    );
    const code = 'WH_ERR_INVALID_OPTION';
    for (const i of [0, 2, -1, 4_294_967_295]) {
      t.throws(
        () => {
          lane.setTls(i, tls as never);
        },
        { code },
        String(i),
      );
      t.throws(
        () => {
          lane.setTicketKeys(i, Buffer.alloc(80));
        },
        { code },
        String(i),
      );
    }
    t.throws(
      () => {
        lane.setTls(1, { hosts: [] } as never);
      },
      { code },
    );
    t.throws(
      () => {
        lane.setTls(1, undefined as never);
      },
      { code },
    );
    t.throws(
      () => {
        lane.setTicketKeys(1, Buffer.alloc(0));
      },
      { code },
    );
    t.throws(
      () => {
        lane.setTicketKeys(1, Buffer.alloc(81));
      },
      { code },
    );
    t.throws(
      () => {
        lane.setTicketKeys(1, 'x' as never);
      },
      { code },
    );
    lane.setTls(1, tls as never);
    lane.setTicketKeys(1, Buffer.alloc(160));
    t.is(lane.exchangeTls(0, 1), null);
    t.deepEqual(lane.exchangePeerCertificates(0, 1), []);
    t.is(lane.exchangeChannelBinding(99, 0), null);
  } finally {
    lane.close();
  }
  t.throws(
    () => {
      lane.setTls(1, tls as never);
    },
    { code: 'WH_ERR_CLOSED' },
  );
  t.is(lane.exchangeTls(0, 1), null);
});

test('Unix sockets speak TLS too, by path and by URL', async (t) => {
  const place = folder(t);
  const [one, two] = [join(place, 'one.sock'), join(place, 'two.sock')];
  const { server } = await startHttps(t, {}, ({ response }) => response.text('socket'), {
    endpoints: [
      { path: one, https: { cert, key } },
      { url: `https://unix:${two}`, https: { cert, key } },
    ],
  });
  t.deepEqual([...server.addresses], [`https://unix:${one}`, `https://unix:${two}`]);
  for (const path of [one, two]) {
    const answer = await get({
      socketPath: path,
      ca: cert,
      rejectUnauthorized: true,
      servername: 'localhost',
    });
    t.is(answer.body, 'socket');
  }
});

test('a PROXY header comes before the handshake', async (t) => {
  const { port } = await startHttps(
    t,
    {},
    ({ connection, request, response }) =>
      response.text(`${request.scheme} ${String(connection.remoteAddress)}`),
    {
      endpoints: [
        {
          host: '127.0.0.1',
          port: 0,
          https: { cert, key },
          proxyProtocol: { trusted: ['127.0.0.1'] },
        },
      ],
    },
  );
  const wire = connectTcp(port, '127.0.0.1');
  await once(wire, 'connect');
  wire.write('PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n');
  const socket = connectTls({ socket: wire, ca: cert, servername: 'localhost' });
  t.teardown(() => socket.destroy());
  await once(socket, 'secureConnect');
  socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
  t.true((await text(socket)).endsWith('https 192.0.2.7'));
});
