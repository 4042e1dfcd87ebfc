/** The warnings of this process, for tests that run one after the other. */
import type { ExecutionContext } from 'ava';

/** Collects the warnings of this package until the test is over. */
export function collectWarnings(t: ExecutionContext): { code: string; message: string }[] {
  const warnings: { code: string; message: string }[] = [];
  const onWarning = (warning: Error & { code?: string }): void => {
    if (warning.code?.startsWith('WH_') === true) {
      warnings.push({ code: warning.code, message: warning.message });
    }
  };
  process.on('warning', onWarning);
  t.teardown(() => process.off('warning', onWarning));
  return warnings;
}
