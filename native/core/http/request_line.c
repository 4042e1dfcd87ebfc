#include "http/request_line.h"

#include <string.h>

#include "http/characters.h"
#include "http/host.h"
#include "http/method.h"

#define VERSION_LENGTH 8       /* HTTP/1.1 */
#define SHORT_VERSION_LENGTH 7 /* what Kestrel still takes for a version: HTTP/1. */

/*
 * What the scan of a target must look at. A byte with none of these is an ordinary one, and most
 * are: eight of them pass with one branch.
 */
enum target_byte {
  REFUSED = 1,          /* control, SP, DEL, "#", 0x80 and above */
  REFUSED_STRICTLY = 2, /* visible, but not in RFC 3986 */
  QUESTION_MARK = 4,
  PERCENT = 8,
  DOT = 16
};

/* The tests compute this table again. */
/* clang-format off */
static const uint8_t target_bytes[256] = {
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1, /* 00 */
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1, /* 10 */
     1,  0,  2,  1,  0,  8,  0,  0,  0,  0,  0,  0,  0,  0, 16,  0, /* 20 */
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  2,  4, /* 30 */
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0, /* 40 */
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  2,  2,  2,  0, /* 50 */
     2,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0, /* 60 */
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  2,  2,  0,  1, /* 70 */
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1, /* 80 */
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1, /* 90 */
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1, /* a0 */
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1, /* b0 */
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1, /* c0 */
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1, /* d0 */
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1, /* e0 */
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1, /* f0 */
};
/* clang-format on */

/* The first byte of a span whose entry has a bit of the mask, or its end. */
static const uint8_t *skip_ordinary(const uint8_t *p, const uint8_t *end, unsigned mask) {
  const uint8_t *t = target_bytes;
  for (; end - p >= 8; p += 8) {
    unsigned any = t[p[0]] | t[p[1]] | t[p[2]] | t[p[3]] | t[p[4]] | t[p[5]] | t[p[6]] | t[p[7]];
    if ((any & mask) != 0) break;
  }
  while (p < end && (t[*p] & mask) == 0) p++;
  return p;
}

/* Whether "%" at p has two hexadecimal digits before the end. */
static int is_escape(const uint8_t *p, const uint8_t *end) {
  return end - p >= 3 && wh_hex_digits[p[1]] >= 0 && wh_hex_digits[p[2]] >= 0;
}

/*
 * Whether the segment that begins with the dot at p is "." or "..": it ends with "/", "?" or the
 * target.
 */
static int is_dot_segment(const uint8_t *p, const uint8_t *end) {
  p++;
  if (p < end && *p == '.') p++;
  return p == end || *p == '/' || *p == '?';
}

/* Whether all that stands from the "?" on may stand in a query (RFC 3986 section 3.4). */
static int is_query(const uint8_t *p, const uint8_t *end, unsigned options) {
  /* As browsers and fetch send it (URL Standard, query percent-encode set): [ ] { } | ^, a lone %. */
  if (options & WH_REQUEST_LINE_RAW_QUERY) return skip_ordinary(p, end, REFUSED) == end;
  for (;; p += 3) {
    p = skip_ordinary(p, end, REFUSED | REFUSED_STRICTLY | PERCENT);
    if (p == end) return 1;
    if (*p != '%' || !is_escape(p, end)) return 0;
  }
}

/*
 * Path and query from `start`, which is a "/" or, in the absolute form, possibly "?" or the end. 0
 * or 400.
 */
static int parse_path(const uint8_t *line, const uint8_t *start, const uint8_t *end,
                      unsigned options, wh_request_line *out) {
  const uint8_t *p = start;
  for (;;) {
    p = skip_ordinary(p, end, REFUSED | REFUSED_STRICTLY | QUESTION_MARK | PERCENT | DOT);
    if (p == end || *p == '?') break;
    if (*p == '%') {
      if (!is_escape(p, end)) return 400;
      out->flags |= WH_TARGET_NEEDS_DECODING;
    } else if (*p == '.') {
      if (p > start && p[-1] == '/' && is_dot_segment(p, end)) {
        out->flags |= WH_TARGET_NEEDS_DECODING;
      }
    } else {
      return 400;
    }
    p++;
  }
  out->path_offset = (uint32_t)(start - line);
  out->path_length = (uint32_t)(p - start);
  if (p == start) out->flags |= WH_TARGET_EMPTY_PATH;
  out->query_offset = (uint32_t)(p - line);
  out->query_length = (uint32_t)(end - p);
  return is_query(p, end, options) ? 0 : 400;
}

