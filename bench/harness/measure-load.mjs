/**
 * A scenario with load: all servers are started, then each gets a slice of one second in turn, so
 * that what changes on the machine changes for all.
 */

import { foreignLimit, waitForQuiet, watch } from './foreign.mjs';
import { startServer, unsupported } from './prepare-server.mjs';
import { figure } from './stats.mjs';

/** Length of a slice in seconds. */
const sliceSeconds = 1;
/** Slices that may be repeated, per slice wanted. */
const repeatsPerSlice = 2;
/** Milliseconds to wait for a quiet machine before a slice is repeated. */
const patience = 4_000;
/** Milliseconds over which the CPU of an idle server is measured. */
const idleWindow = 600;
/** Cores that an idle server may use without being stopped while others are measured. */
const restlessLimit = 0.02;
/** Share of requests that may fail in transit, such as those under way when a slice ends. */
const failureLimit = 0.001;

/**
 * @typedef {object} Bench What a measurement needs to know of the run.
 * @property {{ server: number, client: number }} cores
 * @property {string} folder For temporary files.
 * @property {number} slices
 * @property {number} warmUp Seconds.
 * @property {import('../load/index.mjs').LoadTool} tool
 * @property {import('./speed.mjs').SpeedMeter} speed
 * @property {'auto' | 'all' | 'none'} stop Which servers are stopped while they wait for their turn.
 * @property {(text: string) => void} progress
 */

/**
 * @param {import('../types.mjs').Scenario} scenario
 * @param {readonly import('../types.mjs').Peer[]} peers
 * @param {Bench} bench
 * @returns {Promise<import('../types.mjs').Outcome[]>} One for each peer, in their order.
 */
export async function measureLoad(scenario, peers, bench) {
  const runs = peers.map((peer) => new Run(scenario, peer, bench));
  try {
    for (const run of runs) await run.begin();
    for (let slice = 1; slice <= bench.slices; slice += 1) {
      for (const run of runs) await run.slice(slice);
    }
  } finally {
    for (const run of runs) await run.end();
  }
  return runs.map((run) => run.outcome());
}

/** One server in one scenario. */
class Run {
  /** @type {import('./server.mjs').MeasuredServer | null} */
  #server = null;
  /** @type {import('../types.mjs').Outcome['status']} */
  #status = 'ok';
  #reason = '';
  /** @type {import('../types.mjs').Slice[]} */
  #slices = [];
  #discarded = 0;
  #idleCpu = 0;
  /** @type {string | undefined} */
  #negotiated;

  /**
   * @param {import('../types.mjs').Scenario} scenario
   * @param {import('../types.mjs').Peer} peer
   * @param {Bench} bench
   */
  constructor(scenario, peer, bench) {
    this.scenario = scenario;
    this.peer = peer;
    this.bench = bench;
  }

