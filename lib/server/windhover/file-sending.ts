/**
 * Files on their way into an answer. A file is opened on Node's thread pool and then handed to the core,
 * which sends it from the system's cache to the socket (sendfile(2)); no byte of it comes through
 * JavaScript. What else is sent meanwhile waits its turn, so an answer's parts arrive in the order of
 * the calls, whoever waits for which.
 */
import type { PathLike } from 'node:fs';
import { closeSync } from 'node:fs';
import { fileTruncated, fileUnreadable, openFilePart } from '../../http/file-part.js';
import type { HeaderMap } from '../../http/header-map.js';
import { FileResult, RequestFlag } from '../../native/generated/shared-layout.js';
import type { Slot } from '../../native/slot.js';
import { SendOrder } from './send-order.js';
import { runStarting, type StartingState } from './starting.js';

/** The exchange, as far as a file needs it. */
export interface FileTarget {
  readonly slot: Slot;
  readonly generation: number;
  readonly aborted: boolean;
  readonly hasStarted: boolean;
  readonly headers: HeaderMap;
  rare(): StartingState;
  /** Whether the answer is to be chunked because of its trailers. */
  wantsTrailers(): boolean;
  hasBody(): boolean;
  /** Sends the head. */
  startNow(): void;
  /** Counts bytes of the body. */
  takeLength(length: number): void;
}

/** How a file ends that waits for a client who has gone: nobody misses it, as with a write. */
const ABANDONED = -1;

/** What an exchange sends from its first file on. */
export class SendQueue extends SendOrder {
  /** Ends the wait for the file that the core has. */
  private settle: ((result: number) => void) | undefined = undefined;

  constructor(private readonly target: FileTarget) {
    super();
  }

  /** Sends a part of a file. */
  addFile(path: PathLike, offset: number, count: number | undefined): Promise<void> {
    return this.add(() => this.send(path, offset, count));
  }

  /** The core has sent its file, or cannot: FileResult. */
  onFileDone(result: number): void {
    this.settle?.(result);
  }

  /** The client has gone. */
  onAborted(): void {
    this.settle?.(ABANDONED);
  }

  private async send(path: PathLike, offset: number, count: number | undefined): Promise<void> {
    const { target } = this;
    const part = await openFilePart(path, offset, count);
    let result: Promise<number>;
    try {
      this.ensureWanted();
      if (!target.hasStarted) await this.prepareHead(part.count);
      target.startNow();
      target.takeLength(part.count);
      if (part.count === 0 || target.aborted || !target.hasBody()) return;
      result = new Promise((resolve) => {
        this.settle = resolve;
      });
      const { host, number } = target.slot;
      const id = host.addFile(part.descriptor);
      host.commands.file(number, target.generation, id, part.offset, part.count);
    } finally {
      // The core has a descriptor of its own by now, so this does not wait for anything.
      closeSync(part.descriptor);
    }
    switch (await result) {
      case FileResult.TRUNCATED:
        throw fileTruncated(path);
      case FileResult.UNREADABLE:
        throw fileUnreadable(path);
    }
  }

  /**
   * The body is the file, as far as is known: who wants to add to it has started the answer or declared
   * its length.
   */
  private async prepareHead(count: number): Promise<void> {
    const { target } = this;
    const isToHead = (target.slot.flags() & RequestFlag.HEAD_METHOD) !== 0;
    if (!target.headers.has('Content-Length') && (isToHead || target.hasBody())) {
      if (!target.wantsTrailers()) target.headers.set('Content-Length', count);
    }
    await runStarting(target.rare());
  }
}
