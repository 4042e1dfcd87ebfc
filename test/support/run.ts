/** Runs a program to its end. */
import { spawn } from 'node:child_process';
import { foreignEnvironment } from './programs.js';

export interface Ran {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly text: string;
  readonly stderr: string;
}

/** Feeds it, if there is something to feed it with, and takes what it writes. */
export function run(
  program: string,
  args: readonly string[],
  input?: string | Uint8Array,
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: foreignEnvironment(), timeout: 60_000 });
    const stdout: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => {
      const bytes = Buffer.concat(stdout);
      resolve({ code, stdout: bytes, text: bytes.toString(), stderr });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
