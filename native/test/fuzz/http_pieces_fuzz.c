/*
 * A libFuzzer target over the parsers of http/ that take bytes from the network alone: request
 * line, path, host, chunked decoder. The first byte of the input says which, and its high bits the
 * options. Besides memory errors it looks for broken promises: offsets out of the line, paths that
 * grow, results that depend on how the input is cut.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/characters.h"
#include "http/chunked.h"
#include "http/host.h"
#include "http/method.h"
#include "http/path.h"
#include "http/request_line.h"

#define MUST(condition)                                               \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                        \
    }                                                                 \
  } while (0)

static uint8_t *allocate(size_t n) {
  uint8_t *memory = malloc(n + !n);
  MUST(memory != NULL);
  return memory;
}

/*
 * Whether the bytes are well-formed UTF-8, by the table of RFC 3629 read the other way round:
 * encode again.
 */
static int is_utf8(const uint8_t *p, size_t n) {
  for (size_t i = 0; i < n;) {
    size_t size = p[i] < 0x80   ? 1
                  : p[i] < 0xc2 ? 0
                  : p[i] < 0xe0 ? 2
                  : p[i] < 0xf0 ? 3
                  : p[i] < 0xf5 ? 4
                                : 0;
    if (size == 0 || size > n - i) return 0;
    uint32_t code = size == 1 ? p[i] : p[i] & (0x7fU >> size);
    for (size_t k = 1; k < size; k++) {
      if ((p[i + k] & 0xc0) != 0x80) return 0;
      code = code << 6 | (p[i + k] & 0x3fU);
    }
    if (size == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) return 0;
    if (size == 4 && (code < 0x10000 || code > 0x10ffff)) return 0;
    i += size;
  }
  return 1;
}

