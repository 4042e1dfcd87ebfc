/** The server that all this is about. */

import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { appArguments, appFile, everyRoute, peersFolder } from './packages.mjs';

const run = promisify(execFile);
const root = path.resolve(peersFolder, '..', '..');

/** @type {import('../types.mjs').Peer} */
export default {
  name: 'windhover',
  title: 'windhover',
  can: [...everyRoute, 'file', 'refuse', 'unary', 'https', 'h2', 'h2c'],
  async prepare() {
    if (existsSync(path.join(root, 'dist', 'lib', 'index.js'))) return;
    throw new Error('dist/lib/index.js is missing: npm run build');
  },
  async version() {
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    try {
      const { stdout } = await run('git', ['rev-parse', '--short', 'HEAD'], { cwd: root });
      return `${version} (${stdout.trim()})`;
    } catch {
      return version; // Not a git checkout, or no commit yet.
    }
  },
  command(launch) {
    const args = [appFile('windhover'), ...appArguments(launch)];
    return { file: process.execPath, args, env: { NODE_ENV: 'production' } };
  },
};
