/** Programs of the system that some tests use, if they are there. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** The absolute path of a program on PATH; `undefined` where there is none. */
export function findProgram(...names: readonly string[]): string | undefined {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const file = join(folder === '' ? '.' : folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined;
}

/**
 * The path of a program, which is installed from the Debian package where it is missing and that can be
 * done. `undefined`, and a message, where it is not to be had.
 */
export async function obtainProgram(
  packageName: string,
  ...names: readonly string[]
): Promise<string | undefined> {
  const found = findProgram(...names);
  if (found !== undefined) return found;
  if (process.getuid?.() === 0 && findProgram('apt-get') !== undefined) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    try {
      await promisify(execFile)('apt-get', ['update', '-qq'], { env });
      const install = ['install', '-y', '-qq', '--no-install-recommends', packageName];
      await promisify(execFile)('apt-get', install, { env, maxBuffer: 1 << 26 });
    } catch (error) {
      console.log(`${packageName} could not be installed: ${String(error).slice(0, 200)}`);
    }
  }
  const installed = findProgram(...names);
  if (installed === undefined)
    console.log(`${packageName} is not to be had: its tests are skipped`);
  return installed;
}
