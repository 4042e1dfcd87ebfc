#include "http/chunked.h"

#include <string.h>

#include "http/characters.h"

/*
 * The framing is read byte by byte, so that a cut of the input anywhere makes no difference; data
 * and trailer values are taken in spans. Each state is named after what must or may come next.
 */
enum state {
  SIZE_FIRST,           /* the first digit of a size */
  SIZE_NEXT,            /* a further digit, or what may follow a size */
  BEFORE_SEMICOLON,     /* after white space: only ";" may come */
  EXTENSION_NAME_FIRST, /* after ";" */
  EXTENSION_NAME,
  AFTER_NAME_SPACE, /* ";" or "=" may come */
  VALUE_FIRST,      /* after "=" */
  VALUE_TOKEN,
  VALUE_QUOTED,
  VALUE_QUOTED_PAIR, /* after a backslash */
  AFTER_QUOTED,
  SIZE_LINE_FEED,
  DATA,
  DATA_RETURN,
  DATA_LINE_FEED,
  TRAILER_FIRST, /* a field line or the empty line */
  TRAILER_NAME,
  TRAILER_VALUE,
  TRAILER_LINE_FEED,
  LAST_LINE_FEED,
  DONE,
  REFUSED
};

#define MOST_BODY ((uint64_t)INT64_MAX) /* of one chunk */

void wh_chunked_init(wh_chunked *chunked, const wh_chunked_limits *limits) {
  static const wh_chunked_limits defaults = {UINT64_MAX,
                                             WH_CHUNKED_LINE_LIMIT,
                                             WH_CHUNKED_EXTENSION_LIMIT,
                                             WH_CHUNKED_TRAILER_LIMIT,
                                             WH_CHUNKED_TRAILER_COUNT,
                                             0};
  memset(chunked, 0, sizeof *chunked);
  chunked->limits = limits == NULL ? defaults : *limits;
  chunked->state = SIZE_FIRST;
}

/* The HTTP status of a reason, negative. */
static int status_of(uint8_t reason) {
  switch (reason) {
  case WH_CHUNKED_BODY_TOO_LARGE:
  case WH_CHUNKED_EXTENSIONS_TOO_LARGE: return -413;
  case WH_CHUNKED_TRAILERS_TOO_LARGE:
  case WH_CHUNKED_TOO_MANY_TRAILERS: return -431;
  default: return -400;
  }
}

static int is_in(uint8_t byte, unsigned class) { return (wh_characters[byte] & class) != 0; }

static int is_space(uint8_t byte) { return byte == ' ' || byte == '\t'; }

/* A size is known: the data of a chunk follows, or the trailer section. A reason, or 0. */
static int end_size_line(wh_chunked *c) {
  c->line_bytes = 0;
  if (c->remaining == 0) {
    c->state = TRAILER_FIRST;
    return 0;
  }
  if (c->total > c->limits.body || c->remaining > c->limits.body - c->total) {
    return WH_CHUNKED_BODY_TOO_LARGE;
  }
  c->total += c->remaining;
  c->state = DATA;
  return 0;
}

/* A digit of a size. Leading zeros count as extensions do: both are bytes without meaning. */
static int take_digit(wh_chunked *c, int digit) {
  if (c->remaining > MOST_BODY >> 4) return WH_CHUNKED_BAD_SIZE;
  if (c->state == SIZE_NEXT && c->remaining == 0) {
    if (c->extension_bytes >= c->limits.extensions) return WH_CHUNKED_EXTENSIONS_TOO_LARGE;
    c->extension_bytes++;
  }
  c->remaining = c->remaining << 4 | (unsigned)digit;
  c->state = SIZE_NEXT;
  return 0;
}

/*
 * What may stand after a size, a name or a value: white space, the next extension, the line's end.
 */
static int take_separator(wh_chunked *c, uint8_t byte, uint8_t after_space, int otherwise) {
  if (byte == '\r') {
    c->state = SIZE_LINE_FEED;
  } else if (byte == ';') {
    c->state = EXTENSION_NAME_FIRST;
  } else if (is_space(byte)) {
    c->state = after_space;
  } else {
    return otherwise;
  }
  return 0;
}

