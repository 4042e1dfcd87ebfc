/*
 * Bodies in: by Content-Length and chunked, handed on or drained; and when a request may run.
 *
 * How much a body may have is settled when the application first reads it, because it may change the
 * limit until then (Kestrel's IHttpMaxRequestBodySizeFeature). What exceeds the limit before that is
 * held: the bytes wait unparsed, and the socket is not read.
 */
#include <string.h>

#include "http/http1_session.h"
#include "http/method.h"
#include "http/utf8.h"

#define DRAIN_LIMIT (1024U * 1024) /* unwanted body bytes read to keep a connection; more: close */

static void dispatch(wh_http1 *session) {
  wh_http_service *service = session->service;
  wh_exchange *exchange = session->parsing;
  exchange->dispatched = 1;
  exchange->owner = session;
  exchange->protocol = &wh_http1_protocol;
  exchange->next = NULL;
  if (session->last != NULL)
    session->last->next = exchange;
  else
    session->first = exchange;
  session->last = exchange;
  session->running++;
  wh_histogram_add(&service->receiving, service->now_us - exchange->started_us, 1);
  exchange->started_us = service->now_us;
  service->requests++;
  service->transport->hold(session->connection, 1);
  service->receiver->request(service->user, exchange);
}

static uint64_t declared_length(const wh_exchange *exchange) {
  return (uint64_t)wh_slot_get32(exchange, WH_SLOT_CONTENT_LENGTH_LOW) |
         (uint64_t)wh_slot_get32(exchange, WH_SLOT_CONTENT_LENGTH_HIGH) << 32;
}

static void start_body(wh_http1 *session, int chunked) {
  const wh_http_limits *given = &session->service->limits;
  session->body_limit = given->request_body_size;
  session->body_opened = session->body_held = 0;
  if (chunked) {
    wh_chunked_limits limits = {
        .body = session->body_limit,
        .line = WH_CHUNKED_LINE_LIMIT,
        .extensions = WH_CHUNKED_EXTENSION_LIMIT,
        .trailers = given->headers_total_size,
        .trailer_count = given->header_count,
        .line_feeds = (given->relaxed & WH_RELAXED_LINE_FEED) != 0,
    };
    wh_chunked_init(&session->chunked, &limits);
    session->sequence_length = 0;
    session->state = STATE_CHUNKED;
  } else {
    session->body_left = declared_length(session->parsing);
    session->body_held = session->body_left > session->body_limit;
    session->state = STATE_LENGTH;
  }
}

/* The head is complete and valid: sees to the body, and whether the request may run now. */
void wh_http1_start_exchange(wh_http1 *session) {
  wh_exchange *exchange = session->parsing;
  uint8_t method = exchange->slot[WH_SLOT_METHOD];
  unsigned flags = wh_slot_get16(exchange, WH_SLOT_FLAGS);
  int safe =
      wh_method_is_safe(method) && !(flags & (WH_REQUEST_FLAG_HAS_BODY | WH_REQUEST_FLAG_UPGRADE));
  if (session->first != NULL && (!safe || session->running >= session->service->limits.pipelined)) {
    session->waiting_head = 1;
    session->state = STATE_WAIT;
    return;
  }
  session->waiting_head = 0;
  if (!(flags & WH_REQUEST_FLAG_HAS_BODY)) {
    exchange->body_done = 1;
    session->state = !session->keep_alive ? STATE_CLOSED : safe ? STATE_LINE : STATE_WAIT;
    dispatch(session);
    if (!safe && (method == WH_METHOD_CONNECT || flags & WH_REQUEST_FLAG_UPGRADE)) {
      wh_http1_offer_upgrade(session);
    }
    session->parsing = NULL;
  } else if (method == WH_METHOD_CONNECT) {
    /* It has no content (RFC 9110 section 9.3.6), and what comes behind it may be a tunnel's. */
    wh_http1_refuse(session, flags & WH_REQUEST_FLAG_CHUNKED ? WH_REFUSED_TRANSFER_ENCODING
                                                             : WH_REFUSED_CONTENT_LENGTH);
  } else {
    start_body(session, (flags & WH_REQUEST_FLAG_CHUNKED) != 0);
  }
}

