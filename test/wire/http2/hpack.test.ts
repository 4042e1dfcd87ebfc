/** The HPACK of the tests themselves, by the examples of RFC 7541 appendix C. */
import test from 'ava';
import {
  HpackDecoder,
  STATIC_TABLE,
  indexed,
  integer,
  literal,
  sizeUpdate,
} from '../../support/h2/hpack.js';
import { huffmanDecode, huffmanEncode } from '../../support/h2/huffman.js';

function bytes(hexadecimal: string): Buffer {
  return Buffer.from(hexadecimal.replaceAll(' ', ''), 'hex');
}

function lines(decoder: HpackDecoder, hexadecimal: string): string[] {
  return decoder.decode(bytes(hexadecimal)).map(({ name, value }) => `${name}: ${value}`);
}

test('C.1 integers', (t) => {
  t.deepEqual(integer(10, 5), bytes('0a'));
  t.deepEqual(integer(1337, 5), bytes('1f 9a 0a'));
  t.deepEqual(integer(42, 8), bytes('2a'));
});

test('C.2 representations', (t) => {
  t.deepEqual(
    literal('custom-key', 'custom-header', 'incremental'),
    bytes('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'),
  );
  t.deepEqual(literal(4, '/sample/path', 'without'), bytes('040c 2f73 616d 706c 652f 7061 7468'));
  t.deepEqual(
    literal('password', 'secret', 'never'),
    bytes('1008 7061 7373 776f 7264 0673 6563 7265 74'),
  );
  t.deepEqual(indexed(2), bytes('82'));
  t.deepEqual(sizeUpdate(30), bytes('3e'));
});

test('C.3 and C.4 requests, plain and in Huffman code', (t) => {
  const first = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];
  const second = [...first, 'cache-control: no-cache'];
  const third = [
    ':method: GET',
    ':scheme: https',
    ':path: /index.html',
    ':authority: www.example.com',
    'custom-key: custom-value',
  ];
  const plain = new HpackDecoder();
  t.deepEqual(lines(plain, '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d'), first);
  t.is(plain.size, 57);
  t.deepEqual(lines(plain, '8286 84be 5808 6e6f 2d63 6163 6865'), second);
  t.is(plain.size, 110);
  t.deepEqual(
    lines(plain, '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65'),
    third,
  );
  t.is(plain.size, 164);
  const coded = new HpackDecoder();
  t.deepEqual(lines(coded, '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'), first);
  t.deepEqual(lines(coded, '8286 84be 5886 a8eb 1064 9cbf'), second);
  t.deepEqual(lines(coded, '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'), third);
  t.is(coded.size, 164);
});

test('C.6 answers, with a table of 256 bytes that puts entries out', (t) => {
  const decoder = new HpackDecoder(256);
  t.deepEqual(
    lines(
      decoder,
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
       2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`.replaceAll('\n', ''),
    ),
    [
      ':status: 302',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:21 GMT',
      'location: https://www.example.com',
    ],
  );
  t.is(decoder.size, 222);
  t.deepEqual(lines(decoder, '4883 640e ffc1 c0bf'), [
    ':status: 307',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ]);
  t.is(decoder.size, 222);
});

test('the static table has 61 entries', (t) => {
  t.is(STATIC_TABLE.length, 61);
  t.deepEqual(STATIC_TABLE[60], ['www-authenticate', '']);
  t.deepEqual(STATIC_TABLE[15], ['accept-encoding', 'gzip, deflate']);
});

test('whatever is encoded decodes to the same', (t) => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  t.deepEqual(huffmanDecode(huffmanEncode(all)), all);
  for (const byte of all)
    t.deepEqual(huffmanDecode(huffmanEncode(Buffer.of(byte))), Buffer.of(byte));
});

test('what is not right is refused', (t) => {
  const refused = (block: Buffer, message: RegExp, decoder = new HpackDecoder()): void => {
    t.throws(() => decoder.decode(block), { message });
  };
  refused(indexed(0), /no entry 0/);
  refused(indexed(62), /no entry 62/);
  refused(sizeUpdate(4097), /4097/);
  refused(Buffer.concat([indexed(2), sizeUpdate(0)]), /behind a field/);
  refused(Buffer.of(0x00, 0x05, 0x61), /cut short/);
  const coded = { huffman: true };
  refused(literal('test', 'tests', 'without', { ...coded, fill: 0 }), /Huffman|ones/);
  refused(literal('test', 'test', 'without', { ...coded, extraPadding: 1 }), /padding/);
  refused(literal('test', 'test', 'without', { ...coded, endOfString: true }), /end of string/);
  const smaller = new HpackDecoder();
  smaller.setLimit(0);
  refused(indexed(2), /no size update/, smaller);
  t.is(smaller.decode(Buffer.concat([sizeUpdate(0), indexed(2)])).length, 1);
});
