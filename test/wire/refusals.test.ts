/** What requests that are refused are answered with, by the option `refusals`. */
import test from 'ava';
import { WindhoverServer } from '../../lib/server/windhover-server.js';
import type { Refusal } from '../../lib/server/options.js';
import { startServer } from '../support/wire-server.js';

const BAD_HEADER = 'GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n';

test('a refusal has no body by default', async (t) => {
  const { once } = await startServer(t, ({ response }) => response.text('never'));
  const { status, head, body } = await once(BAD_HEADER);
  t.is(status, 400);
  t.is(body.toString(), '');
  t.regex(head, /\r\nContent-Length: 0\r\n/);
  t.regex(head, /\r\nConnection: close\r\n/);
});

test('TLS on a cleartext port is told what is wrong', async (t) => {
  const { once } = await startServer(t, ({ response }) => response.text('never'));
  const { status, body } = await once(Uint8Array.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]));
  t.is(status, 400);
  t.regex(body.toString(), /without TLS/);
});

test('a refusal as text', async (t) => {
  const { once } = await startServer(t, ({ response }) => response.text('never'), {
    refusals: 'text',
  });
  const { status, head, body } = await once(BAD_HEADER);
  t.is(status, 400);
  t.is(body.toString(), '400 Bad Request: A header field is not valid.\n');
  t.regex(head, /\r\nContent-Type: text\/plain; charset=utf-8\r\n/);
});

test('a refusal as a problem document', async (t) => {
  const { once } = await startServer(t, ({ response }) => response.text('never'), {
    refusals: 'problem',
    limits: { maxRequestHeaderCount: 2 },
  });
  const { status, head, body } = await once('GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n');
  t.is(status, 431);
  t.regex(head, /\r\nContent-Type: application\/problem\+json\r\n/);
  t.deepEqual(JSON.parse(body.toString()), {
    type: 'about:blank',
    title: 'Request Header Fields Too Large',
    status: 431,
    detail: 'There are too many header fields.',
    reason: 'tooManyHeaders',
  });
});

test('a hook makes the answers, once for each reason and not for each request', async (t) => {
  const seen: Refusal[] = [];
  const { connect } = await startServer(t, ({ response }) => response.text('never'), {
    refusals: (refusal) => {
      seen.push(refusal);
      if (refusal.status !== 400) return undefined;
      return { headers: { 'X-Reason': refusal.reason }, body: 'Größe' };
    },
  });
  const reasons = seen.map(({ reason }) => reason);
  t.is(new Set(reasons).size, reasons.length);
  t.true(reasons.includes('requestHeadersTimeout'));
  for (let i = 0; i < 2; i++) {
    const client = await connect();
    void client.write(BAD_HEADER);
    const { status, head, body } = await client.answer();
    t.is(status, 400);
    t.regex(head, /\r\nX-Reason: invalidRequestHeader\r\n/);
    t.is(body.toString(), 'Größe');
    await client.closed;
  }
  const other = await connect();
  void other.write('GET / HTTP/3.0\r\n\r\n');
  const { status, body } = await other.answer();
  t.is(status, 505);
  t.is(body.length, 0);
  t.is(seen.length, reasons.length);
});

test('a refused HEAD has no body', async (t) => {
  const { connect } = await startServer(t, ({ response }) => response.text('never'), {
    refusals: 'text',
  });
  const client = await connect();
  void client.write(BAD_HEADER.replace('GET', 'HEAD'));
  const { status, head, body } = await client.answer('HEAD');
  t.is(status, 400);
  t.regex(head, /\r\nContent-Length: [1-9]/);
  t.is(body.length, 0);
  await client.closed;
  t.is((await client.rest()).length, 0);
});

test('what cannot be an answer fails when the server is made, with the reason', (t) => {
  const make = (refusals: unknown) => () => new WindhoverServer({ refusals: refusals as never });
  const coded = (message: RegExp) => ({ code: 'WH_ERR_INVALID_OPTION', message });
  t.throws(make('loud'), coded(/'refusals' must be 'empty', 'text'.*not loud/));
  t.throws(make(7), coded(/'refusals'/));
  t.throws(
    make(() => 7),
    coded(/'invalidRequestLine' must be an object/),
  );
  t.throws(
    make(() => ({ body: 7 })),
    coded(/body of .*'invalidRequestLine'/),
  );
  t.throws(
    make(() => ({ headers: { 'content-length': '3' } })),
    coded(/cannot set content-length/),
  );
  t.throws(
    make(() => ({ headers: { 'X-Y': 'a\r\nb' } })),
    { code: 'WH_ERR_INVALID_HEADER_VALUE' },
  );
  t.throws(
    make(() => {
      throw new Error('mine');
    }),
    { message: 'mine' },
  );
});
