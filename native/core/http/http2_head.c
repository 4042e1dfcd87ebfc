/*
 * Heads in: what HPACK decodes field by field is put into the slot as HTTP/1 has it, pseudo-header
 * fields first, then "name: value" lines, :authority as Host. So the sections that one connection says
 * again and again are recognised by comparison here too (head_cache.h), and need no second check.
 *
 * A request that breaks the rules of RFC 9113 section 8 is malformed: its stream is reset with
 * PROTOCOL_ERROR, and the connection lives. One that exceeds a limit is answered 431 or 414; only who
 * sends twice as much as is allowed ends the connection.
 */
#include <string.h>

#include "base/memory.h"
#include "http/characters.h"
#include "http/content_length.h"
#include "http/field_list.h"
#include "http/header_names.h"
#include "http/host.h"
#include "http/http2_session.h"
#include "http/method.h"
#include "http/path.h"
#include "http/request_line.h"
#include "http/utf8.h"

/* What a field costs besides its bytes (RFC 9113 section 6.5.2). */
#define FIELD_OVERHEAD 32U

typedef struct field {
  uint32_t name_offset, value_offset, value_length;
  uint16_t name_length, id;
} field;

_Static_assert(sizeof(field) == WH_FIELD_SIZE, "the table's entry is this struct");

/* --- the slot --- */

/* Room for `more` bytes of head and `fields` entries. NULL: no memory. */
static uint8_t *make_room(wh_http2_stream *stream, size_t more, size_t fields) {
  wh_exchange *exchange = stream->exchange;
  size_t needed = WH_SLOT_DATA + stream->raw_used + more + fields * WH_FIELD_SIZE;
  if (needed > exchange->slot_size) {
    exchange = wh_exchange_grow(stream->session->service->pool, exchange, needed,
                                WH_SLOT_DATA + stream->raw_used, stream->fields);
    if (exchange == NULL) return NULL;
    stream->exchange = exchange;
  }
  return exchange->slot + WH_SLOT_DATA + stream->raw_used;
}

/* Where the next byte of the head goes, from the start of the slot. */
static uint32_t place(const wh_http2_stream *stream) {
  return (uint32_t)(WH_SLOT_DATA + stream->raw_used);
}

static uint8_t *put(uint8_t *out, const void *data, size_t length) {
  if (length > 0) memcpy(out, data, length);
  return out + length;
}

/* A field line, and its entry. 0, or -1: no memory. */
static int store_line(wh_http2_stream *stream, const uint8_t *name, size_t name_length,
                      const uint8_t *value, size_t value_length) {
  size_t size = name_length + value_length + 4;
  uint8_t *out = make_room(stream, size, (size_t)stream->fields + 1);
  if (out == NULL) return -1;
  uint32_t at = place(stream);
  field entry = {at, (uint32_t)(at + name_length + 2), (uint32_t)value_length,
                 (uint16_t)name_length, 0};
  memcpy(wh_slot_field(stream->exchange, stream->fields), &entry, sizeof entry);
  stream->fields++;
  out = put(out, name, name_length);
  *out++ = ':';
  *out++ = ' ';
  out = put(out, value, value_length);
  *out++ = '\r';
  *out = '\n';
  stream->raw_used += size;
  return 0;
}

static const uint8_t *pseudo(const wh_http2_stream *stream, size_t which) {
  return stream->exchange->slot + stream->pseudo[which].offset;
}

/* The pseudo-header fields are complete: what follows are lines, the first one Host. */
static int start_lines(wh_http2_stream *stream) {
  stream->in_lines = 1;
  stream->fields_start = stream->raw_used;
  if (!(stream->pseudo_seen & 1U << WH_PSEUDO_AUTHORITY)) return 0;
  size_t length = stream->pseudo[WH_PSEUDO_AUTHORITY].length;
  /* Room first: it may move what is copied. */
  if (make_room(stream, length + 8, 1) == NULL) return -1;
  return store_line(stream, (const uint8_t *)"host", 4, pseudo(stream, WH_PSEUDO_AUTHORITY),
                    length);
}

