/**
 * Every process that the harness starts, so that none is left behind. Each is the leader of a
 * process group of its own; only such groups are ever signalled.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
/**
 * Those that must not be killed in the middle of their work (a package manager).
 *
 * @type {WeakSet<import('node:child_process').ChildProcess>}
 */
const gentle = new WeakSet();
/** @type {Set<string>} */
const temporary = new Set();

/**
 * @typedef {object} Spawned
 * @property {import('node:child_process').ChildProcess} child
 * @property {number} pid
 * @property {Promise<number | null>} ended The exit code; null when a signal ended it.
 */

/**
 * Starts a program on one core, to be killed by the kernel should this process die.
 *
 * @param {number | null} core Null: wherever.
 * @param {import('../types.mjs').Command} command
 * @param {{ cwd?: string, stdio?: import('node:child_process').StdioOptions, files?: number,
 *   gentle?: boolean }} [options] files: how many descriptors it may have open; gentle: it is asked
 *   to end and never killed.
 * @returns {Spawned}
 */
export function start(core, command, options = {}) {
  /** @type {string[]} */
  const words = ['setpriv', '--pdeathsig', options.gentle ? 'TERM' : 'KILL', '--'];
  if (options.files !== undefined) words.push('prlimit', `--nofile=${options.files}`, '--');
  if (core !== null) words.push('taskset', '-c', String(core));
  words.push(command.file, ...command.args);
  const child = spawn(words[0], words.slice(1), {
    cwd: options.cwd,
    env: { ...process.env, ...command.env },
    stdio: options.stdio ?? ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  running.add(child);
  if (options.gentle) gentle.add(child);
  const ended = new Promise((/** @type {(code: number | null) => void} */ resolve) => {
    child.once('error', () => {
      running.delete(child);
      resolve(127);
    });
    child.once('exit', (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return { child, pid: child.pid ?? 0, ended };
}

/**
 * Runs a program to its end.
 *
 * @param {number | null} core
 * @param {import('../types.mjs').Command} command
 * @param {{ cwd?: string, seconds: number, gentle?: boolean }} options seconds: it is killed after
 *   that; gentle: as for start().
 * @returns {Promise<{ code: number | null, output: string }>} output: stdout, then stderr.
 */
export async function runToEnd(core, command, options) {
  const { child, ended } = start(core, command, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text) => (stderr += text));
  const closed = once(child, 'close').catch(() => undefined);
  const timer = setTimeout(() => stop(child), options.seconds * 1000);
  const code = await ended;
  if (code !== 127) await closed;
  clearTimeout(timer);
  return { code, output: stdout + stderr };
}

/**
 * Signals the whole group of a child. A child that has ended is left alone: its number may
 * belong to somebody else.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
export function signalGroup(child, signal) {
  if (child.pid === undefined || !running.has(child)) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended between the check and the signal.
  }
}

/** @param {import('node:child_process').ChildProcess} child */
function stop(child) {
  signalGroup(child, gentle.has(child) ? 'SIGTERM' : 'SIGKILL');
}

/**
 * Ends a child: politely, then by force.
 *
 * @param {Spawned} spawned
 */
export async function end(spawned) {
  signalGroup(spawned.child, 'SIGCONT');
  signalGroup(spawned.child, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(spawned.child, 'SIGKILL'), 1000);
  await spawned.ended;
  clearTimeout(timer);
}

/**
 * A folder that is removed when the harness ends, however it ends.
 *
 * @param {string} folder
 */
export function removeAtEnd(folder) {
  temporary.add(folder);
}

/** Ends everything that is still there when this process ends for whatever reason. */
export function cleanUpAtExit() {
  process.once('exit', () => {
    for (const child of running) stop(child);
    for (const folder of temporary) rmSync(folder, { recursive: true, force: true });
  });
  for (const [signal, number] of /** @type {const} */ ([
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ])) {
    process.once(signal, () => process.exit(128 + number));
  }
}
