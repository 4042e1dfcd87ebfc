/** The windows of flow control (RFC 9113 section 5.2 and 6.9), from both sides. */
import { DEFAULT_WINDOW } from './frames.js';

/** What we let the peer send. */
export class ReceiveWindows {
  private readonly left = new Map<number, number>([[0, DEFAULT_WINDOW]]);
  /** The initial window that the peer may take for granted: the largest that is not settled. */
  private initial = DEFAULT_WINDOW;

  /** We have sent SETTINGS_INITIAL_WINDOW_SIZE, and the peer may know it or not. */
  offer(size: number): void {
    if (size > this.initial) this.settle(size);
  }

  /** The peer has acknowledged it. */
  settle(size: number): void {
    for (const [id, left] of this.left) {
      if (id !== 0) this.left.set(id, left + size - this.initial);
    }
    this.initial = size;
  }

  add(id: number, increment: number): void {
    this.left.set(id, this.room(id) + increment);
  }

  /** How much may come; below 0 where the window was made smaller. */
  room(id: number): number {
    return this.left.get(id) ?? this.initial;
  }

  /** @throws Error where that is more than there was room for. */
  took(id: number, length: number): void {
    for (const window of [0, id]) {
      const left = this.room(window) - length;
      if (left < 0 && length > 0) {
        throw new Error(`DATA exceeds the window of ${String(window)} by ${String(-left)} bytes`);
      }
      this.left.set(window, left);
    }
  }
}

/** What the peer lets us send. */
export class SendWindows {
  private connection = DEFAULT_WINDOW;
  private initial = DEFAULT_WINDOW;
  /** What each stream has beyond the initial window; below 0 what was used of it. */
  private readonly beyond = new Map<number, number>();

  setInitial(size: number): void {
    this.initial = size;
  }

  add(id: number, increment: number): void {
    if (id === 0) this.connection += increment;
    else this.beyond.set(id, (this.beyond.get(id) ?? 0) + increment);
  }

  sent(id: number, length: number): void {
    this.connection -= length;
    this.beyond.set(id, (this.beyond.get(id) ?? 0) - length);
  }

  /** What a stream has of its own. */
  ofStream(id: number): number {
    return this.initial + (this.beyond.get(id) ?? 0);
  }

  ofConnection(): number {
    return this.connection;
  }

  room(id: number): number {
    return Math.min(this.connection, this.ofStream(id));
  }
}
