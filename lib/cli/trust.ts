/** Has a machine trust a certificate, where that can be done by a file. */
import { spawnSync } from 'node:child_process';
import type { X509Certificate } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from './command.js';
import { replace } from './development-certificates.js';

/** Where Debian and what comes of it look for certificates of the machine's own. */
const FOLDER = '/usr/local/share/ca-certificates';
const UPDATE = 'update-ca-certificates';

/** Ways to trust a certificate, by platform; the first one whose folder is there. */
const BY_HAND: readonly (readonly [
  platform: string,
  folder: string,
  line: (cert: string) => string,
])[] = [
  [
    'linux',
    FOLDER,
    (cert) => `sudo cp ${cert} ${FOLDER}/windhover-localhost.crt && sudo ${UPDATE}`,
  ],
  [
    'linux',
    '/etc/pki/ca-trust/source/anchors',
    (cert) => `sudo cp ${cert} /etc/pki/ca-trust/source/anchors/ && sudo update-ca-trust`,
  ],
  [
    'darwin',
    '/',
    (cert) =>
      `security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db ${cert}`,
  ],
  ['win32', '\\', (cert) => `certutil -user -addstore Root ${cert}`],
];

/** The certificate's name in the folder of the machine: others may have theirs there. */
function placeOf(certificate: X509Certificate): string {
  const print = certificate.fingerprint256.replaceAll(':', '').slice(0, 16).toLowerCase();
  return join(FOLDER, `windhover-localhost-${print}.crt`);
}

/** Whether this process may install certificates for the machine. */
function canInstall(): boolean {
  return process.platform === 'linux' && process.getuid?.() === 0 && existsSync(FOLDER);
}

/** Whether {@link trust} has installed it. */
export function isTrusted(certificate: X509Certificate): boolean {
  return existsSync(placeOf(certificate));
}

/**
 * Has the machine trust it.
 *
 * @returns What was done, or what is to be done by hand.
 */
export function trust(certificate: X509Certificate, certFile: string): string {
  if (canInstall()) {
    const place = placeOf(certificate);
    replace(place, certificate.toString(), 0o644);
    update();
    return `Trusted by this machine: ${place}`;
  }
  const way = BY_HAND.find(
    ([platform, folder]) => platform === process.platform && existsSync(folder),
  );
  const line = way?.[2](quote(certFile));
  return line === undefined
    ? `To trust it, add ${certFile} to the certificates that this system trusts.`
    : `To trust it: ${line}`;
}

/** A path as shells take it. */
function quote(path: string): string {
  return /^[\w/.:\\-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

/** Undoes {@link trust}. False where nothing was done. */
export function distrust(certificate: X509Certificate): boolean {
  const place = placeOf(certificate);
  if (!existsSync(place)) return false;
  rmSync(place);
  update();
  return true;
}

function update(): void {
  const { status, error, stderr } = spawnSync(UPDATE, { encoding: 'utf8' });
  if (status === 0) return;
  throw new CommandError(`${UPDATE} failed: ${error?.message ?? stderr.trim()}`);
}
