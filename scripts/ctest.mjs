// Builds the C tests and runs them under ctest; prints counts of the tests inside the programs.
//   node scripts/ctest.mjs [--sanitize address|thread]
import { parseArgs } from 'node:util';
import { runCTests } from './lib/ctest.mjs';
import { closingLine, exitStatus } from './lib/counts.mjs';
import { PlainError, main } from './lib/run.mjs';

await main(async () => {
  const { values } = parseArgs({ options: { sanitize: { type: 'string', default: '' } } });
  if (!['', 'address', 'thread'].includes(values.sanitize)) {
    throw new PlainError('--sanitize is address or thread');
  }
  const counts = await runCTests({ sanitize: values.sanitize });
  console.log(closingLine(counts));
  process.exitCode = exitStatus(counts);
});
