/**
 * A WindhoverServer with what real clients of HTTPS meet: one endpoint that speaks HTTP/1.1 and HTTP/2 by
 * ALPN, with a certificate of its own for another host name, and clients' certificates where they have one.
 * Beside it, one in cleartext that tells the two by a connection's first bytes.
 */
import { writeFileSync } from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import type { ClientHttp2Session, SecureClientSessionOptions } from 'node:http2';
import { connect } from 'node:http2';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { HttpContext } from '../../lib/http/http-context.js';
import type { HttpsOptions, ServerOptions } from '../../lib/server/options.js';
import { certificateAuthority, clientCertificate, serverCertificate } from './certificates.js';
import { within } from './until.js';
import type { WireServer } from './wire-server.js';
import { startServer } from './wire-server.js';

/** Who signs the certificates of tests. */
export const authority = certificateAuthority();
/** What a client shows. */
export const visitor = clientCertificate('visitor', { issuer: authority });
const own = serverCertificate(['localhost', '127.0.0.1', '::1'], { issuer: authority });
/** RSA, as the other one is ECDSA. */
const other = serverCertificate(['other.test'], { issuer: authority, keyType: 'rsa' });

export interface SecureServer extends WireServer {
  /** Where it speaks cleartext. */
  readonly clearUrl: string;
  /** A session of node:http2, closed after the test. */
  readonly session: (options?: SessionOptions) => Promise<ClientHttp2Session>;
}

export interface SessionOptions extends SecureClientSessionOptions {
  /** Cleartext, with prior knowledge. */
  readonly clear?: boolean;
}

/** Starts it with a handler. */
export async function startSecure(
  t: ExecutionContext,
  handler: (context: HttpContext) => void | Promise<void>,
  options: ServerOptions = {},
  https: HttpsOptions = {},
): Promise<SecureServer> {
  const server = await startServer(t, handler, {
    endpoints: [
      {
        host: '127.0.0.1',
        port: 0,
        https: {
          cert: own.cert,
          key: own.key,
          ca: authority.cert,
          clientCertificateMode: 'allow',
          sni: { 'other.test': { cert: other.cert, key: other.key } },
          ...https,
        },
      },
      { host: '127.0.0.1', port: 0, protocols: 'http1AndHttp2' },
    ],
    ...options,
  });
  const [, clearUrl] = server.server.addresses;
  const sessions: ClientHttp2Session[] = [];
  t.teardown(() => {
    for (const session of sessions) session.destroy();
  });
  const session = async (wanted: SessionOptions = {}): Promise<ClientHttp2Session> => {
    const { clear = false, ...rest } = wanted;
    const made = connect(clear ? clearUrl : server.url, { ca: authority.cert, ...rest });
    sessions.push(made);
    made.on('error', () => undefined);
    await within(once(made, 'remoteSettings'), 'the SETTINGS of the server');
    return made;
  };
  return { ...server, clearUrl, session };
}

/** The certificates as files, for programs: gone after the test. */
export interface CertificateFiles {
  /** The authority's. */
  readonly ca: string;
  /** The visitor's certificate and key. */
  readonly cert: string;
  readonly key: string;
  readonly folder: string;
}

export function writeCertificates(t: ExecutionContext): CertificateFiles {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-certificates-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return {
    folder,
    ca: write('ca.pem', authority.cert),
    cert: write('visitor.pem', visitor.cert),
    key: write('visitor.key', visitor.key),
  };
}
