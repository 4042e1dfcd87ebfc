/**
 * Every option of the server and of its endpoints, with how its value is read from text. Limits are not
 * here: the core has the table of them. That no option is missing, the compiler sees to.
 */
import { limitTable } from '../server/limit-table.js';
import type {
  CertificateOptions,
  EndpointOptions,
  EndpointSettings,
  HostTlsOptions,
  HttpsOptions,
  ServerOptions,
  SniOptions,
} from '../server/options.js';

/** The section of configuration files that has the server's options. */
export const SERVER_SECTION = 'Server';

/**
 * How a value is read from configuration. Strings of each kind stand for what they say; what cannot be
 * read stays as it is, and the server refuses it.
 */
export type OptionKind =
  /** Text, as it is. */
  | 'text'
  /** `true` and `false`, numbers, `null`; else text. */
  | 'plain'
  /** Milliseconds, or `30s`, `00:00:30`; `unlimited` for `null`. */
  | 'duration'
  /** Bytes, or `10mb`; `unlimited` for `null`. */
  | 'size'
  /** A number, octal in text: `660`, `0o660`. */
  | 'octal'
  /** Something that only code can give. */
  | 'code'
  /** Names, in any case of letters; else as `plain`. */
  | { readonly oneOf: readonly string[] }
  /** A list of values of one kind. */
  | { readonly list: OptionKind }
  /** Values of one kind by names that are free. */
  | { readonly map: OptionKind }
  /** Named options. */
  | { readonly members: Readonly<Record<string, OptionKind>> }
  /** The core's table. */
  | 'limits'
  /** Endpoints by name or number. */
  | 'endpoints';

type KeyOfEach<T> = T extends unknown ? keyof T : never;

const PROTOCOLS: OptionKind = { oneOf: ['http1', 'http2', 'http1AndHttp2'] };
const TEXTS: OptionKind = { list: 'text' };
const TLS_VERSION: OptionKind = { oneOf: ['TLSv1.2', 'TLSv1.3'] };

/** A certificate. Bytes are for code; everything else can be named by its file. */
const CERTIFICATE_OPTIONS = {
  cert: TEXTS,
  key: TEXTS,
  passphrase: 'text',
  pfx: 'code',
  certFile: TEXTS,
  keyFile: TEXTS,
  pfxFile: TEXTS,
  ocspResponse: 'code',
} as const satisfies Readonly<Record<keyof CertificateOptions, OptionKind>>;

const HOST_OPTIONS = {
  ...CERTIFICATE_OPTIONS,
  clientCertificateMode: { oneOf: ['none', 'allow', 'require'] },
  allowAnyClientCertificate: 'plain',
  ca: TEXTS,
  caFile: TEXTS,
  minVersion: TLS_VERSION,
  maxVersion: TLS_VERSION,
} as const satisfies Readonly<Record<keyof HostTlsOptions, OptionKind>>;

const SNI_OPTIONS = {
  ...HOST_OPTIONS,
  protocols: PROTOCOLS,
} as const satisfies Readonly<Record<keyof SniOptions, OptionKind>>;

const HTTPS_OPTIONS = {
  ...HOST_OPTIONS,
  sni: { map: { members: SNI_OPTIONS } },
  ciphers: 'text',
  cipherSuites: 'text',
  groups: 'text',
  sessionTickets: 'plain',
  sessionTimeout: 'plain',
  ticketKeys: 'code',
  reloadOnChange: 'plain',
} as const satisfies Readonly<Record<keyof HttpsOptions, OptionKind>>;

/** What every endpoint may say. */
const ENDPOINT_SETTINGS = {
  protocols: PROTOCOLS,
  https: { members: HTTPS_OPTIONS },
  backlog: 'plain',
  noDelay: 'plain',
  reusePort: 'plain',
  proxyProtocol: { members: { trusted: { list: 'text' }, required: 'plain' } },
  allow: { list: 'text' },
  deny: { list: 'text' },
  use: 'code',
} as const satisfies Readonly<Record<keyof EndpointSettings, OptionKind>>;

/** The options of a server. */
export const SERVER_OPTIONS = {
  endpoints: 'endpoints',
  endpointDefaults: { members: ENDPOINT_SETTINGS },
  connectionLimitResponse: { oneOf: ['503', 'close'] },
  onAcceptPaused: 'code',
  onAcceptResumed: 'code',
  limits: 'limits',
  shutdown: { members: { preStopDelay: 'duration', drainWindow: 'duration', timeout: 'duration' } },
  http1: {
    members: {
      allowRawQueryCharacters: 'plain',
      allowBareLineFeed: 'plain',
      allowHostHeaderOverride: 'plain',
    },
  },
  refusals: { oneOf: ['empty', 'text', 'problem'] },
  addServerHeader: 'plain',
  logger: 'code',
  busyPoll: { oneOf: ['adaptive'] },
} as const satisfies Readonly<Record<keyof ServerOptions, OptionKind>>;

/** The options of an endpoint. */
export const ENDPOINT_OPTIONS = {
  url: 'text',
  host: 'text',
  port: 'plain',
  path: 'text',
  mode: 'octal',
  owner: { members: { uid: 'plain', gid: 'plain' } },
  fd: 'plain',
  systemd: 'plain',
  ...ENDPOINT_SETTINGS,
} as const satisfies Readonly<Record<KeyOfEach<EndpointOptions>, OptionKind>>;

/** What the section has beside the options of a server. */
export const CERTIFICATES = 'certificates';

/** The names of what the section can have. */
export function serverOptionNames(): string[] {
  return [...Object.keys(SERVER_OPTIONS), CERTIFICATES];
}

/** What the members of a limit that is an object are where configuration has only some of them. */
export function memberDefaults(limit: string): Record<string, number> {
  const rows = limitTable().filter(({ name }) => name.startsWith(`${limit}.`));
  return Object.fromEntries(rows.map(({ name, initial }) => [name.split('.')[1], initial]));
}

let limits: Readonly<Record<string, OptionKind>> | undefined;

/** The limits, from the core's table; those with a dot in their names as members of one. */
export function limitKinds(): Readonly<Record<string, OptionKind>> {
  if (limits !== undefined) return limits;
  const kinds: Record<string, OptionKind> = {};
  for (const { name, unit } of limitTable()) {
    const kind = unit === 'ms' ? 'duration' : unit.startsWith('bytes') ? 'size' : 'plain';
    const [group, member] = name.split('.') as [string, string?];
    if (member === undefined) {
      kinds[group] = kind;
      continue;
    }
    const known = kinds[group] as { members: Record<string, OptionKind> } | undefined;
    kinds[group] = { members: { ...known?.members, [member]: kind } };
  }
  return (limits = kinds);
}
