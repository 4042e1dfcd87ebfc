/** The development certificate of a user: what it says, whether it is any good, how it is written. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { CertificateFiles } from '../server/development-certificate.js';
import { makeSelfSigned } from './self-signed.js';

/** What it is for: this machine alone. */
const NAMES = ['localhost', '*.dev.localhost', '127.0.0.1', '::1'];
const DAY = 86_400_000;
const VALID_DAYS = 365;

/** What {@link inspect} says where there is nothing. */
export const MISSING = 'there is none';

/** A certificate that is there. */
export interface FoundCertificate {
  readonly certificate: X509Certificate;
  readonly validTo: Date;
}

/** The certificate; or why there is none that can be used. */
export function inspect(files: CertificateFiles): FoundCertificate | string {
  let cert: Buffer, key: Buffer;
  try {
    cert = readFileSync(files.certFile);
    key = readFileSync(files.keyFile);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? MISSING : `it cannot be read (${String(code)})`;
  }
  try {
    const certificate = new X509Certificate(cert);
    if (!certificate.checkPrivateKey(createPrivateKey(key))) return 'its key is another one';
    const validTo = new Date(certificate.validTo);
    if (validTo.getTime() <= Date.now()) return `it has expired, on ${certificate.validTo}`;
    const missing = NAMES.find((name) => !names(certificate).includes(name));
    if (missing !== undefined) return `it is not for ${missing}`;
    return { certificate, validTo };
  } catch {
    return 'it cannot be understood';
  }
}

/** The names that a certificate is for, as they are written here. */
function names({ subjectAltName = '' }: X509Certificate): string[] {
  return subjectAltName
    .split(', ')
    .map((name) => name.slice(name.indexOf(':') + 1))
    .map((name) => (name === '0:0:0:0:0:0:0:1' ? '::1' : name));
}

/** Makes one, in the place of what may be there. */
export function create(files: CertificateFiles): void {
  const now = Math.floor(Date.now() / 1_000) * 1_000;
  const { cert, key } = makeSelfSigned({
    commonName: 'localhost',
    organization: 'windhover development certificate',
    names: NAMES,
    notBefore: new Date(now),
    notAfter: new Date(now + VALID_DAYS * DAY),
  });
  mkdirSync(dirname(files.keyFile), { recursive: true, mode: 0o700 });
  replace(files.keyFile, key, 0o600);
  replace(files.certFile, cert, 0o644);
}

/** Deletes it. False where there was none. */
export function remove(files: CertificateFiles): boolean {
  const was = inspect(files) !== MISSING;
  rmSync(files.keyFile, { force: true });
  rmSync(files.certFile, { force: true });
  return was;
}

/** Writes a file at once: nobody sees half of it, or a key that others may read. */
export function replace(path: string, text: string | Uint8Array, mode: number): void {
  const draft = `${path}.${String(process.pid)}.new`;
  try {
    writeFileSync(draft, text, { mode, flag: 'wx' });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
