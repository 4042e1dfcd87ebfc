/*
 * Requests in. The request line and the framing rules are ours; llhttp reads the header lines, from a
 * state in which it has read a request line of our own making ("POST / HTTP/1.x"): so any method token
 * is fine, and no method or Upgrade changes how a message is framed.
 *
 * A head that comes whole, the usual case, is parsed where it stands in the arena, and copied into the
 * slot once. Of a head that comes in pieces each piece is copied as it comes; offsets count from the
 * start of the head, so nothing is parsed twice.
 */
#include "http/http1.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "http/characters.h"
#include "http/content_length.h"
#include "http/field_list.h"
#include "http/head.h"
#include "http/head_cache.h"
#include "http/host.h"
#include "http/http1_session.h"
#include "http/method.h"
#include "http/path.h"
#include "http/request_line.h"

#define KEPT_SESSIONS 256          /* idle sessions kept for reuse */
#define DRAIN_LIMIT (1024U * 1024) /* unwanted body bytes read to keep a connection; more: close */
#define BLANK_BYTES_LIMIT 16       /* CR and LF ignored before a request line (RFC 9112 2.2) */

/* What all sessions of a service start from. */
struct wh_http1_shared {
  llhttp_settings_t settings;
  llhttp_t states[2]; /* the parser behind the request line, for HTTP/1.0 and 1.1 */
  wh_head_cache heads;
};

/* --- sessions --- */

static wh_http1 *session_of(llhttp_t *parser) { return parser->data; }

static int on_name(llhttp_t *parser, const char *at, size_t length);
static int on_value(llhttp_t *parser, const char *at, size_t length);

static int on_headers_complete(llhttp_t *parser) {
  (void)parser;
  return HPE_PAUSED; /* the rest is not llhttp's */
}

int wh_http1_prepare(wh_http_service *service) {
  static const char *const lines[2] = {"POST / HTTP/1.0\r\n", "POST / HTTP/1.1\r\n"};
  wh_http1_shared *shared = wh_zalloc(sizeof *shared);
  if (shared == NULL) return WH_ERR_NO_MEMORY;
  llhttp_settings_t *settings = &shared->settings;
  llhttp_settings_init(settings);
  settings->on_header_field = on_name;
  settings->on_header_value = on_value;
  settings->on_headers_complete = on_headers_complete;
  for (int i = 0; i < 2; i++) {
    llhttp_init(&shared->states[i], HTTP_REQUEST, settings);
    llhttp_execute(&shared->states[i], lines[i], strlen(lines[i]));
  }
  service->http1 = shared;
  return WH_OK;
}

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
  return session;
}

static void give_exchange(wh_http1 *session, wh_exchange *exchange) {
  wh_exchange_give(session->service->pool, exchange);
}

