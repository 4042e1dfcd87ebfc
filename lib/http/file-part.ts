/** A part of a file that is to be sent: opened, looked at, and within the file's size. */
import type { PathLike } from 'node:fs';
import { closeSync, constants, fstatSync, open } from 'node:fs';
import { codedRangeError, invalidArgument, WindhoverError } from './errors.js';

/** An open file, and how much of it. Who has it closes the descriptor. */
export interface FilePart {
  readonly descriptor: number;
  /** Where the part begins (bytes). */
  readonly offset: number;
  /** How long it is (bytes). */
  readonly count: number;
}

/** Without O_NONBLOCK the opening of a FIFO would wait for somebody who writes to it. */
const FLAGS = constants.O_RDONLY | ((constants.O_NONBLOCK as number | undefined) ?? 0);

/**
 * Looks at the arguments of a sendFile.
 *
 * @throws TypeError WH_ERR_INVALID_ARGUMENT where one is of the wrong type; RangeError
 * WH_ERR_INVALID_ARGUMENT where `offset` or `count` is no whole number of 0 or more.
 */
export function checkFilePart(path: PathLike, offset: number, count: number | undefined): void {
  if (typeof path !== 'string' && !(path instanceof URL) && !(path instanceof Uint8Array)) {
    throw invalidArgument('path', 'a string, a URL or a Buffer', path);
  }
  checkNumber('offset', offset);
  if (count !== undefined) checkNumber('count', count);
}

function checkNumber(name: string, value: number): void {
  if (typeof value !== 'number') throw invalidArgument(name, 'a number', value);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw outOfRange(name, `a whole number of bytes, 0 or more, not ${String(value)}`);
  }
}

/**
 * Opens a file, without holding up the loop.
 *
 * @returns Rejects with Node's own error (`ENOENT`, `EACCES`, ...) where it cannot be opened, `EISDIR`
 * where it is a directory; WindhoverError WH_ERR_NOT_A_FILE where it is no file; RangeError
 * WH_ERR_INVALID_ARGUMENT where the part goes beyond its end.
 */
export function openFilePart(
  path: PathLike,
  offset: number,
  count: number | undefined,
): Promise<FilePart> {
  return new Promise((resolve, reject) => {
    open(path, FLAGS, (error, descriptor) => {
      if (error !== null) {
        reject(error);
        return;
      }
      try {
        resolve(lookAt(path, descriptor, offset, count));
      } catch (failure) {
        closeSync(descriptor);
        reject(failure instanceof Error ? failure : new Error(String(failure)));
      }
    });
  });
}

function lookAt(
  path: PathLike,
  descriptor: number,
  offset: number,
  count: number | undefined,
): FilePart {
  const stats = fstatSync(descriptor);
  const name = nameOf(path);
  if (stats.isDirectory()) {
    const error = new Error(`EISDIR: illegal operation on a directory, sendFile '${name}'`);
    throw Object.assign(error, { code: 'EISDIR', syscall: 'sendFile', path: name });
  }
  if (!stats.isFile()) {
    throw new WindhoverError('WH_ERR_NOT_A_FILE', `'${name}' is not a regular file`);
  }
  const { size } = stats;
  if (offset > size) {
    throw outOfRange(
      'offset',
      `at most ${String(size)}, the size of the file, not ${String(offset)}`,
    );
  }
  const rest = size - offset;
  if (count !== undefined && count > rest) {
    throw outOfRange(
      'count',
      `at most ${String(rest)}, what the file has from there on, not ${String(count)}`,
    );
  }
  return { descriptor, offset, count: count ?? rest };
}

function outOfRange(name: string, expected: string): RangeError {
  return codedRangeError('WH_ERR_INVALID_ARGUMENT', `${name} must be ${expected}`);
}

function nameOf(path: PathLike): string {
  return typeof path === 'string' ? path : path instanceof URL ? path.href : String(path);
}

/** The error for a file that has become shorter while it was sent. */
export function fileTruncated(path: PathLike): WindhoverError {
  return new WindhoverError(
    'WH_ERR_FILE_TRUNCATED',
    `'${nameOf(path)}' became shorter while it was sent: the answer is cut`,
  );
}

/** The error for a file that could not be read to its end. */
export function fileUnreadable(path: PathLike, cause?: unknown): WindhoverError {
  return new WindhoverError(
    'WH_ERR_FILE_UNREADABLE',
    `'${nameOf(path)}' could not be read while it was sent: the answer is cut`,
    { cause },
  );
}
