/** What machine this is, and which of its cores the server and the client get. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * The core of the server and the core of the client. They are two hyper-threads of one core only
 * when there is nothing else.
 *
 * @returns {{ server: number, client: number, shared: boolean }} shared: there is only one core.
 */
export function chooseCores() {
  const allowed = allowedCores();
  const server = allowed[0] ?? 0;
  const others = allowed.filter((core) => core !== server);
  const siblings = siblingsOf(server);
  const client = others.find((core) => !siblings.includes(core)) ?? others[0];
  if (client === undefined) return { server, client: server, shared: true };
  return { server, client, shared: false };
}

/** @returns {Record<string, string | number>} */
export function describeMachine() {
  const cpus = os.cpus();
  return {
    processor: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGigabytes: Math.round(os.totalmem() / 1e9),
    kernel: `${os.type()} ${os.release()}`,
    system: systemName(),
    architecture: process.arch,
  };
}

/**
 * The versions of what makes the load.
 *
 * @returns {Promise<Record<string, string>>}
 */
export async function describeTools() {
  return {
    node: process.version,
    wrk: await firstLine('wrk', ['-v'], /wrk (?:debian\/)?([^\s]+)/),
    h2load: await firstLine('h2load', ['--version'], /nghttp2\/([^\s]+)/),
  };
}

/**
 * A version that a program prints.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {RegExp} pattern Its first group is the version.
 * @returns {Promise<string>} 'missing' when the program cannot be run.
 */
export async function firstLine(file, args, pattern) {
  /** @type {string} */
  let text;
  try {
    const { stdout, stderr } = await run(file, [...args]);
    text = stdout + stderr;
  } catch (error) {
    // Some programs (wrk) print their version and end with 1.
    const { stdout, stderr } = /** @type {{ stdout?: string, stderr?: string }} */ (error);
    text = `${stdout ?? ''}${stderr ?? ''}`;
  }
  return pattern.exec(text)?.[1] ?? 'missing';
}

/** @returns {number[]} The cores that this process may use, in order. */
function allowedCores() {
  const status = readFileSync('/proc/self/status', 'utf8');
  return parseList(/^Cpus_allowed_list:\s*(.+)$/m.exec(status)?.[1] ?? '0');
}

/** @param {number} core */
function siblingsOf(core) {
  try {
    const file = `/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`;
    return parseList(readFileSync(file, 'utf8'));
  } catch {
    return [core];
  }
}

/** @param {string} text Such as 0-3,8. */
function parseList(text) {
  return text
    .trim()
    .split(',')
    .flatMap((part) => {
      const [first, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

function systemName() {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(text)?.[1] ?? os.type();
  } catch {
    return os.type();
  }
}
