/** Load by wrk: a script for the scenario, and its figures as JSON. */

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { runToEnd } from '../harness/processes.mjs';
import { clientEnvironment, isSecure } from '../harness/tls.mjs';
import { requestText } from '../harness/wire.mjs';

const reportScript = fileURLToPath(new URL('wrk-report.lua', import.meta.url));

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
  const secure = isSecure(scenario);
  const url = `${secure ? 'https' : 'http'}://127.0.0.1:${target.port}${scenario.request.path}`;
  const args = ['-t1', `-c${connections}`, `-d${target.seconds}s`, '--timeout', '5s'];
  const { output } = await runToEnd(
    target.core,
    {
      file: 'wrk',
      args: [...args, '-s', script, url],
      env: secure ? clientEnvironment(target.folder) : {},
    },
    { seconds: target.seconds + 15 },
  );
  const line = /^RESULT (.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk: ${output.trim().slice(-300) || 'no output'}`);
  const { requests, microseconds, p50, p99, failures, status } = JSON.parse(line);
  return { requests, seconds: microseconds / 1e6, p50, p99, failures, wrong: status };
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
  const { connections } = scenario.load ?? { connections: 1 };
  lines.push(`dofile(${quote(reportScript)})`);
  lines.push(`done = function(summary, latency) report(summary, latency, ${connections}) end`);
  return `${lines.join('\n')}\n`;
}

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
