// Builds what the arguments name: `node scripts/build.mjs native ts`.
import { buildAddon } from './lib/native.mjs';
import { PlainError, main } from './lib/run.mjs';
import { buildTypeScript } from './lib/typescript.mjs';

const parts = { native: buildAddon, ts: buildTypeScript };

await main(() => {
  const wanted = process.argv.slice(2);
  for (const part of wanted) {
    if (!(part in parts))
      throw new PlainError(`usage: build.mjs ${Object.keys(parts).join(' | ')}`);
    parts[part]();
  }
});
