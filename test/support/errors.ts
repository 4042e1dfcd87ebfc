/** What tests expect of an error of this package. */
import type { ExecutionContext, ThrowsExpectation } from 'ava';

/** For `t.throws`: an error of a class with a code. */
export function coded(
  code: string,
  instanceOf: new (...args: never[]) => Error = Error,
): ThrowsExpectation<Error> {
  return { code, instanceOf } as ThrowsExpectation<Error>;
}

/** Expects each of the functions to throw an error with that code. */
export function throwsEach(
  t: ExecutionContext,
  code: string,
  attempts: Readonly<Record<string, () => unknown>>,
): void {
  for (const [name, attempt] of Object.entries(attempts)) t.throws(attempt, { code }, name);
}

/** The code of what a function throws; `undefined` where it throws nothing, or nothing with a code. */
export function codeOf(attempt: () => unknown): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

/** The same for a promise. */
export async function codeOfRejection(promise: PromiseLike<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

/** The code of an error, whatever it is. */
export function codeOfError(error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code;
}
