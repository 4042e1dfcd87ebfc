/* The pool of exchanges: slots are given to one at a time, found by their generation alone, and grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/memory.h"
#include "http/exchange.h"

#define LARGE_SLABS_KEPT 4 /* as in http/exchange.c */
#define MOST_SLABS 200

typedef struct source {
  uint8_t *slabs[MOST_SLABS];
  size_t alive, allocated, freed;
  int fails;
} source;

static uint8_t *allocate(void *user, uint32_t number, size_t size, size_t slot_size) {
  source *s = user;
  if (s->fails) return NULL;
  assert_in_range(number, 0, MOST_SLABS - 1);
  assert_null(s->slabs[number]);
  assert_int_equal(size % slot_size, 0);
  s->slabs[number] = calloc(1, size);
  s->alive++;
  s->allocated++;
  return s->slabs[number];
}

static void release(void *user, uint32_t number, uint8_t *memory) {
  source *s = user;
  assert_ptr_equal(s->slabs[number], memory);
  free(memory);
  s->slabs[number] = NULL;
  s->alive--;
  s->freed++;
}

static const wh_slab_source functions = {.allocate = allocate, .free = release};

typedef struct fixture {
  source source;
  wh_exchange_pool *pool;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  *state = f;
  return wh_exchange_pool_create(&functions, &f->source, &f->pool);
}

static int tear_down(void **state) {
  fixture *f = *state;
  assert_int_equal(wh_exchange_pool_in_use(f->pool), 0);
  wh_exchange_pool_destroy(f->pool);
  assert_int_equal(f->source.alive, 0);
  free(f);
  return 0;
}

static void gives_fresh_slots(void **state) {
  fixture *f = *state;
  wh_exchange *taken[200];
  for (size_t i = 0; i < 200; i++) {
    wh_exchange *e = taken[i] = wh_exchange_take(f->pool);
    assert_non_null(e);
    assert_int_equal(e->slot_size, WH_SLAB_SMALL_SIZE);
    assert_int_equal((uintptr_t)e->slot % 16, 0);
    assert_int_equal(wh_slot_get32(e, WH_SLOT_GENERATION), e->generation);
    assert_int_equal(wh_slot_get32(e, WH_SLOT_SIZE), WH_SLAB_SMALL_SIZE);
    for (size_t n = 4; n < WH_SLOT_DATA; n++) {
      if (n < WH_SLOT_SIZE || n >= WH_SLOT_SIZE + 4) assert_int_equal(e->slot[n], 0);
    }
    memset(e->slot + 4, (int)i, WH_SLOT_SIZE - 4);
    for (size_t n = 0; n < i; n++) {
      assert_true(taken[n]->slot != e->slot && taken[n]->index != e->index);
      assert_int_not_equal(taken[n]->generation, e->generation);
    }
  }
  assert_int_equal(wh_exchange_pool_in_use(f->pool), 200);
  assert_int_equal(f->source.alive, 4); /* of 64 */
  for (size_t i = 0; i < 200; i++) assert_int_equal(taken[i]->slot[4], (uint8_t)i);
  for (size_t i = 0; i < 200; i++) wh_exchange_give(f->pool, taken[i]);
  for (size_t i = 0; i < 200; i++) taken[i] = wh_exchange_take(f->pool);
  assert_int_equal(f->source.alive, 4);
  assert_int_equal(taken[0]->slot[4], 0);
  for (size_t i = 0; i < 200; i++) wh_exchange_give(f->pool, taken[i]);
}

