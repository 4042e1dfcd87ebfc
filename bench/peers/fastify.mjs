/** fastify on node:http. */

import { nodePeer } from './packages.mjs';

export default nodePeer({ name: 'fastify', title: 'fastify', packages: ['fastify'] });
