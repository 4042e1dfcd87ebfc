/** HTTP/2: over TLS and in cleartext, small answers, large ones, uploads, and a call with trailers. */

import { hello, jsonText, largeBytes, unary } from '../peers/apps/shared.mjs';

const get = { method: 'GET', path: '/plaintext' };
const expect = { status: 200, body: hello, keepAlive: true };
const load = { connections: 8, streams: 32 };
/** Fewer for large bodies: what is under way when a slice ends was paid for and is not counted. */
const largeLoad = { connections: 8, streams: 4 };
const megabyte = 1024 * 1024;

/** @type {import('../types.mjs').Scenario[]} */
export default [
  {
    name: 'h2',
    title: 'HTTP/2 over TLS, 8 × 32',
    kind: 'load',
    route: 'hello',
    protocol: 'h2',
    request: get,
    expect,
    load,
    metrics: ['cpu'],
  },
  {
    name: 'h2-json',
    title: 'HTTP/2 over TLS, JSON, 8 × 32',
    kind: 'load',
    route: 'json',
    protocol: 'h2',
    request: { method: 'GET', path: '/json' },
    expect: { ...expect, body: jsonText },
    load,
    metrics: ['cpu'],
  },
  {
    name: 'h2c',
    title: 'HTTP/2 in cleartext, 8 × 32',
    kind: 'load',
    route: 'hello',
    protocol: 'h2c',
    request: get,
    expect,
    load,
    metrics: ['cpu'],
  },
  {
    name: 'h2-unary',
    title: 'HTTP/2, gRPC-like call, 8 × 32',
    kind: 'load',
    route: 'unary',
    protocol: 'h2',
    request: {
      method: 'POST',
      path: unary.path,
      headers: { 'Content-Type': unary.type, TE: 'trailers' },
      body: unary.request,
    },
    expect: { ...expect, body: unary.answer, trailers: { 'grpc-status': '0' } },
    load,
    metrics: ['cpu'],
  },
  {
    name: 'h2-response-100k',
    title: 'HTTP/2, response of 100 kB, 8 × 4',
    kind: 'load',
    route: 'large',
    protocol: 'h2',
    request: { method: 'GET', path: '/large' },
    expect: { status: 200, bodyBytes: largeBytes, keepAlive: true },
    load: largeLoad,
    metrics: ['cpu'],
  },
  {
    name: 'h2-upload',
    title: 'HTTP/2, POST 1 MB, 8 × 4',
    kind: 'load',
    route: 'upload',
    protocol: 'h2',
    request: {
      method: 'POST',
      path: '/upload',
      headers: { 'Content-Type': 'application/octet-stream' },
      bodyBytes: megabyte,
    },
    expect: { ...expect, body: String(megabyte) },
    load: largeLoad,
    metrics: ['cpu'],
  },
];
