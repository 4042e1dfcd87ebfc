/** nginx: one worker, no log, a static answer from its configuration. */

import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { firstLine } from '../harness/machine.mjs';
import * as tls from '../harness/tls.mjs';
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
  async command(launch) {
    const file = path.join(launch.folder, 'nginx.conf');
    writeFileSync(file, configuration(launch, await version()));
    return { file: 'nginx', args: ['-p', `${launch.folder}/`, '-e', 'stderr', '-c', file] };
  },
};

function version() {
  return firstLine('nginx', ['-v'], /nginx\/(\S+)/);
}

/**
 * What it says about TLS and HTTP/2. Tickets are given by default, but stay so if that changes.
 *
 * @param {import('../types.mjs').Launch} launch
 * @param {string} version
 */
function protocolLines({ port, scenario, certificate }, version) {
  const http2 = tls.isHttp2(scenario);
  const [major, minor, patch] = version.split('.').map(Number);
  // A line of its own since 1.25.1.
  const own = major > 1 || minor > 25 || (minor === 25 && patch >= 1);
  const words = [`listen 127.0.0.1:${port}`];
  if (certificate !== null) words.push('ssl');
  if (http2 && !own) words.push('http2');
  const lines = [`${words.join(' ')} backlog=4096;`];
  if (http2 && own) lines.push('http2 on;');
  if (certificate === null) return lines.join('\n    ');
  lines.push(`ssl_certificate ${certificate.cert};`, `ssl_certificate_key ${certificate.key};`);
  lines.push(`ssl_protocols ${tls.version};`, `ssl_conf_command Ciphersuites ${tls.suite};`);
  lines.push('ssl_session_cache shared:bench:10m;', 'ssl_session_tickets on;');
  return lines.join('\n    ');
}

/**
 * @param {import('../types.mjs').Launch} launch
 * @param {string} version
 */
function configuration(launch, version) {
  const { folder } = launch;
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
    ${protocolLines(launch, version)}
    root ${writeFiles(folder)};
    location = /plaintext { return 200 '${hello}'; }
    location = /large { }
    location /file/ { alias ${makeFiles()}/; }
  }
}
`;
}
