/** One server under measurement: started, waited for, paused and resumed, ended. */

import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { cpuBetween, cpuTime, processTree, residentBytes } from './procfs.mjs';
import { end, signalGroup, start } from './processes.mjs';
import { isSecure, makeCertificate } from './tls.mjs';

/** A server must accept connections within this, a runtime's first start included. */
const startSeconds = 20;
/** More descriptors than the idle-memory scenario opens connections. */
const descriptors = 20_000;
/** A server that uses less CPU than this in a window of quietWindow is quiet. */
const quietNanoseconds = 500_000;
const quietWindow = 15;
/** How long a pause or resume waits for quiet. */
const quietPatience = 300;

/** Ports are taken from below the ephemeral range, so that no client gets one of them. */
let nextPort = 18_000 + (process.pid % 6_000);

export class MeasuredServer {
  /** @type {import('./processes.mjs').Spawned} */
  #spawned;
  /** @type {string} */
  #log;
  #paused = false;
  #ended = false;
  /**
   * TLS: what its connections agree upon, once it has been asked.
   *
   * @type {string | undefined}
   */
  negotiated;

  /**
   * @param {import('../types.mjs').Peer} peer
   * @param {number} port
   * @param {import('./processes.mjs').Spawned} spawned
   * @param {string} log
   */
  constructor(peer, port, spawned, log) {
    this.peer = peer;
    this.port = port;
    this.#spawned = spawned;
    this.#log = log;
    void spawned.ended.then(() => (this.#ended = true));
  }

  /**
   * Starts a peer and waits until it accepts connections.
   *
   * @param {import('../types.mjs').Peer} peer
   * @param {import('../types.mjs').Scenario} scenario
   * @param {{ core: number, folder: string }} where folder: for the files of this run.
   * @returns {Promise<MeasuredServer>}
   * @throws {Error} With the last words of a server that did not come up.
   */
  static async start(peer, scenario, where) {
    const port = await freePort();
    const folder = path.join(where.folder, `${peer.name}-${port}`);
    mkdirSync(folder, { recursive: true });
    const certificate = isSecure(scenario) ? await makeCertificate(where.folder) : null;
    const command = await peer.command({ port, scenario, folder, certificate });
    const log = path.join(folder, 'output.log');
    const output = openSync(log, 'w');
    const spawned = start(where.core, command, {
      cwd: folder,
      stdio: ['ignore', output, output],
      files: descriptors,
    });
    closeSync(output);
    const server = new MeasuredServer(peer, port, spawned, log);
    try {
      await server.#ready();
    } catch (error) {
      await server.end();
      throw error;
    }
    return server;
  }

  /** False once its process has ended. */
  get alive() {
    return !this.#ended;
  }

  /** @returns {number[]} */
  pids() {
    return processTree(this.#spawned.pid);
  }

  cpu() {
    return cpuTime(this.pids());
  }

  rss() {
    return residentBytes(this.pids());
  }

  /** The last lines that the server printed. */
  lastWords() {
    const lines = readFileSync(this.#log, 'utf8').trim().split('\n');
    // The message of an exception stands above the places where it came through.
    const message = lines.find((line) => /^(?:\w*Error\b|Unhandled exception)/.test(line));
    return (message ?? lines.slice(-4).join(' | ')).slice(0, 400);
  }

  /** Lets it finish what it is at, then stops it, so that it cannot disturb others. */
  async pause() {
    if (this.#paused || this.#ended) return;
    await this.settle();
    this.#paused = true;
    signalGroup(this.#spawned.child, 'SIGSTOP');
  }

  /** Wakes it and waits until what it had put off is done. */
  async resume() {
    if (!this.#paused || this.#ended) return;
    this.#paused = false;
    signalGroup(this.#spawned.child, 'SIGCONT');
    await this.settle();
  }

  /** Waits until it uses no CPU, for a bounded time. */
  async settle() {
    for (let waited = 0; waited < quietPatience && this.alive; waited += quietWindow) {
      const before = this.cpu();
      await sleep(quietWindow);
      if (cpuBetween(before, this.cpu()) < quietNanoseconds) return;
    }
  }

  /**
   * What it costs while nobody asks it anything.
   *
   * @param {number} milliseconds
   * @returns {Promise<number>} Cores.
   */
  async idleCpu(milliseconds) {
    const before = this.cpu();
    const started = performance.now();
    await sleep(milliseconds);
    return cpuBetween(before, this.cpu()) / 1e6 / (performance.now() - started);
  }

  /** Waits until its resident memory stands still, for a bounded time, and returns it. */
  async steadyRss() {
    let last = this.rss();
    for (let round = 0; round < 12; round += 1) {
      await sleep(200);
      const now = this.rss();
      if (Math.abs(now - last) < 32_768) return now;
      last = now;
    }
    return last;
  }

  async end() {
    await end(this.#spawned);
  }

  async #ready() {
    for (const limit = Date.now() + startSeconds * 1000; Date.now() < limit;) {
      if (this.#ended) throw new Error(`it ended at once: ${this.lastWords()}`);
      if (await accepts(this.port)) return;
      await sleep(30);
    }
    throw new Error(`no connection within ${startSeconds} s: ${this.lastWords()}`);
  }
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** @returns {Promise<number>} A port that nobody listens on. */
async function freePort() {
  for (let tries = 0; tries < 1000; tries += 1) {
    const port = nextPort;
    nextPort = nextPort >= 31_000 ? 18_000 : nextPort + 1;
    const free = await new Promise((/** @type {(free: boolean) => void} */ resolve) => {
      const listener = net.createServer();
      listener.once('error', () => resolve(false));
      listener.listen({ host: '127.0.0.1', port }, () => listener.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error('no free port between 18000 and 31000');
}
