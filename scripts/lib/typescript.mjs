// TypeScript to JavaScript: dist/lib and dist/test and dist/examples as ES modules, dist/cjs as CommonJS.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PlainError, root, run } from './run.mjs';

const TSC = path.join(root, 'node_modules/typescript/bin/tsc');

/** Where compiled folders come from. */
const OUTPUTS = {
  'dist/lib': 'lib',
  'dist/cjs': 'lib',
  'dist/test': 'test',
  'dist/examples': 'examples',
};

/** Compiles what has changed. Throws a PlainError where the compiler finds errors. */
export function buildTypeScript() {
  if (!existsSync(TSC)) {
    throw new PlainError('TypeScript is not installed: run npm install without --omit=dev first');
  }
  prune();
  run(process.execPath, [TSC, '--build', 'tsconfig.json']);
  run(process.execPath, [TSC, '--project', 'tsconfig.cjs.json']);
  // lib/ is written once, as ES modules by package.json: this says that the copy is not.
  writeFileSync(path.join(root, 'dist/cjs/package.json'), '{ "type": "commonjs" }\n');
  copyAssets('examples', 'dist/examples');
}

/** Removes outputs whose source is gone, so that a deleted test does not run for ever. */
function prune() {
  let pruned = false;
  for (const [output, source] of Object.entries(OUTPUTS)) {
    for (const file of filesUnder(output)) {
      const match = /^(.*?)(\.d\.([cm]?)ts|\.([cm]?)js)(\.map)?$/.exec(path.relative(output, file));
      if (match === null) continue;
      const original = `${match[1]}.${match[3] ?? match[4]}ts`;
      if (existsSync(path.join(root, source, original))) continue;
      if (existsSync(path.join(root, source, path.relative(output, file)))) continue; // An asset.
      rmSync(path.join(root, file));
      pruned = true;
    }
  }
  // The compiler believes its notes about what it has written.
  if (pruned) {
    for (const file of ['lib', 'test', 'cjs']) {
      rmSync(path.join(root, `dist/${file}.tsbuildinfo`), { force: true });
    }
  }
}

/** Copies what is not TypeScript: pages, pictures. */
function copyAssets(from, to) {
  for (const file of filesUnder(from)) {
    if (/\.[cm]?ts$/.test(file)) continue;
    const target = path.join(root, to, path.relative(from, file));
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(path.join(root, file), target);
  }
}

function filesUnder(folder) {
  if (!existsSync(path.join(root, folder))) return [];
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesUnder(name);
    return [name];
  });
}
