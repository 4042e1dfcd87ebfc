/** Where the certificate is that `windhover dev-certs` makes. */
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** A certificate and its key, as files. */
export interface CertificateFiles {
  /** The certificate's path (PEM). */
  readonly certFile: string;
  /** The private key's path (PEM). */
  readonly keyFile: string;
}

/**
 * Where the development certificate of this user is, or would be: in `windhover/dev-certs` below
 * XDG_CONFIG_HOME, or else below `~/.config`.
 */
export function developmentCertificatePaths(
  variables: Readonly<Record<string, string | undefined>> = process.env,
): CertificateFiles {
  const { XDG_CONFIG_HOME: given } = variables;
  // The XDG Base Directory Specification: relative paths do not count.
  const base = given !== undefined && isAbsolute(given) ? given : join(homedir(), '.config');
  const folder = join(base, 'windhover', 'dev-certs');
  return { certFile: join(folder, 'localhost.pem'), keyFile: join(folder, 'localhost-key.pem') };
}

/**
 * The development certificate of this user, which `windhover dev-certs` makes; `undefined` where there is
 * none that can be read.
 */
export function findDevelopmentCertificate(): CertificateFiles | undefined {
  const paths = developmentCertificatePaths();
  try {
    accessSync(paths.certFile, constants.R_OK);
    accessSync(paths.keyFile, constants.R_OK);
    return paths;
  } catch {
    return undefined;
  }
}
