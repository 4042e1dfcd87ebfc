/** How an answer gets out on one version of HTTP. */
import type { WriteDone } from '../../http/upgraded-socket.js';

/** Names and values, in order. */
export type FieldLines = readonly (readonly [name: string, value: string])[];

/** The head of an answer, checked. */
export interface AnswerHead {
  readonly status: number;
  readonly reason: string | undefined;
  /** Without framing and persistence. */
  readonly lines: FieldLines;
  /** -1 where it is not known. */
  readonly contentLength: number;
  /** Whether anything of the body goes out. */
  readonly hasBody: boolean;
  /** The connection ends behind it; HTTP/1 alone. */
  readonly close: boolean;
  /** Trailers follow. */
  readonly trailers: boolean;
}

export interface AnswerWire {
  /** An interim answer. */
  inform(status: number, lines: FieldLines): void;
  start(head: AnswerHead): void;
  /** @param done - Called once the system has it, or it will never be sent. */
  write(data: Uint8Array | string, done: WriteDone): void;
  end(data: Uint8Array | string | undefined, trailers: FieldLines | undefined): void;
  /** Of HTTP/2: the stream's number. */
  readonly streamId?: number;
  /** Cuts the answer off; HTTP/2: with an error code. */
  reset(code?: number): void;
}
