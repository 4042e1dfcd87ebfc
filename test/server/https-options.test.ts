import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { EndpointSettings, HttpsOptions, ServerOptions } from '../../lib/server/options.js';
import { createApplication } from '../../lib/server/server.js';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import { checkEndpoint } from '../../lib/server/windhover/lane-endpoints.js';
import { readTls } from '../../lib/server/windhover/tls-material.js';
import { serverCertificate } from '../support/certificates.js';

const CODE = 'WH_ERR_INVALID_OPTION';
const application = createApplication(({ response }) => response.text('a'));
const { cert, key } = serverCertificate();

/** What no message may have. */
const SECRET = 'do-not-show-this';

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'windhover-https-'));
  t.teardown(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

/** Has no development certificate, whatever the user has. */
test.before(() => {
  process.env['XDG_CONFIG_HOME'] = join(tmpdir(), 'windhover-has-nothing-here');
});

const WRONG: readonly (readonly [https: unknown, type: typeof TypeError, ...named: string[]])[] = [
  [null, TypeError, '.https', 'null'],
  [{ certificate: cert }, TypeError, '.https.certificate', 'certFile'],
  [{ cert: 5, key }, TypeError, '.https.cert', 'number'],
  [{ cert: '/etc/cert.pem', key }, TypeError, '.https.cert', 'certFile'],
  [{ cert, key: SECRET }, TypeError, '.https.key', 'keyFile', 'another string'],
  [{ cert, key: '' }, TypeError, '.https.key', 'empty string'],
  [{ cert, key: [key, key] }, TypeError, '.https.key', '2 of the keys of 1'],
  [{ cert: [cert, cert], key }, TypeError, '.https.key', '1 of the keys of 2'],
  [{ cert: [] }, TypeError, '.https.cert', 'empty'],
  [{ key }, TypeError, '.https.key', '1 of the keys of 0'],
  [{ cert, certFile: '/a' }, TypeError, "'cert' and 'certFile'"],
  [{ pfx: Buffer.of(1), certFile: '/a' }, TypeError, "'certFile' and 'pfx'"],
  [{ cert, key, keyFile: '/a' }, TypeError, "'key' and 'keyFile'"],
  [{ cert, passphrase: 12_345 }, TypeError, '.https.passphrase', 'type number'],
  [{ cert, passphrase: `${SECRET}\0` }, TypeError, '.https.passphrase', 'NUL'],
  [{ passphrase: SECRET }, TypeError, '.https.passphrase', 'certificate'],
  [{ pfx: SECRET }, TypeError, '.https.pfx', 'PKCS #12'],
  [{ pfx: new Uint8Array() }, TypeError, '.https.pfx', 'empty'],
  [{ certFile: 5 }, TypeError, '.https.certFile', '5'],
  [{ certFile: '' }, TypeError, '.https.certFile', 'empty'],
  [{ certFile: '/a', keyFile: `-----BEGIN ${SECRET}` }, TypeError, '.https.keyFile', 'a path'],
  [{ ca: 'x' }, TypeError, '.https.ca', 'caFile'],
  [{ ca: cert, caFile: '/a' }, TypeError, "'ca' or 'caFile'"],
  [{ ocspResponse: 'x', cert }, TypeError, '.https.ocspResponse'],
  [{ ocspResponse: Buffer.of(1), cert: [cert, cert] }, TypeError, '.https.ocspResponse'],
  [{ clientCertificateMode: 'always' }, TypeError, '.https.clientCertificateMode', "'always'"],
  [{ allowAnyClientCertificate: 1 }, TypeError, '.https.allowAnyClientCertificate', '1'],
  [{ minVersion: 'TLSv1.1' }, TypeError, '.https.minVersion', "'TLSv1.1'", "'TLSv1.2'"],
  [{ maxVersion: 'toString' }, TypeError, '.https.maxVersion', "'toString'"],
  [{ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' }, RangeError, '.https.minVersion', 'above'],
  [{ ciphers: '' }, TypeError, '.https.ciphers'],
  [{ cipherSuites: 5 }, TypeError, '.https.cipherSuites', '5'],
  [{ groups: 'a b' }, TypeError, '.https.groups', "'a b'"],
  [{ sessionTickets: 'no' }, TypeError, '.https.sessionTickets', "'no'"],
  [{ sessionTimeout: 0 }, RangeError, '.https.sessionTimeout', '0'],
  [{ sessionTimeout: 604_801 }, RangeError, '.https.sessionTimeout', '604801'],
  [{ ticketKeys: SECRET }, TypeError, '.https.ticketKeys', '80'],
  [{ ticketKeys: Buffer.alloc(81) }, RangeError, '.https.ticketKeys', '81'],
  [{ ticketKeys: [Buffer.alloc(80), Buffer.alloc(0)] }, RangeError, '.ticketKeys[1]', '0'],
  [{ reloadOnChange: 1 }, TypeError, '.https.reloadOnChange', '1'],
  [{ handshakeTimeout: 5 }, TypeError, '.https.handshakeTimeout', "'limits.handshakeTimeout'"],
  [{ sni: 5 }, TypeError, '.https.sni', '5'],
  [{ cert, sni: { '': {} } }, RangeError, '.https.sni', "''"],
  [{ cert, sni: { 'a..b': {} } }, RangeError, '.https.sni', "'a..b'"],
  [{ cert, sni: { 'a.*.b': {} } }, RangeError, '.https.sni', "'a.*.b'"],
  [{ cert, sni: { 'ä.example': {} } }, RangeError, '.https.sni', 'xn--'],
  [{ cert, sni: { 'a.example': {}, 'A.example': {} } }, RangeError, 'twice'],
  [{ cert, sni: { a: null } }, TypeError, "sni['a']", 'null'],
  [{ cert, sni: { a: { ciphers: 'x' } } }, TypeError, "sni['a'].ciphers"],
  [{ cert, sni: { a: { protocols: 'h2' } } }, TypeError, "sni['a'].protocols", "'h2'"],
  [{ cert, sni: { a: { key: SECRET } } }, TypeError, "sni['a'].key"],
  [{ sni: { a: {} } }, TypeError, "sni['a']", 'needs a certificate'],
];

test('https options are refused by name and value, and secrets are not told', (t) => {
  for (const [https, type, ...named] of WRONG) {
    for (const options of [
      { endpoints: [{ port: 0, https }] },
      { endpoints: [{ url: 'https://localhost:0', https }] },
    ]) {
      const what = JSON.stringify(https);
      const error = t.throws(
        () => new WindhoverServer(options as ServerOptions),
        { code: CODE },
        what,
      );
      t.true(error instanceof type, `${error.name}: ${error.message}`);
      for (const word of named) t.true(error.message.includes(word), `${error.message}: ${word}`);
      t.true(error.message.includes('endpoints[0]'), error.message);
      t.false(error.message.includes(SECRET), error.message);
      t.false(error.message.includes('PRIVATE KEY'), error.message);
    }
  }
});

test('defaults of https are checked by their own name', (t) => {
  for (const https of [5, { minVersion: 'TLSv1' }, { cert: 'x' }, { sni: { '': {} } }]) {
    const options = { endpointDefaults: { https } } as ServerOptions;
    const error = t.throws(() => new WindhoverServer(options), { code: CODE });
    t.true(error.message.includes('endpointDefaults.https'), error.message);
  }
});

test('https options need an https URL', (t) => {
  const error = t.throws(
    () => new WindhoverServer({ endpoints: [{ url: 'http://localhost:0', https: { cert, key } }] }),
    { code: CODE },
  );
  t.true(error.message.includes("'http://localhost:0'"), error.message);
});

/** What the core gets of an endpoint. */
function settle(
  https: HttpsOptions | undefined,
  defaults: EndpointSettings = {},
  protocols?: EndpointSettings['protocols'],
): ReturnType<typeof readTls> | undefined {
  const endpoint = {
    url: 'https://localhost:0',
    ...(https === undefined ? {} : { https }),
    ...(protocols === undefined ? {} : { protocols }),
  };
  const checked = checkEndpoint(endpoint, 'endpoints[0]', defaults);
  return checked.https === undefined ? undefined : readTls(checked.https, Buffer.alloc(80));
}

test('host names have what they say, and else what the endpoint says', (t) => {
  const other = serverCertificate(['b.example']);
  const tls = settle({
    cert,
    key,
    passphrase: 'p',
    clientCertificateMode: 'allow',
    ca: [cert, cert],
    minVersion: 'TLSv1.3',
    sni: {
      'A.example': { protocols: 'http1', clientCertificateMode: 'none' },
      '*.b.example': {
        cert: Buffer.from(other.cert),
        key: other.key,
        minVersion: 'TLSv1.2',
        allowAnyClientCertificate: true,
      },
    },
  });
  const own = { cert: Buffer.from(cert), key: Buffer.from(key), passphrase: 'p' };
  const authorities = Buffer.from(`${cert}\n${cert}\n`);
  const common = { minVersion: 0x0304, maxVersion: 0x0304, anyClient: false, authorities };
  t.deepEqual(tls?.hosts, [
    { ...common, name: 'a.example', identities: [own], protocols: 1, clientMode: 0 },
    {
      ...common,
      name: '*.b.example',
      // The passphrase belongs to the other certificate.
      identities: [{ cert: Buffer.from(other.cert), key: Buffer.from(other.key) }],
      protocols: 3,
      clientMode: 1,
      minVersion: 0x0303,
      anyClient: true,
    },
    { ...common, name: '*', identities: [own], protocols: 3, clientMode: 1 },
  ]);
  t.like(tls, { protocols: 3, tickets: true, sessionSeconds: 7200 });
  t.false('ciphers' in (tls ?? {}));
});

test('without a certificate of its own an endpoint knows only its host names', (t) => {
  const tls = settle({ sni: { 'a.example': { cert, key } } });
  t.deepEqual(
    tls?.hosts.map(({ name }) => name),
    ['a.example'],
  );
});

test('defaults hold for endpoints that speak TLS, and for no others', (t) => {
  const defaults: EndpointSettings = {
    https: { cert, key, clientCertificateMode: 'require', ciphers: 'HIGH' },
    protocols: 'http1',
  };
  const plain = checkEndpoint({ url: 'http://localhost:0' }, 'endpoints[0]', defaults);
  t.is(plain.https, undefined);
  t.is(plain.lane.protocols, 1);
  const tls = settle(undefined, defaults);
  t.like(tls?.hosts[0], { name: '*', clientMode: 2, protocols: 1 });
  t.is(tls?.ciphers, 'HIGH');
  t.like(settle({ clientCertificateMode: 'none', ciphers: 'LOW' }, defaults), {
    ciphers: 'LOW',
    protocols: 1,
  });
});

test('several certificates keep their keys; several ticket keys may be one array', (t) => {
  const rsa = serverCertificate(['localhost'], { keyType: 'rsa' });
  const tls = settle({
    cert: [cert, rsa.cert],
    key: [key, rsa.key],
    ticketKeys: [Buffer.alloc(160, 1), Buffer.alloc(80, 2)],
  });
  t.deepEqual(
    tls?.hosts[0].identities.map((identity) => String(identity.key)),
    [key, rsa.key],
  );
});

test('protocols without TLS are HTTP/1.1 unless something else is said', (t) => {
  for (const [protocols, bits] of [
    [undefined, 1],
    ['http1', 1],
    ['http2', 2],
    ['http1AndHttp2', 3],
  ] as const) {
    const settings = protocols === undefined ? {} : { protocols };
    t.is(checkEndpoint({ port: 0, ...settings }, 'e').lane.protocols, bits);
    t.is(checkEndpoint({ port: 0 }, 'e', settings).lane.protocols, bits);
    const tls = checkEndpoint({ port: 0, https: { cert, key }, ...settings }, 'e');
    t.is(tls.lane.protocols, protocols === undefined ? 3 : bits);
  }
});

test('files are read at the start, and named where they cannot be', async (t) => {
  const path = folder(t);
  const certFile = join(path, 'cert.pem');
  const keyFile = join(path, 'key.pem');
  writeFileSync(certFile, cert);
  const https = { certFile, keyFile };
  const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0, https }] });
  const error = await t.throwsAsync(server.start(application), {
    code: 'WH_ERR_CERTIFICATE_UNREADABLE',
  });
  for (const word of ['endpoints[0].https.keyFile', keyFile, 'ENOENT']) {
    t.true(error.message.includes(word), error.message);
  }
  writeFileSync(keyFile, key);
  t.like(settle(https)?.hosts[0].identities[0], { cert: Buffer.from(cert), key: Buffer.from(key) });
});