/* --- fields, as they come --- */

static int pseudo_of(const uint8_t *name, size_t length) {
  static const struct {
    const char *name;
    uint8_t length, which;
  } known[] = {{":path", 5, WH_PSEUDO_PATH},
               {":method", 7, WH_PSEUDO_METHOD},
               {":scheme", 7, WH_PSEUDO_SCHEME},
               {":authority", 10, WH_PSEUDO_AUTHORITY},
               {":protocol", 9, WH_PSEUDO_PROTOCOL}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (known[i].length == length && memcmp(known[i].name, name, length) == 0) {
      return known[i].which;
    }
  }
  return -1;
}

static void take_pseudo(wh_http2_stream *stream, const uint8_t *name, size_t name_length,
                        const uint8_t *value, size_t length) {
  int which = pseudo_of(name, name_length);
  if (which < 0 || stream->in_lines || stream->pseudo_seen & 1U << which) {
    stream->malformed = 1; /* unknown, behind a field, or twice */
    return;
  }
  uint8_t *out = make_room(stream, length, 0);
  if (out == NULL) {
    stream->refusal = WH_REFUSED_NO_MEMORY;
    return;
  }
  stream->pseudo_seen |= (uint8_t)(1U << which);
  stream->pseudo[which].offset = place(stream);
  stream->pseudo[which].length = (uint32_t)length;
  put(out, value, length);
  stream->raw_used += length;
}

/* Whether the host field says what :authority said already. */
static int repeats_authority(wh_http2_stream *stream, const uint8_t *value, size_t length) {
  return stream->pseudo[WH_PSEUDO_AUTHORITY].length == length &&
         wh_equals_ignore_case(pseudo(stream, WH_PSEUDO_AUTHORITY), value, length);
}

static void take_line(wh_http2_stream *stream, const uint8_t *name, size_t name_length,
                      const uint8_t *value, size_t length) {
  if (!stream->in_lines) {
    if (stream->pseudo_seen == 0) {
      stream->malformed = 1;
      return;
    }
    if (start_lines(stream) != 0) {
      stream->refusal = WH_REFUSED_NO_MEMORY;
      return;
    }
  }
  if (name_length == 4 && stream->pseudo_seen & 1U << WH_PSEUDO_AUTHORITY &&
      memcmp(name, "host", 4) == 0) {
    if (stream->has_host || !repeats_authority(stream, value, length)) stream->malformed = 1;
    stream->has_host = 1;
    return;
  }
  if (name_length > UINT16_MAX || store_line(stream, name, name_length, value, length) != 0) {
    stream->refusal = WH_REFUSED_NO_MEMORY;
  }
}

/* Whether a name is a token without upper case (section 8.2.1). */
static int is_name(const uint8_t *name, size_t length) {
  if (length == 0 || wh_scan_token(name, length) != length) return 0;
  for (size_t i = 0; i < length; i++) {
    if (name[i] >= 'A' && name[i] <= 'Z') return 0;
  }
  return 1;
}

/* Whether a value is one, has no white space around it, and is UTF-8; *high: not all of it is ASCII. */
static int is_value(const uint8_t *value, size_t length, int *high) {
  *high = 0;
  if (length == 0) return 1;
  if (value[0] == ' ' || value[0] == '\t') return 0;
  if (value[length - 1] == ' ' || value[length - 1] == '\t') return 0;
  if (wh_scan_field_value(value, length, high) != length) return 0;
  return !*high || wh_utf8_is_valid(value, length);
}

