/**
 * The examples of README and docs/, as a reader would try them: each saved to a file beside an installed
 * windhover, TypeScript checked under `strict`, and then run. markdown.ts says how an example is marked.
 *
 * Three things are changed on the way: fixed ports become 0, /run becomes a folder of the test, and so does
 * /etc/tls, where the files are all of one certificate, which is the development certificate as well.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import ts from 'typescript';
import { Agent, fetch } from 'undici';
import { developmentCertificatePaths } from '../../lib/server/development-certificate.js';
import { serverCertificate } from '../support/certificates.js';
import { within } from '../support/until.js';
import type { Example, Expectation } from './markdown.js';
import { documents, readExamples, root } from './markdown.js';

/** What an example in a strict project is compiled with. */
const COMPILER_OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  noUncheckedIndexedAccess: true,
  types: ['node'],
  typeRoots: [join(root, 'node_modules', '@types')],
};

const examples = documents.flatMap(readExamples);
const folder = mkdtempSync(join(tmpdir(), 'windhover-docs-'));

/** For the examples that speak TLS. */
const { cert, key } = serverCertificate();
const client = new Agent({ connect: { ca: cert } });

/** What the compiler has against an example, by its file. */
const complaints = new Map<string, string[]>();

test.before('save and compile them', () => {
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'windhover'), 'dir');
  // What some examples are about, besides.
  mkdirSync(join(folder, 'node_modules', '@types'));
  for (const name of ['ws', '@types/ws', '@grpc']) {
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'dir');
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  mkdirSync(join(folder, 'tls'));
  for (const name of ['cert', 'ca', 'shop'])
    writeFileSync(join(folder, 'tls', `${name}.pem`), cert);
  for (const name of ['key.pem', 'shop.key']) writeFileSync(join(folder, 'tls', name), key);
  const development = developmentCertificatePaths({ XDG_CONFIG_HOME: folder });
  mkdirSync(dirname(development.certFile), { recursive: true });
  copyFileSync(join(folder, 'tls', 'cert.pem'), development.certFile);
  copyFileSync(join(folder, 'tls', 'key.pem'), development.keyFile);
  const used = examples.filter(({ kind }) => kind !== 'none');
  for (const example of used) {
    mkdirSync(folderOf(example), { recursive: true });
    writeFileSync(fileOf(example), adapt(example));
  }
  const files = used.map(fileOf).filter((file) => file.endsWith('.ts'));
  const program = ts.createProgram(files, COMPILER_OPTIONS);
  const { diagnostics } = program.emit();
  for (const diagnostic of [...ts.getPreEmitDiagnostics(program), ...diagnostics]) {
    const file = diagnostic.file?.fileName ?? '';
    const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n');
    const at = diagnostic.file?.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
    const place = at === undefined ? '' : `line ${String(at.line + 1)} of it: `;
    complaints.set(file, [...(complaints.get(file) ?? []), place + text]);
  }
});

test.after.always('throw them away', async () => {
  await client.destroy();
  rmSync(folder, { recursive: true, force: true });
});

test('there are examples, and no two have the same file', (t) => {
  t.true(examples.filter(({ kind }) => kind !== 'none').length > 20);
  const files = examples.map(fileOf);
  t.is(new Set(files).size, files.length);
});

for (const example of examples) {
  if (example.kind === 'none') continue;
  const title = `${example.document}:${String(example.line)} (${example.kind} ${example.file})`;
  // One after the other: each is a process, and some look at the clock.
  test.serial(title, async (t) => {
    t.deepEqual(complaints.get(fileOf(example)) ?? [], []);
    if (example.kind === 'run') await runIt(t, example);
    else if (example.kind === 'serve') await serveIt(t, example);
  });
}

test.serial('the compiler has nothing else to complain about', (t) => {
  const known = new Set(examples.map(fileOf));
  t.deepEqual(
    [...complaints].filter(([file]) => !known.has(file)),
    [],
  );
});

