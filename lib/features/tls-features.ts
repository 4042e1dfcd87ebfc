/** TLS, as a request sees it. Sources: ASP.NET Core's ITlsConnectionFeature and ITlsHandshakeFeature. */
import type { X509Certificate } from 'node:crypto';
import { createFeatureToken } from './feature-collection.js';

/** The client's certificate, and what binds other authentication to the connection. On TLS only. */
export interface TlsConnectionFeature {
  /**
   * The certificate that the client showed in the handshake; `undefined` where it showed none, or is gone.
   * Middleware that knows better (a proxy's word) may assign it.
   */
  clientCertificate: X509Certificate | undefined;
  /** The client's certificate and those above it, as far as they are known; empty where there is none. */
  readonly clientCertificateChain: readonly X509Certificate[];
  /**
   * Whether the certificate that the client showed was signed by somebody who is trusted, and is valid. It
   * can be false with `allowAnyClientCertificate` only.
   */
  readonly isClientCertificateVerified: boolean;
  /**
   * The channel binding `tls-exporter` (RFC 9266), 32 bytes; `undefined` where there is none, as on TLS 1.2
   * without extended master secret.
   */
  readonly channelBinding: Uint8Array | undefined;
}
export const TlsConnectionFeature =
  createFeatureToken<TlsConnectionFeature>('TlsConnectionFeature');

/** What was settled in the handshake. On TLS only; once the client is gone texts are empty. */
export interface TlsHandshakeFeature {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly protocol: string;
  /** OpenSSL's name of the cipher suite, such as `TLS_AES_128_GCM_SHA256`. */
  readonly negotiatedCipherSuite: string;
  /** The bits of its key. */
  readonly cipherStrength: number;
  /** The host name that the client asked for (SNI); `''` where it named none. */
  readonly hostName: string;
  /** The protocol that ALPN chose: `h2`, `http/1.1`, or `''`. */
  readonly applicationProtocol: string;
  /** The group of the key exchange, such as `x25519`; `''` where it is not known. */
  readonly keyExchangeGroup: string;
  /** Whether the session is an earlier one's, taken up by a ticket. */
  readonly isResumed: boolean;
}
export const TlsHandshakeFeature = createFeatureToken<TlsHandshakeFeature>('TlsHandshakeFeature');
