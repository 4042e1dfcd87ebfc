// Running other programs, and telling what went wrong in one line.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's root folder. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/** A failure that is told in one line, without a stack. */
export class PlainError extends Error {}

/** The absolute path of a program on PATH, or undefined. */
export function which(program) {
  const extensions = process.platform === 'win32' ? ['.exe', '.cmd', '.bat', ''] : [''];
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    for (const extension of extensions) {
      const file = path.join(folder || '.', program + extension);
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
 * Runs a program with its output shown; throws a PlainError where it fails.
 * `quiet` keeps the output back: it shows warnings of compilers, and on failure what was said of errors.
 */
export function run(program, args, { quiet = false, ...options } = {}) {
  const result = spawnSync(program, args, {
    cwd: root,
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    maxBuffer: 1 << 28,
    ...options,
  });
  const good = result.error === undefined && result.status === 0;
  if (quiet) {
    const errors = result.stderr?.toString() ?? '';
    if (!good) process.stderr.write(errors.trim() === '' ? (result.stdout ?? '') : errors);
    else if (/\bwarning: /.test(errors)) process.stderr.write(errors);
  }
  if (good) return;
  throw new PlainError(`${commandLine(program, args)} ${ending(result)}`);
}

/** What a program prints, as a string; throws a PlainError where it fails. */
export function capture(program, args, options = {}) {
  const result = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...options,
  });
  if (result.error === undefined && result.status === 0) return result.stdout;
  const reason = (result.stderr ?? '').trim().split('\n').slice(-3).join(' | ');
  throw new PlainError(
    `${commandLine(program, args)} ${ending(result)}${reason ? `: ${reason}` : ''}`,
  );
}

/**
 * Runs a program, shows what it prints and gives it line by line to `onLine` as well.
 * Resolves with { code, signal }; it does not throw because a program fails.
 */
export function follow(program, args, onLine, { show = true, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', show ? 'inherit' : 'pipe'],
      ...options,
    });
    child.stdout.setEncoding('utf8');
    let rest = '';
    child.stdout.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) onLine(line);
    });
    child.stderr?.resume();
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (rest !== '') onLine(rest);
      resolve({ code, signal });
    });
  });
}

/** Runs a script's main function; a PlainError ends in one line and exit status 1. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    if (error instanceof PlainError) console.error(`windhover: ${error.message}`);
    else console.error(error);
    process.exitCode = 1;
  }
}

function commandLine(program, args) {
  return [path.basename(program), ...args.slice(0, 3)].join(' ');
}

function ending({ error, status, signal }) {
  if (error !== undefined) return `could not be started (${error.code ?? error.message})`;
  return signal ? `was ended by ${signal}` : `failed with exit status ${status}`;
}
