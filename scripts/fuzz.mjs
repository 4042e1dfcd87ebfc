// Builds the fuzz targets with clang and runs them under libFuzzer, AddressSanitizer and UBSan.
//
//   node scripts/fuzz.mjs [TARGET...] [--seconds N]     default: all targets, 60 seconds each
//
// Seeds come from native/test/fuzz/corpus/TARGET/ and stay as they are; what the fuzzer learns is kept
// in build-fuzz/corpus/TARGET/ and used again. A finding is written to build-fuzz/findings/TARGET/.
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fetchSources } from '../native/deps/fetch.mjs';
import { configure } from './lib/ctest.mjs';
import { requireTools } from './lib/debian.mjs';
import { PlainError, capture, main, root, run, which } from './lib/run.mjs';

const FOLDER = path.join(root, 'build-fuzz');

await main(() => {
  const { values, positionals } = parseArgs({
    options: { seconds: { type: 'string', default: '60' } },
    allowPositionals: true,
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1)
    throw new PlainError('--seconds is a whole number');
  const targets = positionals.length > 0 ? positionals : allTargets();
  if (targets.length === 0) throw new PlainError('there is no native/test/fuzz/*_fuzz.c');
  build();
  for (const target of targets) fuzz(target, seconds);
  console.log(`windhover: ${targets.length} fuzz targets ran ${seconds} s each without a finding`);
});

function allTargets() {
  return readdirSync(path.join(root, 'native/test/fuzz'))
    .filter((file) => file.endsWith('_fuzz.c'))
    .map((file) => file.replace(/_fuzz\.c$/, ''))
    .sort();
}

function build() {
  requireTools('building the fuzz targets', [
    { program: 'cmake', package: 'cmake' },
    { program: 'make', package: 'make' },
    { program: clang() ?? 'clang', package: 'clang' },
  ]);
  requireTools('fuzzing', [{ package: runtimePackage(), present: hasFuzzerRuntime }]);
  fetchSources();
  configure(FOLDER, [
    `-DCMAKE_C_COMPILER=${clang()}`,
    `-DCMAKE_CXX_COMPILER=${clang()}`,
    '-DWH_FUZZ=ON',
    '-DWH_TESTS=OFF',
  ]);
}

/** clang by its plain name, or a version of it: Debian installs either. */
function clang() {
  const names = ['clang', ...[19, 18, 17, 16, 15, 14].map((version) => `clang-${version}`)];
  return names.find((name) => which(name) !== undefined);
}

function runtimePackage() {
  const version = /version (\d+)/.exec(capture(clang(), ['--version']))?.[1];
  return `libclang-rt-${version}-dev`;
}

function hasFuzzerRuntime() {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const resources = capture(clang(), ['-print-resource-dir']).trim();
  return existsSync(path.join(resources, `lib/linux/libclang_rt.fuzzer-${machine}.a`));
}

function fuzz(target, seconds) {
  const program = path.join(FOLDER, 'native/test', `${target}_fuzz`);
  if (!existsSync(program)) throw new PlainError(`there is no fuzz target ${target}`);
  const learnt = path.join(FOLDER, 'corpus', target);
  const findings = path.join(FOLDER, 'findings', target);
  mkdirSync(learnt, { recursive: true });
  mkdirSync(findings, { recursive: true });
  const seeds = path.join(root, 'native/test/fuzz/corpus', target);
  const dictionary = path.join(root, 'native/test/fuzz', `${target}.dict`);
  console.log(`windhover: fuzzing ${target} for ${seconds} s`);
  run(program, [
    learnt,
    ...(existsSync(seeds) ? [seeds] : []),
    ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
    `-max_total_time=${seconds}`,
    `-artifact_prefix=${findings}/`,
    '-timeout=10',
    '-rss_limit_mb=2048',
    '-print_final_stats=1',
  ]);
}
