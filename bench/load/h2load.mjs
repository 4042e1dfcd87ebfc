/**
 * Load by h2load: all of HTTP/2, and HTTP/1.1 where it is asked for. It saturates its core at several
 * times the rate of wrk, but it can send only requests without surprises, and tells no percentiles.
 */

import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { runToEnd } from '../harness/processes.mjs';
import * as tls from '../harness/tls.mjs';
import { bodyText } from '../harness/wire.mjs';

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @returns {string | null} Why h2load cannot make this load; null when it can.
 */
export function h2loadCannot({ expect }) {
  return expect.keepAlive ? null : 'h2load does not reconnect after each answer';
}

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {{ port: number, seconds: number, core: number, folder: string }} target
 * @returns {Promise<import('../types.mjs').LoadResult>}
 */
export async function runH2load(scenario, target) {
  const { request, load = { connections: 1 } } = scenario;
  const http2 = tls.isHttp2(scenario);
  const secure = tls.isSecure(scenario);
  const atOnce = (http2 ? load.streams : load.pipeline) ?? 1;
  const args = ['-t1', `-c${load.connections}`, `-m${atOnce}`, '-D', String(target.seconds)];
  if (!http2) args.push('--h1');
  // Otherwise it would speak HTTP/1.1 with a server that prefers it.
  else if (secure) args.push('--npn-list=h2');
  if (secure) args.push(`--tls13-ciphers=${tls.suite}`, `--groups=${tls.group}`);
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    args.push('-H', `${name}: ${value}`);
  }
  const body = bodyText(request);
  if (body !== undefined) {
    const file = path.join(target.folder, `${scenario.name}.body`);
    writeFileSync(file, body, 'latin1');
    args.push('-d', file);
  }
  args.push(`${secure ? 'https' : 'http'}://127.0.0.1:${target.port}${request.path}`);
  const { output } = await runToEnd(
    target.core,
    { file: 'h2load', args },
    { seconds: target.seconds + 15 },
  );
  const counts =
    /^requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/m.exec(
      output,
    );
  const refusals = /^status codes: \d+ 2xx, \d+ 3xx, (\d+) 4xx, (\d+) 5xx/m.exec(output);
  if (counts === null || Number(counts[1]) === 0) {
    throw new Error(`h2load: ${output.trim().slice(-300) || 'no output'}`);
  }
  const refused = Number(refusals?.[1] ?? 0) + Number(refusals?.[2] ?? 0);
  return {
    requests: Number(counts[1]),
    seconds: target.seconds,
    p50: null,
    p99: null,
    failures: Math.max(0, Number(counts[2]) - refused) + Number(counts[4]),
    wrong: refused,
  };
}