static void finds_only_what_was_dispatched_and_lives(void **state) {
  fixture *f = *state;
  wh_exchange *e = wh_exchange_take(f->pool);
  uint32_t index = e->index, generation = e->generation;
  assert_null(wh_exchange_find(f->pool, index, generation));
  e->dispatched = 1;
  assert_ptr_equal(wh_exchange_find(f->pool, index, generation), e);
  assert_null(wh_exchange_find(f->pool, index, generation + 1));
  assert_null(wh_exchange_find(f->pool, index, 0));
  assert_null(wh_exchange_find(f->pool, index ^ 1, generation));
  assert_null(wh_exchange_find(f->pool, index + 64, generation));
  assert_null(wh_exchange_find(f->pool, UINT32_MAX, generation));
  uint8_t *slot = e->slot;
  wh_exchange_give(f->pool, e);
  assert_null(wh_exchange_find(f->pool, index, generation));
  /* Those who look into the slot see that it is over, too. */
  uint32_t seen;
  memcpy(&seen, slot + WH_SLOT_GENERATION, sizeof seen);
  assert_int_not_equal(seen, generation);
  assert_null(wh_exchange_find(f->pool, index, seen));
  e = wh_exchange_take(f->pool);
  e->dispatched = 1;
  assert_int_equal(e->index, index);
  assert_null(wh_exchange_find(f->pool, index, generation));
  assert_null(wh_exchange_find(f->pool, index, seen));
  wh_exchange_give(f->pool, e);
}

/* Fills the first `used` bytes behind the head's fixed part, and a table of `fields` entries. */
static void fill(wh_exchange *e, size_t used, size_t fields) {
  for (size_t i = WH_SLOT_DATA; i < used; i++) e->slot[i] = (uint8_t)(i * 7);
  for (size_t i = 0; i < fields; i++) memset(wh_slot_field(e, i), (int)i + 1, WH_FIELD_SIZE);
}

static void check(const wh_exchange *e, size_t used, size_t fields) {
  for (size_t i = WH_SLOT_DATA; i < used; i++) assert_int_equal(e->slot[i], (uint8_t)(i * 7));
  for (size_t i = 0; i < fields; i++) {
    for (size_t n = 0; n < WH_FIELD_SIZE; n++)
      assert_int_equal(wh_slot_field(e, i)[n], (uint8_t)(i + 1));
  }
}

static void grows_with_what_stands_in_it(void **state) {
  fixture *f = *state;
  wh_exchange *e = wh_exchange_take(f->pool);
  wh_slot_set32(e, WH_SLOT_TARGET_OFFSET, 77);
  e->minor_version = 1;
  e->head_only = 1;
  fill(e, 1000, 60);
  size_t used = 1000, fields = 60, size = 2048;
  for (int i = 0; i < 8; i++) {
    uint32_t index = e->index, generation = e->generation;
    size += i % 2 ? size : 100;
    wh_exchange *larger = wh_exchange_grow(f->pool, e, size, used, fields);
    assert_non_null(larger);
    assert_true(larger->slot_size >= size);
    assert_int_equal(wh_slot_get32(larger, WH_SLOT_SIZE), larger->slot_size);
    assert_int_equal(wh_slot_get32(larger, WH_SLOT_GENERATION), larger->generation);
    assert_int_equal(wh_slot_get32(larger, WH_SLOT_TARGET_OFFSET), 77);
    assert_true(larger->minor_version && larger->head_only);
    assert_true(larger->index != index && larger->generation != generation);
    assert_int_equal(wh_exchange_pool_in_use(f->pool), 1);
    check(larger, used, fields);
    used = larger->slot_size / 2;
    fields = 100;
    fill(larger, used, fields);
    e = larger;
    size = e->slot_size;
  }
  wh_exchange_give(f->pool, e);
}

static void grows_without_anything_in_it(void **state) {
  fixture *f = *state;
  wh_exchange *e = wh_exchange_take(f->pool);
  e = wh_exchange_grow(f->pool, e, 3000, WH_SLOT_DATA, 0);
  assert_non_null(e);
  wh_exchange_give(f->pool, e);
}

static void keeps_few_large_slots_and_uses_them_again(void **state) {
  fixture *f = *state;
  wh_exchange *large[10];
  for (int round = 0; round < 3; round++) {
    size_t allocated = f->source.allocated;
    for (size_t i = 0; i < 10; i++) {
      large[i] =
          wh_exchange_grow(f->pool, wh_exchange_take(f->pool), 5000 + 1000 * i, WH_SLOT_DATA, 0);
      assert_non_null(large[i]);
      large[i]->dispatched = 1;
    }
    if (round > 0) assert_in_range(f->source.allocated - allocated, 6, 9);
    for (size_t i = 0; i < 10; i++) {
      uint32_t index = large[i]->index, generation = large[i]->generation;
      assert_ptr_equal(wh_exchange_find(f->pool, index, generation), large[i]);
      wh_exchange_give(f->pool, large[i]);
      assert_null(wh_exchange_find(f->pool, index, generation));
    }
    assert_int_equal(f->source.alive, 1 + LARGE_SLABS_KEPT);
  }
}

