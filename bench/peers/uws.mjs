/** uWebSockets.js: the fastest server for Node, the one to beat. */

import { everyRoute, nodePeer, packageFile } from './packages.mjs';

const noHttp2 = 'it has no HTTP/2';
const name = '@trufflesuite/uws-js-unofficial';

export default nodePeer({
  name: 'uws',
  title: 'uWebSockets.js',
  packages: [name],
  can: [...everyRoute, 'refuse', 'https'],
  cannot: { h2: noHttp2, h2c: noHttp2 },
  async prepare() {
    const platform = `${process.platform}_${process.arch}_${process.versions.modules}`;
    packageFile(name, ['binaries', `uws_${platform}.node`]);
  },
});