/* A line of the trailer section, kept as text: the application's side takes it apart. */
static void take_trailer(wh_http2_stream *stream, const uint8_t *name, size_t name_length,
                         const uint8_t *value, size_t length) {
  int high;
  if (!is_name(name, name_length) || !is_value(value, length, &high) ||
      wh_http2_is_of_connection(wh_header_id(name, name_length), name, name_length)) {
    stream->malformed = 1; /* a pseudo-header field too */
    return;
  }
  size_t size = name_length + length + 4;
  if (stream->trailers_room - stream->trailers_length < size) {
    size_t room = stream->trailers_room * 2 + size;
    uint8_t *larger = wh_realloc(stream->trailers, room);
    if (larger == NULL) {
      stream->malformed = 1;
      return;
    }
    stream->trailers = larger;
    stream->trailers_room = room;
  }
  uint8_t *out = put(stream->trailers + stream->trailers_length, name, name_length);
  *out++ = ':';
  *out++ = ' ';
  out = put(out, value, length);
  *out++ = '\r';
  *out = '\n';
  stream->trailers_length += size;
}

uint32_t wh_http2_take_field(wh_http2 *session, const uint8_t *name, size_t name_length,
                             const uint8_t *value, size_t value_length) {
  wh_http2_stream *stream = session->receiving;
  const wh_http_limits *limits = &session->service->limits;
  size_t size = name_length + value_length;
  session->list_size += size + FIELD_OVERHEAD;
  int too_large = session->list_size > limits->headers_total_size;
  /* Also of what nobody wants: it costs as much to decode. */
  if (too_large && wh_http2_section_is_endless(session, session->list_size)) {
    return NGHTTP2_ENHANCE_YOUR_CALM;
  }
  if (stream == NULL || stream->malformed) return NGHTTP2_NO_ERROR;
  too_large |= name_length > session->service->http2->limits.field_size ||
               value_length > session->service->http2->limits.field_size;
  /* Pseudo-header fields stand in for the request line, and do not count among the lines. */
  if (too_large || stream->too_many || stream->fields > limits->header_count) {
    if (!stream->too_many) {
      stream->too_many = 1;
      stream->refusal = too_large ? WH_REFUSED_HEADERS_TOO_LARGE : WH_REFUSED_TOO_MANY_HEADERS;
    }
    return NGHTTP2_NO_ERROR;
  }
  if (stream->in_trailers)
    take_trailer(stream, name, name_length, value, value_length);
  else if (name_length > 0 && name[0] == ':')
    take_pseudo(stream, name, name_length, value, value_length);
  else
    take_line(stream, name, name_length, value, value_length);
  return NGHTTP2_NO_ERROR;
}

/* --- the whole head --- */

/* The section as it was cached, if this is one: names must end where its names do. */
static const wh_cached_head *find_cached(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  const wh_exchange *exchange = stream->exchange;
  const uint8_t *section = exchange->slot + WH_SLOT_DATA + stream->fields_start;
  size_t length = stream->raw_used - stream->fields_start;
  const wh_cached_head *cached =
      wh_head_cache_find(&session->service->http2->heads, &session->head_hint, section, length);
  if (cached == NULL || cached->length != length || cached->fields != stream->fields) return NULL;
  for (uint32_t i = 0; i < cached->fields; i++) {
    uint16_t ours, theirs;
    memcpy(&ours, wh_slot_field(exchange, i) + WH_FIELD_NAME_LENGTH, sizeof ours);
    memcpy(&theirs, cached->table + (size_t)i * WH_FIELD_SIZE + WH_FIELD_NAME_LENGTH,
           sizeof theirs);
    if (ours != theirs) return NULL;
  }
  return cached;
}

