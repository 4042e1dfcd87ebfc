/** The certificates that tests are run with: TLS takes them, and refuses those that are made wrong. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { ConnectionOptions, PeerCertificate, TLSSocket, TlsOptions } from 'node:tls';
import { connect, createServer } from 'node:tls';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import {
  certificateAuthority,
  clientCertificate,
  serverCertificate,
} from '../support/certificates.js';

/** What the client is told of a handshake: the peer's name, or the error's code. */
async function handshake(
  t: ExecutionContext,
  server: TlsOptions,
  client: ConnectionOptions,
): Promise<string> {
  const listener = createServer(server, (socket) => {
    const name = commonName(socket);
    socket.on('error', () => undefined).end(name === '' ? '' : `<-${name}`);
  });
  t.teardown(() => listener.close());
  listener.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', ...client });
  t.teardown(() => socket.destroy());
  let text = '';
  socket.on('secureConnect', () => (text = commonName(socket) + text));
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  return new Promise((resolve) => {
    socket.on('end', () => resolve(text));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

function commonName(socket: TLSSocket): string {
  // Without a certificate of the peer this is an empty object.
  const { subject } = socket.getPeerCertificate() as Partial<PeerCertificate>;
  return String(subject?.CN ?? '');
}

for (const keyType of ['ec', 'rsa', 'ed25519'] as const) {
  test(`a server's certificate, ${keyType}, signed by an authority and an intermediate one`, async (t) => {
    const root = certificateAuthority('root', { keyType });
    const middle = certificateAuthority('middle', { issuer: root, keyType });
    const leaf = serverCertificate(['a.test', '*.b.test', '127.0.0.1', '::1', 'fe80::1:2'], {
      issuer: middle,
      keyType,
    });
    const server = { cert: leaf.cert + middle.cert, key: leaf.key };
    t.is(await handshake(t, server, { ca: root.cert, servername: 'a.test' }), 'a.test');
    t.is(await handshake(t, server, { ca: root.cert, servername: 'x.b.test' }), 'a.test');
    t.is(await handshake(t, server, { ca: root.cert }), 'a.test');
    t.is(
      await handshake(t, server, { ca: root.cert, servername: 'c.test' }),
      'ERR_TLS_CERT_ALTNAME_INVALID',
    );
    const { subjectAltName } = new X509Certificate(leaf.cert);
    t.regex(subjectAltName ?? '', /IP Address:FE80:0:0:0:0:0:1:2/);
  });
}

test('a certificate that signs itself, and one that has expired', async (t) => {
  const own = serverCertificate(['localhost']);
  t.is(await handshake(t, own, { ca: own.cert, servername: 'localhost' }), 'localhost');
  t.is(await handshake(t, own, {}), 'DEPTH_ZERO_SELF_SIGNED_CERT');
  const old = serverCertificate(['localhost'], {
    notBefore: new Date('1990-01-01'),
    notAfter: new Date('1999-12-31T23:59:59Z'),
  });
  t.is(await handshake(t, old, { ca: old.cert, servername: 'localhost' }), 'CERT_HAS_EXPIRED');
  const far = serverCertificate(['localhost'], { notAfter: new Date('2090-01-01') });
  t.is(await handshake(t, far, { ca: far.cert, servername: 'localhost' }), 'localhost');
});

test("a client's certificate is taken from its authority, and no other", async (t) => {
  const authority = certificateAuthority();
  const own = serverCertificate(['localhost']);
  const server = { ...own, ca: authority.cert, requestCert: true, maxVersion: 'TLSv1.2' } as const;
  const common = { ca: own.cert, servername: 'localhost' };
  const good = clientCertificate('alice', { issuer: authority });
  t.is(await handshake(t, server, { ...common, ...good }), 'localhost<-alice');
  const stranger = clientCertificate('mallory', { issuer: certificateAuthority('another') });
  t.not(await handshake(t, server, { ...common, ...stranger }), 'localhost<-mallory');
  const wrongUse = serverCertificate(['alice'], { issuer: authority });
  t.not(await handshake(t, server, { ...common, ...wrongUse }), 'localhost<-alice');
});