/* A byte of a chunk's extensions (RFC 9112 section 7.1.1). */
static int take_extension_byte(wh_chunked *c, uint8_t byte) {
  switch (c->state) {
  case BEFORE_SEMICOLON:
    if (byte == ';') {
      c->state = EXTENSION_NAME_FIRST;
      return 0;
    }
    return is_space(byte) ? 0 : WH_CHUNKED_BAD_EXTENSION;
  case EXTENSION_NAME_FIRST:
    if (is_space(byte)) return 0;
    if (!is_in(byte, WH_CHARACTER_TOKEN)) return WH_CHUNKED_BAD_EXTENSION;
    c->state = EXTENSION_NAME;
    return 0;
  case EXTENSION_NAME:
    if (is_in(byte, WH_CHARACTER_TOKEN)) return 0;
    if (byte == '=') {
      c->state = VALUE_FIRST;
      return 0;
    }
    return take_separator(c, byte, AFTER_NAME_SPACE, WH_CHUNKED_BAD_EXTENSION);
  case AFTER_NAME_SPACE:
    if (is_space(byte)) return 0;
    if (byte != ';' && byte != '=') return WH_CHUNKED_BAD_EXTENSION;
    c->state = byte == ';' ? EXTENSION_NAME_FIRST : VALUE_FIRST;
    return 0;
  case VALUE_FIRST:
    if (is_space(byte)) return 0;
    if (byte == '"') {
      c->state = VALUE_QUOTED;
      return 0;
    }
    if (!is_in(byte, WH_CHARACTER_TOKEN)) return WH_CHUNKED_BAD_EXTENSION;
    c->state = VALUE_TOKEN;
    return 0;
  case VALUE_TOKEN:
    if (is_in(byte, WH_CHARACTER_TOKEN)) return 0;
    return take_separator(c, byte, BEFORE_SEMICOLON, WH_CHUNKED_BAD_EXTENSION);
  case VALUE_QUOTED:
    if (is_in(byte, WH_CHARACTER_QUOTED_TEXT)) return 0;
    if (byte != '"' && byte != '\\') return WH_CHUNKED_BAD_EXTENSION;
    c->state = byte == '"' ? AFTER_QUOTED : VALUE_QUOTED_PAIR;
    return 0;
  case VALUE_QUOTED_PAIR:
    if (!is_in(byte, WH_CHARACTER_FIELD_VALUE)) return WH_CHUNKED_BAD_EXTENSION;
    c->state = VALUE_QUOTED;
    return 0;
  default: /* AFTER_QUOTED */
    return take_separator(c, byte, BEFORE_SEMICOLON, WH_CHUNKED_BAD_EXTENSION);
  }
}

/* A byte of the line with a chunk's size. A reason, or 0. */
static int take_size_byte(wh_chunked *c, uint8_t byte) {
  if (++c->line_bytes > c->limits.line) return WH_CHUNKED_LINE_TOO_LONG;
  if (c->state == SIZE_LINE_FEED) {
    return byte == '\n' ? end_size_line(c) : WH_CHUNKED_BAD_LINE_END;
  }
  if (c->state <= SIZE_NEXT) {
    int digit = wh_hex_digits[byte];
    if (digit >= 0) return take_digit(c, digit);
    if (c->state == SIZE_FIRST) return WH_CHUNKED_BAD_SIZE;
    int reason = take_separator(c, byte, BEFORE_SEMICOLON, WH_CHUNKED_BAD_SIZE);
    if (reason != 0 || byte == '\r') return reason;
  } else {
    int reason = take_extension_byte(c, byte);
    if (reason != 0 || byte == '\r') return reason;
  }
  if (c->extension_bytes >= c->limits.extensions) return WH_CHUNKED_EXTENSIONS_TOO_LARGE;
  c->extension_bytes++;
  return 0;
}

/* The first byte of a field line's name. */
static int begin_trailer(wh_chunked *c, uint8_t byte) {
  if (!is_in(byte, WH_CHARACTER_TOKEN)) return WH_CHUNKED_BAD_TRAILER;
  if (c->trailer_count >= c->limits.trailer_count) return WH_CHUNKED_TOO_MANY_TRAILERS;
  c->trailer_count++;
  c->state = TRAILER_NAME;
  return 0;
}

/* A byte of the trailer section that is not one of a value. */
static int take_trailer_byte(wh_chunked *c, uint8_t byte) {
  switch (c->state) {
  case TRAILER_FIRST: return begin_trailer(c, byte);
  case TRAILER_NAME:
    if (is_in(byte, WH_CHARACTER_TOKEN)) return 0;
    if (byte != ':') return WH_CHUNKED_BAD_TRAILER;
    c->state = TRAILER_VALUE;
    return 0;
  case TRAILER_VALUE:
    if (byte == '\n' && c->limits.line_feeds) {
      c->state = TRAILER_FIRST;
      return 0;
    }
    if (byte != '\r') return WH_CHUNKED_BAD_TRAILER;
    c->state = TRAILER_LINE_FEED;
    return 0;
  default: /* TRAILER_LINE_FEED */
    if (byte != '\n') return WH_CHUNKED_BAD_LINE_END;
    c->state = TRAILER_FIRST;
    return 0;
  }
}

/* Whether the byte belongs to a field line of the trailer section. */
static int is_trailer_byte(const wh_chunked *c, uint8_t byte) {
  if (c->state == TRAILER_FIRST) return byte != '\r' && !(byte == '\n' && c->limits.line_feeds);
  return c->state > TRAILER_FIRST && c->state <= TRAILER_LINE_FEED;
}

