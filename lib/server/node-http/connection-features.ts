/** The connection of a request on node:http, its TLS, and the request's name. */
import { Buffer } from 'node:buffer';
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type {
  HttpConnectionFeature,
  HttpRequestIdentifierFeature,
} from '../../features/http-features.js';
import type { TlsConnectionFeature, TlsHandshakeFeature } from '../../features/tls-features.js';
import type { ConnectionEnds } from '../connections.js';
import type { NodeConnection } from './connections.js';

export class NodeConnectionFeatures implements HttpConnectionFeature, HttpRequestIdentifierFeature {
  readonly connectionId: string;
  remoteAddress: string | undefined;
  remotePort: number;
  localAddress: string | undefined;
  localPort: number;
  traceIdentifier: string;
  readonly socket: ConnectionEnds;

  constructor(connection: NodeConnection, requestNumber: number) {
    const { id, remoteAddress, remotePort, localAddress, localPort } = connection;
    this.connectionId = id;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    this.localAddress = localAddress;
    this.localPort = localPort;
    this.traceIdentifier = `${id}:${requestNumber.toString(16).toUpperCase().padStart(8, '0')}`;
    this.socket = connection.socket;
  }
}

/** The label of RFC 9266, and the length of what it gives (bytes). */
const EXPORTER = 'EXPORTER-Channel-Binding';
const EXPORTED = 32;

export class NodeTlsFeatures implements TlsConnectionFeature, TlsHandshakeFeature {
  readonly protocol: string;
  readonly negotiatedCipherSuite: string;
  readonly cipherStrength: number;
  readonly hostName: string;
  readonly applicationProtocol: string;
  /** Node does not tell a server. */
  readonly keyExchangeGroup = '';
  readonly isResumed: boolean;
  readonly isClientCertificateVerified: boolean;
  readonly clientCertificateChain: readonly X509Certificate[];
  clientCertificate: X509Certificate | undefined;

  constructor(private readonly socket: TLSSocket) {
    const { name = '' } = socket.destroyed ? {} : socket.getCipher();
    this.protocol = (socket.destroyed ? undefined : socket.getProtocol()) ?? '';
    this.negotiatedCipherSuite = name;
    this.cipherStrength = name === '' ? 0 : /256|CHACHA20/.test(name) ? 256 : 128;
    const { servername } = socket as { servername?: string | false | null };
    this.hostName = servername === undefined || servername === null ? '' : servername || '';
    this.applicationProtocol = socket.alpnProtocol || '';
    this.isResumed = !socket.destroyed && socket.isSessionReused();
    this.clientCertificateChain = socket.destroyed ? [] : chainOf(socket);
    this.clientCertificate = this.clientCertificateChain.at(0);
    this.isClientCertificateVerified = this.clientCertificate !== undefined && socket.authorized;
  }

  get channelBinding(): Uint8Array | undefined {
    // On TLS 1.2 it binds with extended master secret only, which Node does not tell.
    if (this.socket.destroyed || this.protocol !== 'TLSv1.3') return undefined;
    return this.socket.exportKeyingMaterial(EXPORTED, EXPORTER, Buffer.alloc(0));
  }
}

function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<string>();
  let next = socket.getPeerX509Certificate();
  while (next !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}
