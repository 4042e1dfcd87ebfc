/** The question of probe.mjs on HTTP/2, by the client that comes with Node. */

import { once } from 'node:events';
import http2 from 'node:http2';

import { clientOptions, isSecure, negotiated } from './tls.mjs';
import { bodyText } from './wire.mjs';

/**
 * Asks some times on one connection.
 *
 * @param {import('../types.mjs').Scenario} scenario
 * @param {number} port
 * @param {number} rounds
 * @param {number} patience Milliseconds for all of it.
 * @returns {Promise<{ answers: import('./wire.mjs').Answer[], agreed?: string }>}
 * @throws {Error} When the connection or a stream fails.
 */
export async function askHttp2(scenario, port, rounds, patience) {
  const signal = AbortSignal.timeout(patience);
  const secure = isSecure(scenario);
  const session = http2.connect(`${secure ? 'https' : 'http'}://127.0.0.1:${port}`, {
    ...(secure ? clientOptions : {}),
    servername: 'localhost',
  });
  try {
    // Also where the session fails later: without a listener that would end the harness.
    const failed = new Promise((_, reject) => session.on('error', reject));
    failed.catch(() => undefined);
    await Promise.race([once(session, 'connect', { signal }), failed]);
    const { socket } = session;
    const agreed = secure
      ? negotiated(/** @type {import('node:tls').TLSSocket} */ (socket))
      : undefined;
    const answers = [];
    for (let round = 0; round < rounds; round += 1) {
      answers.push(await Promise.race([ask(session, scenario.request, signal), failed]));
    }
    return { answers, agreed };
  } catch (error) {
    if (signal.aborted) throw new Error(`no answer within ${patience / 1000} s`);
    throw error;
  } finally {
    session.destroy();
  }
}

/**
 * @param {http2.ClientHttp2Session} session
 * @param {import('../types.mjs').HttpRequest} request
 * @param {AbortSignal} signal
 * @returns {Promise<import('./wire.mjs').Answer>}
 */
function ask(session, request, signal) {
  return new Promise((resolve, reject) => {
    const body = bodyText(request);
    const fields = { ':method': request.method, ':path': request.path, ...request.headers };
    const stream = session.request(fields, { endStream: body === undefined, signal });
    /** @type {Map<string, string>} */
    const headers = new Map();
    /** @type {Map<string, string>} */
    const trailers = new Map();
    /** @type {Buffer[]} */
    const chunks = [];
    stream.on('response', (received) => copy(received, headers));
    stream.on('trailers', (received) => copy(received, trailers));
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      const status = Number(headers.get(':status'));
      if (stream.rstCode !== 0) reject(new Error(`the stream ended with code ${stream.rstCode}`));
      const whole = Buffer.concat(chunks);
      resolve({ status, headers, trailers, body: whole, length: whole.length });
    });
    if (body !== undefined) stream.end(Buffer.from(body, 'latin1'));
  });
}

/**
 * @param {http2.IncomingHttpHeaders} from
 * @param {Map<string, string>} to
 */
function copy(from, to) {
  for (const [name, value] of Object.entries(from)) to.set(name, String(value));
}
