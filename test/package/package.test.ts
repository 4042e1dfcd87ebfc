/**
 * The package as somebody gets it: packed, installed into an empty folder, compiled against and run,
 * without a compiler at first, and then built from the sources that it carries.
 */
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { findProgram, isSanitized } from '../support/programs.js';

/** The root of the package, from dist/test/package/. */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
/** What stays behind when the checkout is copied: what is installed, built or measured. */
const LEFT = new Set(['node_modules', '.git', 'build', 'build-prebuild', 'prebuilds', 'coverage']);
/** All of it takes about a minute (ms). */
const PATIENCE = 900_000;

const run = promisify(execFile);
const work = mkdtempSync(join(tmpdir(), 'windhover-package-'));
/** A PATH with Node and nothing else: no compiler, no make, no Python, no shell. */
const bare = join(work, 'bin');
let tarball = '';

// What is packed carries no sanitizer.
const serial = isSanitized ? test.serial.skip : test.serial;

test.before((t) => {
  t.timeout(PATIENCE);
  mkdirSync(bare);
  symlinkSync(process.execPath, join(bare, 'node'));
});

test.after.always(() => {
  rmSync(work, { recursive: true, force: true });
});

/** npm's own script, to be run by this Node. */
function npmScript(): string {
  const npm = findProgram('npm');
  if (npm === undefined) throw new Error('npm is not on PATH');
  return realpathSync(npm);
}

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

function npm(
  folder: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Output> {
  const options = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  return run(process.execPath, [npmScript(), ...args, ...options], {
    cwd: folder,
    env: withoutNpm(env),
    maxBuffer: 1 << 26,
  });
}

/** The environment without what the npm that runs these tests has put there. */
function withoutNpm(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = Object.entries(env).filter(
    ([name]) => !/^npm_(lifecycle|package|command|execpath|node_execpath)/.test(name),
  );
  return { ...Object.fromEntries(own), NODE_ENV: '' };
}

function makeProject(name: string, files: Readonly<Record<string, unknown>>): string {
  const folder = join(work, name);
  mkdirSync(folder);
  for (const [file, content] of Object.entries(files)) {
    const text = typeof content === 'string' ? content : JSON.stringify(content, null, 2);
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

/** Compiles a project with our TypeScript, which a project of its own would have too. */
async function compile(folder: string): Promise<void> {
  for (const name of ['@types/node', 'undici-types']) {
    cpSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), {
      recursive: true,
      dereference: true,
    });
  }
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  try {
    await run(process.execPath, [tsc, '-p', '.'], { cwd: folder });
  } catch (error) {
    throw new Error((error as Output).stdout);
  }
}

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2022',
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    verbatimModuleSyntax: false,
    skipLibCheck: false,
    outDir: 'out',
  },
  files: ['examples.ts'],
};

/** Makes Node take the CommonJS copy; nothing on a Node that cannot require ES modules anyway. */
const COMMONJS = process.allowedNodeEnvironmentFlags.has('--experimental-require-module')
  ? ['--no-experimental-require-module']
  : [];

/** What DESIGN.md shows, as far as this version has it; it tells what it saw. */
const EXAMPLES = readFileSync(join(root, 'test/package/consumer/examples.txt'), 'utf8');

const TOLD = [
  'serve: Hello',
  'application: {"hello":"kestrel"}',
  'edge: Hello from POST /path?q at ::1 or 127.0.0.1',
];

/** What is in a folder, all the way down, relative to it. */
function filesUnder(folder: string, prefix = ''): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const name = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    return entry.isDirectory() ? filesUnder(folder, name) : [name];
  });
}

serial('the package is packed with everything that it needs, and nothing else', async (t) => {
  t.timeout(PATIENCE);
  // In a copy: others may be at work in the checkout.
  const copy = join(work, 'checkout');
  cpSync(root, copy, {
    recursive: true,
    filter: (file) => !LEFT.has(basename(file)) || dirname(file) !== root,
  });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  const { stdout } = await npm(copy, ['pack', '--json', '--pack-destination', work]);
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as {
    filename: string;
    files: { path: string }[];
  }[];
  tarball = join(work, packed.filename);
  t.true(existsSync(tarball));
  const names = packed.files.map(({ path }) => path);
  for (const wanted of [
    'package.json',
    'LICENSE',
    'binding.gyp',
    'dist/lib/index.js',
    'dist/lib/index.d.ts',
    'dist/lib/cli/main.js',
    'dist/cjs/index.js',
    'dist/cjs/index.d.ts',
    'dist/cjs/package.json',
    'native/core/windhover.h',
    'native/sources.txt',
    'native/deps/vendor/llhttp/src/llhttp.c',
    'native/deps/vendor/llhttp/copyright',
    'native/deps/vendor/nghttp2/COPYING',
    'native/deps/vendor/manifest.json',
    'scripts/install.mjs',
  ]) {
    t.true(names.includes(wanted), wanted);
  }
  const machine = `${process.platform}-${process.arch}`;
  t.true(names.some((name) => name.startsWith(`prebuilds/${machine}/`) && name.endsWith('.node')));
  t.deepEqual(
    names.filter((name) =>
      /^(test|dist\/test|examples|bench|native\/test|\.ci|build)\b/.test(name),
    ),
    [],
  );
  t.log(`${String(names.length)} files`);

  const inside = join(work, 'inside');
  mkdirSync(inside);
  await run('tar', ['-xzf', tarball, '-C', inside]);
  for (const name of filesUnder(inside)) {
    const content = readFileSync(join(inside, name));
    t.false(content.includes(work) || content.includes(`${root}/`), `${name} names this machine`);
  }
});

