#ifndef _WIN32 /* Windows: a file of its own, later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "net/listen.h"

#include "base/error.h"
#include "net/listen_private.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- Saying what went wrong --- */

/* strerror_r comes in two kinds, which differ in what they return. */
static inline const char *error_text_gnu(const char *result, const char *buffer) {
  (void)buffer;
  return result;
}

static inline const char *error_text_posix(int result, const char *buffer) {
  return result == 0 ? buffer : "unknown error";
}

#define ERROR_TEXT(error, buffer) \
  _Generic(strerror_r(error, buffer, sizeof(buffer)), char * : error_text_gnu, int                 \
           : error_text_posix)(strerror_r(error, buffer, sizeof(buffer)), buffer)

static int error_of(int system_error) {
  switch (system_error) {
  case ENOENT:
  case ENOTDIR:
  case ENODEV:
  case ENXIO:
  case EPROTONOSUPPORT: return WH_ERR_ADDRESS_NOT_AVAILABLE;
  case EROFS: return WH_ERR_ACCESS_DENIED;
  case ENAMETOOLONG:
  case ELOOP: return WH_ERR_ADDRESS_INVALID;
  default: return wh_error_from_errno(system_error);
  }
}

int wh_listen_fail_system(const wh_listen_attempt *at, const char *what) {
  int system_error = errno;
  if (at->message && at->message_size > 0) {
    char url[WH_ENDPOINT_DESCRIPTION_SIZE];
    char buffer[128] = "";
    wh_endpoint_describe(at->endpoint, url, sizeof url);
    snprintf(at->message, at->message_size, "cannot listen on %s: %s%s%s", url, what ? what : "",
             what ? ": " : "", ERROR_TEXT(system_error, buffer));
  }
  errno = system_error;
  return error_of(system_error);
}

int wh_listen_fail(const wh_listen_attempt *at, int error, const char *reason, ...) {
  int system_error = errno;
  if (at->message && at->message_size > 0) {
    char url[WH_ENDPOINT_DESCRIPTION_SIZE];
    wh_endpoint_describe(at->endpoint, url, sizeof url);
    int length = snprintf(at->message, at->message_size, "cannot listen on %s: ", url);
    if (length > 0 && (size_t)length < at->message_size) {
      va_list arguments;
      va_start(arguments, reason);
      vsnprintf(at->message + length, at->message_size - (size_t)length, reason, arguments);
      va_end(arguments);
    }
  }
  errno = system_error;
  return error;
}

/* --- Sockets --- */

/* Not tried again after EINTR: the descriptor is gone by then. */
void wh_listen_close_fd(int fd) {
  int system_error = errno;
  if (fd >= 0) close(fd);
  errno = system_error;
}

int wh_listen_open_socket(int family) {
#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
  return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
  int fd = socket(family, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    wh_listen_close_fd(fd);
    return -1;
  }
  return fd;
#endif
}

static int set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value);
}

/* --- TCP --- */

typedef union tcp_name {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} tcp_name;

static socklen_t make_name(tcp_name *name, const wh_address *address, uint32_t scope) {
  memset(name, 0, sizeof *name);
  if (address->family == WH_ADDRESS_IPV4) {
    name->v4.sin_family = AF_INET;
    name->v4.sin_port = htons(address->port);
    memcpy(&name->v4.sin_addr, address->bytes, 4);
    return sizeof name->v4;
  }
  name->v6.sin6_family = AF_INET6;
  name->v6.sin6_port = htons(address->port);
  memcpy(&name->v6.sin6_addr, address->bytes, 16);
  name->v6.sin6_scope_id = scope;
  return sizeof name->v6;
}

/* All options of a listening TCP socket. 0, or -1 and errno. */
static int set_tcp_options(int fd, const wh_endpoint *endpoint, int family) {
  if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0) return -1;
  if (endpoint->reuse_port) {
    /* FreeBSD spreads connections over the listeners only under the other name. */
#if defined(SO_REUSEPORT_LB)
    if (set_option(fd, SOL_SOCKET, SO_REUSEPORT_LB, 1) != 0) return -1;
#elif defined(SO_REUSEPORT)
    if (set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0) return -1;
#else
    errno = ENOPROTOOPT;
    return -1;
#endif
  }
  /* Said in both cases: the default is a setting of the machine. */
  if (family == AF_INET6 &&
      set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, endpoint->ipv6_only ? 1 : 0) != 0) {
    return -1;
  }
  return set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/*
 * Binds one more socket of *out to the address, and finds out the port. 0, or -1 and errno, and
 * then *out is as before.
 */
