/*
 * An incremental decoder of the chunked transfer coding (RFC 9112 section 7.1), strict: CRLF only
 * (but see wh_chunked_limits),
 * the grammar of chunk extensions kept, every size bounded. It allocates nothing, copies nothing,
 * and its result does not depend on how the input is cut.
 *
 *   wh_chunked_init(&decoder, NULL);
 *   for (;;) {
 *     result = wh_chunked_feed(&decoder, data, n, &consumed, &span, &span_length);
 *     data += consumed, n -= consumed;
 *     if (result == WH_CHUNKED_BODY) ...span is body; continue;
 *     if (result == WH_CHUNKED_TRAILER) ...append span to the stored trailer section; continue;
 *     break; // MORE: read and come back. DONE: data is the next request. Negative: refuse.
 *   }
 */
#ifndef WH_HTTP_CHUNKED_H
#define WH_HTTP_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

#define WH_CHUNKED_LINE_LIMIT 1024 /* bytes of a chunk-size line, extensions and CRLF included */
#define WH_CHUNKED_EXTENSION_LIMIT 16384 /* bytes of extensions and leading zeros, over one body */
#define WH_CHUNKED_TRAILER_LIMIT 32768 /* bytes of trailers; Kestrel's MaxRequestHeadersTotalSize */
#define WH_CHUNKED_TRAILER_COUNT 100   /* trailer fields; Kestrel's MaxRequestHeaderCount */

typedef struct wh_chunked_limits {
  uint64_t body;          /* bytes of decoded body; UINT64_MAX for no limit. More: 413 */
  uint32_t line;          /* more: 400 */
  uint32_t extensions;    /* more: 413 */
  uint32_t trailers;      /* bytes, with their line ends. More: 431 */
  uint32_t trailer_count; /* more: 431 */
  uint8_t line_feeds; /* a bare LF ends trailer lines too (RFC 9112 section 2.2); chunks never */
} wh_chunked_limits;

/*
 * What a call of wh_chunked_feed found. A negative result is an HTTP status: -400, -413, -431. The
 * spans of WH_CHUNKED_TRAILER are raw bytes of the trailer section: field lines with their line ends,
 * without the empty line that ends the section. Where they are cut depends on the input; put
 * together they do not. They are worth something only once WH_CHUNKED_DONE has come.
 */
enum wh_chunked_result {
  WH_CHUNKED_DONE = 0,   /* the body has ended; input from *consumed on is not ours */
  WH_CHUNKED_MORE = 1,   /* all input is consumed */
  WH_CHUNKED_BODY = 2,   /* a span of body; call again with what is left, even if that is nothing */
  WH_CHUNKED_TRAILER = 3 /* a span of the trailer section; call again likewise */
};

/* Why a body was refused (reference: A6). */
enum wh_chunked_reason {
  WH_CHUNKED_OK = 0,
  WH_CHUNKED_BAD_SIZE,       /* 400 no hexadecimal digit where one must be, or a size over 2^63-1 */
  WH_CHUNKED_BAD_EXTENSION,  /* 400 */
  WH_CHUNKED_BAD_LINE_END,   /* 400 CR without LF, after size or trailer */
  WH_CHUNKED_BAD_SUFFIX,     /* 400 no CRLF after the data of a chunk */
  WH_CHUNKED_BAD_TRAILER,    /* 400 not a field line */
  WH_CHUNKED_LINE_TOO_LONG,  /* 400 */
  WH_CHUNKED_BODY_TOO_LARGE, /* 413 the sizes exceed limits.body; told before the data */
  WH_CHUNKED_EXTENSIONS_TOO_LARGE, /* 413 */
  WH_CHUNKED_TRAILERS_TOO_LARGE,   /* 431 */
  WH_CHUNKED_TOO_MANY_TRAILERS     /* 431 */
};

/*
 * The decoder. Its owner may change limits.body at any time (it holds from the next chunk on) and
 * read total and remaining; the rest is the decoder's own.
 */
typedef struct wh_chunked {
  wh_chunked_limits limits;
  uint64_t remaining; /* bytes of this chunk still to come; within its line, its size so far */
  uint64_t total;     /* bytes of all chunks whose size is known */
  uint32_t line_bytes;
  uint32_t extension_bytes;
  uint32_t trailer_bytes;
  uint32_t trailer_count;
  uint8_t state;
  uint8_t reason; /* enum wh_chunked_reason */
} wh_chunked;

/*
 * Makes a decoder ready for a new body. limits NULL: the defaults above and no limit of the body.
 */
void wh_chunked_init(wh_chunked *chunked, const wh_chunked_limits *limits);

/*
 * Takes up to n bytes. *consumed says how many were taken (before an error: those in front of the
 * offending byte), *body and *body_length the span (inside data) of a result WH_CHUNKED_BODY or
 * WH_CHUNKED_TRAILER, else NULL and 0. After DONE and after an error every further call gives the
 * same result and consumes nothing.
 */
int wh_chunked_feed(wh_chunked *chunked, const uint8_t *data, size_t n, size_t *consumed,
                    const uint8_t **body, size_t *body_length);

/* A field of a stored trailer section. The value is without white space around it. */
typedef struct wh_trailer_field {
  const uint8_t *name;
  const uint8_t *value;
  size_t name_length, value_length;
} wh_trailer_field;

/*
 * The next field of a trailer section, which is the spans of WH_CHUNKED_TRAILER put together after
 * WH_CHUNKED_DONE. *offset starts at 0 and moves on. 1, or 0 at the end.
 */
int wh_trailer_next(const uint8_t *section, size_t length, size_t *offset, wh_trailer_field *field);

#endif
