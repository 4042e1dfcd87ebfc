/**
 * The tunnel that a connection of the core has become: bytes between its slot and the socket that the
 * application has. It outlives the exchange, and has the slot until both are done with it.
 */
import type {
  SocketEnds,
  SocketLink,
  UpgradedSocket,
  WriteDone,
} from '../../http/upgraded-socket.js';
import { Command, CommandFlag } from '../../native/generated/shared-layout.js';
import { copyBytes } from '../../native/request-body.js';
import type { RunningExchange, Slot } from '../../native/slot.js';

/** After this many bytes a writer waits for the client. Source: Kestrel's MaxWriteBufferSize. */
const WRITE_HIGH = 65_536;

export class UpgradeLink implements SocketLink, RunningExchange {
  /** The exchange is over: events come here, and nobody else needs the slot. */
  private detached = false;
  /** The socket is destroyed. */
  private closed = false;
  /** The connection is gone. */
  private gone = false;
  private inputOver = false;
  private outputOver = false;
  private reading = false;
  private toldStopping = false;
  /** Bytes written since the core last said that there is room. */
  private unconfirmed = 0;
  /** What is being written, and waits for room. */
  private data: Uint8Array | undefined = undefined;
  private offset = 0;
  private done: WriteDone | undefined = undefined;

  constructor(
    private readonly slot: Slot,
    private readonly generation: number,
    private readonly socket: UpgradedSocket,
  ) {}

  // --- for the socket ---

  ends(): SocketEnds {
    if (this.gone || this.closed) return [undefined, undefined, undefined, undefined];
    const told = this.slot.host.addresses(this.slot, this.generation, false);
    if (told === null) return [undefined, undefined, undefined, undefined];
    const [remote, remotePort, local, localPort] = told;
    return remote === '' || local === ''
      ? [undefined, undefined, undefined, undefined]
      : [remote, remotePort, local, localPort];
  }

  write(data: Uint8Array, done: WriteDone): void {
    if (this.gone) return; // the socket is being destroyed
    this.data = data;
    this.offset = 0;
    this.done = done;
    this.goOn();
  }

  end(): void {
    if (this.outputOver || this.gone) return;
    this.outputOver = true;
    this.order(Command.END);
  }

  read(on: boolean): void {
    if (this.reading === on || this.inputOver || this.gone || this.closed) return;
    this.reading = on;
    this.order(on ? Command.READ : Command.PAUSE);
  }

  close(reset: boolean): void {
    if (this.closed) return;
    this.closed = true;
    // What waits for room would be lost in silence: then the peer is to see that.
    if (!this.gone && (reset || this.data !== undefined)) this.order(Command.ABORT);
    else if (!this.detached) this.end();
    this.data = undefined;
    this.done = undefined;
    if (this.detached) this.release();
  }

  // --- for the exchange ---

  /** The exchange is over; the slot is the tunnel's alone. */
  detach(): void {
    this.detached = true;
    if (this.closed) this.release();
    else this.slot.running = this;
  }

  // --- what the core reports ---

  onBody(offset: number, length: number): void {
    if (this.closed || this.inputOver) return;
    const bytes = copyBytes(this.slot.host.arena, offset, length);
    if (!this.socket._receive(bytes)) this.read(false);
  }

  onFileDone(): void {
    // No file goes into a tunnel.
  }

  onTrailers(): void {
    // A tunnel has none.
  }

  onBodyEnd(): void {
    if (this.closed || this.inputOver) return;
    this.inputOver = true;
    this.socket._receiveEnd();
  }

  onAborted(): void {
    this.gone = true;
    this.socket.destroy(connectionReset());
  }

  onRoom(): void {
    if (this.data !== undefined && !this.closed) this.goOn();
  }

  onStopping(): void {
    if (this.toldStopping || this.closed) return;
    this.toldStopping = true;
    // One by one: what a listener throws is its own affair.
    process.nextTick(tellStopping, this.socket);
  }

  /** Writes in pieces, each of which is copied: whoever wrote may use the memory again after `done`. */
  private goOn(): void {
    const { data, done, slot } = this;
    if (data === undefined) return;
    while (this.offset < data.byteLength) {
      const piece = data.subarray(this.offset, this.offset + WRITE_HIGH);
      this.offset += piece.byteLength;
      this.unconfirmed += piece.byteLength;
      const full = this.unconfirmed >= WRITE_HIGH;
      const flags = full ? CommandFlag.NOTIFY : 0;
      slot.host.commands.copy(Command.WRITE, flags, slot.number, this.generation, piece);
      if (!full) continue;
      this.unconfirmed = 0;
      return;
    }
    this.data = undefined;
    this.done = undefined;
    done?.();
  }

  private release(): void {
    this.slot.running = undefined;
    this.order(Command.RELEASE);
  }

  private order(kind: number): void {
    this.slot.host.commands.bare(kind, 0, this.slot.number, this.generation);
  }
}

function tellStopping(socket: UpgradedSocket): void {
  socket._tellStopping();
}

/** The error of a socket whose peer is gone, as net.Socket has it. */
function connectionReset(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
}
