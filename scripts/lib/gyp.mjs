// Answers binding.gyp's questions (CMake reads the same list and folder itself):
//   node scripts/lib/gyp.mjs own      the sources that native/sources.txt lists, one a line
//   node scripts/lib/gyp.mjs vendor   the C sources in native/deps/vendor, one a line
//   node scripts/lib/gyp.mjs lto      1 where the compiler links programs whole without more ado, or 0
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

const answers = {
  own: () =>
    readFileSync(path.join(root, 'native/sources.txt'), 'utf8')
      .split('\n')
      .map((line) => line.replace(/#.*/, '').trim())
      .filter((line) => line !== '')
      .join('\n'),

  vendor: () =>
    ['llhttp', 'nghttp2']
      .flatMap((name) => {
        const folder = `native/deps/vendor/${name}/src`;
        return readdirSync(path.join(root, folder))
          .filter((file) => file.endsWith('.c'))
          .sort()
          .map((file) => `${folder}/${file}`);
      })
      .join('\n'),

  // gcc brings all that it needs for -flto; clang needs a linker that fits it, which may be missing.
  lto: () => {
    if (process.platform !== 'linux') return '0';
    const compiler = (process.env.CC ?? 'cc').split(' ')[0];
    const told = spawnSync(compiler, ['--version'], { encoding: 'utf8' });
    return told.stdout?.includes('Free Software Foundation') ? '1' : '0';
  },
};

const answer = answers[process.argv[2]];
if (answer === undefined) throw new Error(`usage: gyp.mjs ${Object.keys(answers).join('|')}`);
console.log(answer());
