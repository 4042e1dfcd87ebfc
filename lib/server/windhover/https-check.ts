/** Checks the https options of an endpoint, and settles what each host name of it has. */
import { resolve } from 'node:path';
import { codedRangeError, codedTypeError } from '../../http/errors.js';
import type { HostTlsOptions, HttpsOptions, SniOptions } from '../https-options.js';
import {
  CODE,
  refuseUnknown,
  requireBoolean,
  requireInteger,
  requireObject,
  requireString,
  wrongType,
} from '../../http/option-errors.js';

/** Bits of the core's WH_PROTOCOL_HTTP1 and _HTTP2. */
export const PROTOCOLS = { http1: 1, http2: 2, http1AndHttp2: 3 } as const;

const VERSIONS = { 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 } as const;

/** In the order of the core's wh_tls_client_mode. */
const CLIENT_MODES = ['none', 'allow', 'require'] as const;

/** What makes a certificate: taken together from one place, never a part of it. */
const CERTIFICATE = [
  'cert',
  'key',
  'passphrase',
  'pfx',
  'certFile',
  'keyFile',
  'pfxFile',
  'ocspResponse',
] as const;
const AUTHORITIES = ['ca', 'caFile'] as const;

const HOST_OPTIONS = [
  ...CERTIFICATE,
  ...AUTHORITIES,
  'clientCertificateMode',
  'allowAnyClientCertificate',
  'minVersion',
  'maxVersion',
] as const satisfies readonly (keyof HostTlsOptions)[];

const SNI_OPTIONS: ReadonlySet<string> = new Set([...HOST_OPTIONS, 'protocols']);

const OPTIONS: ReadonlySet<string> = new Set([
  ...HOST_OPTIONS,
  'sni',
  'ciphers',
  'cipherSuites',
  'groups',
  'sessionTickets',
  'sessionTimeout',
  'ticketKeys',
  'reloadOnChange',
] satisfies (keyof HttpsOptions)[]);

/** Bytes of a ticket key: the core's WH_TLS_TICKET_KEY_SIZE. */
const TICKET_KEY_SIZE = 80;
/** Seven days, the most that RFC 8446 section 4.6.1 allows (s). */
const SESSION_TIMEOUT_MAX = 604_800;
/** Two hours (s), as OpenSSL 3 and nginx's examples have it. */
const SESSION_TIMEOUT = 7_200;

/** A host name, or one below which all are meant. */
const HOST_NAME = /^(?:\*\.)?(?:[a-z0-9_][a-z0-9_-]{0,62}\.)*[a-z0-9_][a-z0-9_-]{0,62}$/;
const HOST_NAME_MAX = 255;

/** Where something is to be read: bytes that are there, or a file and the option that names it. */
export type Source = Uint8Array | { readonly file: string; readonly option: string };

export interface CheckedIdentity {
  readonly cert?: Source;
  readonly key?: Source;
  readonly pfx?: Source;
  readonly passphrase?: string;
  readonly ocsp?: Uint8Array;
}

export interface CheckedHost {
  /** In lower case. */
  readonly name: string;
  /** None: the development certificate. */
  readonly identities: readonly CheckedIdentity[];
  readonly protocols: number;
  readonly minVersion: number;
  readonly maxVersion: number;
  readonly clientMode: number;
  readonly anyClient: boolean;
  readonly authorities: readonly Source[];
}

/** How an endpoint speaks TLS, ready to be read from its files. */
export interface CheckedHttps {
  /** Its name in messages. */
  readonly name: string;
  readonly hosts: readonly CheckedHost[];
  readonly protocols: number;
  readonly ciphers: string | undefined;
  readonly cipherSuites: string | undefined;
  readonly groups: string | undefined;
  readonly tickets: boolean;
  readonly sessionSeconds: number;
  /** All of them one behind the other; none: random ones. */
  readonly ticketKeys: Uint8Array | undefined;
  readonly reloadOnChange: boolean;
}

/**
 * Checks the options and settles what stands where. What certificates say is looked at when they are used.
 *
 * @param name - The name of the option in messages.
 * @param protocols - Those of the endpoint.
 * @param defaults - Options that hold where these say nothing; checked already.
 * @throws TypeError or RangeError WH_ERR_INVALID_OPTION, naming the option, and the value unless it is a
 * secret.
 */
