/*
 * Every reason for which a request is refused before, or instead of, an answer of the application, in
 * one table: its name as metrics and events show it, the status that is answered, and what a client is
 * told where answers to refusals have a body. Source of names and statuses: kestrel.md A6.
 */
#ifndef WH_HTTP_REFUSAL_H
#define WH_HTTP_REFUSAL_H

#include <stddef.h>
#include <stdint.h>

/* X(name of the constant, name in metrics and events, status, explanation) */
#define WH_REFUSALS(X)                                                                            \
  X(REQUEST_LINE, "invalidRequestLine", 400, "The request line is not valid.")                    \
  X(METHOD_FOR_TARGET, "methodForTarget", 405, "The method does not fit the form of the target.") \
  X(VERSION, "unrecognizedHttpVersion", 505, "This server speaks HTTP/1.0 and HTTP/1.1 here.")    \
  X(REQUEST_LINE_TOO_LONG, "requestLineTooLong", 414, "The request line is too long.")            \
  X(HEADER, "invalidRequestHeader", 400, "A header field is not valid.")                          \
  X(HEADERS_TOO_LARGE, "headersExceedMaxTotalSize", 431, "The header fields are too large.")      \
  X(TOO_MANY_HEADERS, "tooManyHeaders", 431, "There are too many header fields.")                 \
  X(HOST, "invalidHost", 400, "Host is missing, repeated, not valid, or not that of the target.") \
  X(CONTENT_LENGTH, "invalidContentLength", 400, "Content-Length is not valid.")                  \
  X(TRANSFER_ENCODING, "invalidTransferEncoding", 400,                                            \
    "Transfer-Encoding is not chunked, or is there beside Content-Length.")                       \
  X(TRANSFER_CODING, "unsupportedTransferCoding", 501,                                            \
    "No transfer coding but chunked is understood here.")                                         \
  X(LENGTH_REQUIRED, "lengthRequiredHttp10", 400, "An HTTP/1.0 request needs a Content-Length.")  \
  X(EXPECTATION, "expectationFailed", 417, "Only 100-continue can be expected.")                  \
  X(CHUNK, "invalidChunk", 400, "The chunked body is not valid.")                                 \
  X(TRAILERS_TOO_LARGE, "trailersTooLarge", 431,                                                  \
    "There are too many or too large trailer fields.")                                            \
  X(BODY_TOO_LARGE, "requestBodyTooLarge", 413, "The request's body is too large.")               \
  X(TLS_ON_CLEARTEXT, "tlsOverHttp", 400,                                                         \
    "This port speaks HTTP without TLS: use http:// instead of https://.")                        \
  X(HEADERS_TIMEOUT, "requestHeadersTimeout", 408, "The request's head did not come in time.")    \
  X(BODY_TIMEOUT, "requestBodyTimeout", 408, "The request's body came too slowly.")               \
  X(NO_MEMORY, "noMemory", 503, "The server is out of memory.")                                   \
  X(CONNECT, "connectNotAccepted", 405, "This server makes no tunnel there.")

typedef enum wh_refusal {
  WH_REFUSED_NOTHING = 0,
#define WH_REFUSAL_CONSTANT(constant, name, status, text) WH_REFUSED_##constant,
  WH_REFUSALS(WH_REFUSAL_CONSTANT)
#undef WH_REFUSAL_CONSTANT
      WH_REFUSAL_COUNT
} wh_refusal;

typedef struct wh_refusal_row {
  const char *name;
  const char *text;
  uint16_t status;
} wh_refusal_row;

/*
 * How a refusal is answered: header lines with their CRLFs (without framing) and a body. Made in
 * advance, so that a refusal costs no more than copying it.
 */
typedef struct wh_refusal_answer {
  const char *head;
  size_t head_length;
  const char *body;
  size_t body_length;
} wh_refusal_answer;

/* Row 0 is nothing's. WH_REFUSAL_COUNT rows. */
extern const wh_refusal_row wh_refusal_table[];

#endif