  /** Starts the server, checks its answer, warms it up and stops it. */
  async begin() {
    const { scenario, peer, bench } = this;
    const reason = unsupported(scenario, peer) ?? bench.tool.cannot(scenario);
    if (reason !== null) {
      this.#status = 'unsupported';
      this.#reason = reason;
      return;
    }
    bench.progress(`${peer.name}: start, check, warm-up`);
    try {
      this.#server = await startServer(scenario, peer, bench);
      this.#negotiated = this.#server.negotiated;
      const seconds = Math.max(bench.warmUp, peer.warmUpSeconds ?? 0);
      await bench.tool.run(scenario, this.#target(this.#server, seconds));
      await this.#server.settle();
      this.#idleCpu = await this.#server.idleCpu(idleWindow);
      await this.#rest(this.#server);
    } catch (error) {
      await this.#fail(error);
    }
  }

  /**
   * Measures one slice, again while others disturb it and repeats are left.
   *
   * @param {number} number From 1.
   */
  async slice(number) {
    const { bench, peer } = this;
    const server = this.#server;
    if (server === null) return;
    try {
      for (;;) {
        const slice = await this.#measure(server);
        if (slice.noisy && this.#discarded < repeatsPerSlice * bench.slices) {
          this.#discarded += 1;
          const why = `${share(slice.foreign)} foreign, ${slowness(bench, slice)}`;
          bench.progress(`${peer.name}: slice ${number} repeated (${why})`);
          if (slice.foreign > foreignLimit) await waitForQuiet(patience);
          continue;
        }
        this.#slices.push(slice);
        const cost = `${slice.cpu.toFixed(2)} µs/req`;
        bench.progress(`${peer.name}: slice ${number}/${bench.slices}, ${cost}`);
        return;
      }
    } catch (error) {
      await this.#fail(error);
    }
  }

  async end() {
    await this.#server?.end();
    this.#server = null;
  }

  /** @returns {import('../types.mjs').Outcome} */
  outcome() {
    const { name: server, titleOf } = this.peer;
    const title = titleOf?.(this.scenario);
    if (this.#status !== 'ok') {
      return { server, title, status: this.#status, reason: this.#reason, figures: {} };
    }
    // What was quiet by the speed known then may be slow by the best known now.
    const slices = this.#slices.map((slice) => ({ ...slice, noisy: this.#isNoisy(slice) }));
    const quiet = slices.filter((slice) => !slice.noisy);
    const half = Math.ceil(slices.length / 2);
    const counted = quiet.length >= half ? quiet : this.#leastDisturbed(slices, half);
    const of = (/** @type {'cpu' | 'rate' | 'p50' | 'p99' | 'rss' | 'busy'} */ name) =>
      figure(counted.map((slice) => slice[name]));
    return {
      server,
      title,
      status: 'ok',
      figures: {
        cpu: of('cpu'),
        rate: of('rate'),
        p50: of('p50'),
        p99: of('p99'),
        rss: of('rss'),
        busy: of('busy'),
      },
      negotiated: this.#negotiated,
      idleCpu: this.#idleCpu,
      discarded: this.#discarded,
      noisy: slices.length - quiet.length,
      slices,
    };
  }

  /**
   * @param {import('./server.mjs').MeasuredServer} server
   * @returns {Promise<import('../types.mjs').Slice>}
   */
  async #measure(server) {
    const { bench, scenario } = this;
    await server.resume();
    const speedNow = bench.speed.watch();
    const finish = watch(() => server.cpu());
    const loading = bench.tool.run(scenario, this.#target(server, sliceSeconds));
    // In any case the meter is to be ended, and before the reading, so that it is not foreign.
    const speed = await loading.then(speedNow, speedNow);
    const load = await loading;
    const seen = finish();
    if (!server.alive) throw new Error(`it ended under load: ${server.lastWords()}`);
    const rss = server.rss();
    await this.#rest(server);
    this.#check(load);
    const slice = {
      cpu: seen.server / 1000 / load.requests,
      rate: load.requests / load.seconds,
      p50: load.p50,
      p99: load.p99,
      rss,
      busy: seen.server / 1e9 / load.seconds,
      foreign: seen.foreign,
      speed,
      noisy: false,
      failures: load.failures,
    };
    return { ...slice, noisy: this.#isNoisy(slice) };
  }

  /**
   * @param {readonly import('../types.mjs').Slice[]} slices
   * @param {number} count
   */
  #leastDisturbed(slices, count) {
    const disturbance = (/** @type {import('../types.mjs').Slice} */ { foreign, speed }) =>
      foreign + this.bench.speed.slowness(speed);
    return [...slices].sort((a, b) => disturbance(a) - disturbance(b)).slice(0, count);
  }

  /** @param {import('../types.mjs').Slice} slice */
  #isNoisy({ foreign, speed }) {
    return foreign > foreignLimit || this.bench.speed.isSlow(speed);
  }

  /**
   * Lets a server wait for its turn, in which it must not disturb others.
   *
   * @param {import('./server.mjs').MeasuredServer} server
   */
  async #rest(server) {
    const { stop } = this.bench;
    const restless = stop === 'all' || (stop === 'auto' && this.#idleCpu > restlessLimit);
    if (restless) await server.pause();
    else await server.settle();
  }

  /**
   * @param {import('../types.mjs').LoadResult} load
   * @throws {Error} When the server answered otherwise than it did at first.
   */
  #check(load) {
    if (load.requests === 0) throw new Error('no request was answered');
    if (load.wrong !== 0) {
      throw new Error(`${load.wrong} of ${load.requests} answers had a wrong status`);
    }
    if (load.failures > load.requests * failureLimit + 1) {
      throw new Error(`${load.failures} failures beside ${load.requests} answers`);
    }
  }

  /**
   * @param {import('./server.mjs').MeasuredServer} server
   * @param {number} seconds
   */
  #target(server, seconds) {
    const { cores, folder } = this.bench;
    return { port: server.port, seconds, core: cores.client, folder };
  }

  /** @param {unknown} error */
  async #fail(error) {
    this.#status = 'failed';
    this.#reason = error instanceof Error ? error.message : String(error);
    await this.end();
  }
}

/** @param {number} cores */
function share(cores) {
  return `${Math.round(cores * 100)} % of a core`;
}

/**
 * @param {Bench} bench
 * @param {import('../types.mjs').Slice} slice
 */
function slowness({ speed }, slice) {
  return `core ${speed.slowness(slice.speed).toFixed(2)}× slower than at its best`;
}
