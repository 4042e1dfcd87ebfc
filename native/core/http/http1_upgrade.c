/*
 * Connections that become tunnels: by Upgrade (101, RFC 9110 section 7.8) and by CONNECT (2xx, section
 * 9.3.6).
 *
 * A request that may end so waits for its turn and holds what comes behind it, because only its answer
 * says whose bytes those are: the next request's or the tunnel's. Once it is upgraded the connection's
 * bytes are the application's: what comes is BODY, what it writes goes out as it is, each side ends by
 * itself. No limit of size, time or rate of HTTP applies any more.
 *
 * CONNECT has a table of its own: a 2xx that makes no tunnel would let client and server disagree about
 * what the bytes behind it are, so it is answered 405 in its place. Any other refusal is the
 * application's, and is the last answer of its connection, because the client may have sent ahead.
 */
#include <string.h>

#include "http/http1_session.h"
#include "http/status.h"

#define TUNNEL_PIECE 32768U
/* More than the longest status line, Connection, Date and Server take together. */
#define UPGRADE_HEAD_OVERHEAD 512U

#define LITERAL(out, text) (memcpy((out), (text), sizeof(text) - 1), (out) + sizeof(text) - 1)

static uint8_t *put(uint8_t *out, const void *data, size_t length) {
  if (length > 0) memcpy(out, data, length);
  return out + length;
}

static const wh_protocol tunnel_protocol;

/* --- the request --- */

void wh_http1_offer_upgrade(wh_http1 *session) {
  wh_exchange *exchange = session->parsing;
  unsigned flags = wh_slot_get16(exchange, WH_SLOT_FLAGS);
  session->state = STATE_WAIT;
  if (!exchange->connect) return;
  wh_slot_set16(exchange, WH_SLOT_FLAGS, (uint16_t)(flags | WH_REQUEST_FLAG_UPGRADE));
  exchange->protocol = &session->service->http1->connect;
  exchange->close = 1;
}

/* --- the answer --- */

static uint8_t *put_head(uint8_t *out, const wh_http_service *service, const wh_answer *answer) {
  size_t length;
  const char *line = wh_status_line(answer->status, &length);
  if (line != NULL) {
    out = put(out, line, length);
  } else {
    out = LITERAL(out, "HTTP/1.1 ");
    *out++ = (uint8_t)('0' + answer->status / 100);
    *out++ = (uint8_t)('0' + answer->status / 10 % 10);
    *out++ = (uint8_t)('0' + answer->status % 10);
    out = LITERAL(out, " \r\n");
  }
  if (answer->status == 101) out = LITERAL(out, "Connection: Upgrade\r\n");
  out = put(out, answer->head, answer->head_length);
  if (!(answer->flags & WH_COMMAND_FLAG_HAS_DATE)) {
    out = put(out, service->date_block, service->date_length);
  }
  if (!(answer->flags & WH_COMMAND_FLAG_HAS_SERVER)) {
    out = put(out, service->date_block + service->date_length,
              service->date_block_length - service->date_length);
  }
  return LITERAL(out, "\r\n");
}

static void set_result(const wh_exchange *exchange, uint8_t result) {
  exchange->slot[WH_SLOT_UPGRADE_RESULT] = result;
}

void wh_http1_upgrade(wh_exchange *exchange, const wh_answer *answer) {
  wh_http1 *session = exchange->owner;
  wh_http_service *service = session->service;
  const wh_transport *transport = service->transport;
  unsigned flags = wh_slot_get16(exchange, WH_SLOT_FLAGS);
  int fits = exchange->connect ? answer->status / 100 == 2 : answer->status == 101;
  if (!fits || !(flags & WH_REQUEST_FLAG_UPGRADE) || session->over || session->first != exchange ||
      session->state != STATE_WAIT || answer->flags & WH_COMMAND_FLAG_PINNED) {
    return;
  }
  if (service->upgraded >= service->limits.upgraded) {
    set_result(exchange, WH_UPGRADE_RESULT_LIMIT);
    return;
  }
  uint8_t *start =
      transport->reserve(session->connection, UPGRADE_HEAD_OVERHEAD + answer->head_length);
  if (start == NULL) return;
  uint8_t *out = put_head(start, service, answer);
  transport->commit(session->connection, (size_t)(out - start));
  set_result(exchange, WH_UPGRADE_RESULT_DONE);
  service->upgraded++;
  session->tunnel = 1;
  session->state = STATE_TUNNEL;
  exchange->started = 1;
  exchange->protocol = &tunnel_protocol;
  wh_http_service_answered(service, exchange);
  if (session->rest_length == 0 && session->eof)
    wh_http1_end_of_tunnel(session);
  else if (session->rest_length == 0)
    transport->read(session->connection, exchange->body_wanted);
  transport->hold(session->connection, 0); /* and what waits is looked at */
}

/* --- from the client --- */

/* Both sides have ended, or the application has let go: what is written is sent, and that is it. */
static void leave(wh_http1 *session) {
  session->over = 1;
  session->state = STATE_CLOSED;
  session->service->transport->finish(session->connection, 0);
  session->service->transport->hold(session->connection, 0); /* to look how long that may take */
}

static void close_exchange(wh_http1 *session) {
  wh_http_service *service = session->service;
  wh_exchange *exchange = session->first;
  session->first = session->last = NULL;
  session->running = 0;
  exchange->owner = NULL;
  exchange->next = NULL;
  exchange->ended = 1;
  if (exchange->wants_ended) service->receiver->ended(service->user, exchange);
  if (exchange->released) wh_exchange_give(service->pool, exchange);
}

