/** Makes self-signed certificates for servers: X.509 version 3 (RFC 5280), ECDSA with P-256 and SHA-256. */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import {
  addressBytes,
  bitString,
  boolean,
  explicit,
  identifier,
  implicit,
  octetString,
  sequence,
  setOf,
  time,
  toPem,
  unsigned,
  utf8String,
} from './der.js';

/** What a certificate says. */
export interface SelfSignedOptions {
  /** Common name and organisation of whom it names. */
  readonly commonName: string;
  readonly organization: string;
  /** DNS names, with or without `*.`, and IP addresses. */
  readonly names: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** PEM, both; the key is PKCS #8. */
export interface SelfSigned {
  readonly cert: string;
  readonly key: string;
}

const ECDSA_WITH_SHA256 = sequence(identifier('1.2.840.10045.4.3.2'));

export function makeSelfSigned(options: SelfSignedOptions): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const name = sequence(
    attribute('2.5.4.10', options.organization),
    attribute('2.5.4.3', options.commonName),
  );
  const body = sequence(
    explicit(0, unsigned(Buffer.of(2))), // version 3
    unsigned(serialNumber()),
    ECDSA_WITH_SHA256,
    name, // the issuer
    sequence(time(options.notBefore), time(options.notAfter)),
    name,
    spki,
    explicit(3, extensions(options.names, spki)),
  );
  const signature = sign('sha256', body, privateKey);
  return {
    cert: toPem('CERTIFICATE', sequence(body, ECDSA_WITH_SHA256, bitString(signature))),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

/** RFC 5280 section 4.1.2.2: positive, and not guessable. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  return bytes;
}

function attribute(type: string, value: string): Buffer {
  return setOf(sequence(identifier(type), utf8String(value)));
}

/** It may serve, and sign nothing else. */
function extensions(names: readonly string[], spki: Buffer): Buffer {
  // SHA-1 is a name here, not a protection (RFC 7093 allows any method).
  const keyIdentifier = createHash('sha1').update(spki).digest();
  return sequence(
    extension('2.5.29.19', sequence(), true), // basicConstraints: no authority
    extension('2.5.29.15', bitString(Buffer.of(0x80), 7), true), // keyUsage: digitalSignature
    extension('2.5.29.37', sequence(identifier('1.3.6.1.5.5.7.3.1'))), // extKeyUsage: serverAuth
    extension('2.5.29.14', octetString(keyIdentifier)), // subjectKeyIdentifier
    extension('2.5.29.17', sequence(...names.map(generalName))), // subjectAltName
  );
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [boolean(true)] : [];
  return sequence(identifier(id), ...critical, octetString(value));
}

function generalName(name: string): Buffer {
  return isIP(name) === 0 ? implicit(2, Buffer.from(name)) : implicit(7, addressBytes(name));
}
