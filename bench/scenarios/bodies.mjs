/** Bodies that come and go. */

import { fileSizes } from '../peers/apps/files.mjs';
import { largeBytes } from '../peers/apps/shared.mjs';

const headers = { 'Content-Type': 'application/octet-stream' };
const kilobyte = 1024;
const megabyte = 1024 * 1024;

/** @type {import('../types.mjs').Scenario[]} */
export default [
  {
    name: 'post',
    title: 'POST 1 kB, echoed',
    kind: 'load',
    route: 'echo',
    request: { method: 'POST', path: '/echo', headers, bodyBytes: kilobyte },
    expect: { status: 200, body: 'x'.repeat(kilobyte), keepAlive: true },
    load: { connections: 64 },
    metrics: ['cpu'],
  },
  {
    name: 'upload',
    title: 'POST 1 MB, counted',
    kind: 'load',
    route: 'upload',
    request: { method: 'POST', path: '/upload', headers, bodyBytes: megabyte },
    expect: { status: 200, body: String(megabyte), keepAlive: true },
    load: { connections: 8 },
    metrics: ['cpu'],
  },
  {
    name: 'response-100k',
    title: 'Response of 100 kB',
    kind: 'load',
    route: 'large',
    request: { method: 'GET', path: '/large' },
    expect: { status: 200, bodyBytes: largeBytes, keepAlive: true },
    load: { connections: 64 },
    metrics: ['cpu'],
  },
  {
    name: 'file-8m',
    title: 'File of 8 MB',
    kind: 'load',
    route: 'file',
    request: { method: 'GET', path: '/file/large' },
    expect: { status: 200, bodyBytes: fileSizes.large, keepAlive: true },
    load: { connections: 4 },
    metrics: ['cpu'],
  },
  {
    name: 'file-4k',
    title: 'File of 4 kB',
    kind: 'load',
    route: 'file',
    request: { method: 'GET', path: '/file/small' },
    expect: { status: 200, bodyBytes: fileSizes.small, keepAlive: true },
    load: { connections: 64 },
    metrics: ['cpu'],
  },
];
