/** nginx: one worker, no log, a static answer from its configuration. */

import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { firstLine } from '../harness/machine.mjs';
import { makeFiles } from './apps/files.mjs';
import { hello, idleMilliseconds } from './apps/shared.mjs';
import { can, cannot, isRoot, writeFiles } from './static.mjs';

/** @type {import('../types.mjs').Peer} */
export default {
  name: 'nginx',
  title: 'nginx (static)',
  can: [...can, 'file'],
  cannot,
  async prepare() {
    if ((await version()) === 'missing') throw new Error('nginx is not installed');
  },
  version,
  command({ port, folder }) {
    const file = path.join(folder, 'nginx.conf');
    writeFileSync(file, configuration(port, folder));
    return { file: 'nginx', args: ['-p', `${folder}/`, '-e', 'stderr', '-c', file] };
  },
};

function version() {
  return firstLine('nginx', ['-v'], /nginx\/(\S+)/);
}

/**
 * @param {number} port
 * @param {string} folder
 */
function configuration(port, folder) {
  return `${isRoot() ? 'user root;' : ''}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 20000; }
http {
  access_log off;
  default_type text/plain;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16 inactive=1h;
  open_file_cache_valid 1h;
  keepalive_timeout ${idleMilliseconds / 1000}s;
  keepalive_requests 1000000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${writeFiles(folder)};
    location = /plaintext { return 200 '${hello}'; }
    location = /large { }
    location /file/ { alias ${makeFiles()}/; }
  }
}
`;
}
