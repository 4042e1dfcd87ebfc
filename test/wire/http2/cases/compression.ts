/** RFC 7541: HPACK, what a server must understand of it and what it must not let pass. */
import type { Case } from '../../../support/h2/case.js';
import { simple } from '../../../support/h2/case.js';
import type { H2Client } from '../../../support/h2-client.js';
import { Setting, continuation, data, headers } from '../../../support/h2/frames.js';
import type { Representation } from '../../../support/h2/hpack.js';
import {
  FIRST_DYNAMIC,
  block,
  indexed,
  integer,
  literal,
  sizeUpdate,
  string,
} from '../../../support/h2/hpack.js';
import { alive, answered, connectionError, serves } from '../../../support/h2/verdicts.js';

/** Indices of the static table. */
const USER_AGENT = 58;
const METHOD_GET = 2;

/** Opens a stream with a block that is given in pieces. */
function send(client: H2Client, ...parts: readonly Uint8Array[]): number {
  const id = client.nextId();
  client.send(headers(id, Buffer.concat(parts), { endStream: true }));
  return id;
}

/** A GET and something more in its block. */
function get(client: H2Client, ...parts: readonly Uint8Array[]): number {
  return send(client, block(client.get()), ...parts);
}

function tableSize(client: H2Client): number {
  return client.serverSettings.get(Setting.HEADER_TABLE_SIZE) ?? 4096;
}

/** Blocks that do not decode; `before` comes at the start of the block, `behind` at its end. */
const BROKEN: readonly (readonly [
  what: string,
  part: (client: H2Client) => { before?: Buffer; behind?: Buffer },
])[] = [
  ['2.3.3 an index behind the tables', () => ({ behind: indexed(FIRST_DYNAMIC) })],
  ['2.3.3 an index far behind the tables', () => ({ behind: indexed(100_000) })],
  ...(['incremental', 'without', 'never'] as const).map(
    (kind) =>
      [
        `2.3.3 a literal (${kind}) whose name is behind the tables`,
        () => ({ behind: literal(FIRST_DYNAMIC + 8, 'ok', kind) }),
      ] as const,
  ),
  ['4.2 a size update behind a field', () => ({ behind: sizeUpdate(1) })],
  [
    '4.2 a size update between fields',
    (client) => ({
      behind: Buffer.concat([sizeUpdate(0), block([['x-last', client.scheme]])]),
    }),
  ],
  [
    '6.3 a size update above the limit',
    (client) => ({ before: sizeUpdate(tableSize(client) + 1) }),
  ],
  ['6.3 a size update far above the limit', () => ({ before: sizeUpdate(2 ** 31) })],
  [
    '5.1 an integer that overflows',
    () => ({
      behind: Buffer.concat([Buffer.of(0xff), Buffer.alloc(12, 0xff), Buffer.of(0x01)]),
    }),
  ],
  ['5.1 an integer just above 32 bits', () => ({ behind: integer(2 ** 32 + 100, 7, 0x80) })],
  ['5.1 an integer without an end', () => ({ behind: Buffer.of(0xff, 0x80, 0x80) })],
  [
    '5.1 a length that overflows',
    () => ({
      behind: Buffer.concat([Buffer.of(0x00, 0x7f), Buffer.alloc(10, 0xff), Buffer.of(0x01)]),
    }),
  ],
  ['5.2 a name longer than the block', () => ({ behind: Buffer.of(0x00, 0x7e, 0x61) })],
  [
    '5.2 a value longer than the block',
    () => ({
      behind: Buffer.concat([Buffer.of(0x00), string('x-test'), Buffer.of(0x7e, 0x61)]),
    }),
  ],
  [
    '5.2 a Huffman string longer than the block',
    () => ({
      behind: Buffer.concat([Buffer.of(0x00), string('x-test'), Buffer.of(0xfe, 0x61)]),
    }),
  ],
  [
    '5.2 Huffman padding of more than 7 bits',
    () => ({
      behind: literal('x-test', 'test', 'without', { huffman: true, extraPadding: 1 }),
    }),
  ],
  // 'tests' is 27 bits long.
  [
    '5.2 Huffman padding of zeros',
    () => ({
      behind: literal('x-test', 'tests', 'without', { huffman: true, fill: 0 }),
    }),
  ],
  [
    '5.2 the end of string in a Huffman string',
    () => ({
      behind: literal('x-test', 'test', 'without', { huffman: true, endOfString: true }),
    }),
  ],
  [
    '5.2 Huffman padding of more than 7 bits in a name',
    () => ({
      behind: literal('x-test', 'test', 'incremental', { huffman: true, extraPadding: 3 }),
    }),
  ],
  ['6.1 index 0', () => ({ behind: indexed(0) })],
  ['6.1 index 0 at the start', () => ({ before: indexed(0) })],
];

