/** RFC 9113 section 8: requests, those that are malformed (8.1.1), and what becomes of them. */
import type { Case } from '../../../support/h2/case.js';
import { simple } from '../../../support/h2/case.js';
import type { H2Client } from '../../../support/h2-client.js';
import { data, headers } from '../../../support/h2/frames.js';
import type { Field } from '../../../support/h2/hpack.js';
import { block } from '../../../support/h2/hpack.js';
import { alive, answered, malformed, serves } from '../../../support/h2/verdicts.js';

type Row = readonly [what: string, fields: (client: H2Client) => Field[]];

/** A GET with one field more. */
function extra(what: string, name: string, value: string): Row {
  return [what, (client) => client.get('/', [[name, value]])];
}

/** A GET with the pseudo-field of a name replaced, or left out. */
function instead(what: string, name: string, value: string | undefined): Row {
  return [
    what,
    (client) =>
      client.get().flatMap((field): Field[] => {
        if (field[0] !== name) return [field];
        return value === undefined ? [] : [[name, value]];
      }),
  ];
}

/** Requests that every server must refuse. */
const MALFORMED: readonly Row[] = [
  extra('8.2.1 a field name in upper case', 'X-TEST', 'ok'),
  extra('8.2.1 a field name with one capital', 'x-tEst', 'ok'),
  extra('8.2.1 a field name with a blank', 'x test', 'ok'),
  extra('8.2.1 a field name with a control character', 'x\x01test', 'ok'),
  extra('8.2.1 a field name with NUL', 'x\0test', 'ok'),
  extra('8.2.1 a field name with DEL', 'x\x7ftest', 'ok'),
  extra('8.2.1 a field name that is not ASCII', 'x-t\xe9st', 'ok'),
  extra('8.2.1 a field name with a colon within', 'x:test', 'ok'),
  extra('8.2.1 an empty field name', '', 'ok'),
  extra('8.2.1 a field value with NUL', 'x-test', 'a\0b'),
  extra('8.2.1 a field value with CR', 'x-test', 'a\rb'),
  extra('8.2.1 a field value with LF', 'x-test', 'a\nb'),
  extra('8.2.1 a field value with a line of its own', 'x-test', 'a\r\nhost: b'),
  extra('8.2.2 connection', 'connection', 'keep-alive'),
  extra('8.2.2 connection that names a field', 'connection', 'x-hop'),
  extra('8.2.2 keep-alive', 'keep-alive', 'timeout=5'),
  extra('8.2.2 proxy-connection', 'proxy-connection', 'keep-alive'),
  extra('8.2.2 transfer-encoding', 'transfer-encoding', 'chunked'),
  extra('8.2.2 upgrade', 'upgrade', 'websocket'),
  extra('8.2.2 te with something else than trailers', 'te', 'gzip'),
  extra('8.2.2 te with trailers and something else', 'te', 'trailers, deflate;q=0.5'),
  [
    '8.3 a pseudo-field behind a field',
    (client) => [...client.get().slice(0, 3), ['x-test', 'ok'], [':authority', client.authority]],
  ],
  extra('8.3 an unknown pseudo-field', ':test', 'ok'),
  extra('8.3 a pseudo-field of answers', ':status', '200'),
  ['8.3 an unknown pseudo-field before others', (client) => [[':test', 'ok'], ...client.get()]],
  [
    '8.3 a pseudo-field of answers before others',
    (client) => [[':status', '200'], ...client.get()],
  ],
  ...([':method', ':scheme', ':path', ':authority'] as const).map((name): Row => [
    `8.3.1 ${name} twice`,
    (client) => client.get().flatMap((field) => (field[0] === name ? [field, field] : [field])),
  ]),
  instead('8.3.1 no :method', ':method', undefined),
  instead('8.3.1 no :scheme', ':scheme', undefined),
  instead('8.3.1 no :path', ':path', undefined),
  instead('8.3.1 an empty :path', ':path', ''),
  instead('8.3.1 a :path without a slash', ':path', 'index'),
  instead('8.3.1 a :path of * for something else than OPTIONS', ':path', '*'),
  ['8.3 no pseudo-field at all', () => [['host', 'localhost']]],
  extra('8.1.1 a content-length that is none', 'content-length', 'a'),
  extra('8.1.1 a negative content-length', 'content-length', '-1'),
  extra('8.1.1 a content-length and no body', 'content-length', '5'),
  [
    '8.1.1 two different lengths',
    (client) =>
      client.get('/', [
        ['content-length', '0'],
        ['content-length', '5'],
      ]),
  ],
];

