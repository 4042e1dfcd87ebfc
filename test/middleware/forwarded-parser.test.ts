/** RFC 7239's field and the nodes in it, without a server. */
import test from 'ava';
import {
  parseForwarded,
  parseForwardedFor,
  parseNode,
} from '../../lib/middleware/forwarded-parser.js';

function parsed(line: string): Record<string, string>[] {
  return parseForwarded(line).elements.map(({ parameters }) => Object.fromEntries(parameters));
}

test('the examples of RFC 7239', (t) => {
  t.deepEqual(parsed('for="_gazonk"'), [{ for: '_gazonk' }]);
  t.deepEqual(parsed('For="[2001:db8:cafe::17]:4711"'), [{ for: '[2001:db8:cafe::17]:4711' }]);
  t.deepEqual(parsed('for=192.0.2.60;proto=http;by=203.0.113.43'), [
    { for: '192.0.2.60', proto: 'http', by: '203.0.113.43' },
  ]);
  t.deepEqual(parsed('for=192.0.2.43, for=198.51.100.17'), [
    { for: '192.0.2.43' },
    { for: '198.51.100.17' },
  ]);
  t.deepEqual(parsed('for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown'), [
    { for: '192.0.2.43' },
    { for: '[2001:db8:cafe::17]' },
    { for: 'unknown' },
  ]);
  t.deepEqual(parsed('for=_hidden, for=_SEVKISEK'), [{ for: '_hidden' }, { for: '_SEVKISEK' }]);
});

test('quoted strings have commas, semicolons and escapes in them', (t) => {
  t.deepEqual(parsed('for="a, for=b;c";host="x\\"y\\\\z";ext="", for=c'), [
    { for: 'a, for=b;c', host: 'x"y\\z', ext: '' },
    { for: 'c' },
  ]);
  t.is(parseForwarded('for="a, b" , for=c').elements[0].text, 'for="a, b"');
});

test('empty members of the list are skipped', (t) => {
  t.deepEqual(parsed(', ,for=a,\t,'), [{ for: 'a' }]);
  t.deepEqual(parsed(''), []);
  t.deepEqual(parsed('for=a;;proto=http;'), [{ for: 'a', proto: 'http' }]);
});

for (const [line, tail] of [
  ['for=', []],
  ['for', []],
  ['=a', []],
  ['for =a', []],
  ['for= a', []],
  ['for=a b', []],
  ['for=a ;proto=http', []],
  ['for=a; proto=http', []],
  ['for=a;for=b', []],
  ['for=a;FOR=b', []],
  ['for=[::1]', []],
  ['for=1.2.3.4:80', []],
  ['for="a', []],
  ['for=a"', []],
  ['for="a"b', []],
  ['for="a\\"', []],
  [';', []],
  ['for="x, for=192.0.2.1', [{ for: '192.0.2.1' }]],
  [
    'nonsense, for=192.0.2.1;proto=https, for=c',
    [{ for: '192.0.2.1', proto: 'https' }, { for: 'c' }],
  ],
  ['for="x, a=";by="y" z', []],
  ['for=a, for=b;x', []],
] as [string, Record<string, string>[]][]) {
  test(`malformed: ${line}`, (t) => {
    t.false(parseForwarded(line).complete);
    t.deepEqual(parsed(line), tail);
  });
}

test('nodes', (t) => {
  t.deepEqual(parseNode('192.0.2.1'), { address: '192.0.2.1', port: 0 });
  t.deepEqual(parseNode('192.0.2.1:65535'), { address: '192.0.2.1', port: 65_535 });
  t.deepEqual(parseNode('192.0.2.1:_port'), { address: '192.0.2.1', port: 0 });
  t.deepEqual(parseNode('[2001:DB8::1]:8080'), { address: '2001:db8::1', port: 8080 });
  t.deepEqual(parseNode('[::ffff:192.0.2.1]'), { address: '192.0.2.1', port: 0 });
  t.deepEqual(parseNode('unknown'), { address: undefined, port: 0 });
  t.deepEqual(parseNode('Unknown:80'), { address: undefined, port: 80 });
  t.deepEqual(parseNode('_hidden.x-y_z'), { address: undefined, port: 0 });
  for (const wrong of [
    '',
    ':80',
    '192.0.2.1:',
    '192.0.2.1:65536',
    '192.0.2.1:8x',
    '192.0.2.1:-1',
    '192.0.2.256',
    '192.0.2.1.1',
    '192.0.2.01',
    '2001:db8::1',
    '[2001:db8::1',
    '[2001:db8::g]',
    '[192.0.2.1]',
    '[fe80::1%eth0]',
    '[::1]x',
    '_',
    '_a b',
    'hidden',
    'example.com',
    ' 192.0.2.1',
  ]) {
    t.is(parseNode(wrong), undefined, wrong);
  }
});

test('members of X-Forwarded-For', (t) => {
  t.deepEqual(parseForwardedFor('2001:db8::1'), { address: '2001:db8::1', port: 0 });
  t.deepEqual(parseForwardedFor('[2001:db8::1]:443'), { address: '2001:db8::1', port: 443 });
  t.deepEqual(parseForwardedFor('192.0.2.1:443'), { address: '192.0.2.1', port: 443 });
  for (const wrong of ['unknown', '_hidden', 'localhost', 'fe80::1%1', '::1:x', '"192.0.2.1"']) {
    t.is(parseForwardedFor(wrong), undefined, wrong);
  }
});
