import test from 'ava';
import { WindhoverError } from '../../lib/http/errors.js';
import { HeaderMap } from '../../lib/http/header-map.js';
import { coded, throwsEach } from '../support/errors.js';

test('finds a field whatever the case of its name', (t) => {
  const map = new HeaderMap();
  map.set('Content-Type', 'text/html');
  for (const name of ['content-type', 'CONTENT-TYPE', 'Content-Type']) {
    t.is(map.get(name), 'text/html');
    t.true(map.has(name));
    t.deepEqual(map.getAll(name), ['text/html']);
  }
  t.is(map.get('Content-Length'), undefined);
  t.false(map.has('Content-Length'));
  t.deepEqual(map.getAll('Content-Length'), []);
});

test('keeps the lines of a name apart and joins them on demand', (t) => {
  const map = new HeaderMap();
  map.append('Vary', 'Accept');
  map.append('X-Other', '1');
  map.append('vary', 'Cookie');
  t.is(map.size, 3);
  t.is(map.get('Vary'), 'Accept, Cookie');
  t.deepEqual(map.getAll('VARY'), ['Accept', 'Cookie']);
  map.append('Cookie', 'a=1');
  map.append('Cookie', 'b=2');
  t.is(map.get('cookie'), 'a=1; b=2');
});

test('iterates each line in the order and the spelling in which it was set', (t) => {
  const map = new HeaderMap();
  map.append('b', '1');
  map.append('A', '2');
  map.append('B', '3');
  t.deepEqual(
    [...map],
    [
      ['b', '1'],
      ['A', '2'],
      ['B', '3'],
    ],
  );
});

test('iterates over what was there when the iteration began', (t) => {
  const map = new HeaderMap();
  map.append('a', '1');
  map.append('b', '2');
  const seen: string[] = [];
  for (const [name] of map) {
    seen.push(name);
    map.delete(name);
  }
  t.deepEqual(seen, ['a', 'b']);
  t.is(map.size, 0);
});

test('set replaces all the lines of a name, in the place of the first', (t) => {
  const map = new HeaderMap();
  map.append('X', '1');
  map.append('Y', '2');
  map.append('x', '3');
  map.set('x', '4');
  t.deepEqual(
    [...map],
    [
      ['x', '4'],
      ['Y', '2'],
    ],
  );
});

test('set with an array makes a line of each value; with an empty one it removes the name', (t) => {
  const map = new HeaderMap();
  map.set('Set-Cookie', ['a=1', 'b=2']);
  t.deepEqual(map.getAll('set-cookie'), ['a=1', 'b=2']);
  map.set('Set-Cookie', ['c=3']);
  t.deepEqual(map.getAll('set-cookie'), ['c=3']);
  map.set('Set-Cookie', []);
  t.false(map.has('Set-Cookie'));
});

test('delete removes all the lines of a name and says whether there was one', (t) => {
  const map = new HeaderMap();
  map.append('x', '1');
  map.append('y', '2');
  map.append('X', '3');
  t.true(map.delete('X'));
  t.false(map.delete('X'));
  t.false(map.delete('not a token'));
  t.deepEqual([...map], [['y', '2']]);
});

test('takes numbers, and drops blanks around a value', (t) => {
  const map = new HeaderMap();
  map.set('Age', 12);
  map.append('X', ' \ta b\t ');
  map.set('Empty', '  ');
  t.is(map.get('age'), '12');
  t.is(map.get('x'), 'a b');
  t.is(map.get('empty'), '');
});

test('refuses names that are no tokens', (t) => {
  const map = new HeaderMap();
  for (const name of ['', 'a b', 'a:', 'a\r\nb', 'é', 'a\0', 'a/b', '(a)', 'a@b']) {
    t.throws(() => map.set(name, '1'), coded('WH_ERR_INVALID_HEADER_NAME', TypeError), name);
    t.throws(() => map.append(name, '1'), coded('WH_ERR_INVALID_HEADER_NAME', TypeError), name);
  }
  map.set("!#$%&'*+-.^_`|~09azAZ", '1');
  t.is(map.size, 1);
});

