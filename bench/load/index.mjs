/** The load generators, and which one makes the load of a scenario. */

import { isHttp2 } from '../harness/tls.mjs';
import { h2loadCannot, runH2load } from './h2load.mjs';
import { handshakesCannot, runHandshakes } from './handshakes.mjs';
import { runShort, shortCannot } from './short.mjs';
import { runWrk } from './wrk.mjs';

/**
 * @typedef {object} LoadTool
 * @property {(scenario: import('../types.mjs').Scenario) => string | null} cannot Why the tool
 *   cannot make the load of a scenario; null when it can.
 * @property {(scenario: import('../types.mjs').Scenario,
 *   target: { port: number, seconds: number, core: number, folder: string }) =>
 *   Promise<import('../types.mjs').LoadResult>} run
 */

/** @type {Readonly<Record<'wrk' | 'h2load' | 'short' | 'handshakes', LoadTool>>} */
const tools = {
  wrk: { cannot: () => null, run: runWrk },
  h2load: { cannot: h2loadCannot, run: runH2load },
  short: { cannot: shortCannot, run: runShort },
  handshakes: { cannot: handshakesCannot, run: runHandshakes },
};

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {'wrk' | 'h2load'} wanted The tool for HTTP/1.1 on connections that are kept alive.
 * @returns {LoadTool}
 */
export function toolFor(scenario, wanted) {
  return tools[toolName(scenario, wanted)];
}

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {'wrk' | 'h2load'} wanted The tool for HTTP/1.1 on connections that are kept alive.
 */
export function toolName(scenario, wanted) {
  if (scenario.handshake !== undefined) return 'handshakes';
  if (isHttp2(scenario)) return 'h2load';
  return scenario.expect.keepAlive ? wanted : 'short';
}
