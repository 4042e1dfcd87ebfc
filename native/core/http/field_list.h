/*
 * The few field values that steer a connection. Values are given without white space around them.
 */
#ifndef WH_HTTP_FIELD_LIST_H
#define WH_HTTP_FIELD_LIST_H

#include <stddef.h>
#include <stdint.h>

enum wh_connection_option {
  WH_CONNECTION_CLOSE = 1,
  WH_CONNECTION_KEEP_ALIVE = 2,
  WH_CONNECTION_UPGRADE = 4,
  WH_CONNECTION_OTHER = 8,   /* any other member */
  WH_CONNECTION_INVALID = 16 /* a member that is no token: not the grammar */
};

/*
 * The options in a Connection value, a comma-separated list without case (RFC 9110 section 7.6.1),
 * as a set of wh_connection_option bits; empty members are ignored. Several lines: OR the results.
 * close wins over keep-alive.
 */
unsigned wh_connection_parse(const uint8_t *p, size_t n);

/*
 * What a Transfer-Encoding value means for its request. 0: it is `chunked` (any case) and nothing
 * else. 501: a list of other codings, which nothing here undoes, that ends in the one `chunked` (RFC
 * 9112 section 6.1). 400: anything else: the body's end cannot be told (section 6.3).
 */
int wh_transfer_encoding_status(const uint8_t *p, size_t n);

/* Whether an Expect value is `100-continue` (any case) and nothing else. */
int wh_expect_is_continue(const uint8_t *p, size_t n);

/*
 * Whether a comma-separated list has the member, which is given in lower case; for TE: trailers and
 * the like.
 */
int wh_list_has_member(const uint8_t *p, size_t n, const char *member, size_t member_length);

#endif
