/** What the parts of an exchange know of the whole. */
import type { Slot } from '../../native/slot.js';
import type { RequestBodyLimit } from './body-limit.js';

export interface LiveExchange {
  readonly slot: Slot;
  readonly generation: number;
  /** Nothing more comes of its body. */
  readonly aborted: boolean;
  /** Where it is aborted: the status that it was refused with; 0 where the client is gone. */
  readonly abortStatus: number;
  /** The limit of its body, where somebody has asked for it. */
  readonly bodyLimit: RequestBodyLimit | undefined;
  /** Throws WH_ERR_CONTEXT_DISPOSED where the request is over, and the slot another one's. */
  ensureLive(): void;
}