/** How a field may be written; the name from the static table or not. */
const WRITTEN: readonly (readonly [what: string, kind: Exclude<Representation, 'indexed'>])[] = [
  ['6.2.1 a literal with indexing', 'incremental'],
  ['6.2.2 a literal without indexing', 'without'],
  ['6.2.3 a literal that is never indexed', 'never'],
];

export const compression: readonly Case[] = [
  ...BROKEN.map(([what, part]) =>
    simple(`7541 ${what} is a COMPRESSION_ERROR`, async (client) => {
      const { before = Buffer.alloc(0), behind = Buffer.alloc(0) } = part(client);
      send(client, before, block(client.get()), behind);
      await connectionError(client, 'COMPRESSION_ERROR');
    }),
  ),
  simple('7541 6.1 fields of the static table', async (client) => {
    const scheme = client.scheme === 'http' ? 6 : 7;
    const authority = literal(1, client.authority);
    await answered(
      client,
      send(client, indexed(METHOD_GET), indexed(scheme), indexed(4), authority),
    );
    await answered(client, get(client, indexed(16))); // accept-encoding: gzip, deflate
    await alive(client);
  }),
  ...WRITTEN.flatMap(([what, kind]) =>
    [false, true].flatMap((huffman) => {
      const coded = huffman ? ', in Huffman code' : '';
      return [
        simple(`7541 ${what}, its name indexed${coded}`, async (client) => {
          await answered(client, get(client, literal(USER_AGENT, 'test', kind, { huffman })));
          await alive(client);
        }),
        simple(`7541 ${what}, its name new${coded}`, async (client) => {
          await answered(client, get(client, literal('x-test', 'test', kind, { huffman })));
          await alive(client);
        }),
      ];
    }),
  ),
  simple('7541 5.2 every character has its Huffman code', async (client) => {
    // What is allowed in a value, and padding of each length.
    const printable = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).join('');
    for (let i = 0; i < 8; i++) {
      const value = printable + 'a'.repeat(i);
      await answered(client, get(client, literal('x-test', value, 'without', { huffman: true })));
    }
    await alive(client);
  }),
  simple(
    '7541 5.2 what is in Huffman code comes as it was',
    async (client) => {
      const value = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).join('');
      const id = client.nextId();
      client.send(
        headers(
          id,
          Buffer.concat([
            block(client.get('/inspect')),
            literal('x-test', value, 'incremental', { huffman: true }),
            indexed(FIRST_DYNAMIC),
          ]),
          { endStream: true },
        ),
      );
      const { text } = await answered(client, id);
      const { headers: lines } = JSON.parse(text) as { headers: [string, unknown][] };
      const found = lines.filter(([name]) => name.toLowerCase() === 'x-test').flat(2);
      if (found.filter((one) => String(one).includes(value)).length === 0) {
        throw client.error(JSON.stringify(lines));
      }
    },
    ['application'],
  ),
  simple('7541 6.3 a size update, and two, at the start of a block', async (client) => {
    await answered(client, send(client, sizeUpdate(0), block(client.get())));
    await answered(client, send(client, sizeUpdate(1), block(client.get())));
    const most = Math.min(tableSize(client), 4096);
    await answered(client, send(client, sizeUpdate(0), sizeUpdate(most), block(client.get())));
    await alive(client);
  }),
  simple('7541 2.3.2 fields are taken from the dynamic table, the newest first', async (client) => {
    const id = get(
      client,
      literal('x-one', '1', 'incremental'),
      literal('x-two', '2', 'incremental'),
      literal('x-three', '3', 'incremental'),
    );
    await answered(client, id);
    const all = [0, 1, 2].map((i) => indexed(FIRST_DYNAMIC + i));
    await answered(client, get(client, ...all));
    await answered(client, get(client, literal(FIRST_DYNAMIC + 2, 'another')));
    get(client, indexed(FIRST_DYNAMIC + 3));
    await connectionError(client, 'COMPRESSION_ERROR');
  }),
  simple('7541 4.3 a table of 0 bytes is empty', async (client) => {
    await answered(client, get(client, literal('x-one', '1', 'incremental')));
    await answered(client, get(client, indexed(FIRST_DYNAMIC)));
    send(client, sizeUpdate(0), block(client.get()), indexed(FIRST_DYNAMIC));
    await connectionError(client, 'COMPRESSION_ERROR');
  }),
  simple('7541 4.4 a field larger than the table empties it', async (client) => {
    await answered(client, get(client, literal('x-one', '1', 'incremental')));
    const large = literal('x-large', 'y'.repeat(tableSize(client)), 'incremental');
    const response = await client.response(get(client, large));
    if (response.status === 0) throw client.error('a field larger than the table is no error');
    get(client, indexed(FIRST_DYNAMIC));
    await connectionError(client, 'COMPRESSION_ERROR');
  }),
  simple('7541 4.4 the oldest fields leave the table first', async (client) => {
    // Each entry takes 32 and 8 and 60 bytes.
    const count = Math.floor(tableSize(client) / 100);
    const entry = (i: number): Buffer =>
      literal(`x-${String(i).padStart(6, '0')}`, 'v'.repeat(60), 'incremental');
    for (let i = 0; i < count + 10; i += 10) {
      const more = Array.from({ length: 10 }, (_, k) => entry(i + k));
      await answered(client, get(client, ...more));
    }
    await answered(client, get(client, indexed(FIRST_DYNAMIC + count - 1)));
    get(client, indexed(FIRST_DYNAMIC + count));
    await connectionError(client, 'COMPRESSION_ERROR');
  }),
  simple('7541 4.4 the name of a new entry may be that of the one it puts out', async (client) => {
    const room = tableSize(client) - 32 - 5;
    const first = literal('x-one', 'y'.repeat(Math.min(room, 4000)), 'incremental');
    const one = await client.response(get(client, first));
    if (one.status === 0) throw client.error('refused');
    const second = literal(FIRST_DYNAMIC, 'z'.repeat(Math.min(room, 4000)), 'incremental');
    const two = await client.response(get(client, second));
    if (two.status === 0) throw client.error('refused');
    await serves(client);
  }),
  simple('7541 2.2 the table is one for all the streams of a connection', async (client) => {
    const ids = [client.nextId(), client.nextId()];
    const first = Buffer.concat([block(client.post('/drain')), literal('x-a', 'b', 'incremental')]);
    client.send(
      headers(ids[0], first),
      headers(ids[1], Buffer.concat([block(client.get()), indexed(FIRST_DYNAMIC)]), {
        endStream: true,
      }),
      data(ids[0], 'x'),
      headers(ids[0], indexed(FIRST_DYNAMIC), { endStream: true }),
    );
    await Promise.all(ids.map((id) => answered(client, id)));
    await alive(client);
  }),
  simple('7541 4.1 a broken block in trailers is a COMPRESSION_ERROR, too', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(data(id, 'body'), headers(id, indexed(0), { endStream: true }));
    await connectionError(client, 'COMPRESSION_ERROR');
  }),
  simple('7541 4.1 a broken block in CONTINUATION is a COMPRESSION_ERROR, too', async (client) => {
    const id = client.request(client.get(), { endHeaders: false });
    client.send(continuation(id, indexed(0)));
    await connectionError(client, 'COMPRESSION_ERROR');
  }),
];
