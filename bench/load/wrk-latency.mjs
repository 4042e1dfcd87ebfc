/**
 * The latencies that connections saw, from those that wrk tells.
 *
 * wrk adds latencies that it did not measure: for one of several times the mean interval it also
 * counts what requests in between would have seen ("coordinated omission"). The mean interval is
 * that of single requests, also when they are pipelined, so that its percentiles of pipelined load
 * mean nothing, and one pause fills the 99th of a short slice. What was added can be taken away
 * again, because longer latencies only ever add to shorter ones.
 */

/**
 * @param {readonly (readonly [number, number])[]} pairs Microseconds and counts as wrk tells them.
 * @param {{ requests: number, microseconds: number, connections: number }} run
 * @returns {[number, number][]} Microseconds and counts, ascending, without what wrk added.
 */
export function withoutCorrection(pairs, { requests, microseconds, connections }) {
  const perConnection = Math.floor(requests / connections);
  const interval = perConnection > 0 ? Math.floor(microseconds / perConnection) : Infinity;
  const counts = new Map(pairs);
  const longestFirst = pairs.map(([value]) => value).sort((a, b) => b - a);
  for (const value of longestFirst) {
    const count = counts.get(value) ?? 0;
    if (value < 2 * interval || count <= 0) continue;
    for (let added = value - interval; added > interval; added -= interval) {
      const there = counts.get(added);
      if (there !== undefined) counts.set(added, there - count);
    }
  }
  return [...counts].filter(([, count]) => count > 0).sort((a, b) => a[0] - b[0]);
}

/**
 * @param {readonly (readonly [number, number])[]} pairs Values and counts, ascending.
 * @param {number} share From 0 to 1.
 * @returns {number | null} Null when there is no value.
 */
export function percentile(pairs, share) {
  const total = pairs.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [value, count] of pairs) {
    seen += count;
    if (seen >= total * share) return value;
  }
  return null;
}
