/**
 * The times by which requests must be done. A server mostly has one limit for all: requests with the
 * same limit come due in the order in which they came, so each limit has a queue and one timer, and a
 * request that ends in time costs two changes of links.
 */

/** Something with a deadline. Its members belong to {@link Deadlines}. */
export interface Deadline {
  /** When it is due (ms, of performance.now()). */
  due: number;
  queue: DeadlineQueue | undefined;
  previous: Deadline | undefined;
  next: Deadline | undefined;
  onDeadline(): void;
}

/** Those with the same limit, the first one due first. */
export interface DeadlineQueue {
  readonly limit: number;
  first: Deadline | undefined;
  last: Deadline | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** A timer of Node may come this much too early (ms). */
const EARLY = 1;

export class Deadlines {
  private readonly queues = new Map<number, DeadlineQueue>();

  /** From now on it has so many milliseconds. It must have no deadline. */
  add(deadline: Deadline, limit: number): void {
    let queue = this.queues.get(limit);
    if (queue === undefined) {
      queue = { limit, first: undefined, last: undefined, timer: undefined };
      this.queues.set(limit, queue);
    }
    deadline.due = performance.now() + limit;
    deadline.queue = queue;
    deadline.previous = queue.last;
    deadline.next = undefined;
    if (queue.last === undefined) queue.first = deadline;
    else queue.last.next = deadline;
    queue.last = deadline;
    if (queue.timer === undefined) this.wait(queue, limit);
  }

  /** It is done, or has no deadline any more. */
  remove(deadline: Deadline): void {
    const { queue, previous, next } = deadline;
    if (queue === undefined) return;
    deadline.queue = undefined;
    if (previous === undefined) queue.first = next;
    else previous.next = next;
    if (next === undefined) queue.last = previous;
    else next.previous = previous;
    deadline.previous = deadline.next = undefined;
    // The timer stays: it will look who is first then, or end the queue.
  }

  private wait(queue: DeadlineQueue, time: number): void {
    queue.timer = setTimeout(() => {
      this.run(queue);
    }, time);
    queue.timer.unref();
  }

  private run(queue: DeadlineQueue): void {
    const now = performance.now();
    for (;;) {
      const deadline = queue.first;
      if (deadline === undefined) {
        queue.timer = undefined;
        this.queues.delete(queue.limit);
        return;
      }
      if (deadline.due > now + EARLY) {
        this.wait(queue, deadline.due - now);
        return;
      }
      this.remove(deadline);
      deadline.onDeadline();
    }
  }
}
