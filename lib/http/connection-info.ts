/** The connection of a context. */
import type { X509Certificate } from 'node:crypto';
import type { FeatureCollection } from '../features/feature-collection.js';
import type { HttpConnectionFeature } from '../features/http-features.js';
import { TlsConnectionFeature } from '../features/tls-features.js';
import { connectionOf } from './default-features.js';
import { DISPOSED_FEATURES } from './feature-access.js';
import { invalidArgument } from './errors.js';

/** The largest TCP port. */
const PORT_MAX = 65_535;

/**
 * Who is at the two ends. Middleware that knows better (a proxy's word) may assign the peer's address and
 * port. Every member throws WH_ERR_CONTEXT_DISPOSED once the request is over.
 */
export class ConnectionInfo {
  private features: FeatureCollection;

  /** @internal */
  constructor(features: FeatureCollection) {
    this.features = features;
  }

  /** Unique in this process while the connection lives; `''` where the server gives none. */
  get id(): string {
    return this.current().connectionId;
  }

  /** The peer's IP address; `undefined` on a Unix socket. */
  get remoteAddress(): string | undefined {
    return this.current().remoteAddress;
  }

  set remoteAddress(value: string | undefined) {
    if (value !== undefined && typeof value !== 'string') {
      throw invalidArgument('connection.remoteAddress', 'a string or undefined', value);
    }
    this.current().remoteAddress = value;
  }

  /** The peer's port; 0 on a Unix socket. */
  get remotePort(): number {
    return this.current().remotePort;
  }

  set remotePort(value: number) {
    if (!Number.isInteger(value) || value < 0 || value > PORT_MAX) {
      throw invalidArgument('connection.remotePort', 'a port, 0 to 65535', value);
    }
    this.current().remotePort = value;
  }

  /** The address that the peer connected to; `undefined` on a Unix socket. */
  get localAddress(): string | undefined {
    return this.current().localAddress;
  }

  /** The port that the peer connected to; 0 on a Unix socket. */
  get localPort(): number {
    return this.current().localPort;
  }

  /**
   * The ends of the socket itself, where {@link remoteAddress} may be what a proxy told or what middleware
   * assigned; `undefined` where the server does not know.
   */
  get socket(): HttpConnectionFeature['socket'] {
    return this.current().socket;
  }

  /**
   * The certificate that the client showed; `undefined` where it showed none, or there is no TLS. See
   * TlsConnectionFeature.
   */
  get clientCertificate(): X509Certificate | undefined {
    return this.features.get(TlsConnectionFeature)?.clientCertificate;
  }

  /** @internal */
  _dispose(): void {
    this.features = DISPOSED_FEATURES;
  }

  private current(): HttpConnectionFeature {
    return connectionOf(this.features);
  }
}
