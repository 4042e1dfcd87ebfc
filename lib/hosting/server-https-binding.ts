/**
 * HTTPS in configuration: the options' own names (`Https`), and those of Kestrel's files beside them, which
 * are the same thing (`Certificate`, `Sni`, `ClientCertificateMode`, `SslProtocols`, `Certificates:Default`).
 */
import { resolve } from 'node:path';
import { codedTypeError } from '../http/errors.js';
import type { HttpsOptions } from '../server/options.js';
import type { OptionKind } from './server-options-table.js';

const CERTIFICATE: OptionKind = { members: { path: 'text', keyPath: 'text', password: 'text' } };

const MODES = {
  nocertificate: 'none',
  allowcertificate: 'allow',
  requirecertificate: 'require',
} as const;

const VERSIONS = { tls12: 'TLSv1.2', tls13: 'TLSv1.3' } as const;

const HOST_KINDS = {
  certificate: CERTIFICATE,
  clientCertificateMode: 'text',
  sslProtocols: { list: 'text' },
} as const satisfies Readonly<Record<string, OptionKind>>;

/** Kestrel's names of what an endpoint says about TLS. */
export const KESTREL_ENDPOINT: Readonly<Record<string, OptionKind>> = {
  ...HOST_KINDS,
  sni: {
    map: {
      members: { ...HOST_KINDS, protocols: { oneOf: ['http1', 'http2', 'http1AndHttp2'] } },
    },
  },
};

/** The section `Certificates`. */
export const KESTREL_CERTIFICATES: OptionKind = { members: { default: CERTIFICATE } };

type Converted = Readonly<Record<string, unknown>>;

/**
 * An endpoint, or the defaults of all, with what Kestrel's names say in its `https`, whose own names win.
 *
 * @param name - The endpoint's name in messages.
 * @param contentRoot - What paths are relative to.
 * @throws TypeError WH_ERR_INVALID_OPTION
 */
export function withHttps(name: string, converted: Converted, contentRoot: string): Converted {
  const { certificate, clientCertificateMode, sslProtocols, sni, ...others } = converted;
  const told = toHost(name, { certificate, clientCertificateMode, sslProtocols });
  if (isObject(sni)) {
    const hosts = Object.entries(sni).map(([host, settings]) => {
      if (!isObject(settings)) return [host, settings];
      const { protocols } = settings;
      return [
        host,
        {
          ...toHost(`${name}.sni.${host}`, settings),
          ...(protocols === undefined ? {} : { protocols }),
        },
      ];
    });
    told['sni'] = Object.fromEntries(hosts);
  } else if (sni !== undefined) told['sni'] = sni; // the server refuses it
  const { https: own } = others;
  if (own !== undefined && !isObject(own)) return others; // likewise
  if (own === undefined && Object.keys(told).length === 0) return others;
  return { ...others, https: rooted({ ...told, ...(own ?? {}) }, contentRoot) };
}

/** The default certificate, as defaults of all endpoints have it. */
export function withDefaultCertificate(
  certificates: Converted,
  defaults: Converted,
  contentRoot: string,
): Converted {
  const told = toHost('certificates.default', { certificate: certificates['default'] });
  const { https = {} } = defaults as { https?: HttpsOptions };
  return { ...defaults, https: { ...rooted(told, contentRoot), ...https } };
}

function toHost(name: string, settings: Converted): Record<string, unknown> {
  const { certificate, clientCertificateMode: mode, sslProtocols } = settings;
  return {
    ...(certificate === undefined ? {} : toCertificate(`${name}.certificate`, certificate)),
    ...(mode === undefined ? {} : { clientCertificateMode: toMode(mode) }),
    ...(sslProtocols === undefined ? {} : toVersions(`${name}.sslProtocols`, sslProtocols)),
  };
}

function toCertificate(name: string, certificate: unknown): Converted {
  if (!isObject(certificate)) throw codedTypeError(CODE, `option '${name}' must be an object`);
  const { path, keyPath, password } = certificate;
  if (typeof path !== 'string') {
    throw codedTypeError(CODE, `option '${name}' needs the option 'path'`);
  }
  const isArchive = keyPath === undefined && /\.(?:pfx|p12)$/i.test(path);
  return {
    ...(isArchive ? { pfxFile: path } : { certFile: path }),
    ...(keyPath === undefined ? {} : { keyFile: keyPath }),
    ...(password === undefined
      ? {}
      : { passphrase: typeof password === 'number' ? String(password) : password }),
  };
}

function toMode(mode: unknown): unknown {
  const lower = String(mode).toLowerCase();
  return Object.hasOwn(MODES, lower) ? MODES[lower as keyof typeof MODES] : lower;
}

/** The lowest and the highest one of a list. */
function toVersions(name: string, list: unknown): Converted {
  const versions = (Array.isArray(list) ? (list as unknown[]) : [list]).map((entry) => {
    const lower = String(entry).toLowerCase();
    if (Object.hasOwn(VERSIONS, lower)) return VERSIONS[lower as keyof typeof VERSIONS];
    throw codedTypeError(
      CODE,
      `option '${name}' must be 'Tls12' or 'Tls13', not '${String(entry)}'`,
    );
  });
  versions.sort();
  return { minVersion: versions.at(0), maxVersion: versions.at(-1) };
}

/** The same with paths that are relative to the content root. */
function rooted(options: Converted, contentRoot: string): Converted {
  const root = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(root);
    return typeof value === 'string' && value !== '' ? resolve(contentRoot, value) : value;
  };
  const paths = new Set(['certFile', 'keyFile', 'pfxFile', 'caFile']);
  return Object.fromEntries(
    Object.entries(options).map(([option, value]) => {
      if (paths.has(option)) return [option, root(value)];
      if (option !== 'sni' || !isObject(value)) return [option, value];
      const hosts = Object.entries(value).map(([host, settings]) => [
        host,
        isObject(settings) ? rooted(settings, contentRoot) : settings,
      ]);
      return [option, Object.fromEntries(hosts) as unknown];
    }),
  );
}

const CODE = 'WH_ERR_INVALID_OPTION';

function isObject(value: unknown): value is Converted {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
