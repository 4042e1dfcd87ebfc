/** The server that attacks are made on, in a process of its own; see bench/attacks/server.mjs. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

const program = fileURLToPath(new URL('../../../../bench/attacks/server.mjs', import.meta.url));

/** What the server tells of itself. */
export interface Look {
  /** Bytes: now, and at most since the start. */
  readonly rss: number;
  readonly peak: number;
  readonly connections: number;
  readonly requests: number;
  readonly http2Floods: Readonly<Record<string, number>>;
  readonly timeouts: Readonly<Record<string, number>>;
}

export interface Attacked {
  /** HTTP/1 in cleartext, HTTP/2 in cleartext, both over TLS. */
  readonly port: number;
  readonly http2Port: number;
  readonly tlsPort: number;
  /** The certificate of that one (PEM). */
  readonly cert: string;
  readonly look: () => Promise<Look>;
}

/** Starts it; it ends with the test. */
export async function startAttacked(
  t: ExecutionContext,
  args: readonly string[] = [],
): Promise<Attacked> {
  const child = fork(program, args);
  t.teardown(() => {
    child.disconnect();
  });
  const [ports] = (await once(child, 'message')) as [Omit<Attacked, 'look'>];
  const look = async (): Promise<Look> => {
    const answer = once(child, 'message');
    child.send('look');
    return ((await answer) as [Look])[0];
  };
  return { ...ports, look };
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
