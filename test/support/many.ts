/** What tests with thousands of connections share. */
import { execFileSync } from 'node:child_process';

/** The most descriptors that a process may have; Node itself raises its limit to this. */
export function descriptorLimit(): number {
  const limit = execFileSync('sh', ['-c', 'ulimit -H -n'], { encoding: 'utf8' }).trim();
  return limit === 'unlimited' ? Infinity : Number(limit);
}

/** Runs a function for every number below `count`, `atOnce` at a time. */
export async function forAll(
  count: number,
  atOnce: number,
  visit: (n: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await visit(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
