#include "http/path_cache.h"

#include <string.h>

#define NOTE_EVERY \
  4 /* misses, once every place was used: who never asks twice shall not pay for it */

static size_t place_of(const uint8_t *path, size_t length) {
  uint64_t first = 0, last = 0;
  size_t piece = length < 8 ? length : 8;
  memcpy(&first, path, piece);
  memcpy(&last, path + length - piece, piece);
  uint64_t mixed = (first ^ (last << 1 | last >> 63) ^ length) * UINT64_C(0x9e3779b97f4a7c15);
  return (size_t)(mixed >> 32) % WH_PATH_CACHE_PLACES;
}

uint32_t wh_path_cache_find(wh_path_cache *cache, const uint8_t *path, size_t length) {
  if (length == 0 || length > WH_PATH_CACHE_BYTES) return 0;
  size_t place = place_of(path, length);
  uint8_t *bytes = cache->places[place].bytes;
  uint32_t id = cache->places[place].id;
  if (cache->places[place].length == length && memcmp(bytes, path, length) == 0) return id;
  if (cache->uses >= WH_PATH_CACHE_PLACES && ++cache->misses % NOTE_EVERY != 0) return 0;
  /* No number comes twice: when there are no more, what is known stays known. */
  if (cache->uses >= UINT32_MAX / WH_PATH_CACHE_PLACES - 1) return 0;
  cache->uses++;
  id = cache->uses * WH_PATH_CACHE_PLACES + (uint32_t)place;
  cache->places[place].id = id;
  cache->places[place].length = (uint8_t)length;
  memcpy(bytes, path, length);
  return id;
}
