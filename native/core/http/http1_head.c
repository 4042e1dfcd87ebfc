/*
 * Heads in. The request line and the framing rules are ours; llhttp reads the header lines, from a
 * state in which it has read a request line of our own making ("POST / HTTP/1.x"): so any method token
 * is fine, and no method or Upgrade changes how a message is framed.
 *
 * A head that comes whole, the usual case, is parsed where it stands in the arena, and copied into the
 * slot once. Of a head that comes in pieces each piece is copied as it comes; offsets count from the
 * start of the head, so nothing is parsed twice.
 */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "http/characters.h"
#include "http/content_length.h"
#include "http/field_list.h"
#include "http/head.h"
#include "http/head_cache.h"
#include "http/http1_session.h"
#include "http/method.h"
#include "http/path.h"
#include "http/request_line.h"

/*
 * Bytes of empty lines ignored before a request line (RFC 9112 section 2.2). They are counted in the upper
 * half of the connection's hint: between them the session may be given back.
 */
#define BLANK_BYTES_LIMIT 15U
#define BLANK_BYTES_SHIFT 4

_Static_assert(WH_HEAD_CACHE_PLACES <= 1 << BLANK_BYTES_SHIFT, "the lower half is the cache's");

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
    /* Only so does it take a bare LF for a line's end; wh_head_check sees to the rest. */
    if (service->limits.relaxed & WH_RELAXED_LINE_FEED) {
      llhttp_set_lenient_headers(&shared->states[i], 1);
    }
    llhttp_execute(&shared->states[i], lines[i], strlen(lines[i]));
  }
  shared->heads.numbers = &service->head_numbers;
  wh_http1_prepare_upgrade(shared);
  service->http1 = shared;
  return WH_OK;
}

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
  parser->header_state =
      0; /* no name means anything to it: it would read some values its own way */
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

/* Whether the byte may come next in the empty lines before a request line. */
static int is_blank_byte(const wh_http1 *session, uint8_t byte, unsigned blanks) {
  if (session->service->limits.relaxed & WH_RELAXED_LINE_FEED) return byte == '\r' || byte == '\n';
  return byte == (blanks & 1 ? '\n' : '\r');
}

/*
 * Skips empty lines. The first byte of a request, or `end`; NULL where the request is refused: there are
 * too many, or a CR or LF alone.
 */
static const uint8_t *skip_blank_lines(wh_http1 *session, const uint8_t *start,
                                       const uint8_t *end) {
  unsigned before = *session->head_hint >> BLANK_BYTES_SHIFT, blanks = before;
  while (start < end && is_blank_byte(session, *start, blanks)) {
    start++;
    if (++blanks > BLANK_BYTES_LIMIT) return NULL;
  }
  if (start < end) {
    int is_cut = blanks & 1 && !(session->service->limits.relaxed & WH_RELAXED_LINE_FEED);
    if (is_cut) return NULL;
    blanks = 0;
  }
  if (blanks != before) {
    *session->head_hint = (uint8_t)((*session->head_hint & ((1U << BLANK_BYTES_SHIFT) - 1)) |
                                    blanks << BLANK_BYTES_SHIFT);
  }
  return start;
}

