// `npm run lint`: eslint and prettier over the scripts and TypeScript, clang-format and clang-tidy over
// the C and C++. `npm run format` (--fix) writes what can be written.
//
//   node scripts/lint.mjs [--fix] [eslint|prettier|clang-format|clang-tidy ...]
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fetchSources } from '../native/deps/fetch.mjs';
import { requireTools } from './lib/debian.mjs';
import { nodeHeaders } from './lib/native.mjs';
import { PlainError, main, root } from './lib/run.mjs';

const fix = process.argv.includes('--fix');
const wanted = process.argv.slice(2).filter((word) => word !== '--fix');

const LINTERS = {
  eslint: () =>
    script('eslint/bin/eslint.js', ['.', '--max-warnings=0', ...(fix ? ['--fix'] : [])]),
  prettier: () =>
    script('prettier/bin/prettier.cjs', [fix ? '--write' : '--check', '--log-level=warn', '.']),
  'clang-format': () => clangFormat(),
  'clang-tidy': () => (fix ? true : clangTidy()),
};

/** Our own C and C++ files. */
function nativeFiles(pattern) {
  return ['native/core', 'native/binding', 'native/test']
    .flatMap(filesUnder)
    .filter((file) => pattern.test(file) && !file.includes('/generated/'));
}

function filesUnder(folder) {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesUnder(name) : [name];
  });
}

function script(file, args) {
  return spawned(process.execPath, [path.join(root, 'node_modules', file), ...args]);
}

function clangFormat() {
  requireTools('checking the layout of C', [{ program: 'clang-format', package: 'clang-format' }]);
  const how = fix ? ['-i'] : ['--dry-run', '-Werror'];
  return spawned('clang-format', [...how, ...nativeFiles(/\.(c|h|cc)$/)]);
}

/** One process a file: clang-tidy mixes up variadic functions where it reads several. */
async function clangTidy() {
  requireTools('checking C', [{ program: 'clang-tidy', package: 'clang-tidy' }]);
  fetchSources();
  const queue = nativeFiles(/\.(c|cc)$/);
  let good = true;
  const worker = async () => {
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      const args = ['--quiet', file, '--', ...compilerFlags(file)];
      if (!(await spawned('clang-tidy', args, { dropStatistics: true }))) good = false;
    }
  };
  await Promise.all(Array.from({ length: os.cpus().length }, worker));
  return good;
}

function compilerFlags(file) {
  const headers = nodeHeaders();
  return [
    file.endsWith('.cc') ? '-std=gnu++17' : '-std=gnu11',
    '-Inative',
    '-Inative/core',
    '-Inative/core/generated',
    '-Inative/test',
    '-isystemnative/deps/vendor/llhttp/include',
    '-isystemnative/deps/vendor/nghttp2/include',
    ...(headers === undefined ? [] : [`-isystem${path.join(headers, 'include/node')}`]),
    '-D_GNU_SOURCE=1',
    '-DLLHTTP_STRICT_MODE=1',
    '-DNGHTTP2_STATICLIB=1',
    '-DNAPI_VERSION=8',
    ...(file.startsWith('native/test/') ? ['-DWH_TEST=1'] : []),
  ];
}

/** Resolves with whether a program succeeded; what it prints is shown. */
function spawned(program, args, { dropStatistics = false } = {}) {
  return new Promise((resolve, reject) => {
    // clang-tidy counts on stderr the warnings that it did not show.
    const stderr = dropStatistics ? 'ignore' : 'inherit';
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'inherit', stderr] });
    child.on('error', reject);
    child.on('close', (code) => resolve(code === 0));
  });
}

await main(async () => {
  const unknown = wanted.find((name) => !(name in LINTERS));
  if (unknown !== undefined) {
    throw new PlainError(`no linter ${unknown}: there are ${Object.keys(LINTERS).join(', ')}`);
  }
  const failed = [];
  for (const [name, lint] of Object.entries(LINTERS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    if (!(await lint())) failed.push(name);
  }
  if (failed.length > 0) throw new PlainError(`${failed.join(', ')} found faults`);
  console.log(fix ? 'windhover: formatted' : 'windhover: lint is clean');
});
