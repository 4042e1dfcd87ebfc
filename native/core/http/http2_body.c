/*
 * Bodies in. Bytes that the application awaits are handed on where they stand, and the windows that the
 * client sees open by as many; what it does not want yet is copied and waits, and the windows stay as
 * they are: so a client can have no more under way than its windows allowed.
 */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "http/http2_session.h"

/* Bytes of a trailer section that are handed on at once. */
#define TRAILERS_PIECE 16384U

static int has_reader(const wh_http2_stream *stream) {
  const wh_exchange *exchange = stream->exchange;
  return exchange != NULL && exchange->dispatched && !exchange->released && !exchange->aborted &&
         !stream->reset;
}

/* Whether what came, or is to come, is more than the body may have. */
static int exceeds_limit(const wh_http2_stream *stream) {
  if (stream->tunnel) return 0;
  uint64_t known = stream->has_content_length && stream->content_length > stream->received
                       ? stream->content_length
                       : stream->received;
  return known > stream->body_limit;
}

void wh_http2_drop_body(wh_http2_stream *stream) {
  size_t dropped = 0;
  while (stream->in_first != NULL) {
    wh_http2_piece *piece = stream->in_first;
    stream->in_first = piece->next;
    dropped += (size_t)(piece->length - piece->offset);
    wh_free(piece);
  }
  stream->in_last = NULL;
  /* Of the stream nobody awaits more, but the connection's window is everybody's. */
  if (dropped > 0) wh_http2_consume_connection(stream->session, dropped);
}

/* Room of a piece that is kept behind others: many small frames share it. */
#define KEPT_ROOM 4096U

static int keep(wh_http2_stream *stream, const uint8_t *data, size_t length) {
  wh_http2_piece *last = stream->in_last;
  if (last != NULL && last->room - last->length >= length) {
    memcpy(last->bytes + last->length, data, length);
    last->length += length;
    return WH_OK;
  }
  size_t room = last != NULL && length < KEPT_ROOM ? KEPT_ROOM : length;
  wh_http2_piece *piece = wh_alloc(sizeof *piece + room);
  if (piece == NULL) return WH_ERR_NO_MEMORY;
  memset(piece, 0, sizeof *piece);
  piece->room = room;
  piece->length = length;
  memcpy(piece->bytes, data, length);
  if (stream->in_last != NULL)
    stream->in_last->next = piece;
  else
    stream->in_first = piece;
  stream->in_last = piece;
  return WH_OK;
}

void wh_http2_on_data(wh_http2_stream *stream, const uint8_t *data, size_t length) {
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  session->body_bytes += length;
  stream->received += length;
  if (!has_reader(stream)) {
    wh_http2_consume_connection(session, length);
    if (stream->has_content_length && stream->received > stream->content_length)
      wh_http2_fault(stream, NGHTTP2_PROTOCOL_ERROR);
    else if (stream->draining && stream->received - stream->received_answered > WH_HTTP2_DRAIN_MOST)
      wh_http2_reset(stream, NGHTTP2_NO_ERROR); /* nobody reads the rest: section 8.1 */
    return;
  }
  wh_exchange *exchange = stream->exchange;
  exchange->continue_due = 0; /* it did not wait for it */
  int too_long = stream->has_content_length && stream->received > stream->content_length;
  if (too_long || (stream->opened && exceeds_limit(stream))) {
    wh_http2_consume_connection(session, length);
    wh_http2_refuse(stream, too_long ? WH_REFUSED_CONTENT_LENGTH : WH_REFUSED_BODY_TOO_LARGE);
  } else if (exchange->body_wanted && stream->in_first == NULL) {
    service->receiver->keep(service->user, data + length);
    service->receiver->body(service->user, exchange, data, length);
    wh_http2_consume(stream, length);
  } else if (keep(stream, data, length) != WH_OK) {
    wh_http2_consume_connection(session, length);
    wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
  }
}

/* Hands bytes on that do not stand in the arena. 0: there is no room for them now. */
static int lend(wh_http2 *session, const uint8_t *bytes, size_t length, uint8_t **out) {
  *out = session->service->transport->lend(session->connection, length);
  if (*out == NULL) return 0;
  memcpy(*out, bytes, length);
  return 1;
}

static int tell_end(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  wh_exchange *exchange = stream->exchange;
  if (stream->end_told || !stream->remote_ended || stream->in_first != NULL) return 1;
  /* In pieces that the arena has room for, some time. */
  while (stream->trailers_told < stream->trailers_length) {
    size_t piece = stream->trailers_length - stream->trailers_told;
    uint8_t *lines;
    if (piece > TRAILERS_PIECE) piece = TRAILERS_PIECE;
    /* Not while frames are read: they stand where the loan would be. */
    if (session->in_reader ||
        !lend(session, stream->trailers + stream->trailers_told, piece, &lines)) {
      return 0;
    }
    stream->trailers_told += piece;
    service->receiver->trailers(service->user, exchange, lines, piece);
  }
  stream->end_told = 1;
  exchange->body_done = 1;
  wh_http2_await(stream, -1);
  service->receiver->body_end(service->user, exchange);
  return 1;
}

int wh_http2_deliver(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  wh_exchange *exchange = stream->exchange;
  if (!has_reader(stream) || exchange->body_done) return 1;
  while (stream->in_first != NULL && exchange->body_wanted) {
    wh_http2_piece *piece = stream->in_first;
    uint8_t *bytes;
    if (!lend(session, piece->bytes, (size_t)piece->length, &bytes)) return 0;
    service->receiver->body(service->user, exchange, bytes, (size_t)piece->length);
    stream->in_first = piece->next;
    if (piece->next == NULL) stream->in_last = NULL;
    wh_http2_consume(stream, (size_t)piece->length);
    wh_free(piece);
  }
  return tell_end(stream);
}

void wh_http2_remote_end(wh_http2_stream *stream) {
  stream->remote_ended = 1;
  int wrong = stream->has_content_length && stream->received != stream->content_length;
  if (!has_reader(stream)) {
    if (wrong && !stream->closed)
      wh_http2_fault(stream, NGHTTP2_PROTOCOL_ERROR);
    else
      wh_http2_close_if_done(stream);
    return;
  }
  if (wrong) {
    wh_http2_refuse(stream, WH_REFUSED_CONTENT_LENGTH);
    return;
  }
  if (!tell_end(stream)) wh_http2_want_look(stream->session);
  wh_http2_close_if_done(stream);
}

/* --- what the application orders --- */

void wh_http2_read(wh_exchange *exchange, int on) {
  wh_http2_stream *stream = exchange->owner;
  wh_http2 *session = stream->session;
  exchange->body_wanted = on != 0;
  if (exchange->body_done || stream->reset) return;
  if (on && !stream->opened) {
    stream->opened = 1;
    if (exceeds_limit(stream)) {
      wh_http2_refuse(stream, WH_REFUSED_BODY_TOO_LARGE);
      wh_http2_send(session);
      return;
    }
    if (exchange->continue_due && !exchange->started) {
      static const wh_answer go_on = {.status = 100};
      exchange->continue_due = 0;
      exchange->protocol->inform(exchange, &go_on);
    }
  }
  if (!stream->tunnel) wh_http2_await(stream, on && !stream->remote_ended);
  if (on && (stream->in_first != NULL || stream->remote_ended)) wh_http2_want_look(session);
}

void wh_http2_limit_body(wh_exchange *exchange, uint64_t most) {
  wh_http2_stream *stream = exchange->owner;
  if (!stream->opened) stream->body_limit = most;
}
