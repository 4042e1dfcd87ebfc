/** The connection behind an upgrade, as a stream with what programs expect of a socket. */
import { Duplex } from 'node:stream';
import { invalidArgument } from './errors.js';

/** Who is at the two ends. */
export type SocketEnds = readonly [
  remoteAddress: string | undefined,
  remotePort: number | undefined,
  localAddress: string | undefined,
  localPort: number | undefined,
];

/** Called when what was written may be forgotten. */
export type WriteDone = (error?: Error | null) => void;

/** What carries the bytes of an {@link UpgradedSocket}. */
export interface SocketLink {
  ends(): SocketEnds;
  write(data: Uint8Array, done: WriteDone): void;
  /** Our side ends, after what was written. */
  end(): void;
  /** Whether bytes are wanted. */
  read(on: boolean): void;
  /** The socket is destroyed. Called once. @param reset - Whether the peer is to see a reset. */
  close(reset: boolean): void;
}

/** What takes the bytes written to a socket before the answer is out. */
export interface SocketGate {
  write(data: Uint8Array, done: WriteDone): void;
  end(done: WriteDone): void;
  /** The socket is destroyed before it had a link. */
  destroyed(): void;
}

const NOWHERE: SocketEnds = [undefined, undefined, undefined, undefined];
/** The longest time that a timer of Node's can wait (ms). */
const TIMEOUT_MAX = 0x7fff_ffff;

/**
 * A connection that has left HTTP. A Duplex: the client's end is `end`, `end()` ends our side alone
 * (`allowHalfOpen`), a reset is an `error` with code `ECONNRESET`, and needs no listener. Of net.Socket it
 * has what WebSocket libraries and proxies use.
 *
 * When the server stops it emits `closing`. Where nobody listens for that it is ended and closed, as idle
 * connections are; a listener may let it go on until the shutdown time is over, when it is reset.
 */
export class UpgradedSocket extends Duplex {
  /** @internal Takes what is written before the answer. */
  _gate: SocketGate | undefined = undefined;
  /** Bytes that came so far. */
  bytesRead = 0;
  /** Bytes written so far. */
  bytesWritten = 0;
  /** The time without traffic after which it emits `timeout` (ms); 0: never. */
  timeout = 0;
  /** Always false: it is connected. For programs that look at a net.Socket. */
  readonly connecting = false;
  private link: SocketLink | undefined = undefined;
  private knownEnds: SocketEnds | undefined = undefined;
  private idleTimer: NodeJS.Timeout | undefined = undefined;
  private wantsReset = false;

  /** @internal */
  constructor(ends?: SocketEnds) {
    super({ allowHalfOpen: true });
    this.knownEnds = ends;
    // A stream that fails with nobody listening would end the process, and a client can make it fail.
    this.on('error', ignore);
  }

  /** The peer's IP address; `undefined` on a Unix socket. */
  get remoteAddress(): string | undefined {
    return this.ends()[0];
  }

  /** The peer's port. */
  get remotePort(): number | undefined {
    return this.ends()[1];
  }

  /** `IPv4` or `IPv6`. */
  get remoteFamily(): string | undefined {
    return familyOf(this.remoteAddress);
  }

  /** The address that the peer connected to; `undefined` on a Unix socket. */
  get localAddress(): string | undefined {
    return this.ends()[2];
  }

  /** The port that the peer connected to. */
  get localPort(): number | undefined {
    return this.ends()[3];
  }

  /** `IPv4` or `IPv6`. */
  get localFamily(): string | undefined {
    return familyOf(this.localAddress);
  }

  /** Our end, as net.Socket tells it. */
  address(): { address?: string; port?: number; family?: string } {
    const [, , address, port] = this.ends();
    return address === undefined ? {} : { address, port, family: familyOf(address) };
  }

  /** Does nothing: what is written goes out at the end of the turn (TCP_NODELAY is on). */
  setNoDelay(_on?: boolean): this {
    return this;
  }

