/** HTTP/1.1 over TLS: connections that stay, and connections that come, full and resumed. */

import { hello } from '../peers/apps/shared.mjs';

const request = { method: 'GET', path: '/plaintext' };
const once = { ...request, headers: { Connection: 'close' } };
const expect = { status: 200, body: hello, keepAlive: true };
/** Few, because the first handshake of each is a full one where resumed ones are counted. */
const load = { connections: 16 };

/** @type {import('../types.mjs').Scenario[]} */
export default [
  {
    name: 'https',
    title: 'HTTPS/1.1, 64 connections',
    kind: 'load',
    route: 'hello',
    protocol: 'https',
    request,
    expect,
    load: { connections: 64 },
    metrics: ['cpu'],
  },
  {
    name: 'handshake-full',
    title: 'TLS handshake, full, one GET',
    kind: 'load',
    route: 'hello',
    protocol: 'https',
    handshake: 'full',
    request: once,
    expect: { ...expect, keepAlive: false },
    load,
    metrics: ['cpu'],
  },
  {
    name: 'handshake-resumed',
    title: 'TLS handshake, resumed, one GET',
    kind: 'load',
    route: 'hello',
    protocol: 'https',
    handshake: 'resumed',
    request: once,
    expect: { ...expect, keepAlive: false },
    load,
    metrics: ['cpu'],
  },
];
