/** Load of TLS handshakes, by a small program of our own (handshakes.c), built when it is needed. */

import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { compile, hasCompiler } from '../harness/compile.mjs';
import { runToEnd } from '../harness/processes.mjs';
import * as tls from '../harness/tls.mjs';
import { requestText } from '../harness/wire.mjs';

const source = fileURLToPath(new URL('handshakes.c', import.meta.url));
/** Handshakes that may be full beside the first of each connection, per handshake resumed. */
const fullLimit = 0.01;

/**
 * Where headers of OpenSSL are: the system's (Debian: libssl-dev), else those that came with Node,
 * which is a version of OpenSSL 3 as well. The library is the system's in any case; it is named in
 * full, because the short name comes only with the system's headers.
 *
 * @returns {string | null} Null when there are none.
 */
function findHeaders() {
  const beside = path.join(path.dirname(path.dirname(process.execPath)), 'include', 'node');
  const folders = ['/usr/include', '/usr/local/include', beside];
  return folders.find((folder) => existsSync(path.join(folder, 'openssl', 'ssl.h'))) ?? null;
}

/** @returns {string | null} */
export function handshakesCannot() {
  if (!hasCompiler()) return 'handshakes need a C compiler (cc)';
  return findHeaders() === null ? "handshakes need OpenSSL's headers (Debian: libssl-dev)" : null;
}

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {{ port: number, seconds: number, core: number, folder: string }} target
 * @returns {Promise<import('../types.mjs').LoadResult>}
 * @throws {Error} When the handshakes were not of the kind that the scenario is about.
 */
export async function runHandshakes(scenario, target) {
  const program = await compile(source, [
    `-I${findHeaders()}`,
    '-l:libssl.so.3',
    '-l:libcrypto.so.3',
  ]);
  const { request, expect, handshake = 'full', load = { connections: 1 } } = scenario;
  const file = path.join(target.folder, `${scenario.name}-${target.port}.request`);
  writeFileSync(file, requestText(request, `127.0.0.1:${target.port}`), 'latin1');
  const args = [target.port, load.connections, target.seconds, handshake, tls.suite, tls.group];
  const { output } = await runToEnd(
    target.core,
    { file: program, args: [...args.map(String), String(expect.status), file] },
    { seconds: target.seconds + 5 },
  );
  const line = /^RESULT (.*)$/m.exec(output)?.[1];
  if (line === undefined) {
    throw new Error(`handshakes: ${output.trim().slice(-300) || 'no output'}`);
  }
  const { requests, microseconds, p50, p99, wrong, failures, full, resumed, complaint } =
    JSON.parse(line);
  if (requests === 0) throw new Error(`no handshake was done: ${complaint || 'no answer'}`);
  if (handshake === 'resumed' && full > load.connections + fullLimit * resumed) {
    throw new Error(
      `${full} of ${requests} handshakes were full ones, though tickets were offered`,
    );
  }
  return { requests, seconds: microseconds / 1e6, p50, p99, failures, wrong };
}