test('https without a certificate fails the start and says how to make one', async (t) => {
  for (const endpoint of [
    { url: 'https://127.0.0.1:0' },
    { host: '127.0.0.1', port: 0, https: {} },
    { host: '127.0.0.1', port: 0, https: { clientCertificateMode: 'require' as const } },
  ]) {
    const server = new WindhoverServer({ endpoints: [endpoint] });
    const error = await t.throwsAsync(server.start(application), {
      code: 'WH_ERR_NO_DEVELOPMENT_CERTIFICATE',
    });
    for (const word of ['endpoints[0]', "'cert'", 'npx windhover dev-certs']) {
      t.true(error.message.includes(word), error.message);
    }
  }
});

test('certificates and ticket keys belong to a server that runs', async (t) => {
  const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
  const code = 'WH_ERR_SERVER_NOT_STARTED';
  await t.throwsAsync(server.reloadCertificates(), { code });
  t.throws(
    () => {
      server.setTicketKeys(Buffer.alloc(80));
    },
    { code },
  );
  await server.start(application);
  await t.notThrowsAsync(server.reloadCertificates()); // nothing to do
  t.throws(
    () => {
      server.setTicketKeys(Buffer.alloc(79));
    },
    { code: CODE, instanceOf: RangeError },
  );
  t.throws(
    () => {
      server.setTicketKeys('x' as never);
    },
    { code: CODE, instanceOf: TypeError },
  );
  await server.stop();
  await t.throwsAsync(server.reloadCertificates(), { code });
});
