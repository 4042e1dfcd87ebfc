#include "http/exchange.h"

#include "base/error.h"
#include "base/memory.h"

#define SLOTS_PER_SLAB (1U << WH_SLAB_SHIFT)
#define LARGE_SLABS_KEPT 4 /* large slots kept for the next request that needs one */

typedef struct slab {
  uint8_t *memory;
  size_t slot_size;
  wh_exchange *exchanges;
  size_t count; /* exchanges in it; 0 = the number is free */
} slab;

struct wh_exchange_pool {
  const wh_slab_source *source;
  void *user;
  slab *slabs;
  size_t slab_count, slab_room;
  wh_exchange *free_small;
  wh_exchange *free_large;
  size_t free_large_count;
  size_t in_use;
  uint32_t generation; /* of the newest exchange: no number comes twice in 2^32 requests */
};

int wh_exchange_pool_create(const wh_slab_source *source, void *user, wh_exchange_pool **out) {
  wh_exchange_pool *pool = wh_zalloc(sizeof *pool);
  if (pool == NULL) return WH_ERR_NO_MEMORY;
  pool->source = source;
  pool->user = user;
  *out = pool;
  return WH_OK;
}

static void free_slab(wh_exchange_pool *pool, size_t number) {
  slab *s = &pool->slabs[number];
  if (s->count == 0) return;
  pool->source->free(pool->user, (uint32_t)number, s->memory);
  wh_free(s->exchanges);
  memset(s, 0, sizeof *s);
}

void wh_exchange_pool_destroy(wh_exchange_pool *pool) {
  if (pool == NULL) return;
  for (size_t i = 0; i < pool->slab_count; i++) free_slab(pool, i);
  wh_free(pool->slabs);
  wh_free(pool);
}

/* A free slab number, the table grown if need be; -1 where there is no memory. */
static ptrdiff_t free_number(wh_exchange_pool *pool) {
  for (size_t i = 0; i < pool->slab_count; i++) {
    if (pool->slabs[i].count == 0) return (ptrdiff_t)i;
  }
  if (pool->slab_count == pool->slab_room) {
    size_t room = pool->slab_room == 0 ? 8 : pool->slab_room * 2;
    slab *slabs = wh_realloc(pool->slabs, room * sizeof *slabs);
    if (slabs == NULL) return -1;
    pool->slabs = slabs;
    pool->slab_room = room;
  }
  memset(&pool->slabs[pool->slab_count], 0, sizeof *pool->slabs);
  return (ptrdiff_t)pool->slab_count++;
}

/* Adds a slab of `count` slots to a free list. */
static int add_slab(wh_exchange_pool *pool, size_t count, size_t slot_size, wh_exchange **list) {
  ptrdiff_t number = free_number(pool);
  if (number < 0) return WH_ERR_NO_MEMORY;
  wh_exchange *exchanges = wh_alloc(count * sizeof *exchanges);
  if (exchanges == NULL) return WH_ERR_NO_MEMORY;
  memset(exchanges, 0, count * sizeof *exchanges);
  uint8_t *memory =
      pool->source->allocate(pool->user, (uint32_t)number, count * slot_size, slot_size);
  if (memory == NULL) {
    wh_free(exchanges);
    return WH_ERR_NO_MEMORY;
  }
  pool->slabs[number] = (slab){memory, slot_size, exchanges, count};
  for (size_t i = count; i-- > 0;) {
    wh_exchange *exchange = &exchanges[i];
    exchange->slot = memory + i * slot_size;
    exchange->slot_size = (uint32_t)slot_size;
    exchange->index = (uint32_t)number << WH_SLAB_SHIFT | (uint32_t)i;
    exchange->next = *list;
    *list = exchange;
  }
  return WH_OK;
}

