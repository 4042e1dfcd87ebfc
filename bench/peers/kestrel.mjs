/** Kestrel, built on the spot where there is a .NET SDK. One core, so a workstation heap. */

import { existsSync } from 'node:fs';
import path from 'node:path';

import { firstLine } from '../harness/machine.mjs';
import { runToEnd } from '../harness/processes.mjs';
import { appArguments, everyRoute, peersFolder } from './packages.mjs';

/** Minutes that a first build may take on a slow machine. */
const buildSeconds = 600;
let library = '';

/** @type {import('../types.mjs').Peer} */
export default {
  name: 'kestrel',
  title: 'Kestrel',
  can: [...everyRoute, 'refuse', 'unary', 'https', 'h2', 'h2c'],
  // Its code is compiled again in the background, on the same one core; that takes four seconds.
  warmUpSeconds: 6,
  async prepare({ work }) {
    const sdk = await firstLine('dotnet', ['--version'], /^(\d\S*)/);
    if (sdk === 'missing') throw new Error('there is no dotnet (SDK) on PATH');
    const output = path.join(work, 'kestrel', 'out');
    // The project is built beside its source's copy-free intermediate folder, outside of git.
    const { code, output: log } = await runToEnd(
      null,
      {
        file: 'dotnet',
        args: [
          'build',
          path.join(peersFolder, 'kestrel', 'Kestrel.csproj'),
          '--configuration=Release',
          `--output=${output}`,
          `-p:BaseIntermediateOutputPath=${path.join(work, 'kestrel', 'obj')}/`,
          '-p:UseSharedCompilation=false',
          '-nodeReuse:false',
          '--nologo',
        ],
        env: quietDotnet,
      },
      { seconds: buildSeconds },
    );
    library = path.join(output, 'Kestrel.dll');
    if (code !== 0 || !existsSync(library)) {
      throw new Error(`dotnet build failed: ${log.trim().slice(-300)}`);
    }
  },
  version: () => firstLine('dotnet', ['--list-runtimes'], /^Microsoft\.AspNetCore\.App (\S+)/m),
  command(launch) {
    const env = { ...quietDotnet, ...soonOptimised, DOTNET_ENVIRONMENT: 'Production' };
    return { file: 'dotnet', args: [library, ...appArguments(launch)], env };
  },
};

/**
 * The runtime counts calls, and optimises what is called often, only after a pause without new
 * code. On one busy core that pause may never come: Kestrel was seen to stay at two to three times
 * its cost for the whole run. Without the pause it is what it is elsewhere after some seconds.
 */
const soonOptimised = { DOTNET_TC_CallCountingDelayMs: '0' };

const quietDotnet = {
  DOTNET_CLI_TELEMETRY_OPTOUT: '1',
  DOTNET_NOLOGO: '1',
  DOTNET_SKIP_FIRST_TIME_EXPERIENCE: '1',
  DOTNET_CLI_USE_MSBUILD_SERVER: '0',
};
