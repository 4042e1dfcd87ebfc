/** Load by wrk: a script for the scenario, and its figures as JSON. */

import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { runToEnd } from '../harness/processes.mjs';
import { requestText } from '../harness/wire.mjs';
import { percentile, withoutCorrection } from './wrk-latency.mjs';

/**
 * Loads a server for some seconds.
 *
 * @param {import('../types.mjs').Scenario} scenario
 * @param {{ port: number, seconds: number, core: number, folder: string }} target
 * @returns {Promise<import('../types.mjs').LoadResult>}
 * @throws {Error} When wrk did not count anything.
 */
export async function runWrk(scenario, target) {
  const { connections } = scenario.load ?? { connections: 1 };
  const script = path.join(target.folder, `${scenario.name}-${target.port}.lua`);
  writeFileSync(script, luaScript(scenario, `127.0.0.1:${target.port}`), 'latin1');
  const url = `http://127.0.0.1:${target.port}${scenario.request.path}`;
  const args = ['-t1', `-c${connections}`, `-d${target.seconds}s`, '--timeout', '5s'];
  const { output } = await runToEnd(
    target.core,
    { file: 'wrk', args: [...args, '-s', script, url] },
    { seconds: target.seconds + 15 },
  );
  const line = /^RESULT (.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk: ${output.trim().slice(-300) || 'no output'}`);
  const { requests, microseconds, failures, status, latencies } = JSON.parse(line);
  const seen = withoutCorrection(latencies, { requests, microseconds, connections });
  return {
    requests,
    seconds: microseconds / 1e6,
    p50: percentile(seen, 0.5),
    p99: percentile(seen, 0.99),
    failures,
    wrong: status,
  };
}

/**
 * A plain request is given to wrk as data, which it formats once. Pipelined ones need a function;
 * it returns a ready string.
 *
 * @param {import('../types.mjs').Scenario} scenario
 * @param {string} authority
 */
function luaScript(scenario, authority) {
  const { request } = scenario;
  const pipeline = scenario.load?.pipeline ?? 1;
  const lines = [];
  if (pipeline > 1) {
    lines.push(`local batch = string.rep(${quote(requestText(request, authority))}, ${pipeline})`);
    lines.push('request = function() return batch end');
  } else {
    lines.push(`wrk.method = ${quote(request.method)}`);
    for (const [name, value] of Object.entries(request.headers ?? {})) {
      lines.push(`wrk.headers[${quote(name)}] = ${quote(value)}`);
    }
    if (request.bodyBytes !== undefined) {
      lines.push(`wrk.body = string.rep('x', ${request.bodyBytes})`);
    }
  }
  return `${lines.join('\n')}\n${reportFunction}`;
}

/** latencies: pairs of microseconds and a count. */
const reportFunction = `done = function(summary, latency)
  local errors = summary.errors
  local pairs = {}
  for index = 1, #latency do
    local value, count = latency(index)
    pairs[index] = string.format('[%.0f,%.0f]', value, count)
  end
  io.write(string.format(
    '\\nRESULT {"requests":%.0f,"microseconds":%.0f,"failures":%.0f,"status":%.0f,"latencies":[%s]}\\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    table.concat(pairs, ',')))
end
`;

/**
 * @param {string} text latin1.
 * @returns {string} A Lua string.
 */
function quote(text) {
  const escaped = text.replace(/[^ !#-[\]-~]/g, (character) => {
    return `\\${String(character.charCodeAt(0)).padStart(3, '0')}`;
  });
  return `"${escaped}"`;
}
