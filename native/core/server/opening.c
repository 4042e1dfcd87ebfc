/*
 * What a new connection will speak: TLS agrees on it in its handshake (ALPN); in cleartext, where both
 * versions are spoken, the first bytes tell, because those of HTTP/2 are always the same (RFC 9113
 * section 3.4). Until then a connection has a wh_opening in the place of a session.
 *
 * Handshakes cost more than anything else that a client can ask for. They wait until those whose
 * handshake is done have been served, and have a bounded part of each turn.
 */
#include <string.h>

#include "base/memory.h"
#include "server/server_internal.h"

/* Time for handshakes in a turn, while others may want to be served (µs). */
#define HANDSHAKE_TURN_US 2000U

typedef struct wh_opening {
  uint64_t since_us;
  unsigned protocols;
  uint8_t length; /* of `bytes` */
  uint8_t bytes[WH_HTTP2_PREFACE_LENGTH];
} wh_opening;

static void leave_opening(wh_connection *connection) {
  wh_free(connection->session);
  connection->session = NULL;
}

static void speak(wh_connection *connection, unsigned protocol) {
  leave_opening(connection);
  if (protocol == WH_PROTOCOL_HTTP2)
    wh_server_speak_http2(connection);
  else
    wh_server_speak_http1(connection);
}

/* --- cleartext --- */

