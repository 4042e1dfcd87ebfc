/** What the parts of an exchange know of the whole. */
import type { Slot } from '../../native/slot.js';

export interface LiveExchange {
  readonly slot: Slot;
  readonly generation: number;
  /** Throws WH_ERR_CONTEXT_DISPOSED where the request is over, and the slot another one's. */
  ensureLive(): void;
}
