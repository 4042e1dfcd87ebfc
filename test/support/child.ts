/** Programs of their own, for what a test cannot do to its own process. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { within } from './until.js';

/** How long a child may take unless told otherwise (ms). Only a test that fails ever waits so long. */
const PATIENCE = 60_000;

/** How a child ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: readonly string[];
  readonly errors: string;
}

export class Child {
  readonly lines: string[] = [];
  /** Settles when the child has ended and its output is complete. */
  readonly end: Promise<ChildEnd>;
  private errors = '';
  private waiter: (() => void) | undefined = undefined;
  private ended = false;

  constructor(readonly process: ChildProcess) {
    const { stdout, stderr } = process;
    if (stdout !== null) {
      createInterface(stdout).on('line', (line) => {
        this.lines.push(line);
        this.waiter?.();
      });
    }
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    this.end = once(process, 'close').then(([code, signal]) => {
      this.ended = true;
      this.waiter?.();
      return {
        code: code as number | null,
        signal: signal as NodeJS.Signals | null,
        output: this.lines,
        errors: this.errors,
      };
    });
  }

  /** The next line that was not taken yet. */
  async line(): Promise<string> {
    for (;;) {
      const line = this.lines.shift();
      if (line !== undefined) return line;
      if (this.ended) throw new Error(`the child ended without a word: ${this.errors}`);
      await new Promise<void>((resolve) => {
        this.waiter = resolve;
      });
    }
  }

  /** How it ends; it is given up where that takes too long. */
  whenEnded(patience = PATIENCE): Promise<ChildEnd> {
    return within(this.end, 'the end of the child', patience);
  }
}

/** What a child is started with. */
export interface ChildOptions {
  /** Options for Node. */
  readonly execArgv?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** A program that starts Node, with its arguments. */
  readonly wrapper?: readonly string[];
}

/**
 * Starts a compiled script. The child is killed after the test, if it still runs.
 *
 * @param script - Its path from dist/test/, such as `lifecycle/children/exit.js`.
 */
export function startChild(
  t: ExecutionContext,
  script: string,
  { execArgv = [], args = [], env = process.env, wrapper = [] }: ChildOptions = {},
): Child {
  const file = join(dirname(fileURLToPath(import.meta.url)), '..', script);
  const [program, ...rest] = [...wrapper, process.execPath, ...execArgv, file, ...args];
  const child = spawn(program, rest, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  t.teardown(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  });
  return new Child(child);
}
