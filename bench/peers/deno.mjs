/** Deno.serve. The program comes inside a package for the platform; no install script is run. */

import { firstLine } from '../harness/machine.mjs';
import { appArguments, appFile, everyRoute, packageFile } from './packages.mjs';

/** @type {import('../types.mjs').Peer} */
export default {
  name: 'deno',
  title: 'Deno.serve',
  can: [...everyRoute, 'refuse', 'https', 'h2', 'h2c'],
  cannot: { unary: 'an answer of Deno.serve has no trailers' },
  async prepare() {
    program();
  },
  version: () => firstLine(program(), ['--version'], /^deno (\S+)/),
  command(launch) {
    const args = ['run', '--no-config', '--no-remote', '--no-npm', '--allow-net=127.0.0.1'];
    const { folder, certificate } = launch;
    if (certificate !== null) {
      args.push(`--allow-read=${certificate.cert},${certificate.key}`);
    }
    args.push(appFile('deno'), ...appArguments(launch));
    return { file: program(), args, env: { DENO_DIR: folder, DENO_NO_UPDATE_CHECK: '1' } };
  },
};

function program() {
  return packageFile(`@deno/linux-${process.arch}-glibc`, ['deno']);
}
