/*
 * Answers out. Framing is decided here: Content-Length, chunked, or the end of the connection (RFC 9112
 * section 6). An answer ordered before its turn, while an earlier request of the same connection is
 * unanswered, is copied and waits.
 */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "http/http1_session.h"
#include "http/status.h"

/* The largest body that is composed together with its head; more goes behind it in pieces. */
#define COMPOSED_BODY 16384U
#define BODY_PIECE 32768U

typedef enum pending_kind {
  PENDING_RESPOND,
  PENDING_START,
  PENDING_WRITE,
  PENDING_FILE,
  PENDING_END,
  PENDING_TRAILERS,
  PENDING_INFORM
} pending_kind;

/* Something ordered before its turn; its bytes stand behind it. */
struct wh_pending {
  wh_pending *next;
  pending_kind kind;
  wh_answer answer;
  uint8_t bytes[];
};

#define LITERAL(out, text) (memcpy((out), (text), sizeof(text) - 1), (out) + sizeof(text) - 1)

static uint8_t *put(uint8_t *out, const void *data, size_t length) {
  memcpy(out, data, length);
  return out + length;
}

static uint8_t *put_decimal(uint8_t *out, uint64_t value) {
  uint8_t digits[20];
  size_t n = sizeof digits;
  do {
    digits[--n] = (uint8_t)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  return put(out, digits + n, sizeof digits - n);
}

static uint8_t *put_hex(uint8_t *out, size_t value) {
  uint8_t digits[16];
  size_t n = sizeof digits;
  do {
    digits[--n] = (uint8_t) "0123456789abcdef"[value & 15];
    value >>= 4;
  } while (value != 0);
  return put(out, digits + n, sizeof digits - n);
}

static uint8_t *put_status_line(uint8_t *out, const wh_answer *answer, const uint8_t **head,
                                size_t *head_length) {
  if (!(answer->flags & WH_COMMAND_FLAG_HAS_REASON)) {
    if (answer->status == 200) return LITERAL(out, "HTTP/1.1 200 OK\r\n");
    size_t length;
    const char *line = wh_status_line(answer->status, &length);
    if (line != NULL) return put(out, line, length);
  }
  out = LITERAL(out, "HTTP/1.1 ");
  out = put_decimal(out, answer->status);
  *out++ = ' ';
  if (answer->flags & WH_COMMAND_FLAG_HAS_REASON) {
    /* The header block starts with the phrase and its CRLF. */
    const uint8_t *end = memchr(*head, '\n', *head_length);
    size_t length = end == NULL ? 0 : (size_t)(end - *head) + 1;
    out = put(out, *head, length);
    *head += length;
    *head_length -= length;
    if (end != NULL) return out;
  }
  return LITERAL(out, "\r\n");
}

static uint8_t *put_content_type(uint8_t *out, unsigned flags) {
  switch (flags >> WH_COMMAND_FLAG_CONTENT_TYPE_SHIFT & 15) {
  case WH_CONTENT_TYPE_TEXT: return LITERAL(out, "Content-Type: text/plain; charset=utf-8\r\n");
  case WH_CONTENT_TYPE_JSON:
    return LITERAL(out, "Content-Type: application/json; charset=utf-8\r\n");
  case WH_CONTENT_TYPE_HTML: return LITERAL(out, "Content-Type: text/html; charset=utf-8\r\n");
  case WH_CONTENT_TYPE_BYTES: return LITERAL(out, "Content-Type: application/octet-stream\r\n");
  default: return out;
  }
}

static uint8_t *put_date_and_server(uint8_t *out, const wh_http_service *service, unsigned flags) {
  if (!(flags & (WH_COMMAND_FLAG_HAS_DATE | WH_COMMAND_FLAG_HAS_SERVER))) {
    return put(out, service->date_block, service->date_block_length);
  }
  if (!(flags & WH_COMMAND_FLAG_HAS_DATE)) {
    out = put(out, service->date_block, service->date_length);
  }
  if (!(flags & WH_COMMAND_FLAG_HAS_SERVER)) {
    out = put(out, service->date_block + service->date_length,
              service->date_block_length - service->date_length);
  }
  return out;
}

/* How an answer without a body is framed: a client reads 205 as any other (RFC 9112 section 6.3). */
static wh_framing framing_of_no_body(unsigned status) {
  return status == 205 ? WH_FRAMING_LENGTH : WH_FRAMING_NONE;
}

/* Most requests have no body: they cost one comparison. */
static int leaves_body(const wh_http1 *session, const wh_exchange *exchange) {
  return session->parsing == exchange && wh_http1_leaves_body(session, exchange);
}

/* Whether the answer that is being written is the last that is due on its connection. */
static int is_last(const wh_http1 *session, const wh_exchange *exchange) {
  return exchange->next == NULL && session->rest_length == 0 && !session->waiting_head &&
         session->refusal == 0;
}

/* Whether the connection ends with it, because its client or the server is about to go. */
static int ends_here(const wh_http1 *session, const wh_exchange *exchange) {
  if (!is_last(session, exchange)) return 0;
  if (session->eof) return 1;
  /* A request that has begun to arrive is answered too, and that answer is the last. */
  if (session->parsing != NULL && session->parsing != exchange) return 0;
  return session->service->stopping == WH_STOPPING_LATE ||
         !session->service->transport->has_more(session->connection);
}

uint8_t *wh_http1_put_head(uint8_t *out, wh_http1 *session, wh_exchange *exchange,
                           const wh_answer *answer, wh_framing how, uint64_t content_length) {
  wh_http_service_headed(session->service, answer->status);
  const uint8_t *head = answer->head;
  size_t head_length = answer->head_length;
  out = put_status_line(out, answer, &head, &head_length);
  out = put_content_type(out, answer->flags);
  out = put(out, head, head_length);
  out = put_date_and_server(out, session->service, answer->flags);
  if (how == WH_FRAMING_LENGTH) {
    out = LITERAL(out, "Content-Length: ");
    out = put_decimal(out, content_length);
    out = LITERAL(out, "\r\n");
  } else if (how == WH_FRAMING_CHUNKED) {
    out = LITERAL(out, "Transfer-Encoding: chunked\r\n");
  }
  /* Without 100 Continue, whether the body comes is anybody's guess: what follows cannot be told. */
  if (answer->flags & WH_COMMAND_FLAG_CLOSE || exchange->continue_due || how == WH_FRAMING_CLOSE ||
      leaves_body(session, exchange) ||
      ((session->service->stopping || session->eof) && ends_here(session, exchange))) {
    exchange->close = 1;
  }
  if (exchange->close)
    out = LITERAL(out, "Connection: close\r\n");
  else if (exchange->minor_version == 0)
    out = LITERAL(out, "Connection: keep-alive\r\n");
  return LITERAL(out, "\r\n");
}

static void append_body(wh_http1 *session, const uint8_t *data, size_t length) {
  while (length > 0) {
    size_t piece = length < BODY_PIECE ? length : BODY_PIECE;
    session->service->transport->append(session->connection, data, piece);
    data += piece;
    length -= piece;
  }
}

static void drop_pinned(wh_http1 *session, const wh_answer *answer) {
  if (answer->flags & WH_COMMAND_FLAG_PINNED) {
    session->service->receiver->release_pinned(session->service->user, answer->pinned_id);
  }
}

/* Nothing of what was ordered will be sent. */
static void drop_order(wh_http1 *session, pending_kind kind, const wh_answer *answer) {
  if (kind == PENDING_FILE) {
    session->service->receiver->drop_file(session->service->user, answer->file);
  } else {
    drop_pinned(session, answer);
  }
}

/* --- what is sent when it is the exchange's turn --- */

static void send_respond(wh_http1 *session, wh_exchange *exchange, const wh_answer *answer) {
  const wh_transport *transport = session->service->transport;
  int no_body = wh_status_has_no_body(answer->status);
  size_t body_length = no_body || exchange->head_only ? 0 : answer->body_length;
  int pinned = (answer->flags & WH_COMMAND_FLAG_PINNED) != 0;
  size_t composed = pinned || body_length > COMPOSED_BODY ? 0 : body_length;
  wh_framing how = no_body ? framing_of_no_body(answer->status) : WH_FRAMING_LENGTH;
  uint8_t *start =
      transport->reserve(session->connection, WH_HEAD_OVERHEAD + answer->head_length + composed);
  if (start == NULL) {
    drop_pinned(session, answer);
    return;
  }
  uint8_t *out =
      wh_http1_put_head(start, session, exchange, answer, how, no_body ? 0 : answer->body_length);
  if (composed > 0) out = put(out, answer->body, composed);
  transport->commit(session->connection, (size_t)(out - start));
  exchange->started = 1;
  exchange->ended = 1;
  if (pinned) {
    if (body_length > 0)
      transport->append_pinned(session->connection, answer->pinned_id, body_length);
    else
      drop_pinned(session, answer);
  } else if (composed < body_length) {
    append_body(session, answer->body, body_length);
  }
  wh_http1_answered(session, exchange);
}

static void send_start(wh_http1 *session, wh_exchange *exchange, const wh_answer *answer) {
  const wh_transport *transport = session->service->transport;
  wh_framing how = WH_FRAMING_CHUNKED;
  exchange->no_body = wh_status_has_no_body(answer->status) != 0;
  uint64_t content_length = exchange->no_body ? 0 : answer->content_length;
  if (exchange->no_body) {
    how = framing_of_no_body(answer->status);
    if (answer->status == 304 && answer->flags & WH_COMMAND_FLAG_HAS_LENGTH) {
      /* The length that a 200 would have (RFC 9110 section 8.6). */
      how = WH_FRAMING_LENGTH;
      content_length = answer->content_length;
    }
  } else if (answer->flags & WH_COMMAND_FLAG_HAS_LENGTH) {
    how = WH_FRAMING_LENGTH;
    exchange->has_length = 1;
    exchange->response_left = answer->content_length;
  } else if (exchange->head_only) {
    how = WH_FRAMING_NONE; /* the length that GET would have is not known */
  } else if (exchange->minor_version == 0) {
    how = WH_FRAMING_CLOSE;
  }
  exchange->chunked = how == WH_FRAMING_CHUNKED;
  uint8_t *start = transport->reserve(session->connection, WH_HEAD_OVERHEAD + answer->head_length);
  if (start == NULL) return;
  uint8_t *out = wh_http1_put_head(start, session, exchange, answer, how, content_length);
  transport->commit(session->connection, (size_t)(out - start));
}

static void send_write(wh_http1 *session, wh_exchange *exchange, const wh_answer *answer) {
  const wh_transport *transport = session->service->transport;
  size_t length = answer->body_length;
  if (length == 0 || exchange->head_only || exchange->no_body) {
    drop_pinned(session, answer);
    return;
  }
  if (exchange->has_length) {
    /* The application's side refuses what is too much; this is the second lock. */
    if (length > exchange->response_left) {
      drop_pinned(session, answer);
      transport->close(session->connection, 1);
      return;
    }
    exchange->response_left -= length;
  }
  if (exchange->chunked) {
    uint8_t *start = transport->reserve(session->connection, 18);
    if (start == NULL) {
      drop_pinned(session, answer);
      return;
    }
    uint8_t *out = put_hex(start, length);
    out = LITERAL(out, "\r\n");
    transport->commit(session->connection, (size_t)(out - start));
  }
  if (answer->flags & WH_COMMAND_FLAG_PINNED) {
    transport->append_pinned(session->connection, answer->pinned_id, length);
  } else {
    append_body(session, answer->body, length);
  }
  if (exchange->chunked) transport->append(session->connection, "\r\n", 2);
}

static void send_end(wh_http1 *session, wh_exchange *exchange, const wh_answer *answer) {
  const wh_transport *transport = session->service->transport;
  exchange->ended = 1;
  if (exchange->has_length && exchange->response_left > 0 && !exchange->head_only) {
    transport->close(session->connection,
                     1); /* too few bytes: the client must see that it is cut */
  } else if (exchange->chunked) {
    transport->append(session->connection, "0\r\n", 3);
    if (answer->head_length > 0) {
      transport->append(session->connection, answer->head, answer->head_length);
    }
    transport->append(session->connection, "\r\n", 2);
  }
  wh_http1_answered(session, exchange);
}

/* An interim answer. A 100 of the application's own is the one that the client waits for. */
static void send_inform(wh_http1 *session, wh_exchange *exchange, const wh_answer *answer) {
  if (answer->status == 100) exchange->continue_due = 0;
  const wh_transport *transport = session->service->transport;
  uint8_t *start = transport->reserve(session->connection, WH_HEAD_OVERHEAD + answer->head_length);
  if (start == NULL) return;
  const uint8_t *head = answer->head;
  size_t head_length = answer->head_length;
  uint8_t *out = put_status_line(start, answer, &head, &head_length);
  out = put(out, head, head_length);
  out = LITERAL(out, "\r\n");
  wh_http_service_headed(session->service, answer->status);
  transport->commit(session->connection, (size_t)(out - start));
}

/* --- before its turn --- */

static void postpone(wh_http1 *session, wh_exchange *exchange, pending_kind kind,
                     const wh_answer *answer) {
  int pinned = (answer->flags & WH_COMMAND_FLAG_PINNED) != 0;
  size_t body = pinned ? 0 : answer->body_length;
  wh_pending *pending = wh_alloc(sizeof *pending + answer->head_length + body);
  if (pending == NULL) {
    drop_order(session, kind, answer);
    session->service->transport->close(session->connection, 1);
    return;
  }
  pending->next = NULL;
  pending->kind = kind;
  pending->answer = *answer;
  if (answer->head_length > 0) memcpy(pending->bytes, answer->head, answer->head_length);
  if (body > 0) memcpy(pending->bytes + answer->head_length, answer->body, body);
  pending->answer.head = pending->bytes;
  pending->answer.body = pinned ? NULL : pending->bytes + answer->head_length;
  if (exchange->pending_last != NULL)
    exchange->pending_last->next = pending;
  else
    exchange->pending_first = pending;
  exchange->pending_last = pending;
}

void wh_http1_drop_pending(wh_http_service *service, wh_exchange *exchange) {
  wh_pending *pending = exchange->pending_first;
  exchange->pending_first = exchange->pending_last = NULL;
  while (pending != NULL) {
    wh_pending *next = pending->next;
    if (pending->kind == PENDING_FILE) {
      service->receiver->drop_file(service->user, pending->answer.file);
    } else if (pending->answer.flags & WH_COMMAND_FLAG_PINNED) {
      service->receiver->release_pinned(service->user, pending->answer.pinned_id);
    }
    wh_free(pending);
    pending = next;
  }
}

static void send_kind(wh_http1 *session, wh_exchange *exchange, pending_kind kind,
                      const wh_answer *answer) {
  switch (kind) {
  case PENDING_RESPOND: send_respond(session, exchange, answer); break;
  case PENDING_START: send_start(session, exchange, answer); break;
  case PENDING_WRITE: send_write(session, exchange, answer); break;
  case PENDING_FILE: wh_http1_send_file(session, exchange, answer); break;
  case PENDING_END:
  case PENDING_TRAILERS: send_end(session, exchange, answer); break;
  case PENDING_INFORM: send_inform(session, exchange, answer); break;
  }
}

void wh_http1_send_pending(wh_http1 *session, wh_exchange *exchange) {
  while (exchange->pending_first != NULL) {
    wh_pending *pending = exchange->pending_first;
    exchange->pending_first = pending->next;
    if (pending->next == NULL) exchange->pending_last = NULL;
    pending_kind kind = pending->kind;
    send_kind(session, exchange, kind, &pending->answer);
    wh_free(pending);
    /* That was the end of it: the exchange may be another connection's by now. */
    if (kind == PENDING_RESPOND || kind == PENDING_END || kind == PENDING_TRAILERS) return;
  }
}

/* --- the protocol's table --- */

static void order(wh_exchange *exchange, pending_kind kind, const wh_answer *answer) {
  wh_http1 *session = exchange->owner;
  if (session->over) {
    drop_order(session, kind, answer); /* an earlier answer was the last */
  } else if (session->first == exchange && exchange->pending_first == NULL) {
    send_kind(session, exchange, kind, answer);
  } else {
    postpone(session, exchange, kind, answer);
  }
}

static void http1_respond(wh_exchange *exchange, const wh_answer *answer) {
  exchange->started = 1;
  exchange->end_ordered = 1;
  order(exchange, PENDING_RESPOND, answer);
}

static void http1_start(wh_exchange *exchange, const wh_answer *answer) {
  exchange->started = 1;
  order(exchange, PENDING_START, answer);
}

static void http1_write(wh_exchange *exchange, const wh_answer *answer) {
  order(exchange, PENDING_WRITE, answer);
}

static void http1_file(wh_exchange *exchange, const wh_answer *answer) {
  wh_http1 *session = exchange->owner;
  /* Nobody will take it: then it need not be waited for. */
  if (session->over) session->service->receiver->file_sent(session->service->user, exchange, WH_OK);
  order(exchange, PENDING_FILE, answer);
}

static void http1_end(wh_exchange *exchange) {
  static const wh_answer nothing;
  exchange->end_ordered = 1;
  order(exchange, PENDING_END, &nothing);
}

static void http1_trailers(wh_exchange *exchange, const wh_answer *answer) {
  exchange->end_ordered = 1;
  order(exchange, PENDING_TRAILERS, answer);
}

/* Not on HTTP/1.0, whose clients know no interim answers (RFC 9110 section 15.2). */
static void http1_inform(wh_exchange *exchange, const wh_answer *answer) {
  if (exchange->started || exchange->minor_version == 0 || answer->status < 100 ||
      answer->status > 199 || answer->status == 101) {
    return;
  }
  order(exchange, PENDING_INFORM, answer);
}
void wh_http1_send_continue(wh_http1 *session, wh_exchange *exchange) {
  if (!exchange->continue_due || exchange->started || session->first != exchange) return;
  exchange->continue_due = 0;
  wh_http_service_headed(session->service, 100);
  static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
  session->service->transport->append(session->connection, line, sizeof line - 1);
}

static void http1_read(wh_exchange *exchange, int on) {
  wh_http1 *session = exchange->owner;
  exchange->body_wanted = on != 0;
  if (exchange->body_done || session->parsing != exchange) return;
  if (on) {
    if (!wh_http1_open_body(session)) return;
    wh_http1_send_continue(session, exchange);
  }
  session->service->transport->read(session->connection, on);
}

static void http1_limit_body(wh_exchange *exchange, uint64_t most) {
  wh_http1 *session = exchange->owner;
  if (!session->over) wh_http1_limit_body(session, exchange, most);
}

/* What is written before its turn finds no room before its turn. */
static void http1_notify_room(wh_exchange *exchange) {
  wh_http1 *session = exchange->owner;
  exchange->room_wanted = 1;
  if (session->first == exchange) session->service->transport->notify_room(session->connection);
}

static void http1_rate(wh_exchange *exchange, int of_response, uint32_t bytes, uint32_t grace_ms) {
  wh_http1 *session = exchange->owner;
  /* On a connection shared with earlier answers it would be theirs. */
  if (session->first != exchange || grace_ms == 0) return;
  session->service->transport->rate(session->connection, of_response,
                                    bytes == 0 ? INT64_MAX : (int64_t)bytes, grace_ms);
}

static void http1_abort(wh_exchange *exchange, unsigned code) {
  (void)code;
  wh_http1 *session = exchange->owner;
  exchange->aborted = 1; /* the application did it: nobody has to tell it */
  session->over = 1;
  session->service->transport->close(session->connection, 1);
}

/* An application that is done without an answer leaves the client nothing to wait for. */
static void http1_released(wh_exchange *exchange) {
  wh_http1 *session = exchange->owner;
  if (exchange->end_ordered || session->over) return;
  session->over = 1;
  session->service->transport->close(session->connection, 1);
}

void *wh_http1_connection_of(const wh_exchange *exchange) {
  return ((const wh_http1 *)exchange->owner)->connection;
}

const wh_protocol wh_http1_protocol = {
    .connection = wh_http1_connection_of,
    .respond = http1_respond,
    .start = http1_start,
    .write = http1_write,
    .file = http1_file,
    .end = http1_end,
    .trailers = http1_trailers,
    .inform = http1_inform,
    .upgrade = wh_http1_upgrade,
    .read = http1_read,
    .limit_body = http1_limit_body,
    .notify_room = http1_notify_room,
    .rate = http1_rate,
    .abort = http1_abort,
    .released = http1_released,
};

void wh_http1_room(wh_http1 *session) {
  wh_exchange *exchange = session->first;
  session->waiting_room = 0;
  if (exchange != NULL && exchange->room_wanted && !exchange->released) {
    exchange->room_wanted = 0;
    session->service->receiver->room(session->service->user, exchange);
  }
}

/* --- the end of an answer --- */

void wh_http1_end_connection(wh_http1 *session) {
  wh_http_service *service = session->service;
  int unread = session->state == STATE_LENGTH || session->state == STATE_CHUNKED ||
               session->rest_length > 0 || session->refusal != 0 || session->first != NULL ||
               session->parsing != NULL;
  session->over = 1;
  session->state = STATE_CLOSED;
  /* While the server stops, a client may have sent on before it could know. */
  service->transport->finish(session->connection, unread || service->stopping);
}

void wh_http1_answered(wh_http1 *session, wh_exchange *exchange) {
  wh_http_service *service = session->service;
  int close = exchange->close || leaves_body(session, exchange);
  wh_http_service_answered(service, exchange);
  session->first = exchange->next;
  if (session->first == NULL) session->last = NULL;
  session->running--;
  exchange->next = NULL;
  exchange->owner = NULL;
  if (session->parsing == exchange) {
    /* Its body is not all here, and nobody will want the rest. */
    session->parsing = NULL;
    session->draining = 1;
    service->transport->read(session->connection, 1);
  }
  if (exchange->wants_ended) service->receiver->ended(service->user, exchange);
  if (exchange->released) wh_exchange_give(service->pool, exchange);
  if (close) {
    if (!session->over) wh_http1_end_connection(session);
    return;
  }
  if (session->first != NULL) {
    if (session->first->room_wanted) service->transport->notify_room(session->connection);
    wh_http1_send_pending(session, session->first);
    return;
  }
  service->transport->hold(session->connection, 0);
  if (session->refusal != 0) {
    wh_http1_write_refusal(session);
  } else if (session->eof && session->rest_length == 0 && !session->waiting_head) {
    wh_http1_end_connection(session);
  } else if (session->state == STATE_WAIT && !session->waiting_head) {
    session->state = STATE_LINE;
  }
}
