// Test counts of several runners, added up.

/** No tests yet. */
export function noCounts() {
  return { passed: 0, failed: 0, skipped: 0 };
}

/** Adds `more` to `total`. */
export function addCounts(total, more) {
  for (const key of Object.keys(total)) total[key] += more[key];
}

/** The line that a test run closes with. */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** 0 only where tests ran and none failed. */
export function exitStatus({ passed, failed }) {
  return failed === 0 && passed > 0 ? 0 : 1;
}
