/**
 * HTTPS on an endpoint: certificates, host names, clients' certificates. Names are node:tls's, or Kestrel's
 * where it has one that says more.
 */

/** The versions that there are; older ones are not spoken. */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** Bytes, or a text of them. */
export type Bytes = string | Uint8Array;

/** A value, or several: one for each key type (RSA and ECDSA), of which a client gets what it can read. */
export type OneOrSeveral<T> = T | readonly T[];

/**
 * A certificate with its key: from memory (`cert` and `key`, or `pfx`) or from files (`certFile` and
 * `keyFile`, or `pfxFile`). Files are watched: when they change, new connections get what they say.
 */
export interface CertificateOptions {
  /** The certificate and those that it is signed with, the own one first: PEM. Or one as DER. */
  cert?: OneOrSeveral<Bytes>;
  /**
   * The private key: PEM, may be encrypted, or DER. Of several certificates as many, in the same order.
   * Default: it stands among the certificates.
   */
  key?: OneOrSeveral<Bytes>;
  /** What decrypts {@link key} or {@link pfx}. */
  passphrase?: string;
  /** A PKCS #12 archive with certificate, chain and key. */
  pfx?: OneOrSeveral<Uint8Array>;
  /** The path of a file with what {@link cert} takes. */
  certFile?: OneOrSeveral<string>;
  /** The path of a file with what {@link key} takes. */
  keyFile?: OneOrSeveral<string>;
  /** The path of a file with what {@link pfx} takes. */
  pfxFile?: OneOrSeveral<string>;
  /** An OCSP response (DER) to be sent with the certificate, which has to be one (RFC 6066 section 8). */
  ocspResponse?: Uint8Array;
}

/** What can be another for each host name. */
export interface HostTlsOptions extends CertificateOptions {
  /**
   * Whether clients show a certificate: `'none'` are asked for one, all of them may, or have to. Default
   * `'none'`. With `'allow'` and `'require'` one that is not valid ends the handshake. Source: Kestrel's
   * ClientCertificateMode.
   */
  clientCertificateMode?: 'none' | 'allow' | 'require';
  /** Lets every client certificate pass: the application judges it. Default false. Source: Kestrel. */
  allowAnyClientCertificate?: boolean;
  /** Who may sign clients' certificates: PEM. Default: those that the system trusts. */
  ca?: OneOrSeveral<Bytes>;
  /** The paths of files with what {@link ca} takes; watched. */
  caFile?: OneOrSeveral<string>;
  /** The lowest version that is spoken. Default `'TLSv1.2'`. */
  minVersion?: TlsVersion;
  /** The highest version that is spoken. Default `'TLSv1.3'`. */
  maxVersion?: TlsVersion;
}

/** What clients get that name such a host. What it does not say is as the endpoint has it. */
export interface SniOptions extends HostTlsOptions {
  /** The protocols to offer by ALPN. */
  protocols?: 'http1' | 'http2' | 'http1AndHttp2';
}

/** How an endpoint speaks TLS. Without a certificate it has the one of `windhover dev-certs`. */
export interface HttpsOptions extends HostTlsOptions {
  /**
   * By host name (SNI), in any case of letters: an exact name before the longest `*.` suffix before `*`,
   * which is for all others and for clients that name none. Where there is no `*` that is the endpoint's own
   * certificate; where it has none either, the handshake fails. Source: Kestrel.
   */
  sni?: Readonly<Record<string, SniOptions>>;
  /**
   * Ciphers of TLS 1.2, as an OpenSSL list: `'ECDHE-ECDSA-AES128-GCM-SHA256:...'`. Default: those with
   * forward secrecy and authenticated encryption.
   */
  ciphers?: string;
  /** Cipher suites of TLS 1.3 with colons between them. Default: all three that OpenSSL enables. */
  cipherSuites?: string;
  /** Groups for the key exchange with colons between them. Default `'X25519:P-256:P-384'`. */
  groups?: string;
  /** Whether sessions can be resumed by tickets (RFC 5077, RFC 8446 section 2.2). Default true. */
  sessionTickets?: boolean;
  /** For how long a session can be resumed (seconds), 1 to 604,800. Default 7,200. */
  sessionTimeout?: number;
  /**
   * Keys of tickets, 80 bytes each, for servers that share them: the first seals, all open. Default: a random
   * one. See WindhoverServer.setTicketKeys. Several may stand in one array of bytes.
   */
  ticketKeys?: OneOrSeveral<Uint8Array>;
  /** Whether files are read again when they change. Default true. */
  reloadOnChange?: boolean;
}
