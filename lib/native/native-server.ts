/** One server of the core, seen from JavaScript: its memory, its commands, and its events in batches. */
import { Buffer } from 'node:buffer';
import type { Lane, LaneEndpoint, LaneMetrics, LaneOptions } from './addon.js';
import { getAddon } from './addon.js';
import { CommandWriter } from './command-writer.js';
import type { ExchangeHost, NativeExchange } from './exchange.js';
import { Event, Slab as SlabLayout, Slot } from './generated/shared-layout.js';
import { InternedStrings, Slab } from './slab.js';

const PLACES = (1 << SlabLayout.SHIFT) - 1;

/** What the layer above does for a native server. None of these may throw. */
export interface ExchangeHandler {
  /** Makes the exchange of a request; a NativeExchange or what derives from it. */
  create(
    server: NativeServer,
    slab: Slab,
    base: number,
    slot: number,
    generation: number,
  ): NativeExchange;
  /** A request is there. Returns whether it is still running. */
  run(exchange: NativeExchange): boolean;
  /** After `stop`: no connection is left. */
  drained(): void;
  /** The error of a use after the end. */
  overError(): Error;
  /** The error of a body that will not be complete: status 0 = the client has gone. */
  bodyError(status: number): Error;
}

export class NativeServer implements ExchangeHost {
  readonly commands: CommandWriter;
  readonly arena: Buffer;
  private readonly lane: Lane;
  private readonly events: Uint32Array;
  private readonly interned: InternedStrings;
  private readonly slabs: (Slab | undefined)[] = [];
  /** Exchanges whose handlers have not settled, by slot. */
  private readonly running: (NativeExchange | undefined)[] = [];

  /**
   * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option and the value; Error with the
   * code of a wh_error.
   */
  constructor(
    options: LaneOptions,
    private readonly handler: ExchangeHandler,
  ) {
    const lane = getAddon().create(options, {
      onBatch: (first, count) => {
        this.handleBatch(first, count);
      },
      onSlab: (number, memory, slotSize) => {
        this.slabs[number] = new Slab(number, memory, slotSize, this.interned);
      },
      onDrained: () => {
        this.handler.drained();
      },
    });
    this.lane = lane;
    this.interned = new InternedStrings(lane);
    this.commands = new CommandWriter(lane);
    this.arena = Buffer.from(lane.arena);
    this.events = new Uint32Array(lane.events);
  }

  overError(): Error {
    return this.handler.overError();
  }

  bodyError(status: number): Error {
    return this.handler.bodyError(status);
  }

  listen(endpoint: LaneEndpoint): void {
    this.lane.listen(endpoint);
  }

  urls(): string[] {
    return this.lane.urls();
  }

  addresses(exchange: NativeExchange): [string, number, string, number] | null {
    return this.lane.addresses(exchange.slot, exchange.generation);
  }

  stopListening(): void {
    this.lane.stopListening();
  }

  stop(): void {
    this.lane.stop();
  }

  abort(): void {
    this.lane.abort();
  }

  /** Frees the server. Requests that still run are told that their clients are gone. */
  close(): void {
    this.commands.close();
    this.lane.close();
    for (const exchange of this.running) exchange?.onAborted(0);
    this.running.length = 0;
  }

  keepAlive(on: boolean): void {
    this.lane.keepAlive(on);
  }

  metrics(): LaneMetrics {
    return this.lane.metrics();
  }

  /** The handler of an exchange has settled: the core's events no longer concern it. */
  settled(exchange: NativeExchange): void {
    this.running[exchange.slot] = undefined;
  }

  private handleBatch(first: number, count: number): void {
    const events = this.events;
    const end = (first + count) * Event.WORDS;
    for (let at = first * Event.WORDS; at < end; at += Event.WORDS) {
      const slot = events[at + 1];
      if (events[at] === Event.REQUEST) this.handleRequest(slot);
      else this.handleOther(events[at], slot, events[at + 2], events[at + 3]);
    }
  }

  private handleRequest(slot: number): void {
    const slab = this.slabs[slot >> SlabLayout.SHIFT] as Slab;
    const base = (slot & PLACES) * slab.slotSize;
    const generation = slab.words[(base + Slot.GENERATION) >> 2];
    const exchange = this.handler.create(this, slab, base, slot, generation);
    if (this.handler.run(exchange)) {
      this.running[slot] = exchange;
      exchange.saveBody();
    }
  }

  private handleOther(kind: number, slot: number, a: number, b: number): void {
    const exchange = this.running[slot];
    if (exchange === undefined) return;
    switch (kind) {
      case Event.BODY:
        exchange.onBody(a, b);
        break;
      case Event.BODY_END:
        exchange.onBodyEnd();
        break;
      case Event.ABORTED:
        exchange.onAborted(a);
        break;
      case Event.ROOM:
        exchange.onRoom();
        break;
    }
  }
}