static int bind_tcp(const wh_listen_attempt *at, const wh_address *address, uint32_t scope) {
  tcp_name name;
  socklen_t length = make_name(&name, address, scope);
  int fd = wh_listen_open_socket(name.any.sa_family);
  if (fd < 0) return -1;
  wh_address bound;
  if (set_tcp_options(fd, at->endpoint, name.any.sa_family) != 0 ||
      bind(fd, &name.any, length) != 0 || wh_address_local(fd, &bound) != WH_OK) {
    wh_listen_close_fd(fd);
    return -1;
  }
  at->out->fds[at->out->count] = fd;
  at->out->bound[at->out->count] = bound;
  at->out->count++;
  return 0;
}

void wh_listen_close_all(wh_listening *listening) {
  while (listening->count > 0) wh_listen_close_fd(listening->fds[--listening->count]);
}

/* Makes every bound socket listen. 0, or -1 and errno. */
static int listen_all(const wh_listen_attempt *at) {
  for (size_t i = 0; i < at->out->count; i++) {
    if (listen(at->out->fds[i], at->endpoint->backlog) != 0) return -1;
  }
  return 0;
}

/* Whether errno says that the machine has no such address or no such protocol. */
static bool is_missing(void) {
  return errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT;
}

static wh_address loopback_v4(uint16_t port) {
  return (wh_address){.family = WH_ADDRESS_IPV4, .port = port, .bytes = {127, 0, 0, 1}};
}

static wh_address loopback_v6(uint16_t port) {
  return (wh_address){.family = WH_ADDRESS_IPV6, .port = port, .bytes = {[15] = 1}};
}

static wh_address any_v4(uint16_t port) {
  return (wh_address){.family = WH_ADDRESS_IPV4, .port = port};
}

static wh_address any_v6(uint16_t port) {
  return (wh_address){.family = WH_ADDRESS_IPV6, .port = port};
}

/* Both loopbacks on one port; where the system chooses it, IPv6 follows the choice of IPv4. */
static int bind_localhost(const wh_listen_attempt *at) {
  wh_address v4 = loopback_v4(at->endpoint->port);
  if (bind_tcp(at, &v4, 0) != 0 && !is_missing()) return -1;
  wh_address v6 = loopback_v6(at->out->count > 0 ? at->out->bound[0].port : at->endpoint->port);
  if (bind_tcp(at, &v6, 0) != 0 && (!is_missing() || at->out->count == 0)) return -1;
  return 0;
}

static int bind_any(const wh_listen_attempt *at) {
  wh_address v6 = any_v6(at->endpoint->port);
  if (bind_tcp(at, &v6, 0) == 0) return 0;
  if (!is_missing() || at->endpoint->ipv6_only) return -1;
  wh_address v4 = any_v4(at->endpoint->port);
  return bind_tcp(at, &v4, 0);
}

static int bind_endpoint(const wh_listen_attempt *at, uint32_t scope) {
  switch (at->endpoint->kind) {
  case WH_ENDPOINT_LOCALHOST: return bind_localhost(at);
  case WH_ENDPOINT_ANY: return bind_any(at);
  default: return bind_tcp(at, &at->endpoint->address, scope);
  }
}

/* The number of the interface that a zone names. 0 if there is none. */
static uint32_t scope_of(const char *zone) {
  unsigned long number = 0;
  const char *digit = zone;
  for (; *digit >= '0' && *digit <= '9' && number < 100000000; digit++) {
    number = number * 10 + (unsigned long)(*digit - '0');
  }
  return *digit == '\0' ? (uint32_t)number : if_nametoindex(zone);
}

static int listen_tcp(const wh_listen_attempt *at) {
  uint32_t scope = 0;
  if (at->endpoint->zone[0] != '\0' && (scope = scope_of(at->endpoint->zone)) == 0) {
    return wh_listen_fail(at, WH_ERR_ADDRESS_NOT_AVAILABLE, "there is no interface \"%s\"",
                          at->endpoint->zone);
  }
  for (int i = 0;; i++) {
    if (bind_endpoint(at, scope) == 0 && listen_all(at) == 0) return WH_OK;
    wh_listen_close_all(at->out);
    /*
     * A port of the system's choice can be taken all the same: on the other loopback, or by
     * somebody who bound it with SO_REUSEADDR and did not listen yet. The next choice is another.
     */
    if (errno != EADDRINUSE || at->endpoint->port != 0) return wh_listen_fail_system(at, NULL);
    if (i + 1 >= WH_LISTEN_TRIES) return wh_listen_fail_system(at, "found no free port");
  }
}