/* Makes everything but the identity new. */
static wh_exchange *prepare(wh_exchange_pool *pool, wh_exchange *exchange) {
  uint8_t *slot = exchange->slot;
  uint32_t slot_size = exchange->slot_size, index = exchange->index;
  memset(exchange, 0, sizeof *exchange);
  exchange->slot = slot;
  exchange->slot_size = slot_size;
  exchange->index = index;
  exchange->generation = ++pool->generation;
  memset(slot, 0, WH_SLOT_DATA);
  wh_slot_set32(exchange, WH_SLOT_GENERATION, exchange->generation);
  wh_slot_set32(exchange, WH_SLOT_SIZE, slot_size);
  pool->in_use++;
  return exchange;
}

wh_exchange *wh_exchange_take(wh_exchange_pool *pool) {
  if (pool->free_small == NULL &&
      add_slab(pool, SLOTS_PER_SLAB, WH_SLAB_SMALL_SIZE, &pool->free_small) != WH_OK) {
    return NULL;
  }
  wh_exchange *exchange = pool->free_small;
  pool->free_small = exchange->next;
  return prepare(pool, exchange);
}

/* A large slot of at least `size` bytes: a kept one that fits, or a new one. */
static wh_exchange *take_large(wh_exchange_pool *pool, size_t size) {
  for (wh_exchange **link = &pool->free_large; *link != NULL; link = &(*link)->next) {
    if ((*link)->slot_size < size) continue;
    wh_exchange *found = *link;
    *link = found->next;
    pool->free_large_count--;
    return prepare(pool, found);
  }
  wh_exchange *list = NULL;
  size_t rounded = (size + 4095) & ~(size_t)4095;
  if (rounded > UINT32_MAX || add_slab(pool, 1, rounded, &list) != WH_OK) return NULL;
  return prepare(pool, list);
}

wh_exchange *wh_exchange_grow(wh_exchange_pool *pool, wh_exchange *exchange, size_t size,
                              size_t used, size_t fields) {
  /* Room to double, so that a head that comes in small pieces is not moved for each of them. */
  size_t wanted = (size_t)exchange->slot_size * 2;
  wh_exchange *large = take_large(pool, size > wanted ? size : wanted);
  if (large == NULL) return NULL;
  wh_exchange identity = *large;
  *large = *exchange;
  large->slot = identity.slot;
  large->slot_size = identity.slot_size;
  large->index = identity.index;
  large->generation = identity.generation;
  large->next = NULL;
  memcpy(large->slot, exchange->slot, used);
  memcpy(large->slot + large->slot_size - fields * WH_FIELD_SIZE,
         exchange->slot + exchange->slot_size - fields * WH_FIELD_SIZE, fields * WH_FIELD_SIZE);
  wh_slot_set32(large, WH_SLOT_GENERATION, identity.generation);
  wh_slot_set32(large, WH_SLOT_SIZE, identity.slot_size);
  wh_exchange_give(pool, exchange);
  return large;
}

void wh_exchange_give(wh_exchange_pool *pool, wh_exchange *exchange) {
  pool->in_use--;
  exchange->dispatched = 0;
  exchange->generation = ++pool->generation;
  wh_slot_set32(exchange, WH_SLOT_GENERATION, exchange->generation);
  if (exchange->slot_size == WH_SLAB_SMALL_SIZE) {
    exchange->next = pool->free_small;
    pool->free_small = exchange;
  } else if (pool->free_large_count < LARGE_SLABS_KEPT) {
    exchange->next = pool->free_large;
    pool->free_large = exchange;
    pool->free_large_count++;
  } else {
    free_slab(pool, exchange->index >> WH_SLAB_SHIFT);
  }
}

wh_exchange *wh_exchange_find(wh_exchange_pool *pool, uint32_t index, uint32_t generation) {
  size_t number = index >> WH_SLAB_SHIFT;
  size_t place = index & (SLOTS_PER_SLAB - 1);
  if (number >= pool->slab_count || place >= pool->slabs[number].count) return NULL;
  wh_exchange *exchange = &pool->slabs[number].exchanges[place];
  return exchange->dispatched && exchange->generation == generation ? exchange : NULL;
}

size_t wh_exchange_pool_in_use(const wh_exchange_pool *pool) { return pool->in_use; }
