/* A session's life, and what it does with the bytes that come. */
#include "http/http1.h"

#include <string.h>

#include "base/memory.h"
#include "http/http1_session.h"

#define KEPT_SESSIONS 256 /* idle sessions kept for reuse */

/* --- life --- */

wh_http1 *wh_http1_open(wh_http_service *service, void *connection, uint64_t number,
                        uint32_t *requests, uint8_t *head_hint) {
  wh_http1 *session = service->free_http1;
  if (session != NULL) {
    service->free_http1 = (wh_http1 *)session->connection;
    service->free_http1_count--;
  } else {
    session = wh_zalloc(sizeof *session);
    if (session == NULL) return NULL;
  }
  session->service = service;
  session->connection = connection;
  session->number = number;
  session->requests = requests;
  session->head_hint = head_hint;
  session->secure = service->transport->is_secure(connection) & 1;
  return session;
}

void wh_http1_close(wh_http1 *session) {
  wh_http_service *service = session->service;
  if (session->tunnel) service->upgraded--;
  if (session->parsing != NULL && !session->parsing->dispatched) {
    wh_http1_give(session, session->parsing);
  }
  for (wh_exchange *exchange = session->first; exchange != NULL;) {
    wh_exchange *next = exchange->next;
    exchange->owner = NULL;
    exchange->next = NULL;
    wh_http1_drop_pending(service, exchange);
    if (exchange->released) {
      wh_http1_give(session, exchange);
    } else if (!exchange->aborted) {
      exchange->aborted = 1;
      service->receiver->aborted(service->user, exchange, 0);
    }
    exchange = next;
  }
  wh_free(session->rest);
  memset(session, 0, offsetof(wh_http1, parser)); /* the rest is made new when it is used */
  if (service->free_http1_count < KEPT_SESSIONS) {
    session->connection = service->free_http1;
    service->free_http1 = session;
    service->free_http1_count++;
  } else {
    wh_free(session);
  }
}

void wh_http1_unprepare(wh_http_service *service) {
  while (service->free_http1 != NULL) {
    wh_http1 *session = service->free_http1;
    service->free_http1 = (wh_http1 *)session->connection;
    wh_free(session);
  }
  service->free_http1_count = 0;
  wh_free(service->http1);
  service->http1 = NULL;
}

int wh_http1_is_tunnel(const wh_http1 *session) { return session->tunnel; }

wh_http1_phase wh_http1_phase_of(const wh_http1 *session) {
  if (session->over) return session->tunnel ? WH_HTTP1_LEAVING : WH_HTTP1_OVER;
  if (session->draining) return WH_HTTP1_DRAIN;
  if (session->state == STATE_LENGTH || session->state == STATE_CHUNKED) return WH_HTTP1_BODY;
  if (session->first != NULL || session->state == STATE_WAIT) return WH_HTTP1_BUSY;
  if (session->parsing != NULL) return WH_HTTP1_HEAD;
  return session->rest_length > 0 ? WH_HTTP1_BUSY : WH_HTTP1_IDLE;
}

/* --- input --- */

static void stash(wh_http1 *session, const uint8_t *data, size_t length) {
  if (length == 0) return;
  uint8_t *rest = wh_realloc(session->rest, session->rest_length + length);
  if (rest == NULL) {
    session->over = 1;
    session->service->transport->close(session->connection, 1);
    return;
  }
  memcpy(rest + session->rest_length, data, length);
  session->rest = rest;
  session->rest_length += length;
  session->service->transport->read(session->connection, 0);
}

/* A request that waited may run, or the next one be read: nothing earlier is unanswered. */
static void leave_wait(wh_http1 *session) {
  if (session->state != STATE_WAIT || session->first != NULL) return;
  if (session->waiting_head)
    wh_http1_start_exchange(session);
  else
    session->state = STATE_LINE;
}

