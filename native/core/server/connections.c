/*
 * Connections under a server, whatever they speak: how they begin and end, and the list of those that
 * are to be looked at.
 */
#include "base/error.h"
#include "server/pace.h"
#include "server/server_internal.h"

/* Reading right after accept is tried while it pays: see wh_server_open. */
#define EAGER_MOST 8
#define EAGER_PROBE 16

/* Connections in a window that decides whether clients come for one request each: see note_closed. */
#define CHURN_WINDOW 64U
#define CHURN_WINDOW_MS 1000U

void wh_server_start_timer(wh_connection *connection, int64_t timeout) {
  const wh_server *server = wh_server_of(connection);
  wh_timers *timers = wh_loop_timers(server->loop);
  if (timeout == WH_UNLIMITED)
    wh_timer_cancel(timers, &connection->timer);
  else
    wh_timer_set(timers, &connection->timer, wh_loop_now(server->loop) + (uint64_t)timeout);
}

void wh_server_start_silence(wh_connection *connection) {
  const wh_server *server = wh_server_of(connection);
  int64_t silence = server->limits.keep_alive_timeout < server->limits.request_headers_timeout
                        ? server->limits.keep_alive_timeout
                        : server->limits.request_headers_timeout;
  wh_server_start_timer(connection, wh_server_stop_limit(server, silence));
}

/* --- the list of those to look at --- */

void wh_server_list(wh_connection *connection) {
  if (connection->owner_listed) return;
  wh_server *server = wh_server_of(connection);
  connection->owner_listed = 1;
  connection->owner_next = NULL;
  if (server->look_last != NULL)
    server->look_last->owner_next = connection;
  else
    server->look_at = connection;
  server->look_last = connection;
}

/* Takes a connection off a list; whether it was on it. */
static int strike(wh_connection *connection, wh_connection **first, wh_connection **last) {
  wh_connection **link = first, *before = NULL;
  while (*link != NULL && *link != connection) {
    before = *link;
    link = &before->owner_next;
  }
  if (*link == NULL) return 0;
  *link = connection->owner_next;
  if (*last == connection) *last = before;
  return 1;
}

void wh_server_unlist(wh_connection *connection) {
  if (!connection->owner_listed) return;
  wh_server *server = wh_server_of(connection);
  if (!strike(connection, &server->look_at, &server->look_last)) {
    strike(connection, &server->handshake_first, &server->handshake_last);
  }
}

static void look_at(wh_connection *connection) {
  if (connection->rare != NULL && wh_visitor_waits(connection))
    wh_visitor_look(connection);
  else if (connection->owner_protocol == WH_PROTOCOL_HTTP2)
    wh_server_look_http2(connection);
  else if (connection->owner_protocol == WH_PROTOCOL_HTTP1)
    wh_server_look_http1(connection);
}

void wh_server_look(wh_server *server) {
  wh_connection *connection = server->look_at, *last = server->look_last;
  server->look_at = server->look_last = NULL;
  while (connection != NULL) {
    if (server->resumed >= WH_RESUMED_PER_TURN) {
      /* Those who sent much ahead wait for the next turn; others are read before. */
      last->owner_next = server->look_at;
      server->look_at = connection;
      if (server->look_last == NULL) server->look_last = last;
      return;
    }
    wh_connection *next = connection->owner_next;
    connection->owner_listed = 0;
    uint64_t before = server->service.requests;
    if (!connection->closed) look_at(connection);
    server->resumed += server->service.requests - before;
    connection = next;
  }
}

/* --- beginning and end --- */

void wh_server_lingering(wh_connection *connection) {
  wh_server_start_timer(connection, wh_server_linger_limit(wh_server_of(connection)));
}

/*
 * Where clients connect for each request, and many do, the listeners let the system keep connections
 * until their first bytes are here: one event for a connection instead of two, and no call to watch
 * it. It ends as soon as connections live longer, or come seldom.
 */
static void set_deferred(wh_server *server, int on) {
  if (server->churn.deferred == on || server->listening_stopped) return;
  server->churn.deferred = on;
  for (wh_server_endpoint *e = server->endpoints; e != NULL; e = e->next) {
    wh_listening_defer(&e->listening, on);
  }
}

static void start_window(wh_server *server) {
  server->churn.window_start = wh_loop_now(server->loop);
  server->churn.closed = server->churn.short_lived = 0;
}

static int window_is_old(const wh_server *server) {
  return wh_loop_now(server->loop) - server->churn.window_start > CHURN_WINDOW_MS;
}

static void note_closed(wh_server *server, const wh_connection *connection) {
  wh_churn *churn = &server->churn;
  churn->closed++;
  if (connection->requests <= 1) churn->short_lived++;
  if (churn->closed < CHURN_WINDOW) return;
  set_deferred(server, churn->short_lived * 10 >= churn->closed * 9 && !window_is_old(server));
  start_window(server);
}

void wh_server_closed(wh_connection *connection) {
  wh_pace_end(connection);
  note_closed(wh_server_of(connection), connection);
  if (connection->rare != NULL) wh_visitor_closed(connection);
  wh_server_unlist(connection);
}

void wh_server_open(wh_server_endpoint *endpoint, int fd, const wh_address *peer) {
  wh_server *server = endpoint->server;
  wh_connection *connection = wh_connection_open(&server->outbox, fd, peer, NULL);
  if (connection == NULL) return;
  server->total_connections++;
  if (server->churn.deferred && window_is_old(server)) {
    set_deferred(server, 0);
    start_window(server);
  }
  wh_timer_init(&connection->timer, NULL);
  wh_server_admit(connection, endpoint);
  if (server->listening_stopped) return; /* perhaps not called from the loop: nothing is read now */
  /*
   * Where a client connects for each request, its first bytes are often here already, and to read
   * them now saves telling the system to watch the connection. Where clients stay, it would be a
   * call for nothing: so it is done while it pays, and tried now and then when it does not.
   */
  if (server->eager_reads > 0 || server->total_connections % EAGER_PROBE == 0) {
    int hit = wh_stream_try_read(&connection->stream);
    if (hit && server->eager_reads < EAGER_MOST)
      server->eager_reads += 2;
    else if (!hit && server->eager_reads > 0)
      server->eager_reads--;
  }
}
