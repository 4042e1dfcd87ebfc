import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import * as windhover from '../../lib/index.js';
import { getAddon } from '../../lib/native/addon.js';
import { readDocument, root } from './markdown.js';

/** Codes of the core that cannot come out of it as JavaScript errors, or not with a meaning of their own. */
const INTERNAL = new Set([
  'WH_ERR_CLOSED',
  'WH_ERR_NOT_SUPPORTED',
  'WH_ERR_OVERFLOW',
  'WH_ERR_STATE',
]);

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

test('docs/options.md and the types have every limit of the core', (t) => {
  const told = readDocument('docs/options.md');
  const types = readFileSync(join(root, 'lib/server/options.ts'), 'utf8');
  for (const { name, initial, canBeUnlimited } of getAddon().limitTable()) {
    const [group, member] = name.split('.') as [string, string?];
    t.regex(types, new RegExp(`\\b${group}\\?: `), name);
    if (member === undefined) {
      const shown = showNumber(initial);
      t.true(told.includes(`| \`${name}\` | ${shown} |`), `${name} | ${shown}`);
    } else {
      t.regex(types, new RegExp(`\\b${member}\\??: `), name);
      t.true(told.includes(`| \`${group}\` |`) && told.includes(member), name);
    }
    // A rate is turned off as a whole.
    const whole = group.endsWith('DataRate') ? group : (member ?? group);
    if (canBeUnlimited) t.regex(types, new RegExp(`\\b${whole}\\?: .*\\| null;`), name);
  }
});

test('docs/configuration.md has the table of the core', (t) => {
  const lines = getAddon()
    .limitTable()
    .map(({ name, unit, effect, initial, least, greatest, canBeUnlimited }) => {
      const range =
        (greatest === Infinity
          ? `${showNumber(least)} or more`
          : `${showNumber(least)} to ${showNumber(greatest)}`) +
        (canBeUnlimited ? ', or `null`' : '');
      const variable = `WINDHOVER_LIMITS__${name.toUpperCase().replace('.', '__')}`;
      return `| \`limits.${name}\` | ${showNumber(initial)} | ${range} | ${unit} | ${effect} | \`${variable}\` |`;
    });
  const table = [
    '| Limit | Default | Range | Unit | Above it | Variable |',
    '|---|---|---|---|---|---|',
    ...lines,
  ].join('\n');
  const told = readDocument('docs/configuration.md');
  const between = /(?<=<!-- limits:start -->\n)[^]*(?=<!-- limits:end -->)/;
  // WINDHOVER_UPDATE_DOCS=1 writes it.
  if (process.env['WINDHOVER_UPDATE_DOCS'] === '1') {
    writeFileSync(
      join(root, 'docs/configuration.md'),
      told.replace(between, () => `${table}\n`),
    );
  }
  t.is(between.exec(readDocument('docs/configuration.md'))?.[0], `${table}\n`);
});

function showNumber(value: number): string {
  if (value === Infinity) return '`null`';
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}
