// The TypeScript tests with an addon that carries a sanitizer, inside a Node that carries none: the
// sanitizer's library is preloaded.
//
//   node scripts/sanitize.mjs address|thread [ava's arguments]
//
// Leaks are looked for in the C tests only: inside Node nearly everything is alive to the end.
import path from 'node:path';
import { fetchSources } from '../native/deps/fetch.mjs';
import { runAva } from './lib/ava.mjs';
import { closingLine, exitStatus } from './lib/counts.mjs';
import { configure } from './lib/ctest.mjs';
import { requireTools } from './lib/debian.mjs';
import { requireToolchain } from './lib/native.mjs';
import { PlainError, capture, main, root } from './lib/run.mjs';
import { buildTypeScript } from './lib/typescript.mjs';

const KINDS = {
  address: {
    libraries: ['libasan.so', 'libubsan.so'],
    env: {
      ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=1',
      UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    },
  },
  thread: {
    libraries: ['libtsan.so'],
    // Node itself is not instrumented: what it locks and frees by itself looks like races.
    env: {
      TSAN_OPTIONS: 'halt_on_error=1:report_signal_unsafe=0:ignore_noninstrumented_modules=1',
    },
  },
};

await main(async () => {
  const [kind, ...args] = process.argv.slice(2);
  if (!Object.hasOwn(KINDS, kind ?? '')) throw new PlainError('usage: sanitize.mjs address|thread');
  const { libraries, env } = KINDS[kind];
  const folder = buildAddonWith(kind);
  buildTypeScript();
  const preloaded = libraries.map((name) => capture('gcc', [`-print-file-name=${name}`]).trim());
  const counts = await runAva({
    args: ['--timeout=5m', ...args],
    // node-gyp-build looks below this folder instead of the package's.
    env: {
      ...process.env,
      ...env,
      LD_PRELOAD: preloaded.join(' '),
      WINDHOVER_PREBUILD: folder,
      WINDHOVER_SANITIZE: kind,
    },
    unrandomised: kind === 'thread',
  });
  console.log(closingLine(counts));
  process.exitCode = exitStatus(counts);
});

function buildAddonWith(kind) {
  requireToolchain();
  requireTools('building with sanitizers', [
    { program: 'cmake', package: 'cmake' },
    { program: 'gcc', package: 'build-essential' },
  ]);
  fetchSources();
  const folder = path.join(root, `build-addon-${kind}`);
  configure(folder, ['-DWH_ADDON=ON', '-DWH_TESTS=OFF', `-DWH_SANITIZE=${kind}`]);
  return folder;
}
