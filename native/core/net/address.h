/*
 * Addresses (who is at an end of a connection) and endpoints (where to listen, and how).
 *
 * Every function here can be called on any thread. Texts are bytes with a length on the way in and
 * NUL-terminated on the way out. A `message` receives one English sentence for the person who wrote
 * the value, cut to fit, with control bytes escaped; it may be NULL, and is written only on
 * failure.
 */
#ifndef WH_NET_ADDRESS_H
#define WH_NET_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#include "net/socket.h"

/* Room for every text of wh_address_format (39 bytes for eight full groups, more if mixed). */
#define WH_ADDRESS_TEXT_SIZE 46
/* Room for every URL of wh_endpoint_format and wh_listening_url. */
#define WH_ENDPOINT_TEXT_SIZE 280
/* Room for every message; a smaller buffer gets the message cut. */
#define WH_MESSAGE_SIZE 512

enum {
  WH_ADDRESS_NONE = 0,
  WH_ADDRESS_UNIX =
      1, /* no name is kept: the peer of a Unix socket has none, ours is the endpoint */
  WH_ADDRESS_IPV4 = 4,
  WH_ADDRESS_IPV6 = 6
};

/* One end of a connection. 20 bytes, kept by every connection, comparable with memcmp. */
typedef struct wh_address {
  uint8_t family;    /* WH_ADDRESS_... */
  uint8_t reserved;  /* 0 */
  uint16_t port;     /* in host order; 0 where there is none */
  uint8_t bytes[16]; /* in network order; IPv4 uses the first four, the rest are 0 */
} wh_address;

/*
 * What the system calls an address, as ours. An IPv4-mapped IPv6 address (::ffff:1.2.3.4) becomes
 * IPv4, so that a dual-stack listener reports what the client used. Anything unknown, NULL or too
 * short becomes WH_ADDRESS_NONE.
 */
void wh_address_from_sockaddr(wh_address *out, const struct sockaddr *address, socklen_t length);

/* The address of our end and of the other end. 0 or a wh_error; *out is WH_ADDRESS_NONE on error.
 */
int wh_address_local(wh_socket socket, wh_address *out);
int wh_address_peer(wh_socket socket, wh_address *out);

/*
 * Reads an IP address as inet_pton does: four numbers without leading zeros, or an IPv6 address
 * without brackets and zone. IPv4-mapped becomes IPv4. 0 or WH_ERR_ADDRESS_INVALID; *out is then as
 * it was. The port is 0.
 */
int wh_address_parse(const char *text, size_t length, wh_address *out);

/* An address of that family from its 4 or 16 bytes; IPv4-mapped becomes IPv4. */
void wh_address_from_bytes(wh_address *out, int family, const uint8_t *bytes, uint16_t port);

/*
 * The IP address as text, without port and brackets, as RFC 5952 section 4 says (and section 5 for
 * IPv4-mapped). Returns the length of the whole text; what does not fit is cut, as snprintf does.
 * Empty (0) for a Unix socket and for none.
 */
size_t wh_address_format(const wh_address *address, char *out, size_t size);

enum {
  WH_ENDPOINT_IP = 1,        /* an IP literal, in `address`; [::] takes IPv4 too unless ipv6_only */
  WH_ENDPOINT_LOCALHOST = 2, /* 127.0.0.1 and [::1], the same port */
  WH_ENDPOINT_ANY = 3,       /* every address: dual-stack [::], or 0.0.0.0 where IPv6 is missing */
  WH_ENDPOINT_UNIX = 4,      /* a Unix socket at `path` */
  WH_ENDPOINT_INHERITED = 5  /* a descriptor that listens already, `fd` */
};

/* Kestrel's SocketTransportOptions.Backlog. */
#define WH_BACKLOG_DEFAULT 512

/* Where to listen and how. The parse functions fill all of it; change the options afterwards. */
typedef struct wh_endpoint {
  int kind;           /* WH_ENDPOINT_... */
  int https;          /* 1 if the URL said https; only the URL text depends on it here */
  uint16_t port;      /* in host order; 0 = the system chooses */
  wh_address address; /* of WH_ENDPOINT_IP, with the port; else none */
  char host[256];     /* as written, without brackets and zone; empty for a Unix socket */
  char zone[16];      /* of a link-local IPv6 address (fe80::1%eth0): interface name or number */
  char path[108];     /* absolute; empty unless WH_ENDPOINT_UNIX */
  int fd;             /* of WH_ENDPOINT_INHERITED; else -1 */

  /* Options, with the defaults that wh_endpoint_init sets. */
  int backlog;      /* 512; connections that wait for accept, 1 or more */
  int unix_mode;    /* -1 = what the umask leaves, else 0 to 0777 */
  int64_t unix_uid; /* -1 = leave */
  int64_t unix_gid; /* -1 = leave */
  int reuse_port;   /* 0; 1 = SO_REUSEPORT: several listeners share one port */
  int ipv6_only;    /* 0; 1 = [::] and ANY take IPv6 alone */
  int no_delay;     /* 1; TCP_NODELAY on accepted connections */
} wh_endpoint;

/* No endpoint, all options at their defaults. */
void wh_endpoint_init(wh_endpoint *out);

/*
 * Reads a URL to listen on: http://host:port, https://host:port, http://unix:/absolute/path.
 *
 * The scheme's case does not matter; without a port it is 80 or 443; one "/" may close it. The host
 * is an IP literal (IPv6 in brackets, with a zone after % or %25 if link-local); `localhost` or a
 * name under it (both loopbacks); `*` or `+` (ANY). Any other host name means ANY too, as Kestrel
 * has it: a server does not resolve names, and which name a client used is in its Host header.
 *
 * Where Kestrel takes what it cannot split as a host name, and then listens on every address, this
 * refuses with WH_ERR_ADDRESS_INVALID: another scheme, a path, query, fragment or user, a bad or
 * empty port, a missing host, blanks and control bytes anywhere, a name that ends in a number but
 * is no IPv4 address (127.0.0.256), a character that no host name has, a relative Unix path, one
 * with
 * `:`, `?` or `#` (for which wh_endpoint_from_path is there) or too long for this system.
 */
int wh_endpoint_parse_url(const char *url, size_t length, wh_endpoint *out, char *message,
                          size_t message_size);

/*
 * The same for a host and a port given apart; IPv6 literals with or without brackets. A port
 * outside 0 to 65535 is WH_ERR_ADDRESS_INVALID.
 */
int wh_endpoint_parse_host(const char *host, size_t length, long port, wh_endpoint *out,
                           char *message, size_t message_size);

/* The same for a Unix socket: an absolute path of any bytes but NUL that names a file. */
int wh_endpoint_from_path(const char *path, size_t length, wh_endpoint *out, char *message,
                          size_t message_size);

/* The same for a descriptor that another process opened and made to listen; 0 or more. */
int wh_endpoint_from_descriptor(int fd, wh_endpoint *out, char *message, size_t message_size);

/*
 * The endpoint as a URL, as it was asked for (http://localhost:0); a descriptor as "descriptor 3".
 * Returns the length of the whole text; what does not fit is cut.
 */
size_t wh_endpoint_format(const wh_endpoint *endpoint, char *out, size_t size);

/* Room for every text of wh_endpoint_describe. */
#define WH_ENDPOINT_DESCRIPTION_SIZE 408

/*
 * The same for messages and logs: control bytes (a path can have them) as \xNN, and "..." after the
 * first hundred bytes.
 */
size_t wh_endpoint_describe(const wh_endpoint *endpoint, char *out, size_t size);

#endif
