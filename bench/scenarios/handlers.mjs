/** Handlers that do something: make an object, read the request, wait. */

import { jsonText, hello } from '../peers/apps/shared.mjs';

/** Four headers that an API's handler reads. */
const headers = {
  'User-Agent': 'windhover-bench/1.0 (load harness)',
  Accept: 'application/json, text/plain;q=0.9, */*;q=0.8',
  Authorization: 'Bearer 4f0c1a7e9b2d46f3a85c0d1e2f3a4b5c',
  'X-Request-Id': '7b1f2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d',
};
const headerLength = Object.values(headers).join('').length;

const user = {
  request: { method: 'GET', path: '/users/4217', headers },
  expect: { status: 200, body: `4217 ${headerLength}`, keepAlive: true },
};
const later = {
  request: { method: 'GET', path: '/async' },
  expect: { status: 200, body: hello, keepAlive: true },
};

/** @type {import('../types.mjs').Scenario[]} */
export default [
  {
    name: 'json',
    title: 'JSON, an object per request',
    kind: 'load',
    route: 'json',
    request: { method: 'GET', path: '/json' },
    expect: { status: 200, body: jsonText, keepAlive: true },
    load: { connections: 64 },
    metrics: ['cpu'],
  },
  {
    name: 'params-headers',
    title: 'Route parameter + 4 headers',
    kind: 'load',
    route: 'user',
    ...user,
    load: { connections: 64 },
    metrics: ['cpu'],
  },
  {
    name: 'params-headers-pipelined',
    title: 'Parameter + 4 headers, ×16',
    kind: 'load',
    route: 'user',
    ...user,
    load: { connections: 64, pipeline: 16 },
    metrics: ['cpu'],
  },
  {
    name: 'async',
    title: 'Async, two awaiting middlewares',
    kind: 'load',
    route: 'async',
    ...later,
    load: { connections: 64 },
    metrics: ['cpu'],
  },
  {
    name: 'async-pipelined',
    title: 'Async, pipelined ×16',
    kind: 'load',
    route: 'async',
    ...later,
    load: { connections: 64, pipeline: 16 },
    metrics: ['cpu'],
  },
];