void wh_http1_close(wh_http1 *session) {
  wh_http_service *service = session->service;
  if (session->parsing != NULL && !session->parsing->dispatched) {
    give_exchange(session, session->parsing);
  }
  for (wh_exchange *exchange = session->first; exchange != NULL;) {
    wh_exchange *next = exchange->next;
    exchange->owner = NULL;
    exchange->next = NULL;
    wh_http1_drop_pending(service, exchange);
    if (exchange->released) {
      give_exchange(session, exchange);
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

void *wh_http1_connection(const wh_http1 *session) { return session->connection; }

wh_http1_phase wh_http1_phase_of(const wh_http1 *session) {
  if (session->over) return WH_HTTP1_OVER;
  if (session->draining) return WH_HTTP1_DRAIN;
  if (session->state == STATE_LENGTH || session->state == STATE_CHUNKED) return WH_HTTP1_BODY;
  if (session->first != NULL || session->state == STATE_WAIT) return WH_HTTP1_BUSY;
  if (session->parsing != NULL) return WH_HTTP1_HEAD;
  return session->rest_length > 0 ? WH_HTTP1_BUSY : WH_HTTP1_IDLE;
}

/* --- refusals --- */

static void refuse(wh_http1 *session, wh_refusal reason, unsigned status) {
  wh_http_service *service = session->service;
  service->refusals[reason]++;
  service->receiver->refused(service->user, reason, status);
  session->state = STATE_CLOSED;
  if (session->draining) {
    /* This request has its answer: a second one would be taken for the next request's. */
    session->over = 1;
    service->transport->finish(session->connection, 1);
    return;
  }
  session->refusal_status = (uint16_t)status;
  wh_exchange *exchange = session->parsing;
  session->parsing = NULL;
  if (exchange != NULL && !exchange->dispatched) {
    give_exchange(session, exchange);
  } else if (exchange != NULL) {
    /* The body is at fault, and the application has the request already. If its answer has not
       started, the refusal takes its place; else the answer is cut short. */
    exchange->body_done = 1;
    if (!exchange->aborted) {
      exchange->aborted = 1;
      service->receiver->aborted(service->user, exchange, status);
    }
    if (exchange->started) {
      session->refusal_status = 0;
      session->over = 1;
      service->transport->close(session->connection, 1);
      return;
    }
    exchange->ended = 1;
    exchange->close = 0; /* the refusal itself ends the connection */
    if (session->first == exchange) wh_http1_answered(session, exchange);
    return;
  }
  if (session->first == NULL) wh_http1_write_refusal(session);
}

/* --- the head --- */

/* Room in the slot for `raw` bytes of head and `fields` entries. */
static int ensure_room(wh_http1 *session, size_t raw, size_t fields) {
  wh_exchange *exchange = session->parsing;
  size_t needed = WH_SLOT_DATA + raw + fields * WH_FIELD_SIZE;
  if (needed <= exchange->slot_size) return WH_OK;
  wh_exchange *larger = wh_exchange_grow(session->service->pool, exchange, needed,
                                         WH_SLOT_DATA + session->raw_used, session->fields);
  if (larger == NULL) return WH_ERR_NO_MEMORY;
  session->parsing = larger;
  return WH_OK;
}

/* Copies bytes of the head behind those that the slot has. */
static int store_raw(wh_http1 *session, const uint8_t *data, size_t length) {
  if (ensure_room(session, session->raw_used + length, session->fields) != WH_OK) {
    return WH_ERR_NO_MEMORY;
  }
  memcpy(session->parsing->slot + WH_SLOT_DATA + session->raw_used, data, length);
  session->raw_used += length;
  return WH_OK;
}

static size_t slot_offset(const wh_http1 *session, const char *at) {
  return WH_SLOT_DATA + session->raw_used + (size_t)((const uint8_t *)at - session->chunk_start);
}

static int on_name(llhttp_t *parser, const char *at, size_t length) {
  wh_http1 *session = session_of(parser);
  uint8_t *entry;
  if (session->fields == 0 || session->in_value) {
    if (session->fields >= session->service->limits.header_count) return HPE_USER;
    size_t raw = slot_offset(session, at) - WH_SLOT_DATA;
    if (ensure_room(session, raw, (size_t)session->fields + 1) != WH_OK) return HPE_USER;
    entry = wh_slot_field(session->parsing, session->fields++);
    uint32_t words[4] = {(uint32_t)slot_offset(session, at), 0, 0, 0};
    memcpy(entry, words, sizeof words);
    session->in_value = 0;
  } else {
    entry = wh_slot_field(session->parsing, session->fields - 1);
  }
  uint16_t name_length;
  memcpy(&name_length, entry + WH_FIELD_NAME_LENGTH, sizeof name_length);
  if (length > (size_t)UINT16_MAX - name_length) return HPE_INVALID_HEADER_TOKEN;
  name_length = (uint16_t)(name_length + length);
  memcpy(entry + WH_FIELD_NAME_LENGTH, &name_length, sizeof name_length);
  return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length) {
  wh_http1 *session = session_of(parser);
  uint8_t *entry = wh_slot_field(session->parsing, session->fields - 1);
  uint32_t place[2];
  memcpy(place, entry + WH_FIELD_VALUE_OFFSET, sizeof place);
  if (place[1] == 0) place[0] = (uint32_t)slot_offset(session, at);
  place[1] += (uint32_t)length;
  memcpy(entry + WH_FIELD_VALUE_OFFSET, place, sizeof place);
  session->in_value = 1;
  return 0;
}

/* Takes a complete request line, without its LF, apart. */
static int take_request_line(wh_http1 *session, const uint8_t *line, size_t length) {
  wh_request_line parts;
  if (length == 0 || line[length - 1] != '\r') {
    refuse(session, WH_REFUSED_REQUEST_LINE, 400); /* a bare LF ends no line */
    return -1;
  }
  int status = wh_request_line_parse(line, length - 1, &parts);
  if (status != 0) {
    session->allow_options = status == 405 && parts.form == WH_TARGET_ASTERISK;
    session->allow_connect = status == 405 && parts.form == WH_TARGET_AUTHORITY;
    wh_refusal reason = status == 405   ? WH_REFUSED_METHOD_FOR_TARGET
                        : status == 505 ? WH_REFUSED_VERSION
                                        : WH_REFUSED_REQUEST_LINE;
    refuse(session, reason, (unsigned)status);
    return -1;
  }
  wh_exchange *exchange = session->parsing;
  uint32_t base = WH_SLOT_DATA;
  exchange->slot[WH_SLOT_METHOD] = parts.method;
  exchange->slot[WH_SLOT_VERSION] = (uint8_t)(10 + parts.minor_version);
  exchange->minor_version = parts.minor_version & 1;
  exchange->head_only = parts.method == WH_METHOD_HEAD;
  uint32_t places[8] = {
      base + parts.target_offset,
      parts.target_length,
      base + parts.path_offset,
      parts.path_length,
      base + parts.query_offset,
      parts.query_length,
      base,
      parts.method_length,
  };
  memcpy(exchange->slot + WH_SLOT_TARGET_OFFSET, places, sizeof places);
  wh_slot_set32(exchange, WH_SLOT_AUTHORITY_OFFSET, base + parts.authority_offset);
  wh_slot_set32(exchange, WH_SLOT_AUTHORITY_LENGTH, parts.authority_length);
  exchange->slot[WH_SLOT_TARGET_FORM] = parts.form;
  exchange->slot[WH_SLOT_TARGET_FLAGS] = parts.flags;
  exchange->slot[WH_SLOT_TARGET_SCHEME] = parts.scheme;
  session->parser = session->service->http1->states[parts.minor_version & 1];
  session->parser.data = session;
  return 0;
}

/*
 * The request line, or as much of it as is there. Returns how many of the bytes it took; it has all
 * of the line when the state is STATE_FIELDS after.
 */
static size_t receive_line(wh_http1 *session, const uint8_t *data, size_t length) {
  uint32_t limit = session->service->limits.request_line_size;
  const uint8_t *start = data, *end = data + length;
  if (session->parsing == NULL) {
    while (start < end && (*start == '\r' || *start == '\n')) {
      start++;
      if (++session->fields_start > BLANK_BYTES_LIMIT) {
        refuse(session, WH_REFUSED_REQUEST_LINE, 400);
        return length;
      }
    }
    if (start == end) return length;
    session->parsing = wh_exchange_take(session->service->pool);
    if (session->parsing == NULL) {
      refuse(session, WH_REFUSED_NO_MEMORY, 503);
      return length;
    }
    session->raw_used = 0;
    session->fields = 0;
    session->fields_start = 0;
    session->in_value = 0;
    if (*start == 0x16) {
      refuse(session, WH_REFUSED_TLS_ON_CLEARTEXT, 400);
      return length;
    }
  }
  size_t available = (size_t)(end - start);
  const uint8_t *feed = memchr(start, '\n', available);
  size_t piece = feed != NULL ? (size_t)(feed - start) + 1 : available;
  if (session->raw_used + piece > limit) {
    refuse(session, WH_REFUSED_REQUEST_LINE_TOO_LONG, 414);
    return length;
  }
  if (feed == NULL) {
    if (store_raw(session, start, piece) != WH_OK) refuse(session, WH_REFUSED_NO_MEMORY, 503);
    return length;
  }
  if (session->raw_used == 0) {
    /* All of it is here: parsed in place, and copied with the rest of the head. */
    session->chunk_start = start;
    session->fields_start = piece;
    if (take_request_line(session, start, piece - 1) != 0) return length;
    if (piece == available && store_raw(session, start, piece) != WH_OK) {
      refuse(session, WH_REFUSED_NO_MEMORY, 503);
      return length;
    }
  } else {
    if (store_raw(session, start, piece) != WH_OK) {
      refuse(session, WH_REFUSED_NO_MEMORY, 503);
      return length;
    }
    session->chunk_start = start + piece;
    session->fields_start = session->raw_used;
    const uint8_t *line = session->parsing->slot + WH_SLOT_DATA;
    if (take_request_line(session, line, session->raw_used - 1) != 0) return length;
  }
  session->state = STATE_FIELDS;
  return (size_t)(start - data) + piece;
}

static void finish_head(wh_http1 *session, const wh_cached_head *cached);

/*
 * Takes header lines that were seen before, if these are. Returns how many bytes they are, 0 if not.
 * They must stand right behind the request line, which is still where it was received.
 */
static size_t receive_cached(wh_http1 *session, const uint8_t *data, size_t length) {
  const wh_exchange *exchange = session->parsing;
  if (session->raw_used != 0 || exchange->minor_version == 0 ||
      exchange->slot[WH_SLOT_TARGET_FORM] != WH_TARGET_ORIGIN) {
    return 0;
  }
  const wh_cached_head *cached =
      wh_head_cache_find(&session->service->http1->heads, session->head_hint, data, length);
  if (cached == NULL) return 0;
  size_t line = session->fields_start;
  if (ensure_room(session, line + cached->length, cached->fields) != WH_OK) return 0;
  session->fields = cached->fields;
  if (store_raw(session, session->chunk_start, line + cached->length) != WH_OK) {
    refuse(session, WH_REFUSED_NO_MEMORY, 503);
    return length;
  }
  wh_head_cache_apply(cached, session->parsing, WH_SLOT_DATA + line);
  finish_head(session, cached);
  return cached->length;
}

/* The header lines, or as much of them as is there. Returns how many of the bytes it took. */
static size_t receive_fields(wh_http1 *session, const uint8_t *data, size_t length) {
  size_t known = receive_cached(session, data, length);
  if (known > 0) return known;
  uint32_t limit = session->service->limits.headers_total_size;
  /* Header bytes before this round: what the slot has behind the request line. */
  size_t before =
      session->raw_used > session->fields_start ? session->raw_used - session->fields_start : 0;
  size_t allowed = (size_t)limit + 2 - before; /* the empty line at the end does not count */
  size_t round = length < allowed ? length : allowed;
  llhttp_errno_t error = llhttp_execute(&session->parser, (const char *)data, round);
  if (error == HPE_OK) {
    if (round == allowed) {
      refuse(session, WH_REFUSED_HEADERS_TOO_LARGE, 431);
      return length;
    }
    /* All of this round is head: from chunk_start, which may be before data. */
    size_t taken = (size_t)(data + length - session->chunk_start);
    if (store_raw(session, session->chunk_start, taken) != WH_OK) {
      refuse(session, WH_REFUSED_NO_MEMORY, 503);
    }
    return length;
  }
  if (error == HPE_PAUSED) {
    const uint8_t *end = (const uint8_t *)llhttp_get_error_pos(&session->parser);
    if (store_raw(session, session->chunk_start, (size_t)(end - session->chunk_start)) != WH_OK) {
      refuse(session, WH_REFUSED_NO_MEMORY, 503);
      return length;
    }
    if (session->parsing->slot[WH_SLOT_DATA + session->raw_used - 2] != '\r') {
      refuse(session, WH_REFUSED_HEADER, 400); /* llhttp lets a bare LF be the empty line */
      return length;
    }
    finish_head(session, NULL);
    return (size_t)(end - data);
  }
  if (session->fields >= session->service->limits.header_count && error == HPE_USER) {
    refuse(session, WH_REFUSED_TOO_MANY_HEADERS, 431);
  } else if (error == HPE_USER) {
    refuse(session, WH_REFUSED_NO_MEMORY, 503);
  } else {
    refuse(session, WH_REFUSED_HEADER, 400);
  }
  return length;
}

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
static void start_exchange(wh_http1 *session) {
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
      refuse(session, WH_REFUSED_BODY_TOO_LARGE, 413);
      return;
    }
    session->state = STATE_LENGTH;
  }
}

/* Remembers header lines that mean the same behind any other request line. */
static uint32_t note_head(wh_http1 *session, size_t section, const wh_head_facts *facts) {
  const wh_exchange *exchange = session->parsing;
  if (exchange->minor_version == 0 || exchange->slot[WH_SLOT_TARGET_FORM] != WH_TARGET_ORIGIN) {
    return 0;
  }
  return wh_head_cache_note(&session->service->http1->heads, session->head_hint, exchange,
                            WH_SLOT_DATA + session->fields_start, section, session->fields, facts);
}

/* All header lines are in the slot: parsed by llhttp, or known. */
static void finish_head(wh_http1 *session, const wh_cached_head *cached) {
  wh_exchange *exchange = session->parsing;
  size_t section = session->raw_used - session->fields_start; /* before a decoded path follows */
  uint32_t path_length = wh_slot_get32(exchange, WH_SLOT_PATH_LENGTH);
  wh_slot_set32(exchange, WH_SLOT_HEADER_COUNT, session->fields);
  if (exchange->slot[WH_SLOT_TARGET_FLAGS] != 0) {
    /* The decoded path goes behind the head's bytes; an empty one of the absolute form is "/". */
    size_t size = path_length == 0 ? 1 : path_length;
    if (ensure_room(session, session->raw_used + size, session->fields) != WH_OK) {
      refuse(session, WH_REFUSED_NO_MEMORY, 503);
      return;
    }
    exchange = session->parsing;
    size_t place = WH_SLOT_DATA + session->raw_used;
    size_t decoded = 1;
    if (path_length == 0) {
      exchange->slot[place] = '/';
    } else if (wh_path_decode(exchange->slot + wh_slot_get32(exchange, WH_SLOT_PATH_OFFSET),
                              path_length, exchange->slot + place, &decoded) != 0) {
      refuse(session, WH_REFUSED_REQUEST_LINE, 400);
      return;
    }
    wh_slot_set32(exchange, WH_SLOT_PATH_OFFSET, (uint32_t)place);
    wh_slot_set32(exchange, WH_SLOT_PATH_LENGTH, (uint32_t)decoded);
    session->raw_used += size;
  }
  wh_head_facts facts;
  uint32_t id;
  if (cached != NULL) {
    facts = cached->facts;
    id = cached->id;
  } else {
    wh_refusal reason = wh_head_check(exchange, session->fields, &facts);
    if (reason != 0) {
      refuse(session, reason, facts.status);
      return;
    }
    id = note_head(session, section, &facts);
  }
  wh_slot_set32(exchange, WH_SLOT_HEAD_ID, id);
  int keep_alive = exchange->minor_version ? !(facts.connection & WH_CONNECTION_CLOSE)
                                           : (facts.connection & WH_CONNECTION_KEEP_ALIVE) &&
                                                 !(facts.connection & WH_CONNECTION_CLOSE);
  session->keep_alive = keep_alive && !session->service->stopping;
  exchange->close = !session->keep_alive;
  exchange->continue_due = facts.expect_continue && (facts.flags & WH_REQUEST_FLAG_HAS_BODY);
  unsigned flags = facts.flags | (session->keep_alive ? WH_REQUEST_FLAG_KEEP_ALIVE : 0U) |
                   (exchange->head_only ? WH_REQUEST_FLAG_HEAD_METHOD : 0U);
  wh_slot_set16(exchange, WH_SLOT_FLAGS, (uint16_t)flags);
  wh_slot_set32(exchange, WH_SLOT_CONTENT_LENGTH_LOW, (uint32_t)facts.content_length);
  wh_slot_set32(exchange, WH_SLOT_CONTENT_LENGTH_HIGH, (uint32_t)(facts.content_length >> 32));
  wh_slot_set32(exchange, WH_SLOT_CONNECTION_LOW, (uint32_t)session->number);
  wh_slot_set32(exchange, WH_SLOT_CONNECTION_HIGH, (uint32_t)(session->number >> 32));
  wh_slot_set32(exchange, WH_SLOT_REQUEST_NUMBER, ++*session->requests);
  session->fields_start = 0;
  start_exchange(session);
}

/* --- bodies --- */

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
static void dispatch_before_body(wh_http1 *session) {
  if (session->parsing == NULL || session->parsing->dispatched || session->draining) return;
  dispatch(session);
}

static size_t receive_length(wh_http1 *session, const uint8_t *data, size_t length) {
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
  dispatch_before_body(session);
  if (piece > 0) {
    session->body_left -= piece;
    deliver_body(session, data, piece);
    if (session->state != STATE_LENGTH) return length;
  }
  if (session->body_left == 0) finish_body(session);
  return piece;
}

static size_t receive_chunked(wh_http1 *session, const uint8_t *data, size_t length) {
  dispatch_before_body(session);
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
      refuse(session, result == -413 ? WH_REFUSED_BODY_TOO_LARGE : WH_REFUSED_CHUNK,
             (unsigned)-result);
      return length;
    }
  }
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
    start_exchange(session);
  else
    session->state = STATE_LINE;
}