export function checkHttps(
  name: string,
  options: HttpsOptions,
  protocols: number,
  defaults: HttpsOptions = {},
): CheckedHttps {
  checkShape(name, options);
  const whole: HttpsOptions = inherit(options, defaults);
  const { sni = {}, ciphers, cipherSuites, groups } = whole;
  const hosts = Object.entries(sni).map(([host, own]) => {
    const at = `${name}.sni['${host}']`;
    const settings = inherit(own, whole);
    const spoken = own.protocols === undefined ? protocols : PROTOCOLS[own.protocols];
    const checked = toHost(at, host.toLowerCase(), settings, spoken);
    if (checked.identities.length > 0) return checked;
    throw codedTypeError(
      CODE,
      `option '${at}' needs a certificate ('cert', 'certFile', 'pfx' or 'pfxFile'), because '${name}' has none`,
    );
  });
  if (!hosts.some((host) => host.name === '*')) {
    const own = toHost(name, '*', whole, protocols);
    if (own.identities.length > 0 || hosts.length === 0) hosts.push(own);
  }
  return {
    name,
    hosts,
    protocols,
    ciphers,
    cipherSuites,
    groups,
    tickets: whole.sessionTickets ?? true,
    sessionSeconds: whole.sessionTimeout ?? SESSION_TIMEOUT,
    ticketKeys:
      whole.ticketKeys === undefined
        ? undefined
        : checkTicketKeys(`${name}.ticketKeys`, whole.ticketKeys),
    reloadOnChange: whole.reloadOnChange ?? true,
  };
}

/** Whether the options name a certificate of their own. */
function hasCertificate(options: HostTlsOptions): boolean {
  const { cert, certFile, pfx, pfxFile } = options;
  return [cert, certFile, pfx, pfxFile].some((value) => value !== undefined);
}

/** What somebody says, and else what the others say; a certificate, and authorities, as a whole. */
function inherit<T extends HostTlsOptions>(own: T, others: T): T;
function inherit(own: SniOptions, others: HttpsOptions): HostTlsOptions;
function inherit(own: HostTlsOptions, others: HostTlsOptions): HostTlsOptions {
  const skipped = new Set<string>([
    ...(CERTIFICATE.some((option) => own[option] !== undefined) ? CERTIFICATE : []),
    ...(AUTHORITIES.some((option) => own[option] !== undefined) ? AUTHORITIES : []),
  ]);
  const given = (options: object): [string, unknown][] =>
    Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries([
    ...given(others).filter(([option]) => !skipped.has(option)),
    ...given(own),
  ]);
}

// --- the shape of what was given ---

/** Checks every option by itself. Errors as of {@link checkHttps}. */
export function checkShape(name: string, options: HttpsOptions): void {
  requireObject(name, options);
  if ('handshakeTimeout' in options && options.handshakeTimeout !== undefined) {
    throw codedTypeError(
      CODE,
      `there is no option '${name}.handshakeTimeout': it is 'limits.handshakeTimeout'`,
    );
  }
  refuseUnknown(options, OPTIONS, `${name}.`);
  checkHostShape(name, options);
  for (const option of ['ciphers', 'cipherSuites', 'groups'] as const) {
    const value: unknown = options[option];
    if (value === undefined) continue;
    requireString(`${name}.${option}`, value);
    if (!/^[\x21-\x7e]+$/.test(value as string)) {
      throw wrongType(`${name}.${option}`, 'names with colons between them', value);
    }
  }
  const { sessionTickets, sessionTimeout, reloadOnChange, ticketKeys, sni } = options;
  if (sessionTickets !== undefined) requireBoolean(`${name}.sessionTickets`, sessionTickets);
  if (reloadOnChange !== undefined) requireBoolean(`${name}.reloadOnChange`, reloadOnChange);
  if (sessionTimeout !== undefined) {
    requireInteger(`${name}.sessionTimeout`, SESSION_TIMEOUT_MAX, sessionTimeout, 1);
  }
  if (ticketKeys !== undefined) checkTicketKeys(`${name}.ticketKeys`, ticketKeys);
  if (sni !== undefined) checkSni(`${name}.sni`, sni);
}

