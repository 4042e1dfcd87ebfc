/**
 * What was read of header sections that the core has seen before (see http/head_cache.h): clients say
 * the same lines again and again, and then a value is looked up, not made.
 */
import { HeadCache } from './generated/shared-layout.js';

/** A program asks for few names; who makes them up at run time does not fill the memory. */
const NAMES_MAX = 64;

/** The values of one section, by the names as the program spells them; `null`: there is no such field. */
class KnownHead {
  readonly values = new Map<string, string | null>();

  constructor(readonly id: number) {}
}

/** The sections of one server. */
export class KnownHeads {
  private readonly places: (KnownHead | undefined)[] = new Array<KnownHead | undefined>(
    HeadCache.PLACES,
  ).fill(undefined);

  /** What is known of section `id`. */
  of(id: number): Map<string, string | null> {
    const place = (id - 1) & (HeadCache.PLACES - 1);
    const known = this.places[place];
    if (known !== undefined && known.id === id) return known.values;
    const made = new KnownHead(id);
    this.places[place] = made;
    return made.values;
  }
}

/** Remembers a value of a section. */
export function remember(
  values: Map<string, string | null>,
  name: string,
  value: string | undefined,
): void {
  if (values.size < NAMES_MAX) values.set(name, value ?? null);
}
