#ifndef _WIN32 /* Windows: a file of its own, later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "base/error.h"
#include "net/listen_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
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

int wh_listen_set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value);
}

void wh_listen_close_all(wh_listening *listening) {
  while (listening->count > 0) wh_listen_close_fd(listening->fds[--listening->count]);
}

#endif
