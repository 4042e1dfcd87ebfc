import test from 'ava';
import { serve } from '../../lib/hosting/serve.js';
import { coded } from '../support/errors.js';

const LOOPBACK = 'http://127.0.0.1:0';

test('serves one function on the URLs and the endpoints', async (t) => {
  const running = await serve(
    { urls: [LOOPBACK, LOOPBACK], endpoints: [{ host: '127.0.0.1', port: 0 }] },
    ({ request, response }) => response.text(request.path),
  );
  t.teardown(() => running.stop());
  t.is(new Set(running.addresses).size, 3);
  for (const address of running.addresses) {
    t.regex(address, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    t.is(await (await fetch(`${address}/x`)).text(), '/x');
  }
});

test('a failure answers 500 and is reported; the server goes on', async (t) => {
  const reported: unknown[] = [];
  const running = await serve(
    { urls: LOOPBACK, onError: (error) => reported.push(error) },
    async ({ request, response }) => {
      await Promise.resolve();
      if (request.path === '/boom') throw new Error('boom');
      return response.text('fine');
    },
  );
  t.teardown(() => running.stop());
  t.is((await fetch(`${running.addresses[0]}/boom`)).status, 500);
  t.is((reported[0] as Error).message, 'boom');
  t.is(await (await fetch(running.addresses[0])).text(), 'fine');
});

test('passes the options on to the server', async (t) => {
  const running = await serve({ urls: LOOPBACK, addServerHeader: false }, () => undefined);
  t.teardown(() => running.stop());
  t.is((await fetch(running.addresses[0])).headers.get('server'), null);
});

test('nobody answers after the stop, which can be asked for twice', async (t) => {
  const running = await serve({ urls: LOOPBACK }, () => undefined);
  const [address] = running.addresses;
  await Promise.all([running.stop(), running.stop()]);
  await running.stop();
  await t.throwsAsync(fetch(address));
});

test('what is wrong with the arguments is a rejection, and nothing listens', async (t) => {
  const nothing = (): void => undefined;
  const expected = coded('WH_ERR_INVALID_ARGUMENT', TypeError);
  await t.throwsAsync(serve(undefined as never, nothing), expected);
  await t.throwsAsync(serve({ urls: 1 as never }, nothing), expected);
  await t.throwsAsync(serve({ urls: [1 as never] }, nothing), expected);
  await t.throwsAsync(serve({ urls: LOOPBACK }, undefined as never), expected);
  await t.throwsAsync(serve({ urls: LOOPBACK, onError: 1 as never }, nothing), expected);
});