function checkSni(name: string, sni: Readonly<Record<string, SniOptions>>): void {
  requireObject(name, sni);
  const known = new Set<string>();
  for (const [host, options] of Object.entries(sni)) {
    const lower = host.toLowerCase();
    if (host !== '*' && (!HOST_NAME.test(lower) || lower.length > HOST_NAME_MAX)) {
      const expected = "host names, '*.' with one, or '*' (names with other letters as xn--...)";
      throw codedRangeError(CODE, `option '${name}' must have ${expected}, not '${host}'`);
    }
    if (known.has(lower)) throw codedRangeError(CODE, `option '${name}' has '${lower}' twice`);
    known.add(lower);
    const at = `${name}['${host}']`;
    requireObject(at, options);
    refuseUnknown(options, SNI_OPTIONS, `${at}.`);
    checkHostShape(at, options);
    if (options.protocols !== undefined) toProtocols(`${at}.protocols`, options.protocols);
  }
}

/** The protocols as the core's bits. */
export function toProtocols(name: string, protocols: unknown): number {
  const bits = (PROTOCOLS as Record<string, number | undefined>)[String(protocols)];
  if (bits !== undefined && typeof protocols === 'string') return bits;
  throw wrongType(name, "'http1', 'http2' or 'http1AndHttp2'", protocols);
}

function checkHostShape(name: string, options: HostTlsOptions): void {
  toIdentities(name, options);
  toAuthorities(name, options);
  const { clientCertificateMode: mode, allowAnyClientCertificate: any } = options;
  if (mode !== undefined && !CLIENT_MODES.includes(mode)) {
    throw wrongType(`${name}.clientCertificateMode`, "'none', 'allow' or 'require'", mode);
  }
  if (any !== undefined) requireBoolean(`${name}.allowAnyClientCertificate`, any);
  for (const option of ['minVersion', 'maxVersion'] as const) {
    const value: unknown = options[option];
    if (value === undefined || (typeof value === 'string' && Object.hasOwn(VERSIONS, value))) {
      continue;
    }
    throw wrongType(`${name}.${option}`, "'TLSv1.2' or 'TLSv1.3'", value);
  }
}

function toHost(
  name: string,
  host: string,
  options: HostTlsOptions,
  protocols: number,
): CheckedHost {
  const { minVersion = 'TLSv1.2', maxVersion = 'TLSv1.3', clientCertificateMode } = options;
  if (VERSIONS[minVersion] > VERSIONS[maxVersion]) {
    const text = `option '${name}.minVersion' ('${minVersion}') must not be above '${name}.maxVersion' ('${maxVersion}')`;
    throw codedRangeError(CODE, text);
  }
  return {
    name: host,
    identities: toIdentities(name, options),
    protocols,
    minVersion: VERSIONS[minVersion],
    maxVersion: VERSIONS[maxVersion],
    clientMode: CLIENT_MODES.indexOf(clientCertificateMode ?? 'none'),
    anyClient: options.allowAnyClientCertificate ?? false,
    authorities: toAuthorities(name, options),
  };
}

// --- certificates ---