/* Takes field lines up to the end of the input or to the section's empty line. A reason, or 0. */
static int take_trailers(wh_chunked *c, const uint8_t **at, const uint8_t *end) {
  int reason = 0;
  for (; *at < end && is_trailer_byte(c, **at); (*at)++) {
    if (c->state == TRAILER_VALUE) {
      int has_high;
      size_t size = wh_scan_field_value(*at, (size_t)(end - *at), &has_high);
      size_t room = c->limits.trailers - c->trailer_bytes;
      if (size > room) size = room; /* the byte after it is then one too many */
      c->trailer_bytes += (uint32_t)size;
      *at += size;
      if (*at == end) break;
    }
    if (c->trailer_bytes >= c->limits.trailers) return WH_CHUNKED_TRAILERS_TOO_LARGE;
    c->trailer_bytes++;
    reason = take_trailer_byte(c, **at);
    if (reason != 0) break;
  }
  return reason;
}

/* A byte of the framing outside the trailer's field lines. A reason, or 0. */
static int take_framing_byte(wh_chunked *c, uint8_t byte) {
  if (c->state <= SIZE_LINE_FEED) return take_size_byte(c, byte);
  switch (c->state) {
  case DATA_RETURN:
    if (byte != '\r') return WH_CHUNKED_BAD_SUFFIX;
    c->state = DATA_LINE_FEED;
    return 0;
  case DATA_LINE_FEED:
    if (byte != '\n') return WH_CHUNKED_BAD_SUFFIX;
    c->state = SIZE_FIRST;
    return 0;
  case TRAILER_FIRST: /* the CR of the empty line, or its LF alone */
    c->state = byte == '\n' ? DONE : LAST_LINE_FEED;
    return 0;
  default: /* LAST_LINE_FEED */
    if (byte != '\n') return WH_CHUNKED_BAD_LINE_END;
    c->state = DONE;
    return 0;
  }
}

/* The data of a chunk as far as it is here; returns its size. */
static size_t take_data(wh_chunked *c, size_t here) {
  size_t size = c->remaining < here ? (size_t)c->remaining : here;
  c->remaining -= size;
  if (c->remaining == 0) c->state = DATA_RETURN;
  return size;
}

static int refuse(wh_chunked *c, int reason) {
  c->state = REFUSED;
  c->reason = (uint8_t)reason;
  return status_of(c->reason);
}

int wh_chunked_feed(wh_chunked *chunked, const uint8_t *data, size_t n, size_t *consumed,
                    const uint8_t **body, size_t *body_length) {
  const uint8_t *p = data;
  const uint8_t *end = data + n;
  *consumed = 0;
  *body = NULL;
  *body_length = 0;
  if (chunked->state == DONE) return WH_CHUNKED_DONE;
  if (chunked->state == REFUSED) return status_of(chunked->reason);
  while (p < end) {
    const uint8_t *start = p;
    int reason;
    if (chunked->state == DATA) {
      p += take_data(chunked, (size_t)(end - p));
      *consumed = (size_t)(p - data);
      *body = start;
      *body_length = (size_t)(p - start);
      return WH_CHUNKED_BODY;
    }
    if (is_trailer_byte(chunked, *p)) {
      reason = take_trailers(chunked, &p, end);
      *consumed = (size_t)(p - data);
      if (reason != 0) return refuse(chunked, reason);
      *body = start;
      *body_length = (size_t)(p - start);
      return WH_CHUNKED_TRAILER;
    }
    reason = take_framing_byte(chunked, *p);
    if (reason != 0) {
      *consumed = (size_t)(p - data);
      return refuse(chunked, reason);
    }
    p++;
    if (chunked->state == DONE) {
      *consumed = (size_t)(p - data);
      return WH_CHUNKED_DONE;
    }
  }
  *consumed = n;
  return WH_CHUNKED_MORE;
}

int wh_trailer_next(const uint8_t *section, size_t length, size_t *offset,
                    wh_trailer_field *field) {
  if (*offset >= length) return 0;
  const uint8_t *line = section + *offset;
  size_t left = length - *offset;
  const uint8_t *line_feed = memchr(line, '\n', left);
  const uint8_t *colon = memchr(line, ':', left);
  if (line_feed == NULL || colon == NULL || line_feed < colon) return 0;
  const uint8_t *end = line_feed[-1] == '\r' ? line_feed - 1 : line_feed;
  field->name = line;
  field->name_length = (size_t)(colon - line);
  field->value = colon + 1;
  field->value_length = (size_t)(end - colon) - 1;
  wh_trim_ows(&field->value, &field->value_length);
  *offset += (size_t)(line_feed - line) + 1;
  return 1;
}