static int is_dot_segment(const uint8_t *p, size_t n) {
  return (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.');
}

static int is_within(size_t length, uint32_t offset, uint32_t span) {
  return offset <= length && span <= length - offset;
}

static void fuzz_path(const uint8_t *path, size_t n) {
  uint8_t *out = allocate(n);
  size_t length = 0;
  int result = wh_path_decode(path, n, out, &length);
  MUST(result == 0 || result == -1);
  if (result == 0) {
    int is_ascii = 1;
    for (size_t i = 0; i < n; i++) is_ascii &= path[i] < 0x80;
    MUST(length <= n && length > 0 && out[0] == '/');
    if (is_ascii) MUST(is_utf8(out, length));
    for (size_t start = 1, i = 1; i <= length; i++) {
      if (i < length && out[i] != '/') continue;
      MUST(!is_dot_segment(out + start, i - start));
      start = i + 1;
    }
    if (!wh_path_needs_decoding(path, n)) MUST(length == n && memcmp(out, path, n) == 0);
    uint8_t *in_place = allocate(n);
    size_t in_place_length;
    memcpy(in_place, path, n);
    MUST(wh_path_decode(in_place, n, in_place, &in_place_length) == 0);
    MUST(in_place_length == length && memcmp(in_place, out, length) == 0);
    free(in_place);
  }
  free(out);
}

static void fuzz_host(const uint8_t *host, size_t n) {
  if (!wh_host_is_valid(host, n) || n == 0) return;
  wh_authority authority;
  MUST(wh_authority_parse(host, n, &authority));
  MUST(authority.host_length >= 1 && authority.host_length <= n);
  MUST(authority.port >= -1 && authority.port <= 65535);
  for (uint8_t scheme = 0; scheme < 3; scheme++)
    MUST(wh_host_matches_authority(host, n, host, n, scheme));
  MUST(memchr(host, '@', n) == NULL && memchr(host, '%', n) == NULL &&
       memchr(host, '/', n) == NULL);
}

static void fuzz_request_line(const uint8_t *line, size_t n, unsigned options) {
  wh_request_line out;
  wh_request_line strict;
  int status = wh_request_line_parse_with(line, n, options, &out);
  MUST(status == 0 || status == 400 || status == 405 || status == 505);
  int strict_status = wh_request_line_parse(line, n, &strict);
  if (strict_status == 0) {
    MUST(status == 0 && strict.form == out.form && strict.flags == out.flags);
    MUST(strict.path_offset == out.path_offset && strict.path_length == out.path_length);
    MUST(strict.query_offset == out.query_offset && strict.query_length == out.query_length);
  }
  if (status == 405) MUST(out.form == WH_TARGET_ASTERISK || out.form == WH_TARGET_AUTHORITY);
  if (status != 0) {
    MUST(strict_status != 0);
    return;
  }
  MUST(out.form >= WH_TARGET_ORIGIN && out.form <= WH_TARGET_ASTERISK);
  MUST(out.minor_version <= 1 && line[n - 1] == '0' + out.minor_version);
  MUST(out.method_length > 0 && wh_scan_token(line, out.method_length) == out.method_length);
  MUST(out.target_offset == out.method_length + 1 &&
       out.target_offset + out.target_length + 9 == n);
  /* Brackets stand in an authority only. */
  int is_lenient = options != 0 || out.authority_length > 0;
  MUST(wh_scan_target(line + out.target_offset, out.target_length, is_lenient) ==
       out.target_length);
  MUST(is_within(n, out.path_offset, out.path_length) &&
       is_within(n, out.query_offset, out.query_length));
  MUST(is_within(n, out.authority_offset, out.authority_length));
  if (out.form == WH_TARGET_ORIGIN || out.form == WH_TARGET_ABSOLUTE) {
    MUST(out.path_offset + out.path_length == out.query_offset);
    MUST(out.query_offset + out.query_length == out.target_offset + out.target_length);
    MUST(out.query_length == 0 || line[out.query_offset] == '?');
    MUST((out.path_length == 0) == ((out.flags & WH_TARGET_EMPTY_PATH) != 0));
    const uint8_t *path = line + out.path_offset;
    int needs_decoding = wh_path_needs_decoding(path, out.path_length);
    MUST(needs_decoding == ((out.flags & WH_TARGET_NEEDS_DECODING) != 0));
    if (out.path_length > 0) {
      MUST(path[0] == '/' && memchr(path, '?', out.path_length) == NULL);
      fuzz_path(path, out.path_length);
    }
  }
  if (out.authority_length > 0) {
    wh_authority authority;
    MUST(wh_authority_parse(line + out.authority_offset, out.authority_length, &authority));
  }
}

/* Everything that a decoder gave, put together. */
typedef struct outcome {
  int result;
  uint8_t reason;
  size_t consumed, body_length, trailers_length;
  uint8_t *body, *trailers;
} outcome;

static void decode(const uint8_t *data, size_t n, const wh_chunked_limits *limits, unsigned seed,
                   outcome *out) {
  wh_chunked chunked;
  wh_chunked_init(&chunked, limits);
  memset(out, 0, sizeof *out);
  out->body = allocate(n);
  out->trailers = allocate(n);
  out->result = WH_CHUNKED_MORE;
  for (size_t start = 0; start < n && out->result == WH_CHUNKED_MORE;) {
    /* seed 0: all at once; else pieces of 1 to 8 bytes, each in a block of its own. */
    size_t size = n - start;
    if (seed != 0) {
      seed = seed * 1103515245U + 12345U;
      if (size > 1 + (seed >> 16) % 8) size = 1 + (seed >> 16) % 8;
    }
    uint8_t *piece = allocate(size);
    memcpy(piece, data + start, size);
    size_t offset = 0;
    do {
      size_t consumed;
      size_t length;
      const uint8_t *span;
      out->result =
          wh_chunked_feed(&chunked, piece + offset, size - offset, &consumed, &span, &length);
      MUST(consumed <= size - offset && length <= consumed);
      if (out->result == WH_CHUNKED_BODY) {
        MUST(length > 0);
        memcpy(out->body + out->body_length, span, length);
        out->body_length += length;
      } else if (out->result == WH_CHUNKED_TRAILER) {
        MUST(length > 0);
        memcpy(out->trailers + out->trailers_length, span, length);
        out->trailers_length += length;
      }
      offset += consumed;
      out->consumed += consumed;
    } while (out->result > WH_CHUNKED_MORE);
    free(piece);
    start += size;
  }
  out->reason = chunked.reason;
}

static void release(outcome *out) {
  free(out->body);
  free(out->trailers);
}

static void fuzz_chunked(const uint8_t *data, size_t n, unsigned options) {
  const wh_chunked_limits small = {20, 24, 12, 24, 2, options >> 5 & 1};
  const wh_chunked_limits *limits = options & 1 ? &small : NULL;
  outcome whole;
  outcome cut;
  decode(data, n, limits, 0, &whole);
  decode(data, n, limits, options + 1, &cut);
  MUST(whole.result == cut.result && whole.reason == cut.reason && whole.consumed == cut.consumed);
  MUST(whole.result == WH_CHUNKED_DONE || whole.result == WH_CHUNKED_MORE || whole.result == -400 ||
       whole.result == -413 || whole.result == -431);
  MUST((whole.result < 0) == (whole.reason != 0));
  MUST(whole.body_length == cut.body_length &&
       memcmp(whole.body, cut.body, whole.body_length) == 0);
  if (limits != NULL)
    MUST(whole.body_length <= small.body && whole.trailers_length <= small.trailers);
  if (whole.result == WH_CHUNKED_DONE) {
    MUST(whole.trailers_length == cut.trailers_length);
    MUST(memcmp(whole.trailers, cut.trailers, whole.trailers_length) == 0);
    size_t offset = 0;
    wh_trailer_field field;
    while (wh_trailer_next(whole.trailers, whole.trailers_length, &offset, &field)) {
      int has_high;
      MUST(field.name_length > 0 &&
           wh_scan_token(field.name, field.name_length) == field.name_length);
      MUST(wh_scan_field_value(field.value, field.value_length, &has_high) == field.value_length);
    }
    MUST(offset == whole.trailers_length);
  }
  release(&whole);
  release(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  size_t n = size - 1;
  unsigned options = data[0] >> 2;
  uint8_t *input = allocate(n);
  memcpy(input, data + 1, n);
  switch (data[0] & 3) {
  case 0: fuzz_request_line(input, n, options & 1 ? WH_REQUEST_LINE_RAW_QUERY : 0); break;
  case 1:
    if (n > 0 && input[0] == '/') fuzz_path(input, n);
    break;
  case 2: fuzz_host(input, n); break;
  default: fuzz_chunked(input, n, options); break;
  }
  free(input);
  return 0;
}