void wh_http1_receive_tunnel(wh_http1 *session, const uint8_t *data, size_t length) {
  wh_http_service *service = session->service;
  wh_exchange *exchange = session->first;
  service->receiver->keep(service->user, data + length);
  service->receiver->body(service->user, exchange, data, length);
  /* What waited is read whether it is wanted or not; what comes after it is not. */
  if (!session->eof) service->transport->read(session->connection, exchange->body_wanted);
}

void wh_http1_end_of_tunnel(wh_http1 *session) {
  wh_http_service *service = session->service;
  wh_exchange *exchange = session->first;
  service->receiver->body_end(service->user, exchange);
  if (!session->tunnel_ended) return;
  close_exchange(session);
  leave(session);
}

/* --- from the application --- */

static void tunnel_nothing(wh_exchange *exchange, const wh_answer *answer) {
  wh_http1 *session = exchange->owner;
  if (!(answer->flags & WH_COMMAND_FLAG_PINNED)) return;
  session->service->receiver->release_pinned(session->service->user, answer->pinned_id);
}

static void tunnel_write(wh_exchange *exchange, const wh_answer *answer) {
  wh_http1 *session = exchange->owner;
  const wh_transport *transport = session->service->transport;
  if (session->over || session->tunnel_ended || answer->body_length == 0) {
    tunnel_nothing(exchange, answer);
  } else if (answer->flags & WH_COMMAND_FLAG_PINNED) {
    transport->append_pinned(session->connection, answer->pinned_id, answer->body_length);
  } else {
    const uint8_t *data = answer->body;
    for (size_t left = answer->body_length; left > 0;) {
      size_t piece = left < TUNNEL_PIECE ? left : TUNNEL_PIECE;
      transport->append(session->connection, data, piece);
      data += piece;
      left -= piece;
    }
  }
}

static void tunnel_end(wh_exchange *exchange) {
  wh_http1 *session = exchange->owner;
  if (session->over) return;
  if (session->tunnel_ended && !exchange->released) return;
  session->tunnel_ended = 1;
  int peer_ended = session->eof && session->rest_length == 0;
  if (peer_ended || exchange->released) {
    close_exchange(session);
    leave(session);
  } else {
    session->service->transport->end(session->connection);
  }
}

static void tunnel_trailers(wh_exchange *exchange, const wh_answer *answer) {
  (void)answer;
  tunnel_end(exchange);
}

static void tunnel_limit_body(wh_exchange *exchange, uint64_t most) {
  (void)exchange;
  (void)most;
}

static void tunnel_rate(wh_exchange *exchange, int of_response, uint32_t bytes, uint32_t grace_ms) {
  (void)exchange;
  (void)of_response;
  (void)bytes;
  (void)grace_ms;
}

static void tunnel_read(wh_exchange *exchange, int on) {
  wh_http1 *session = exchange->owner;
  exchange->body_wanted = on != 0;
  if (session->over || session->eof || session->rest_length > 0) return;
  session->service->transport->read(session->connection, on);
}

static void tunnel_notify_room(wh_exchange *exchange) {
  wh_http1 *session = exchange->owner;
  exchange->room_wanted = 1;
  session->service->transport->notify_room(session->connection);
}

static void tunnel_abort(wh_exchange *exchange, unsigned code) {
  (void)code;
  wh_http1 *session = exchange->owner;
  exchange->aborted = 1; /* the application did it: nobody has to tell it */
  session->over = 1;
  session->service->transport->close(session->connection, 1);
}

static void tunnel_released(wh_exchange *exchange) {
  wh_http1 *session = exchange->owner;
  if (session->over) return; /* given back when the connection is gone */
  close_exchange(session);
  leave(session);
}

static const wh_protocol tunnel_protocol = {
    .connection = wh_http1_connection_of,
    .respond = tunnel_nothing,
    .start = tunnel_nothing,
    .write = tunnel_write,
    .end = tunnel_end,
    .trailers = tunnel_trailers,
    .inform = tunnel_nothing,
    .read = tunnel_read,
    .limit_body = tunnel_limit_body,
    .rate = tunnel_rate,
    .notify_room = tunnel_notify_room,
    .abort = tunnel_abort,
    .released = tunnel_released,
};

/* --- CONNECT --- */

/* The refusal takes the answer's place. */
static void refuse_connect(wh_exchange *exchange, const wh_answer *answer, int is_whole) {
  wh_http1 *session = exchange->owner;
  wh_http_service *service = session->service;
  if (answer->flags & WH_COMMAND_FLAG_PINNED) {
    service->receiver->release_pinned(service->user, answer->pinned_id);
  }
  if (session->over) return;
  wh_http1_tell_refused(session, WH_REFUSED_CONNECT);
  exchange->started = exchange->end_ordered = exchange->ended = 1;
  exchange->close = 0; /* the refusal itself ends the connection */
  if (!is_whole && !exchange->aborted) {
    /* More is to come of its answer, and nobody will take it. */
    exchange->aborted = 1;
    service->receiver->aborted(service->user, exchange,
                               wh_refusal_table[WH_REFUSED_CONNECT].status);
  }
  session->refusal = WH_REFUSED_CONNECT;
  wh_http1_answered(session, exchange); /* writes it */
}

static void connect_respond(wh_exchange *exchange, const wh_answer *answer) {
  if (answer->status / 100 == 2)
    refuse_connect(exchange, answer, 1);
  else
    wh_http1_protocol.respond(exchange, answer);
}

static void connect_start(wh_exchange *exchange, const wh_answer *answer) {
  if (answer->status / 100 == 2)
    refuse_connect(exchange, answer, 0);
  else
    wh_http1_protocol.start(exchange, answer);
}

void wh_http1_prepare_upgrade(wh_http1_shared *shared) {
  shared->connect = wh_http1_protocol;
  shared->connect.respond = connect_respond;
  shared->connect.start = connect_start;
}