/** Requests that windhover refuses, and a server need not. */
const REFUSED_HERE: readonly Row[] = [
  ...['(', ')', ',', '/', ';', '<', '=', '>', '?', '@', '[', '\\', ']', '{', '}', '"'].map((sign) =>
    extra(`9110 5.6.2 a field name with ${sign}`, `x${sign}test`, 'ok'),
  ),
  extra('8.2.1 a field value with a blank before it', 'x-test', ' ok'),
  extra('8.2.1 a field value with a blank behind it', 'x-test', 'ok '),
  extra('8.2.1 a field value with a tab before it', 'x-test', '\tok'),
  extra('8.2.1 a field value with a tab behind it', 'x-test', 'ok\t'),
  extra('9110 5.5 a field value with a control character', 'x-test', 'a\x01b'),
  extra('9110 5.5 a field value with DEL', 'x-test', 'a\x7fb'),
  instead('8.3.1 an empty :method', ':method', ''),
  instead('9110 9.1 a :method that is no token', ':method', 'G(T'),
  instead('9110 9.1 a :method with a blank', ':method', 'GET /'),
  instead('8.3.1 an empty :scheme', ':scheme', ''),
  instead('8.3.1 a :scheme that is none', ':scheme', 'ht tp'),
  instead('8.3.1 a :path with a blank', ':path', '/a b'),
  instead('8.3.1 a :path with a control character', ':path', '/a\x01b'),
  instead('8.3.1 a :path with a fragment', ':path', '/a#b'),
  instead('8.3.1 an :authority with userinfo', ':authority', 'user@localhost'),
  instead('8.3.1 an :authority with a path', ':authority', 'localhost/a'),
  instead('8.3.1 an :authority with a blank', ':authority', 'local host'),
  instead('8.3.1 an :authority with a port that is none', ':authority', 'localhost:port'),
  [
    '8.3.1 host twice',
    (client) =>
      client.get('/', [
        ['host', client.authority],
        ['host', client.authority],
      ]),
  ],
  extra('8.1.1 a content-length with a sign', 'content-length', '+0'),
  extra('8.1.1 a content-length with a blank', 'content-length', '0 0'),
  extra('8.1.1 an empty content-length', 'content-length', ''),
  extra('8.1.1 a content-length larger than any', 'content-length', '99999999999999999999'),
  ['8.5 CONNECT without :authority', () => [[':method', 'CONNECT']]],
  ['8.5 CONNECT with :path and :scheme', (client) => client.fields('CONNECT')],
];

/** Requests that are good, strange as they look. */
const GOOD: readonly Row[] = [
  extra('8.2.2 te with trailers', 'te', 'trailers'),
  extra('a field name of odd characters', "!#$%&'*+-.^_`|~09az", 'ok'),
  extra('an empty field value', 'x-test', ''),
  extra('a field value with a tab and blanks within', 'x-test', 'a \t b'),
  extra('a field value in UTF-8', 'x-test', 'gr\xc3\xbc\xc3\x9fe'),
  extra('8.1.1 a content-length of 0 and no body', 'content-length', '0'),
  ['8.3 pseudo-fields in another order', (client) => client.get().reverse()],
  [
    '8.3.1 host in place of :authority',
    (client) => [...client.get().slice(0, 3), ['host', client.authority]],
  ],
  [
    '8.3.1 host beside the same :authority',
    (client) => client.get('/', [['host', client.authority]]),
  ],
  ['8.3.1 a :path with a query', (client) => client.get('/?a=b&c=%20')],
  [
    '8.2.3 cookies in crumbs',
    (client) =>
      client.get('/', [
        ['cookie', 'a=b'],
        ['cookie', 'c=d'],
      ]),
  ],
  [
    'a field that comes often',
    (client) =>
      client.get(
        '/',
        Array.from({ length: 30 }, (): Field => ['x-often', 'yes']),
      ),
  ],
];

/** Trailers that are malformed. */
const BAD_TRAILERS: readonly (readonly [what: string, field: Field])[] = [
  ['8.1 a pseudo-field of requests', [':method', 'GET']],
  ['8.1 a pseudo-field of answers', [':status', '200']],
  ['8.1 an unknown pseudo-field', [':test', 'ok']],
  ['8.2.1 a name in upper case', ['X-Trailer', 'ok']],
  ['8.2.1 a value with LF', ['x-trailer', 'a\nb']],
  ['8.2.2 connection', ['connection', 'close']],
  ['8.2.2 transfer-encoding', ['transfer-encoding', 'chunked']],
];

