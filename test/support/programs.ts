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

/** The environment for programs that are not ours: without what a sanitizer's run preloads. */
export function foreignEnvironment(): NodeJS.ProcessEnv {
  const { LD_PRELOAD: _, ...rest } = process.env;
  return rest;
}

/** Whether Node runs with a sanitizer, which makes everything slower and memory larger. */
export const isSanitized = process.env.WINDHOVER_SANITIZE !== undefined;

/** Whether this process may install Debian packages. */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && findProgram('apt-get') !== undefined;
}

/** Installs a Debian package. Rejects where that cannot be done. */
export async function installPackage(name: string): Promise<void> {
  const options = {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
    maxBuffer: 1 << 26,
  };
  const run = promisify(execFile);
  const install = ['install', '-y', '-q', '--no-install-recommends', name];
  try {
    await run('apt-get', install, options);
  } catch {
    await run('apt-get', ['update', '-q'], options); // the lists may be old or missing
    await run('apt-get', install, options);
  }
}
