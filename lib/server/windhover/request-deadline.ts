/** The deadline of one request: its feature, and what happens when it comes. */
import type { HttpRequestTimeoutFeature } from '../../features/http-features.js';
import { codedRangeError, invalidArgument, WindhoverError } from '../../http/errors.js';
import { type Deadline, Deadlines, type DeadlineQueue } from './deadlines.js';

/** Of all servers in this environment: their timers do not keep it alive. */
const deadlines = new Deadlines();

/** The longest time that Node's timers can wait (ms). */
const MOST = 2_147_483_647;

/** What a deadline does to its request. */
export interface TimedExchange {
  ensureLive(): void;
  /** Tells the handler, by its signal. */
  abortForTimeout(reason: WindhoverError): void;
  /** Answers 504, or cuts the answer off, if the handler has not answered. */
  answerTimeout(): void;
}

export class RequestDeadline implements Deadline, HttpRequestTimeoutFeature {
  due = 0;
  queue: DeadlineQueue | undefined = undefined;
  previous: Deadline | undefined = undefined;
  next: Deadline | undefined = undefined;

  constructor(private readonly exchange: TimedExchange) {}

  get timeLeft(): number | undefined {
    this.exchange.ensureLive();
    return this.queue === undefined ? undefined : Math.max(0, this.due - performance.now());
  }

  setTimeout(milliseconds: number | null): void {
    this.exchange.ensureLive();
    if (milliseconds !== null) requireTime(milliseconds);
    this.cancel();
    if (milliseconds !== null && milliseconds !== Infinity) deadlines.add(this, milliseconds);
  }

  cancel(): void {
    deadlines.remove(this);
  }

  onDeadline(): void {
    const reason = new WindhoverError(
      'WH_ERR_REQUEST_TIMEOUT',
      'The request has taken longer than its limit',
    );
    this.exchange.abortForTimeout(reason);
    // Its handler has this turn to answer by itself.
    setImmediate(() => {
      this.exchange.answerTimeout();
    });
  }
}

function requireTime(milliseconds: unknown): void {
  const expected = `a number of milliseconds from 1 to ${String(MOST)}, or null`;
  if (typeof milliseconds !== 'number') {
    throw invalidArgument('milliseconds', expected, milliseconds);
  }
  if ((milliseconds >= 1 && milliseconds <= MOST) || milliseconds === Infinity) return;
  throw codedRangeError(
    'WH_ERR_INVALID_ARGUMENT',
    `milliseconds must be ${expected}, not ${String(milliseconds)}`,
  );
}
