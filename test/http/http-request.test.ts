import test from 'ava';
import { FeatureCollection } from '../../lib/features/feature-collection.js';
import {
  HttpConnectionFeature,
  HttpRequestBodyDetectionFeature,
  HttpRequestFeature,
  HttpRequestLifetimeFeature,
  HttpRequestTrailersFeature,
  RouteValuesFeature,
} from '../../lib/features/http-features.js';
import { HeaderMap } from '../../lib/http/header-map.js';
import { HttpContext } from '../../lib/http/http-context.js';
import { coded } from '../support/errors.js';

function requestFeature(changes: Partial<HttpRequestFeature> = {}): HttpRequestFeature {
  return {
    protocol: 'HTTP/1.1',
    scheme: 'http',
    method: 'POST',
    pathBase: '/base',
    path: '/a b',
    queryString: '?x=1&y=2&x=3',
    rawTarget: '/base/a%20b?x=1&y=2&x=3',
    headers: new HeaderMap(),
    body: { async *[Symbol.asyncIterator]() {} },
    ...changes,
  };
}

function contextOf(changes: Partial<HttpRequestFeature> = {}): HttpContext {
  const features = new FeatureCollection();
  features.set(HttpRequestFeature, requestFeature(changes));
  return new HttpContext(features);
}

function withHeaders(headers: Record<string, string>): HttpContext {
  return contextOf({ headers: HeaderMap.fromLines(Object.entries(headers)) });
}

test('tells what the client asked for', (t) => {
  const { request } = contextOf();
  t.is(request.protocol, 'HTTP/1.1');
  t.is(request.scheme, 'http');
  t.is(request.method, 'POST');
  t.is(request.pathBase, '/base');
  t.is(request.path, '/a b');
  t.is(request.queryString, '?x=1&y=2&x=3');
  t.is(request.rawTarget, '/base/a%20b?x=1&y=2&x=3');
  t.is(request.host, '');
  t.is(request.contentType, undefined);
  t.is(request.contentLength, undefined);
  t.deepEqual({ ...request.routeValues }, {});
});

test('parses the query when asked, and again when it was changed', (t) => {
  const { request } = contextOf();
  t.deepEqual(request.query.getAll('x'), ['1', '3']);
  t.is(request.query, request.query);
  request.queryString = '?z=%C3%A9+1';
  t.is(request.query.get('z'), 'é 1');
  t.is(request.query.get('x'), null);
  request.queryString = '';
  t.is([...request.query].length, 0);
});

test('parses cookies: first of a name, quotes off, percent-decoded where possible', (t) => {
  const { request } = withHeaders({
    Cookie: 'a=1; b="two"; a=3; c=%C3%A9; d=%zz; =x; noequals; __proto__=p; e=x=y',
  });
  t.deepEqual(Object.entries(request.cookies), [
    ['a', '1'],
    ['b', 'two'],
    ['c', 'é'],
    ['d', '%zz'],
    ['__proto__', 'p'],
    ['e', 'x=y'],
  ]);
  t.false('toString' in request.cookies);
  t.is(request.cookies, request.cookies);
  t.deepEqual(Object.keys(contextOf().request.cookies), []);
});

test('reads Host, Content-Type and Content-Length from the headers', (t) => {
  const { request } = withHeaders({
    Host: 'h:1',
    'Content-Type': 'text/x',
    'Content-Length': '12',
  });
  t.is(request.host, 'h:1');
  t.is(request.contentType, 'text/x');
  t.is(request.contentLength, 12);
  for (const bad of ['+1', '-1', '1.5', '', '0x1', '99999999999999999999']) {
    t.is(withHeaders({ 'Content-Length': bad }).request.contentLength, undefined, bad);
  }
});

test('what middleware assigns is there for what follows, and in the feature', (t) => {
  const context = contextOf();
  const { request } = context;
  request.method = 'PATCH';
  request.scheme = 'https';
  request.host = 'example.com';
  request.pathBase = '/base/deeper';
  request.path = '';
  t.is(request.method, 'PATCH');
  t.is(request.path, '');
  t.like(context.features.get(HttpRequestFeature), {
    method: 'PATCH',
    scheme: 'https',
    pathBase: '/base/deeper',
    path: '',
  });
  t.is(request.host, 'example.com');
});

