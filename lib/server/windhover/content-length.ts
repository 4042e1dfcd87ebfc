/** The errors of a body that is not what its Content-Length says. */
import { WindhoverError } from '../../http/errors.js';

export function contentLengthMismatch(declared: number, actual: number): WindhoverError {
  return new WindhoverError(
    'WH_ERR_CONTENT_LENGTH_MISMATCH',
    `Content-Length is ${String(declared)}, but the body has ${String(actual)} bytes`,
  );
}

export function contentLengthExceeded(excess: number): WindhoverError {
  return new WindhoverError(
    'WH_ERR_CONTENT_LENGTH_EXCEEDED',
    `The body has ${String(excess)} bytes more than its Content-Length says`,
  );
}

export function contentLengthMissing(missing: number): WindhoverError {
  return new WindhoverError(
    'WH_ERR_CONTENT_LENGTH_MISMATCH',
    `The answer was ended ${String(missing)} bytes before its Content-Length`,
  );
}
