/** The same small answer under different connections: lone, busy, many, pipelined, short-lived. */

import { hello } from '../peers/apps/shared.mjs';

const request = { method: 'GET', path: '/plaintext' };
const expect = { status: 200, body: hello, keepAlive: true };

/** @type {import('../types.mjs').Scenario[]} */
export default [
  {
    name: 'plaintext-c1',
    title: 'Plain text, 1 connection',
    kind: 'load',
    route: 'hello',
    request,
    expect,
    load: { connections: 1 },
    metrics: ['p50', 'cpu'],
  },
  {
    name: 'plaintext',
    title: 'Plain text, 64 connections',
    kind: 'load',
    route: 'hello',
    request,
    expect,
    load: { connections: 64 },
    metrics: ['cpu'],
  },
  {
    name: 'plaintext-c512',
    title: 'Plain text, 512 connections',
    kind: 'load',
    route: 'hello',
    request,
    expect,
    load: { connections: 512 },
    metrics: ['cpu'],
  },
  {
    name: 'pipelined',
    title: 'Plain text, pipelined ×16',
    kind: 'load',
    route: 'hello',
    request,
    expect,
    load: { connections: 64, pipeline: 16 },
    metrics: ['cpu'],
  },
  {
    name: 'churn',
    title: 'One request per connection',
    kind: 'load',
    route: 'hello',
    request: { ...request, headers: { Connection: 'close' } },
    expect: { ...expect, keepAlive: false },
    load: { connections: 64 },
    metrics: ['cpu'],
  },
  {
    name: 'refused',
    title: 'Malformed request, answered 400',
    kind: 'load',
    route: 'hello',
    trait: 'refuse',
    // A space in a field name is invalid (RFC 9112, section 5.1).
    request: { ...request, malformedLine: 'Bad Name: value' },
    expect: { status: 400, keepAlive: false },
    load: { connections: 64 },
    metrics: ['cpu'],
  },
  {
    name: 'idle-memory',
    title: '10,000 idle connections',
    kind: 'idle-memory',
    route: 'hello',
    request,
    expect,
    connections: 10_000,
    metrics: ['bytes'],
  },
];
