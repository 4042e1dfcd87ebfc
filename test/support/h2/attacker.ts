/**
 * A client of HTTP/2 that attacks: it sends what it likes as fast as the server takes it, and only counts
 * what comes back. For attacks by the thousand: it keeps nothing of what it has seen.
 */
import type { Socket } from 'node:net';
import { connect as connectSocket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { SettingEntry } from './frames.js';
import {
  Flag,
  FrameType,
  HEADER_LENGTH,
  PREFACE,
  codeName,
  settings,
  settingsAck,
  typeName,
} from './frames.js';
import type { Code } from './received.js';

export interface AttackerOptions {
  readonly port: number;
  /** TLS, with these options. */
  readonly tls?: ConnectionOptions;
  /** Our SETTINGS. */
  readonly settings?: readonly SettingEntry[];
  /** Whether SETTINGS are acknowledged. Default true. */
  readonly ack?: boolean;
  /** Sends nothing by itself, not even a preface. */
  readonly silent?: boolean;
}

/** About how many bytes are written at once. */
const CHUNK = 65_536;

export class Attacker {
  /** Frames that came, by type; resets also by code. */
  readonly counts = new Map<string, number>();
  bytesSent = 0;
  bytesReceived = 0;
  /** The code of the last GOAWAY. */
  goaway: Code | undefined = undefined;
  /** How the connection ended. */
  ending: 'end' | 'reset' | undefined = undefined;
  /** The id of the stream that was opened last. */
  lastId = -1;
  /** Called for each frame that came. */
  onFrame: (type: number, streamId: number, length: number, isEnd: boolean) => void = () =>
    undefined;
  private rest: Buffer = Buffer.alloc(0);
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly over: Promise<void>;
  private endIt: () => void = () => undefined;

  private constructor(
    readonly socket: Socket,
    private readonly options: AttackerOptions,
  ) {
    this.over = new Promise((resolve) => {
      this.endIt = resolve;
    });
    socket.on('data', (chunk: Buffer) => {
      this.read(chunk);
    });
    socket.on('end', () => {
      this.finish('end');
    });
    socket.on('error', () => {
      this.finish('reset');
    });
    socket.on('close', () => {
      this.finish('end');
    });
  }

  /** Connects, and sends the preface and SETTINGS. */
  static async open(options: AttackerOptions): Promise<Attacker> {
    const { port, tls, silent = false } = options;
    const where = { host: '127.0.0.1', port, allowHalfOpen: true };
    const socket = await new Promise<Socket>((resolve, reject) => {
      const made: Socket =
        tls === undefined
          ? connectSocket(where, () => {
              resolve(made);
            })
          : connectTls({ ALPNProtocols: ['h2'], ...tls, ...where }, () => {
              resolve(made);
            });
      made.once('error', reject);
    });
    socket.removeAllListeners('error');
    socket.setNoDelay(true);
    const attacker = new Attacker(socket, options);
    if (silent) return attacker;
    attacker.send(PREFACE, settings(...(options.settings ?? [])));
    // Its acknowledgement must not come in between frames that belong together.
    while (!attacker.counts.has('SETTINGS') && !attacker.isOver) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    return attacker;
  }

  get isOver(): boolean {
    return this.ending !== undefined;
  }

  nextId(): number {
    this.lastId += 2;
    return this.lastId;
  }

  /** Sends bytes, all in one write; whether there is room for more. */
  send(...bytes: readonly Uint8Array[]): boolean {
    if (this.isOver || !this.socket.writable) return false;
    const all = Buffer.concat(bytes);
    this.bytesSent += all.length;
    return this.socket.write(all);
  }

  /**
   * Sends something so many times, as fast as the server takes it, until the connection ends.
   *
   * @returns How many were sent.
   */
  async flood(count: number, make: (n: number) => Uint8Array): Promise<number> {
    let n = 0;
    while (n < count && !this.isOver) {
      const pieces: Uint8Array[] = [];
      for (let size = 0; n < count && size < CHUNK; n++) {
        const piece = make(n);
        size += piece.length;
        pieces.push(piece);
      }
      if (!this.send(...pieces) && !this.isOver && this.socket.writable) await this.drained();
      // What came has to be seen, too.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return n;
  }

  /** Does something every so many milliseconds until the connection ends. */
  every(milliseconds: number, act: () => void): void {
    this.timers.push(
      setInterval(() => {
        if (this.isOver) return;
        act();
      }, milliseconds),
    );
  }

  /** Does something after so many milliseconds, unless the connection has ended. */
  after(milliseconds: number, act: () => void): void {
    this.timers.push(setTimeout(act, milliseconds));
  }

  /** Settles when the connection is over, or after so many milliseconds. */
  async end(patience: number): Promise<void> {
    this.after(patience, this.endIt);
    await this.over;
    for (const timer of this.timers) clearTimeout(timer);
    this.onFrame = () => undefined;
    this.socket.destroy();
  }

  /** How it ended, in a word: the code of GOAWAY, `closed`, or `still open`. */
  get outcome(): string {
    if (this.goaway !== undefined) return this.goaway;
    return this.ending === undefined ? 'still open' : 'closed';
  }

  /** What came, in a few words. */
  get answers(): string {
    const frames = [...this.counts].map(([name, count]) => `${count.toLocaleString('en')} ${name}`);
    return [...frames, this.ending ?? 'nothing more'].join(', ');
  }

  private async drained(): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.socket.off('drain', wake);
        resolve();
      };
      this.socket.once('drain', wake);
      void this.over.then(wake);
    });
  }

  private count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  private read(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    let at = 0;
    while (bytes.length - at >= HEADER_LENGTH) {
      const end = at + HEADER_LENGTH + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      this.take(
        bytes[at + 3],
        bytes[at + 4],
        bytes.readUInt32BE(at + 5),
        bytes.subarray(at + 9, end),
      );
      at = end;
    }
    this.rest = bytes.subarray(at);
  }

  private take(type: number, flags: number, streamId: number, payload: Buffer): void {
    const isAck = (flags & Flag.ACK) !== 0;
    if (type === FrameType.RST_STREAM) {
      this.count(`RST_STREAM ${codeName(payload.readUInt32BE(0))}`);
    } else if (type === FrameType.GOAWAY) {
      this.goaway = codeName(payload.readUInt32BE(4));
      this.count(`GOAWAY ${this.goaway}`);
    } else if (type === FrameType.SETTINGS || type === FrameType.PING) {
      this.count(`${typeName(type)}${isAck ? ' ACK' : ''}`);
    } else {
      this.count(typeName(type));
    }
    if (type === FrameType.SETTINGS && !isAck && this.options.ack !== false) {
      this.send(settingsAck());
    }
    this.onFrame(type, streamId, payload.length, (flags & Flag.END_STREAM) !== 0);
  }

  private finish(how: 'end' | 'reset'): void {
    this.ending ??= how;
    this.endIt();
  }
}
