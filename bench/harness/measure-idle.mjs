/**
 * What an idle connection costs: resident memory before and after thousands have been opened, each
 * of which has made one request. Every round is on a fresh server, because a server that once had
 * so many connections keeps memory for them; it is warmed up first, so that only connections count.
 */

import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { end, start } from './processes.mjs';
import { startServer, unsupported } from './prepare-server.mjs';
import { figure } from './stats.mjs';

const client = fileURLToPath(new URL('idle-client.mjs', import.meta.url));
/** A median of more rounds is no better: the spread is small. */
const mostRounds = 3;
/** Milliseconds for all connections to be open and answered. */
const patience = 30_000;
/** Milliseconds over which the CPU of the server with idle connections is measured. */
const idleWindow = 1_000;

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {readonly import('../types.mjs').Peer[]} peers
 * @param {import('./measure-load.mjs').Bench} bench
 * @returns {Promise<import('../types.mjs').Outcome[]>}
 */
export async function measureIdle(scenario, peers, bench) {
  const rounds = Math.min(bench.slices, mostRounds);
  /** @type {Map<string, Round[]>} */
  const seen = new Map(peers.map((peer) => [peer.name, []]));
  /** @type {Map<string, import('../types.mjs').Outcome>} */
  const without = new Map();
  for (let round = 1; round <= rounds; round += 1) {
    for (const peer of peers) {
      if (without.has(peer.name)) continue;
      bench.progress(`${peer.name}: round ${round}/${rounds}`);
      const none = { server: peer.name, figures: {} };
      const reason = unsupported(scenario, peer);
      if (reason !== null) {
        without.set(peer.name, { ...none, status: 'unsupported', reason });
        continue;
      }
      try {
        seen.get(peer.name)?.push(await measureRound(scenario, peer, bench));
      } catch (error) {
        const { message } = /** @type {Error} */ (error);
        without.set(peer.name, { ...none, status: 'failed', reason: message });
      }
    }
  }
  return peers.map((peer) => without.get(peer.name) ?? toOutcome(peer, seen.get(peer.name) ?? []));
}

/**
 * @typedef {object} Round
 * @property {number} bytes Per connection.
 * @property {number} rss
 * @property {number} idleCpu Cores used while all connections idle.
 */

/**
 * @param {import('../types.mjs').Peer} peer
 * @param {readonly Round[]} rounds
 * @returns {import('../types.mjs').Outcome}
 */
function toOutcome(peer, rounds) {
  return {
    server: peer.name,
    status: 'ok',
    figures: {
      bytes: figure(rounds.map((round) => round.bytes)),
      rss: figure(rounds.map((round) => round.rss)),
    },
    idleCpu: figure(rounds.map((round) => round.idleCpu))?.median,
  };
}

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {import('../types.mjs').Peer} peer
 * @param {import('./measure-load.mjs').Bench} bench
 * @returns {Promise<Round>}
 */
async function measureRound(scenario, peer, bench) {
  const count = scenario.connections ?? 10_000;
  const server = await startServer(scenario, peer, bench);
  try {
    const target = { port: server.port, core: bench.cores.client, folder: bench.folder };
    const seconds = Math.max(bench.warmUp, peer.warmUpSeconds ?? 0);
    await bench.tool.run(
      { ...scenario, kind: 'load', load: { connections: 64 } },
      {
        ...target,
        seconds,
      },
    );
    await server.settle();
    const before = await server.steadyRss();
    const held = await holdConnections(server.port, count, bench.cores.client);
    try {
      const after = await server.steadyRss();
      const open = await held.open();
      const idleCpu = await server.idleCpu(idleWindow);
      if (open !== count) throw new Error(`${count - open} of ${count} connections were closed`);
      return { bytes: (after - before) / count, rss: after, idleCpu };
    } finally {
      await held.end();
    }
  } finally {
    await server.end();
  }
}

/**
 * Opens connections from a process of its own and waits until each has been answered once.
 *
 * @param {number} port
 * @param {number} count
 * @param {number} core
 */
async function holdConnections(port, count, core) {
  const spawned = start(
    core,
    { file: process.execPath, args: [client, String(port), String(count)] },
    { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], files: count + 1000 },
  );
  const { child } = spawned;
  const next = async () => {
    const signal = AbortSignal.timeout(patience);
    const gone = spawned.ended.then(() => {
      throw new Error('the client with the connections ended');
    });
    const [message] = await Promise.race([once(child, 'message', { signal }), gone]);
    return /** @type {{ open: number, error?: string }} */ (message);
  };
  try {
    const { open, error } = await next();
    if (open !== count) throw new Error(`${open} of ${count} connections were answered: ${error}`);
  } catch (error) {
    await end(spawned);
    throw error;
  }
  return {
    /** @returns {Promise<number>} How many are still open. */
    async open() {
      const answer = next();
      child.send('count');
      return (await answer).open;
    },
    end: () => end(spawned),
  };
}
