/** Medians. */

/**
 * @param {readonly number[]} values At least one.
 * @returns {number}
 */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * @param {readonly (number | null)[]} values
 * @returns {import('../types.mjs').Figure | undefined} Undefined when there is no value.
 */
export function figure(values) {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return undefined;
  const middle = median(known);
  return { median: middle, deviation: median(known.map((value) => Math.abs(value - middle))) };
}
