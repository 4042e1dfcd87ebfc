/** The addon's face, typed. Only this folder touches it. */
import loader from './load-addon.cjs';

/** A reason for which the core refuses requests. */
export interface LaneRefusal {
  readonly number: number;
  readonly reason: string;
  readonly status: number;
  readonly detail: string;
}

/** How requests refused for a reason are answered: header lines with their CRLFs, and a body. */
export interface LaneRefusalAnswer {
  readonly number: number;
  readonly head: string;
  readonly body: string;
}

/** The limits and switches that the core knows by name. `null` or `Infinity` means no limit. */
export interface LaneOptions {
  readonly [limit: string]: number | boolean | null | undefined | readonly LaneRefusalAnswer[];
  /** Microseconds to poll after traffic; -1 = adaptive, 0 = never. */
  readonly busyPoll?: number;
  readonly addServerHeader?: boolean;
  readonly refusals?: readonly LaneRefusalAnswer[];
  readonly allowRawQueryCharacters?: boolean;
  readonly allowBareLineFeed?: boolean;
  readonly allowHostHeaderOverride?: boolean;
  /** Whether connections over maxConcurrentConnections are closed rather than answered 503. */
  readonly closeOverLimit?: boolean;
}

/** A certificate with its key: see the core's wh_tls_identity. */
export interface LaneIdentity {
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
  readonly pfx?: Uint8Array;
  readonly passphrase?: string;
  readonly ocsp?: Uint8Array;
}

/** What clients get that name such a host: see the core's wh_tls_host. */
export interface LaneTlsHost {
  readonly name: string;
  readonly identities: readonly LaneIdentity[];
  /** Bits: 1 HTTP/1, 2 HTTP/2. */
  readonly protocols: number;
  readonly minVersion: number;
  readonly maxVersion: number;
  readonly clientMode: number;
  readonly anyClient: boolean;
  /** PEM. */
  readonly authorities?: Uint8Array;
}

/** What an endpoint presents: see the core's wh_tls_settings. */
export interface LaneTls {
  readonly hosts: readonly LaneTlsHost[];
  readonly protocols: number;
  readonly ciphers?: string;
  readonly cipherSuites?: string;
  readonly groups?: string;
  readonly tickets: boolean;
  readonly sessionSeconds: number;
  readonly ticketKeys: Uint8Array;
}

/** What is known of a connection's TLS: see the core's wh_tls_facts. */
export interface LaneTlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  readonly alpn: string;
  readonly hostName: string;
  readonly group: string;
  readonly bits: number;
  readonly resumed: boolean;
  /** 1: the client's certificate is verified, 0: it is not, -1: there is none. */
  readonly verified: number;
}

/** An endpoint as the core takes it: exactly one of url, host, path and fd. */
export interface LaneEndpoint {
  readonly fd?: number;
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly backlog?: number;
  readonly unixMode?: number;
  readonly unixUid?: number;
  readonly unixGid?: number;
  readonly reusePort?: boolean;
  readonly ipv6Only?: boolean;
  readonly noDelay?: boolean;
  /** Networks with blanks between them: peers that may send a PROXY header. */
  readonly proxies?: string;
  readonly requiresProxy?: boolean;
  /** Networks with blanks between them: clients that may come in, and that may not. */
  readonly allow?: string;
  readonly deny?: string;
  /** CONNECTION events; the second: connections wait for decideConnection; the third: bytes too. */
  readonly watched?: boolean;
  readonly asks?: boolean;
  readonly bytes?: boolean;
  /** Bits: 1 HTTP/1, 2 HTTP/2. */
  readonly protocols?: number;
  /** Speaks TLS. */
  readonly tls?: LaneTls;
}

/** What the core knows of a watched connection; see native/binding/watched.h. */
export type LaneConnection = readonly [
  number: number,
  endpoint: number,
  isOpen: number,
  reason: number,
  duration: number,
  bytesReceived: number,
  bytesSent: number,
  requests: number,
  remoteAddress: string,
  remotePort: number,
  localAddress: string,
  localPort: number,
  socketRemoteAddress: string,
  socketRemotePort: number,
  socketLocalAddress: string,
  socketLocalPort: number,
];

/** What the core calls. None of them may throw. */
export interface LaneHandlers {
  /** Events `first` to `first + count - 1` are to be handled; returns when that has happened. */
  onBatch(first: number, count: number): void;
  /** Slab `number` stands in this memory from now on; in none where it is `undefined`. */
  onSlab(number: number, memory: ArrayBuffer | undefined, slotSize: number): void;
  /** After `stop`: no listener and no connection is left. */
  onDrained(): void;
}

