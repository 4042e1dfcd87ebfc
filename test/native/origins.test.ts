import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { getAddon } from '../../lib/native/addon.js';

/** The root of the package, from dist/test/native/. */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

test('functions that Node has too come from where they should', (t) => {
  const findAddon = createRequire(import.meta.url)('node-gyp-build') as {
    resolve(folder: string): string;
  };
  const addon = realpathSync(findAddon.resolve(root));
  const node = realpathSync(process.execPath);
  const origins = getAddon().symbolOrigins();
  const files = Object.fromEntries(
    Object.entries(origins).map(([name, file]) => [
      name,
      file === null ? null : realpathSync(file),
    ]),
  );
  t.deepEqual(files, {
    llhttp_init: addon,
    nghttp2_hd_deflate_new2: addon,
    SSL_CTX_new: node,
  });
});
