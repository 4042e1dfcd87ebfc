#ifndef _WIN32 /* Windows: a file of its own, later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "base/error.h"
#include "net/listen_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * A socket that somebody else opened: systemd, or the process that started this one. What it is was
 * decided there; here it is only made sure that it can be served.
 */

static int option_of(int fd, int option, int *value) {
  socklen_t length = sizeof *value;
  return getsockopt(fd, SOL_SOCKET, option, value, &length);
}

/* Whether the descriptor is a socket that accepts connections; says why if not. */
static int check(const wh_listen_attempt *at) {
  int fd = at->endpoint->fd;
  int type = 0;
  int listens = 0;
  if (option_of(fd, SO_TYPE, &type) != 0) {
    if (errno == EBADF) return wh_listen_fail(at, WH_ERR_ADDRESS_INVALID, "it is not open");
    if (errno == ENOTSOCK) return wh_listen_fail(at, WH_ERR_ADDRESS_INVALID, "it is no socket");
    return wh_listen_fail_system(at, NULL);
  }
  if (type != SOCK_STREAM) {
    return wh_listen_fail(at, WH_ERR_ADDRESS_INVALID, "it is no stream socket");
  }
  if (option_of(fd, SO_ACCEPTCONN, &listens) != 0) return wh_listen_fail_system(at, NULL);
  if (!listens) {
    return wh_listen_fail(at, WH_ERR_ADDRESS_INVALID,
                          "the socket does not listen: whoever opens it must call listen(2)");
  }
  return WH_OK;
}

/* What the socket is bound to. 0 or a wh_error. */
static int read_name(const wh_listen_attempt *at, int fd) {
  wh_listening *out = at->out;
  union {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_storage storage;
  } name;
  memset(&name, 0, sizeof name);
  socklen_t length = sizeof name;
  if (getsockname(fd, &name.any, &length) != 0) return wh_listen_fail_system(at, NULL);
  wh_address_from_sockaddr(&out->bound[0], &name.any, length);
  if (out->bound[0].family == WH_ADDRESS_NONE) {
    return wh_listen_fail(at, WH_ERR_ADDRESS_INVALID, "it is neither a TCP nor a Unix socket");
  }
  if (out->bound[0].family != WH_ADDRESS_UNIX) return WH_OK;
  out->unix_socket = 1;
  size_t offset = offsetof(struct sockaddr_un, sun_path);
  size_t size = length > offset ? (size_t)length - offset : 0;
  if (size > sizeof out->unix_path - 1) size = sizeof out->unix_path - 1;
  memcpy(out->unix_path, name.local.sun_path, size);
  if (out->unix_path[0] == '\0') out->unix_path[0] = '@'; /* Linux's names without a file */
  return WH_OK;
}

int wh_listen_inherited(const wh_listen_attempt *at) {
  int error = check(at);
  if (error != WH_OK) return error;
  int fd = fcntl(at->endpoint->fd, F_DUPFD_CLOEXEC, 3);
  if (fd < 0) return wh_listen_fail_system(at, NULL);
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    error = wh_listen_fail_system(at, NULL);
  } else {
    error = read_name(at, fd);
  }
  if (error == WH_OK && !at->out->unix_socket &&
      wh_listen_set_option(fd, IPPROTO_TCP, TCP_NODELAY, at->endpoint->no_delay ? 1 : 0) != 0) {
    error = wh_listen_fail_system(at, NULL);
  }
  if (error != WH_OK) {
    wh_listen_close_fd(fd);
    return error;
  }
  at->out->fds[0] = fd;
  at->out->count = 1;
  return WH_OK;
}

#endif
