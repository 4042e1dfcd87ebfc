// npm runs this after it installed windhover. The published package brings a binary for common
// platforms, and works where this script never runs; elsewhere the addon is built from the sources that
// the package carries. In a checkout the addon is always built.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { buildAddon, isCheckout } from './lib/native.mjs';
import { main, root } from './lib/run.mjs';

/** Whether the addon loads. Tried in a process of its own, because a bad binary may end it. */
function loads() {
  const script = `require('node-gyp-build')(${JSON.stringify(root)})`;
  return spawnSync(process.execPath, ['-e', script], { cwd: path.join(root) }).status === 0;
}

await main(() => {
  if (!isCheckout && loads()) return;
  console.log('windhover: building the addon from source');
  buildAddon();
});
