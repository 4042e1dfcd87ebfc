/* Bodies in: by Content-Length and chunked, handed on or drained; and when a request may run. */
#include "http/http1_session.h"
#include "http/method.h"

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
  exchange->started_us = service->now_us;
  service->requests++;
  service->transport->hold(session->connection, 1);
  service->receiver->request(service->user, exchange);
}

/* The head is complete and valid: sees to the body, and whether the request may run now. */
void wh_http1_start_exchange(wh_http1 *session) {
  wh_exchange *exchange = session->parsing;
  uint8_t method = exchange->slot[WH_SLOT_METHOD];
  unsigned flags = wh_slot_get16(exchange, WH_SLOT_FLAGS);
  int safe = wh_method_is_safe(method) && !(flags & WH_REQUEST_FLAG_HAS_BODY);
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
    session->parsing = NULL;
  } else if (flags & WH_REQUEST_FLAG_CHUNKED) {
    wh_chunked_limits limits = {
        .body = session->service->limits.request_body_size,
        .line = WH_CHUNKED_LINE_LIMIT,
        .extensions = WH_CHUNKED_EXTENSION_LIMIT,
        .trailers = WH_CHUNKED_TRAILER_LIMIT,
        .trailer_count = WH_CHUNKED_TRAILER_COUNT,
    };
    wh_chunked_init(&session->chunked, &limits);
    session->state = STATE_CHUNKED;
  } else {
    session->body_left = (uint64_t)wh_slot_get32(exchange, WH_SLOT_CONTENT_LENGTH_LOW) |
                         (uint64_t)wh_slot_get32(exchange, WH_SLOT_CONTENT_LENGTH_HIGH) << 32;
    if (session->body_left > session->service->limits.request_body_size) {
      wh_http1_refuse(session, WH_REFUSED_BODY_TOO_LARGE);
      return;
    }
    session->state = STATE_LENGTH;
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

size_t wh_http1_receive_chunked(wh_http1 *session, const uint8_t *data, size_t length) {
  wh_http1_dispatch_before_body(session);
  size_t used = 0;
  for (;;) {
    size_t consumed, span_length;
    const uint8_t *span;
    int result = wh_chunked_feed(&session->chunked, data + used, length - used, &consumed, &span,
                                 &span_length);
    used += consumed;
    if (result == WH_CHUNKED_BODY) {
      deliver_body(session, span, span_length);
      if (session->state != STATE_CHUNKED) return length;
    } else if (result == WH_CHUNKED_TRAILER) {
      continue; /* trailers are checked, and handed over with the issue that asks for them */
    } else if (result == WH_CHUNKED_MORE) {
      return used;
    } else if (result == WH_CHUNKED_DONE) {
      finish_body(session);
      return used;
    } else {
      wh_http1_refuse(session, result == -413   ? WH_REFUSED_BODY_TOO_LARGE
                               : result == -431 ? WH_REFUSED_TRAILERS_TOO_LARGE
                                                : WH_REFUSED_CHUNK);
      return length;
    }
  }
}
