/**
 * The speed of the server's core. A virtual machine on a busy host loses up to a third of it to
 * neighbours for a second or a minute, without anything in /proc to show for it, and the CPU time
 * of every request grows by as much. Slices on a slow core are not comparable with others.
 */

import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { compile, hasCompiler } from './compile.mjs';
import { signalGroup, start } from './processes.mjs';

/** A core is slow when the same work takes it longer than this, compared with its best. */
const slowLimit = 1.1;
/** Windows at the beginning of a run, in which the best speed is looked for. */
const windows = 4;
const windowMilliseconds = 500;
/** The best speed since the machine started, so that a run in a slow hour knows that it is slow. */
const memory = fileURLToPath(new URL('../.work/speed.json', import.meta.url));

export class SpeedMeter {
  /** Nanoseconds of the same work on the core at its best, as far as it is known. */
  #best = Infinity;
  #machine = '';

  /**
   * @param {number} core
   * @param {string | null} program Null: it cannot be measured here.
   */
  constructor(core, program) {
    this.core = core;
    this.program = program;
    this.#machine = `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${core}`;
    this.#best = this.#remembered();
  }

  /**
   * @param {number} core
   * @returns {Promise<SpeedMeter>} One that knows nothing when there is no C compiler.
   */
  static async create(core) {
    if (!hasCompiler()) return new SpeedMeter(core, null);
    const program = await compile(fileURLToPath(new URL('speed.c', import.meta.url)));
    const meter = new SpeedMeter(core, program);
    for (let window = 0; window < windows; window += 1) {
      const finish = meter.watch();
      await sleep(windowMilliseconds);
      await finish();
    }
    return meter;
  }

  /**
   * Starts to measure; the function returned ends it.
   *
   * @returns {() => Promise<number | null>} Nanoseconds of the same work; null when unknown.
   */
  watch() {
    if (this.program === null) return async () => null;
    const { child, ended } = start(this.core, { file: this.program, args: [] });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text) => (output += text));
    const closed = once(child, 'close');
    return async () => {
      signalGroup(child, 'SIGTERM');
      await Promise.all([ended, closed]);
      const nanoseconds = Number(output);
      if (!(nanoseconds > 0)) return null;
      if (nanoseconds < this.#best) this.#remember(nanoseconds);
      return nanoseconds;
    };
  }

  /**
   * @param {number | null} nanoseconds What watch() told.
   * @returns {number} How many times longer than at its best the core took; 1 when unknown.
   */
  slowness(nanoseconds) {
    return nanoseconds === null ? 1 : nanoseconds / this.#best;
  }

  /** @param {number | null} nanoseconds */
  isSlow(nanoseconds) {
    return this.slowness(nanoseconds) > slowLimit;
  }

  /** @returns {number} Infinity when this is a first run. */
  #remembered() {
    try {
      const { machine, best } = JSON.parse(readFileSync(memory, 'utf8'));
      return machine === this.#machine ? Number(best) : Infinity;
    } catch {
      return Infinity;
    }
  }

  /** @param {number} best */
  #remember(best) {
    this.#best = best;
    writeFileSync(memory, JSON.stringify({ machine: this.#machine, best }));
  }
}
