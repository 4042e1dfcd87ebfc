#ifndef _WIN32 /* Windows: a file of its own, later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "net/listen.h"

#include "base/error.h"
#include "net/listen_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

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
    case WH_ENDPOINT_INHERITED: error = wh_listen_inherited(&at); break;
    case WH_ENDPOINT_IP:
    case WH_ENDPOINT_LOCALHOST:
    case WH_ENDPOINT_ANY: error = wh_listen_tcp(&at); break;
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
  out->inherited = endpoint->kind == WH_ENDPOINT_INHERITED;
  memcpy(out->zone, endpoint->zone, sizeof out->zone);
  return WH_OK;
}

void wh_listening_defer(wh_listening *listening, int on) {
#ifdef TCP_DEFER_ACCEPT
  if (listening->unix_socket || listening->inherited) return;
  for (size_t i = 0; i < listening->count; i++) {
    /* It is only about speed: where it fails all is as before. */
    (void)wh_listen_set_option(listening->fds[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, on ? 1 : 0);
  }
#else
  (void)listening;
  (void)on;
#endif
}

void wh_listening_close(wh_listening *listening) {
  if (listening->count > 0 && listening->unix_socket && !listening->inherited) {
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
