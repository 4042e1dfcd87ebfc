#!/usr/bin/env node
/** The `windhover` command. */
import { runCommandLine } from './command.js';
import { devCerts } from './dev-certs.js';

// Not process.exit: what was printed to a pipe has to get there.
void runCommandLine([devCerts], process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
