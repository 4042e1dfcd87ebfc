// Building the addon with node-gyp: in a checkout, at install from the npm tarball, for a prebuild.
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fetchSources } from '../../native/deps/fetch.mjs';
import { requireTools } from './debian.mjs';
import { PlainError, root, run } from './run.mjs';

/** Whether this is a checkout (what is published has no TypeScript sources). */
export const isCheckout = existsSync(path.join(root, 'tsconfig.json'));

/**
 * Builds build/Release/windhover.node, or what is out of date of it.
 * @param options.folder where binding.gyp is: the package's root
 */
export function buildAddon({ folder = root } = {}) {
  requireToolchain();
  fetchSources();
  run(
    process.execPath,
    nodeGyp(['configure', 'build', '--release', '--loglevel=error', '-j', 'max']),
    {
      cwd: folder,
      quiet: true,
    },
  );
}

/** The arguments for node that run node-gyp, with the headers of this Node where they are installed. */
export function nodeGyp(args) {
  const headers = nodeHeaders();
  const nodedir = headers === undefined ? [] : [`--nodedir=${headers}`];
  return [findNodeGyp(), ...args, ...nodedir];
}

/** The prefix whose include/node/ has this Node's headers, or undefined: node-gyp then downloads them. */
export function nodeHeaders() {
  const prefixes = [
    process.env.npm_config_nodedir,
    path.dirname(path.dirname(process.execPath)),
    path.dirname(path.dirname(realpathSync(process.execPath))),
  ];
  return prefixes.find((prefix) => prefix && existsSync(path.join(prefix, 'include/node/node.h')));
}

/** What a source build needs. Installs it in a checkout only: a dependency does not change the system. */
export function requireToolchain() {
  if (process.platform !== 'linux') return; // node-gyp explains itself there.
  requireTools(
    'building windhover from source',
    [
      { program: process.env.CC ? 'make' : 'cc', package: 'build-essential' },
      { program: process.env.CXX ? 'make' : 'g++', package: 'build-essential' },
      { program: 'make', package: 'build-essential' },
      { program: 'python3', package: 'python3' },
    ],
    { install: isCheckout },
  );
}

/** Our own node-gyp in a checkout, else the one that comes with npm. */
function findNodeGyp() {
  const require = createRequire(import.meta.url);
  const candidates = [
    () => require.resolve('node-gyp/bin/node-gyp.js'),
    () => process.env.npm_config_node_gyp,
    () => createRequire(process.env.npm_execpath).resolve('node-gyp/bin/node-gyp.js'),
  ];
  for (const candidate of candidates) {
    try {
      const file = candidate();
      if (file && existsSync(file)) return file;
    } catch {
      // Not this one.
    }
  }
  throw new PlainError('building windhover from source needs node-gyp, which comes with npm');
}
