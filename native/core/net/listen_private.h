/*
 * What listen.c calls, one file for each kind of endpoint, and what those share (listen_attempt.c).
 * For nobody else.
 */
#ifndef WH_NET_LISTEN_PRIVATE_H
#define WH_NET_LISTEN_PRIVATE_H

#include "net/listen.h"

/* How often we try again where somebody else can come between two system calls of ours. */
#define WH_LISTEN_TRIES 32

/* One call of wh_listen: what is asked for, what there is so far, where to say what went wrong. */
typedef struct wh_listen_attempt {
  const wh_endpoint *endpoint;
  wh_listening *out;
  char *message;
  size_t message_size;
} wh_listen_attempt;

/* Fails with errno, which is kept: "cannot listen on URL: what: why". `what` may be NULL. */
int wh_listen_fail_system(const wh_listen_attempt *at, const char *what);

/* Fails with a reason of our own. errno is kept. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
int wh_listen_fail(const wh_listen_attempt *at, int error, const char *reason, ...);

/* setsockopt for a number. 0, or -1 and errno. */
int wh_listen_set_option(int fd, int level, int option, int value);

/* A non-blocking, close-on-exec stream socket, or -1 and errno. */
int wh_listen_open_socket(int family);

/* Closes without touching errno. Negative is fine. */
void wh_listen_close_fd(int fd);
void wh_listen_close_all(wh_listening *listening);

/* listen_tcp.c: wh_listen for an address. 0 or a wh_error, and then nothing is left of it. */
int wh_listen_tcp(const wh_listen_attempt *at);

/* listen_inherited.c: wh_listen for a descriptor that listens already. 0 or a wh_error. */
int wh_listen_inherited(const wh_listen_attempt *at);

/* listen_unix.c: wh_listen for a Unix socket. 0 or a wh_error, and then nothing is left of it. */
int wh_listen_unix(const wh_listen_attempt *at);

/* Removes the socket's file if it is still the one that wh_listen_unix made. */
void wh_listen_remove_unix(const wh_listening *listening);

#endif
