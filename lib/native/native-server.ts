/** One server of the core, seen from JavaScript: its memory, its commands, and its events in batches. */
import { Buffer } from 'node:buffer';
import type {
  Lane,
  LaneConnection,
  LaneEndpoint,
  LaneLimits,
  LaneMetrics,
  LaneOptions,
  LaneTls,
  LaneTlsFacts,
} from './addon.js';
import { getAddon } from './addon.js';
import { CommandWriter } from './command-writer.js';
import { Control, Event, EventFlag, Slab as SlabLayout } from './generated/shared-layout.js';
import { KnownHeads } from './head-cache.js';
import type { FloodedConnection, RefusedRequest } from './refused-request.js';
import { readFloodedConnection, readRefusedRequest } from './refused-request.js';
import { InternedStrings, Slab } from './slab.js';
import { KnownPaths, Slot, type SlotHost } from './slot.js';

/** Bytes of a trailer section. */
const TRAILERS = Event.BODY | (EventFlag.TRAILERS << 8);

const PLACES = (1 << SlabLayout.SHIFT) - 1;

/** Which refusals the core tells: all, or one a second at most, so that who begins to listen is noticed. */
export const RefusalsTold = { ALL: 1, SAMPLES: 2 } as const;
export type RefusalsTold = (typeof RefusalsTold)[keyof typeof RefusalsTold];

/** What the layer above does for a native server. None of these may throw. */
export interface RequestHandler {
  /** Requests are about to come. Returns which refusals are to be told from now on. */
  onBatch(): RefusalsTold;
  /** The core has refused a request. */
  onRefused(refused: RefusedRequest): void;
  /** The core ends a connection because of a flood. */
  onFlooded(flooded: FloodedConnection): void;
  /** A request is in the slot. What is still running when this returns is `slot.running`. */
  onRequest(slot: Slot): void;
  /** A field that only HTTP/1 has was left out of an answer on HTTP/2. */
  onFieldDropped(name: string): void;
  /** After `stop`: no listener and no connection is left. */
  onDrained(): void;
}

/** What the layer above does for connections that it watches. May not throw. */
export interface ConnectionHandler {
  /** @param news - A ConnectionNews. @param a - What the kind of news says it is. */
  onConnection(news: number, handle: number, a: number): void;
}

/** The slots of a slab, by their places in it. */
function makeSlots(host: SlotHost, slab: Slab, size: number): Slot[] {
  const slots: Slot[] = [];
  for (let base = 0; base < size; base += slab.slotSize) {
    slots.push(new Slot(host, slab, base, (slab.number << SlabLayout.SHIFT) | slots.length));
  }
  return slots;
}

export class NativeServer implements SlotHost {
  readonly commands: CommandWriter;
  readonly arena: Uint8Array;
  readonly heads = new KnownHeads();
  readonly paths = new KnownPaths();
  readonly maxRequestBodySize: number | null;
  readonly limits: LaneLimits;
  private readonly lane: Lane;
  private readonly events: Uint32Array;
  private readonly control: Uint32Array;
  private readonly interned: InternedStrings;
  private readonly slabs: (readonly Slot[])[] = [];
  private closed = false;
  private isStopping = false;

  /**
   * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value; Error with the
   * code of a wh_error.
   */
  constructor(
    options: LaneOptions,
    private readonly handler: RequestHandler,
    private readonly connections: ConnectionHandler | undefined = undefined,
  ) {
    const lane = getAddon().create(options, {
      onBatch: (first, count) => {
        this.handleBatch(first, count);
      },
      onSlab: (number, memory, slotSize) => {
        if (memory === undefined) {
          this.slabs[number] = []; // what comes of its last request finds nobody
          return;
        }
        const slab = new Slab(number, memory, slotSize, this.interned);
        this.slabs[number] = makeSlots(this, slab, memory.byteLength);
      },
      onDrained: () => {
        this.handler.onDrained();
      },
    });
    this.lane = lane;
    this.interned = new InternedStrings(lane);
    this.commands = new CommandWriter(lane);
    this.arena = Buffer.from(lane.arena);
    this.limits = lane.limits;
    this.events = new Uint32Array(lane.events);
    this.control = new Uint32Array(lane.control);
    const { control } = this;
    const { maxRequestBodySize } = lane.limits;
    this.maxRequestBodySize = maxRequestBodySize === Infinity ? null : maxRequestBodySize;
    control[Control.REFUSALS] = handler.onBatch();
  }

  listen(endpoint: LaneEndpoint): void {
    this.lane.listen(endpoint);
  }