static void set_authority(const uint8_t *line, const uint8_t *start, const uint8_t *end,
                          wh_request_line *out) {
  out->authority_offset = (uint32_t)(start - line);
  out->authority_length = (uint32_t)(end - start);
}

/* authority path-abempty [ "?" query ], after the scheme. 0 or 400. */
static int parse_absolute(const uint8_t *line, const uint8_t *start, const uint8_t *end,
                          unsigned options, wh_request_line *out) {
  wh_authority authority;
  const uint8_t *p = start;
  while (p < end && *p != '/' && *p != '?') p++;
  if (!wh_authority_parse(start, (size_t)(p - start), &authority)) return 400;
  out->form = WH_TARGET_ABSOLUTE;
  set_authority(line, start, p, out);
  return parse_path(line, p, end, options, out);
}

/* Whether the target begins with these characters, compared without case. */
static int begins_with(const uint8_t *p, const uint8_t *end, const char *text, size_t length) {
  return (size_t)(end - p) >= length && wh_equals_ignore_case(p, (const uint8_t *)text, length);
}

/* The target, whose form depends on how it begins and on the method. 0, 400 or 405. */
static int parse_target(const uint8_t *line, const uint8_t *start, const uint8_t *end,
                        unsigned options, wh_request_line *out) {
  const int is_connect = out->method == WH_METHOD_CONNECT;
  if (*start == '/') {
    if (is_connect) return 400;
    out->form = WH_TARGET_ORIGIN;
    return parse_path(line, start, end, options, out);
  }
  if (*start == '*' && end - start == 1) {
    out->form = WH_TARGET_ASTERISK;
    return out->method == WH_METHOD_OPTIONS ? 0 : 405;
  }
  if (!is_connect && begins_with(start, end, "http://", 7)) {
    out->scheme = WH_SCHEME_HTTP;
    return parse_absolute(line, start + 7, end, options, out);
  }
  if (!is_connect && begins_with(start, end, "https://", 8)) {
    out->scheme = WH_SCHEME_HTTPS;
    return parse_absolute(line, start + 8, end, options, out);
  }
  wh_authority authority;
  if (!wh_authority_parse(start, (size_t)(end - start), &authority)) return 400;
  /* RFC 9110 section 9.3.6: an empty or invalid port of CONNECT must be refused. */
  if (is_connect ? authority.port <= 0 : authority.port < -1) return 400;
  out->form = WH_TARGET_AUTHORITY;
  set_authority(line, start, end, out);
  return is_connect ? 0 : 405;
}

/* The version's minor number where it is HTTP/1.0 or HTTP/1.1; else -400 or -505. */
static int parse_version(const uint8_t *p, size_t length) {
  if (length == VERSION_LENGTH && memcmp(p, "HTTP/1.", 7) == 0 && (p[7] == '0' || p[7] == '1')) {
    return p[7] - '0';
  }
  return wh_equals_ignore_case(p, (const uint8_t *)"HTTP/", 5) ? -505 : -400;
}

/* The length of the method, which a SP must follow; 0 where it is none. */
static size_t scan_method(const uint8_t *line, size_t length, uint8_t *method) {
  if (length >= 4 && memcmp(line, "GET ", 4) == 0) { /* most of them */
    *method = WH_METHOD_GET;
    return 3;
  }
  size_t n = 0;
  while (n < length && (wh_characters[line[n]] & WH_CHARACTER_TOKEN) != 0) n++;
  if (n == length || line[n] != ' ') return 0;
  *method = wh_method_find(line, n);
  return n;
}

int wh_request_line_parse_with(const uint8_t *line, size_t length, unsigned options,
                               wh_request_line *out) {
  memset(out, 0, sizeof *out);
  if (length > UINT32_MAX) return 400;

  size_t method_length = scan_method(line, length, &out->method);
  if (method_length == 0) return 400;
  out->method_length = (uint32_t)method_length;

  /* The version has a fixed length, so that the target is all that stands between. */
  size_t start = method_length + 1;
  if (length < start + 1 + 1 + SHORT_VERSION_LENGTH) return 400;
  size_t end = length - VERSION_LENGTH - 1;
  if (line[end] != ' ' && line[++end] != ' ') return 400;
  if (end <= start) return 400;
  int version = parse_version(line + end + 1, length - end - 1);
  if (version == -400) return 400;

  out->target_offset = (uint32_t)start;
  out->target_length = (uint32_t)(end - start);
  int status = parse_target(line, line + start, line + end, options, out);
  if (version == -505 && status != 400) return 505;
  out->minor_version = (uint8_t)(version > 0);
  return status;
}
