/**
 * Attacks a server and tells how each attack ended, what memory it took, and what a well-behaved client
 * felt of it. Arguments: --connections N (default 200), --only NAME, --json.
 */

import { fork } from 'node:child_process';
import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { attacks } from './attacks.mjs';

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '200' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const connections = Number(values.connections);

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
    const timer = setTimeout(() => finish('still open'), attack.seconds * 1000);
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

// The attackers must not keep the well-behaved client from its processor.
setPriority(10);
const server = start('server.mjs', []);
setPriority(server.pid ?? 0, 0);
const { port } = await next(server);
const prober = start('probe.mjs', [String(port)]);
setPriority(prober.pid ?? 0, 0);
const megabytes = (/** @type {number} */ bytes) => Math.round(bytes / 1e6);

const reports = [];
try {
  await ask(prober, { milliseconds: 1000 }); // warm
  for (const attack of attacks) {
    if (values.only !== undefined && attack.name !== values.only) continue;
    const quiet = await ask(prober, { milliseconds: 1500 });
    const before = await ask(server, 'look');
    let most = before.rss;
    let open = true;
    const watched = (async () => {
      while (open) {
        most = Math.max(most, (await ask(server, 'look')).rss);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();
    const started = performance.now();
    const probed = ask(prober, { milliseconds: 1500 });
    const ends = await Promise.all(
      Array.from({ length: connections }, () => attackOnce(attack, port)),
    );
    const seconds = (performance.now() - started) / 1000;
    const during = await probed;
    open = false;
    await watched;
    // The slow reader's and the pipeliner's answers are partly read once they wake up.
    const right = ends.filter(
      (end) => attack.ends.includes(end) || (attack.ends[0] === 'closed' && end === '200'),
    );
    reports.push({
      attack: attack.name,
      limit: attack.limit,
      connections,
      ended: [...new Set(ends)].join(', '),
      right: right.length,
      seconds: Number(seconds.toFixed(1)),
      'memory MB': megabytes(before.rss),
      'most MB': megabytes(most),
      'quiet p99 ms': Number(quiet.p99.toFixed(2)),
      'p99 ms': during.failed ?? Number(during.p99.toFixed(2)),
    });
  }
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
