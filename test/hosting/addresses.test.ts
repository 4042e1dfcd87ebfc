import test from 'ava';
import type { AddressSources } from '../../lib/hosting/addresses.js';
import { chooseEndpoints } from '../../lib/hosting/addresses.js';
import { readArgument, resolveEnvironment } from '../../lib/hosting/host-environment.js';
import { coded } from '../support/errors.js';

/** What is chosen where only these say something. */
function choose(sources: Partial<AddressSources>): unknown[] {
  const all = { endpoints: [], urls: [], args: [], variables: {}, ...sources };
  return chooseEndpoints(all).endpoints.map((e) => ('url' in e ? e.url : e));
}

test('endpoints win over urls, --urls, WINDHOVER_URLS, PORT and the default, in that order', (t) => {
  const endpoint = { host: '127.0.0.1', port: 0 };
  const all = {
    endpoints: [endpoint],
    urls: ['http://a:1'],
    args: ['--urls', 'http://b:1;http://b:2'],
    variables: { WINDHOVER_URLS: ' http://c:1 ; http://c:2;', PORT: '8080' },
  };
  t.deepEqual(choose(all), [endpoint]);
  t.deepEqual(choose({ ...all, endpoints: [] }), ['http://a:1']);
  t.deepEqual(choose({ ...all, endpoints: [], urls: [] }), ['http://b:1', 'http://b:2']);
  t.deepEqual(choose({ variables: all.variables }), ['http://c:1', 'http://c:2']);
  t.deepEqual(choose({ variables: { PORT: '8080' } }), ['http://*:8080']);
  t.deepEqual(choose({}), ['http://localhost:5000']);
});

test('what is set to nothing is not set', (t) => {
  t.deepEqual(choose({ variables: { WINDHOVER_URLS: '', PORT: '' }, args: ['--urls='] }), [
    'http://localhost:5000',
  ]);
});

test('says which URLs yield to endpoints; the environment’s go without a word', (t) => {
  const chosen = chooseEndpoints({
    endpoints: [{ port: 1 }],
    urls: ['http://a:1'],
    args: ['--urls=http://b:1'],
    variables: { WINDHOVER_URLS: 'http://c:1' },
  });
  t.deepEqual(chosen.ignoredUrls, ['http://a:1', 'http://b:1']);
});

test('refuses a PORT that is none', (t) => {
  for (const PORT of ['x', '-1', '65536', '1.5', ' 80', '0x50']) {
    t.throws(() => choose({ variables: { PORT } }), coded('WH_ERR_INVALID_PORT', RangeError), PORT);
  }
  t.deepEqual(choose({ variables: { PORT: '0' } }), ['http://*:0']);
  t.deepEqual(choose({ variables: { PORT: 'x', WINDHOVER_URLS: 'http://a:1' } }), ['http://a:1']);
});

test('reads command-line options in both spellings, the last one counts', (t) => {
  t.is(readArgument(['--urls', 'a'], 'urls'), 'a');
  t.is(readArgument(['--URLS=a=b'], 'urls'), 'a=b');
  t.is(readArgument(['--urls=a', '--urls', 'b'], 'urls'), 'b');
  t.is(readArgument(['--urls'], 'urls'), undefined);
  t.is(readArgument(['urls', 'a', '--urlsx=1'], 'urls'), undefined);
});

test('the environment is named by the option, the command line, or a variable', (t) => {
  const name = (choice: object, variables: object): string =>
    resolveEnvironment(choice, variables as Record<string, string>).environmentName;
  const variables = { WINDHOVER_ENVIRONMENT: 'Staging', NODE_ENV: 'test' };
  t.is(name({ environment: 'Mine', args: ['--environment', 'Line'] }, variables), 'Mine');
  t.is(name({ args: ['--environment', 'Line'] }, variables), 'Line');
  t.is(name({}, variables), 'Staging');
  t.is(name({}, { NODE_ENV: 'test', WINDHOVER_ENVIRONMENT: '' }), 'test');
  t.is(name({}, {}), 'Production');
  t.throws(() => name({ environment: 1 }, {}), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
});

test('development is known in any case of letters', (t) => {
  for (const environment of ['development', 'Development', 'DEVELOPMENT']) {
    t.true(resolveEnvironment({ environment }, {}).isDevelopment);
  }
  for (const environment of ['dev', 'Production', 'developments']) {
    t.false(resolveEnvironment({ environment }, {}).isDevelopment);
  }
});

test('the content root is absolute', (t) => {
  t.is(resolveEnvironment({}, {}).contentRoot, process.cwd());
  t.is(resolveEnvironment({ contentRoot: '/srv/app' }, {}).contentRoot, '/srv/app');
  t.is(resolveEnvironment({ args: ['--contentRoot', '/x'] }, {}).contentRoot, '/x');
});
