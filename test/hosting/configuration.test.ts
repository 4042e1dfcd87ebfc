import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { Configuration } from '../../lib/hosting/configuration.js';
import { readJsonSettings } from '../../lib/hosting/configuration-json.js';
import { loadConfiguration } from '../../lib/hosting/configuration-sources.js';
import { parseDuration, parseSize } from '../../lib/hosting/configuration-units.js';
import { nearestName } from '../../lib/hosting/nearest-name.js';
import { coded } from '../support/errors.js';

/** A folder with these files, for the test. */
function folderWith(t: ExecutionContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'windhover-config-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

test('durations are read as people write them', (t) => {
  const rows: readonly (readonly [unknown, number | undefined])[] = [
    [5000, 5000],
    ['5000', 5000],
    ['0', 0],
    ['-5', -5],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.001s', 1001],
    ['2m', 120_000],
    ['2 min', 120_000],
    ['1.5h', 5_400_000],
    ['1.5H', 5_400_000],
    [' 1d ', 86_400_000],
    ['00:02:00', 120_000],
    ['0:00:00.5', 500],
    ['1.02:03:04', 93_784_000],
    ['24:00:00', undefined],
    ['00:60:00', undefined],
    ['00:00:60', undefined],
    ['5 parsecs', undefined],
    ['5constructor', undefined],
    ['', undefined],
    ['s', undefined],
    ['1,5s', undefined],
    ['1e3', undefined],
    ['Infinity', undefined],
    [true, undefined],
    [null, undefined],
  ];
  for (const [value, expected] of rows) t.is(parseDuration(value), expected, String(value));
});

test('sizes are read as people write them', (t) => {
  const rows: readonly (readonly [unknown, number | undefined])[] = [
    [4096, 4096],
    ['4096', 4096],
    ['12b', 12],
    ['10mb', 10_000_000],
    ['10 MB', 10_000_000],
    ['64kib', 65_536],
    ['1.5KiB', 1536],
    ['1gb', 1e9],
    ['1TiB', 2 ** 40],
    ['10m', undefined],
    ['mb', undefined],
    ['10mbit', undefined],
    [false, undefined],
  ];
  for (const [value, expected] of rows) t.is(parseSize(value), expected, String(value));
});

test('a wrong name is led to the nearest', (t) => {
  const known = ['keepAliveTimeout', 'maxRequestBodySize', 'url'];
  t.is(nearestName('keepAliveTimout', known), 'keepAliveTimeout');
  t.is(nearestName('KEEPALIVETIMEOUTS', known), 'keepAliveTimeout');
  t.is(nearestName('maxBodySize', known), undefined);
  t.is(nearestName('uri', known), 'url');
  t.is(nearestName('x', known), undefined);
  t.is(nearestName('x', []), undefined);
});

test('files may have comments and commas at the end', (t) => {
  const text = `\uFEFF// the whole
{
  /* of many
     lines */
  "Name": "a \\"b\\" // no comment", // one
  "Number": -1.5e3, "Yes": true, "No": false, "Nothing": null,
  "List": [1, "two", { "three": 3, }, [4],],
  "Deep": { "er": { "est": "x" }, },
  "With:Colon": 1,
  "Empty": {}, "None": [],
}
`;
  const settings = readJsonSettings(text, 'a.json');
  t.deepEqual(
    settings.map(({ key, value, source }) => [key, value, source]),
    [
      ['Name', 'a "b" // no comment', 'a.json:5'],
      ['Number', -1500, 'a.json:6'],
      ['Yes', true, 'a.json:6'],
      ['No', false, 'a.json:6'],
      ['Nothing', null, 'a.json:6'],
      ['List:0', 1, 'a.json:7'],
      ['List:1', 'two', 'a.json:7'],
      ['List:2:three', 3, 'a.json:7'],
      ['List:3:0', 4, 'a.json:7'],
      ['Deep:er:est', 'x', 'a.json:8'],
      ['With:Colon', 1, 'a.json:9'],
    ],
  );
});

test('a file that is no JSON is refused with its line', (t) => {
  const rows = [
    ['', 'a.json:1: an object'],
    ['[]', 'a.json:1: an object'],
    ['5', 'a.json:1: an object'],
    ['{', 'a.json:1: a name'],
    ['{\n"a": 1\n"b": 2 }', "a.json:3: ',' is needed"],
    ['{"a" 1}', "a.json:1: ':' is needed"],
    ['{"a":\n}', 'a.json:2: a value'],
    ['{a: 1}', 'a.json:1: a name'],
    ["{'a': 1}", 'a.json:1: a name'],
    ['{"a": 01}', "a.json:1: ',' is needed"],
    ['{"a": NaN}', 'a.json:1: a value'],
    ['{"a": "\n"}', 'a.json:1: a value'],
    ['{"a": "\\x"}', 'is no JSON string'],
    ['{,}', 'a.json:1: a name'],
    ['{"a": 1,, }', 'a.json:1: a name'],
    ['{"a": [1,,2] }', 'a.json:1: a value'],
    ['{} {}', 'behind the end'],
    ['{"a": 1} /* open', 'behind the end'],
    ['{"": 1}', 'a name is empty'],
    ['{"a": 1,\n"A": 2}', "a.json:2: 'A' is there twice"],
    ['{"a": {"b": 1, "B": 2}}', "'a:B' is there twice"],
    [`{"a": ${'['.repeat(100)}`, 'nested too deep'],
  ] as const;
  for (const [text, words] of rows) {
    const error = t.throws(
      () => readJsonSettings(text, 'a.json'),
      coded('WH_ERR_INVALID_CONFIGURATION'),
      text,
    );
    t.true(error.message.includes(words), `${error.message} does not say ${words}`);
  }
});

test('names of prototypes are names as any other', (t) => {
  const text = '{"__proto__": {"polluted": 1}, "constructor": 2}';
  const configuration = new Configuration(readJsonSettings(text, 'a.json'));
  t.is(configuration.get('__proto__:polluted'), 1);
  t.is(configuration.get('constructor'), 2);
  t.is(configuration.get('toString'), undefined);
  t.is(({} as { polluted?: unknown }).polluted, undefined);
});

test('the later source wins: files, the environment, the command line', (t) => {
  const contentRoot = folderWith(t, {
    'appsettings.json': `{ "a": "file", "b": "file", "c": "file", "d": "file", "list": [1, 2] }`,
    'appsettings.Staging.json': `{ "B": "staging", "c": "staging", "d": "staging", "list": [3] }`,
    'appsettings.Production.json': `{ "a": "production" }`,
  });
  const configuration = loadConfiguration({
    contentRoot,
    args: ['--environment=Staging', '--d', 'arguments', '--x:y=z=1', '--flag', '--', '--a=no'],
    variables: {
      WINDHOVER_C: 'variables',
      windhover_d: 'variables',
      WINDHOVER_CACHE__TTL: '30s',
      WINDHOVER_EMPTY: '',
      WINDHOVER___BROKEN: 'x',
      OTHER_A: 'no',
    },
  });
  t.is(configuration.get('A'), 'file');
  t.is(configuration.get('b'), 'staging');
  t.is(configuration.get('c'), 'variables');
  t.is(configuration.get('d'), 'arguments');
  t.is(configuration.get('X:Y'), 'z=1');
  t.is(configuration.getBoolean('flag'), true);
  t.is(configuration.getDuration('Cache:Ttl'), 30_000);
  t.is(configuration.get('empty'), undefined);
  t.deepEqual([configuration.get('list:0'), configuration.get('list:1')], [3, 2]);
  t.is(configuration.getSource('b'), 'appsettings.Staging.json:1');
  t.is(configuration.getSource('c'), 'the environment variable WINDHOVER_C');
  t.is(configuration.getSource('d'), '--d on the command line');
});

test('a value takes the place of a section, and a section that of a value', (t) => {
  const make = (...keys: string[]): Configuration =>
    new Configuration(keys.map((key) => ({ key, value: key, source: 's' })));
  const value = make('a:b', 'a:c:d', 'A');
  t.is(value.get('a'), 'A');
  t.is(value.get('a:b'), undefined);
  t.false(value.has('a:c'));
  const section = make('a', 'a:b');
  t.is(section.get('a'), undefined);
  t.is(section.get('a:b'), 'a:b');
  t.true(section.has('a'));
  t.true(make('ab').has('AB'));
  t.false(make('ab').has('a'));
});

test('settings are read as what they are', (t) => {
  const configuration = new Configuration(
    readJsonSettings(
      `{ "n": 5, "t": "7", "yes": "True", "size": "64kib", "null": null,
         "s": { "One": 1, "two": { "x": 2 } } }`,
      'a.json',
    ),
  );
  t.is(configuration.getString('n'), '5');
  t.is(configuration.getString('none'), undefined);
  t.is(configuration.getString('null', 'x'), 'x');
  t.is(configuration.getNumber('T'), 7);
  t.is(configuration.getNumber('none', 3), 3);
  t.is(configuration.getBoolean('yes'), true);
  t.is(configuration.getBoolean('null', false), false);
  t.is(configuration.getSize('size'), 65_536);
  t.deepEqual(configuration.getNames(), ['n', 't', 'yes', 'size', 'null', 's']);
  const section = configuration.getSection('S');
  t.deepEqual(section.getNames(), ['One', 'two']);
  t.is(section.getSection('two').get('x'), 2);
  t.is([...configuration].length, 7);
  for (const read of ['getNumber', 'getBoolean', 'getDuration', 'getSize'] as const) {
    const bad = new Configuration([{ key: 'A:b', value: 'x y', source: 'a.json:4' }]);
    const error = t.throws(
      () => bad[read]('a:B'),
      coded('WH_ERR_INVALID_CONFIGURATION', TypeError),
    );
    for (const word of ["'a:B'", "'x y'", 'a.json:4']) t.true(error.message.includes(word), word);
  }
  for (const key of ['', 5, undefined]) {
    t.throws(() => configuration.get(key as string), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  }
});

test('files that are not there are no settings; a file that cannot be read is an error', (t) => {
  const contentRoot = folderWith(t, {});
  t.deepEqual([...loadConfiguration({ contentRoot, variables: {} })], []);
  // A name that would lead out of the folder is none of a file.
  writeFileSync(join(contentRoot, 'appsettings.x.json'), '{"a": 1}');
  const outside = loadConfiguration({ contentRoot, environment: '../x', variables: {} });
  t.deepEqual([...outside], []);
  mkdirSync(join(contentRoot, 'appsettings.json'));
  const error = t.throws(
    () => loadConfiguration({ contentRoot, variables: {} }),
    coded('WH_ERR_INVALID_CONFIGURATION'),
  );
  t.true(error.message.includes(join(contentRoot, 'appsettings.json')));
  for (const bad of [null, 5]) {
    t.throws(() => loadConfiguration(bad as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  }
  t.throws(
    () => loadConfiguration({ args: '--a' as never }),
    coded('WH_ERR_INVALID_ARGUMENT', TypeError),
  );
});
