/** Where an application runs: the name of the environment, the root of its files, what the command line says. */
import { resolve } from 'node:path';
import { invalidArgument } from '../http/errors.js';

/** Environment variables by name. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** What an application knows of its surroundings. Source: ASP.NET Core's IHostEnvironment. */
export interface HostEnvironment {
  /** The environment's name, such as `Development` or `Production`. */
  readonly environmentName: string;
  /** Whether it is `Development`, in any case of letters. Clients are told what went wrong only there. */
  readonly isDevelopment: boolean;
  /** The absolute path of the directory that the application's files are relative to. */
  readonly contentRoot: string;
}

/** What the command line and the code say about the environment. */
export interface EnvironmentChoice {
  readonly environment?: string | undefined;
  readonly contentRoot?: string | undefined;
  readonly args?: readonly string[] | undefined;
}

/**
 * The environment. Its name is the first that is given of: the option, `--environment`,
 * WINDHOVER_ENVIRONMENT, NODE_ENV; otherwise `Production`. Its root: the option, `--contentRoot`, the
 * working directory.
 */
export function resolveEnvironment(
  choice: EnvironmentChoice,
  variables: Variables,
): HostEnvironment {
  const args = choice.args ?? [];
  const environmentName =
    choice.environment ??
    readArgument(args, 'environment') ??
    nonEmpty(variables['WINDHOVER_ENVIRONMENT']) ??
    nonEmpty(variables['NODE_ENV']) ??
    'Production';
  if (typeof environmentName !== 'string') {
    throw invalidArgument('environment', 'a string', environmentName);
  }
  return Object.freeze({
    environmentName,
    isDevelopment: environmentName.toLowerCase() === 'development',
    contentRoot: resolve(choice.contentRoot ?? readArgument(args, 'contentRoot') ?? '.'),
  });
}

/**
 * The value of a command-line option, `--name value` or `--name=value`, its name in any case of letters;
 * the last one counts.
 */
export function readArgument(args: readonly string[], name: string): string | undefined {
  const option = `--${name.toLowerCase()}`;
  let value: string | undefined;
  args.forEach((argument, i) => {
    const lower = argument.toLowerCase();
    if (lower.startsWith(`${option}=`)) value = argument.slice(option.length + 1);
    else if (lower === option) value = args[i + 1] ?? value;
  });
  return value;
}

/** A variable that is set to nothing is not set. */
export function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
