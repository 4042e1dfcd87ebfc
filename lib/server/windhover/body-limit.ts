/** How much body one request may have. */
import type { HttpMaxRequestBodySizeFeature } from '../../features/http-features.js';
import { codedRangeError, invalidArgument, WindhoverError } from '../../http/errors.js';

export class RequestBodyLimit implements HttpMaxRequestBodySizeFeature {
  /** Whether it is another one than the server's. */
  changed = false;
  private most: number | null;

  constructor(
    most: number | null,
    /** Whether the body is being read. */
    private readonly isOpened: () => boolean,
  ) {
    this.most = most;
  }

  get isReadOnly(): boolean {
    return this.isOpened();
  }

  get maxRequestBodySize(): number | null {
    return this.most;
  }

  set maxRequestBodySize(value: number | null) {
    if (value !== null && typeof value !== 'number') {
      throw invalidArgument('maxRequestBodySize', 'a whole number of bytes or null', value);
    }
    const most = value === Infinity ? null : value;
    if (most !== null && (!Number.isSafeInteger(most) || most < 0)) {
      throw codedRangeError(
        'WH_ERR_INVALID_ARGUMENT',
        `maxRequestBodySize must be a whole number of bytes from 0, or null for no limit, not ${String(value)}`,
      );
    }
    if (this.isReadOnly) {
      throw new WindhoverError(
        'WH_ERR_BODY_LIMIT_READ_ONLY',
        'maxRequestBodySize cannot be changed: the body is being read',
      );
    }
    this.most = most;
    this.changed = true;
  }
}
