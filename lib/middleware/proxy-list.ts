/** Peers whose word counts: addresses, networks, and whoever connects by a Unix socket. */
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { requireStrings, wrongValue } from '../http/option-errors.js';

/** Stands for every peer on a Unix socket, as in the options of endpoints. */
export const UNIX = 'unix';

/** An IPv4 address in the clothes of IPv6 (RFC 4291 section 2.5.5.2). */
const MAPPED = /^::ffff:([0-9.]+)$/i;

/** An IP address in one form: an IPv4-mapped one is IPv4. `undefined` where it is none, or has a zone. */
export function normalizeAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const mapped = MAPPED.exec(text);
  if (mapped !== null && isIPv4(mapped[1])) return mapped[1];
  return text.toLowerCase();
}

export class ProxyList {
  /** Whether nobody is in it. */
  readonly isEmpty: boolean;
  private readonly list = new BlockList();
  private hasUnix = false;

  /**
   * @param proxies - IP addresses, and `unix`.
   * @param networks - Networks such as `10.0.0.0/8`.
   * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming option and value.
   */
  constructor(prefix: string, proxies: readonly string[], networks: readonly string[]) {
    requireStrings(`${prefix}knownProxies`, proxies);
    requireStrings(`${prefix}knownNetworks`, networks);
    proxies.forEach((proxy, i) => {
      this.addProxy(`${prefix}knownProxies[${String(i)}]`, proxy);
    });
    networks.forEach((network, i) => {
      this.addNetwork(`${prefix}knownNetworks[${String(i)}]`, network);
    });
    this.isEmpty = proxies.length + networks.length === 0;
  }

  /** Whether a peer is in it. @param address - `undefined` on a Unix socket. */
  has(address: string | undefined): boolean {
    if (this.isEmpty) return false;
    if (address === undefined) return this.hasUnix;
    // A link-local peer has a zone, which no list can name.
    const zone = address.indexOf('%');
    const normal = normalizeAddress(zone < 0 ? address : address.slice(0, zone));
    return normal !== undefined && this.list.check(normal, familyOf(normal));
  }

  private addProxy(option: string, proxy: string): void {
    if (proxy.toLowerCase() === UNIX) {
      this.hasUnix = true;
      return;
    }
    const address = normalizeAddress(proxy);
    if (address === undefined) throw wrongValue(option, "an IP address or 'unix'", proxy);
    this.list.addAddress(address, familyOf(address));
  }

  private addNetwork(option: string, network: string): void {
    const expected = "a network such as '10.0.0.0/8' or 'fd00::/8'";
    const match = /^([^/%]+)\/([0-9]{1,3})$/.exec(network);
    if (match === null || isIP(match[1]) === 0) throw wrongValue(option, expected, network);
    const mapped = isIPv6(match[1]) ? MAPPED.exec(match[1]) : null;
    const address = mapped === null ? match[1] : mapped[1];
    const bits = Number(match[2]) - (mapped === null ? 0 : 96);
    if (bits < 0 || bits > (isIPv4(address) ? 32 : 128)) {
      throw wrongValue(option, expected, network);
    }
    if (hasBitsBehind(address, bits)) {
      throw wrongValue(option, `${expected}, without bits behind its prefix`, network);
    }
    this.list.addSubnet(address, bits, familyOf(address));
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}

/** Whether an address has bits behind its prefix, which mostly is a mistake. */
function hasBitsBehind(address: string, prefix: number): boolean {
  const bytes = isIPv4(address) ? address.split('.').map(Number) : bytesOfIPv6(address);
  return bytes.some((byte, i) => {
    const kept = Math.min(8, Math.max(0, prefix - 8 * i));
    return (byte & (0xff >> kept)) !== 0;
  });
}

function bytesOfIPv6(address: string): number[] {
  // The end may be written as IPv4.
  const text = address.replace(/[0-9]+\.[0-9.]+$/, (end) => {
    const [a, b, c, d] = end.split('.').map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head, tail] = text.split('::') as [string, string | undefined];
  const groups = (part: string | undefined): number[] =>
    part === undefined || part === '' ? [] : part.split(':').map((group) => parseInt(group, 16));
  const first = groups(head);
  const last = groups(tail);
  const middle = new Array<number>(8 - first.length - last.length).fill(0);
  return [...first, ...middle, ...last].flatMap((group) => [group >> 8, group & 0xff]);
}
