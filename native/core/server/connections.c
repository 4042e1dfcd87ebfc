/*
 * Connections under a server: which protocol speaks, when a session is needed, how long may pass.
 */
#include "base/error.h"
#include "server/pace.h"
#include "server/server_internal.h"

#define LEAVE_MS \
  30000 /* for a client to take what is left of a tunnel that is over; ours, as ws waits for its close */
/* Reading right after accept is tried while it pays: see accepted(). */
#define EAGER_MOST 8
#define EAGER_PROBE 16

/* Connections in a window that decides whether clients come for one request each: see note_closed. */
#define CHURN_WINDOW 64U
#define CHURN_WINDOW_MS 1000U

static const wh_connection_events connection_events;

/* --- timeouts --- */

static void on_timer(wh_timer *timer) {
  wh_connection *connection = (wh_connection *)((char *)timer - offsetof(wh_connection, timer));
  wh_http1 *session = connection->session;
  if (connection->closed) return;
  uint64_t *timeouts = wh_server_of(connection)->timeouts;
  wh_server_freshen(wh_server_of(connection));
  switch ((wh_http1_phase)connection->owner_phase) {
  case WH_HTTP1_IDLE:
    timeouts[WH_TIMEOUT_KEEP_ALIVE]++;
    wh_visitor_note(connection, WH_CLOSE_REASON_KEEP_ALIVE_TIMEOUT);
    wh_server_end_idle(wh_server_of(connection), connection);
    break;
  case WH_HTTP1_HEAD:
    wh_visitor_note(connection, WH_CLOSE_REASON_REQUEST_HEADERS_TIMEOUT);
    timeouts[WH_TIMEOUT_REQUEST_HEADERS]++;
    if (session != NULL) wh_http1_head_timeout(session);
    break;
  case WH_HTTP1_DRAIN:
    timeouts[WH_TIMEOUT_BODY_DRAIN]++;
    wh_connection_close(connection, 1);
    break;
  case WH_HTTP1_LEAVING: wh_connection_close(connection, 1); break;
  case WH_HTTP1_OVER:
    if (!connection->lingering) break; /* it is still sending, which may take its time */
    timeouts[WH_TIMEOUT_LINGER]++;
    /* A server that stops has waited less for the client; what is unsent goes on without us. */
    wh_connection_close(connection, !wh_server_of(connection)->stopping);
    break;
  case WH_HTTP1_BODY:
  case WH_HTTP1_BUSY: break;
  }
}

static void start_timer(wh_server *server, wh_connection *connection, int64_t timeout) {
  wh_timers *timers = wh_loop_timers(server->loop);
  if (timeout == WH_UNLIMITED)
    wh_timer_cancel(timers, &connection->timer);
  else
    wh_timer_set(timers, &connection->timer, wh_loop_now(server->loop) + (uint64_t)timeout);
}

/* Sets the timer for what the connection is doing now; the time of a phase counts from its start. */
static void set_phase(wh_server *server, wh_connection *connection, wh_http1_phase phase) {
  if (connection->owner_phase == phase) return;
  if (phase == WH_HTTP1_BODY)
    wh_pace_request(connection, connection->reading);
  else if (connection->pace != NULL)
    wh_pace_body_ended(connection);
  connection->owner_phase = (uint8_t)phase;
  int64_t timeout = WH_UNLIMITED;
  switch (phase) {
  case WH_HTTP1_IDLE: timeout = server->limits.keep_alive_timeout; break;
  case WH_HTTP1_HEAD:
    timeout = wh_server_stop_limit(server, server->limits.request_headers_timeout);
    break;
  case WH_HTTP1_DRAIN: timeout = server->limits.request_body_drain_timeout; break;
  case WH_HTTP1_LEAVING: timeout = LEAVE_MS; break;
  /* Here the timer is left as it is: when it comes, on_timer looks at the phase. To take it off its
     list and put it back would cost each request several cache misses. */
  case WH_HTTP1_OVER: /* see on_lingering */
  case WH_HTTP1_BODY:
  case WH_HTTP1_BUSY: return;
  }
  start_timer(server, connection, timeout);
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

void wh_server_unlist(wh_connection *connection) {
  if (!connection->owner_listed) return;
  wh_server *server = wh_server_of(connection);
  wh_connection **link = &server->look_at, *before = NULL;
  while (*link != NULL && *link != connection) {
    before = *link;
    link = &before->owner_next;
  }
  if (*link == NULL) return;
  *link = connection->owner_next;
  if (server->look_last == connection) server->look_last = before;
}

/* After bytes came or an answer went: what does the connection do now? */
static void update(wh_server *server, wh_connection *connection) {
  wh_http1 *session = connection->session;
  if (session == NULL) return;
  wh_http1_phase phase = wh_http1_phase_of(session);
  set_phase(server, connection, phase);
  if (phase == WH_HTTP1_IDLE) {
    if (connection->pace != NULL) wh_pace_answered(connection);
    connection->session = NULL;
    wh_http1_close(session);
    if (server->stopping == WH_STOPPING_LATE) wh_server_end_idle(server, connection);
  } else if (server->stopping == WH_STOPPING_LATE) {
    wh_http1_stop(session);
  }
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
    wh_http1 *session = connection->session;
    if (session != NULL && !connection->closed) {
      if (wh_http1_can_resume(session)) {
        uint8_t *scratch = wh_loop_lend(server->loop, wh_http1_rest(session));
        if (scratch != NULL)
          wh_http1_resume(session, scratch);
        else
          wh_server_list(
              connection); /* when the batch has been handled and the arena is free again */
      }
      if (!connection->owner_listed) update(server, connection);
    } else if (connection->rare != NULL && !connection->closed) {
      wh_visitor_look(connection);
    }
    server->resumed += server->service.requests - before;
    connection = next;
  }
}

