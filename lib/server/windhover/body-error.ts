/** What reading a request's body fails with. */
import { BadHttpRequestError, WindhoverError } from '../../http/errors.js';

/** The error of a body that will not be complete; status 0 means that the client is gone. */
export function bodyError(status: number): WindhoverError {
  if (status === 0) {
    return new WindhoverError(
      'WH_ERR_REQUEST_ABORTED',
      'The client has gone before its request was complete',
    );
  }
  if (status === 413) {
    return new BadHttpRequestError(
      status,
      'The body of the request is larger than maxRequestBodySize',
      'WH_ERR_BODY_TOO_LARGE',
    );
  }
  return new BadHttpRequestError(status, 'The body of the request is not valid', 'WH_ERR_BAD_BODY');
}
