/** Finds and loads the addon: a prebuilt binary, or the one built at install. */
import path = require('node:path');

/** What the addon exports; `Addon` in addon.ts says what it is. */
const load = require('node-gyp-build') as (folder: string) => unknown;

/** dist/lib/native and dist/cjs/native are both three folders below the package's root. */
const packageRoot = path.resolve(__dirname, '..', '..', '..');

export = { loadAddon: (): unknown => load(packageRoot) };