/* --- what the connection tells --- */

static void on_data(wh_connection *connection, uint8_t *data, size_t length) {
  wh_server *server = wh_server_of(connection);
  wh_http1 *session = connection->session;
  wh_server_freshen(server);
  if (session == NULL) {
    if (length == 0) {
      wh_connection_finish(connection, 0);
      return;
    }
    session = wh_http1_open(&server->service, connection, connection->number, &connection->requests,
                            &connection->owner_hint);
    if (session == NULL) {
      wh_connection_close(connection, 1);
      return;
    }
    connection->session = session;
  }
  if (connection->pace != NULL) wh_pace_received(connection, length);
  wh_http1_receive(session, data, length);
  update(server, connection);
}

static void on_blocked(wh_connection *connection, int blocked) {
  if (connection->session != NULL && wh_http1_is_tunnel(connection->session)) {
    if (connection->pace == NULL) return; /* nothing is measured */
    blocked = 0;
  }
  wh_pace_response(connection, blocked);
}

static void on_room(wh_connection *connection) {
  if (connection->session == NULL) return;
  wh_http1_room(connection->session);
  wh_server_list(connection); /* more of its requests may be read now */
}

static void on_file(wh_connection *connection, uint64_t token, int result) {
  wh_server_file_done(wh_server_of(connection), token, result);
}

static void on_lingering(wh_connection *connection) {
  wh_server *server = wh_server_of(connection);
  start_timer(server, connection, wh_server_linger_limit(server));
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

static void on_closed(wh_connection *connection) {
  wh_pace_end(connection);
  note_closed(wh_server_of(connection), connection);
  wh_http1 *session = connection->session;
  connection->session = NULL;
  if (session != NULL) wh_http1_close(session);
  if (connection->rare != NULL) wh_visitor_closed(connection);
  wh_server_unlist(connection);
}

static const wh_connection_events connection_events = {
    .on_data = on_data,
    .on_room = on_room,
    .on_blocked = on_blocked,
    .on_file = on_file,
    .on_lingering = on_lingering,
    .on_closed = on_closed,
};

/* Who connects and says nothing has no longer than a head may take. */
static void start_silence(wh_server *server, wh_connection *connection) {
  int64_t silence = server->limits.keep_alive_timeout < server->limits.request_headers_timeout
                        ? server->limits.keep_alive_timeout
                        : server->limits.request_headers_timeout;
  start_timer(server, connection, wh_server_stop_limit(server, silence));
}

void wh_server_admit(wh_connection *connection) {
  wh_server *server = wh_server_of(connection);
  connection->events = &connection_events;
  connection->timer.callback = on_timer;
  connection->owner_phase = WH_HTTP1_IDLE;
  start_silence(server, connection);
}

void wh_server_open(wh_server *server, int fd, const wh_address *peer) {
  wh_connection *connection = wh_connection_open(&server->outbox, fd, peer, &connection_events);
  if (connection == NULL) return;
  server->total_connections++;
  if (server->churn.deferred && window_is_old(server)) {
    set_deferred(server, 0);
    start_window(server);
  }
  wh_timer_init(&connection->timer, on_timer);
  connection->owner_phase = WH_HTTP1_IDLE;
  start_silence(server, connection);
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

/* --- the transport of the protocols --- */

static uint8_t *transport_reserve(void *connection, size_t size) {
  return wh_connection_reserve(connection, size);
}
static void transport_commit(void *connection, size_t size) {
  wh_connection_commit(connection, size);
}
static void transport_append(void *connection, const void *data, size_t length) {
  wh_connection_append(connection, data, length);
}
static void transport_append_pinned(void *connection, uint32_t id, size_t length) {
  wh_connection_append_pinned(connection, id, length);
}
static int transport_has_more(const void *connection) {
  return wh_stream_waiting(&((const wh_connection *)connection)->stream) > 0;
}
static void transport_append_file(void *connection, int file, uint64_t offset, uint64_t length,
                                  uint64_t token) {
  wh_connection_append_file(connection, file, offset, length, token);
}
static void transport_notify_room(void *connection) { wh_connection_notify_room(connection); }
static int transport_is_full(const void *connection) { return wh_connection_is_full(connection); }
static void transport_hold(void *connection, int on) {
  wh_connection *c = connection;
  c->hold = on != 0;
  if (!on) wh_server_list(c);
}
static void transport_read(void *connection, int on) {
  wh_connection *c = connection;
  wh_connection_read(c, on);
  if (c->owner_phase == WH_HTTP1_BODY) wh_pace_request(c, on);
}
static void transport_rate(void *connection, int of_response, int64_t bytes, int64_t grace) {
  wh_pace_set_rate(connection, of_response, (wh_data_rate){bytes, grace});
}
static void transport_finish(void *connection, int linger) {
  wh_connection *c = connection;
  wh_connection_finish(c, linger);
  c->hold = 0;
  set_phase(wh_server_of(c), c, WH_HTTP1_OVER);
}
static void transport_end(void *connection) { wh_connection_end(connection); }
static void transport_close(void *connection, int reset) {
  if (reset) wh_visitor_note(connection, WH_CLOSE_REASON_ABORTED_BY_APP);
  wh_connection_close(connection, reset);
}

const wh_transport wh_server_transport = {
    .reserve = transport_reserve,
    .commit = transport_commit,
    .append = transport_append,
    .append_pinned = transport_append_pinned,
    .append_file = transport_append_file,
    .notify_room = transport_notify_room,
    .has_more = transport_has_more,
    .is_full = transport_is_full,
    .hold = transport_hold,
    .read = transport_read,
    .rate = transport_rate,
    .finish = transport_finish,
    .end = transport_end,
    .close = transport_close,
};
