/** The connection of a request on the native core, and the request's name. */
import type {
  HttpConnectionFeature,
  HttpRequestIdentifierFeature,
} from '../../features/http-features.js';
import type { LiveExchange } from './live-exchange.js';

/** What lives in this process has a prefix of its own, so that names in a log of many do not meet. */
const PROCESS_PREFIX = `${process.pid.toString(36)}${Date.now().toString(36)}`.toUpperCase();

/** The name of a connection, as applications and logs see it. */
export function connectionName(number: number): string {
  return `${PROCESS_PREFIX}${number.toString(36).toUpperCase()}`;
}

type Ends = readonly [
  remoteAddress: string | undefined,
  remotePort: number,
  localAddress: string | undefined,
  localPort: number,
];

const NOWHERE: Ends = [undefined, 0, undefined, 0];

export class ConnectionFeatures implements HttpConnectionFeature, HttpRequestIdentifierFeature {
  readonly connectionId: string;
  private readonly requestNumber: number;
  private ends: Ends | undefined = undefined;
  private ownTrace: string | undefined = undefined;

  constructor(private readonly exchange: LiveExchange) {
    exchange.ensureLive();
    this.connectionId = connectionName(exchange.slot.connectionNumber());
    this.requestNumber = exchange.slot.requestNumber();
  }

  get traceIdentifier(): string {
    return (this.ownTrace ??= `${this.connectionId}:${this.requestNumber.toString(16).toUpperCase().padStart(8, '0')}`);
  }
  set traceIdentifier(value: string) {
    this.ownTrace = value;
  }

  get remoteAddress(): string | undefined {
    return this.known()[0];
  }
  set remoteAddress(value: string | undefined) {
    this.replace(0, value);
  }

  get remotePort(): number {
    return this.known()[1];
  }
  set remotePort(value: number) {
    this.replace(1, value);
  }

  get localAddress(): string | undefined {
    return this.known()[2];
  }
  set localAddress(value: string | undefined) {
    this.replace(2, value);
  }

  get localPort(): number {
    return this.known()[3];
  }
  set localPort(value: number) {
    this.replace(3, value);
  }

  /** Asked of the system once, and not before somebody wants to know. */
  private known(): Ends {
    if (this.ends !== undefined) return this.ends;
    this.exchange.ensureLive();
    const { slot, generation } = this.exchange;
    const told = slot.host.addresses(slot, generation);
    if (told === null) return NOWHERE;
    const [remote, remotePort, local, localPort] = told;
    this.ends = [
      remote === '' ? undefined : remote,
      remotePort,
      local === '' ? undefined : local,
      localPort,
    ];
    return this.ends;
  }

  private replace(i: number, value: string | number | undefined): void {
    this.ends = this.known().map((old, at) => (at === i ? value : old)) as unknown as Ends;
  }
}
