/*
 * The request line (RFC 9112 section 3), parsed strictly: method SP request-target SP HTTP-version,
 * nothing else.
 */
#ifndef WH_HTTP_REQUEST_LINE_H
#define WH_HTTP_REQUEST_LINE_H

#include <stddef.h>
#include <stdint.h>

/* The four forms of a target (RFC 9112 section 3.2). */
enum wh_target_form {
  WH_TARGET_ORIGIN = 1,    /* /path?query */
  WH_TARGET_ABSOLUTE = 2,  /* http://authority/path?query */
  WH_TARGET_AUTHORITY = 3, /* host:port, CONNECT only */
  WH_TARGET_ASTERISK = 4   /* *, OPTIONS only */
};

enum wh_target_flag {
  WH_TARGET_NEEDS_DECODING = 1, /* the path has a "%" or a dot segment: run wh_path_decode */
  WH_TARGET_EMPTY_PATH = 2 /* absolute form without a path: path_length is 0 and the path is "/" */
};

enum wh_scheme { WH_SCHEME_NONE = 0, WH_SCHEME_HTTP = 1, WH_SCHEME_HTTPS = 2 };

enum wh_request_line_option {
  /*
   * Queries may hold the visible characters that RFC 3986 does not allow (" < > [ \ ] ^ ` { | },
   * never "#"), and "%" without two hexadecimal digits: browsers send most of these as they are.
   */
  WH_REQUEST_LINE_RAW_QUERY = 1
};

/* What a request line says. Offsets count from the start of the line. */
typedef struct wh_request_line {
  uint8_t method;        /* WH_METHOD_..., 0 unknown: then it is the first method_length bytes */
  uint8_t minor_version; /* 0 or 1 */
  uint8_t form;          /* WH_TARGET_... */
  uint8_t flags;         /* WH_TARGET_NEEDS_DECODING ... */
  uint8_t scheme;        /* WH_SCHEME_..., of the absolute form */
  uint32_t method_length;
  uint32_t target_offset, target_length;
  uint32_t path_offset, path_length;           /* origin and absolute form */
  uint32_t query_offset, query_length;         /* with its "?"; length 0 where there is none */
  uint32_t authority_offset, authority_length; /* absolute and authority form; a valid host */
} wh_request_line;

/*
 * Parses one complete line without its line end. 0, or the HTTP status to refuse with:
 *   400  not the grammar; a byte in the target that RFC 3986 does not allow there, or "%" without
 *        two hexadecimal digits; not a version at all; userinfo, an empty host or another scheme
 *        than http and https; CONNECT without host:port
 *   405  "*" with another method than OPTIONS (out->form is then WH_TARGET_ASTERISK: Allow:
 *        OPTIONS), an authority with another method than CONNECT (WH_TARGET_AUTHORITY: Allow:
 *        CONNECT)
 *   505  seven or eight bytes that begin with HTTP/ (in any case of letters) and are neither
 *        HTTP/1.0 nor HTTP/1.1 (reference: A6)
 *        (a target that is not the grammar is still 400, one for another method 505)
 * After a refusal only out->form, method and method_length (0 where the method is not valid) mean
 * something. A line must be shorter than 4 GiB (the request line limit is far below). Any thread.
 */
int wh_request_line_parse_with(const uint8_t *line, size_t length, unsigned options,
                               wh_request_line *out);

/* The same without options: strict. */
static inline int wh_request_line_parse(const uint8_t *line, size_t length, wh_request_line *out) {
  return wh_request_line_parse_with(line, length, 0, out);
}

#endif
