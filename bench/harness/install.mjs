/** Brings what the harness needs: the peers' packages, and programs of Debian when it may. */

import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { removeAtEnd, runToEnd } from './processes.mjs';

/** Programs and the Debian packages that have them. */
const debian = { wrk: 'wrk', h2load: 'nghttp2-client', nginx: 'nginx', h2o: 'h2o' };
const installSeconds = 600;
/** Debian asks this file whether a package may start its service; 101 says no. */
const servicePolicy = '/usr/sbin/policy-rc.d';

/**
 * Installs the npm packages of the peers when they are missing or have changed. No install script
 * is run: the peers that need a binary have it inside a package.
 *
 * @param {string} folder bench/peers
 * @param {string} work
 * @param {(text: string) => void} say
 */
export async function installPackages(folder, work, say) {
  const stamp = path.join(work, 'packages.stamp');
  const present = existsSync(path.join(folder, 'node_modules')) && existsSync(stamp);
  if (present && readFileSync(stamp, 'utf8') === digestOf(folder)) return;
  say('installing the npm packages of the peers (once)');
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { code, output } = await runToEnd(
    null,
    { file: 'npm', args },
    { cwd: folder, seconds: installSeconds },
  );
  if (code !== 0) {
    say(`npm install failed in bench/peers: ${output.trim().slice(-400)}`);
    return;
  }
  mkdirSync(work, { recursive: true });
  writeFileSync(stamp, digestOf(folder));
}

/** @param {string} folder */
function digestOf(folder) {
  const digest = createHash('sha256');
  for (const name of ['package.json', 'package-lock.json']) {
    const file = path.join(folder, name);
    if (existsSync(file)) digest.update(readFileSync(file));
  }
  return digest.digest('hex');
}

/**
 * Installs programs that are missing, when this is Debian and this process is root.
 *
 * @param {readonly (keyof typeof debian)[]} programs
 * @param {(text: string) => void} say
 */
export async function installPrograms(programs, say) {
  const missing = programs.filter((program) => !onPath(program));
  if (missing.length === 0) return;
  const packages = missing.map((program) => debian[program]);
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    say(`missing: ${missing.join(', ')} (on Debian: apt-get install ${packages.join(' ')})`);
    return;
  }
  say(`installing with apt-get: ${packages.join(', ')}`);
  const guarded = !existsSync(servicePolicy);
  // Otherwise Debian would start nginx on port 80.
  if (guarded) {
    removeAtEnd(servicePolicy);
    writeFileSync(servicePolicy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  }
  try {
    const install = ['install', '-y', '--no-install-recommends', ...packages];
    if ((await aptGet(install)).code === 0) return;
    await aptGet(['update']);
    const { code, output } = await aptGet(install);
    if (code !== 0) say(`apt-get install failed: ${output.trim().slice(-400)}`);
  } finally {
    if (guarded) rmSync(servicePolicy, { force: true });
  }
}

/**
 * @param {string} program
 * @returns {boolean}
 */
export function onPath(program) {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @param {string[]} args */
function aptGet(args) {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  return runToEnd(null, { file: 'apt-get', args, env }, { seconds: installSeconds, gentle: true });
}
