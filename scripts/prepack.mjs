// Before `npm pack` and `npm publish`: everything that travels is made, from the sources of this moment.
import { main, root, run } from './lib/run.mjs';
import { buildTypeScript } from './lib/typescript.mjs';

await main(() => {
  buildTypeScript();
  run(process.execPath, ['scripts/prebuild.mjs'], { cwd: root });
});
