// Puts an addon for this platform into prebuilds/, where node-gyp-build finds it without a compiler.
// One N-API binary loads in every Node of package.json's "engines".
//
// It builds in a folder of its own: prebuildify rebuilds from nothing, and build/ may be in use.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { fetchSources } from '../native/deps/fetch.mjs';
import { nodeGyp, nodeHeaders, requireToolchain } from './lib/native.mjs';
import { PlainError, capture, main, root, which } from './lib/run.mjs';

const STAGE = path.join(root, 'build-prebuild');
const TRAVELS = ['package.json', 'binding.gyp', 'native', 'scripts/lib'];

await main(async () => {
  requireToolchain();
  fetchSources();
  checkOpenSsl();
  rmSync(STAGE, { recursive: true, force: true });
  try {
    mkdirSync(STAGE, { recursive: true });
    for (const name of TRAVELS) {
      cpSync(path.join(root, name), path.join(STAGE, name), { recursive: true });
    }
    await prebuild();
  } finally {
    rmSync(STAGE, { recursive: true, force: true });
  }
});

/**
 * The binary takes OpenSSL from the Node that loads it. Built against 3.0 it runs on 3.0 and all later
 * 3.x; built against a later one it might ask an older Node for what it does not have.
 */
function checkOpenSsl() {
  const version = openSslVersion();
  if (!/^3\.0(\.|$)/.test(version)) {
    throw new PlainError(
      `prebuilds are made with OpenSSL 3.0 headers (Node 18 or 20), these are of ${version}`,
    );
  }
}

/** The version of the headers that node-gyp will use: those installed, or of the Node that runs. */
function openSslVersion() {
  const prefix = nodeHeaders();
  if (prefix === undefined) return process.versions.openssl;
  const source = '#include <openssl/opensslv.h>\nOPENSSL_VERSION_MAJOR.OPENSSL_VERSION_MINOR\n';
  const [compiler, ...options] = (process.env.CC ?? 'cc').split(' ');
  const include = `-I${path.join(prefix, 'include/node')}`;
  const told = capture(compiler, [...options, '-E', '-P', include, '-'], {
    input: source,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return told.trim().split('\n').at(-1).replaceAll(' ', '');
}

async function prebuild() {
  const require = createRequire(import.meta.url);
  const [script, ...options] = nodeGyp(['--loglevel=error', '-j', 'max']);
  await promisify(require('prebuildify'))({
    cwd: STAGE,
    out: root,
    napi: true,
    strip: true,
    tagLibc: true,
    quiet: false,
    targets: [{ runtime: 'node', target: process.versions.node }],
    // A shell's command: node-gyp of our choice, with this Node's headers.
    nodeGyp: [process.execPath, script, ...options].map((word) => `"${word}"`).join(' '),
    shell: true,
  });
  // Does it load? PREBUILDS_ONLY keeps node-gyp-build from looking into build/.
  const find = `require('node-gyp-build').resolve(${JSON.stringify(root)})`;
  const env = { ...process.env, PREBUILDS_ONLY: '1' };
  const file = capture(process.execPath, ['-p', `require(${find}), ${find}`], { env }).trim();
  console.log(`windhover: ${path.relative(root, file)}${glibcFloor(file)}`);
}

/** The oldest glibc that the binary loads with, in words, where it can be told. */
function glibcFloor(file) {
  if (process.platform !== 'linux' || which('objdump') === undefined) return '';
  const versions = [...capture('objdump', ['-T', file]).matchAll(/\bGLIBC_(\d+)\.(\d+)/g)];
  const minors = versions.filter(([, major]) => major === '2').map(([, , minor]) => Number(minor));
  return minors.length > 0 ? `, for glibc 2.${Math.max(...minors)} and later` : '';
}