static void parse(wh_http1 *session, const uint8_t *data, size_t length) {
  const uint8_t *end = data + length;
  session->input = data;
  session->input_end = end;
  leave_wait(session);
  if (session->state == STATE_LINE && length > 0 &&
      session->service->transport->is_full(session->connection)) {
    /* A client that asks and asks, and reads no answers. */
    session->waiting_room = 1;
    stash(session, data, length);
    session->service->transport->notify_room(session->connection);
    return;
  }
  while (data < end && !session->over) {
    size_t left = (size_t)(end - data);
    session->input = data;
    switch ((wh_http1_state)session->state) {
    case STATE_LINE: data += wh_http1_receive_line(session, data, left); break;
    case STATE_FIELDS:
      /* Unless the request line stands right before, in the same bytes. */
      if (session->raw_used >= session->fields_start) session->chunk_start = data;
      data += wh_http1_receive_fields(session, data, left);
      break;
    case STATE_LENGTH:
    case STATE_CHUNKED:
      if (session->body_held) {
        stash(session, data, left);
        data = end;
      } else if (session->state == STATE_LENGTH) {
        data += wh_http1_receive_length(session, data, left);
      } else {
        data += wh_http1_receive_chunked(session, data, left);
      }
      break;
    case STATE_WAIT: stash(session, data, left); return;
    case STATE_TUNNEL: wh_http1_receive_tunnel(session, data, left); return;
    case STATE_CLOSED: return;
    }
  }
  /* A body of which nothing came with the head: the application hears of the request all the same. */
  if (session->state == STATE_LENGTH || session->state == STATE_CHUNKED) {
    wh_http1_dispatch_before_body(session);
    wh_exchange *exchange = session->parsing;
    if (exchange != NULL && !session->draining && !exchange->body_wanted) {
      session->service->transport->read(session->connection, 0);
    }
  }
}

/* The peer has ended its side. What is complete is answered; what is not never will be. */
static void receive_end(wh_http1 *session) {
  wh_http_service *service = session->service;
  session->eof = 1;
  if (session->body_held && session->rest_length > 0) return; /* it may all be there */
  wh_exchange *exchange = session->parsing;
  if (session->state == STATE_LENGTH || session->state == STATE_CHUNKED) {
    session->parsing = NULL;
    session->state = STATE_CLOSED;
    if (exchange != NULL && !exchange->aborted && !session->draining) {
      exchange->aborted = 1;
      service->receiver->aborted(service->user, exchange, 0);
    }
    session->over = 1;
    /* Of a drained request the answer may still be on its way. */
    if (session->draining)
      service->transport->finish(session->connection, 0);
    else
      service->transport->close(session->connection, 0);
    return;
  }
  if (session->state == STATE_WAIT || session->rest_length > 0) return; /* complete requests wait */
  if (session->state == STATE_TUNNEL) {
    wh_http1_end_of_tunnel(session);
    return;
  }
  if (session->first == NULL && session->refusal == 0) {
    session->over = 1;
    service->transport->finish(session->connection, 0);
  }
  session->state = STATE_CLOSED;
}

void wh_http1_receive(wh_http1 *session, uint8_t *data, size_t length) {
  if (session->over) return;
  if (length == 0) {
    receive_end(session);
  } else if (session->rest_length > 0) {
    stash(session, data, length); /* behind what waits already */
  } else {
    parse(session, data, length);
    session->input = NULL;
  }
}

size_t wh_http1_rest(const wh_http1 *session) { return session->rest_length; }

int wh_http1_can_resume(const wh_http1 *session) {
  if (session->over || session->waiting_room || session->body_held) return 0;
  if (session->state == STATE_WAIT) {
    return session->first == NULL && (session->waiting_head || session->rest_length > 0);
  }
  return session->rest_length > 0 && session->state != STATE_CLOSED;
}

void wh_http1_resume(wh_http1 *session, uint8_t *scratch) {
  size_t length = session->rest_length;
  if (length > 0) memcpy(scratch, session->rest, length);
  wh_free(session->rest);
  session->rest = NULL;
  session->rest_length = 0;
  session->service->transport->read(session->connection, 1);
  parse(session, scratch, length);
  session->input = NULL;
  if (session->eof && !session->over && session->rest_length == 0) receive_end(session);
}

void wh_http1_head_timeout(wh_http1 *session) {
  wh_http1_refuse(session, WH_REFUSED_HEADERS_TIMEOUT);
}

void wh_http1_body_timeout(wh_http1 *session) { wh_http1_refuse(session, WH_REFUSED_BODY_TIMEOUT); }

void wh_http1_stop(wh_http1 *session) {
  if (session->over) return;
  if (wh_http1_phase_of(session) == WH_HTTP1_IDLE) {
    session->over = 1;
    session->service->transport->finish(session->connection, 1);
  } else if (session->last != NULL && session->parsing == NULL && session->rest_length == 0 &&
             (session->state == STATE_LINE || session->state == STATE_WAIT)) {
    /* All that came is parsed. Else this is asked again when it is. */
    session->last->close = 1;
    session->state = STATE_CLOSED;
  }
}