export const requests: readonly Case[] = [
  ...MALFORMED.map(([what, fields]) =>
    simple(`${what} is malformed`, async (client) => {
      await malformed(client, client.request(fields(client)));
      if (client.strict) await serves(client);
    }),
  ),
  ...REFUSED_HERE.map(([what, fields]) =>
    simple(
      `${what} is malformed`,
      async (client) => {
        await malformed(client, client.request(fields(client)));
        await serves(client);
      },
      ['application'],
    ),
  ),
  ...GOOD.map(([what, fields]) =>
    simple(`${what} is well-formed`, async (client) => {
      await answered(client, client.request(fields(client)));
      await alive(client);
    }),
  ),
  ...BAD_TRAILERS.map(([what, field]) =>
    simple(`${what} in trailers is malformed`, async (client) => {
      const id = client.request(client.post('/drain'), { endStream: false });
      client.send(data(id, 'body'), headers(id, block([field]), { endStream: true }));
      await malformed(client, id);
      if (client.strict) await serves(client);
    }),
  ),
  simple('8.1 GET is answered with a head and a body', async (client) => {
    const { status, body } = await answered(client, client.request(client.get()));
    if (status !== 200 || body.length === 0) throw client.error(String(status));
  }),
  simple('8.1 HEAD is answered without a body', async (client) => {
    const { status, body } = await answered(client, client.request(client.fields('HEAD')));
    if (status !== 200 || body.length > 0) throw client.error(`${String(body.length)} bytes`);
  }),
  simple('8.1 POST is answered, and one with trailers', async (client) => {
    const one = client.request(client.post(), { endStream: false });
    client.send(data(one, 'body', { endStream: true }));
    await answered(client, one);
    const two = client.request(client.post(), { endStream: false });
    client.send(data(two, 'body'), headers(two, block([['x-trailer', 'ok']]), { endStream: true }));
    await answered(client, two);
    const three = client.request(client.post(), { endStream: false });
    client.send(headers(three, block([['x-trailer', 'ok']]), { endStream: true }));
    await answered(client, three);
    await alive(client);
  }),
  simple('8.3.1 OPTIONS of * is well-formed', async (client) => {
    const { status } = await client.fetch(client.fields('OPTIONS', '*'));
    if (client.strict ? status !== 200 : status === 0) throw client.error(String(status));
    await alive(client);
  }),
  simple('8.1 a second HEADERS without END_STREAM is malformed', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(headers(id, block([['x-trailer', 'ok']])));
    await malformed(client, id);
  }),
  simple('8.1 a second HEADERS without END_STREAM behind DATA is malformed', async (client) => {
    const id = client.request(client.post('/drain'), { endStream: false });
    client.send(data(id, 'body'), headers(id, block([['x-trailer', 'ok']])));
    client.send(data(id, 'more', { endStream: true }));
    await malformed(client, id);
  }),
  ...(
    [
      ['less', '5', ['four']],
      ['more', '3', ['four']],
      ['more, in two frames,', '5', ['four', 'four']],
      ['less, in two frames,', '9', ['four', 'four']],
      ['nothing', '1', ['']],
      ['something instead of nothing', '0', ['x']],
    ] as const
  ).map(([what, length, parts]) =>
    simple(`8.1.1 a body of ${what} than its content-length says is malformed`, async (client) => {
      const fields = client.post('/drain', [['content-length', length]]);
      const id = client.request(fields, { endStream: false });
      client.send(...parts.map((part, i) => data(id, part, { endStream: i === parts.length - 1 })));
      await malformed(client, id);
      if (client.strict) await serves(client);
    }),
  ),
  simple('8.1.1 the length of a body that trailers end counts, too', async (client) => {
    const fields = client.post('/drain', [['content-length', '5']]);
    const id = client.request(fields, { endStream: false });
    client.send(data(id, 'four'), headers(id, block([['x-trailer', 'ok']]), { endStream: true }));
    await malformed(client, id);
  }),
  simple('8.1.1 a body as long as its content-length says is well-formed', async (client) => {
    const fields = client.post('/', [['content-length', '8']]);
    const id = client.request(fields, { endStream: false });
    client.send(data(id, 'four', { padding: 3 }), data(id, 'four'));
    client.send(data(id, '', { endStream: true }));
    await answered(client, id);
    await alive(client);
  }),
  simple(
    '8.3.1 :scheme has to be that of the connection',
    async (client) => {
      const other = client.scheme === 'http' ? 'https' : 'http';
      const fields = client.get().map((field): Field => {
        return field[0] === ':scheme' ? [':scheme', other] : field;
      });
      await malformed(client, client.request(fields));
      await serves(client);
    },
    ['application'],
  ),
];