  /** What new connections of an endpoint get from now on. Throws where it cannot be used. */
  setTls(endpoint: number, tls: LaneTls): void {
    this.lane.setTls(endpoint, tls);
  }

  setTicketKeys(endpoint: number, keys: Uint8Array): void {
    this.lane.setTicketKeys(endpoint, keys);
  }

  onFieldDropped(name: string): void {
    this.handler.onFieldDropped(name);
  }

  exchangeTls(slot: Slot, generation: number): LaneTlsFacts | null {
    return this.lane.exchangeTls(slot.number, generation);
  }

  exchangePeerCertificates(slot: Slot, generation: number): Buffer[] {
    return this.lane.exchangePeerCertificates(slot.number, generation);
  }

  exchangeChannelBinding(slot: Slot, generation: number): Buffer | null {
    return this.lane.exchangeChannelBinding(slot.number, generation);
  }

  urls(): string[] {
    return this.lane.urls();
  }

  addresses(
    slot: Slot,
    generation: number,
    ofSocket: boolean,
  ): [string, number, string, number] | null {
    return this.lane.addresses(slot.number, generation, ofSocket);
  }

  /** What is known of a watched connection; null where there is none of that handle, or no server. */
  connection(handle: number): LaneConnection | null {
    return this.closed ? null : this.lane.connection(handle);
  }

  forgetConnection(handle: number): void {
    if (!this.closed) this.lane.forgetConnection(handle);
  }

  decideConnection(handle: number, admit: boolean): void {
    if (!this.closed) this.lane.decideConnection(handle, admit);
  }

  /** The bytes of the next BYTES event. */
  nextBytes(): ArrayBuffer | null {
    return this.closed ? null : this.lane.nextBytes();
  }

  addFile(descriptor: number): number {
    return this.lane.addFile(descriptor);
  }

  stopListening(): void {
    this.lane.stopListening();
  }

  get stopping(): boolean {
    return this.isStopping;
  }

  /**
   * Connections end with their next answer, or after `window` ms without one; upgraded ones are told.
   */
  stop(window: number): void {
    this.isStopping = true;
    this.lane.stop(window);
    for (const slots of this.slabs) for (const slot of slots) slot.running?.onStopping();
  }

  abort(): void {
    this.lane.abort();
  }

  /** Frees the server. Requests that still run are told that their clients are gone. */
  close(): void {
    this.commands.close();
    this.lane.close();
    this.closed = true;
    for (const slots of this.slabs) for (const slot of slots) slot.running?.onAborted(0);
  }

  keepAlive(on: boolean): void {
    this.lane.keepAlive(on);
  }

  metrics(): LaneMetrics {
    return this.lane.metrics();
  }

  private handleBatch(first: number, count: number): void {
    const events = this.events;
    const end = (first + count) * Event.WORDS;
    this.control[Control.REFUSALS] = this.handler.onBatch();
    // A handler may close the server: nobody waits for what comes after it.
    for (let at = first * Event.WORDS; at < end && !this.closed; at += Event.WORDS) {
      const kind = events[at];
      const number = events[at + 1];
      if ((kind & 0xff) === Event.CONNECTION) {
        this.connections?.onConnection(kind >> 8, number, events[at + 2]);
      } else if (kind === Event.REQUEST) {
        this.handler.onRequest(this.slabs[number >> SlabLayout.SHIFT][number & PLACES]);
      } else {
        this.handleOther(kind, number, events[at + 2], events[at + 3]);
      }
    }
  }

  private handleOther(kind: number, number: number, a: number, b: number): void {
    if (kind === Event.REFUSED) {
      this.handler.onRefused(readRefusedRequest(this.arena, number, a, b));
      return;
    }
    if (kind === Event.FLOODED) {
      this.handler.onFlooded(readFloodedConnection(this.arena, number, a, b));
      return;
    }
    const slot = this.slabs[number >> SlabLayout.SHIFT][number & PLACES] as Slot | undefined;
    switch (kind) {
      case Event.BODY:
        slot?.running?.onBody(a, b);
        break;
      case TRAILERS:
        slot?.running?.onTrailers(a, b);
        break;
      case Event.BODY_END:
        slot?.running?.onBodyEnd();
        break;
      case Event.ABORTED:
        slot?.running?.onAborted(a);
        break;
      case Event.ROOM:
        slot?.running?.onRoom();
        break;
      case Event.FILE_DONE:
        slot?.running?.onFileDone(a);
        break;
    }
  }
}
