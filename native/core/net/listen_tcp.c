#ifndef _WIN32 /* Windows: a file of its own, later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "base/error.h"
#include "net/listen_private.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>

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
  if (wh_listen_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0) return -1;
  if (endpoint->reuse_port) {
    /* FreeBSD spreads connections over the listeners only under the other name. */
#if defined(SO_REUSEPORT_LB)
    if (wh_listen_set_option(fd, SOL_SOCKET, SO_REUSEPORT_LB, 1) != 0) return -1;
#elif defined(SO_REUSEPORT)
    if (wh_listen_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0) return -1;
#else
    errno = ENOPROTOOPT;
    return -1;
#endif
  }
  /* Said in both cases: the default is a setting of the machine. */
  if (family == AF_INET6 &&
      wh_listen_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, endpoint->ipv6_only ? 1 : 0) != 0) {
    return -1;
  }
  return wh_listen_set_option(fd, IPPROTO_TCP, TCP_NODELAY, endpoint->no_delay ? 1 : 0);
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

int wh_listen_tcp(const wh_listen_attempt *at) {
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

#endif
