/*
 * Admission: from accept to the first byte of HTTP. The limit on connections, and what happens above
 * it; the pause while the system has no descriptors; the gates before endpoints (server/gate.h).
 *
 * A connection that passes a gate with a PROXY header, or that the host watches, is a visitor: it has
 * a struct of its own (wh_connection.rare). All others go straight to wh_server_open.
 *
 * Private to server/. One thread: the loop's.
 */
#ifndef WH_SERVER_ADMISSION_H
#define WH_SERVER_ADMISSION_H

#include <stddef.h>
#include <stdint.h>

#include "net/connection.h"
#include "server/gate.h"

struct wh_listener;
struct wh_server;
struct wh_server_endpoint;
struct sockaddr;

/*
 * Connections over the limit that are being answered at any time; one more is closed without an answer.
 * With REJECTED_LINGER_MS it bounds what a flood can hold.
 */
#define WH_REJECTED_MOST 128U

typedef struct wh_visitor {
  wh_connection *connection; /* NULL once it is gone */
  struct wh_server_endpoint *endpoint;
  uint8_t state;
  uint8_t watched; /* it has a handle */
  uint8_t noted;   /* `reason` is known already */
  uint8_t eof;     /* came while it waited */
  uint8_t reason;
  uint32_t handle;
  wh_address peer; /* as applications see it */
  wh_address socket_peer;
  wh_address local; /* by the PROXY header; else of no family */
  wh_address socket_local;
  uint64_t number;
  uint64_t opened_ms, closed_ms;
  uint64_t bytes_received, bytes_sent;
  uint32_t requests;
  uint8_t *held; /* received and not handed on */
  size_t held_length;
} wh_visitor;

typedef struct wh_admission {
  size_t most;      /* connections; SIZE_MAX = no limit */
  size_t rejecting; /* open ones that were answered 503, and do not count */
  uint8_t *answer;  /* the 503 without its date; NULL: such connections are just closed */
  size_t answer_length;
  uint8_t paused; /* accepting fails */
  uint64_t paused_at;
  uint64_t rejected, refused, pauses;
  wh_visitor **visitors; /* the watched ones by handle; NULL where the handle is free */
  size_t visitor_room, visitor_count;
  size_t next_handle; /* where to look for a free one */
  wh_bytes *first_bytes, *last_bytes;
} wh_admission;

/* Takes what the server's limits say. */
void wh_admission_init(struct wh_server *server);
/* Frees what is left. All connections must be gone. */
void wh_admission_free(struct wh_server *server);

/* A listener's callbacks; see io.h. */
void wh_server_accepted(struct wh_listener *listener, int fd, const struct sockaddr *peer,
                        size_t length);
void wh_server_accept_failed(struct wh_listener *listener, int system_error);

/* --- visitors: connections with wh_connection.rare --- */

/* The connection waits for nothing any more: hands on what it held. */
void wh_visitor_look(wh_connection *connection);
/* The connection is gone. */
void wh_visitor_closed(wh_connection *connection);
/* Whether it has not come in yet. */
int wh_visitor_waits(const wh_connection *connection);
/* Whether its PROXY header told our end. */
int wh_visitor_local(const wh_connection *connection, wh_address *out);
/* The other end of the socket itself. */
void wh_visitor_peer(const wh_connection *connection, wh_address *out);

/* Why the connection is about to end; the first reason counts. Does nothing where nobody watches. */
static inline void wh_visitor_note(wh_connection *connection, unsigned reason) {
  wh_visitor *visitor = connection->rare;
  if (visitor == NULL || visitor->noted) return;
  visitor->noted = 1;
  visitor->reason = (uint8_t)reason;
}

#endif
