import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import test from 'ava';
import { documents, readAnchors, readDocument, readLinks, root } from './markdown.js';

for (const document of documents) {
  test(`the links of ${document} lead somewhere`, (t) => {
    for (const link of readLinks(document)) {
      const [path, anchor] = link.split('#');
      const target =
        path === '' ? document : relative(root, resolve(root, dirname(document), path));
      t.true(existsSync(join(root, target)), `${link}: there is no ${target}`);
      if (anchor !== undefined) {
        t.true(readAnchors(target).has(anchor), `${link}: ${target} has no such heading`);
      }
    }
    t.pass();
  });
}

test('every page of docs/ is linked from README', (t) => {
  const linked = new Set(readLinks('README.md').map((link) => link.split('#')[0]));
  t.deepEqual(
    documents.filter((name) => name.startsWith('docs/') && !linked.has(name)),
    [],
  );
});

test('README has a place for the figures', (t) => {
  t.regex(readDocument('README.md'), /<!-- bench:start -->\n[^]+\n<!-- bench:end -->/);
});