/* Cookie crumbs become one field (section 8.2.3). 0, or -1: no memory. */
static int join_cookies(wh_http2_stream *stream) {
  size_t size = 0;
  for (uint32_t i = 0; i < stream->fields; i++) {
    field f;
    memcpy(&f, wh_slot_field(stream->exchange, i), sizeof f);
    if (f.id == WH_HEADER_COOKIE) size += f.value_length + 2;
  }
  uint8_t *out = make_room(stream, size, stream->fields);
  if (out == NULL) return -1;
  wh_exchange *exchange = stream->exchange;
  uint32_t kept = 0, first = UINT32_MAX, offset = place(stream);
  for (uint32_t i = 0; i < stream->fields; i++) {
    field f;
    memcpy(&f, wh_slot_field(exchange, i), sizeof f);
    if (f.id == WH_HEADER_COOKIE) {
      if (first != UINT32_MAX) {
        *out++ = ';';
        *out++ = ' ';
      }
      out = put(out, exchange->slot + f.value_offset, f.value_length);
      if (first != UINT32_MAX) continue;
      first = kept;
    }
    memcpy(wh_slot_field(exchange, kept++), &f, sizeof f);
  }
  field joined;
  memcpy(&joined, wh_slot_field(exchange, first), sizeof joined);
  joined.value_offset = offset;
  joined.value_length = (uint32_t)(out - (exchange->slot + offset));
  memcpy(wh_slot_field(exchange, first), &joined, sizeof joined);
  stream->fields = kept;
  stream->raw_used += size;
  return 0;
}

/* Goes over the lines: 0, or why the request is malformed (or, by its status, refused). */
static wh_refusal check_lines(wh_http2_stream *stream, wh_head_facts *facts, unsigned *cookies) {
  wh_exchange *exchange = stream->exchange;
  uint8_t *slot = exchange->slot;
  unsigned hosts = 0, lengths = 0;
  memset(facts, 0, sizeof *facts);
  *cookies = 0;
  for (uint32_t i = 0; i < stream->fields; i++) {
    field f;
    int high;
    memcpy(&f, wh_slot_field(exchange, i), sizeof f);
    const uint8_t *name = slot + f.name_offset, *value = slot + f.value_offset;
    if (!is_name(name, f.name_length) || !is_value(value, f.value_length, &high)) {
      return WH_REFUSED_HEADER;
    }
    if (high) facts->flags |= WH_REQUEST_FLAG_HIGH_BYTES;
    f.id = wh_header_id(name, f.name_length);
    memcpy(wh_slot_field(exchange, i), &f, sizeof f);
    if (wh_http2_is_of_connection(f.id, name, f.name_length)) return WH_REFUSED_HEADER;
    switch (f.id) {
    case WH_HEADER_HOST:
      if (++hosts > 1 || !wh_host_is_valid(value, f.value_length)) return WH_REFUSED_HOST;
      break;
    case WH_HEADER_TE:
      if (f.value_length != 8 || !wh_equals_ignore_case(value, (const uint8_t *)"trailers", 8)) {
        return WH_REFUSED_HEADER;
      }
      break;
    case WH_HEADER_CONTENT_LENGTH:
      if (++lengths > 1 ||
          wh_content_length_parse(value, f.value_length, &facts->content_length) != 0) {
        return WH_REFUSED_CONTENT_LENGTH;
      }
      facts->connection = 1; /* there is one: of use nowhere else in HTTP/2 */
      break;
    case WH_HEADER_EXPECT:
      if (!wh_expect_is_continue(value, f.value_length)) return WH_REFUSED_EXPECTATION;
      facts->expect_continue = 1;
      break;
    case WH_HEADER_COOKIE: (*cookies)++; break;
    default: break;
    }
  }
  return 0;
}

