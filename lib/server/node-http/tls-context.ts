/** From what an endpoint presents, as the core takes it, to node:tls's options. */
import { createPrivateKey, hkdfSync, X509Certificate } from 'node:crypto';
import type { SecureContext, SecureContextOptions, TlsOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';
import { constants } from 'node:crypto';
import { codedRangeError } from '../../http/errors.js';
import type { LaneIdentity, LaneTls, LaneTlsHost } from '../../native/addon.js';
import { CODE } from '../../http/option-errors.js';
import { PROTOCOLS } from '../windhover/https-check.js';

/** Those of the core: forward secrecy and authenticated encryption. */
const CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
const SUITES = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
const GROUPS = 'X25519:P-256:P-384';

const TLS_1_2 = 0x0303;

/** Bytes of one of the core's ticket keys, and of Node's. */
const TICKET_KEY_SIZE = 80;
const NODE_TICKET_KEY_SIZE = 48;

/**
 * Node's ticket key for those of the options, of which the first seals: the same for all servers that share
 * them. Node knows one key, so that tickets of the others are not opened.
 */
export function toTicketKey(keys: Uint8Array): Buffer {
  const first = keys.subarray(0, TICKET_KEY_SIZE);
  const none = new Uint8Array();
  return Buffer.from(hkdfSync('sha256', first, none, 'windhover ticket key', NODE_TICKET_KEY_SIZE));
}

/** In the order of the core's wh_tls_client_mode. */
export const ClientMode = { NONE: 0, ALLOW: 1, REQUIRE: 2 } as const;

/** An endpoint's certificates, by host name. */
export class NodeTlsContexts {
  private readonly contexts = new Map<string, SecureContext>();

  /**
   * @param name - The option's name in messages.
   * @throws RangeError WH_ERR_INVALID_OPTION for certificates that cannot be used.
   */
  constructor(
    name: string,
    readonly tls: LaneTls,
  ) {
    for (const host of tls.hosts) {
      try {
        this.contexts.set(host.name, createSecureContext(toContext(tls, host)));
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        const at = host.name === '*' ? name : `${name}.sni['${host.name}']`;
        throw codedRangeError(CODE, `option '${at}' has a certificate that cannot be used: ${why}`);
      }
    }
  }

  /** What the server itself presents, to clients that name no host. */
  defaults(): SecureContextOptions {
    const host = this.tls.hosts.find(({ name }) => name === '*');
    return toContext(this.tls, host);
  }

  /** The options of a server that asks `current` for what is presented. */
  static serverOptions(current: () => NodeTlsContexts, handshakeTimeout: number): TlsOptions {
    const { tls } = current();
    const differs = tls.hosts.some(({ protocols }) => protocols !== tls.protocols);
    const options: TlsOptions = {
      ...current().defaults(),
      ALPNProtocols: alpnOf(tls.protocols),
      requestCert: tls.hosts.some(({ clientMode }) => clientMode !== ClientMode.NONE),
      rejectUnauthorized: false, // judged by host, see admits
      handshakeTimeout: handshakeTimeout === Infinity ? 0 : handshakeTimeout,
      sessionTimeout: tls.sessionSeconds,
      SNICallback: (host, done) => {
        const found = current().find(host);
        const context = found === undefined ? undefined : current().contexts.get(found.name);
        if (context === undefined) done(new Error('there is no certificate for that host'));
        else done(null, context);
      },
    };
    if (!differs) return options;
    delete options.ALPNProtocols;
    const choose = (asked: { servername: string; protocols: string[] }): string | undefined => {
      const host = current().find(asked.servername);
      return alpnOf(host?.protocols ?? tls.protocols).find((each) =>
        asked.protocols.includes(each),
      );
    };
    return { ...options, ALPNCallback: choose };
  }

  /** Whether a client whose handshake is done may come in. */
  admits(servername: string, hasCertificate: boolean, isValid: boolean): boolean {
    const host = this.find(servername);
    const mode = host?.clientMode ?? ClientMode.NONE;
    if (mode === ClientMode.NONE) return true;
    if (!hasCertificate) return mode === ClientMode.ALLOW;
    return isValid || host?.anyClient === true;
  }

  /** An exact name before the longest suffix before `*`. */
  find(servername: string): LaneTlsHost | undefined {
    const name = servername.toLowerCase();
    const { hosts } = this.tls;
    const exact = hosts.find((host) => host.name === name && name !== '*');
    if (exact !== undefined) return exact;
    const [longest] = hosts
      .filter((host) => host.name.startsWith('*.') && name.endsWith(host.name.slice(1)))
      .sort((one, other) => other.name.length - one.name.length);
    return longest ?? hosts.find((host) => host.name === '*');
  }
}

function alpnOf(protocols: number): string[] {
  return [
    ...((protocols & PROTOCOLS.http2) === 0 ? [] : ['h2']),
    ...((protocols & PROTOCOLS.http1) === 0 ? [] : ['http/1.1']),
  ];
}

function toContext(tls: LaneTls, host: LaneTlsHost | undefined): SecureContextOptions {
  const { ciphers = CIPHERS, cipherSuites = SUITES, groups = GROUPS } = tls;
  const identities = host?.identities ?? [];
  const pairs = identities.filter(({ cert }) => cert !== undefined);
  const archives = identities.flatMap(({ pfx, passphrase }) =>
    pfx === undefined
      ? []
      : [{ buf: Buffer.from(pfx), ...(passphrase === undefined ? {} : { passphrase }) }],
  );
  return {
    ...(pairs.length === 0 ? {} : { cert: pairs.map(certOf), key: pairs.map(keyOf) }),
    ...(archives.length === 0 ? {} : { pfx: archives }),
    ...(host?.authorities === undefined ? {} : { ca: Buffer.from(host.authorities) }),
    ciphers: `${cipherSuites}:${ciphers}`,
    ecdhCurve: groups,
    honorCipherOrder: true,
    minVersion: host?.minVersion === 0x0304 ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: host?.maxVersion === TLS_1_2 ? 'TLSv1.2' : 'TLSv1.3',
    sessionIdContext: 'windhover',
    ticketKeys: toTicketKey(tls.ticketKeys),
    sessionTimeout: tls.sessionSeconds,
    secureOptions:
      constants.SSL_OP_NO_RENEGOTIATION | (tls.tickets ? 0 : constants.SSL_OP_NO_TICKET),
  };
}

function isPem(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes('-----BEGIN ');
}

function certOf({ cert = new Uint8Array() }: LaneIdentity): string | Buffer {
  return isPem(cert) ? Buffer.from(cert) : new X509Certificate(cert).toString();
}

/** The key; without one of its own it stands among the certificates. */
function keyOf({ cert = new Uint8Array(), key = cert, passphrase }: LaneIdentity): {
  pem: string;
} {
  const bytes = Buffer.from(key);
  const secret = passphrase === undefined ? {} : { passphrase };
  const forms = isPem(key)
    ? [{ format: 'pem' as const }]
    : (['pkcs8', 'pkcs1', 'sec1'] as const).map((type) => ({ format: 'der' as const, type }));
  let failure: unknown;
  for (const form of forms) {
    try {
      const read = createPrivateKey({ key: bytes, ...form, ...secret });
      return { pem: read.export({ format: 'pem', type: 'pkcs8' }) as string };
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure instanceof Error ? failure : new Error('the key cannot be read');
}
