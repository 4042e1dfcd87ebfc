// The C tests: CMake builds them, ctest runs them, cmocka's own lines are counted.
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fetchSources } from '../../native/deps/fetch.mjs';
import { addCounts, noCounts } from './counts.mjs';
import { requireTools } from './debian.mjs';
import { requireToolchain } from './native.mjs';
import { PlainError, follow, root, run, which } from './run.mjs';

/** How sanitizers report: every finding ends the program, and memory that is never freed is one. */
const SANITIZER_OPTIONS = {
  ASAN_OPTIONS:
    'abort_on_error=1:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1',
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1',
};

/** Builds into build-c or build-c-<sanitize>, runs every test, and resolves with the counts. */
export async function runCTests({ sanitize = '' } = {}) {
  const folder = buildCTests({ sanitize });
  const programs = new Map();
  const jobs = String(os.cpus().length);
  const ctest = [
    'ctest',
    '--test-dir',
    folder,
    '--verbose',
    '--no-tests=error',
    '--parallel',
    jobs,
  ];
  // ThreadSanitizer wants memory where a kernel that randomises addresses far does not put it.
  if (sanitize === 'thread' && which('setarch')) ctest.unshift('setarch', os.machine(), '-R');
  const { code } = await follow(ctest[0], ctest.slice(1), (line) => readLine(programs, line), {
    env: { ...process.env, ...SANITIZER_OPTIONS },
  });
  const total = noCounts();
  for (const program of [...programs.values()].sort((a, b) => a.name.localeCompare(b.name))) {
    addCounts(total, summary(program));
  }
  if (programs.size === 0) throw new PlainError('ctest ran no test');
  // ctest says that something failed, and no program told: never let that pass.
  if (code !== 0 && total.failed === 0) total.failed = 1;
  return total;
}

/** Builds the C tests and gives back the folder they are in. */
function buildCTests({ sanitize }) {
  requireToolchain();
  requireTools('building the C tests', [
    { program: 'cmake', package: 'cmake' },
    { program: 'ctest', package: 'cmake' },
    { package: 'libcmocka-dev', present: () => existsSync('/usr/include/cmocka.h') },
  ]);
  fetchSources();
  const folder = path.join(root, sanitize ? `build-c-${sanitize}` : 'build-c');
  configure(folder, [
    `-DWH_SANITIZE=${sanitize}`,
    // Sanitizers make gcc see things that are not there.
    `-DWH_WERROR=${sanitize ? 'OFF' : 'ON'}`,
  ]);
  return folder;
}

/** Configures and builds with CMake, quietly where all goes well. */
export function configure(folder, definitions, { targets = [] } = {}) {
  run('cmake', ['-S', root, '-B', folder, ...definitions], { quiet: true });
  const target = targets.flatMap((name) => ['--target', name]);
  run('cmake', ['--build', folder, '--parallel', ...target], { quiet: true });
}

/** Takes one line of `ctest --verbose`: "<number>: <what the program printed>", or ctest's own words. */
function readLine(programs, line) {
  const started = /^\s*Start\s+(\d+): (\S+)/.exec(line);
  if (started !== null) {
    programs.set(started[1], { name: started[2], lines: [], passed: false });
    return;
  }
  const printed = /^(\d+): (.*)$/.exec(line);
  if (printed !== null) {
    programs.get(printed[1])?.lines.push(printed[2]);
    return;
  }
  const ended = /^\s*\d+\/\d+ Test\s+#(\d+): \S+ \.*\s*(.*)$/.exec(line);
  const program = ended === null ? undefined : programs.get(ended[1]);
  if (program !== undefined) {
    program.passed = /^Passed\b/.test(ended[2]);
    program.ending = ended[2].trim();
  }
}

/** Counts one program's tests, and shows what it printed where one failed. */
function summary(program) {
  const counts = noCounts();
  let isCmocka = false;
  for (const line of program.lines) {
    const count = /^\[ {2}(PASSED|FAILED|SKIPPED) +\] (\d+) test\(s\)/.exec(line);
    if (count === null) continue;
    isCmocka = true;
    counts[count[1].toLowerCase()] += Number(count[2]);
  }
  // A program without cmocka (a fuzz target's replay) is one test.
  if (!isCmocka && program.passed) counts.passed = 1;
  // It crashed, or was killed, before it could count.
  if (!program.passed && counts.failed === 0) counts.failed = 1;
  const verdict = program.passed ? '' : `, ${program.ending ?? 'did not end'}`;
  console.log(`  ${program.name}: ${counts.passed} passed, ${counts.failed} failed${verdict}`);
  if (!program.passed) console.log(program.lines.map((line) => `    ${line}`).join('\n'));
  return counts;
}
