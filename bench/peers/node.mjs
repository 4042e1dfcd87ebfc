/** node:http and node:http2, of the Node that runs the harness. */

import { isHttp2 } from '../harness/tls.mjs';
import { appArguments, appFile, everyRoute, nodePeer } from './packages.mjs';

export default nodePeer({
  name: 'node',
  title: 'node:http',
  titleOf: ({ protocol }) => (protocol === undefined ? 'node:http' : 'node:http2'),
  packages: [],
  can: [...everyRoute, 'file', 'refuse', 'unary', 'https', 'h2', 'h2c'],
  version: async () => process.versions.node,
  command(launch) {
    const app = isHttp2(launch.scenario) ? 'node-http2' : 'node-http';
    return { file: process.execPath, args: [appFile(app), ...appArguments(launch)] };
  },
});
