/** How much others use the machine while something is measured. */

import { setTimeout as sleep } from 'node:timers/promises';

import { cpuBetween, machineBusy, ownTime } from './procfs.mjs';

/** Cores that others may use during a slice before it is thrown away. */
export const foreignLimit = 0.15;

const quietWindow = 250;

/**
 * Starts watching; the function returned ends it.
 *
 * @param {() => import('./procfs.mjs').CpuTime} serverCpu
 * @returns {() => { server: number, foreign: number, seconds: number }} server: nanoseconds of CPU
 *   of the server; foreign: cores used by processes that are neither the server, nor the harness,
 *   nor a load generator that has ended meanwhile.
 */
export function watch(serverCpu) {
  const started = performance.now();
  const busy = machineBusy();
  const own = ownTime();
  const before = serverCpu();
  return () => {
    const server = cpuBetween(before, serverCpu());
    const nanoseconds = (performance.now() - started) * 1e6;
    const foreign = machineBusy() - busy - (ownTime() - own) - server;
    return {
      server,
      foreign: Math.max(0, foreign / nanoseconds),
      seconds: nanoseconds / 1e9,
    };
  };
}

/**
 * Waits until others leave the machine alone, for a bounded time. To be called while the servers
 * are idle.
 *
 * @param {number} milliseconds The longest wait.
 */
export async function waitForQuiet(milliseconds) {
  for (let waited = 0; waited < milliseconds; waited += quietWindow) {
    const finish = watch(() => ({ exact: 0, ticks: 0, processes: 0 }));
    await sleep(quietWindow);
    if (finish().foreign < foreignLimit) return;
  }
}
