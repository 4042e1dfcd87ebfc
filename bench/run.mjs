/**
 * The load harness: windhover and its peers, side by side. See README.md beside this file.
 *
 *     npm run bench -- --scenario plaintext,pipelined --peers windhover,uws --slices 5
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { installPackages, installPrograms, onPath } from './harness/install.mjs';
import { takeTurn } from './harness/lock.mjs';
import { chooseCores, describeMachine, describeTools } from './harness/machine.mjs';
import { measureIdle } from './harness/measure-idle.mjs';
import { measureLoad } from './harness/measure-load.mjs';
import { choose, readOptions, usage } from './harness/options.mjs';
import { cleanUpAtExit, removeAtEnd } from './harness/processes.mjs';
import { SpeedMeter } from './harness/speed.mjs';
import { toolFor, toolName } from './load/index.mjs';
import { peers as everyPeer } from './peers/index.mjs';
import { toHtml } from './report/html.mjs';
import { toMarkdown } from './report/markdown.mjs';
import { say, showProgress } from './report/progress.mjs';
import { toSvg } from './report/svg.mjs';
import { scenarioTable, summaryTable } from './report/table.mjs';
import { scenarios as everyScenario } from './scenarios/index.mjs';
import { checkTargets } from './targets.mjs';

const benchFolder = path.dirname(fileURLToPath(import.meta.url));
const place = { root: path.dirname(benchFolder), work: path.join(benchFolder, '.work') };
/** Programs of Linux without which nothing can be pinned or bounded (Debian: util-linux). */
const needed = ['taskset', 'setpriv', 'prlimit'];

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) return say(usage);
  if (options.list) return list();
  if (options.from !== undefined) {
    return write(JSON.parse(readFileSync(options.from, 'utf8')), { ...options, json: undefined });
  }
  const scenarios = choose('scenario', everyScenario, options.scenarios);
  const peers = choose('server', everyPeer, options.peers);
  cleanUpAtExit();
  checkPlatform();
  mkdirSync(place.work, { recursive: true });
  await takeTurn(place.work, say);
  const names = peers.map((peer) => peer.name);
  /** @type {string[]} */
  const tools = scenarios.map((scenario) => toolName(scenario, options.tool));
  await installPrograms(
    /** @type {const} */ (['wrk', 'h2load', 'nginx', 'h2o']).filter(
      (program) => tools.includes(program) || names.includes(program),
    ),
    say,
  );
  for (const tool of /** @type {const} */ (['wrk', 'h2load'])) {
    if (tools.includes(tool) && !onPath(tool)) throw new Error(`${tool} is not installed`);
  }
  await installPackages(path.join(benchFolder, 'peers'), place.work, say);
  const report = await begin(options);
  const ready = await prepare(peers, report);
  await measure(scenarios, ready, options, report);
  write(report, options);
}

/**
 * @param {import('./harness/options.mjs').Options} options
 * @returns {Promise<import('./types.mjs').Report>}
 */
async function begin(options) {
  return {
    date: new Date().toISOString(),
    machine: describeMachine(),
    tools: await describeTools(),
    settings: {
      slices: options.slices,
      warmUpSeconds: options.warmUp,
      load: options.tool,
      waitingServersStopped: options.stop,
    },
    servers: [],
    scenarios: [],
  };
}

/**
 * Builds what peers need and notes their versions.
 *
 * @param {readonly import('./types.mjs').Peer[]} peers
 * @param {import('./types.mjs').Report} report
 * @returns {Promise<import('./types.mjs').Peer[]>} Those that can run.
 */
async function prepare(peers, report) {
  const ready = [];
  for (const peer of peers) {
    const { name, title } = peer;
    try {
      showProgress(`${name}: prepare`);
      await peer.prepare(place);
      report.servers.push({ name, title, version: await peer.version() });
      ready.push(peer);
    } catch (error) {
      report.servers.push({ name, title, reason: /** @type {Error} */ (error).message });
    }
  }
  for (const { title, version, reason } of report.servers) {
    say(version === undefined ? `${title}: cannot run: ${reason}` : `${title} ${version}`);
  }
  return ready;
}

/**
 * @param {readonly import('./types.mjs').Scenario[]} scenarios
 * @param {readonly import('./types.mjs').Peer[]} peers
 * @param {import('./harness/options.mjs').Options} options
 * @param {import('./types.mjs').Report} report
 */
async function measure(scenarios, peers, options, report) {
  const cores = chooseCores();
  const cpus = cores.shared
    ? `there is only core ${cores.server}: server and load share it, rates mean little`
    : `server on core ${cores.server}, load on core ${cores.client}`;
  say(`${cpus}\n`);
  // The harness itself stays off the server's core.
  execFileSync('taskset', ['-a', '-cp', String(cores.client), String(process.pid)]);
  const speed = await SpeedMeter.create(cores.server);
  if (speed.program === null) say('no C compiler (cc): slices on a slow core are not recognised');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'windhover-bench-'));
  removeAtEnd(folder);
  for (const [index, scenario] of scenarios.entries()) {
    const prefix = `[${index + 1}/${scenarios.length}] ${scenario.name}`;
    const bench = {
      cores,
      folder,
      slices: options.slices,
      warmUp: options.warmUp,
      speed,
      tool: toolFor(scenario, options.tool),
      stop: options.stop,
      progress: (/** @type {string} */ text) => showProgress(`${prefix} · ${text}`),
    };
    const measureOne = scenario.kind === 'load' ? measureLoad : measureIdle;
    const outcomes = await measureOne(scenario, peers, bench);
    const { name, title, metrics, protocol, handshake } = scenario;
    const done = { name, title, metrics, protocol, handshake, outcomes };
    report.scenarios.push(done);
    say(`${scenarioTable(done)}\n`);
  }
  if (scenarios.length > 1) say(`${summaryTable(report)}\n`);
  const verdicts = checkTargets(report);
  if (verdicts.length > 0) say(`targets:\n${verdicts.join('\n')}\n`);
}

/**
 * @param {import('./types.mjs').Report} report
 * @param {import('./harness/options.mjs').Options} options
 */
function write(report, options) {
  const last = (/** @type {string} */ kind) => path.join(place.work, `last.${kind}`);
  const measured = options.from === undefined;
  /** @type {[string | undefined, () => string][]} */
  const files = [
    [options.json ?? (measured ? last('json') : undefined), () => jsonText(report)],
    [options.svg ?? last('svg'), () => toSvg(report)],
    [options.html ?? last('html'), () => toHtml(report)],
    [options.markdown, () => toMarkdown(report)],
  ];
  for (const [file, make] of files) {
    if (file === undefined) continue;
    mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
    writeFileSync(file, make());
    say(`wrote ${path.relative(process.cwd(), file)}`);
  }
}

/** @param {import('./types.mjs').Report} report */
function jsonText(report) {
  return `${JSON.stringify(report, null, 2)}\n`;
}

function list() {
  say('scenarios:');
  for (const { name, title } of everyScenario) say(`  ${name.padEnd(26)}${title}`);
  say('servers:');
  for (const { name, title } of everyPeer) say(`  ${name.padEnd(26)}${title}`);
}

function checkPlatform() {
  if (process.platform !== 'linux') {
    throw new Error('the harness reads /proc and pins processes: it runs on Linux only');
  }
  const missing = needed.filter((program) => !onPath(program));
  if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')} (package util-linux)`);
}

main().catch((error) => {
  say(`bench: ${error.message}`);
  process.exitCode = 1;
});