async function runIt(t: ExecutionContext, example: Example): Promise<void> {
  const child = start(example);
  const output = collect(child);
  const [code] = await ended(child, example).catch((error: unknown) => {
    throw new Error(`${String(error)}; it wrote: ${output()}`);
  });
  t.is(code, 0, output());
}

async function serveIt(t: ExecutionContext, example: Example): Promise<void> {
  const child = start(example);
  const output = collect(child);
  try {
    const url = await within(listening(child, output), 'the URL of the example').catch(
      (error: unknown) => {
        throw new Error(`${String(error)}; it wrote: ${output()}`);
      },
    );
    for (const expectation of example.expectations) {
      const { status, text } = await ask(url, expectation);
      const title = `${expectation.method} ${expectation.path}: ${text}\n${output()}`;
      t.is(status, expectation.status, title);
      t.true(text.includes(expectation.text), title);
    }
  } finally {
    child.kill('SIGTERM');
    const [code, signal] = await ended(child, example);
    // Without a listener of its own a process ends by the signal itself.
    t.true(code === 0 || signal === 'SIGTERM', output());
  }
}

function start(example: Example): ChildProcess {
  const env = { ...process.env, WINDHOVER_URLS: 'http://127.0.0.1:0', XDG_CONFIG_HOME: folder };
  for (const name of ['NODE_ENV', 'PORT', 'WINDHOVER_ENVIRONMENT', 'NODE_OPTIONS', 'FORCE_COLOR']) {
    delete (env as Record<string, string | undefined>)[name];
  }
  const file = fileOf(example).replace(/\.ts$/, '.js');
  return spawn(process.execPath, [file], { cwd: folderOf(example), env });
}

async function ended(
  child: ChildProcess,
  example: Example,
): Promise<readonly [number | null, NodeJS.Signals | null]> {
  try {
    if (child.exitCode === null && child.signalCode === null) {
      await within(once(child, 'exit'), `the end of ${example.file}`);
    }
  } finally {
    child.kill('SIGKILL');
  }
  return [child.exitCode, child.signalCode];
}

/** Gathers what a process writes. */
function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  }
  return () => text;
}

/** The first URL with a port that a process writes. */
function listening(child: ChildProcess, output: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const url = /https?:\/\/(?:[\w.]+|\[[\d:a-f]+\]):\d+/.exec(output())?.[0];
      if (url !== undefined) resolve(url.replace('[::]', '127.0.0.1'));
    };
    child.stdout?.on('data', look);
    child.on('exit', () => {
      reject(new Error('the example ended'));
    });
  });
}

/** Asks, and reads until the answer has what is expected, or its end: an answer may be endless. */
async function ask(url: string, expected: Expectation): Promise<{ status: number; text: string }> {
  const controller = new AbortController();
  const response = await fetch(url + expected.path, {
    method: expected.method,
    redirect: 'manual',
    signal: controller.signal,
    dispatcher: client,
    ...(expected.body === undefined ? {} : { body: expected.body }),
  });
  let text = '';
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) {
    const seen = Math.max(0, text.length - expected.text.length);
    text += decoder.decode(piece as Uint8Array, { stream: true });
    if (expected.text !== '' && text.includes(expected.text, seen)) break;
  }
  controller.abort();
  return { status: response.status, text };
}

function adapt({ code }: Example): string {
  return code
    .replace(/(localhost|127\.0\.0\.1|\[::1\]|\*):\d{4,5}\b/g, '$1:0')
    .replace(/\bport: \d+/g, 'port: 0')
    .replaceAll('/etc/tls/', `${folder}/tls/`)
    .replace(/\/run\/(?=[\w./]*\.sock)/g, `${folder}/`);
}

function folderOf({ document }: Example): string {
  return join(folder, document.replace(/\W+/g, '-'));
}

function fileOf(example: Example): string {
  return join(folderOf(example), example.file);
}
