/** Bun.serve, and its node:http2 for what has trailers. The program comes inside a package for the platform; no install script is run. */

import { readFileSync } from 'node:fs';

import { firstLine } from '../harness/machine.mjs';
import { appArguments, appFile, everyRoute, packageFile } from './packages.mjs';

/** @type {import('../types.mjs').Peer} */
export default {
  name: 'bun',
  title: 'Bun.serve',
  titleOf: ({ route }) => (route === 'unary' ? 'Bun node:http2' : 'Bun.serve'),
  can: [...everyRoute, 'refuse', 'unary', 'https', 'h2', 'h2c'],
  async prepare() {
    program();
  },
  version: () => firstLine(program(), ['--version'], /^(\S+)/),
  command(launch) {
    // An answer of Bun.serve has no trailers.
    const app = launch.scenario.route === 'unary' ? 'node-http2' : 'bun';
    const args = ['run', '--no-install', appFile(app), ...appArguments(launch)];
    return { file: program(), args, env: { DO_NOT_TRACK: '1', NODE_ENV: 'production' } };
  },
};

function program() {
  const plain = `@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : process.arch}`;
  const modern = process.arch !== 'x64' || readFileSync('/proc/cpuinfo', 'utf8').includes('avx2');
  return packageFile(modern ? plain : `${plain}-baseline`, ['bin', 'bun']);
}