test.serial(
  'without a compiler and without scripts a strict TypeScript project serves',
  async (t) => {
    t.timeout(PATIENCE);
    const env = { ...process.env, PATH: bare };
    for (const tool of ['cc', 'gcc', 'clang', 'g++', 'make', 'python3']) {
      t.false(existsSync(join(bare, tool)));
    }
    for (const type of ['module', 'commonjs']) {
      const folder = makeProject(`strict-${type}`, {
        'package.json': { name: 'consumer', private: true, type },
        'tsconfig.json': TSCONFIG,
        'examples.ts': EXAMPLES,
      });
      await npm(folder, ['install', '--ignore-scripts', '--prefer-offline', tarball], env);
      t.false(existsSync(join(folder, 'node_modules/windhover/build')));
      await compile(folder);
      const conditions = type === 'module' ? [[]] : [[], COMMONJS];
      for (const options of conditions) {
        const { stdout, stderr } = await run(
          process.execPath,
          [...options, join(folder, 'out/examples.js')],
          { cwd: folder, env },
        );
        t.deepEqual(stdout.trim().split('\n'), TOLD, `${type} ${options.join()}: ${stderr}`);
      }
    }
  },
);

serial('import and require give the same names', async (t) => {
  const folder = join(work, 'strict-commonjs');
  const imported = `import('windhover').then((w) => console.log(JSON.stringify(Object.keys(w).sort())))`;
  const required = `console.log(JSON.stringify(Object.keys(require('windhover')).filter((n) => n !== 'default' && n !== '__esModule' && n !== 'module.exports').sort()))`;
  const names: unknown[] = [];
  for (const [script, ...options] of [[imported], [required], [required, ...COMMONJS]]) {
    const { stdout } = await run(process.execPath, [...options, '-e', script], { cwd: folder });
    names.push(JSON.parse(stdout));
  }
  t.true((names[0] as string[]).includes('serve'));
  t.deepEqual(names[1], names[0]);
  t.deepEqual(names[2], names[0]);
});

serial('the command is there', async (t) => {
  const folder = join(work, 'strict-module');
  const { stdout } = await run(join(folder, 'node_modules/.bin/windhover'), ['--help'], {
    cwd: folder,
    env: { ...process.env, PATH: bare },
  });
  t.regex(stdout, /^Usage: windhover/);
  t.regex(stdout, /dev-certs/);
});

serial('two copies of the package agree on their features', async (t) => {
  const folder = join(work, 'strict-commonjs');
  const script = `
    const { HttpRequestFeature: one, serve } = require('windhover');
    import('windhover').then(({ HttpRequestFeature: two }) => {
      console.log(one.key === two.key, one === two, typeof serve);
    });`;
  const { stdout } = await run(process.execPath, [...COMMONJS, '-e', script], { cwd: folder });
  t.is(stdout.trim(), 'true false function');
});

serial('without a prebuilt binary it is built from the sources that it carries', async (t) => {
  t.timeout(PATIENCE);
  rmSync(join(work, 'inside/package/prebuilds'), { recursive: true });
  const sources = join(work, 'windhover-sources.tgz');
  await run('tar', ['-czf', sources, '-C', join(work, 'inside'), 'package']);
  const folder = makeProject('from-sources', {
    'package.json': { name: 'consumer', private: true, type: 'module' },
    'serve.js': `
      import { serve } from 'windhover';
      const server = await serve({ urls: 'http://127.0.0.1:0' }, ({ response }) => {
        void response.text('built here');
      });
      console.log(await (await fetch(server.addresses[0])).text());
      await server.stop();`,
  });
  // Its dependencies are in npm's cache since the tests before; the network is not asked for anything.
  await npm(folder, ['install', '--offline', sources]);
  const installed = join(folder, 'node_modules/windhover');
  t.true(existsSync(join(installed, 'build/Release/windhover.node')));
  t.false(existsSync(join(installed, 'prebuilds')));
  const { stdout } = await run(process.execPath, ['serve.js'], { cwd: folder });
  t.is(stdout.trim(), 'built here');
});
