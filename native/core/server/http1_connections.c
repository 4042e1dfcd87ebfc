/* Connections of HTTP/1: when a session is needed, what it is doing, how long that may take. */
#include "server/pace.h"
#include "server/server_internal.h"

#define LEAVE_MS \
  30000 /* for a client to take what is left of a tunnel that is over; ours, as ws waits for its close */

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
  wh_server_start_timer(connection, timeout);
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

void wh_server_look_http1(wh_connection *connection) {
  wh_server *server = wh_server_of(connection);
  wh_http1 *session = connection->session;
  if (session == NULL) return;
  if (wh_http1_can_resume(session)) {
    uint8_t *scratch = wh_loop_lend(server->loop, wh_http1_rest(session));
    if (scratch != NULL)
      wh_http1_resume(session, scratch);
    else
      wh_server_list(connection); /* when the batch has been handled and the arena is free again */
  }
  if (!connection->owner_listed) update(server, connection);
}

void wh_server_over_http1(wh_connection *connection) {
  set_phase(wh_server_of(connection), connection, WH_HTTP1_OVER);
}

void wh_server_end_window_http1(wh_connection *connection) {
  wh_http1 *session = connection->session;
  if (wh_http1_phase_of(session) == WH_HTTP1_HEAD)
    wh_http1_head_timeout(session);
  else
    wh_http1_stop(session);
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

static void on_closed(wh_connection *connection) {
  wh_http1 *session = connection->session;
  connection->session = NULL;
  if (session != NULL) wh_http1_close(session);
  wh_server_closed(connection);
}

static const wh_connection_events http1_events = {
    .on_data = on_data,
    .on_room = on_room,
    .on_blocked = on_blocked,
    .on_file = on_file,
    .on_lingering = wh_server_lingering,
    .on_closed = on_closed,
};

void wh_server_speak_http1(wh_connection *connection) {
  connection->owner_protocol = WH_PROTOCOL_HTTP1;
  connection->events = &http1_events;
  connection->timer.callback = on_timer;
  connection->owner_phase = WH_HTTP1_IDLE;
}
