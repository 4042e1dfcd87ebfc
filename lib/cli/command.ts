/** What every command of `windhover` is made of. */

/** Something that a person has asked for and cannot get: one line says why, the status is 1. */
export class CommandError extends Error {}

/** A command line that cannot be understood: the status is 2. */
export class UsageError extends Error {}

/** One command: `windhover NAME ...`. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `--help` prints. */
  readonly help: string;
  /**
   * Runs it.
   *
   * @param args - What stands behind the name.
   * @returns The status of the process.
   * @throws CommandError, UsageError, or what node:util's parseArgs throws.
   */
  run(args: readonly string[]): number | Promise<number>;
}

/** The statuses of the process. */
export const Status = { OK: 0, FAILED: 1, USAGE: 2 } as const;

/**
 * Runs the command that a command line names.
 *
 * @returns The status of the process.
 */
export async function runCommandLine(
  commands: readonly Command[],
  args: readonly string[],
): Promise<number> {
  const [name, ...rest] = args;
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const asked = name === undefined || ['--help', '-h', 'help'].includes(name);
    if (asked) console.log(overview(commands));
    else console.error(`windhover: there is no command '${name}'\n\n${overview(commands)}`);
    return asked && name !== undefined ? Status.OK : Status.USAGE;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    console.log(command.help);
    return Status.OK;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    return report(command, error);
  }
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    'Usage: windhover <command> [options]',
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'windhover <command> --help tells more.',
  ].join('\n');
}

function report(command: Command, error: unknown): number {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const isUsage =
    error instanceof UsageError || (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS_'));
  if (isUsage) {
    console.error(`windhover ${command.name}: ${String(message)}\n\n${command.help}`);
    return Status.USAGE;
  }
  // The system's errors say what was to be done, and to which file.
  const isPlain = error instanceof CommandError || typeof code === 'string';
  console.error(isPlain ? `windhover ${command.name}: ${String(message)}` : error);
  return Status.FAILED;
}
