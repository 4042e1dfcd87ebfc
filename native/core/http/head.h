/* The rules that a complete request head must keep beyond its grammar: Host, framing, expectations. */
#ifndef WH_HTTP_HEAD_H
#define WH_HTTP_HEAD_H

#include <stdint.h>

#include "http/exchange.h"
#include "http/service.h"

/* What the header fields say. */
typedef struct wh_head_facts {
  unsigned flags;      /* WH_REQUEST_FLAG_... */
  unsigned connection; /* enum wh_connection_option */
  uint64_t content_length;
  int expect_continue;
} wh_head_facts;

/*
 * Goes over the `fields` entries of an HTTP/1 head in its slot: sets each entry's id, takes white
 * space off its value, and reads the fields that the server itself obeys. `relaxed` are
 * WH_RELAXED_... bits. 0, or why the request is refused.
 */
wh_refusal wh_head_check(wh_exchange *exchange, uint32_t fields, unsigned relaxed,
                         wh_head_facts *facts);

#endif
