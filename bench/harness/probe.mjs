/** Asks a server once what the load will ask, and compares the answer before anything is measured. */

import net from 'node:net';
import tls from 'node:tls';

import { askHttp2 } from './probe-http2.mjs';
import { clientOptions, isHttp2, isSecure, negotiated } from './tls.mjs';
import { readAnswer, requestText } from './wire.mjs';

const patience = 5_000;

/**
 * @typedef {object} Finding
 * @property {string | null} wrong Null when the server answers rightly.
 * @property {string} [negotiated] TLS: what was agreed upon.
 */

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {number} port
 * @returns {Promise<Finding>}
 */
export async function probe(scenario, port) {
  const { expect } = scenario;
  // Twice on one connection shows that it is kept alive; a pipeline is sent at once.
  const pipeline = scenario.load?.pipeline ?? 1;
  const rounds = expect.keepAlive ? 2 : 1;
  const text = requestText(scenario.request, `127.0.0.1:${port}`).repeat(pipeline);
  try {
    const { answers, agreed } = isHttp2(scenario)
      ? await askHttp2(scenario, port, rounds, patience)
      : await exchange(scenario, port, Buffer.from(text, 'latin1'), pipeline, rounds);
    const wrongs = answers.map((answer) => compare(expect, answer));
    return { wrong: wrongs.find((wrong) => wrong !== null) ?? null, negotiated: agreed };
  } catch (error) {
    return { wrong: /** @type {Error} */ (error).message };
  }
}

/**
 * @param {import('../types.mjs').Expectation} expect
 * @param {import('./wire.mjs').Answer} answer
 */
function compare(expect, answer) {
  if (answer.status !== expect.status) {
    return `answers ${answer.status}, ${expect.status} expected`;
  }
  const text = answer.body.toString('latin1');
  if (expect.body !== undefined && text !== expect.body) {
    return `answers ${JSON.stringify(text.slice(0, 60))}, not ${JSON.stringify(expect.body.slice(0, 60))}`;
  }
  if (expect.bodyBytes !== undefined && answer.body.length !== expect.bodyBytes) {
    return `answers ${answer.body.length} bytes, ${expect.bodyBytes} expected`;
  }
  for (const [name, value] of Object.entries(expect.trailers ?? {})) {
    const sent = answer.trailers?.get(name);
    if (sent !== value) return `has the trailer ${name}: ${sent ?? '(none)'}, not ${value}`;
  }
  return null;
}

/**
 * Sends the bytes, waits for the answers, and again on the same connection for each round.
 *
 * @param {import('../types.mjs').Scenario} scenario
 * @param {number} port
 * @param {Buffer} bytes
 * @param {number} perRound Answers to wait for.
 * @param {number} rounds
 * @returns {Promise<{ answers: import('./wire.mjs').Answer[], agreed?: string }>}
 */
function exchange(scenario, port, bytes, perRound, rounds) {
  const { expect } = scenario;
  return new Promise((resolve, reject) => {
    /** @type {import('./wire.mjs').Answer[]} */
    const answers = [];
    /** @type {string | undefined} */
    let agreed;
    let received = Buffer.alloc(0);
    let sent = 1;
    const socket = connect(scenario, port, (found) => {
      agreed = found;
      socket.write(bytes);
    });
    const finish = (/** @type {string | null} */ problem) => {
      clearTimeout(timer);
      socket.destroy();
      if (problem === null) resolve({ answers, agreed });
      else reject(new Error(problem));
    };
    const timer = setTimeout(() => {
      const count = `${answers.length} of ${perRound * rounds} answers`;
      finish(
        !expect.keepAlive && answers.length > 0
          ? 'the connection stays open after the answer'
          : `${count} within ${patience / 1000} s`,
      );
    }, patience);
    const take = (/** @type {boolean} */ ended) => {
      for (;;) {
        const answer = readAnswer(received, ended);
        if (answer === null || answer.length === 0) return;
        answers.push(answer);
        received = received.subarray(answer.length);
      }
    };
    const guarded = (/** @type {() => void} */ work) => () => {
      try {
        work();
      } catch (error) {
        finish(/** @type {Error} */ (error).message);
      }
    };
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      guarded(() => {
        take(false);
        if (answers.length >= perRound * rounds && expect.keepAlive) finish(null);
        else if (answers.length >= perRound * sent && sent < rounds) {
          sent += 1;
          socket.write(bytes);
        }
      })();
    });
    socket.on(
      'close',
      guarded(() => {
        take(true);
        const enough = answers.length >= perRound * rounds;
        const first = answers.length === 0 ? 'without an answer' : 'too early';
        finish(enough ? null : `closes the connection ${first}`);
      }),
    );
    socket.on('error', (error) => {
      // A reset after the whole answer is still an answer.
      if (answers.length < perRound * rounds) finish(`the connection failed: ${error.message}`);
    });
  });
}

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {number} port
 * @param {(agreed?: string) => void} connected
 * @returns {net.Socket}
 */
function connect(scenario, port, connected) {
  const place = { host: '127.0.0.1', port };
  if (!isSecure(scenario)) return net.connect(place, () => connected());
  const socket = tls.connect(
    { ...place, ...clientOptions, servername: 'localhost', ALPNProtocols: ['http/1.1'] },
    () => connected(negotiated(socket)),
  );
  return socket;
}
