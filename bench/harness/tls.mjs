/**
 * What TLS is in every scenario: one certificate, one version, one cipher suite and one group for all
 * servers, so that none is measured with other arithmetic than the rest. The client offers nothing
 * else; what was agreed upon is asked of every server and printed.
 */

import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { onPath } from './install.mjs';
import { runToEnd } from './processes.mjs';

export const version = 'TLSv1.3';
export const suite = 'TLS_AES_128_GCM_SHA256';
export const group = 'X25519';

const seconds = 30;

/**
 * What all servers show: self-signed, ECDSA on P-256, made when it is first needed.
 *
 * @param {string} folder
 * @returns {Promise<import('../types.mjs').Certificate>}
 * @throws {Error} When there is no openssl to make it.
 */
export async function makeCertificate(folder) {
  const cert = path.join(folder, 'cert.pem');
  const key = path.join(folder, 'key.pem');
  if (existsSync(cert)) return { cert, key };
  if (!onPath('openssl')) throw new Error('openssl, which makes the certificate, is not installed');
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  args.push('-noenc', '-sha256', '-days', '7', '-subj', '/CN=localhost');
  args.push('-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert);
  const { code, output } = await runToEnd(null, { file: 'openssl', args }, { seconds });
  if (code === 0) return { cert, key };
  throw new Error(`openssl made no certificate: ${output.trim().slice(-300)}`);
}

/**
 * The environment of a client that leaves its TLS to OpenSSL's defaults (wrk has no options for it).
 *
 * @param {string} folder
 * @returns {Record<string, string>}
 */
export function clientEnvironment(folder) {
  const file = path.join(folder, 'client.cnf');
  if (!existsSync(file)) {
    writeFileSync(
      file,
      `openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = client
[client]
MinProtocol = ${version}
Ciphersuites = ${suite}
Groups = ${group}
`,
    );
  }
  return { OPENSSL_CONF: file };
}

/** The same for a client in this process. */
export const clientOptions = /** @type {const} */ ({
  minVersion: version,
  ciphers: suite,
  ecdhCurve: group,
  rejectUnauthorized: false,
});

/**
 * @param {import('node:tls').TLSSocket} socket Connected.
 * @returns {string} What was agreed upon.
 */
export function negotiated(socket) {
  const key = /** @type {{ name?: string }} */ (socket.getEphemeralKeyInfo());
  const parts = [socket.getProtocol(), socket.getCipher().standardName, key?.name];
  return parts.filter(Boolean).join(' ');
}

/** @param {import('../types.mjs').Scenario} scenario */
export function isSecure({ protocol }) {
  return protocol === 'https' || protocol === 'h2';
}

/** @param {import('../types.mjs').Scenario} scenario */
export function isHttp2({ protocol }) {
  return protocol === 'h2' || protocol === 'h2c';
}
