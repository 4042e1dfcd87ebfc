/**
 * hyper-express on uWebSockets.js. Its own dependency is a git repository; package.json puts the
 * uWebSockets.js of the uws peer in its place, of which this is the last version that fits.
 */

import { nodePeer } from './packages.mjs';

export default nodePeer({
  name: 'hyper-express',
  title: 'hyper-express',
  packages: ['hyper-express', 'uWebSockets.js'],
});
