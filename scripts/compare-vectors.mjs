// Sends every case of test/vectors/http1.txt to windhover, node:http and (where dotnet is there) Kestrel, each
// with its default options; prints where they differ, and with --write makes docs/http1-differences.md.
// Cases of relaxed options are left out. Not part of `npm test`; needs `npm run build:all` before.
//
//   node scripts/compare-vectors.mjs [--write]
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { PlainError, main, root } from './lib/run.mjs';
import { isSame, show } from './vectors/compare.mjs';
import { buildKestrel } from './vectors/kestrel.mjs';
import { observe } from './vectors/observe.mjs';

const TABLE = path.join(root, 'docs/http1-differences.md');
/** Cases at once. */
const TOGETHER = 32;
/** Of a request in the table (characters). */
const SHOWN = 110;

await main(async () => {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
  if (!existsSync(path.join(root, 'dist/test/support/vectors.js'))) {
    throw new PlainError('there is no dist: run `npm run build:all` first');
  }
  const { readVectors } = await import('../dist/test/support/vectors.js');
  const vectors = readVectors().filter(({ relaxed }) => relaxed === undefined);
  const [ours, ...peers] = await observeAll(servers(), vectors);
  const rows = vectors.flatMap((vector, i) => {
    const differing = peers.map(({ seen }) => !isSame(seen[i], ours.seen[i], vector));
    return differing.includes(true) ? [{ vector, i, differing }] : [];
  });
  for (const { vector, i, differing } of rows) {
    console.log(`${vector.name}\n  ${ours.title}: ${show(ours.seen[i], peers[0].seen[i], vector)}`);
    for (const [n, { title, seen }] of peers.entries()) {
      if (differing[n]) console.log(`  ${title}: ${show(seen[i], ours.seen[i], vector)}`);
    }
  }
  for (const [n, { title }] of peers.entries()) {
    const count = rows.filter(({ differing }) => differing[n]).length;
    console.log(`${title} differs in ${String(count)} of ${String(vectors.length)} cases`);
  }
  if (values.write) {
    if (peers.length < 2) throw new PlainError('without Kestrel the table would be half a table');
    writeFileSync(TABLE, table(vectors, rows, ours, peers));
  }
});

function servers() {
  const script = (name) => [process.execPath, path.join(root, 'scripts/vectors', name)];
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const list = [
    { title: `windhover ${version}`, command: script('windhover.mjs') },
    { title: `node:http (Node ${process.versions.node})`, command: script('node-http.mjs') },
  ];
  const kestrel = buildKestrel();
  if (kestrel === undefined) console.log('there is no dotnet: Kestrel is left out');
  else list.push({ title: `Kestrel (.NET ${kestrel.version})`, ...kestrel });
  return list;
}

/** Starts each server, sends it everything, and stops it. */
async function observeAll(list, vectors) {
  const results = [];
  for (const { title, command, env = process.env } of list) {
    const child = spawn(command[0], command.slice(1), {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      const port = await firstNumber(child);
      // The first request of all may take its time.
      await observe(port, vectors[0]);
      const seen = [];
      for (let i = 0; i < vectors.length; i += TOGETHER) {
        const group = vectors.slice(i, i + TOGETHER);
        seen.push(...(await Promise.all(group.map((vector) => observe(port, vector)))));
      }
      results.push({ title, seen });
    } finally {
      child.kill('SIGKILL');
    }
  }
  return results;
}

function firstNumber(child) {
  return new Promise((resolve, reject) => {
    let text = '';
    child.once('error', reject);
    child.once('exit', () => reject(new PlainError('a server ended before it listened')));
    child.stdout.on('data', (chunk) => {
      text += chunk;
      if (/^\d+\s/.test(text)) resolve(parseInt(text, 10));
    });
  });
}

function cell(text) {
  return text.replaceAll('|', '\\|');
}

/** Text as code, whatever backticks it has. */
function code(text) {
  const fence = '`'.repeat(
    Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length)) + 1,
  );
  const pad = text.startsWith('`') || text.endsWith('`') ? ' ' : '';
  return cell(`${fence}${pad}${text}${pad}${fence}`);
}

/** The request: its lines but those that every case of the section has. */
function request({ shown, halfClose }) {
  const text = shown.join('').replaceAll('\\r\\n', '⏎');
  const plain = text.replace(/^GET \/ HTTP\/1\.1⏎Host: h⏎(?!⏎)/, '… ');
  const short = plain.length > SHOWN ? `${plain.slice(0, SHOWN)}…` : plain;
  return code(short) + (halfClose ? ' and the end' : '');
}

function table(vectors, rows, ours, peers) {
  const count = (n) => rows.filter(({ differing }) => differing[n]).length;
  const lines = [
    '<!-- Made by `node scripts/compare-vectors.mjs --write`; not to be changed by hand. -->',
    '',
    '# HTTP/1 differences',
    '',
    `${ours.title} and two other servers, each with its default options, were sent the ${String(vectors.length)} requests of \`test/vectors/http1.txt\` that need no option. Only where one of them did something else than windhover there is a row: ${peers.map(({ title }, n) => `${title} in ${String(count(n))}`).join(', ')}.`,
    '',
    'A number is the status of an answer. With `200` (CONNECT: `501`) the application was called: what it saw is given where it saw something else, or where windhover does not call it. `open`: the connection lives on. `closed`: it does not; after a refusal that goes without saying. `waits`: the server waits for more. `=`: the same as windhover. `⏎` is CRLF, `…` begins `GET / HTTP/1.1⏎Host: h⏎`.',
    '',
    'node:http does not decode paths, so only its targets are compared. Whether Kestrel answers a client that has ended its side depends on what it sees first, and so on the run. What of this is stricter by intention, and why, is in [Refusals](refusals.md).',
  ];
  let section = '';
  for (const { vector, i, differing } of rows) {
    if (vector.section !== section) {
      ({ section } = vector);
      const titles = [ours, ...peers].map(({ title }) => title.replace(/ \(.*/, ''));
      lines.push('', `## ${section}`, '', `| Case | Request | ${titles.join(' | ')} |`);
      lines.push('|---|---|---|---|---|');
    }
    const reference = peers[differing.indexOf(true)].seen[i];
    const cells = [
      cell(vector.name),
      request(vector),
      cell(show(ours.seen[i], reference, vector)),
      ...peers.map(({ seen }, n) =>
        differing[n] ? cell(show(seen[i], ours.seen[i], vector)) : '=',
      ),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}
