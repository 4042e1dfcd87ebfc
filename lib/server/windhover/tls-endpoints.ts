/**
 * The endpoints of a server that speak TLS, and their certificates: read at the start, and again when their
 * files change. Files are looked at once a second rather than watched by the system, so that a change of
 * whatever kind is seen: a file written anew or moved into the place of another, a link that leads elsewhere
 * (as Kubernetes swaps whole folders), a network's file system. Source: Kestrel's CertificatePathWatcher.
 */
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { NativeServer } from '../../native/native-server.js';
import type { LaneEndpoint, LaneTls } from '../../native/addon.js';
import type { Logger } from '../log-events.js';
import { logEvent, LogEvents } from '../log-events.js';
import { type CheckedHttps, checkTicketKeys } from './https-check.js';
import { filesOf, readTls } from './tls-material.js';

/** How often files are looked at (ms). */
const INTERVAL = 1_000;

/** Bytes of a ticket key: the core's WH_TLS_TICKET_KEY_SIZE. */
const TICKET_KEY_SIZE = 80;

/** An endpoint, as far as its TLS goes. */
interface TlsEndpoint {
  readonly index: number;
  readonly https: CheckedHttps;
  readonly files: readonly string[];
  /** The same after every change of certificates, so that sessions can be resumed. */
  ticketKeys: Uint8Array;
  /** What the files were like when they were last read. */
  signature: string;
  /** Why what they had last could not be used. */
  failure: string | undefined;
}

type TlsServer = Pick<NativeServer, 'setTls' | 'setTicketKeys'>;

export class TlsEndpoints {
  private readonly endpoints: TlsEndpoint[] = [];
  private timer: NodeJS.Timeout | undefined;
  private isLooking = false;
  private isClosed = false;

  constructor(
    private readonly native: TlsServer,
    private readonly logger: Logger | undefined,
  ) {}

  /**
   * Reads what an endpoint presents, and has it listened on.
   *
   * @param index - The endpoint's number in the order of `listen`.
   * @throws As `readTls` and `listen` do.
   */
  open(
    index: number,
    https: CheckedHttps,
    lane: LaneEndpoint,
    listen: (lane: LaneEndpoint) => void,
  ): void {
    const files = filesOf(https);
    const signature = files.map(signatureNow).join();
    const ticketKeys = https.ticketKeys ?? randomBytes(TICKET_KEY_SIZE);
    const tls = readTls(https, ticketKeys);
    listen({ ...lane, tls });
    this.endpoints.push({ index, https, files, ticketKeys, signature, failure: undefined });
  }

  /** Looks after the files from now on, where there are any. */
  watch(): void {
    if (!this.endpoints.some(isWatched)) return;
    this.timer = setInterval(() => {
      void this.look();
    }, INTERVAL);
    this.timer.unref();
  }

  /**
   * Reads all certificates again. Those that cannot be used stay as they were.
   *
   * @throws What was wrong with the first of them; an AggregateError of several.
   */
  reload(): void {
    const errors: unknown[] = [];
    for (const endpoint of this.endpoints) {
      endpoint.signature = endpoint.files.map(signatureNow).join();
      try {
        this.swap(endpoint);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 1) throw new AggregateError(errors, 'certificates cannot be used');
    if (errors.length === 1) throw errors[0];
  }

  /**
   * Other ticket keys for all endpoints.
   *
   * @throws TypeError or RangeError WH_ERR_INVALID_OPTION
   */
  setTicketKeys(keys: unknown): void {
    const checked = checkTicketKeys('ticketKeys', keys);
    for (const endpoint of this.endpoints) {
      this.native.setTicketKeys(endpoint.index, checked);
      endpoint.ticketKeys = checked;
    }
  }

  close(): void {
    this.isClosed = true;
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    if (this.isLooking) return; // a slow file system
    this.isLooking = true;
    try {
      for (const endpoint of this.endpoints.filter(isWatched)) {
        const signature = (await Promise.all(endpoint.files.map(signatureOf))).join();
        if (this.isClosed) return;
        // What could not be used is tried again even where nothing has changed that can be seen.
        if (signature === endpoint.signature && endpoint.failure === undefined) continue;
        endpoint.signature = signature;
        this.tryToSwap(endpoint);
      }
    } finally {
      this.isLooking = false;
    }
  }

  private tryToSwap(endpoint: TlsEndpoint): void {
    const { failure } = endpoint;
    try {
      this.swap(endpoint);
    } catch (error) {
      if (endpoint.failure === failure) return; // told already
      const details = { err: error, endpoint: endpoint.https.name, files: endpoint.files };
      logEvent(this.logger, LogEvents.certificatesNotReloaded, details);
      if (this.logger === undefined) say(String(endpoint.failure));
    }
  }

  /** Presents what the files have now. */
  private swap(endpoint: TlsEndpoint): void {
    const { index, https, ticketKeys, files } = endpoint;
    try {
      const tls: LaneTls = readTls(https, ticketKeys);
      this.native.setTls(index, tls);
      endpoint.failure = undefined;
    } catch (error) {
      if (error instanceof Error && !error.message.includes(https.name)) {
        error.message = `${https.name}: ${error.message}`;
      }
      endpoint.failure = error instanceof Error ? error.message : 'unknown';
      throw error;
    }
    logEvent(this.logger, LogEvents.certificatesReloaded, { endpoint: https.name, files });
  }
}

function isWatched({ https, files }: TlsEndpoint): boolean {
  return https.reloadOnChange && files.length > 0;
}

interface FileState {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

function toSignature({ dev, ino, size, mtimeNs, ctimeNs }: FileState): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

function toMissing(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}

/** What tells a file's content from another one's; where there is none, why. */
async function signatureOf(file: string): Promise<string> {
  try {
    return toSignature(await stat(file, { bigint: true }));
  } catch (error) {
    return toMissing(error);
  }
}

function signatureNow(file: string): string {
  try {
    return toSignature(statSync(file, { bigint: true }));
  } catch (error) {
    return toMissing(error);
  }
}

/** Where there is no logger. */
function say(message: string): void {
  try {
    console.error(`windhover: certificates were not reloaded, the old ones stay: ${message}`);
  } catch {
    // A console that fails must not cost more than the line.
  }
}