static wh_refusal check_section(wh_http2_stream *stream, wh_head_facts *facts) {
  wh_http2 *session = stream->session;
  if (!stream->in_lines && start_lines(stream) != 0) return WH_REFUSED_NO_MEMORY;
  size_t length = stream->raw_used - stream->fields_start;
  const wh_cached_head *cached = find_cached(stream);
  uint32_t id = 0;
  if (cached != NULL) {
    wh_head_cache_apply(cached, stream->exchange, WH_SLOT_DATA + stream->fields_start);
    *facts = cached->facts;
    id = cached->id;
  } else {
    unsigned cookies;
    wh_refusal reason = check_lines(stream, facts, &cookies);
    if (reason != 0) return reason;
    if (stream->fields > session->service->limits.header_count) return WH_REFUSED_TOO_MANY_HEADERS;
    if (cookies > 1) {
      if (join_cookies(stream) != 0) return WH_REFUSED_NO_MEMORY;
    } else {
      id =
          wh_head_cache_note(&session->service->http2->heads, &session->head_hint, stream->exchange,
                             WH_SLOT_DATA + stream->fields_start, length, stream->fields, facts);
    }
  }
  wh_slot_set32(stream->exchange, WH_SLOT_HEAD_ID, id);
  wh_slot_set32(stream->exchange, WH_SLOT_HEADER_COUNT, stream->fields);
  return 0;
}

/* Whether the pseudo-header fields are those that such a request has (sections 8.3.1 and 8.5, RFC 8441). */
static int fits(const wh_http2_stream *stream) {
  enum {
    METHOD = 1U << WH_PSEUDO_METHOD,
    SCHEME = 1U << WH_PSEUDO_SCHEME,
    AUTHORITY = 1U << WH_PSEUDO_AUTHORITY,
    PATH = 1U << WH_PSEUDO_PATH,
    PROTOCOL = 1U << WH_PSEUDO_PROTOCOL
  };
  unsigned seen = stream->pseudo_seen;
  if (!(seen & METHOD)) return 0;
  int connect = stream->pseudo[WH_PSEUDO_METHOD].length == 7 &&
                memcmp(pseudo(stream, WH_PSEUDO_METHOD), "CONNECT", 7) == 0;
  if (connect && !(seen & PROTOCOL)) return seen == (METHOD | AUTHORITY);
  if (seen & PROTOCOL) {
    return connect && seen == (METHOD | SCHEME | AUTHORITY | PATH | PROTOCOL) &&
           stream->pseudo[WH_PSEUDO_PROTOCOL].length > 0;
  }
  return (seen & (SCHEME | PATH)) == (SCHEME | PATH);
}

/* Whether the scheme is that of the connection: nobody shall be told another one than it has. */
static int is_scheme(const wh_http2_stream *stream) {
  const uint8_t *scheme = pseudo(stream, WH_PSEUDO_SCHEME);
  size_t length = stream->pseudo[WH_PSEUDO_SCHEME].length;
  return stream->session->secure
             ? length == 5 && wh_equals_ignore_case(scheme, (const uint8_t *)"https", 5)
             : length == 4 && wh_equals_ignore_case(scheme, (const uint8_t *)"http", 4);
}

/*
 * The request line that HTTP/1 would have, which has the rules for methods and targets. 0, or why the
 * request is malformed or refused.
 */
