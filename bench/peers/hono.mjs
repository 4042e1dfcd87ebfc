/** hono on its adapter for node:http. */

import { nodePeer } from './packages.mjs';

export default nodePeer({
  name: 'hono',
  title: 'hono (node)',
  packages: ['@hono/node-server', 'hono'],
});
