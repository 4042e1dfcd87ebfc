/** uWebSockets.js: the fastest server for Node, the one to beat. */

import { nodePeer, packageFile } from './packages.mjs';

const name = '@trufflesuite/uws-js-unofficial';

export default nodePeer({
  name: 'uws',
  title: 'uWebSockets.js',
  packages: [name],
  async prepare() {
    const platform = `${process.platform}_${process.arch}_${process.versions.modules}`;
    packageFile(name, ['binaries', `uws_${platform}.node`]);
  },
});