/* --- For others --- */

static int check_options(const wh_listen_attempt *at) {
  const wh_endpoint *endpoint = at->endpoint;
  errno = EINVAL;
  if (endpoint->backlog < 1) {
    return wh_listen_fail(at, WH_ERR_INVALID_ARGUMENT, "backlog must be 1 or more");
  }
  if (endpoint->unix_mode < -1 || endpoint->unix_mode > 0777) {
    return wh_listen_fail(at, WH_ERR_INVALID_ARGUMENT,
                          "the mode must be between 0 and 0777 (octal)");
  }
  /* The greatest value of an id means "leave" to the system. */
  if (endpoint->unix_uid < -1 || endpoint->unix_uid >= UINT32_MAX || endpoint->unix_gid < -1 ||
      endpoint->unix_gid >= UINT32_MAX) {
    return wh_listen_fail(at, WH_ERR_INVALID_ARGUMENT,
                          "user and group must be between 0 and 4294967294");
  }
  return WH_OK;
}

int wh_listen(const wh_endpoint *endpoint, wh_listening *out, char *message, size_t message_size) {
  wh_listen_attempt at = {endpoint, out, message, message_size};
  memset(out, 0, sizeof *out);
  int error = check_options(&at);
  if (error == WH_OK) {
    switch (endpoint->kind) {
    case WH_ENDPOINT_UNIX: error = wh_listen_unix(&at); break;
    case WH_ENDPOINT_IP:
    case WH_ENDPOINT_LOCALHOST:
    case WH_ENDPOINT_ANY: error = listen_tcp(&at); break;
    default:
      errno = EINVAL;
      if (message && message_size > 0) snprintf(message, message_size, "the endpoint is empty");
      error = WH_ERR_ADDRESS_INVALID;
    }
  }
  if (error != WH_OK) {
    memset(out, 0, sizeof *out);
    return error;
  }
  out->kind = endpoint->kind;
  memcpy(out->zone, endpoint->zone, sizeof out->zone);
  return WH_OK;
}

void wh_listening_defer(wh_listening *listening, int on) {
#ifdef TCP_DEFER_ACCEPT
  if (listening->unix_socket) return;
  for (size_t i = 0; i < listening->count; i++) {
    /* It is only about speed: where it fails all is as before. */
    (void)set_option(listening->fds[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, on ? 1 : 0);
  }
#else
  (void)listening;
  (void)on;
#endif
}

void wh_listening_close(wh_listening *listening) {
  if (listening->count > 0 && listening->unix_socket) {
    /*
     * Before closing: as long as we listen nobody takes the file for stale and puts another in its
     * place between our look and our unlink.
     */
    wh_listen_remove_unix(listening);
  }
  wh_listen_close_all(listening);
  memset(listening, 0, sizeof *listening);
}

size_t wh_listening_url(const wh_listening *listening, size_t index, int https, char *out,
                        size_t size) {
  if (size > 0) out[0] = '\0';
  if (index >= listening->count || (listening->kind == WH_ENDPOINT_LOCALHOST && index > 0))
    return 0;
  wh_endpoint endpoint;
  wh_endpoint_init(&endpoint);
  endpoint.https = https;
  if (listening->unix_socket) {
    endpoint.kind = WH_ENDPOINT_UNIX;
    memcpy(endpoint.path, listening->unix_path, sizeof endpoint.path);
    return wh_endpoint_format(&endpoint, out, size);
  }
  endpoint.port = listening->bound[index].port;
  if (listening->kind == WH_ENDPOINT_LOCALHOST) {
    endpoint.kind = WH_ENDPOINT_LOCALHOST;
    memcpy(endpoint.host, "localhost", sizeof "localhost");
  } else {
    endpoint.kind = WH_ENDPOINT_IP;
    endpoint.address = listening->bound[index];
    memcpy(endpoint.zone, listening->zone, sizeof endpoint.zone);
  }
  return wh_endpoint_format(&endpoint, out, size);
}

#endif
