/**
 * Certificates for tests, made on the spot: X.509 v3 (RFC 5280) in DER, signed by Node's own crypto, so that
 * no program has to be there. Keys are ECDSA P-256 unless asked for otherwise. Nothing is written anywhere.
 */
import type { KeyObject } from 'node:crypto';
import { X509Certificate, createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import {
  bits,
  bool,
  contextual,
  encoded,
  int,
  octets,
  oid,
  sequence,
  set,
  time,
  utf8,
} from './der.js';

/** A certificate and its private key, both PEM: what `https: { cert, key }` takes. */
export interface Certificate {
  readonly cert: string;
  /** PKCS#8. */
  readonly key: string;
  /** The common name of the subject. */
  readonly name: string;
  /** The key itself, to sign with or to export in another form. */
  readonly privateKey: KeyObject;
}

/** What can be asked for. */
export interface CertificateOptions {
  /** Who signs it. Default: it signs itself. */
  readonly issuer?: Certificate;
  /** Default `'ec'` (P-256). */
  readonly keyType?: 'ec' | 'rsa' | 'ed25519';
  /** From when it is valid. Default: an hour ago. */
  readonly notBefore?: Date;
  /** Until when it is valid. Default: in 30 days. */
  readonly notAfter?: Date;
  /** Extended key usages. Default: what the function's name says; `[]` for a certificate without any. */
  readonly usages?: readonly ('serverAuth' | 'clientAuth')[];
}

const OIDS = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  ed25519: '1.3.101.112',
} as const;

const HOUR = 3_600_000;

/**
 * A server's certificate.
 *
 * @param names - DNS names (`*.example.org`, too) and IP addresses; the first is the common name as well.
 */
export function serverCertificate(
  names: readonly string[] = ['localhost', '127.0.0.1', '::1'],
  options: CertificateOptions = {},
): Certificate {
  return make(names[0] ?? 'nameless', names, { usages: ['serverAuth'], ...options }, false);
}

/** A client's certificate. */
export function clientCertificate(name = 'client', options: CertificateOptions = {}): Certificate {
  return make(name, [], { usages: ['clientAuth'], ...options }, false);
}

/** An authority: give it as `issuer`. With an issuer of its own it is an intermediate one. */
export function certificateAuthority(
  name = 'windhover test authority',
  options: CertificateOptions = {},
): Certificate {
  return make(name, [], { usages: [], ...options }, true);
}

function make(
  name: string,
  alternatives: readonly string[],
  options: CertificateOptions,
  isAuthority: boolean,
): Certificate {
  const { publicKey, privateKey } = generateKeys(options.keyType ?? 'ec');
  const issuer = options.issuer ?? { name, privateKey };
  const now = Date.now();
  const publicInfo = publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = signatureAlgorithm(issuer.privateKey);
  const extensions = [
    extension(OIDS.basicConstraints, sequence(...(isAuthority ? [bool(true)] : [])), true),
    // keyCertSign and cRLSign, or digitalSignature (and keyEncipherment, which RSA may need).
    extension(OIDS.keyUsage, isAuthority ? bits([0x06], 1) : bits([0xa0], 5), true),
    extension(OIDS.subjectKeyIdentifier, octets(keyIdentifier(publicInfo))),
  ];
  if (options.issuer !== undefined) {
    const { publicKey: key } = new X509Certificate(options.issuer.cert);
    const identifier = keyIdentifier(key.export({ type: 'spki', format: 'der' }));
    extensions.push(
      extension(OIDS.authorityKeyIdentifier, sequence(contextual(0, identifier, false))),
    );
  }
  if (alternatives.length > 0) {
    extensions.push(extension(OIDS.subjectAltName, sequence(...alternatives.map(generalName))));
  }
  if (options.usages !== undefined && options.usages.length > 0) {
    const usages = options.usages.map((usage) => oid(OIDS[usage]));
    extensions.push(extension(OIDS.extKeyUsage, sequence(...usages)));
  }
  const body = sequence(
    contextual(0, int(Buffer.of(2)), true), // version 3
    int(Buffer.concat([Buffer.of(0x40), randomBytes(15)])), // a positive serial number
    algorithm,
    distinguishedName(issuer.name),
    sequence(
      time(options.notBefore ?? new Date(now - HOUR)),
      time(options.notAfter ?? new Date(now + 30 * 24 * HOUR)),
    ),
    distinguishedName(name),
    publicInfo,
    contextual(3, sequence(...extensions), true),
  );
  const hash = issuer.privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const der = sequence(body, algorithm, bits(sign(hash, body, issuer.privateKey), 0));
  return {
    name,
    cert: encoded('CERTIFICATE', der),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    privateKey,
  };
}

function generateKeys(type: 'ec' | 'rsa' | 'ed25519'): {
  publicKey: KeyObject;
  privateKey: KeyObject;
} {
  if (type === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (type === 'ed25519') return generateKeyPairSync('ed25519');
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function signatureAlgorithm(key: KeyObject): Buffer {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return sequence(oid(OIDS.sha256WithRsa), Buffer.of(5, 0));
    case 'ed25519':
      return sequence(oid(OIDS.ed25519));
    default:
      return sequence(oid(OIDS.ecdsaWithSha256));
  }
}

function distinguishedName(name: string): Buffer {
  return sequence(set(sequence(oid(OIDS.commonName), utf8(name))));
}

function generalName(name: string): Buffer {
  if (isIP(name) === 0) return contextual(2, Buffer.from(name, 'ascii'), false);
  return contextual(7, addressBytes(name), false);
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [left, right = undefined] = address.split('::') as [string, string?];
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => parseInt(group, 16));
  const head = groups(left);
  const tail = right === undefined ? [] : groups(right);
  const bytes = Buffer.alloc(16);
  head.forEach((group, i) => bytes.writeUInt16BE(group, 2 * i));
  tail.forEach((group, i) => bytes.writeUInt16BE(group, 16 - 2 * (tail.length - i)));
  return bytes;
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [bool(true)] : []), octets(value));
}

/** RFC 5280 section 4.2.1.2; of the whole SubjectPublicKeyInfo, which it leaves open. */
function keyIdentifier(publicInfo: Buffer): Buffer {
  return createHash('sha1').update(publicInfo).digest();
}
