/*
 * Header sections seen before. A client says the same header lines again and again on a connection,
 * and many clients say the same: a section that equals one seen before, byte for byte, need not be
 * parsed and checked again. The application profits too: the section has a number (WH_SLOT_HEAD_ID),
 * and with it goes what it has made of the lines.
 *
 * Only for HTTP/1.1 and targets in origin form, where nothing in the request line bears on what the
 * header lines mean. A miss costs two comparisons that mostly end at the first difference.
 *
 * One thread: the loop's.
 */
#ifndef WH_HTTP_HEAD_CACHE_H
#define WH_HTTP_HEAD_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "http/exchange.h"
#include "http/head.h"

#define WH_HEAD_CACHE_BYTES 1024 /* of a section; longer ones are parsed each time */
#define WH_HEAD_CACHE_FIELDS 32

typedef struct wh_cached_head {
  uint32_t id; /* never that of another section; 0 = the place is empty */
  uint16_t length, fields;
  wh_head_facts facts;
  uint8_t bytes[WH_HEAD_CACHE_BYTES];                  /* with the empty line at the end */
  uint8_t table[WH_HEAD_CACHE_FIELDS * WH_FIELD_SIZE]; /* offsets count from the section's start */
} wh_cached_head;

typedef struct wh_head_cache {
  wh_cached_head places[WH_HEAD_CACHE_PLACES];
  uint32_t uses;     /* of places */
  uint32_t *numbers; /* the last number that was given, by any cache of the service */
  unsigned misses;
  uint8_t last; /* the place found last */
} wh_head_cache;

/*
 * The section that `data` starts with, if it was seen before; NULL if not. *hint is what the
 * connection remembers of its last one.
 */
const wh_cached_head *wh_head_cache_find(wh_head_cache *cache, uint8_t *hint, const uint8_t *data,
                                         size_t length);
/*
 * Remembers a section that was parsed and checked: `length` bytes at `offset` in the exchange's slot,
 * and its table of fields. Not every one: who sends a new one each time shall not pay for it. The
 * number, or 0.
 */
uint32_t wh_head_cache_note(wh_head_cache *cache, uint8_t *hint, const wh_exchange *exchange,
                            size_t offset, size_t length, uint32_t fields,
                            const wh_head_facts *facts);
/* Writes the table of fields for a section that stands at `offset` in the slot. */
void wh_head_cache_apply(const wh_cached_head *cached, wh_exchange *exchange, size_t offset);

#endif
