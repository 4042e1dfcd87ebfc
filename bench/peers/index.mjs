/** Every server, in the order of tables; windhover first. A new file is added here. */

import bun from './bun.mjs';
import deno from './deno.mjs';
import fastify from './fastify.mjs';
import h2o from './h2o.mjs';
import hono from './hono.mjs';
import hyperExpress from './hyper-express.mjs';
import kestrel from './kestrel.mjs';
import nginx from './nginx.mjs';
import node from './node.mjs';
import uws from './uws.mjs';
import windhover from './windhover.mjs';

/** @type {import('../types.mjs').Peer[]} */
export const peers = [
  windhover,
  uws,
  bun,
  deno,
  kestrel,
  nginx,
  h2o,
  hyperExpress,
  node,
  hono,
  fastify,
];
