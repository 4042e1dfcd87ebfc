/** Load of short connections, by a small program of our own (short.c), built when it is needed. */

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { compile, hasCompiler } from '../harness/compile.mjs';
import { runToEnd } from '../harness/processes.mjs';
import { requestText } from '../harness/wire.mjs';

const source = fileURLToPath(new URL('short.c', import.meta.url));

/** @returns {string | null} */
export function shortCannot() {
  return hasCompiler() ? null : 'short connections need a C compiler (cc)';
}

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {{ port: number, seconds: number, core: number, folder: string }} target
 * @returns {Promise<import('../types.mjs').LoadResult>}
 */
export async function runShort(scenario, target) {
  const program = await compile(source);
  const { request, expect, load = { connections: 1 } } = scenario;
  const file = path.join(target.folder, `${scenario.name}-${target.port}.request`);
  writeFileSync(file, requestText(request, `127.0.0.1:${target.port}`), 'latin1');
  const numbers = [target.port, load.connections, target.seconds, expect.status].map(String);
  const { output } = await runToEnd(
    target.core,
    { file: program, args: [...numbers, file] },
    { seconds: target.seconds + 5 },
  );
  const line = /^RESULT (.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`short: ${output.trim().slice(-300) || 'no output'}`);
  const { requests, microseconds, p50, p99, wrong, failures } = JSON.parse(line);
  return { requests, seconds: microseconds / 1e6, p50, p99, failures, wrong };
}
