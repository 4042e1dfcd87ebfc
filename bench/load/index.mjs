/** The load generators, and which one makes the load of a scenario. */

import { h2loadCannot, runH2load } from './h2load.mjs';
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

/** @type {Readonly<Record<'wrk' | 'h2load' | 'short', LoadTool>>} */
const tools = {
  wrk: { cannot: () => null, run: runWrk },
  h2load: { cannot: h2loadCannot, run: runH2load },
  short: { cannot: shortCannot, run: runShort },
};

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {'wrk' | 'h2load'} wanted The tool for connections that are kept alive.
 * @returns {LoadTool}
 */
export function toolFor(scenario, wanted) {
  return tools[scenario.expect.keepAlive ? wanted : 'short'];
}
