/**
 * What /proc tells about processes and the machine.
 *
 * The CPU time of a server is read per thread from `schedstat`, in nanoseconds. A thread that ends
 * takes its figure with it, so the ticks (10 ms) of `stat`, which include ended threads, are read
 * beside it and used when the two disagree.
 */

import { readFileSync, readdirSync } from 'node:fs';

/** Length of a tick in /proc/PID/stat and /proc/stat: USER_HZ is 100 on every Linux of Node. */
const tickNanoseconds = 10_000_000;

/**
 * @typedef {object} CpuTime
 * @property {number} exact Nanoseconds of the threads that live.
 * @property {number} ticks Nanoseconds in steps of 10 ms, with threads that have ended.
 * @property {number} processes How many processes were counted.
 */

/**
 * The processes of a server: the one started, those it started, and all of its process group.
 *
 * @param {number} root
 * @returns {number[]}
 */
export function processTree(root) {
  /** @type {Map<number, { parent: number, group: number }>} */
  const all = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statFields(Number(name));
    if (fields !== null) {
      all.set(Number(name), { parent: Number(fields[1]), group: Number(fields[2]) });
    }
  }
  const belongs = (/** @type {number} */ pid) => {
    for (let next = pid; next > 1;) {
      const entry = all.get(next);
      if (next === root || entry?.group === root) return true;
      if (entry === undefined) return false;
      next = entry.parent;
    }
    return false;
  };
  return [...all.keys()].filter(belongs);
}

/**
 * @param {readonly number[]} pids
 * @returns {CpuTime}
 */
export function cpuTime(pids) {
  let exact = 0;
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    if (fields !== null) ticks += (Number(fields[11]) + Number(fields[12])) * tickNanoseconds;
    for (const task of list(`/proc/${pid}/task`)) {
      const text = read(`/proc/${pid}/task/${task}/schedstat`);
      if (text !== null) exact += Number(text.split(' ', 1)[0]);
    }
  }
  return { exact, ticks, processes: pids.length };
}

/**
 * CPU time between two readings, in nanoseconds.
 *
 * @param {CpuTime} before
 * @param {CpuTime} after
 */
export function cpuBetween(before, after) {
  const exact = after.exact - before.exact;
  const ticks = after.ticks - before.ticks;
  const tolerance = 2 * tickNanoseconds * Math.max(after.processes, 1);
  return Math.abs(ticks - exact) > tolerance ? ticks : exact;
}

/**
 * @param {readonly number[]} pids
 * @returns {number} Resident bytes of all of them.
 */
export function residentBytes(pids) {
  let sum = 0;
  for (const pid of pids) {
    const status = read(`/proc/${pid}/status`) ?? '';
    sum += Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  }
  return sum;
}

/**
 * Time that all processors together were busy since the machine started, in nanoseconds. Time
 * stolen by other virtual machines counts as busy: it disturbs as much.
 */
export function machineBusy() {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) * tickNanoseconds;
}

/**
 * CPU time of this process and of the children that it has waited for (the load generators, once
 * they have ended), in nanoseconds.
 */
export function ownTime() {
  const fields = statFields(process.pid);
  if (fields === null) throw new Error('/proc/PID/stat of this process cannot be read');
  const sum = [11, 12, 13, 14].reduce((total, index) => total + Number(fields[index]), 0);
  return sum * tickNanoseconds;
}

/**
 * The fields of /proc/PID/stat from the state on: 1 parent, 2 process group, 11 user, 12 system,
 * 13 and 14 the same of children that were waited for.
 *
 * @param {number} pid
 * @returns {string[] | null} Null when the process is gone.
 */
function statFields(pid) {
  const text = read(`/proc/${pid}/stat`);
  // The name in parentheses may hold anything, also spaces and parentheses.
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** @param {string} file */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null; // The process or thread has ended meanwhile.
  }
}

/** @param {string} folder */
function list(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
