#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "net/address.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef _WIN32
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>
#endif

_Static_assert(sizeof(wh_address) == 20, "kept by every connection");

/* --- Addresses --- */

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void set_ipv4(wh_address *out, const void *bytes, uint16_t port) {
  memset(out, 0, sizeof *out);
  out->family = WH_ADDRESS_IPV4;
  out->port = port;
  memcpy(out->bytes, bytes, 4);
}

static void set_ipv6(wh_address *out, const void *bytes, uint16_t port) {
  if (memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
    set_ipv4(out, (const uint8_t *)bytes + sizeof mapped_prefix, port);
    return;
  }
  memset(out, 0, sizeof *out);
  out->family = WH_ADDRESS_IPV6;
  out->port = port;
  memcpy(out->bytes, bytes, 16);
}

void wh_address_from_sockaddr(wh_address *out, const struct sockaddr *address, socklen_t length) {
  memset(out, 0, sizeof *out);
  if (!address ||
      (size_t)length < offsetof(struct sockaddr, sa_family) + sizeof address->sa_family) {
    return;
  }
  /* Copies, because the caller's memory need not be aligned for the wider type. */
  if (address->sa_family == AF_INET && (size_t)length >= sizeof(struct sockaddr_in)) {
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof v4);
    set_ipv4(out, &v4.sin_addr, ntohs(v4.sin_port));
  } else if (address->sa_family == AF_INET6 && (size_t)length >= sizeof(struct sockaddr_in6)) {
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof v6);
    set_ipv6(out, &v6.sin6_addr, ntohs(v6.sin6_port));
  } else if (address->sa_family == AF_UNIX) {
    out->family = WH_ADDRESS_UNIX;
  }
}

typedef int (*name_call)(wh_socket, struct sockaddr *, socklen_t *);

static int address_by(name_call call, wh_socket socket, wh_address *out) {
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  memset(out, 0, sizeof *out);
  memset(&storage, 0, sizeof storage);
  if (call(socket, (struct sockaddr *)&storage, &length) != 0) {
#ifndef _WIN32
    if (errno == ENOTCONN) return WH_ERR_CLOSED; /* the peer left before we asked */
#endif
    return wh_error_from_errno(errno);
  }
  wh_address_from_sockaddr(out, (const struct sockaddr *)&storage, length);
  return WH_OK;
}

int wh_address_local(wh_socket socket, wh_address *out) {
  return address_by(getsockname, socket, out);
}

int wh_address_peer(wh_socket socket, wh_address *out) {
  return address_by(getpeername, socket, out);
}

void wh_address_from_bytes(wh_address *out, int family, const uint8_t *bytes, uint16_t port) {
  if (family == WH_ADDRESS_IPV4)
    set_ipv4(out, bytes, port);
  else
    set_ipv6(out, bytes, port);
}

int wh_address_parse(const char *text, size_t length, wh_address *out) {
  char copy[WH_ADDRESS_TEXT_SIZE];
  uint8_t bytes[16];
  if (length >= sizeof copy || memchr(text, '\0', length)) return WH_ERR_ADDRESS_INVALID;
  memcpy(copy, text, length);
  copy[length] = '\0';
  if (inet_pton(AF_INET, copy, bytes) == 1) {
    set_ipv4(out, bytes, 0);
  } else if (inet_pton(AF_INET6, copy, bytes) == 1) {
    set_ipv6(out, bytes, 0);
  } else {
    return WH_ERR_ADDRESS_INVALID;
  }
  return WH_OK;
}

static char *put_decimal(char *at, unsigned value) {
  if (value >= 100) *at++ = (char)('0' + value / 100);
  if (value >= 10) *at++ = (char)('0' + value / 10 % 10);
  *at++ = (char)('0' + value % 10);
  return at;
}

static char *put_ipv4(char *at, const uint8_t *bytes) {
  for (int i = 0; i < 4; i++) {
    if (i > 0) *at++ = '.';
    at = put_decimal(at, bytes[i]);
  }
  return at;
}

static char *put_hex(char *at, unsigned value) {
  static const char digits[] = "0123456789abcdef";
  int shift = 12;
  while (shift > 0 && (value >> shift) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) *at++ = digits[(value >> shift) & 15];
  return at;
}

