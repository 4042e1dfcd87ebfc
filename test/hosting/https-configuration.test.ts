import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { loadConfiguration } from '../../lib/hosting/configuration-sources.js';
import { serverOptionsFromConfiguration } from '../../lib/hosting/server-options-binding.js';
import { WebApplication } from '../../lib/hosting/web-application.js';
import type { ServerOptions } from '../../lib/server/options.js';

const CODE = 'WH_ERR_INVALID_OPTION';
const SECRET = 'do-not-show-this';

function folderWith(t: ExecutionContext, file: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-https-options-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  writeFileSync(join(folder, 'appsettings.json'), file);
  return folder;
}

function read(
  t: ExecutionContext,
  file: string,
  variables: Record<string, string> = {},
  args: string[] = [],
): ServerOptions {
  const contentRoot = folderWith(t, file);
  return serverOptionsFromConfiguration(loadConfiguration({ contentRoot, variables, args }));
}

test('https options can be said in a file, the environment and on the command line', (t) => {
  const options = read(
    t,
    `{ "Server": { "Endpoints": { "Web": {
         "Url": "https://*:5001", "Protocols": "Http1AndHttp2",
         "Https": {
           "CertFile": ["/tls/ec.pem", "/tls/rsa.pem"], "KeyFile": ["/tls/ec.key", "/tls/rsa.key"],
           "ClientCertificateMode": "Allow", "MinVersion": "tlsv1.3", "SessionTickets": false,
           "Sni": {
             "a.example": { "PfxFile": "/tls/a.pfx" },
             "*.b.example": { "CertFile": "/tls/b.pem", "Protocols": "HTTP1" },
           },
         } } } } }`,
    { WINDHOVER_ENDPOINTS__WEB__HTTPS__SESSIONTIMEOUT: '60' },
    [
      '--endpoints:web:https:sni:a.example:passphrase=p',
      '--endpoints:web:https:caFile=/tls/ca.pem',
    ],
  );
  t.deepEqual(options.endpoints, [
    {
      url: 'https://*:5001',
      protocols: 'http1AndHttp2',
      https: {
        certFile: ['/tls/ec.pem', '/tls/rsa.pem'],
        keyFile: ['/tls/ec.key', '/tls/rsa.key'],
        caFile: '/tls/ca.pem',
        clientCertificateMode: 'allow',
        minVersion: 'TLSv1.3',
        sessionTickets: false,
        sessionTimeout: 60,
        sni: {
          'a.example': { pfxFile: '/tls/a.pfx', passphrase: 'p' },
          '*.b.example': { certFile: '/tls/b.pem', protocols: 'http1' },
        },
      },
    },
  ]);
});

test("Kestrel's names mean the same", (t) => {
  const options = read(
    t,
    `{ "Server": {
         "Certificates": { "Default": { "Path": "/tls/default.pfx", "Password": 1234 } },
         "EndpointDefaults": { "SslProtocols": ["Tls13"], "Protocols": "Http1" },
         "Endpoints": {
           "Plain": { "Url": "http://*:5000" },
           "Default": { "Url": "https://*:5001" },
           "Own": {
             "Url": "https://*:5002", "ClientCertificateMode": "RequireCertificate",
             "SslProtocols": ["Tls12", "Tls13"],
             "Certificate": { "Path": "/tls/own.pem", "KeyPath": "/tls/own.key", "Password": "p" },
             "Sni": {
               "a.example": { "Certificate": { "Path": "/tls/a.pem" }, "Protocols": "Http2" },
               "*": { "ClientCertificateMode": "NoCertificate" },
             },
           } } } }`,
  );
  t.deepEqual(options.endpointDefaults, {
    protocols: 'http1',
    https: {
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      pfxFile: '/tls/default.pfx',
      passphrase: '1234',
    },
  });
  t.deepEqual(options.endpoints, [
    { url: 'http://*:5000' },
    { url: 'https://*:5001' },
    {
      url: 'https://*:5002',
      https: {
        certFile: '/tls/own.pem',
        keyFile: '/tls/own.key',
        passphrase: 'p',
        clientCertificateMode: 'require',
        minVersion: 'TLSv1.2',
        maxVersion: 'TLSv1.3',
        sni: {
          'a.example': { certFile: '/tls/a.pem', protocols: 'http2' },
          '*': { clientCertificateMode: 'none' },
        },
      },
    },
  ]);
});

