/** The signals that ask a program to end. */

/** SIGQUIT does not exist on Windows, where listening for it would throw. Source: .NET's ConsoleLifetime. */
const SIGNALS: readonly NodeJS.Signals[] =
  process.platform === 'win32' ? ['SIGINT', 'SIGTERM'] : ['SIGINT', 'SIGTERM', 'SIGQUIT'];

/**
 * Listens for them.
 *
 * @param listener - Called for each, with how many there have been.
 * @returns Ends the listening; the signals then do what they did before.
 */
export function onStopSignals(listener: (count: number) => void): () => void {
  let count = 0;
  const onSignal = (): void => {
    listener(++count);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}