static wh_refusal take_target(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  const wh_http_limits *limits = &session->service->limits;
  wh_exchange *exchange = stream->exchange;
  int is_plain_connect = !(stream->pseudo_seen & 1U << WH_PSEUDO_PATH);
  size_t which = is_plain_connect ? WH_PSEUDO_AUTHORITY : WH_PSEUDO_PATH;
  size_t method = stream->pseudo[WH_PSEUDO_METHOD].length, target = stream->pseudo[which].length;
  if (method + target + 12 > limits->request_line_size) return WH_REFUSED_REQUEST_LINE_TOO_LONG;
  uint8_t *line = wh_http2_scratch(session, method + target + 16);
  if (line == NULL) return WH_REFUSED_NO_MEMORY;
  uint8_t *out =
      stream->extended ? put(line, "GET", 3) : put(line, pseudo(stream, WH_PSEUDO_METHOD), method);
  *out++ = ' ';
  out = put(out, pseudo(stream, which), target);
  out = put(out, " HTTP/1.1", 9);
  wh_request_line parts;
  int status = wh_request_line_parse_with(
      line, (size_t)(out - line),
      limits->relaxed & WH_RELAXED_RAW_QUERY ? WH_REQUEST_LINE_RAW_QUERY : 0, &parts);
  if (status != 0 || parts.form == WH_TARGET_ABSOLUTE ||
      (parts.form == WH_TARGET_AUTHORITY) != is_plain_connect) {
    return WH_REFUSED_REQUEST_LINE;
  }
  uint32_t at = stream->pseudo[which].offset, start = parts.target_offset;
  exchange->slot[WH_SLOT_METHOD] = stream->extended ? WH_METHOD_CONNECT : parts.method;
  exchange->slot[WH_SLOT_VERSION] = 20;
  exchange->head_only = parts.method == WH_METHOD_HEAD;
  exchange->connect = is_plain_connect || stream->extended;
  wh_slot_set32(exchange, WH_SLOT_TARGET_OFFSET, at);
  wh_slot_set32(exchange, WH_SLOT_TARGET_LENGTH, (uint32_t)target);
  if (parts.path_length > 0) {
    wh_slot_set32(exchange, WH_SLOT_PATH_OFFSET, at + parts.path_offset - start);
    wh_slot_set32(exchange, WH_SLOT_PATH_LENGTH, parts.path_length);
  }
  if (parts.query_length > 0) {
    wh_slot_set32(exchange, WH_SLOT_QUERY_OFFSET, at + parts.query_offset - start);
    wh_slot_set32(exchange, WH_SLOT_QUERY_LENGTH, parts.query_length);
  }
  wh_slot_set32(exchange, WH_SLOT_METHOD_OFFSET, stream->pseudo[WH_PSEUDO_METHOD].offset);
  wh_slot_set32(exchange, WH_SLOT_METHOD_LENGTH, (uint32_t)method);
  if (is_plain_connect) {
    wh_slot_set32(exchange, WH_SLOT_AUTHORITY_OFFSET, at);
    wh_slot_set32(exchange, WH_SLOT_AUTHORITY_LENGTH, (uint32_t)target);
  }
  exchange->slot[WH_SLOT_TARGET_FORM] = parts.form;
  exchange->slot[WH_SLOT_TARGET_FLAGS] = parts.flags;
  if (!(parts.flags & WH_TARGET_NEEDS_DECODING)) {
    const uint8_t *path = exchange->slot + at + parts.path_offset - start;
    wh_slot_set32(exchange, WH_SLOT_PATH_ID,
                  wh_path_cache_find(&session->service->paths, path, parts.path_length));
    return 0;
  }
  uint8_t *decoded = make_room(stream, parts.path_length, stream->fields);
  if (decoded == NULL) return WH_REFUSED_NO_MEMORY;
  exchange = stream->exchange;
  size_t length;
  if (wh_path_decode(exchange->slot + at + parts.path_offset - start, parts.path_length, decoded,
                     &length) != 0) {
    return WH_REFUSED_REQUEST_LINE;
  }
  wh_slot_set32(exchange, WH_SLOT_PATH_OFFSET, place(stream));
  wh_slot_set32(exchange, WH_SLOT_PATH_LENGTH, (uint32_t)length);
  stream->raw_used += parts.path_length;
  return 0;
}

/* Looks for the priority field (RFC 9218). */
static void take_priority(wh_http2_stream *stream) {
  const wh_exchange *exchange = stream->exchange;
  for (uint32_t i = 0; i < stream->fields; i++) {
    field f;
    memcpy(&f, wh_slot_field(exchange, i), sizeof f);
    if (f.name_length != 8 || memcmp(exchange->slot + f.name_offset, "priority", 8) != 0) continue;
    wh_http2_set_priority(stream, exchange->slot + f.value_offset, f.value_length);
    return;
  }
}