/* inet_ntop is not used: platforms differ in which zeros they shorten and what they write mixed. */
static char *put_ipv6(char *at, const uint8_t *bytes) {
  if (memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
    memcpy(at, "::ffff:", 7);
    return put_ipv4(at + 7, bytes + 12);
  }
  unsigned groups[8];
  for (int i = 0; i < 8; i++) groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];

  /* The longest run of zero groups, the first of equals; a single one is not shortened. */
  int best = -1, best_length = 1;
  for (int i = 0; i < 8;) {
    int end = i;
    while (end < 8 && groups[end] == 0) end++;
    if (end - i > best_length) {
      best = i;
      best_length = end - i;
    }
    i = end + 1;
  }
  for (int i = 0; i < 8; i++) {
    if (i == best) {
      *at++ = ':';
      *at++ = ':';
      i += best_length - 1;
      continue;
    }
    if (i > 0 && i != best + best_length) *at++ = ':';
    at = put_hex(at, groups[i]);
  }
  return at;
}

/* Copies what fits, ends it with NUL, returns the whole length. */
static size_t deliver(const char *text, size_t length, char *out, size_t size) {
  if (size > 0) {
    size_t fits = length < size ? length : size - 1;
    memcpy(out, text, fits);
    out[fits] = '\0';
  }
  return length;
}

size_t wh_address_format(const wh_address *address, char *out, size_t size) {
  char text[WH_ADDRESS_TEXT_SIZE];
  char *end = text;
  if (address->family == WH_ADDRESS_IPV4) end = put_ipv4(text, address->bytes);
  if (address->family == WH_ADDRESS_IPV6) end = put_ipv6(text, address->bytes);
  return deliver(text, (size_t)(end - text), out, size);
}

/* --- Reading endpoints --- */

/* The value being read, and where to say what is wrong with it. */
typedef struct reader {
  const char *value;
  size_t length;
  char *message;
  size_t message_size;
} reader;

/* How much of a wrong value a message repeats. */
#define QUOTED_MAX 100
#define QUOTED_SIZE (4 * QUOTED_MAX + 4)
_Static_assert(QUOTED_SIZE <= WH_ENDPOINT_DESCRIPTION_SIZE, "promised in the header");

/*
 * Writes the value for a person: control bytes as \xNN, so that it can neither forge a log line nor
 * steer a terminal, and the end of a long one left out (not in the middle of a UTF-8 sequence).
 */
