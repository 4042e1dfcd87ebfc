/* Connections of HTTP/2: what their sessions are doing, and how long that may take. */
#include "base/error.h"
#include "server/pace.h"
#include "server/server_internal.h"

/* Whether the client was heard of since the timer was set: the connection's hint, which is HTTP/1's else. */
#define HEARD 1U

/* What may wait for a client that does not read, before it is not read from either (bytes). */
#define QUEUE_MOST (1U << 20)

static int64_t ping_time(const wh_server *server, const wh_http2 *session) {
  return wh_http2_ping_awaited(session) ? server->limits.http2_ping_timeout
                                        : server->limits.http2_ping_delay;
}

/* What is left for the header block that is being received (ms): not the one for which the timer was set. */
static int64_t block_time(const wh_connection *connection) {
  const wh_server *server = wh_server_of(connection);
  int64_t limit = wh_server_stop_limit(server, server->limits.request_headers_timeout);
  if (limit == WH_UNLIMITED) return limit;
  int64_t left = limit - (int64_t)(wh_http2_block_age(connection->session) / 1000);
  return left > 0 ? left : 0;
}

static void set_timer(wh_connection *connection, wh_http2_phase phase) {
  const wh_server *server = wh_server_of(connection);
  switch (phase) {
  case WH_HTTP2_IDLE:
    /* A PING or a SETTINGS is no request: the time runs from the end of the last stream. */
    wh_server_start_timer(connection,
                          wh_server_stop_limit(server, server->limits.keep_alive_timeout));
    break;
  case WH_HTTP2_HEAD: wh_server_start_timer(connection, block_time(connection)); break;
  case WH_HTTP2_DRAIN:
    wh_server_start_timer(connection, server->limits.request_body_drain_timeout);
    break;
  case WH_HTTP2_BUSY:
    /* Without pings the timer is left as it is: when it comes, on_timer looks at the phase. */
    if (server->limits.http2_ping_delay == WH_UNLIMITED) return;
    wh_server_start_timer(connection, ping_time(server, connection->session));
    connection->owner_hint &= (uint8_t)~HEARD;
    break;
  case WH_HTTP2_OVER: break; /* on_lingering sets it */
  }
}

static void set_phase(wh_connection *connection, wh_http2_phase phase) {
  if (connection->owner_phase == phase) return;
  connection->owner_phase = (uint8_t)phase;
  set_timer(connection, phase);
}

/* A client that says nothing while its streams are open is asked whether it is still there. */
static void ask(wh_connection *connection) {
  wh_server *server = wh_server_of(connection);
  wh_http2 *session = connection->session;
  if (server->limits.http2_ping_delay == WH_UNLIMITED) return;
  if (connection->owner_hint & HEARD) {
    set_timer(connection, WH_HTTP2_BUSY);
  } else if (wh_http2_ping_awaited(session)) {
    server->timeouts[WH_TIMEOUT_PING]++;
    wh_connection_close(connection, 1);
  } else {
    wh_http2_ping(session);
    set_timer(connection, WH_HTTP2_BUSY);
  }
}

/* After frames came or answers went: what does the connection do now? */
static void update(wh_connection *connection) {
  if (connection->closed) return;
  set_phase(connection, wh_http2_phase_of(connection->session));
}

static void on_timer(wh_timer *timer) {
  wh_connection *connection = (wh_connection *)((char *)timer - offsetof(wh_connection, timer));
  wh_server *server = wh_server_of(connection);
  wh_http2 *session = connection->session;
  if (connection->closed) return;
  wh_server_freshen(server);
  switch ((wh_http2_phase)connection->owner_phase) {
  case WH_HTTP2_IDLE:
    server->timeouts[WH_TIMEOUT_KEEP_ALIVE]++;
    wh_visitor_note(connection, WH_CLOSE_REASON_KEEP_ALIVE_TIMEOUT);
    wh_http2_end_idle(session);
    break;
  case WH_HTTP2_HEAD:
    if (block_time(connection) > 0) {
      set_timer(connection, WH_HTTP2_HEAD);
      break;
    }
    server->timeouts[WH_TIMEOUT_REQUEST_HEADERS]++;
    wh_visitor_note(connection, WH_CLOSE_REASON_REQUEST_HEADERS_TIMEOUT);
    wh_http2_end_slow(session);
    break;
  case WH_HTTP2_DRAIN:
    server->timeouts[WH_TIMEOUT_BODY_DRAIN]++;
    wh_http2_end_drain(session);
    update(connection);
    break;
  case WH_HTTP2_BUSY: ask(connection); break;
  case WH_HTTP2_OVER:
    if (!connection->lingering) break; /* it is still sending, which may take its time */
    server->timeouts[WH_TIMEOUT_LINGER]++;
    wh_connection_close(connection, !server->stopping);
    break;
  }
}

void wh_server_look_http2(wh_connection *connection) {
  wh_http2_look(connection->session);
  if (!connection->owner_listed) update(connection);
}

void wh_server_over_http2(wh_connection *connection) { set_phase(connection, WH_HTTP2_OVER); }

void wh_server_end_window_http2(wh_connection *connection) {
  wh_http2 *session = connection->session;
  if (wh_http2_phase_of(session) == WH_HTTP2_HEAD && !wh_http2_has_requests(session))
    wh_http2_end_slow(session);
  else
    wh_http2_stop(session, 1);
}

static void on_data(wh_connection *connection, uint8_t *data, size_t length) {
  wh_http2 *session = connection->session;
  wh_server_freshen(wh_server_of(connection));
  connection->owner_hint |= HEARD;
  uint64_t before = wh_http2_body_bytes(session);
  wh_http2_receive(session, data, length);
  if (connection->pace != NULL) {
    wh_pace_received(connection, (size_t)(wh_http2_body_bytes(session) - before));
  }
  /* Answers without bodies, and to what is no request, do not wait for room: so their clients do. */
  if (wh_connection_is_full(connection) && wh_connection_queued(connection) > QUEUE_MOST) {
    wh_connection_read(connection, 0);
    wh_connection_notify_room(connection);
  }
  update(connection);
}

static void on_room(wh_connection *connection) {
  wh_connection_read(connection, 1);
  wh_http2_room(connection->session);
  wh_server_list(connection);
}

static void on_blocked(wh_connection *connection, int blocked) {
  wh_pace_response(connection, blocked || wh_http2_is_stalled(connection->session));
}

static void on_closed(wh_connection *connection) {
  wh_http2 *session = connection->session;
  connection->session = NULL;
  wh_http2_close(session);
  wh_server_closed(connection);
}

static const wh_connection_events http2_events = {
    .on_data = on_data,
    .on_room = on_room,
    .on_blocked = on_blocked,
    .on_lingering = wh_server_lingering,
    .on_closed = on_closed,
};

void wh_server_speak_http2(wh_connection *connection) {
  wh_server *server = wh_server_of(connection);
  connection->owner_protocol = WH_PROTOCOL_HTTP2;
  wh_http2 *session =
      wh_http2_open(&server->service, connection, connection->number, &connection->requests);
  if (session == NULL) {
    connection->owner_protocol = 0;
    wh_connection_close(connection, 1);
    return;
  }
  server->http2_connections++;
  connection->session = session;
  connection->events = &http2_events;
  connection->timer.callback = on_timer;
  connection->owner_hint = 0;
  connection->owner_phase = WH_HTTP2_IDLE;
  set_timer(connection, WH_HTTP2_IDLE);
  if (server->stopping) wh_http2_stop(session, server->stopping == WH_STOPPING_LATE);
}
