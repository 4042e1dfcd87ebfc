/** TLS of the connection of a request on the native core: asked of it when somebody wants to know. */
import { X509Certificate } from 'node:crypto';
import type { TlsConnectionFeature, TlsHandshakeFeature } from '../../features/tls-features.js';
import type { LaneTlsFacts } from '../../native/addon.js';
import type { LiveExchange } from './live-exchange.js';

/** Once the client is gone. */
const NOTHING: LaneTlsFacts = {
  protocol: '',
  cipher: '',
  alpn: '',
  hostName: '',
  group: '',
  bits: 0,
  resumed: false,
  verified: -1,
};

export class TlsFeatures implements TlsConnectionFeature, TlsHandshakeFeature {
  private facts: LaneTlsFacts | undefined = undefined;
  private chain: readonly X509Certificate[] | undefined = undefined;
  private ownCertificate: { readonly value: X509Certificate | undefined } | undefined = undefined;

  constructor(private readonly exchange: LiveExchange) {}

  get protocol(): string {
    return this.known().protocol;
  }

  get negotiatedCipherSuite(): string {
    return this.known().cipher;
  }

  get cipherStrength(): number {
    return this.known().bits;
  }

  get hostName(): string {
    return this.known().hostName;
  }

  get applicationProtocol(): string {
    return this.known().alpn;
  }

  get keyExchangeGroup(): string {
    return this.known().group;
  }

  get isResumed(): boolean {
    return this.known().resumed;
  }

  get clientCertificate(): X509Certificate | undefined {
    this.exchange.ensureLive();
    if (this.ownCertificate !== undefined) return this.ownCertificate.value;
    return this.clientCertificateChain.at(0);
  }
  set clientCertificate(value: X509Certificate | undefined) {
    this.exchange.ensureLive();
    this.ownCertificate = { value };
  }

  get clientCertificateChain(): readonly X509Certificate[] {
    this.exchange.ensureLive();
    const { slot, generation } = this.exchange;
    return (this.chain ??= slot.host
      .exchangePeerCertificates(slot, generation)
      .map((der) => new X509Certificate(der)));
  }

  get isClientCertificateVerified(): boolean {
    return this.known().verified === 1;
  }

  get channelBinding(): Uint8Array | undefined {
    this.exchange.ensureLive();
    const { slot, generation } = this.exchange;
    return slot.host.exchangeChannelBinding(slot, generation) ?? undefined;
  }

  private known(): LaneTlsFacts {
    this.exchange.ensureLive();
    const { slot, generation } = this.exchange;
    return (this.facts ??= slot.host.exchangeTls(slot, generation) ?? NOTHING);
  }
}
