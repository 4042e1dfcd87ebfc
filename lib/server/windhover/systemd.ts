/** Sockets that systemd opened for a process. Source: sd_listen_fds(3). */

/** The first descriptor that systemd passes: SD_LISTEN_FDS_START. */
const FIRST = 3;

/** A descriptor and its name, `unknown` where the unit gives none. */
export interface PassedSocket {
  readonly fd: number;
  readonly name: string;
}

/**
 * The sockets that were passed to the process `pid`; none where the variables are another process's, or
 * are not what systemd writes.
 */
export function passedSockets(
  variables: Readonly<Record<string, string | undefined>>,
  pid: number,
): PassedSocket[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = variables;
  if (LISTEN_PID !== String(pid) || !/^[1-9][0-9]{0,3}$/.test(LISTEN_FDS ?? '')) return [];
  const names = (LISTEN_FDNAMES ?? '').split(':');
  return Array.from({ length: Number(LISTEN_FDS) }, (_, i) => ({
    fd: FIRST + i,
    name: names[i] === undefined || names[i] === '' ? 'unknown' : names[i],
  }));
}
