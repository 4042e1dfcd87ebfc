/** h2o: one thread, no log, static files. */

import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { firstLine } from '../harness/machine.mjs';
import { idleMilliseconds } from './apps/shared.mjs';
import { can, cannot, isRoot, writeFiles } from './static.mjs';

/** @type {import('../types.mjs').Peer} */
export default {
  name: 'h2o',
  title: 'h2o (static)',
  can,
  cannot,
  async prepare() {
    if ((await version()) === 'missing') throw new Error('h2o is not installed');
  },
  version,
  command(launch) {
    const { folder } = launch;
    const file = path.join(folder, 'h2o.yaml');
    writeFileSync(file, configuration(launch, writeFiles(folder)));
    return { file: 'h2o', args: ['-m', 'worker', '-c', file] };
  },
};

function version() {
  return firstLine('h2o', ['-v'], /h2o version (\S+)/);
}

/**
 * @param {import('../types.mjs').Launch} launch
 * @param {string} files
 */
function configuration({ port, certificate }, files) {
  const secure =
    certificate === null
      ? ''
      : `  ssl:
    certificate-file: ${certificate.cert}
    key-file: ${certificate.key}
`;
  return `${isRoot() ? 'user: root' : ''}
num-threads: 1
num-name-resolution-threads: 1
max-connections: 20000
http1-request-timeout: ${idleMilliseconds / 1000}
http2-idle-timeout: ${idleMilliseconds / 1000}
listen:
  host: 127.0.0.1
  port: ${port}
${secure}hosts:
  default:
    paths:
      /:
        file.dir: ${files}
        file.mime.setdefaulttype: text/plain
`;
}