/** Counters since the lane was made, and what there is now. */
export interface LaneMetrics {
  readonly connections: number;
  readonly totalConnections: number;
  readonly upgradedConnections: number;
  readonly requests: number;
  readonly activeRequests: number;
  readonly answers: number;
  readonly refused: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly batches: number;
  readonly rejectedConnections: number;
  readonly refusedConnections: number;
  readonly acceptPauses: number;
  readonly pinnedBuffers: number;
  /** By the number of the reason; see Addon.refusals. */
  readonly refusals: Float64Array;
  /** Heads of answers by status; 0 = no status. */
  readonly statuses: Float64Array;
  /** In the order of Addon.timeouts. */
  readonly timeouts: Float64Array;
  /** Since the lane was made. */
  readonly http2Connections: number;
  /** Connections that a flood ended, in the order of Addon.floods. */
  readonly http2Floods: Float64Array;
  /** TLS handshakes done, of those by an older session, ended without; and under way. */
  readonly tlsHandshakes: number;
  readonly tlsResumed: number;
  readonly tlsFailed: number;
  readonly tlsActive: number;
  /** Those done by time from the accept. */
  readonly tlsCounts: Float64Array;
  readonly tlsSum: number;
  /** The upper ends of the buckets of each histogram (µs), exclusive. */
  readonly bounds: Float64Array;
  /** Requests by time from the first byte to the dispatch. */
  readonly receivingCounts: Float64Array;
  readonly receivingSum: number;
  /** Requests by time from the start of the turn to their batch. */
  readonly queueingCounts: Float64Array;
  readonly queueingSum: number;
  /** Answers by time from the dispatch to their end. */
  readonly latencyCounts: Float64Array;
  readonly latencySum: number;
}

/** A row of the core's table of limits. `Infinity` stands for no limit. */
export interface LaneLimit {
  readonly name: string;
  readonly unit: string;
  /** What happens to who exceeds it. */
  readonly effect: string;
  readonly initial: number;
  readonly least: number;
  readonly greatest: number;
  readonly canBeUnlimited: boolean;
}

/** The limits in force, by name (see ServerLimits); Infinity where there is none. */
export interface LaneLimits {
  readonly maxRequestBodySize: number;
  readonly maxRequestBufferSize: number;
  readonly maxResponseBufferSize: number;
  readonly 'minRequestBodyDataRate.bytesPerSecond': number;
  readonly 'minRequestBodyDataRate.gracePeriod': number;
  readonly 'minResponseDataRate.bytesPerSecond': number;
  readonly 'minResponseDataRate.gracePeriod': number;
}

/** One server of the core: its shared memory and its functions. */
export interface Lane {
  readonly arena: ArrayBuffer;
  readonly events: ArrayBuffer;
  readonly commands: ArrayBuffer;
  readonly control: ArrayBuffer;
  readonly limits: LaneLimits;
  /**
   * Looks bytes of a slab up among those seen before. The place of their string, 0 to 1,023; -1 - place
   * where that string has to be made; less than -1,024 where they are too long to keep.
   */
  intern(slab: number, offset: number, length: number): number;
  /** Takes the commands now. */
  commit(): void;
  /** Holds a buffer until it is sent; the number to name it by. */
  pin(bytes: Uint8Array): number;
  /**
   * Duplicates a file's descriptor; the number for the command FILE, with which the duplicate becomes the
   * core's. Throws EBADF, EMFILE.
   */
  addFile(descriptor: number): number;
  listen(endpoint: LaneEndpoint): void;
  /**
   * What new connections of an endpoint (by its number in the order of `listen`) get from now on. Throws
   * where the settings are no good; all is then as before.
   */
  setTls(endpoint: number, tls: LaneTls): void;
  /** Other ticket keys for an endpoint: 80 bytes each, the first one seals. */
  setTicketKeys(endpoint: number, keys: Uint8Array): void;
  /** The TLS of the connection of an exchange; null on cleartext, or once the client is gone. */
  exchangeTls(slot: number, generation: number): LaneTlsFacts | null;
  /** The client's certificate and those above it, as DER; none where there is none. */
  exchangePeerCertificates(slot: number, generation: number): Buffer[];
  /** The binding tls-exporter of RFC 9266, 32 bytes; null where there is none. */
  exchangeChannelBinding(slot: number, generation: number): Buffer | null;
  urls(): string[];
  /** [remote address, remote port, local address, local port]; null once the client is gone. */
  addresses(
    slot: number,
    generation: number,
    /** Those of the socket, not what a PROXY header told. */
    ofSocket: boolean,
  ): [string, number, string, number] | null;
  /** What is known of a watched connection, now or at its end; null where the handle is unknown. */
  connection(handle: number): LaneConnection | null;
  /** A watched connection that is gone needs no more be kept. */
  forgetConnection(handle: number): void;
  /** Lets a connection in that waits for that, or closes it. */
  decideConnection(handle: number, admit: boolean): void;
  /** The bytes of the next BYTES event. */
  nextBytes(): ArrayBuffer | null;
  stopListening(): void;
  /** Ends connections with their next answer, idle ones after so many milliseconds. */
  stop(window: number): void;
  abort(): void;
  close(): void;
  keepAlive(on: boolean): void;
  metrics(): LaneMetrics;
}

/** What the addon exports. */
export interface Addon {
  /** Throws what `create` would throw for a bad option. */
  checkOptions(options: LaneOptions): void;
  create(options: LaneOptions, handlers: LaneHandlers): Lane;
  /** All the reasons for which requests are refused. */
  refusals(): LaneRefusal[];
  /** All the limits. */
  limitTable(): LaneLimit[];
  /** The names of what LaneMetrics.timeouts counts. */
  timeouts(): string[];
  /** The names of what LaneMetrics.http2Floods counts. */
  floods(): string[];
  /** The files that the libraries' functions come from; for the test suite. */
  symbolOrigins(): Record<string, string | null>;
}

let addon: Addon | undefined;

/**
 * The addon, loaded at the first call.
 *
 * @throws Error as `require` does, where no binary for this platform is there.
 */
export function getAddon(): Addon {
  return (addon ??= loader.loadAddon() as Addon);
}
