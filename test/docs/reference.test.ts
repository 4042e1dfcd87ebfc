import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import * as windhover from '../../lib/index.js';
import { readDocument, root } from './markdown.js';

/** Codes of the core that cannot come out of it as JavaScript errors, or not with a meaning of their own. */
const INTERNAL = new Set(['WH_ERR_CLOSED', 'WH_ERR_OVERFLOW', 'WH_ERR_STATE']);

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesUnder(name) : [name];
  });
}

test('docs/api.md tells every error code', (t) => {
  const sources = [...filesUnder('lib'), 'native/core/base/error.h'];
  const codes = new Set(
    sources.flatMap((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      return [...text.matchAll(/\bWH_(?:ERR|WARN)_[A-Z_]+/g)].map(([code]) => code);
    }),
  );
  t.true(codes.size > 20);
  const told = readDocument('docs/api.md');
  t.deepEqual(
    [...codes].filter((code) => !INTERNAL.has(code) && !told.includes(`\`${code}\``)),
    [],
  );
  const unknown = [...told.matchAll(/`(WH_(?:ERR|WARN)_[A-Z_]+)`/g)].map(([, code]) => code);
  t.deepEqual(
    unknown.filter((code) => !codes.has(code)),
    [],
  );
});

test('docs/api.md names everything that is exported', (t) => {
  const index = readFileSync(join(root, 'lib/index.ts'), 'utf8');
  const names = [...index.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, list]) =>
    list.split(',').map((name) => name.trim()),
  );
  const exported = [...Object.keys(windhover), ...names].filter((name) => name !== '');
  t.true(exported.length > 40);
  const told = readDocument('docs/api.md');
  t.deepEqual(
    exported.filter((name) => !new RegExp(`\\b${name}\\b`).test(told)),
    [],
  );
});

test('docs/options.md has every limit of the core, with its default', (t) => {
  const header = readFileSync(join(root, 'native/core/server/limits.h'), 'utf8');
  const rows = [...header.matchAll(/^ {2}X\(\w+, "(\w+)",\s*(\d+),/gm)];
  t.true(rows.length >= 7);
  const told = readDocument('docs/options.md');
  for (const [, name, initial] of rows) {
    const shown = initial.replace(/\B(?=(\d{3})+$)/g, ',');
    t.true(told.includes(`| \`${name}\` | ${shown} |`), `${name} | ${shown}`);
  }
});
