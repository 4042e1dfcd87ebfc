/** The signals that ask a program to end. */
import { constants } from 'node:os';

/** SIGQUIT does not exist on Windows, where listening for it would throw. Source: .NET's ConsoleLifetime. */
const SIGNALS: readonly NodeJS.Signals[] =
  process.platform === 'win32' ? ['SIGINT', 'SIGTERM'] : ['SIGINT', 'SIGTERM', 'SIGQUIT'];

/**
 * Listens for them.
 *
 * @param listener - Called for each, with how many there have been, and the status of a process that ends
 * by this one: 128 and its number, as shells have it.
 * @returns Ends the listening; the signals then do what they did before.
 */
export function onStopSignals(listener: (count: number, exitCode: number) => void): () => void {
  let count = 0;
  const listeners = SIGNALS.map((signal) => {
    const onSignal = (): void => {
      listener(++count, 128 + constants.signals[signal]);
    };
    process.on(signal, onSignal);
    return { signal, onSignal };
  });
  return () => {
    for (const { signal, onSignal } of listeners) process.off(signal, onSignal);
  };
}
