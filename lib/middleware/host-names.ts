/** Host fields: taken apart, and compared with lists of hosts. */
import { isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { requireStrings, wrongValue } from '../http/option-errors.js';

/** A name or an IPv4 address: what DNS has, and the underscore that some names have. */
const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/;

/** The longest name of DNS (RFC 1035 section 2.3.4) with the dot at its end. */
const NAME_MAX = 254;

const PORT_MAX = 65_535;

/** What a Host field says. */
export interface HostParts {
  /** In lower case; an IPv6 address with its brackets. */
  readonly host: string;
  /** `undefined` where none was given. */
  readonly port: number | undefined;
}

/** Takes `name`, `name:port`, `[IPv6]` or `[IPv6]:port` apart; `undefined` for anything else. */
export function parseHost(text: string): HostParts | undefined {
  const match = /^(\[[^\]]*\]|[^:[\]]*)(?::([0-9]{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [, host, digits] = match as unknown as [string, string, string | undefined];
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && port > PORT_MAX) return undefined;
  const isHost = host.startsWith('[') ? isAddressLiteral(host) : isName(host);
  return isHost ? { host: host.toLowerCase(), port } : undefined;
}

function isName(host: string): boolean {
  return host.length <= NAME_MAX && NAME.test(host) && !host.includes('..');
}

function isAddressLiteral(host: string): boolean {
  return isIPv6(host.slice(1, -1)) && !host.includes('%');
}

/** A list of hosts, some of which stand for all names below them. Ports do not count, nor do cases. */
export class HostPatterns {
  /** Whether everything is in it. */
  readonly matchesAll: boolean;
  private readonly hosts = new Set<string>();
  /** `.example.com` for `*.example.com`. */
  private readonly suffixes: string[] = [];

  /**
   * @param patterns - `example.com`, `*.example.com` (names below it, not itself), `192.0.2.1`, `[::1]` or
   * `::1`, and `*` for all. Names with other letters than ASCII's are compared as punycode.
   * @throws RangeError WH_ERR_INVALID_OPTION, naming option and value.
   */
  constructor(option: string, patterns: readonly string[]) {
    requireStrings(option, patterns);
    patterns.forEach((pattern, i) => {
      this.add(`${option}[${String(i)}]`, pattern);
    });
    // Source of the last two: ASP.NET Core, whose servers take them for any host.
    this.matchesAll = ['*', '[::]', '0.0.0.0'].some((any) => this.hosts.has(any));
  }

  /** Whether a host is in it. @param host - As {@link parseHost} gives it. */
  matches(host: string): boolean {
    if (this.matchesAll || this.hosts.has(host)) return true;
    // The name before the suffix must not be empty.
    return this.suffixes.some((end) => host.length > end.length && host.endsWith(end));
  }

  private add(option: string, pattern: string): void {
    if (pattern === '*') {
      this.hosts.add(pattern);
      return;
    }
    const isWild = pattern.startsWith('*.');
    const written = isWild ? pattern.slice(2) : isIPv6(pattern) ? `[${pattern}]` : pattern;
    const ascii = /^[\x20-\x7e]*$/.test(written) ? written : domainToASCII(written);
    const parts = parseHost(ascii);
    if (parts === undefined || (isWild && parts.host.startsWith('['))) {
      throw wrongValue(option, "a host such as 'example.com', '*.example.com' or '*'", pattern);
    }
    if (isWild) this.suffixes.push(`.${parts.host}`);
    else this.hosts.add(parts.host);
  }
}