static void dispatch(wh_http2_stream *stream, const wh_head_facts *facts, int ended) {
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  wh_exchange *exchange = stream->exchange;
  stream->has_content_length = facts->connection & 1;
  stream->content_length = facts->content_length;
  stream->body_limit = service->limits.request_body_size;
  exchange->body_done = ended != 0;
  exchange->continue_due = facts->expect_continue && !ended;
  unsigned flags = (facts->flags & WH_REQUEST_FLAG_HIGH_BYTES) | WH_REQUEST_FLAG_KEEP_ALIVE |
                   (session->secure ? WH_REQUEST_FLAG_TLS : 0U) |
                   (exchange->head_only ? WH_REQUEST_FLAG_HEAD_METHOD : 0U) |
                   (facts->expect_continue ? WH_REQUEST_FLAG_EXPECT_CONTINUE : 0U);
  exchange->protocol = exchange->connect ? &service->http2->connect : &wh_http2_protocol;
  if (exchange->connect)
    flags |= ended ? 0U : WH_REQUEST_FLAG_UPGRADE;
  else if (!ended)
    flags |= WH_REQUEST_FLAG_HAS_BODY | (stream->has_content_length ? 0U : WH_REQUEST_FLAG_CHUNKED);
  wh_slot_set16(exchange, WH_SLOT_FLAGS, (uint16_t)flags);
  wh_slot_set32(exchange, WH_SLOT_CONTENT_LENGTH_LOW, (uint32_t)facts->content_length);
  wh_slot_set32(exchange, WH_SLOT_CONTENT_LENGTH_HIGH, (uint32_t)(facts->content_length >> 32));
  wh_slot_set32(exchange, WH_SLOT_CONNECTION_LOW, (uint32_t)session->number);
  wh_slot_set32(exchange, WH_SLOT_CONNECTION_HIGH, (uint32_t)(session->number >> 32));
  wh_slot_set32(exchange, WH_SLOT_REQUEST_NUMBER, (uint32_t)stream->id);
  ++*session->requests;
  exchange->dispatched = 1;
  exchange->owner = stream;
  wh_histogram_add(&service->receiving, service->now_us - exchange->started_us, 1);
  exchange->started_us = service->now_us;
  service->requests++;
  service->transport->hold(session->connection, 1);
  service->receiver->request(service->user, exchange);
}

/* The head is decoded. */
static void finish_request(wh_http2_stream *stream, const uint8_t *block, size_t length) {
  wh_head_facts facts;
  wh_refusal reason = stream->malformed || !fits(stream) ? WH_REFUSED_HEADER : stream->refusal;
  stream->extended = (stream->pseudo_seen & 1U << WH_PSEUDO_PROTOCOL) != 0;
  if (reason == 0 && stream->pseudo_seen & 1U << WH_PSEUDO_SCHEME && !is_scheme(stream)) {
    reason = WH_REFUSED_REQUEST_LINE;
  }
  if (reason == 0) reason = check_section(stream, &facts);
  if (reason == 0) reason = take_target(stream);
  if (reason == 0 && stream->exchange->connect) reason = wh_http2_take_protocol(stream);
  if (reason == 0 && stream->remote_ended && facts.connection & 1 && facts.content_length > 0) {
    reason = WH_REFUSED_CONTENT_LENGTH; /* and no body: section 8.1.1 */
  }
  if (reason != 0) {
    wh_http2_refuse(stream, reason);
    return;
  }
  take_priority(stream);
  wh_http2_note_request(stream, block, length, &facts);
  dispatch(stream, &facts, stream->remote_ended);
}

/* The head is one that was decoded before. */
static void repeat_request(wh_http2_stream *stream, const wh_http2_known_request *known) {
  wh_exchange *exchange = stream->exchange;
  size_t table = (size_t)known->fields * WH_FIELD_SIZE;
  memcpy(exchange->slot, known->slot, WH_SLOT_DATA + known->raw_used);
  memcpy(exchange->slot + exchange->slot_size - table, known->table, table);
  wh_slot_set32(exchange, WH_SLOT_GENERATION, exchange->generation);
  exchange->head_only = exchange->slot[WH_SLOT_METHOD] == WH_METHOD_HEAD;
  stream->raw_used = known->raw_used;
  stream->fields = known->fields;
  stream->urgency = known->urgency;
  stream->incremental = known->incremental;
  if (stream->remote_ended && known->facts.connection & 1 && known->facts.content_length > 0)
    wh_http2_refuse(stream, WH_REFUSED_CONTENT_LENGTH);
  else
    dispatch(stream, &known->facts, stream->remote_ended);
}

