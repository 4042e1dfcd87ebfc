/** The small C programs of the harness, built when they are first needed. */

import { existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { onPath } from './install.mjs';
import { runToEnd } from './processes.mjs';

const work = fileURLToPath(new URL('../.work/', import.meta.url));
const buildSeconds = 60;

/** Whether programs can be built here. */
export function hasCompiler() {
  return onPath('cc');
}

/**
 * @param {string} source A file in C.
 * @param {readonly string[]} [flags] Folders of headers, and libraries.
 * @returns {Promise<string>} The program, newer than its source.
 * @throws {Error} When it does not build.
 */
export async function compile(source, flags = []) {
  const program = path.join(work, path.basename(source, '.c'));
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return program;
  mkdirSync(work, { recursive: true });
  const args = ['-std=c11', '-O2', '-Wall', '-Wextra', '-o', program, source, ...flags];
  const { code, output } = await runToEnd(null, { file: 'cc', args }, { seconds: buildSeconds });
  if (code === 0) return program;
  throw new Error(`${path.basename(source)} does not build: ${output.trim().slice(-300)}`);
}
