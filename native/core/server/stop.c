/*
 * The end of a server, in an order that loses no request:
 *
 *   stop listening  new connections are refused; those that the system has taken for us, or is about
 *                   to, are accepted and served (net/listen_end.h)
 *   drain window    every connection is served on. The last answer that is due on it says
 *                   Connection: close, so a client that is just sending its next request gets that
 *                   answered first
 *   after it        idle connections end, heads that are half here are answered 408, and what runs
 *                   ends with its answer
 *   abort           what is left is reset
 *
 * Timers run on all the while: a client that sends nothing more cannot hold a stop.
 */
#include <time.h>

#include "base/error.h"
#include "net/listen_end.h"
#include "server/server_internal.h"

/*
 * How long handshakes under way may hold a listener (ms): a client whose SYN-ACK or last ACK was lost
 * is heard of again after a second (RFC 6298, section 2), and so is one that was held back.
 */
#define LISTEN_END_MS 1250U
/* ... and how long we wait for such clients where the system does not tell whether there are any. */
#define LISTEN_END_BLIND_MS 100U
/* How long a connection has for its first request that was accepted at the very end (ms). */
#define LATE_MS 250U
/* How long a client has to take our last answer and close, at most (ms): less than in quiet times. */
#define LINGER_MS 1000U
/* Rounds of accepting at one look; a backlog is at most 65,535, and a round takes 64. */
#define ROUNDS_PER_LOOK 1024

/* --- listeners --- */

static void close_endpoint(wh_server_endpoint *endpoint) {
  for (size_t i = 0; i < endpoint->listening.count; i++) wh_listener_close(&endpoint->listeners[i]);
  wh_listening_close(&endpoint->listening);
}

void wh_server_close_listeners(wh_server *server) {
  server->listening_stopped = 1;
  wh_timer_cancel(wh_loop_timers(server->loop), &server->stop.listen_timer);
  for (wh_server_endpoint *e = server->endpoints; e != NULL; e = e->next) close_endpoint(e);
}

int wh_server_is_listening(const wh_server *server) {
  for (const wh_server_endpoint *e = server->endpoints; e != NULL; e = e->next) {
    if (e->listening.count > 0) return 1;
  }
  return 0;
}

/* Accepts all that wait. Whether the queue is empty now. */
static int take_all(wh_server_endpoint *endpoint) {
  int empty = 1;
  for (size_t i = 0; i < endpoint->listening.count; i++) {
    int result = 1;
    for (int n = 0; n < ROUNDS_PER_LOOK && result > 0; n++) {
      result = wh_listener_take(&endpoint->listeners[i]);
    }
    if (result != 0) empty = 0;
  }
  return empty;
}

/*
 * Accepts what is there, and closes the endpoint where nobody can come any more.
 *
 * For TCP two looks in a row, a moment apart, have to find nobody on the way and then an empty queue:
 * between the half-open connections and the queue, and between the SYN and the half-open ones, a
 * client is for some instructions of the system in neither.
 */
static void look_at_endpoint(wh_server *server, wh_server_endpoint *endpoint) {
  if (endpoint->listening.count == 0) return;
  uint64_t waited = wh_loop_now(server->loop) - server->stop.listen_since;
  int arriving = wh_listening_arriving(&endpoint->listening);
  if (arriving < 0) arriving = waited < LISTEN_END_BLIND_MS;
  int clear = take_all(endpoint) && !arriving;
  endpoint->clear_looks = clear ? endpoint->clear_looks + 1U : 0;
  unsigned needed = endpoint->listening.unix_socket ? 1 : 2;
  if (endpoint->clear_looks >= needed || waited >= LISTEN_END_MS) close_endpoint(endpoint);
}

static void look_at_listeners(wh_server *server) {
  for (wh_server_endpoint *e = server->endpoints; e != NULL; e = e->next) {
    look_at_endpoint(server, e);
  }
  if (!wh_server_is_listening(server)) return;
  wh_timer_set(wh_loop_timers(server->loop), &server->stop.listen_timer,
               wh_loop_now(server->loop) + 1);
}

static void on_listen_timer(wh_timer *timer) {
  wh_server *server = (wh_server *)((char *)timer - offsetof(wh_server, stop.listen_timer));
  wh_server_freshen(server);
  look_at_listeners(server);
}

