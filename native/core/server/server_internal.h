/* What the files of server/ share. Private to them. */
#ifndef WH_SERVER_SERVER_INTERNAL_H
#define WH_SERVER_SERVER_INTERNAL_H

#include <stddef.h>

#include "http/http1.h"
#include "http/http2.h"
#include "http/service.h"
#include "io/io.h"
#include "net/connection.h"
#include "net/listen.h"
#include "server/admission.h"
#include "windhover.h"

/* Requests in one batch before it is dispatched: bounds the slots that a burst takes. */
#define WH_BATCH_REQUESTS 128

/*
 * Requests that were received earlier and run in one turn. A client that sends thousands ahead gets on,
 * a part in each turn, and the others are not kept waiting by it.
 */
#define WH_RESUMED_PER_TURN 512

/* A listening endpoint: one or two descriptors. */
typedef struct wh_server_endpoint wh_server_endpoint;
struct wh_server_endpoint {
  wh_server_endpoint *next;
  wh_listening listening;
  wh_listener listeners[2];
  wh_server *server;
  int https;
  wh_tls *tls;          /* NULL = cleartext */
  unsigned protocols;   /* WH_PROTOCOL_... */
  unsigned clear_looks; /* see stop.c */
  uint32_t index;       /* in the order of wh_server_listen */
  int is_gated;
  wh_gate gate;
};

/* How long connections have lived lately: see note_closed in connections.c. */
typedef struct wh_churn {
  uint64_t window_start; /* ms */
  unsigned closed;       /* in this window */
  unsigned short_lived;  /* of those: with one request at most */
  int deferred;          /* the listeners wait for the first bytes */
} wh_churn;

/* How far a stop has got: see stop.c. */
typedef struct wh_server_ending {
  wh_timer listen_timer; /* looks at the listeners that are to close */
  wh_timer window_timer; /* the end of the drain window */
  uint64_t listen_since; /* ms */
  uint64_t last_number;  /* of the connections that were accepted before */
} wh_server_ending;

struct wh_server {
  wh_churn churn;
  wh_admission admission;
  wh_loop *loop;
  wh_outbox outbox;
  wh_http_service service;
  wh_exchange_pool *pool;
  wh_memory memory;
  wh_limits limits;
  wh_refusal_answer refusal_answers[WH_REFUSAL_COUNT];
  const wh_host *host;
  void *user;
  wh_server_endpoint *endpoints; /* in the order of wh_server_listen */
  /* Connections that may have become idle or can go on, in the order in which they were listed. */
  wh_connection *look_at, *look_last;
  /* Connections whose handshakes wait for their turn, in the order in which they were listed. */
  wh_connection *handshake_first, *handshake_last;
  uint64_t resumed;        /* requests of this turn that had been received before it */
  uint32_t event_count;    /* in shared memory */
  uint32_t batch_requests; /* of those */
  uint32_t *overflow;      /* events for which shared memory had no room */
  size_t overflow_count, overflow_room;
  int eager_reads; /* how well reading right after accept has paid lately */
  uint8_t listening_stopped, stopping, destroying, dispatching;
  uint8_t fresh; /* the clocks were looked at since the last poll began */
  uint64_t total_connections, http2_connections, batches;
  wh_server_ending stop;
  uint64_t timeouts[WH_TIMEOUT_COUNT];
  wh_histogram queueing;
  wh_tls_metrics tls;
  uint64_t refusal_told_us; /* when the last refusal was, that the application was told of */
};

/* refusals.c: the answers to refused requests, at their defaults. 0 or WH_ERR_NO_MEMORY. */
int wh_server_init_refusals(wh_server *server);
void wh_server_free_refusals(wh_server *server);

/* refused.c: tells the application of a refusal, if it wants to know. */
void wh_server_refused(void *user, const wh_refuser *refuser, wh_refusal reason);
/* ... and of a connection that a flood ends; see wh_receiver. */
void wh_server_flooded(void *user, void *connection, unsigned kind, const uint8_t *end);

/* dispatch.c: events to the application, commands from it. */
extern const wh_receiver wh_server_receiver;
/* An event that is no exchange's. 0, or WH_ERR_NO_MEMORY: it is lost. */
int wh_server_push(wh_server *server, uint32_t kind, uint32_t slot, uint32_t a, uint32_t b);
void wh_server_dispatch(wh_server *server);
/* A file has been sent (WH_OK) or cannot be; the token says whose. See on_file in net/connection.h. */
void wh_server_file_done(wh_server *server, uint64_t token, int result);
/* Microseconds by the clock that is behind the service's now_us, looked at now. */
uint64_t wh_server_now_us(void);
/* Looks at the clocks. */
void wh_server_tick(wh_server *server);
/* The same once a poll, before anything that the poll brings is handled. */
static inline void wh_server_freshen(wh_server *server) {
  if (server->fresh) return;
  server->fresh = 1;
  wh_server_tick(server);
}

/* The server of one of its connections. */
static inline wh_server *wh_server_of(const wh_connection *connection) {
  return (wh_server *)((char *)connection->outbox - offsetof(wh_server, outbox));
}

/* transport.c: what the protocols know of the connection below. */
extern const wh_transport wh_server_transport;

/* connections.c: the life of connections under a server. */

/* Serves a connection that was accepted and may come in; the descriptor is its from now on. */
void wh_server_open(wh_server_endpoint *endpoint, int fd, const wh_address *peer);
/* Has wh_server_look look at a connection; strikes it from those to look at, or from the handshakes. */
void wh_server_list(wh_connection *connection);
void wh_server_unlist(wh_connection *connection);
/* Looks at the connections on the list: gives idle sessions back, lets waiting ones go on. */
void wh_server_look(wh_server *server);
/* Calls the connection's timer after so long (ms); WH_UNLIMITED: not at all. */
void wh_server_start_timer(wh_connection *connection, int64_t timeout);
/* What every connection does when it lingers, and when it is gone, whatever it speaks. */
void wh_server_lingering(wh_connection *connection);
void wh_server_closed(wh_connection *connection);
/* Who connects and says nothing has no longer than a head may take. */
void wh_server_start_silence(wh_connection *connection);

/* opening.c: what a new connection, or one let in by a gate, will speak. */
void wh_server_admit(wh_connection *connection, wh_server_endpoint *endpoint);
/* Goes on with handshakes, for a moment. */
void wh_server_handshake(wh_server *server);

/* http1_connections.c, http2_connections.c: from now on the connection speaks that. */
void wh_server_speak_http1(wh_connection *connection);
void wh_server_speak_http2(wh_connection *connection);
/* Looks at one of the list. */
void wh_server_look_http1(wh_connection *connection);
void wh_server_look_http2(wh_connection *connection);
/* It ends, or only what was written is still sent. */
void wh_server_over_http1(wh_connection *connection);
void wh_server_over_http2(wh_connection *connection);
/* The drain window of a stop is over. */
void wh_server_end_window_http1(wh_connection *connection);
void wh_server_end_window_http2(wh_connection *connection);

/* stop.c: closes the listeners at once; who waits in their queues is reset. */
void wh_server_close_listeners(wh_server *server);
/* Ends an idle connection of HTTP/1, unless a request of its client waits to be read. */
void wh_server_end_idle(wh_server *server, wh_connection *connection);
/* A timeout, or the shorter one that a server after its drain window has. */
int64_t wh_server_stop_limit(const wh_server *server, int64_t timeout);
/* How long a connection lingers. */
int64_t wh_server_linger_limit(const wh_server *server);

#endif
