/**
 * nginx, HAProxy and httpd in front of a server, with the configurations of docs/proxies/: ports, paths and
 * certificates are replaced, nothing else.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { root } from '../docs/markdown.js';
import { serverCertificate } from './certificates.js';
import { findProgram, foreignEnvironment } from './programs.js';
import { until } from './until.js';

export const PROXIES = ['nginx', 'haproxy', 'apache'] as const;
export type ProxyName = (typeof PROXIES)[number];

/** Where the application listens. */
export type Backend = { readonly port: number } | { readonly path: string };

/** A proxy that runs. */
export interface RunningProxy {
  readonly http: number;
  readonly https: number;
}

interface Launch extends RunningProxy {
  readonly folder: string;
  /** The text of docs/proxies/, adapted. */
  readonly text: string;
}

interface Proxy {
  readonly file: string;
  readonly programs: readonly string[];
  /** What in the file stands for both ports, and for an application on a Unix socket. */
  adapt(text: string, ports: RunningProxy, backend: Backend): string;
  /** Writes what else it needs; gives its arguments. */
  prepare(launch: Launch): readonly string[];
}

/** Debian has the modules of httpd here; a configuration of one's own must load them. */
const APACHE_MODULES = '/usr/lib/apache2/modules';

const isRoot = process.getuid?.() === 0;

const TCP_BACKEND = '127.0.0.1:5000';

const proxies: Readonly<Record<ProxyName, Proxy>> = {
  nginx: {
    file: 'nginx.conf',
    programs: ['nginx'],
    adapt: (text, { http, https }, backend) =>
      replaceAll(text, [
        ['listen 80;', `listen 127.0.0.1:${String(http)};`],
        ['listen 443 ssl;', `listen 127.0.0.1:${String(https)} ssl;`],
        [TCP_BACKEND, 'path' in backend ? `unix:${backend.path}` : addressOf(backend)],
      ]),
    prepare({ folder, text }) {
      const file = write(
        folder,
        'main.conf',
        `${isRoot ? 'user root;' : ''}
        daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit;
        events {}
        http {
          access_log off;
          client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
          fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
          ${text}
        }`,
      );
      return ['-p', `${folder}/`, '-e', 'stderr', '-c', file];
    },
  },
  haproxy: {
    file: 'haproxy.cfg',
    programs: ['haproxy'],
    adapt: (text, { http, https }, backend) =>
      replaceAll(text, [
        ['bind :80', `bind 127.0.0.1:${String(http)}`],
        ['bind :443', `bind 127.0.0.1:${String(https)}`],
        [TCP_BACKEND, 'path' in backend ? `unix@${backend.path}` : addressOf(backend)],
      ]),
    prepare({ folder, text }) {
      return ['-q', '-db', '-f', write(folder, 'haproxy.cfg', text)];
    },
  },
  apache: {
    file: 'apache.conf',
    programs: ['apache2', 'httpd'],
    adapt: (text, { http, https }, backend) =>
      replaceAll(text, [
        ['*:80', `127.0.0.1:${String(http)}`],
        ['*:443', `127.0.0.1:${String(https)}`],
        [
          `ProxyPass / http://${TCP_BACKEND}/`,
          'path' in backend
            ? `ProxyPass / unix:${backend.path}|http://localhost/`
            : `ProxyPass / http://${addressOf(backend)}/`,
        ],
      ]),
    prepare({ folder, text, http, https }) {
      const modules = ['mpm_event', 'authz_core', 'headers', 'proxy', 'proxy_http', 'ssl'];
      const file = write(
        folder,
        'main.conf',
        [
          ...modules.map((name) => `LoadModule ${name}_module ${APACHE_MODULES}/mod_${name}.so`),
          `ServerRoot ${folder}`,
          `DefaultRuntimeDir ${folder}`,
          `PidFile ${folder}/httpd.pid`,
          `ErrorLog ${folder}/error.log`,
          'ServerName localhost',
          'LimitRequestBody 0',
          ...(isRoot ? ['User www-data', 'Group www-data'] : []),
          `Listen 127.0.0.1:${String(http)} http`,
          `Listen 127.0.0.1:${String(https)} https`,
          text,
        ].join('\n'),
      );
      return ['-f', file, '-DFOREGROUND'];
    },
  },
};

/** The text of a documented configuration. */
export function readConfiguration(file: string): string {
  return readFileSync(join(root, 'docs', 'proxies', file), 'utf8');
}

/** The files of the documented configurations. */
export const CONFIGURATIONS = PROXIES.map((name) => proxies[name].file);

/** The program, if it is there. */
export function findProxy(name: ProxyName): string | undefined {
  // Debian puts them where only root looks.
  const { PATH } = process.env;
  try {
    process.env.PATH = `${PATH ?? ''}:/usr/sbin:/usr/local/sbin`;
    return findProgram(...proxies[name].programs);
  } finally {
    process.env.PATH = PATH;
  }
}

/** Starts one; it is stopped after the test. */
export async function startProxy(
  t: ExecutionContext,
  name: ProxyName,
  program: string,
  backend: Backend,
): Promise<RunningProxy> {
  const proxy = proxies[name];
  const folder = mkdtempSync(join(tmpdir(), 'windhover-proxy-'));
  chmodSync(folder, 0o755); // httpd's workers are another user
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const { cert, key } = serverCertificate();
  write(folder, 'cert.pem', cert);
  write(folder, 'key.pem', key);
  write(folder, 'haproxy.pem', cert + key);
  // A port that was free a moment ago may be taken by now.
  for (let attempt = 1; ; attempt++) {
    const ports = { http: await freePort(), https: await freePort() };
    const adapted = proxy.adapt(readConfiguration(proxy.file), ports, backend);
    const text = adapted.replaceAll('/etc/tls/', `${folder}/`);
    const args = proxy.prepare({ ...ports, folder, text });
    const child = spawn(program, args, {
      env: foreignEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (more: string) => {
      errors += more;
    });
    await until(
      async () => hasEnded(child) || (await accepts(ports.http)),
      `${name} accepts connections`,
    );
    if (!hasEnded(child)) {
      t.teardown(() => stop(child));
      return ports;
    }
    if (attempt === 3) throw new Error(`${name} does not start: ${errors}`);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const end = once(child, 'close');
  child.kill('SIGTERM');
  await end;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function addressOf(backend: Backend): string {
  return 'port' in backend ? `127.0.0.1:${String(backend.port)}` : backend.path;
}

/** Every text must be there once at least: the tests know the documentation. */
function replaceAll(text: string, pairs: readonly (readonly [string, string])[]): string {
  let replaced = text;
  for (const [from, to] of pairs) {
    if (!replaced.includes(from)) throw new Error(`the configuration has no ${from}`);
    replaced = replaced.replaceAll(from, to);
  }
  return replaced;
}

function write(folder: string, name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}
