/**
 * The header fields of a request, read from its slot when somebody asks for them. The first change makes a
 * copy, which then is what everybody reads.
 */
import type { HeaderDictionary } from '../../features/header-dictionary.js';
import { HeaderMap } from '../../http/header-map.js';
import { remember } from '../../native/head-cache.js';
import { HeaderId, headerIds } from '../../native/generated/header-names.js';
import type { Slot } from '../../native/slot.js';
import type { LiveExchange } from './live-exchange.js';

/** The numbers of known names in the spellings that programs use, so that none is lowered twice. */
const idsBySpelling = new Map<string, number>(headerIds);
/** A program uses few spellings; who makes them up at run time does not fill the memory. */
const SPELLINGS_MAX = 1024;

/** The number of a known name in any case; 0 where it is unknown. */
function headerId(name: string): number {
  const known = idsBySpelling.get(name);
  if (known !== undefined) return known;
  const id = headerIds.get(name.toLowerCase()) ?? 0;
  if (idsBySpelling.size < SPELLINGS_MAX) idsBySpelling.set(name, id);
  return id;
}

export class NativeRequestHeaders implements HeaderDictionary {
  private copy: HeaderMap | undefined = undefined;

  constructor(private readonly exchange: LiveExchange) {}

  get size(): number {
    return this.copy !== undefined ? this.liveCopy(this.copy).size : this.slot().fieldCount();
  }

  get(name: string): string | undefined {
    if (this.copy !== undefined) return this.liveCopy(this.copy).get(name);
    const slot = this.slot();
    const headId = slot.headId();
    if (headId === 0) return read(slot, name);
    const values = slot.host.heads.of(headId);
    const known = values.get(name);
    if (known !== undefined) return known ?? undefined;
    const value = read(slot, name);
    remember(values, name, value);
    return value;
  }

  getAll(name: string): readonly string[] {
    if (this.copy !== undefined) return this.liveCopy(this.copy).getAll(name);
    const values: string[] = [];
    for (let i = this.find(name, 0); i >= 0; i = this.find(name, i + 1)) {
      values.push(this.slot().fieldValue(i));
    }
    return values;
  }

  has(name: string): boolean {
    return this.copy !== undefined ? this.liveCopy(this.copy).has(name) : this.find(name, 0) >= 0;
  }

  set(name: string, value: string | number | readonly string[]): void {
    this.own().set(name, value);
  }

  append(name: string, value: string | number): void {
    this.own().append(name, value);
  }

  delete(name: string): boolean {
    return this.own().delete(name);
  }

  *[Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    if (this.copy !== undefined) {
      yield* this.liveCopy(this.copy);
      return;
    }
    const count = this.slot().fieldCount();
    for (let i = 0; i < count; i++) yield [this.slot().fieldName(i), this.slot().fieldValue(i)];
  }

  private find(name: string, from: number): number {
    const id = headerId(name);
    return id === 0
      ? this.slot().findUnknown(name.toLowerCase(), from)
      : this.slot().findKnown(id, from);
  }

  /** The slot, as long as it is this request's. */
  private slot(): Slot {
    this.exchange.ensureLive();
    return this.exchange.slot;
  }

  private own(): HeaderMap {
    return this.liveCopy((this.copy ??= HeaderMap.fromLines(this)));
  }

  private liveCopy(copy: HeaderMap): HeaderMap {
    this.exchange.ensureLive();
    return copy;
  }
}

/** The value of a field, several lines joined; `undefined` where there is none. */
function read(slot: Slot, name: string): string | undefined {
  const id = headerId(name);
  const lower = id === 0 ? name.toLowerCase() : '';
  let i = id === 0 ? slot.findUnknown(lower, 0) : slot.findKnown(id, 0);
  if (i < 0) return undefined;
  let value = slot.fieldValue(i);
  for (;;) {
    i = id === 0 ? slot.findUnknown(lower, i + 1) : slot.findKnown(id, i + 1);
    if (i < 0) return value;
    value += (id === HeaderId.Cookie ? '; ' : ', ') + slot.fieldValue(i);
  }
}