test('refuses values that could split the message, and all that is not visible ASCII', (t) => {
  const map = new HeaderMap();
  for (const value of [
    'a\r\nb: c',
    'a\nb',
    'a\rb',
    'a\0b',
    'a\x7fb',
    'a\x1bb',
    'é',
    '\u{1f985}',
    '\n',
  ]) {
    t.throws(() => map.set('X', value), coded('WH_ERR_INVALID_HEADER_VALUE', TypeError), value);
    t.throws(() => map.append('X', value), coded('WH_ERR_INVALID_HEADER_VALUE', TypeError));
    t.throws(() => map.set('X', ['ok', value]), coded('WH_ERR_INVALID_HEADER_VALUE', TypeError));
  }
  t.is(map.size, 0);
  map.set('X', 'a\tb ~!');
  t.is(map.get('X'), 'a\tb ~!');
});

test('quotes at most 128 characters of a bad value', (t) => {
  const error = t.throws(() => new HeaderMap().set('X', `${'a'.repeat(100_000)}\n`));
  t.true((error?.message.length ?? Infinity) < 300);
});

test('refuses what is no string and no finite number', (t) => {
  const map = new HeaderMap();
  const values = [
    undefined,
    null,
    true,
    {},
    NaN,
    Infinity,
    1n,
    Symbol('x'),
    () => '',
    [1n],
    [null],
  ];
  for (const value of values) {
    t.throws(() => map.set('X', value as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  }
  for (const name of [undefined, null, 1, {}, Symbol('x')]) {
    t.throws(() => map.set(name as never, '1'), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
    t.is(map.get(name as never), undefined);
  }
  t.is(map.size, 0);
});

test('serialises its lines as HTTP/1.1 writes them, and anew after a change', (t) => {
  const map = new HeaderMap();
  t.is(map.serialize(), '');
  map.set('A', '1');
  map.append('b', 2);
  t.is(map.serialize(), 'A: 1\r\nb: 2\r\n');
  t.is(map.serialize(), 'A: 1\r\nb: 2\r\n');
  map.set('A', '3');
  t.is(map.serialize(), 'A: 3\r\nb: 2\r\n');
  map.delete('b');
  t.is(map.serialize(), 'A: 3\r\n');
});

test('once frozen it can be read, but not changed', (t) => {
  const map = new HeaderMap();
  map.set('A', '1');
  map.freeze();
  throwsEach(t, 'WH_ERR_RESPONSE_STARTED', {
    set: () => map.set('A', '2'),
    'set of many': () => map.set('A', ['2', '3']),
    append: () => map.append('B', '2'),
    delete: () => map.delete('A'),
  });
  t.throws(() => map.set('A', '2'), coded('WH_ERR_RESPONSE_STARTED', WindhoverError));
  t.is(map.serialize(), 'A: 1\r\n');
});

test('takes lines from a peer without judging their values', (t) => {
  const map = HeaderMap.fromLines([
    ['X-Name', 'caf\xe9'],
    ['x-name', 'b'],
  ]);
  t.is(map.get('X-Name'), 'caf\xe9, b');
});

test('behaves like a list of lines under random use', (t) => {
  const names = ['a', 'A', 'b', 'B', 'long-name', 'Long-Name'];
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  const map = new HeaderMap();
  let model: [string, string][] = [];
  const same = (name: string) => (line: readonly [string, string]) =>
    line[0].toLowerCase() === name.toLowerCase();
  for (let i = 0; i < 2_000; i++) {
    const name = names[random(names.length)];
    const value = String(i);
    const action = random(4);
    if (action === 0) {
      map.append(name, value);
      model.push([name, value]);
    } else if (action === 1) {
      t.is(map.delete(name), model.some(same(name)));
      model = model.filter((line) => !same(name)(line));
    } else if (action === 2) {
      const first = model.findIndex(same(name));
      map.set(name, value);
      if (first < 0) model.push([name, value]);
      else model[first] = [name, value];
      model = model.filter((line, at) => !same(name)(line) || at === (first < 0 ? at : first));
    } else {
      const values = model.filter(same(name)).map((line) => line[1]);
      t.deepEqual(map.getAll(name), values);
      t.is(map.get(name), values.length === 0 ? undefined : values.join(', '));
    }
    t.deepEqual([...map], model);
    t.is(map.serialize(), model.map(([n, v]) => `${n}: ${v}\r\n`).join(''));
  }
});
