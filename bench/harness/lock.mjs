/** One run at a time: two would share the cores that they pin to and measure each other. */

import { linkSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { removeAtEnd } from './processes.mjs';

const pause = 1_000;

/**
 * Waits until no other run of the harness is under way in this checkout, and keeps others waiting.
 *
 * @param {string} work The folder for the lock.
 * @param {(text: string) => void} say
 */
export async function takeTurn(work, say) {
  const lock = path.join(work, 'run.lock');
  const own = path.join(work, `run.${process.pid}`);
  // Linked and not written in place, so that the lock never is without its owner's number.
  writeFileSync(own, String(process.pid));
  try {
    for (let told = false; !tryLink(own, lock); told = true) {
      const owner = Number(readOwner(lock));
      if (!told) say(`waiting for the run of process ${owner}`);
      if (isHarness(owner)) await sleep(pause);
      else rmSync(lock, { force: true });
    }
  } finally {
    unlinkSync(own);
  }
  removeAtEnd(lock);
}

/**
 * @param {string} file
 * @param {string} lock
 */
function tryLink(file, lock) {
  try {
    linkSync(file, lock);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    return false;
  }
}

/** @param {string} lock */
function readOwner(lock) {
  try {
    return readFileSync(lock, 'utf8');
  } catch {
    return '0'; // It has ended meanwhile.
  }
}

/** @param {number} pid */
function isHarness(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('run.mjs');
  } catch {
    return false;
  }
}
