// Tools that a build needs. On Debian as root they are installed; elsewhere one line says what to install.
import { readFileSync } from 'node:fs';
import { PlainError, run, which } from './run.mjs';

/** Fields of /etc/os-release, or an empty object. */
export function osRelease() {
  try {
    const lines = readFileSync('/etc/os-release', 'utf8').split('\n');
    return Object.fromEntries(
      lines
        .map((line) => /^([A-Z_]+)="?([^"]*)"?$/.exec(line))
        .filter(Boolean)
        .map((match) => [match[1], match[2]]),
    );
  } catch {
    return {};
  }
}

/** Whether this process may install Debian packages. */
export function canInstall() {
  return process.getuid?.() === 0 && which('apt-get') !== undefined;
}

/**
 * Makes sure that programs and files are there.
 *
 * @param needs list of { package, program } or { package, present: () => boolean }
 * @param purpose what they are needed for, for the message
 * @param options.install false: never change the system, only say what to install
 */
export function requireTools(purpose, needs, { install = true } = {}) {
  const missing = needs.filter((need) => !isThere(need));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((need) => need.package))];
  if (!install || !canInstall()) {
    const what = missing.map((need) => need.program ?? need.package).join(', ');
    throw new PlainError(
      `${purpose} needs ${what}: install them first (Debian: apt-get install ${packages.join(' ')})`,
    );
  }
  console.log(`windhover: installing ${packages.join(' ')} for ${purpose}`);
  aptInstall(packages);
  const still = missing.filter((need) => !isThere(need));
  if (still.length > 0) {
    const what = still.map((need) => need.program ?? need.package).join(', ');
    throw new PlainError(
      `${purpose} needs ${what}, which installing ${packages.join(' ')} did not bring`,
    );
  }
}

function isThere(need) {
  return need.present === undefined ? which(need.program) !== undefined : need.present();
}

function aptInstall(packages) {
  const options = {
    quiet: true,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
  };
  const install = ['install', '-y', '-q', '--no-install-recommends', ...packages];
  // The package lists may be old or missing: refresh them first where they are, or where that fails.
  try {
    run('apt-get', install, { ...options, stdio: 'ignore', quiet: false });
  } catch {
    run('apt-get', ['update', '-q'], options);
    run('apt-get', install, options);
  }
}