function toIdentities(name: string, options: HostTlsOptions): CheckedIdentity[] {
  const { cert, key, passphrase, pfx, certFile, keyFile, pfxFile, ocspResponse: ocsp } = options;
  const given = Object.entries({ cert, certFile, pfx, pfxFile }).filter(
    ([, value]) => value !== undefined,
  );
  if (given.length > 1) {
    const names = given.map(([option]) => `'${option}'`).join(' and ');
    throw codedTypeError(CODE, `option '${name}' can have one certificate, but has ${names}`);
  }
  if (key !== undefined && keyFile !== undefined) {
    throw codedTypeError(CODE, `option '${name}' can have one key, but has 'key' and 'keyFile'`);
  }
  if (passphrase !== undefined && (typeof passphrase !== 'string' || passphrase.includes('\0'))) {
    throw hidden(`${name}.passphrase`, 'a string without NUL', passphrase);
  }
  const archives = [
    ...toSources(`${name}.pfx`, pfx, isArchive, 'a Uint8Array with a PKCS #12 archive'),
    ...toFiles(`${name}.pfxFile`, pfxFile),
  ];
  const certificates = [
    ...toSources(`${name}.cert`, cert, isPem, `${PEM}; paths are for 'certFile'`),
    ...toFiles(`${name}.certFile`, certFile),
  ];
  const keys = [
    ...toSources(`${name}.key`, key, isPem, `${PEM}; paths are for 'keyFile'`),
    ...toFiles(`${name}.keyFile`, keyFile),
  ];
  if (keys.length > 0 && keys.length !== certificates.length) {
    const [keyName, numbers] = [key === undefined ? 'keyFile' : 'key', certificates.length];
    throw codedTypeError(
      CODE,
      `option '${name}.${keyName}' has ${String(keys.length)} of the keys of ${String(numbers)} certificates`,
    );
  }
  if (ocsp !== undefined) {
    if (!(ocsp instanceof Uint8Array)) {
      throw wrongType(`${name}.ocspResponse`, 'a Uint8Array', ocsp);
    }
    if (archives.length + certificates.length !== 1) {
      throw codedTypeError(CODE, `option '${name}.ocspResponse' needs one certificate beside it`);
    }
  }
  if (!hasCertificate(options) && passphrase !== undefined) {
    throw codedTypeError(CODE, `option '${name}.passphrase' needs a certificate beside it`);
  }
  const common = {
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ocsp === undefined ? {} : { ocsp }),
  };
  return [
    ...archives.map((archive) => ({ pfx: archive, ...common })),
    ...certificates.map((certificate, i) => ({
      cert: certificate,
      ...(keys.length === 0 ? {} : { key: keys[i] }),
      ...common,
    })),
  ];
}

function toAuthorities(name: string, { ca, caFile }: HostTlsOptions): Source[] {
  if (ca !== undefined && caFile !== undefined) {
    throw codedTypeError(CODE, `option '${name}' can have 'ca' or 'caFile', but has both`);
  }
  return [
    ...toSources(`${name}.ca`, ca, isPem, `${PEM}; paths are for 'caFile'`),
    ...toFiles(`${name}.caFile`, caFile),
  ];
}

const PEM = 'PEM as a string or a Uint8Array';

function isPem(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('-----BEGIN ');
  return value instanceof Uint8Array && value.length > 0;
}

function isArchive(value: unknown): boolean {
  return value instanceof Uint8Array && value.length > 0;
}

function toList(name: string, value: unknown): (readonly [name: string, value: unknown])[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return [[name, value]];
  if (value.length === 0) throw codedTypeError(CODE, `option '${name}' must not be empty`);
  return value.map((entry: unknown, i) => [`${name}[${String(i)}]`, entry] as const);
}

function toSources(
  name: string,
  value: unknown,
  isRight: (value: unknown) => boolean,
  expected: string,
): Source[] {
  return toList(name, value).map(([option, entry]) => {
    if (!isRight(entry)) throw hidden(option, expected, entry);
    // A copy: what is checked is what is used.
    return Buffer.from(entry as string);
  });
}

function toFiles(name: string, value: unknown): Source[] {
  return toList(name, value).map(([option, entry]) => {
    if (typeof entry !== 'string') throw wrongType(option, 'a path', entry);
    // What looks like a key must not be shown.
    if (entry === '' || /[\0\n]|-----BEGIN /.test(entry)) throw hidden(option, 'a path', entry);
    return { file: resolve(entry), option };
  });
}

/** The keys one behind the other. Errors as of {@link checkHttps}. */
export function checkTicketKeys(name: string, keys: unknown): Uint8Array {
  const size = String(TICKET_KEY_SIZE);
  const list = toList(name, keys).map(([option, key]) => {
    if (!(key instanceof Uint8Array)) throw hidden(option, `a Uint8Array of ${size} bytes`, key);
    if (key.length > 0 && key.length % TICKET_KEY_SIZE === 0) return key;
    throw codedRangeError(
      CODE,
      `option '${option}' must have ${size} bytes for each key, not ${String(key.length)}`,
    );
  });
  return Buffer.concat(list);
}

/** An error that tells of a secret only what kind of thing it is. */
function hidden(name: string, expected: string, value: unknown): TypeError {
  const kind =
    typeof value === 'string'
      ? value === ''
        ? 'an empty string'
        : 'another string'
      : value === null
        ? 'null'
        : value instanceof Uint8Array
          ? 'an empty one'
          : `a value of type ${typeof value}`;
  return codedTypeError(CODE, `option '${name}' must be ${expected}, not ${kind}`);
}
