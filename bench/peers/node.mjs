/** node:http, of the Node that runs the harness. */

import { appFile, everyRoute, nodePeer } from './packages.mjs';

export default nodePeer({
  name: 'node',
  title: 'node:http',
  packages: [],
  can: [...everyRoute, 'file', 'refuse'],
  version: async () => process.versions.node,
  command: ({ port }) => ({ file: process.execPath, args: [appFile('node-http'), String(port)] }),
});
