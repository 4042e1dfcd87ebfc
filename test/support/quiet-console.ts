/** For tests whose applications fail on purpose: what the server reports is kept, and not printed. */

/** From now on what console.error is given goes into the list. */
export function captureErrors(): unknown[][] {
  const told: unknown[][] = [];
  console.error = (...values: unknown[]) => {
    told.push(values);
  };
  return told;
}