  /** Does nothing: it is there because programs call it. */
  setKeepAlive(_on?: boolean, _delay?: number): this {
    return this;
  }

  /** Does nothing: as long as the server listens, or has connections, the process lives. */
  ref(): this {
    return this;
  }

  /** Does nothing; see {@link ref}. */
  unref(): this {
    return this;
  }

  /**
   * Emits `timeout` after so long without traffic (ms), once until there is traffic again; 0 turns it off.
   *
   * @param listener - Called at the next `timeout`; with 0, no longer called.
   * @throws TypeError WH_ERR_INVALID_ARGUMENT.
   */
  setTimeout(ms: number, listener?: () => void): this {
    if (typeof ms !== 'number' || !(ms >= 0)) {
      throw invalidArgument('ms', 'a number of milliseconds, 0 or more', ms);
    }
    if (listener !== undefined && typeof listener !== 'function') {
      throw invalidArgument('listener', 'a function', listener);
    }
    clearTimeout(this.idleTimer);
    this.idleTimer = undefined;
    this.timeout = Math.min(ms, TIMEOUT_MAX);
    if (listener !== undefined) {
      if (ms === 0) this.removeListener('timeout', listener);
      else this.once('timeout', listener);
    }
    if (this.timeout > 0 && !this.destroyed) {
      this.idleTimer = setTimeout(() => {
        this.emit('timeout');
      }, this.timeout).unref();
    }
    return this;
  }

  /** Ends our side, and closes once everything is handed over. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy.bind(this, undefined));
  }

  /** Closes at once, so that the peer sees a reset. */
  resetAndDestroy(): this {
    this.wantsReset = true;
    return this.destroy();
  }

  /** @internal The answer is out: from now on bytes go to the link and come from it. */
  _attach(link: SocketLink): void {
    this.link = link;
    this._gate = undefined;
    if (this.destroyed) link.close(this.wantsReset);
    else this.read(0); // an end of the peer's is to be noticed even where nobody reads
  }

  /** @internal Writes what came along with the answer's head. */
  _writeOn(data: Uint8Array, done: WriteDone): void {
    if (this.link === undefined) done();
    else this.link.write(data, done);
  }

  /** @internal Bytes have come. @returns Whether more are wanted now. */
  _receive(data: Uint8Array): boolean {
    this.bytesRead += data.byteLength;
    this.idleTimer?.refresh();
    return this.push(data);
  }

  /** @internal The peer has ended its side. */
  _receiveEnd(): void {
    this.push(null);
    this.read(0); // where nothing waits to be read, that is the end, whether somebody reads or not
  }

  /** @internal The server stops. */
  _tellStopping(): void {
    if (this.destroyed) return;
    if (!this.emit('closing')) this.destroySoon();
  }

  /** @internal */
  override _read(): void {
    this.link?.read(true);
  }

  /** @internal */
  override _write(chunk: Uint8Array, _encoding: string, done: WriteDone): void {
    this.bytesWritten += chunk.byteLength;
    this.idleTimer?.refresh();
    const sink = this._gate ?? this.link;
    if (sink === undefined) done(new Error('the socket is not connected'));
    else sink.write(chunk, done);
  }

  /** @internal */
  override _final(done: WriteDone): void {
    if (this._gate !== undefined) {
      this._gate.end(done);
      return;
    }
    this.link?.end();
    done();
  }

  /** @internal */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.idleTimer);
    this.idleTimer = undefined;
    this.link?.close(this.wantsReset);
    const gate = this._gate;
    this._gate = undefined;
    gate?.destroyed();
    done(error);
  }

  private ends(): SocketEnds {
    if (this.knownEnds !== undefined) return this.knownEnds;
    if (this.link === undefined || this.destroyed) return NOWHERE;
    return (this.knownEnds = this.link.ends());
  }
}

function familyOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

function ignore(): void {
  // Nobody listens.
}
