/** Reads what an endpoint presents from its files, for the core. */
import { readFileSync } from 'node:fs';
import { WindhoverError } from '../../http/errors.js';
import type { LaneIdentity, LaneTls } from '../../native/addon.js';
import { findDevelopmentCertificate } from '../development-certificate.js';
import type { CheckedHttps, CheckedIdentity, Source } from './https-check.js';

/**
 * The files that an endpoint's settings come from, the development certificate's too.
 *
 * @throws WindhoverError WH_ERR_NO_DEVELOPMENT_CERTIFICATE where it is needed and not there.
 */
export function filesOf(https: CheckedHttps): string[] {
  const sources = https.hosts.flatMap((host) => [
    ...identitiesOf(https, host.identities).flatMap(({ cert, key, pfx }) => [cert, key, pfx]),
    ...host.authorities,
  ]);
  const files = sources.flatMap((source) =>
    source === undefined || source instanceof Uint8Array ? [] : [source.file],
  );
  return [...new Set(files)];
}

/**
 * Reads it all.
 *
 * @param ticketKeys - The keys in force.
 * @throws WindhoverError WH_ERR_CERTIFICATE_UNREADABLE, naming option and file, or
 * WH_ERR_NO_DEVELOPMENT_CERTIFICATE.
 */
export function readTls(https: CheckedHttps, ticketKeys: Uint8Array): LaneTls {
  const { ciphers, cipherSuites, groups, protocols, tickets, sessionSeconds } = https;
  const known = new Map<string, Buffer>();
  const read = (source: Source): Uint8Array => {
    if (source instanceof Uint8Array) return source;
    const bytes = known.get(source.file) ?? readSource(source);
    known.set(source.file, bytes);
    return bytes;
  };
  return {
    hosts: https.hosts.map(({ identities, authorities, ...host }) => ({
      ...host,
      identities: identitiesOf(https, identities).map((identity) => toLane(identity, read)),
      ...(authorities.length === 0
        ? {}
        : { authorities: Buffer.concat(authorities.flatMap((one) => [read(one), NEW_LINE])) }),
    })),
    protocols,
    tickets,
    sessionSeconds,
    ticketKeys,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(cipherSuites === undefined ? {} : { cipherSuites }),
    ...(groups === undefined ? {} : { groups }),
  };
}

const NEW_LINE = Buffer.from('\n');

function toLane(identity: CheckedIdentity, read: (source: Source) => Uint8Array): LaneIdentity {
  const { cert, key, pfx, passphrase, ocsp } = identity;
  return {
    ...(cert === undefined ? {} : { cert: read(cert) }),
    ...(key === undefined ? {} : { key: read(key) }),
    ...(pfx === undefined ? {} : { pfx: read(pfx) }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ocsp === undefined ? {} : { ocsp }),
  };
}

function readSource({ file, option }: { file: string; option: string }): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new WindhoverError(
      'WH_ERR_CERTIFICATE_UNREADABLE',
      `option '${option}': '${file}' cannot be read (${code})`,
      { cause: error },
    );
  }
}

/** A host without a certificate has the development certificate. */
function identitiesOf(
  https: CheckedHttps,
  identities: readonly CheckedIdentity[],
): readonly CheckedIdentity[] {
  if (identities.length > 0) return identities;
  const found = findDevelopmentCertificate();
  if (found === undefined) {
    throw new WindhoverError(
      'WH_ERR_NO_DEVELOPMENT_CERTIFICATE',
      `option '${https.name}' needs a certificate ('cert' and 'key', 'certFile' and 'keyFile', 'pfx' or 'pfxFile'), ` +
        "or a development certificate, which 'npx windhover dev-certs' makes",
    );
  }
  const option = https.name;
  return [{ cert: { file: found.certFile, option }, key: { file: found.keyFile, option } }];
}
