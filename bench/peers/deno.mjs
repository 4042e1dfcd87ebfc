/** Deno.serve. The program comes inside a package for the platform; no install script is run. */

import { firstLine } from '../harness/machine.mjs';
import { appFile, everyRoute, packageFile } from './packages.mjs';

/** @type {import('../types.mjs').Peer} */
export default {
  name: 'deno',
  title: 'Deno.serve',
  can: [...everyRoute, 'refuse'],
  async prepare() {
    program();
  },
  version: () => firstLine(program(), ['--version'], /^deno (\S+)/),
  command({ port, folder }) {
    const args = ['run', '--no-config', '--no-remote', '--no-npm', '--allow-net=127.0.0.1'];
    args.push(appFile('deno'), String(port));
    return { file: program(), args, env: { DENO_DIR: folder, DENO_NO_UPDATE_CHECK: '1' } };
  },
};

function program() {
  return packageFile(`@deno/linux-${process.arch}-glibc`, ['deno']);
}
