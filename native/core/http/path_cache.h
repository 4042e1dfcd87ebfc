/*
 * Paths seen before. Most requests ask for one of a few paths; such a path has a number (WH_SLOT_PATH_ID),
 * by which the application finds the string that it has made of it before: without a look at the bytes.
 *
 * One thread: the loop's.
 */
#ifndef WH_HTTP_PATH_CACHE_H
#define WH_HTTP_PATH_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "generated/shared_layout.h"

#define WH_PATH_CACHE_BYTES 59 /* of a path; longer ones have no number */

typedef struct wh_path_cache {
  struct {
    uint32_t id; /* never that of another path; 0 = the place is empty */
    uint8_t length;
    uint8_t bytes[WH_PATH_CACHE_BYTES];
  } places[WH_PATH_CACHE_PLACES];
  uint32_t uses;
  unsigned misses;
} wh_path_cache;

/* The number of these bytes; 0 where they have none. Its remainder by WH_PATH_CACHE_PLACES is its place. */
uint32_t wh_path_cache_find(wh_path_cache *cache, const uint8_t *path, size_t length);

#endif
