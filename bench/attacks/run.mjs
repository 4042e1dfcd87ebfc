/**
 * Attacks a server and tells how each attack ended, what memory it took, and what a well-behaved client
 * felt of it. Arguments: --connections N (default 200), --only NAME, --protocol http1 or http2 (default:
 * both), --together, --json.
 */

import { fork, spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Attacker } from '../../dist/test/support/h2/attacker.js';
import { http2Attacks } from '../../dist/test/support/h2/attacks.js';
import { attacks } from './attacks.mjs';

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '200' },
    only: { type: 'string' },
    protocol: { type: 'string' },
    together: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const connections = Number(values.connections);

/**
 * @typedef {object} AnyAttack
 * @property {string} name
 * @property {string} limit
 * @property {readonly string[]} ends How it may end.
 * @property {() => Promise<string>} once One connection of it; how it ended.
 */

/** @param {string} name @param {string[]} args */
function start(name, args) {
  const child = fork(fileURLToPath(new URL(name, import.meta.url)), args);
  child.setMaxListeners(0);
  return child;
}

/** The next message of a child. @param {import('node:child_process').ChildProcess} child */
function next(child) {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`a child ended with ${String(code)}`)));
  });
}

/** @param {import('node:child_process').ChildProcess} child @param {any} question */
function ask(child, question) {
  const answer = next(child);
  child.send(question);
  return answer;
}

/**
 * One attacking connection.
 *
 * @param {import('./attacks.mjs').Attack} attack
 * @param {number} port
 * @returns {Promise<string>} How it ended.
 */
function attackOnce(attack, port) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let status = '';
    /** @type {(() => void) | undefined} */
    let stop;
    // All together is for a test, on a machine that may be busy with others.
    const patience = attack.seconds * (values.together ? 6 : 1);
    const timer = setTimeout(() => finish('still open'), patience * 1000);
    /** @param {string} how */
    function finish(how) {
      clearTimeout(timer);
      stop?.();
      socket.destroy();
      resolve(how);
    }
    socket.on('connect', () => {
      stop = attack.start(socket);
    });
    socket.on('data', (bytes) => {
      status ||= /^HTTP\/1\.1 (\d{3})/.exec(bytes.toString('latin1'))?.[1] ?? '';
    });
    socket.on('end', () => finish(status || 'closed'));
    socket.on('error', () => finish(status || 'closed'));
    socket.on('close', () => finish(status || 'closed'));
  });
}

/**
 * One attacking connection of HTTP/2.
 *
 * @param {import('../../dist/test/support/h2/attacks.js').Http2Attack} attack
 * @param {number} port
 */
async function attackHttp2(attack, port) {
  try {
    const attacker = await Attacker.open({ port, ...attack.options });
    const work = attack.start(attacker);
    await attacker.end(attack.seconds * 1000 * (values.together ? 6 : 1));
    await work;
    return attacker.outcome;
  } catch {
    return 'closed';
  }
}

const server = start('server.mjs', []);
const { port, http2Port, tlsPort } = await next(server);
const prober = start('probe.mjs', [String(port)]);
// What the attackers take of the processors is not what the server does to its clients: so they only
// get what is left over. Where there is no chrt they compete.
if (!values.together)
  spawnSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(process.pid)]);
const megabytes = (/** @type {number} */ bytes) => Math.round(bytes / 1e6);

/** @type {AnyAttack[]} */
const chosen = [
  ...attacks.map((attack) => ({
    ...attack,
    // The slow reader's and the pipeliner's answers are partly read once they wake up.
    ends: attack.ends[0] === 'closed' ? [...attack.ends, '200'] : attack.ends,
    protocol: 'http1',
    once: () => attackOnce(attack, port),
  })),
  ...http2Attacks.map((attack) => ({
    ...attack,
    name: `HTTP/2: ${attack.name}`,
    // Who floods on while nobody reads may not get to see the last words.
    ends: [...attack.ends, 'closed'],
    protocol: 'http2',
    once: () => attackHttp2(attack, attack.beforeTls ? tlsPort : http2Port),
  })),
].filter(
  ({ name, protocol }) =>
    (values.only === undefined || name === values.only) &&
    (values.protocol === undefined || protocol === values.protocol),
);

/** @param {AnyAttack} attack @param {readonly string[]} ends */
function countRight(attack, ends) {
  return ends.filter((end) => attack.ends.includes(end)).length;
}

/** Attacks with all connections at once. @param {AnyAttack} attack */
function attackAll(attack) {
  return Promise.all(Array.from({ length: connections }, () => attack.once()));
}

/** Does something, and tells the most memory that the server had meanwhile. @param {() => Promise<any>} work */
async function watchMemory(work) {
  const before = (await ask(server, 'look')).rss;
  let most = before;
  let open = true;
  const watched = (async () => {
    while (open) {
      most = Math.max(most, (await ask(server, 'look')).rss);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  const started = performance.now();
  const result = await work();
  const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
  open = false;
  await watched;
  return { result, seconds, 'memory MB': megabytes(before), 'most MB': megabytes(most) };
}

/** One after the other, and what a client felt of each. */
async function attackInTurn() {
  const reports = [];
  await ask(prober, { milliseconds: 1000 }); // warm
  for (const attack of chosen) {
    const quiet = await ask(prober, { milliseconds: 1500 });
    const { result, ...memory } = await watchMemory(() =>
      Promise.all([attackAll(attack), ask(prober, { milliseconds: 1500 })]),
    );
    const [ends, during] = result;
    reports.push({
      attack: attack.name,
      limit: attack.limit,
      connections,
      ended: [...new Set(ends)].join(', '),
      right: countRight(attack, ends),
      ...memory,
      'quiet p99 ms': Number(quiet.p99.toFixed(2)),
      'p99 ms': during.failed ?? Number(during.p99.toFixed(2)),
    });
  }
  return reports;
}

/** All at the same time: how each ends. */
async function attackTogether() {
  const { result, ...memory } = await watchMemory(() =>
    Promise.all(
      chosen.map(async (attack) => {
        const ends = await attackAll(attack);
        const ended = [...new Set(ends)].join(', ');
        return { attack: attack.name, connections, ended, right: countRight(attack, ends) };
      }),
    ),
  );
  return result.map((/** @type {object} */ report) => ({ ...report, ...memory }));
}

/** @type {{ attack: string, right: number }[]} */
let reports = [];
try {
  reports = values.together ? await attackTogether() : await attackInTurn();
} finally {
  server.disconnect();
  prober.disconnect();
}
if (values.json) console.log(JSON.stringify(reports));
else console.table(reports);
const failed = reports.filter(({ right }) => right !== connections);
if (failed.length > 0) {
  console.error(`not ended as they should: ${failed.map(({ attack }) => attack).join(', ')}`);
  process.exitCode = 1;
}