static void parse(wh_http1 *session, const uint8_t *data, size_t length) {
  const uint8_t *end = data + length;
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
    switch ((wh_http1_state)session->state) {
    case STATE_LINE: data += receive_line(session, data, left); break;
    case STATE_FIELDS:
      /* Unless the request line stands right before, in the same bytes. */
      if (session->raw_used >= session->fields_start) session->chunk_start = data;
      data += receive_fields(session, data, left);
      break;
    case STATE_LENGTH: data += receive_length(session, data, left); break;
    case STATE_CHUNKED: data += receive_chunked(session, data, left); break;
    case STATE_WAIT: stash(session, data, left); return;
    case STATE_CLOSED: return;
    }
  }
  /* A body of which nothing came with the head: the application hears of the request all the same. */
  if (session->state == STATE_LENGTH || session->state == STATE_CHUNKED) {
    dispatch_before_body(session);
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
  if (session->first == NULL && session->refusal_status == 0) {
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
  }
}

size_t wh_http1_rest(const wh_http1 *session) { return session->rest_length; }

int wh_http1_can_resume(const wh_http1 *session) {
  if (session->over || session->waiting_room) return 0;
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
  if (session->eof && !session->over && session->rest_length == 0) receive_end(session);
}

void wh_http1_head_timeout(wh_http1 *session) { refuse(session, WH_REFUSED_HEADERS_TIMEOUT, 408); }

void wh_http1_stop(wh_http1 *session) {
  if (session->over) return;
  session->keep_alive = 0; /* the last answer that is due says close: see put_head */
  if (wh_http1_phase_of(session) == WH_HTTP1_IDLE) {
    session->over = 1;
    session->service->transport->finish(session->connection, 0);
  }
}
