/** node:http, of the Node that runs the harness. */

import { appFile, nodePeer } from './packages.mjs';

export default nodePeer({
  name: 'node',
  title: 'node:http',
  packages: [],
  version: async () => process.versions.node,
  command: ({ port }) => ({ file: process.execPath, args: [appFile('node-http'), String(port)] }),
});
