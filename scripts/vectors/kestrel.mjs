// Builds scripts/vectors/kestrel where there is a .NET SDK.
import path from 'node:path';
import { capture, root, run, which } from '../lib/run.mjs';

const QUIET = {
  DOTNET_CLI_TELEMETRY_OPTOUT: '1',
  DOTNET_NOLOGO: '1',
  DOTNET_SKIP_FIRST_TIME_EXPERIENCE: '1',
  DOTNET_CLI_USE_MSBUILD_SERVER: '0',
};

/** The command of the server and its version; undefined where there is no SDK. */
export function buildKestrel() {
  if (!which('dotnet')) return undefined;
  const output = path.join(root, 'build-vectors', 'kestrel');
  run(
    'dotnet',
    [
      'build',
      path.join(root, 'scripts/vectors/kestrel/Kestrel.csproj'),
      '--configuration=Release',
      `--output=${output}/out`,
      `-p:BaseIntermediateOutputPath=${output}/obj/`,
      '-p:UseSharedCompilation=false',
      '-nodeReuse:false',
      '--nologo',
    ],
    { quiet: true, env: { ...process.env, ...QUIET } },
  );
  const runtimes = capture('dotnet', ['--list-runtimes']);
  const version = [...runtimes.matchAll(/^Microsoft\.AspNetCore\.App (\S+)/gm)].at(-1)?.[1];
  return {
    command: ['dotnet', path.join(output, 'out', 'Kestrel.dll')],
    version: version ?? 'unknown',
    env: { ...process.env, ...QUIET, DOTNET_ENVIRONMENT: 'Production' },
  };
}
