/** The connection of a request on the native core, and the request's name. */
import type {
  HttpConnectionFeature,
  HttpRequestIdentifierFeature,
} from '../../features/http-features.js';
import type { ConnectionEnds } from '../connections.js';
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

  get socket(): ConnectionEnds {
    const [remoteAddress, remotePort, localAddress, localPort] = this.ask(true) ?? NOWHERE;
    return { remoteAddress, remotePort, localAddress, localPort };
  }

  /** Asked of the system once, and not before somebody wants to know. */
  private known(): Ends {
    return (this.ends ??= this.ask(false)) ?? NOWHERE;
  }

  private ask(ofSocket: boolean): Ends | undefined {
    this.exchange.ensureLive();
    const { slot, generation } = this.exchange;
    const told = slot.host.addresses(slot, generation, ofSocket);
    if (told === null) return undefined;
    const [remote, remotePort, local, localPort] = told;
    return [
      remote === '' ? undefined : remote,
      remotePort,
      local === '' ? undefined : local,
      localPort,
    ];
  }

  private replace(i: number, value: string | number | undefined): void {
    this.ends = this.known().map((old, at) => (at === i ? value : old)) as unknown as Ends;
  }
}