/* Takes a complete request line, without its LF, apart. */
static int take_request_line(wh_http1 *session, const uint8_t *line, size_t length) {
  static const char preface[] = "PRI * HTTP/2.0"; /* RFC 9113 section 3.4 */
  unsigned relaxed = session->service->limits.relaxed;
  wh_request_line parts;
  if (length > 0 && line[length - 1] == '\r') {
    length--;
  } else if (!(relaxed & WH_RELAXED_LINE_FEED)) {
    wh_http1_refuse(session, WH_REFUSED_REQUEST_LINE); /* a bare LF ends no line */
    return -1;
  }
  int status = wh_request_line_parse_with(
      line, length, relaxed & WH_RELAXED_RAW_QUERY ? WH_REQUEST_LINE_RAW_QUERY : 0, &parts);
  if (status != 0) {
    session->preface = *session->requests == 0 && length == sizeof preface - 1 &&
                       memcmp(line, preface, sizeof preface - 1) == 0;
    session->allow_options = status == 405 && parts.form == WH_TARGET_ASTERISK;
    session->allow_connect = status == 405 && parts.form == WH_TARGET_AUTHORITY;
    wh_refusal reason = status == 405   ? WH_REFUSED_METHOD_FOR_TARGET
                        : status == 505 ? WH_REFUSED_VERSION
                                        : WH_REFUSED_REQUEST_LINE;
    wh_http1_refuse(session, reason);
    return -1;
  }
  wh_exchange *exchange = session->parsing;
  uint32_t base = WH_SLOT_DATA;
  exchange->slot[WH_SLOT_METHOD] = parts.method;
  exchange->slot[WH_SLOT_VERSION] = (uint8_t)(10 + parts.minor_version);
  exchange->minor_version = parts.minor_version & 1;
  exchange->head_only = parts.method == WH_METHOD_HEAD;
  exchange->connect = parts.method == WH_METHOD_CONNECT;
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
size_t wh_http1_receive_line(wh_http1 *session, const uint8_t *data, size_t length) {
  uint32_t limit = session->service->limits.request_line_size;
  const uint8_t *start = data, *end = data + length;
  if (session->parsing == NULL) {
    start = skip_blank_lines(session, start, end);
    if (start == NULL) {
      wh_http1_refuse(session, WH_REFUSED_REQUEST_LINE);
      return length;
    }
    if (start == end) return length;
    session->parsing = wh_exchange_take(session->service->pool);
    if (session->parsing == NULL) {
      wh_http1_refuse(session, WH_REFUSED_NO_MEMORY);
      return length;
    }
    session->parsing->started_us = session->service->now_us; /* until it is dispatched */
    session->raw_used = 0;
    session->fields = 0;
    session->fields_start = 0;
    session->in_value = 0;
    if (*start == 0x16) {
      wh_http1_refuse(session, WH_REFUSED_TLS_ON_CLEARTEXT);
      return length;
    }
  }
  size_t available = (size_t)(end - start);
  const uint8_t *feed = memchr(start, '\n', available);
  size_t piece = feed != NULL ? (size_t)(feed - start) + 1 : available;
  if (session->raw_used + piece > limit) {
    wh_http1_refuse(session, WH_REFUSED_REQUEST_LINE_TOO_LONG);
    return length;
  }
  if (feed == NULL) {
    if (store_raw(session, start, piece) != WH_OK) wh_http1_refuse(session, WH_REFUSED_NO_MEMORY);
    return length;
  }
  if (session->raw_used == 0) {
    /* All of it is here: parsed in place, and copied with the rest of the head. */
    session->chunk_start = start;
    session->fields_start = piece;
    if (take_request_line(session, start, piece - 1) != 0) return length;
    if (piece == available && store_raw(session, start, piece) != WH_OK) {
      wh_http1_refuse(session, WH_REFUSED_NO_MEMORY);
      return length;
    }
  } else {
    if (store_raw(session, start, piece) != WH_OK) {
      wh_http1_refuse(session, WH_REFUSED_NO_MEMORY);
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
    wh_http1_refuse(session, WH_REFUSED_NO_MEMORY);
    return length;
  }
  wh_head_cache_apply(cached, session->parsing, WH_SLOT_DATA + line);
  finish_head(session, cached);
  return cached->length;
}

/* The header lines, or as much of them as is there. Returns how many of the bytes it took. */
size_t wh_http1_receive_fields(wh_http1 *session, const uint8_t *data, size_t length) {
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
      wh_http1_refuse(session, WH_REFUSED_HEADERS_TOO_LARGE);
      return length;
    }
    /* All of this round is head: from chunk_start, which may be before data. */
    size_t taken = (size_t)(data + length - session->chunk_start);
    if (store_raw(session, session->chunk_start, taken) != WH_OK) {
      wh_http1_refuse(session, WH_REFUSED_NO_MEMORY);
    }
    return length;
  }
  if (error == HPE_PAUSED) {
    const uint8_t *end = (const uint8_t *)llhttp_get_error_pos(&session->parser);
    if (store_raw(session, session->chunk_start, (size_t)(end - session->chunk_start)) != WH_OK) {
      wh_http1_refuse(session, WH_REFUSED_NO_MEMORY);
      return length;
    }
    if (session->parsing->slot[WH_SLOT_DATA + session->raw_used - 2] != '\r' &&
        !(session->service->limits.relaxed & WH_RELAXED_LINE_FEED)) {
      wh_http1_refuse(session, WH_REFUSED_HEADER); /* llhttp lets a bare LF be the empty line */
      return length;
    }
    finish_head(session, NULL);
    return (size_t)(end - data);
  }
  if (session->fields >= session->service->limits.header_count && error == HPE_USER) {
    wh_http1_refuse(session, WH_REFUSED_TOO_MANY_HEADERS);
  } else if (error == HPE_USER) {
    wh_http1_refuse(session, WH_REFUSED_NO_MEMORY);
  } else {
    wh_http1_refuse(session, WH_REFUSED_HEADER);
  }
  return length;
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
      wh_http1_refuse(session, WH_REFUSED_NO_MEMORY);
      return;
    }
    exchange = session->parsing;
    size_t place = WH_SLOT_DATA + session->raw_used;
    size_t decoded = 1;
    if (path_length == 0) {
      exchange->slot[place] = '/';
    } else if (wh_path_decode(exchange->slot + wh_slot_get32(exchange, WH_SLOT_PATH_OFFSET),
                              path_length, exchange->slot + place, &decoded) != 0) {
      wh_http1_refuse(session, WH_REFUSED_REQUEST_LINE);
      return;
    }
    wh_slot_set32(exchange, WH_SLOT_PATH_OFFSET, (uint32_t)place);
    wh_slot_set32(exchange, WH_SLOT_PATH_LENGTH, (uint32_t)decoded);
    session->raw_used += size;
  } else if (path_length > 0) {
    const uint8_t *path = exchange->slot + wh_slot_get32(exchange, WH_SLOT_PATH_OFFSET);
    wh_slot_set32(exchange, WH_SLOT_PATH_ID,
                  wh_path_cache_find(&session->service->paths, path, path_length));
  }
  wh_head_facts facts;
  uint32_t id;
  if (cached != NULL) {
    facts = cached->facts;
    id = cached->id;
  } else {
    wh_refusal reason =
        wh_head_check(exchange, session->fields, session->service->limits.relaxed, &facts);
    if (reason != 0) {
      wh_http1_refuse(session, reason);
      return;
    }
    id = note_head(session, section, &facts);
  }
  wh_slot_set32(exchange, WH_SLOT_HEAD_ID, id);
  int keep_alive = exchange->minor_version ? !(facts.connection & WH_CONNECTION_CLOSE)
                                           : (facts.connection & WH_CONNECTION_KEEP_ALIVE) &&
                                                 !(facts.connection & WH_CONNECTION_CLOSE);
  session->keep_alive = keep_alive != 0;
  exchange->close = !session->keep_alive;
  exchange->continue_due = facts.expect_continue && (facts.flags & WH_REQUEST_FLAG_HAS_BODY);
  unsigned flags = facts.flags | (session->keep_alive ? WH_REQUEST_FLAG_KEEP_ALIVE : 0U) |
                   (session->secure ? WH_REQUEST_FLAG_TLS : 0U) |
                   (exchange->head_only ? WH_REQUEST_FLAG_HEAD_METHOD : 0U);
  wh_slot_set16(exchange, WH_SLOT_FLAGS, (uint16_t)flags);
  wh_slot_set32(exchange, WH_SLOT_CONTENT_LENGTH_LOW, (uint32_t)facts.content_length);
  wh_slot_set32(exchange, WH_SLOT_CONTENT_LENGTH_HIGH, (uint32_t)(facts.content_length >> 32));
  wh_slot_set32(exchange, WH_SLOT_CONNECTION_LOW, (uint32_t)session->number);
  wh_slot_set32(exchange, WH_SLOT_CONNECTION_HIGH, (uint32_t)(session->number >> 32));
  wh_slot_set32(exchange, WH_SLOT_REQUEST_NUMBER, ++*session->requests);
  session->fields_start = 0;
  wh_http1_start_exchange(session);
}
