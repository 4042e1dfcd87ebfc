// What a stop costs: kill -TERM under load, and the requests that were sent and never answered.
//
//   node bench/stop/run.mjs [--rounds 20] [--servers windhover,node:http,kestrel] [--markdown]
//
// 32 clients keep their connections and send without pause (8 of them four requests at a time), 8 connect
// for each request. They retry connects that were refused, and nothing else. Needs a build of the tests
// (`npm run build:ts`), and for Kestrel a .NET SDK.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { firstLine } from '../harness/machine.mjs';
import { runToEnd } from '../harness/processes.mjs';
import { StopLoad, stopRequests } from '../../dist/test/support/stop-load.js';

const folder = path.dirname(fileURLToPath(import.meta.url));
const quiet = { DOTNET_CLI_TELEMETRY_OPTOUT: '1', DOTNET_NOLOGO: '1', DOTNET_ENVIRONMENT: '' };

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    servers: { type: 'string', default: 'windhover,node:http,kestrel' },
    markdown: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError('--rounds is a whole number');

/** The command that starts a server, by its name; throws where it cannot run here. */
const servers = {
  windhover: () => ({ file: process.execPath, args: [path.join(folder, 'windhover.mjs')] }),
  'node:http': () => ({ file: process.execPath, args: [path.join(folder, 'node-http.mjs')] }),
  kestrel: buildKestrel,
};

async function buildKestrel() {
  const sdk = await firstLine('dotnet', ['--version'], /^(\d\S*)/);
  if (sdk === 'missing') throw new Error('there is no dotnet (SDK) on PATH');
  const work = path.join(folder, '../.work/stop');
  mkdirSync(work, { recursive: true });
  const output = path.join(work, 'out');
  const args = ['build', path.join(folder, 'kestrel', 'Stop.csproj'), '--configuration=Release'];
  args.push(`--output=${output}`, `-p:BaseIntermediateOutputPath=${path.join(work, 'obj')}/`);
  args.push('-p:UseSharedCompilation=false', '-nodeReuse:false', '--nologo');
  const { code, output: log } = await runToEnd(
    null,
    { file: 'dotnet', args, env: quiet },
    { seconds: 600 },
  );
  const library = path.join(output, 'Stop.dll');
  if (code !== 0 || !existsSync(library)) throw new Error(`dotnet build: ${log.slice(-300)}`);
  return { file: 'dotnet', args: [library] };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

async function stopOnce(command, kind, where) {
  const target = where === 'tcp' ? { host: '127.0.0.1', port: await freePort() } : { path: where };
  const child = spawn(command.file, [...command.args, String(target.port ?? target.path)], {
    env: { ...process.env, ...quiet },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  try {
    await Promise.race([once(child.stdout, 'data'), ended]);
    const load = new StopLoad({
      target,
      request: stopRequests[kind],
      kept: 32,
      pipelining: 8,
      fresh: 8,
    });
    const enough = (kind === 'slow' ? 300 : 3000) + Math.floor(Math.random() * 300);
    while (load.counts.answered < enough) {
      if (child.exitCode !== null) throw new Error(`${command.file} ended before it was told to`);
      await delay(1);
    }
    const began = performance.now();
    child.kill('SIGTERM');
    await Promise.all([load.done, ended]);
    return { ...load.counts, ms: performance.now() - began };
  } finally {
    child.kill('SIGKILL');
  }
}

function median(numbers) {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1];
}

const rows = [];
const scratch = mkdtempSync(path.join(tmpdir(), 'windhover-stop-'));
for (const name of values.servers.split(',')) {
  let command;
  try {
    command = await servers[name]();
  } catch (error) {
    console.error(`${name}: not compared: ${error.message}`);
    continue;
  }
  for (const kind of Object.keys(stopRequests)) {
    for (const where of ['tcp', 'unix']) {
      const results = [];
      for (let i = 0; i < rounds; i++) {
        const socket = path.join(scratch, 's.sock');
        rmSync(socket, { force: true });
        results.push(await stopOnce(command, kind, where === 'tcp' ? 'tcp' : socket));
      }
      const mean = (count) => results.reduce((sum, r) => sum + r[count], 0) / rounds;
      rows.push([
        name,
        kind,
        where,
        mean('lostOnReused').toFixed(1),
        mean('lostOnFresh').toFixed(1),
        String(results.reduce((sum, r) => sum + r.wrong, 0)),
        `${Math.round(median(results.map((r) => r.ms)))} ms`,
      ]);
      console.error(rows.at(-1).join('\t'));
    }
  }
}
rmSync(scratch, { recursive: true, force: true });
if (values.markdown) {
  const head = ['Server', 'Handler', 'Over', 'Lost on reused', 'Lost on fresh', 'Wrong', 'Time'];
  for (const row of [head, head.map(() => '---'), ...rows]) console.log(`| ${row.join(' | ')} |`);
}
