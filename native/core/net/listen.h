/*
 * Listening sockets: from an endpoint to one or two descriptors that accept connections.
 */
#ifndef WH_NET_LISTEN_H
#define WH_NET_LISTEN_H

#include <stddef.h>
#include <stdint.h>

#include "net/address.h"
#include "net/socket.h"

/*
 * What an endpoint became. All zero is a listening that is closed. It holds no pointers: it may be
 * moved, but only one copy may be closed.
 */
typedef struct wh_listening {
  wh_socket fds[2];    /* non-blocking, close-on-exec; owned by this */
  size_t count;        /* how many of them: 2 only for localhost, 0 = closed */
  wh_address bound[2]; /* the addresses really bound, with the real port */
  int kind;            /* the endpoint's WH_ENDPOINT_... */
  char zone[16];       /* the endpoint's */
  int inherited;       /* the socket is another process's too */
  int unix_socket;     /* 1 if it is a Unix socket */
  char unix_path
      [108]; /* its file; or "@name" where it has none, as systems without files write it */
  uint64_t unix_device; /* which file that is, so that closing removes no other */
  uint64_t unix_inode;
} wh_listening;

/*
 * Binds and listens. 0, or a wh_error with a message that names the endpoint and the reason; *out
 * is then closed, and errno holds the system's error if there was one. Blocks for no longer than
 * file system calls take, or about 100 ms while another process clears up the same stale Unix
 * socket.
 *
 * Inherited: a copy of the descriptor, so that the caller's stays open and his, and closing is not
 * done twice; it must be a stream socket of TCP or Unix kind that listens. Its socket file is not
 * removed at the end, since the next process may use it.
 * TCP: SO_REUSEADDR, and TCP_NODELAY, which accepted sockets inherit (Linux, macOS, BSD).
 * localhost: both loopbacks with one port, also where the system chooses it (Kestrel refuses port 0
 * here); a machine that has only one of them gets that one; a port in use on either is an error.
 * Any: dual-stack, or IPv4 alone where the system has no IPv6 (never with ipv6_only).
 * Unix: the socket appears under its name only when it has mode and owner and listens. A socket
 * file that nobody listens on is replaced; one that somebody listens on, or a file that is no
 * socket, is left as it is.
 *
 * WH_ERR_ADDRESS_IN_USE: somebody listens there, or a file is in the way.
 * WH_ERR_ADDRESS_NOT_AVAILABLE: the machine lacks the address or interface; the folder is missing.
 * WH_ERR_ACCESS_DENIED: a privileged port, a folder without permission, an owner we cannot give.
 * WH_ERR_ADDRESS_INVALID: a Unix path too long for this system, or an empty endpoint.
 * WH_ERR_ADDRESS_INVALID too: a descriptor that is not open, no socket, or does not listen.
 * WH_ERR_INVALID_ARGUMENT: an option out of its range.
 * WH_ERR_NO_MEMORY, WH_ERR_SYSTEM: what they say.
 */
int wh_listen(const wh_endpoint *endpoint, wh_listening *out, char *message, size_t message_size);

/*
 * Stops listening: removes the Unix socket's file if it is still ours, then closes the descriptors.
 * Take them out of the loop before. Does nothing if closed already.
 */
void wh_listening_close(wh_listening *listening);

/*
 * Whether the system keeps new TCP connections to itself until their first bytes are here (Linux:
 * TCP_DEFER_ACCEPT). A client that says nothing is handed over a second or so later. Where each
 * connection carries one request this halves the times that the process is woken. Does nothing on
 * systems without it.
 */
void wh_listening_defer(wh_listening *listening, int on);

/*
 * The URL that clients can use: http://127.0.0.1:4711, http://[::]:5000, http://localhost:5000,
 * http://unix:/run/x.sock. localhost has one URL for its two descriptors, as Kestrel publishes it:
 * call it with index 0, 1, ... until it returns 0. Otherwise returns the length of the whole text;
 * what does not fit is cut.
 */
size_t wh_listening_url(const wh_listening *listening, size_t index, int https, char *out,
                        size_t size);

#endif
