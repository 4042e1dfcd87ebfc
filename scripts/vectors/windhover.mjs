// windhover with its default options, and the application of test/wire/vectors.test.ts. Ends when its standard
// input does.
import { createApplication, WindhoverServer } from '../../dist/lib/index.js';
import { tell } from '../../dist/test/support/vector-judge.js';

const server = new WindhoverServer({ endpoints: [{ host: '127.0.0.1', port: 0 }] });
await server.start(createApplication(tell, { onError: () => undefined }));
console.log(new URL(server.addresses[0]).port);
process.stdin.resume().on('end', () => process.exit());
