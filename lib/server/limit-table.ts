/** The core's table of limits, for those who read limits by name. */
import { getAddon, type LaneLimit } from '../native/addon.js';

/** A limit of the core: its name (with a dot: a member of another), unit, default and range. */
export type LimitRow = LaneLimit;

/** Every limit of the core. */
export function limitTable(): readonly LimitRow[] {
  return getAddon().limitTable();
}
