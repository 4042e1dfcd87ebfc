/** Where a server listens, and what it does with the connections there. */
import type { ConnectionMiddleware } from './connections.js';
import type { HttpsOptions } from './https-options.js';

/** Where to listen: a URL, an address and a port, a Unix socket, or a socket that is open already. */
export type EndpointOptions =
  UrlEndpoint | TcpEndpoint | UnixEndpoint | DescriptorEndpoint | SystemdEndpoint;

/** What every endpoint may say. */
export interface EndpointSettings {
  /**
   * The protocols to speak. With TLS the default is `'http1AndHttp2'`, of which the client chooses one by
   * ALPN. Without TLS it is `'http1'`, as with Kestrel; there `'http2'` is HTTP/2 with prior knowledge, and
   * `'http1AndHttp2'` tells the two by a connection's first bytes (RFC 9113 section 3.4).
   */
  protocols?: 'http1' | 'http2' | 'http1AndHttp2';
  /**
   * Speaks TLS: certificates and all that belongs to them. `{}` takes the certificate of `windhover
   * dev-certs`, and so does a URL with `https:` that has no such options. As a default
   * (`endpointDefaults.https`) it holds for the endpoints that speak TLS, and makes none of the others do so.
   */
  https?: HttpsOptions;
  /**
   * Connections that the system keeps until they are accepted, 1 to 65,535. Default 512. Not of sockets
   * that are open already. Source: Kestrel's SocketTransportOptions.Backlog.
   */
  backlog?: number;
  /** TCP: whether small writes leave at once (TCP_NODELAY). Default true. Source: Kestrel. */
  noDelay?: boolean;
  /**
   * TCP: whether other processes may listen on the same port, which the system then divides the
   * connections among (SO_REUSEPORT). All of them have to say so, and to belong to the same user.
   * Default false. Not of sockets that are open already.
   */
  reusePort?: boolean;
  /** Believes what a trusted proxy says of its clients: see {@link ProxyProtocolOptions}. */
  proxyProtocol?: ProxyProtocolOptions;
  /**
   * Clients that may connect: IP addresses, networks such as `10.0.0.0/8`, or `unix`. Others are closed
   * before a byte of theirs is read. Default: all. It counts the address that a PROXY header told.
   */
  allow?: readonly string[];
  /** Clients that may not connect, written likewise; wins over `allow`. Default: none. */
  deny?: readonly string[];
  /** What happens on each connection besides HTTP, in this order. Source: Kestrel's ListenOptions.Use. */
  use?: readonly ConnectionMiddleware[];
}

/**
 * The PROXY protocol (versions 1 and 2): how a proxy that forwards bytes tells whose they are.
 *
 * | Peer | `required: true` | `required: false` |
 * |---|---|---|
 * | trusted | must begin with a header; else it is closed | may begin with a header |
 * | anybody else | closed at once | served as it is; a header is a bad request |
 *
 * A header that breaks the rules closes the connection without an answer. It has to be there within
 * `limits.requestHeadersTimeout` from the accept.
 */
export interface ProxyProtocolOptions {
  /** Peers that may send a header: IP addresses, networks such as `10.0.0.0/8`, or `unix`. */
  trusted: readonly string[];
  /** Whether there must be a header. Default true. */
  required?: boolean;
}

/** An endpoint by URL. */
export interface UrlEndpoint extends EndpointSettings {
  /**
   * `http://host:port` or `https://host:port` (port 80 or 443 where none is given), or
   * `http://unix:/absolute/path`. The host is an address, `localhost` (both loopbacks), or anything else,
   * such as `*`, for every address.
   */
  url: string;
}

/** An endpoint by address and port. */
export interface TcpEndpoint extends EndpointSettings {
  /** An IP address, `localhost` (both loopbacks), or `*` for every address. Default `localhost`. */
  host?: string;
  /** 0 to 65535; 0 lets the system choose. */
  port: number;
}

/** A Unix socket. */
export interface UnixEndpoint extends EndpointSettings {
  /** The absolute path of the socket. A file that a dead server left there is removed. */
  path: string;
  /** The socket file's mode, such as `0o660`. Default: what the umask leaves. */
  mode?: number;
  /** The socket file's owner. Default: the process's. */
  owner?: { uid: number; gid: number };
}

/** A socket that another process opened and made to listen. Source: Kestrel's ListenHandle. */
export interface DescriptorEndpoint extends EndpointSettings {
  /**
   * The descriptor's number, 0 or more. The server listens on a copy: the descriptor itself stays open
   * when it stops.
   */
  fd: number;
}

/**
 * Sockets that systemd opened for this process (socket activation, sd_listen_fds(3)). The start fails
 * where there are none: LISTEN_PID has to be this process's, and LISTEN_FDS above 0.
 * Source: Kestrel's UseSystemd.
 */
export interface SystemdEndpoint extends EndpointSettings {
  /** `true` for all of them, or the name of some (FileDescriptorName= of the socket unit). */
  systemd: true | string;
}
