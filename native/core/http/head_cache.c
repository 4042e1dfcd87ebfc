#include "http/head_cache.h"

#include <string.h>

#define NOTE_EVERY 4 /* misses; the first ones are noted anyway */

static int matches(const wh_cached_head *cached, const uint8_t *data, size_t length) {
  return cached->id != 0 && cached->length <= length &&
         memcmp(cached->bytes, data, cached->length) == 0;
}

const wh_cached_head *wh_head_cache_find(wh_head_cache *cache, uint8_t *hint, const uint8_t *data,
                                         size_t length) {
  uint8_t place = *hint % WH_HEAD_CACHE_PLACES;
  if (!matches(&cache->places[place], data, length)) {
    place = cache->last;
    if (!matches(&cache->places[place], data, length)) return NULL;
    *hint = place;
  }
  cache->last = place;
  return &cache->places[place];
}

/* Copies a table of fields, moving its offsets. */
static void copy_field(uint8_t *to, const uint8_t *from, uint32_t move) {
  uint32_t words[WH_FIELD_SIZE / sizeof(uint32_t)];
  memcpy(words, from, sizeof words);
  words[WH_FIELD_NAME_OFFSET / sizeof(uint32_t)] += move;
  words[WH_FIELD_VALUE_OFFSET / sizeof(uint32_t)] += move;
  memcpy(to, words, sizeof words);
}

uint32_t wh_head_cache_note(wh_head_cache *cache, uint8_t *hint, const wh_exchange *exchange,
                            size_t offset, size_t length, uint32_t fields,
                            const wh_head_facts *facts) {
  if (length > WH_HEAD_CACHE_BYTES || fields > WH_HEAD_CACHE_FIELDS) return 0;
  if (cache->uses >= WH_HEAD_CACHE_PLACES && ++cache->misses % NOTE_EVERY != 0) return 0;
  uint8_t place = (uint8_t)(cache->uses % WH_HEAD_CACHE_PLACES);
  wh_cached_head *cached = &cache->places[place];
  /* Numbers follow each other, so that the application can keep its part in as many places. */
  if (*cache->numbers == UINT32_MAX) return 0;
  cache->uses++;
  cached->id = ++*cache->numbers;
  cached->length = (uint16_t)length;
  cached->fields = (uint16_t)fields;
  cached->facts = *facts;
  memcpy(cached->bytes, exchange->slot + offset, length);
  for (uint32_t i = 0; i < fields; i++) {
    copy_field(cached->table + (size_t)i * WH_FIELD_SIZE, wh_slot_field(exchange, i),
               0U - (uint32_t)offset);
  }
  cache->last = place;
  *hint = place;
  return cached->id;
}

void wh_head_cache_apply(const wh_cached_head *cached, wh_exchange *exchange, size_t offset) {
  for (uint32_t i = 0; i < cached->fields; i++) {
    copy_field(wh_slot_field(exchange, i), cached->table + (size_t)i * WH_FIELD_SIZE,
               (uint32_t)offset);
  }
}