static int body_has_reader(const wh_http1 *session) {
  return session->parsing != NULL && !session->draining && !session->parsing->aborted;
}

static void deliver_body(wh_http1 *session, const uint8_t *data, size_t length) {
  wh_http_service *service = session->service;
  if (!body_has_reader(session)) {
    session->drained += length;
    if (session->drained > DRAIN_LIMIT) {
      session->over = 1;
      session->state = STATE_CLOSED;
      service->transport->finish(session->connection, 1);
    }
    return;
  }
  session->parsing->continue_due = 0; /* it did not wait for it */
  service->receiver->keep(service->user, data + length);
  service->receiver->body(service->user, session->parsing, data, length);
}

/* The body is complete. */
static void finish_body(wh_http1 *session) {
  wh_exchange *exchange = session->parsing;
  session->parsing = NULL;
  session->drained = 0;
  if (exchange == NULL || session->draining) {
    session->draining = 0;
  } else {
    exchange->body_done = 1;
    if (!exchange->aborted) session->service->receiver->body_end(session->service->user, exchange);
  }
  session->state = !session->keep_alive     ? STATE_CLOSED
                   : session->first == NULL ? STATE_LINE
                                            : STATE_WAIT;
  session->service->transport->read(session->connection, 1);
}

/* Hands the request over, if that has not happened; stops reading until its body is wanted. */
void wh_http1_dispatch_before_body(wh_http1 *session) {
  if (session->parsing == NULL || session->parsing->dispatched || session->draining) return;
  dispatch(session);
}

size_t wh_http1_receive_length(wh_http1 *session, const uint8_t *data, size_t length) {
  size_t piece = length < session->body_left ? length : (size_t)session->body_left;
  wh_exchange *exchange = session->parsing;
  if (exchange != NULL && !exchange->dispatched && piece == session->body_left) {
    /* The whole body came with the head: one event for both. */
    wh_http_service *service = session->service;
    service->receiver->keep(service->user, data + piece);
    wh_slot_set32(exchange, WH_SLOT_BODY_OFFSET,
                  service->receiver->arena_offset(service->user, data));
    wh_slot_set32(exchange, WH_SLOT_BODY_LENGTH, (uint32_t)piece);
    wh_slot_set16(exchange, WH_SLOT_FLAGS,
                  wh_slot_get16(exchange, WH_SLOT_FLAGS) | WH_REQUEST_FLAG_BODY_COMPLETE);
    exchange->body_done = 1;
    exchange->continue_due = 0;
    session->body_left = 0;
    session->state = session->keep_alive ? STATE_WAIT : STATE_CLOSED;
    dispatch(session);
    session->parsing = NULL;
    return piece;
  }
  wh_http1_dispatch_before_body(session);
  if (piece > 0) {
    session->body_left -= piece;
    deliver_body(session, data, piece);
    if (session->state != STATE_LENGTH) return length;
  }
  if (session->body_left == 0) finish_body(session);
  return piece;
}

/*
 * Whether all of a trailer section so far is UTF-8, as values of header fields must be, wherever the
 * input is cut; the decoder has seen to the rest. Field lines end in ASCII, and so does the section.
 */
static int is_utf8_so_far(wh_http1 *session, const uint8_t *data, size_t length) {
  for (size_t i = 0; i < length; i++) {
    size_t n = session->sequence_length;
    if (n == 0 && data[i] < 0x80) continue;
    session->sequence[n++] = data[i];
    if (n > 1 && (data[i] & 0xC0) != 0x80) return 0;
    uint8_t lead = session->sequence[0];
    size_t whole = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    session->sequence_length = (uint8_t)n;
    if (n < whole) continue;
    if (wh_utf8_sequence(session->sequence, n) != n) return 0;
    session->sequence_length = 0;
  }
  return 1;
}