test('the default certificate can come from the environment', (t) => {
  const options = read(t, '{ "Server": { "Endpoints": { "a": { "Url": "https://*:1" } } } }', {
    WINDHOVER_CERTIFICATES__DEFAULT__PATH: '/tls/cert.pem',
    WINDHOVER_CERTIFICATES__DEFAULT__KEYPATH: '/tls/key.pem',
  });
  t.deepEqual(options.endpointDefaults, {
    https: { certFile: '/tls/cert.pem', keyFile: '/tls/key.pem' },
  });
});

test('paths are relative to the content root of the application', (t) => {
  const contentRoot = folderWith(
    t,
    `{ "Server": {
         "Certificates": { "Default": { "Path": "tls/default.pem" } },
         "Endpoints": { "a": {
           "Url": "https://*:1", "Certificate": { "Path": "tls/a.pem", "KeyPath": "/tls/a.key" },
           "Https": { "Sni": { "b.example": { "PfxFile": ["b.pfx"] } } } } } } }`,
  );
  const { server } = WebApplication.createBuilder({ contentRoot });
  t.deepEqual(server.endpointDefaults, {
    https: { certFile: join(contentRoot, 'tls/default.pem') },
  });
  t.deepEqual(server.endpoints, [
    {
      url: 'https://*:1',
      https: {
        certFile: join(contentRoot, 'tls/a.pem'),
        keyFile: '/tls/a.key',
        sni: { 'b.example': { pfxFile: [join(contentRoot, 'b.pfx')] } },
      },
    },
  ]);
});

test('what is wrong is named, with its place; secrets are not told', (t) => {
  const endpoint = (more: string): string =>
    `{ "Server": { "Endpoints": { "web": { "Url": "https://*:1", ${more} } } } }`;
  const rows: readonly (readonly [file: string, ...words: string[]])[] = [
    [endpoint('"Https": { "CertFiles": "a" }'), "'endpoints.web.https.certFile'?", ':1'],
    [endpoint('"Https": { "Sni": { "a": { "Certificat": 1 } } }'), 'sni.a.'],
    [endpoint('"Certificate": { "Pth": "a" }'), "'endpoints.web.certificate.path'?"],
    [endpoint('"Certificate": { "KeyPath": "a" }'), "'endpoints.web.certificate'", "'path'"],
    [endpoint('"Certificate": 5'), "'endpoints.web.certificate' must be an object"],
    [endpoint('"SslProtocols": ["Tls11"]'), "'Tls13', not 'Tls11'", "set to 'Tls11'"],
    [endpoint('"ClientCertificateMode": "Always"'), 'clientCertificateMode', "set to 'Always'"],
    [endpoint('"Sni": 5'), 'https.sni'],
    [endpoint('"Sni": { "a..b": { "Certificate": { "Path": "a" } } }'), "'a..b'"],
    [endpoint('"Https": 5'), "'endpoints.web.https' must be an object, not 5"],
    [endpoint('"Https": { "Pfx": "a" }'), 'by code only'],
    [endpoint(`"Https": { "Cert": "x", "Key": "${SECRET}" }`), 'https.cert'],
    [endpoint(`"Https": { "Passphrase": "${SECRET}" }`), 'https.passphrase', 'set by app'],
    [
      endpoint(`"Certificate": { "Path": "a", "Passwort": "${SECRET}" }`),
      "'endpoints.web.certificate.password'?",
    ],
    [
      `{ "Server": { "Endpoints": { "a": { "Url": "http://*:1", "Certificate": { "Path": "a" } } } } }`,
      'https:',
    ],
    ['{ "Server": { "Certificates": 5 } }', "'certificates' must be an object"],
    ['{ "Server": { "Certificates": { "Defualt": { "Path": "a" } } } }', "'certificates.default'?"],
    [
      '{ "Server": { "EndpointDefaults": { "SslProtocols": ["Ssl3"] } } }',
      'endpointDefaults.sslProtocols',
    ],
  ];
  for (const [file, ...words] of rows) {
    const error = t.throws(() => read(t, file), { code: CODE }, file) as Error | undefined;
    const message = error?.message ?? '';
    for (const word of words) t.true(message.includes(word), `${message}: ${word}`);
    t.false(message.includes(SECRET), message);
  }
});