/* One stream too many, or no memory for it (section 5.1.2). */
static uint32_t refuse_stream(wh_http2 *session, wh_http2_stream *stream, int32_t id) {
  uint8_t payload[4];
  if (wh_http2_guard_count(session, WH_HTTP2_FLOOD_RESETS)) return NGHTTP2_ENHANCE_YOUR_CALM;
  if (stream != NULL) {
    wh_http2_reset(stream, NGHTTP2_REFUSED_STREAM);
    return NGHTTP2_NO_ERROR;
  }
  wh_http2_note_reset(session, id);
  wh_http2_put32(payload, NGHTTP2_REFUSED_STREAM);
  wh_http2_write_frame(session, NGHTTP2_RST_STREAM, 0, id, payload, sizeof payload);
  return NGHTTP2_NO_ERROR;
}

static uint32_t take_request(wh_http2 *session, int32_t id, const uint8_t *block, size_t length,
                             int end_stream) {
  wh_http_service *service = session->service;
  wh_http2_note_id(session, id);
  wh_http2_stream *stream = NULL;
  wh_exchange *exchange = NULL;
  /* After the last GOAWAY streams are ignored: the client has been told that they were (section 6.8). */
  if (!session->ending) {
    session->last_taken = id;
    if (session->streams < service->http2->limits.streams) {
      stream = wh_http2_take_stream(session, id);
    }
    if (stream != NULL) exchange = wh_exchange_take(service->pool);
  }
  if (exchange == NULL) {
    uint32_t code = wh_http2_decode(session, block, length); /* for the table's sake */
    if (code != NGHTTP2_NO_ERROR || session->ending) return code;
    return refuse_stream(session, stream, id);
  }
  stream->exchange = exchange;
  stream->remote_ended = end_stream != 0;
  exchange->started_us = service->now_us; /* until it is dispatched */
  exchange->minor_version = 1;
  const wh_http2_known_request *known = wh_http2_find_request(session, block, length);
  if (known != NULL) {
    repeat_request(stream, known);
    return NGHTTP2_NO_ERROR;
  }
  session->receiving = stream;
  uint32_t code = wh_http2_decode(session, block, length);
  session->receiving = NULL;
  if (code == NGHTTP2_NO_ERROR) finish_request(stream, block, length);
  return code;
}

static uint32_t take_trailers(wh_http2_stream *stream, const uint8_t *block, size_t length,
                              int end_stream) {
  wh_http2 *session = stream->session;
  stream->in_trailers = 1;
  stream->malformed = stream->too_many = 0;
  session->receiving = stream;
  uint32_t code = wh_http2_decode(session, block, length);
  session->receiving = NULL;
  if (code != NGHTTP2_NO_ERROR) return code;
  if (!end_stream || stream->malformed)
    wh_http2_refuse(stream, WH_REFUSED_HEADER); /* trailers end a stream: section 8.1 */
  else if (stream->too_many)
    wh_http2_refuse(stream, WH_REFUSED_TRAILERS_TOO_LARGE);
  else
    wh_http2_remote_end(stream);
  return NGHTTP2_NO_ERROR;
}

uint32_t wh_http2_take_block(wh_http2 *session, int32_t id, const uint8_t *block, size_t length,
                             int end_stream) {
  if (id > session->last_id) return take_request(session, id, block, length, end_stream);
  wh_http2_stream *stream = wh_http2_find(session, id);
  if (stream != NULL) return take_trailers(stream, block, length, end_stream);
  return wh_http2_decode(session, block, length); /* of a stream that we have reset */
}