/* A span of the trailer section: judged, and handed on where somebody may want it. 0: it is bad. */
static int take_trailers(wh_http1 *session, const uint8_t *data, size_t length) {
  wh_http_service *service = session->service;
  if (!is_utf8_so_far(session, data, length)) return 0;
  if (body_has_reader(session)) {
    service->receiver->keep(service->user, data + length);
    service->receiver->trailers(service->user, session->parsing, data, length);
  }
  return 1;
}

/* The chunk exceeds the limit, which is not settled: its line is read again when it is. */
static void hold_chunk(wh_http1 *session, const wh_chunked *before) {
  uint64_t size = session->chunked.remaining, total = session->chunked.total;
  session->body_left = size > UINT64_MAX - total ? UINT64_MAX : total + size;
  session->chunked = *before;
  session->body_held = 1;
}

size_t wh_http1_receive_chunked(wh_http1 *session, const uint8_t *data, size_t length) {
  wh_http1_dispatch_before_body(session);
  size_t used = 0;
  for (;;) {
    size_t consumed, span_length;
    const uint8_t *span;
    wh_chunked before;
    int settled = session->body_opened || session->draining;
    if (!settled) before = session->chunked;
    int result = wh_chunked_feed(&session->chunked, data + used, length - used, &consumed, &span,
                                 &span_length);
    if (!settled && session->chunked.reason == WH_CHUNKED_BODY_TOO_LARGE) {
      hold_chunk(session, &before);
      return used;
    }
    used += consumed;
    if (result == WH_CHUNKED_BODY) {
      deliver_body(session, span, span_length);
      if (session->state != STATE_CHUNKED) return length;
    } else if (result == WH_CHUNKED_TRAILER) {
      if (take_trailers(session, span, span_length)) continue;
      wh_http1_refuse(session, WH_REFUSED_CHUNK);
      return length;
    } else if (result == WH_CHUNKED_MORE) {
      return used;
    } else if (result == WH_CHUNKED_DONE) {
      finish_body(session);
      return used;
    } else {
      session->input = data + used - consumed; /* behind the last piece of body */
      wh_http1_refuse(session, result == -413   ? WH_REFUSED_BODY_TOO_LARGE
                               : result == -431 ? WH_REFUSED_TRAILERS_TOO_LARGE
                                                : WH_REFUSED_CHUNK);
      return length;
    }
  }
}

/* --- the limit --- */

static void refuse_too_large(wh_http1 *session, wh_exchange *exchange) {
  session->parsing = exchange; /* also where all of it has come already */
  wh_http1_refuse(session, WH_REFUSED_BODY_TOO_LARGE);
}

int wh_http1_open_body(wh_http1 *session) {
  if (session->body_opened) return 1;
  session->body_opened = 1;
  if (!session->body_held) return 1;
  if (session->body_left > session->body_limit) {
    refuse_too_large(session, session->parsing);
    return 0;
  }
  session->body_held = 0;
  session->service->transport->hold(session->connection, 0); /* what waits is looked at anew */
  return 1;
}

void wh_http1_limit_body(wh_http1 *session, wh_exchange *exchange, uint64_t most) {
  unsigned flags = wh_slot_get16(exchange, WH_SLOT_FLAGS);
  int receiving = session->parsing == exchange;
  if (!(flags & WH_REQUEST_FLAG_HAS_BODY) || session->first != exchange ||
      !(receiving || exchange->body_done) || (receiving && session->body_opened)) {
    return;
  }
  session->body_limit = most;
  session->chunked.limits.body = most;
  /* What is held is judged at the first read; what came before now. */
  if (receiving && session->body_held) return;
  uint64_t known =
      flags & WH_REQUEST_FLAG_CHUNKED ? session->chunked.total : declared_length(exchange);
  if (known > most) refuse_too_large(session, exchange);
}

int wh_http1_leaves_body(const wh_http1 *session, const wh_exchange *exchange) {
  return session->body_held || (exchange->end_ordered && session->state == STATE_LENGTH &&
                                session->body_left > DRAIN_LIMIT);
}