void wh_server_stop_listening(wh_server *server) {
  if (server->listening_stopped) return;
  server->listening_stopped = 1;
  wh_loop_touch(server->loop);
  wh_timer_init(&server->stop.listen_timer, on_listen_timer);
  server->stop.listen_since = wh_loop_now(server->loop);
  server->stop.last_number = server->outbox.next_number;
  server->churn.deferred = 0;
  for (wh_server_endpoint *e = server->endpoints; e != NULL; e = e->next) {
    wh_listening_refuse(&e->listening);
  }
  look_at_listeners(server);
  if (!wh_server_is_listening(server)) return;
  /* Nearly always that was all, and the second look can follow at once: the port is free when this
     returns, for another server of this process too. */
  struct timespec moment = {0, 1000000}; /* 1 ms */
  nanosleep(&moment, NULL);
  look_at_listeners(server);
}

/* --- connections --- */

/*
 * An idle connection is to end. A request that came while nobody looked is served first; where it is
 * on its way still, nothing more can be done for it (RFC 9112, section 9.6).
 */
void wh_server_end_idle(wh_server *server, wh_connection *connection) {
  if (server->stopping && wh_stream_waiting(&connection->stream) > 0) {
    wh_timer_set(wh_loop_timers(server->loop), &connection->timer,
                 wh_loop_now(server->loop) + LATE_MS);
    return;
  }
  connection->owner_phase = WH_HTTP1_OVER;
  wh_connection_finish(connection, server->stopping != 0);
}

/* Time for the first or the next request of a connection while the server stops. */
int64_t wh_server_stop_limit(const wh_server *server, int64_t timeout) {
  return server->stopping == WH_STOPPING_LATE && timeout > (int64_t)LATE_MS ? (int64_t)LATE_MS
                                                                            : timeout;
}

int64_t wh_server_linger_limit(const wh_server *server) {
  int64_t limit = server->limits.linger_timeout;
  return server->stopping && limit > (int64_t)LINGER_MS ? (int64_t)LINGER_MS : limit;
}

static void end_window_of(wh_server *server, wh_connection *connection) {
  if (connection->closed || connection->finishing) return;
  if (wh_visitor_waits(connection) || connection->owner_protocol == 0) {
    wh_connection_close(connection, 0); /* nothing of it was read as HTTP */
  } else if (connection->owner_protocol == WH_PROTOCOL_HTTP2) {
    wh_server_end_window_http2(connection);
  } else if (connection->session != NULL) {
    wh_server_end_window_http1(connection);
  } else if (connection->requests == 0 && connection->number > server->stop.last_number) {
    /* From the queue, and with a window as short as this its client had no time to ask. */
    wh_timer_set(wh_loop_timers(server->loop), &connection->timer,
                 wh_loop_now(server->loop) + LATE_MS);
  } else {
    wh_server_end_idle(server, connection);
  }
}

static void end_window(wh_server *server) {
  server->stopping = server->service.stopping = WH_STOPPING_LATE;
  for (wh_connection *c = server->outbox.connections; c != NULL; c = c->next) {
    end_window_of(server, c);
  }
}

static void on_window_timer(wh_timer *timer) {
  wh_server *server = (wh_server *)((char *)timer - offsetof(wh_server, stop.window_timer));
  wh_server_freshen(server);
  end_window(server);
}

void wh_server_stop(wh_server *server, uint32_t window_ms) {
  if (server->stopping) return;
  server->stopping = server->service.stopping = WH_STOPPING_WINDOW;
  wh_loop_touch(server->loop);
  wh_timer_init(&server->stop.window_timer, on_window_timer);
  for (wh_connection *c = server->outbox.connections; c != NULL; c = c->next) {
    if (c->owner_protocol == WH_PROTOCOL_HTTP2 && !c->closed) wh_http2_stop(c->session, 0);
  }
  if (window_ms == 0) {
    end_window(server);
    wh_outbox_settle(&server->outbox);
  } else {
    wh_timer_set(wh_loop_timers(server->loop), &server->stop.window_timer,
                 wh_loop_now(server->loop) + window_ms);
    wh_outbox_settle(&server->outbox); /* what tells clients of HTTP/2 */
  }
}

void wh_server_abort(wh_server *server) {
  for (wh_connection *c = server->outbox.connections; c != NULL; c = c->next) {
    wh_connection_close(c, 1);
  }
  wh_outbox_settle(&server->outbox);
}
