/* What the protocols know of the connection below (http/service.h): mostly net/connection.h itself. */
#include "server/pace.h"
#include "server/server_internal.h"

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
  if (c->owner_protocol == WH_PROTOCOL_HTTP1 && c->owner_phase == WH_HTTP1_BODY) {
    wh_pace_request(c, on);
  }
}
static void transport_rate(void *connection, int of_response, int64_t bytes, int64_t grace) {
  wh_pace_set_rate(connection, of_response, (wh_data_rate){bytes, grace});
}
static void transport_finish(void *connection, int linger) {
  wh_connection *c = connection;
  wh_connection_finish(c, linger);
  c->hold = 0;
  if (c->owner_protocol == WH_PROTOCOL_HTTP2)
    wh_server_over_http2(c);
  else
    wh_server_over_http1(c);
}
static void transport_end(void *connection) { wh_connection_end(connection); }
static void transport_close(void *connection, int reset) {
  if (reset) wh_visitor_note(connection, WH_CLOSE_REASON_ABORTED_BY_APP);
  wh_connection_close(connection, reset);
}
static int transport_is_secure(const void *connection) {
  return ((const wh_connection *)connection)->filter != NULL;
}
static uint8_t *transport_lend(void *connection, size_t length) {
  return wh_loop_lend(wh_server_of(connection)->loop, length);
}
static void transport_look(void *connection) { wh_server_list(connection); }
static void transport_awaits(void *connection, int on) {
  wh_connection *c = connection;
  if (on >= 0)
    wh_pace_request(c, on);
  else if (c->pace != NULL)
    wh_pace_body_ended(c);
}
static void transport_stalled(void *connection, int on) {
  const wh_connection *c = connection;
  if (!c->blocked) wh_pace_response(connection, on);
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
    .is_secure = transport_is_secure,
    .lend = transport_lend,
    .look = transport_look,
    .awaits = transport_awaits,
    .stalled = transport_stalled,
};
