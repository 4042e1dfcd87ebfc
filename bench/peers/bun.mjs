/** Bun.serve. The program comes inside a package for the platform; no install script is run. */

import { readFileSync } from 'node:fs';

import { firstLine } from '../harness/machine.mjs';
import { appFile, everyRoute, packageFile } from './packages.mjs';

/** @type {import('../types.mjs').Peer} */
export default {
  name: 'bun',
  title: 'Bun.serve',
  can: [...everyRoute, 'refuse'],
  async prepare() {
    program();
  },
  version: () => firstLine(program(), ['--version'], /^(\S+)/),
  command({ port }) {
    const args = ['run', '--no-install', appFile('bun'), String(port)];
    return { file: program(), args, env: { DO_NOT_TRACK: '1', NODE_ENV: 'production' } };
  },
};

function program() {
  const plain = `@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : process.arch}`;
  const modern = process.arch !== 'x64' || readFileSync('/proc/cpuinfo', 'utf8').includes('avx2');
  return packageFile(modern ? plain : `${plain}-baseline`, ['bin', 'bun']);
}