static void numbers_of_slabs_are_used_again(void **state) {
  fixture *f = *state;
  for (int round = 0; round < 500; round++) {
    wh_exchange *large[6];
    for (size_t i = 0; i < 6; i++) {
      size_t size = 4000 + 4096 * ((size_t)round % 7) + 512 * i;
      large[i] = wh_exchange_grow(f->pool, wh_exchange_take(f->pool), size, WH_SLOT_DATA, 0);
      assert_in_range(large[i]->index >> WH_SLAB_SHIFT, 1, 12); /* numbers do not run away */
    }
    for (size_t i = 0; i < 6; i++) wh_exchange_give(f->pool, large[i]);
  }
}

static void says_when_there_is_no_memory(void **state) {
  fixture *f = *state;
  for (size_t nth = 1; nth <= 2; nth++) { /* the table of slabs, the exchanges of a slab */
    wh_memory_fail_at(nth);
    assert_null(wh_exchange_take(f->pool));
    assert_true(wh_memory_has_failed());
  }
  wh_memory_fail_at(0);
  f->source.fails = 1;
  assert_null(wh_exchange_take(f->pool));
  f->source.fails = 0;
  assert_int_equal(wh_exchange_pool_in_use(f->pool), 0);
  wh_exchange *e = wh_exchange_take(f->pool);
  assert_non_null(e);
  fill(e, 500, 10);
  uint32_t index = e->index, generation = e->generation;
  f->source.fails = 1;
  assert_null(wh_exchange_grow(f->pool, e, 5000, 500, 10));
  f->source.fails = 0;
  wh_memory_fail_at(1);
  assert_null(wh_exchange_grow(f->pool, e, 5000, 500, 10));
  wh_memory_fail_at(0);
  assert_int_equal(e->index, index); /* it is as it was */
  assert_int_equal(e->generation, generation);
  check(e, 500, 10);
  assert_int_equal(wh_exchange_pool_in_use(f->pool), 1);
  e = wh_exchange_grow(f->pool, e, 5000, 500, 10);
  assert_non_null(e);
  check(e, 500, 10);
  assert_null(wh_exchange_grow(f->pool, e, (size_t)UINT32_MAX + 1, 500, 10));
  wh_exchange_give(f->pool, e);
}

static void is_destroyed_with_exchanges_in_use(void **state) {
  (void)state;
  source s = {0};
  wh_exchange_pool *pool;
  assert_int_equal(wh_exchange_pool_create(&functions, &s, &pool), WH_OK);
  wh_exchange_take(pool);
  wh_exchange_grow(pool, wh_exchange_take(pool), 5000, WH_SLOT_DATA, 0);
  wh_exchange_give(pool, wh_exchange_grow(pool, wh_exchange_take(pool), 5000, WH_SLOT_DATA, 0));
  assert_int_equal(wh_exchange_pool_in_use(pool), 2);
  wh_exchange_pool_destroy(pool);
  assert_int_equal(s.alive, 0);
  wh_exchange_pool_destroy(NULL);
  wh_memory_fail_at(1);
  assert_int_equal(wh_exchange_pool_create(&functions, &s, &pool), WH_ERR_NO_MEMORY);
  wh_memory_fail_at(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(gives_fresh_slots),
      TEST(finds_only_what_was_dispatched_and_lives),
      TEST(grows_with_what_stands_in_it),
      TEST(grows_without_anything_in_it),
      TEST(keeps_few_large_slots_and_uses_them_again),
      TEST(numbers_of_slabs_are_used_again),
      TEST(says_when_there_is_no_memory),
      cmocka_unit_test(is_destroyed_with_exchanges_in_use),
  };
  return cmocka_run_group_tests_name("exchange", tests, NULL, NULL);
}