/* Not HTTP/2, where nothing else is spoken. What looks like HTTP/1 is told so in its own words. */
static void refuse(wh_connection *connection, const uint8_t *data, size_t length) {
  static const char text[] = "HTTP/1.1 400 Bad Request\r\n"
                             "Content-Type: text/plain; charset=utf-8\r\n"
                             "Content-Length: 59\r\n"
                             "Connection: close\r\n\r\n"
                             "This port speaks HTTP/2 alone, without an HTTP/1.1 upgrade.";
  /* GOAWAY with PROTOCOL_ERROR, behind SETTINGS, which a client expects first. */
  static const uint8_t goaway[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7,
                                   0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const uint8_t *feed = memchr(data, '\n', length);
  size_t line = feed == NULL ? length : (size_t)(feed - data);
  wh_server_of(connection)->service.refusals[WH_REFUSED_VERSION]++;
  int is_text = line >= 4;
  for (size_t i = 0; i < line && i < 4; i++) is_text &= data[i] >= ' ' && data[i] < 0x7f;
  if (is_text)
    wh_connection_append(connection, text, sizeof text - 1);
  else
    wh_connection_append(connection, goaway, sizeof goaway);
  wh_connection_finish(connection, 1);
}

static void on_data(wh_connection *connection, uint8_t *data, size_t length) {
  wh_opening *opening = connection->session;
  wh_server_freshen(wh_server_of(connection));
  if (length == 0) {
    wh_connection_finish(connection, 0);
    return;
  }
  size_t known = opening->length, piece = WH_HTTP2_PREFACE_LENGTH - known;
  if (piece > length) piece = length;
  int fits = memcmp(WH_HTTP2_PREFACE + known, data, piece) == 0;
  memcpy(opening->bytes + known, data, piece);
  if (fits && known + piece < WH_HTTP2_PREFACE_LENGTH) {
    opening->length = (uint8_t)(known + piece);
    return;
  }
  uint8_t start[WH_HTTP2_PREFACE_LENGTH];
  memcpy(start, opening->bytes, sizeof start);
  if (!fits && !(opening->protocols & WH_PROTOCOL_HTTP1)) {
    refuse(connection, start, known + piece);
    return;
  }
  speak(connection, fits ? WH_PROTOCOL_HTTP2 : WH_PROTOCOL_HTTP1);
  /* What came before is too short to be more than the start of a request. */
  if (known > 0 && !connection->closed) connection->events->on_data(connection, start, known);
  if (!connection->closed && !connection->finishing) {
    connection->events->on_data(connection, data, length);
  }
}

/* --- TLS --- */

static void handshake_due(wh_connection *connection) {
  wh_server *server = wh_server_of(connection);
  if (connection->owner_listed) return;
  connection->owner_listed = 1;
  connection->owner_next = NULL;
  if (server->handshake_last != NULL)
    server->handshake_last->owner_next = connection;
  else
    server->handshake_first = connection;
  server->handshake_last = connection;
}

static void handshaken(wh_connection *connection, unsigned protocol) {
  wh_tls_metrics *metrics = &wh_server_of(connection)->tls;
  const wh_opening *opening = connection->session;
  wh_tls_facts facts;
  wh_tls_get_facts(connection->filter, &facts);
  metrics->handshakes++;
  metrics->resumed += facts.resumed != 0;
  metrics->active--;
  wh_histogram_add(&metrics->duration, wh_server_now_us() - opening->since_us, 1);
  speak(connection, protocol);
  wh_server_start_silence(connection);
}

static void failed(wh_connection *connection, const char *reason) {
  (void)connection;
  (void)reason; /* counted when it closes */
}

static const wh_tls_events tls_events = {
    .handshake_due = handshake_due,
    .handshaken = handshaken,
    .failed = failed,
};

void wh_server_handshake(wh_server *server) {
  uint64_t until = 0;
  while (server->handshake_first != NULL) {
    wh_connection *connection = server->handshake_first;
    uint8_t *scratch =
        wh_loop_lend(server->loop, wh_tls_waiting(connection->filter) + WH_FILTER_SPARE);
    if (scratch == NULL) return; /* when the batch has been handled and the arena is free again */
    server->handshake_first = connection->owner_next;
    if (server->handshake_first == NULL) server->handshake_last = NULL;
    connection->owner_listed = 0;
    if (!connection->closed) wh_tls_handshake(connection->filter, connection, scratch);
    if (until == 0)
      until = wh_server_now_us() + HANDSHAKE_TURN_US;
    else if (wh_server_now_us() > until)
      return;
  }
}

/* --- both --- */

static void on_timer(wh_timer *timer) {
  wh_connection *connection = (wh_connection *)((char *)timer - offsetof(wh_connection, timer));
  wh_server *server = wh_server_of(connection);
  if (connection->closed) return;
  wh_server_freshen(server);
  if (connection->lingering) {
    wh_connection_close(connection, 1);
    return;
  }
  if (connection->filter != NULL) {
    server->timeouts[WH_TIMEOUT_HANDSHAKE]++;
    wh_connection_close(connection, 0);
  } else {
    server->timeouts[WH_TIMEOUT_REQUEST_HEADERS]++;
    wh_connection_finish(connection, 0);
  }
  wh_visitor_note(connection, WH_CLOSE_REASON_REQUEST_HEADERS_TIMEOUT);
}

static void on_quiet(wh_connection *connection) { (void)connection; }

static void on_blocked(wh_connection *connection, int blocked) {
  (void)connection; /* the handshake has a timeout of its own */
  (void)blocked;
}

static void on_closed(wh_connection *connection) {
  wh_tls_metrics *metrics = &wh_server_of(connection)->tls;
  if (connection->filter != NULL && connection->session != NULL) {
    metrics->active--;
    metrics->failed++;
  }
  wh_server_closed(connection);
  leave_opening(connection);
}

static const wh_connection_events opening_events = {
    .on_data = on_data,
    .on_room = on_quiet,
    .on_blocked = on_blocked,
    .on_lingering = wh_server_lingering,
    .on_closed = on_closed,
};

void wh_server_admit(wh_connection *connection, wh_server_endpoint *endpoint) {
  wh_server *server = endpoint->server;
  if (endpoint->tls == NULL && !(endpoint->protocols & WH_PROTOCOL_HTTP2)) {
    wh_server_speak_http1(connection);
    wh_server_start_silence(connection);
    return;
  }
  wh_opening *opening = wh_zalloc(sizeof *opening);
  connection->events = &opening_events;
  connection->timer.callback = on_timer;
  connection->owner_protocol = 0;
  connection->session = opening;
  if (opening == NULL) {
    wh_connection_close(connection, 1);
    return;
  }
  opening->protocols = endpoint->protocols;
  opening->since_us = wh_server_now_us();
  if (endpoint->tls == NULL) {
    wh_server_start_silence(connection);
    return;
  }
  wh_filter *filter = wh_tls_open(endpoint->tls, &tls_events);
  if (filter == NULL) {
    wh_connection_close(connection, 1);
    return;
  }
  server->tls.active++;
  wh_connection_filter(connection, filter);
  wh_server_start_timer(connection, wh_server_stop_limit(server, server->limits.handshake_timeout));
}