test('refuses assignments that make no sense', (t) => {
  const { request } = contextOf();
  t.throws(() => (request.path = 'x'), coded('WH_ERR_INVALID_PATH', TypeError));
  t.throws(() => (request.pathBase = 'x'), coded('WH_ERR_INVALID_PATH', TypeError));
  t.throws(() => (request.pathBase = '/x/'), coded('WH_ERR_INVALID_PATH', TypeError));
  t.throws(() => (request.pathBase = '/'), coded('WH_ERR_INVALID_PATH', TypeError));
  t.throws(() => (request.queryString = 'x'), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(() => (request.method = 'G T'), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  for (const name of ['method', 'scheme', 'host', 'path', 'pathBase', 'queryString'] as const) {
    t.throws(() => ((request as { [key in typeof name]: unknown })[name] = 1), {
      code: 'WH_ERR_INVALID_ARGUMENT',
    });
  }
  t.like(request, { path: '/a b', pathBase: '/base', method: 'POST' });
});

test('a feature that middleware replaced is used from then on', (t) => {
  const context = contextOf();
  const { request } = context;
  t.is(request.path, '/a b');
  context.features.set(HttpRequestFeature, requestFeature({ path: '/other' }));
  t.is(request.path, '/other');
  context.features.set(HttpRequestFeature, undefined);
  t.throws(() => request.path, coded('WH_ERR_FEATURE_MISSING'));
  context.features.set(HttpRequestFeature, requestFeature({ path: '/back' }));
  t.is(request.path, '/back');
});

test('looks a feature up once for an unchanged collection', (t) => {
  let lookups = 0;
  const inner = new FeatureCollection();
  inner.set(HttpRequestFeature, requestFeature());
  const { request } = new HttpContext({
    get revision() {
      return inner.revision;
    },
    get: (token) => {
      lookups++;
      return inner.get(token);
    },
    set: (token, feature) => inner.set(token, feature),
    [Symbol.iterator]: () => inner[Symbol.iterator](),
  });
  for (let i = 0; i < 10; i++) t.is(request.path, '/a b');
  t.is(request.method, 'POST');
  t.is(lookups, 1);
});

test('a server without the request feature is named in the error', (t) => {
  const context = new HttpContext(new FeatureCollection());
  t.throws(() => context.request, {
    code: 'WH_ERR_FEATURE_MISSING',
    message: /HttpRequestFeature/,
  });
});

test('route values come from their feature', (t) => {
  const context = contextOf();
  const { request } = context;
  context.features.set(RouteValuesFeature, { routeValues: { id: '7' } });
  t.is(request.routeValues['id'], '7');
});

test('says whether there can be a body', (t) => {
  t.false(contextOf().request.hasBody);
  t.false(withHeaders({ 'Content-Length': '0' }).request.hasBody);
  t.true(withHeaders({ 'Content-Length': '1' }).request.hasBody);
  t.true(withHeaders({ 'Transfer-Encoding': 'chunked' }).request.hasBody);
  const context = contextOf();
  context.features.set(HttpRequestBodyDetectionFeature, { canHaveBody: true });
  t.true(context.request.hasBody);
});

test('trailers come from their feature', (t) => {
  const context = contextOf();
  t.throws(() => context.request.trailers, coded('WH_ERR_FEATURE_MISSING'));
  const trailers = HeaderMap.fromLines([['Digest', 'x']]);
  context.features.set(HttpRequestTrailersFeature, { available: true, trailers });
  t.is(context.request.trailers.get('digest'), 'x');
});

test('a server that gives no lifetime still has one to the application', (t) => {
  const context = contextOf();
  const signal = context.requestAborted;
  t.false(signal.aborted);
  t.is(context.request.aborted, signal);
  context.abort();
  t.true(signal.aborted);
});

test('abort reaches the server', (t) => {
  const context = contextOf();
  let aborts = 0;
  const requestAborted = new AbortController().signal;
  context.features.set(HttpRequestLifetimeFeature, { requestAborted, abort: () => void aborts++ });
  context.abort();
  t.is(aborts, 1);
  t.is(context.requestAborted, requestAborted);
});

test('tells who is at the ends of the connection, and lets middleware know better', (t) => {
  const context = contextOf();
  context.features.set(HttpConnectionFeature, {
    connectionId: 'C1',
    remoteAddress: '127.0.0.1',
    remotePort: 1234,
    localAddress: '127.0.0.2',
    localPort: 80,
  });
  const { connection } = context;
  t.is(connection, context.connection);
  t.is(connection.id, 'C1');
  t.is(connection.remoteAddress, '127.0.0.1');
  t.is(connection.remotePort, 1234);
  t.is(connection.localAddress, '127.0.0.2');
  t.is(connection.localPort, 80);
  connection.remoteAddress = '10.0.0.1';
  connection.remotePort = 99;
  t.like(context.features.get(HttpConnectionFeature), {
    remoteAddress: '10.0.0.1',
    remotePort: 99,
  });
  t.throws(() => (connection.remotePort = 70_000), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
  t.throws(() => (connection.remoteAddress = 1 as never), coded('WH_ERR_INVALID_ARGUMENT'));
});

test('a server that tells nothing of the connection has an empty one', (t) => {
  const { connection } = contextOf();
  t.is(connection.id, '');
  t.is(connection.remoteAddress, undefined);
  t.is(connection.remotePort, 0);
});

test('requests have a name each, which can be changed', (t) => {
  const first = contextOf();
  t.is(first.traceIdentifier, first.traceIdentifier);
  t.not(first.traceIdentifier, contextOf().traceIdentifier);
  first.traceIdentifier = 'mine';
  t.is(first.traceIdentifier, 'mine');
  t.throws(() => (first.traceIdentifier = 1 as never), coded('WH_ERR_INVALID_ARGUMENT', TypeError));
});

test('items are kept for the request', (t) => {
  const context = contextOf();
  context.items.set('user', 'kestrel');
  t.is(context.items.get('user'), 'kestrel');
  t.is(contextOf().items.size, 0);
});
