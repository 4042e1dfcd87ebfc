/** Whether a peer can serve a scenario, and the peer started and checked. */

import { probe } from './probe.mjs';
import { MeasuredServer } from './server.mjs';

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {import('../types.mjs').Peer} peer
 * @returns {string | null} Why it cannot; null when it can.
 */
export function unsupported(scenario, peer) {
  for (const need of [scenario.protocol, scenario.route, scenario.trait]) {
    if (need === undefined || peer.can.includes(need)) continue;
    return peer.cannot?.[need] ?? `it does not do ${need}`;
  }
  return null;
}

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {import('../types.mjs').Peer} peer
 * @param {{ cores: { server: number }, folder: string }} bench
 * @returns {Promise<MeasuredServer>} Running, and known to answer rightly.
 * @throws {Error} With the reason when it does not.
 */
export async function startServer(scenario, peer, bench) {
  const where = { core: bench.cores.server, folder: bench.folder };
  const server = await MeasuredServer.start(peer, scenario, where);
  const { wrong, negotiated } = await probe(scenario, server.port);
  server.negotiated = negotiated;
  if (wrong === null) return server;
  await server.end();
  throw new Error(wrong);
}