static void quote(const char *value, size_t length, char out[QUOTED_SIZE]) {
  size_t shown = length;
  if (length > QUOTED_MAX) {
    shown = QUOTED_MAX;
    while (shown > QUOTED_MAX - 4 && ((unsigned char)value[shown] & 0xc0) == 0x80) shown--;
  }
  for (size_t i = 0; i < shown; i++) {
    unsigned char byte = (unsigned char)value[i];
    if (byte < 0x20 || byte == 0x7f) {
      out += snprintf(out, 5, "\\x%02x", byte);
    } else {
      *out++ = (char)byte;
    }
  }
  if (shown < length) {
    memcpy(out, "...", 3);
    out += 3;
  }
  *out = '\0';
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static int
refuse(const reader *in, const char *reason, ...) {
  if (!in->message || in->message_size == 0) return WH_ERR_ADDRESS_INVALID;
  char quoted[QUOTED_SIZE];
  quote(in->value, in->length, quoted);
  int length =
      snprintf(in->message, in->message_size, "\"%s\" is no address to listen on: ", quoted);
  if (length > 0 && (size_t)length < in->message_size) {
    va_list arguments;
    va_start(arguments, reason);
    vsnprintf(in->message + length, in->message_size - (size_t)length, reason, arguments);
    va_end(arguments);
  }
  return WH_ERR_ADDRESS_INVALID;
}

static int refuse_character(const reader *in, char c) {
  unsigned char byte = (unsigned char)c;
  if (byte >= 0x80)
    return refuse(in, "write an international host name in its ASCII form (xn--...)");
  if (byte < 0x20 || byte == 0x7f) return refuse(in, "no host has the byte 0x%02x", byte);
  return refuse(in, "no host has the character '%c'", c);
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static int is_name_character(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_' || c == '.';
}

static int ends_with_ignoring_case(const char *text, size_t length, const char *end) {
  size_t end_length = strlen(end);
  if (length < end_length) return 0;
  for (size_t i = 0; i < end_length; i++) {
    if (lower(text[length - end_length + i]) != end[i]) return 0;
  }
  return 1;
}

static int is_localhost(const char *host, size_t length) {
  if (length > 0 && host[length - 1] == '.') length--; /* the name written to the root */
  return (length == 9 && ends_with_ignoring_case(host, length, "localhost")) ||
         (length > 10 && ends_with_ignoring_case(host, length, ".localhost"));
}

/*
 * Whether the last label is a number, as the URL standard asks ("ends in a number"): such a host is
 * an IPv4 address or a mistake, and a mistake must not open every interface.
 */
static int ends_in_number(const char *host, size_t length) {
  if (length > 0 && host[length - 1] == '.') length--;
  size_t start = length;
  while (start > 0 && host[start - 1] != '.') start--;
  if (start == length) return 0;
  int hexadecimal = length - start > 1 && host[start] == '0' && lower(host[start + 1]) == 'x';
  for (size_t i = start + (hexadecimal ? 2 : 0); i < length; i++) {
    if (!is_digit(host[i]) && !(hexadecimal && lower(host[i]) >= 'a' && lower(host[i]) <= 'f')) {
      return 0;
    }
  }
  return 1;
}

static int read_ipv6(const reader *in, const char *host, size_t length, wh_endpoint *out) {
  for (size_t i = 0; i < length; i++) { /* a NUL, above all: inet_pton would stop there */
    if (!is_name_character(host[i]) && host[i] != ':' && host[i] != '%') {
      return refuse_character(in, host[i]);
    }
  }
  const char *percent = memchr(host, '%', length);
  if (percent) {
    const char *zone = percent + 1;
    size_t zone_length = length - (size_t)(zone - host);
    /* RFC 6874 writes the percent sign as %25; people write it bare. A zone "25" stays a zone. */
    if (zone_length > 2 && zone[0] == '2' && zone[1] == '5') {
      zone += 2;
      zone_length -= 2;
    }
    if (zone_length == 0) return refuse(in, "the zone after %% is empty");
    if (zone_length >= sizeof out->zone) return refuse(in, "the zone after %% is too long");
    memcpy(out->zone, zone, zone_length);
    out->zone[zone_length] = '\0';
    length = (size_t)(percent - host);
  }
  char text[WH_ADDRESS_TEXT_SIZE];
  uint8_t bytes[16];
  if (length >= sizeof text) return refuse(in, "the host is no IPv6 address");
  memcpy(text, host, length);
  text[length] = '\0';
  if (inet_pton(AF_INET6, text, bytes) != 1) {
    return refuse(in, "the host is no IPv6 address");
  }
  int link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
  if (link_local && !percent) {
    return refuse(in, "a link-local address needs its interface, as in [fe80::1%%eth0]");
  }
  if (!link_local && percent) {
    return refuse(in, "only a link-local address (fe80::/10) can have a zone");
  }
  out->kind = WH_ENDPOINT_IP;
  set_ipv6(&out->address, bytes, out->port);
  memcpy(out->host, text, length + 1);
  return WH_OK;
}

/* Reads the host; the port stands in *out already. `literal` says that it was in brackets. */
static int read_host(const reader *in, const char *host, size_t length, int literal,
                     wh_endpoint *out) {
  if (literal) return read_ipv6(in, host, length, out);
  if (length == 0) return refuse(in, "the host is missing");
  if (length >= sizeof out->host) return refuse(in, "the host is longer than a name can be");
  for (size_t i = 0; i < length; i++) {
    if (is_name_character(host[i])) continue;
    if (length == 1 && (host[i] == '*' || host[i] == '+')) continue;
    return refuse_character(in, host[i]);
  }
  memcpy(out->host, host, length);
  out->host[length] = '\0';

  uint8_t bytes[4];
  if (inet_pton(AF_INET, out->host, bytes) == 1) {
    out->kind = WH_ENDPOINT_IP;
    set_ipv4(&out->address, bytes, out->port);
  } else if (ends_in_number(host, length)) {
    return refuse(in, "the host is no IPv4 address (four numbers from 0 to 255)");
  } else if (is_localhost(host, length)) {
    out->kind = WH_ENDPOINT_LOCALHOST;
  } else if (host[0] == '.' || strstr(out->host, "..")) {
    return refuse(in, "the host name has an empty part");
  } else {
    out->kind = WH_ENDPOINT_ANY;
  }
  return WH_OK;
}

static int read_port(const reader *in, const char *text, size_t length, uint16_t *out) {
  unsigned long port = 0;
  if (length == 0) return refuse(in, "the port after ':' is missing");
  for (size_t i = 0; i < length; i++) {
    if (!is_digit(text[i])) return refuse(in, "the port is no number");
    port = port * 10 + (unsigned long)(text[i] - '0');
    if (port > 65535) return refuse(in, "the port is greater than 65535");
  }
  *out = (uint16_t)port;
  return WH_OK;
}

/* The longest path that the system's structure takes, and its NUL. */
static size_t path_limit(void) {
#ifdef _WIN32
  return 108;
#else
  size_t system = sizeof((struct sockaddr_un *)0)->sun_path;
  return system < sizeof((wh_endpoint *)0)->path ? system : sizeof((wh_endpoint *)0)->path;
#endif
}

static int read_path(const reader *in, const char *path, size_t length, wh_endpoint *out) {
  if (length == 0) return refuse(in, "the path of the Unix socket is missing");
  if (path[0] != '/') return refuse(in, "the path of a Unix socket must be absolute");
  if (memchr(path, '\0', length)) return refuse(in, "the path has a NUL byte in it");
  if (path[length - 1] == '/') return refuse(in, "the path names a folder, not a file");
  if (length >= path_limit()) {
    return refuse(in, "the path has %zu bytes; this system allows %zu in a Unix socket's", length,
                  path_limit() - 1);
  }
  out->kind = WH_ENDPOINT_UNIX;
  memcpy(out->path, path, length);
  out->path[length] = '\0';
  return WH_OK;
}

/* What follows "unix:" in a URL. */
static int read_url_path(const reader *in, const char *path, size_t length, wh_endpoint *out) {
  for (size_t i = 0; i < length; i++) {
    if (path[i] == ':' || path[i] == '?' || path[i] == '#') {
      return refuse(in,
                    "'%c' after the path of a Unix socket; if it is part of the file's name, "
                    "give the path by itself",
                    path[i]);
    }
  }
  return read_path(in, path, length, out);
}

/* What follows "http://", up to a "/" that may close it. */
static int read_authority(const reader *in, const char *text, size_t length, wh_endpoint *out) {
  for (size_t i = 0; i < length; i++) {
    switch (text[i]) {
    case '/':
      if (i + 1 == length) {
        length = i;
        break;
      }
      return refuse(in, "it has a path; a path base is the application's to set");
    case '?': return refuse(in, "it has a query");
    case '#': return refuse(in, "it has a fragment");
    case '@': return refuse(in, "it has a user name");
    default: break;
    }
  }
  const char *host = text, *rest;
  size_t host_length;
  int literal = length > 0 && text[0] == '[';
  if (literal) {
    const char *close = memchr(text, ']', length);
    if (!close) return refuse(in, "the bracket of the IPv6 address is not closed");
    host = text + 1;
    host_length = (size_t)(close - host);
    rest = close + 1;
    if (rest < text + length && *rest != ':') {
      return refuse(in, "only a port can follow the IPv6 address");
    }
  } else {
    rest = memchr(text, ':', length);
    if (!rest) rest = text + length;
    host_length = (size_t)(rest - text);
    if (rest < text + length && memchr(rest + 1, ':', length - host_length - 1)) {
      return refuse(in, "it has more than one ':'; an IPv6 address stands in brackets");
    }
  }
  if (rest < text + length) {
    int result = read_port(in, rest + 1, (size_t)(text + length - rest) - 1, &out->port);
    if (result != WH_OK) return result;
  }
  return read_host(in, host, host_length, literal, out);
}

static int parse_url(const reader *in, wh_endpoint *out) {
  const char *url = in->value;
  size_t length = in->length;
  if (length == 0) return refuse(in, "it is empty");
  for (size_t i = 0; i < length; i++) {
    if ((unsigned char)url[i] <= 0x20 || url[i] == 0x7f) {
      return refuse(in, "it has a blank or a control character");
    }
  }
  size_t scheme = 0;
  while (scheme + 3 <= length && memcmp(url + scheme, "://", 3) != 0) scheme++;
  if (scheme + 3 > length) return refuse(in, "it does not start with http:// or https://");
  if (scheme == 5 && ends_with_ignoring_case(url, scheme, "https")) {
    out->https = 1;
    out->port = 443;
  } else if (scheme == 4 && ends_with_ignoring_case(url, scheme, "http")) {
    out->port = 80;
  } else {
    return refuse(in, "the scheme is neither http nor https");
  }
  const char *rest = url + scheme + 3;
  length -= scheme + 3;
  if (length >= 5 && ends_with_ignoring_case(rest, 5, "unix:")) {
    out->port = 0;
    return read_url_path(in, rest + 5, length - 5, out);
  }
  if ((length == 4 || (length == 5 && rest[4] == '/')) &&
      ends_with_ignoring_case(rest, 4, "unix")) {
    return refuse(in, "a Unix socket needs its path, as in http://unix:/run/app.sock");
  }
  if (length >= 5 && ends_with_ignoring_case(rest, 5, "pipe:")) {
    return refuse(in, "named pipes are not supported");
  }
  return read_authority(in, rest, length, out);
}

/* A refused value leaves no half-read endpoint behind. */
static int finish(int result, wh_endpoint *out) {
  if (result != WH_OK) wh_endpoint_init(out);
  return result;
}

int wh_endpoint_parse_url(const char *url, size_t length, wh_endpoint *out, char *message,
                          size_t message_size) {
  reader in = {url, length, message, message_size};
  wh_endpoint_init(out);
  return finish(parse_url(&in, out), out);
}

int wh_endpoint_parse_host(const char *host, size_t length, long port, wh_endpoint *out,
                           char *message, size_t message_size) {
  reader in = {host, length, message, message_size};
  wh_endpoint_init(out);
  if (port < 0 || port > 65535) {
    return finish(refuse(&in, "the port %ld is not between 0 and 65535", port), out);
  }
  out->port = (uint16_t)port;
  /* One colon is no IPv6 address but a port that stands in the wrong place. */
  const char *colon = length > 0 ? memchr(host, ':', length) : NULL;
  int literal = colon && memchr(colon + 1, ':', length - (size_t)(colon - host) - 1) != NULL;
  if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
    literal = 1;
    host++;
    length -= 2;
  }
  return finish(read_host(&in, host, length, literal, out), out);
}

int wh_endpoint_from_path(const char *path, size_t length, wh_endpoint *out, char *message,
                          size_t message_size) {
  reader in = {path, length, message, message_size};
  wh_endpoint_init(out);
  return finish(read_path(&in, path, length, out), out);
}

int wh_endpoint_from_descriptor(int fd, wh_endpoint *out, char *message, size_t message_size) {
  char text[16];
  int length = snprintf(text, sizeof text, "%d", fd);
  reader in = {text, length > 0 ? (size_t)length : 0, message, message_size};
  wh_endpoint_init(out);
  if (fd < 0) return finish(refuse(&in, "a descriptor is 0 or more"), out);
  out->kind = WH_ENDPOINT_INHERITED;
  out->fd = fd;
  return WH_OK;
}

void wh_endpoint_init(wh_endpoint *out) {
  memset(out, 0, sizeof *out);
  out->fd = -1;
  out->no_delay = 1;
  out->backlog = WH_BACKLOG_DEFAULT;
  out->unix_mode = -1;
  out->unix_uid = -1;
  out->unix_gid = -1;
}

size_t wh_endpoint_format(const wh_endpoint *endpoint, char *out, size_t size) {
  const char *scheme = endpoint->https ? "https" : "http";
  char text[WH_ENDPOINT_TEXT_SIZE];
  int length;
  if (endpoint->kind == WH_ENDPOINT_INHERITED) {
    length = snprintf(text, sizeof text, "descriptor %d", endpoint->fd);
  } else if (endpoint->kind == WH_ENDPOINT_UNIX) {
    length = snprintf(text, sizeof text, "%s://unix:%s", scheme, endpoint->path);
  } else if (endpoint->kind == WH_ENDPOINT_IP) {
    char ip[WH_ADDRESS_TEXT_SIZE];
    wh_address_format(&endpoint->address, ip, sizeof ip);
    int v6 = endpoint->address.family == WH_ADDRESS_IPV6;
    length = snprintf(text, sizeof text, v6 ? "%s://[%s%s%s]:%u" : "%s://%s%s%s:%u", scheme, ip,
                      endpoint->zone[0] ? "%" : "", endpoint->zone, endpoint->port);
  } else {
    length = snprintf(text, sizeof text, "%s://%s:%u", scheme, endpoint->host, endpoint->port);
  }
  return length > 0 ? deliver(text, (size_t)length, out, size) : 0;
}

size_t wh_endpoint_describe(const wh_endpoint *endpoint, char *out, size_t size) {
  char text[WH_ENDPOINT_TEXT_SIZE];
  char quoted[QUOTED_SIZE];
  size_t length = wh_endpoint_format(endpoint, text, sizeof text);
  quote(text, length < sizeof text ? length : sizeof text - 1, quoted);
  return deliver(quoted, strlen(quoted), out, size);
}
