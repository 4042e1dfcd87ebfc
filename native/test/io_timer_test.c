/* Timers: a clock that the test holds, and thousands of random operations against a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "io/timer.h"

#define TICK ((uint64_t)WH_TIMER_TICK_MS)

/* A timer that counts. */
typedef struct probe {
  wh_timer timer;
  int runs;
} probe;

static probe *probe_of(wh_timer *timer) {
  return (probe *)((char *)timer - offsetof(probe, timer));
}

static void count(wh_timer *timer) { probe_of(timer)->runs++; }

static void make(probe *out) {
  out->runs = 0;
  wh_timer_init(&out->timer, count);
}

/* --- One timer --- */

static void is_small(void **state) {
  (void)state;
  assert_true(sizeof(wh_timer) <= 40);
  /* All zero is "not set", so that an owner can be cleared as a whole. */
  wh_timers timers;
  wh_timers_init(&timers, 0);
  wh_timer zero;
  memset(&zero, 0, sizeof zero);
  assert_false(wh_timer_is_set(&zero));
  wh_timer_cancel(&timers, &zero);
  assert_int_equal(timers.count, 0);
}

/* For deadlines on every level and around every boundary, and clocks that start anywhere. */
static void runs_once_never_early_and_at_most_a_tick_late(void **state) {
  (void)state;
  static const uint64_t starts[] = {
      0, 1, 15, 16, 1000, 1023 * 16 + 7, 123456789, (1ULL << 28) - 3, (1ULL << 40) + 5};
  static const uint64_t spans[] = {
      1, 64, 64 * 64, 64 * 64 * 64, 64ULL * 64 * 64 * 64, 64ULL * 64 * 64 * 64 * 5};
  for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
    for (size_t level = 0; level < sizeof spans / sizeof *spans; level++) {
      for (int64_t around = -33; around <= 33; around++) {
        int64_t after = (int64_t)(spans[level] * TICK) + around;
        if (after < 1) continue;
        wh_timers timers;
        probe one;
        wh_timers_init(&timers, starts[s]);
        make(&one);
        uint64_t deadline = starts[s] + (uint64_t)after;
        wh_timer_set(&timers, &one.timer, deadline);
        assert_true(wh_timer_is_set(&one.timer));
        wh_timers_advance(&timers, deadline - 1);
        assert_int_equal(one.runs, 0);
        wh_timers_advance(&timers, deadline + TICK - 1);
        assert_int_equal(one.runs, 1);
        assert_false(wh_timer_is_set(&one.timer));
        assert_true(wh_timer_deadline(&one.timer) == deadline);
        wh_timers_advance(&timers, deadline + 10 * TICK);
        assert_int_equal(one.runs, 1);
        assert_int_equal(wh_timers_timeout(&timers, deadline + 10 * TICK), -1);
        assert_int_equal(timers.count, 0);
      }
    }
  }
}

/* Sleeping for as long as it says, and no longer, comes to the deadline. */
static void the_timeout_leads_to_the_deadline(void **state) {
  (void)state;
  static const uint64_t afters[] = {1,        15,        16,        17,        100,    1023,
                                    1024,     5000,      30000,     65536,     130000, 3600000,
                                    86400000, 268435456, 700000000, 8640000000};
  for (size_t i = 0; i < sizeof afters / sizeof *afters; i++) {
    for (uint64_t now = 990; now < 1040; now += 7) {
      wh_timers timers;
      probe one;
      wh_timers_init(&timers, now);
      make(&one);
      uint64_t clock = now, deadline = now + afters[i];
      wh_timer_set(&timers, &one.timer, deadline);
      int wakes = 0;
      while (one.runs == 0) {
        int sleep = wh_timers_timeout(&timers, clock);
        assert_true(sleep > 0);
        clock += (uint64_t)sleep;
        assert_true(clock < deadline + TICK);
        wh_timers_advance(&timers, clock);
        assert_true(++wakes < 50);
      }
      assert_true(clock >= deadline);
      assert_true(wakes <= 5 + (int)(afters[i] / (1ULL << 28)));
    }
  }
}

static void the_timeout_is_0_when_late_and_minus_1_when_idle(void **state) {
  (void)state;
  wh_timers timers;
  probe one;
  wh_timers_init(&timers, 100000);
  make(&one);
  assert_int_equal(wh_timers_timeout(&timers, 100000), -1);
  wh_timer_set(&timers, &one.timer, 100100);
  assert_true(wh_timers_timeout(&timers, 100000) >= 100);
  assert_true(wh_timers_timeout(&timers, 100000) < 100 + (int)TICK);
  assert_int_equal(wh_timers_timeout(&timers, 200000), 0);
  wh_timer_cancel(&timers, &one.timer);
  assert_int_equal(wh_timers_timeout(&timers, 200000), -1);
  wh_timer_set(&timers, &one.timer, 200100);
  wh_timer_set(&timers, &one.timer, WH_TIMER_DEADLINE_MAX + 5); /* on the fast way */
  assert_true(wh_timer_deadline(&one.timer) == WH_TIMER_DEADLINE_MAX);
  wh_timer_cancel(&timers, &one.timer);
  wh_timer_set(&timers, &one.timer, UINT64_MAX);
  assert_true(wh_timer_deadline(&one.timer) == WH_TIMER_DEADLINE_MAX);
  assert_true(wh_timers_timeout(&timers, 0) > 0);
  wh_timers_advance(&timers, 1ULL << 44);
  assert_int_equal(one.runs, 0);
  wh_timers_advance(&timers, (1ULL << 48) + TICK);
  assert_int_equal(one.runs, 1);
}

static void a_deadline_in_the_past_is_the_next_tick(void **state) {
  (void)state;
  wh_timers timers;
  probe one;
  wh_timers_init(&timers, 100000);
  make(&one);
  static const uint64_t deadlines[] = {0, 99999, 100000};
  uint64_t now = 100000;
  for (size_t i = 0; i < 3; i++) {
    wh_timer_set(&timers, &one.timer, deadlines[i]);
    assert_int_equal(one.runs, (int)i);
    wh_timers_advance(&timers, now);
    assert_int_equal(one.runs, (int)i);
    now += TICK;
    wh_timers_advance(&timers, now);
    assert_int_equal(one.runs, (int)i + 1);
  }
}

static void cancelled_it_does_not_run(void **state) {
  (void)state;
  wh_timers timers;
  probe probes[3];
  wh_timers_init(&timers, 0);
  for (size_t i = 0; i < 3; i++) {
    make(&probes[i]);
    wh_timer_set(&timers, &probes[i].timer, 5000);
  }
  wh_timer_cancel(&timers, &probes[1].timer);
  wh_timer_cancel(&timers, &probes[1].timer);
  assert_int_equal(timers.count, 2);
  wh_timers_advance(&timers, 6000);
  assert_int_equal(probes[0].runs, 1);
  assert_int_equal(probes[1].runs, 0);
  assert_int_equal(probes[2].runs, 1);
}

static void can_be_moved_both_ways(void **state) {
  (void)state;
  wh_timers timers;
  probe one;
  wh_timers_init(&timers, 0);
  make(&one);
  wh_timer_set(&timers, &one.timer, 130000);
  wh_timer_set(&timers, &one.timer, 30000); /* sooner */
  wh_timers_advance(&timers, 29999);
  assert_int_equal(one.runs, 0);
  wh_timer_set(&timers, &one.timer, 130000); /* later, with nothing but a store */
  wh_timers_advance(&timers, 129999);
  assert_int_equal(one.runs, 0);
  wh_timer_set(&timers, &one.timer, 160000);
  wh_timer_set(&timers, &one.timer, 130100);
  wh_timers_advance(&timers, 130100 + TICK);
  assert_int_equal(one.runs, 1);
  assert_int_equal(timers.count, 0);
}

/*
 * What a connection does: a short timeout while a request comes, a long one between requests, over
 * and over. The timer must stay where it hangs, and a busy hour must cost a handful of wake-ups.
 */
static void moving_on_every_request_is_almost_free(void **state) {
  (void)state;
  wh_timers timers;
  probe one;
  wh_timers_init(&timers, 0);
  make(&one);
  wh_timer_set(&timers, &one.timer, 30000);
  int hangings = 0;
  wh_timer **hangs_at = one.timer.link;
  for (uint64_t now = 0; now < 3600000; now += 5) {
    wh_timers_advance(&timers, now);
    wh_timer_set(&timers, &one.timer, now + 30000);
    wh_timer_set(&timers, &one.timer, now + 130000);
    if (one.timer.link != hangs_at) {
      hangings++;
      hangs_at = one.timer.link;
    }
  }
  assert_int_equal(one.runs, 0);
  assert_true(hangings <= 2 * 3600 / 30);
}

static void time_going_back_does_nothing(void **state) {
  (void)state;
  wh_timers timers;
  probe one;
  wh_timers_init(&timers, 100000);
  make(&one);
  wh_timers_advance(&timers, 5);
  wh_timer_set(&timers, &one.timer, 100200);
  wh_timers_advance(&timers, 5);
  wh_timers_advance(&timers, 100100);
  wh_timers_advance(&timers, 100000);
  assert_int_equal(one.runs, 0);
  wh_timers_advance(&timers, 100216);
  assert_int_equal(one.runs, 1);
}

/* --- What callbacks may do --- */

static wh_timers shared;
static probe others[4];
static uint64_t time_of_callback;

static void set_again(wh_timer *timer) {
  count(timer);
  assert_false(wh_timer_is_set(timer));
  wh_timer_set(&shared, timer, time_of_callback);
}

static void a_callback_may_set_its_own_timer(void **state) {
  (void)state;
  probe one;
  wh_timers_init(&shared, 0);
  make(&one);
  one.timer.callback = set_again;
  wh_timer_set(&shared, &one.timer, 100);
  time_of_callback = 100000;
  wh_timers_advance(&shared, 50000);
  assert_int_equal(one.runs, 1);
  assert_true(wh_timer_is_set(&one.timer));
  /* To the past: not in the same round again, however far time has gone. */
  time_of_callback = 0;
  wh_timers_advance(&shared, 200000);
  assert_int_equal(one.runs, 2);
  wh_timers_advance(&shared, 300000);
  assert_int_equal(one.runs, 3);
  wh_timers_advance(&shared, 300000 + TICK);
  assert_int_equal(one.runs, 4);
  wh_timer_cancel(&shared, &one.timer);
  assert_int_equal(shared.count, 0);
}

static void cancel_others(wh_timer *timer) {
  count(timer);
  for (size_t i = 0; i < 4; i++) {
    if (&others[i].timer != timer) wh_timer_cancel(&shared, &others[i].timer);
  }
}

static void move_others(wh_timer *timer) {
  count(timer);
  for (size_t i = 0; i < 4; i++) {
    if (wh_timer_is_set(&others[i].timer))
      wh_timer_set(&shared, &others[i].timer, time_of_callback);
  }
}

static int runs_of_others(void) {
  return others[0].runs + others[1].runs + others[2].runs + others[3].runs;
}

static void set_others(wh_timer_callback callback, uint64_t step) {
  wh_timers_init(&shared, 0);
  for (size_t i = 0; i < 4; i++) {
    make(&others[i]);
    others[i].timer.callback = callback;
    wh_timer_set(&shared, &others[i].timer, 1000 + i * step);
  }
}

static void a_callback_may_cancel_and_move_others_of_its_tick(void **state) {
  (void)state;
  static const uint64_t steps[] = {0, 100, 70000}; /* of the same tick, and of later ones */
  for (size_t i = 0; i < 3; i++) {
    set_others(cancel_others, steps[i]);
    wh_timers_advance(&shared, 500000);
    assert_int_equal(runs_of_others(), 1);
    assert_int_equal(shared.count, 0);
    assert_int_equal(wh_timers_timeout(&shared, 500000), -1);

    set_others(move_others, steps[i]);
    time_of_callback = 600000;
    wh_timers_advance(&shared, 500000);
    assert_int_equal(runs_of_others(), 1);
    assert_int_equal(shared.count, 3);
    wh_timers_advance(&shared, 600000 - 1);
    assert_int_equal(runs_of_others(), 1);
    time_of_callback = 0; /* to the past, in the midst of running */
    wh_timers_advance(&shared, 600000 + TICK);
    assert_int_equal(runs_of_others(), 2);
    time_of_callback = UINT64_MAX;
    wh_timers_advance(&shared, 600000 + 2 * TICK);
    assert_int_equal(runs_of_others(), 3);
    assert_int_equal(shared.count, 1);
  }
}

static void free_self(wh_timer *timer) { free(probe_of(timer)); }

static void a_callback_may_free_its_timer(void **state) {
  (void)state;
  wh_timers_init(&shared, 0);
  for (int i = 0; i < 100; i++) {
    probe *one = malloc(sizeof *one);
    assert_non_null(one);
    make(one);
    one->timer.callback = free_self;
    wh_timer_set(&shared, &one->timer, (uint64_t)(i % 3) * 5000 + 10);
  }
  wh_timers_advance(&shared, 20000);
  assert_int_equal(shared.count, 0);
}

static void advance_again(wh_timer *timer) {
  count(timer);
  wh_timers_advance(&shared, 1000000);
  assert_int_equal(others[3].runs, 0);
}

static void a_callback_that_advances_does_nothing(void **state) {
  (void)state;
  set_others(count, 0);
  others[0].timer.callback = advance_again;
  wh_timer_set(&shared, &others[3].timer, 500000);
  wh_timers_advance(&shared, 2000);
  assert_int_equal(runs_of_others(), 3);
  wh_timers_advance(&shared, 500000);
  assert_int_equal(others[3].runs, 1);
}

/* In the order of ticks, also where one call runs a long time's timers of all levels. */
static uint64_t last_tick;

static void in_order(wh_timer *timer) {
  uint64_t tick = (wh_timer_deadline(timer) + TICK - 1) / TICK;
  assert_true(tick >= last_tick);
  last_tick = tick;
  count(timer);
}

static void runs_in_order(void **state) {
  (void)state;
  enum { MANY = 3000 };
  probe *many = calloc(MANY, sizeof *many);
  assert_non_null(many);
  srand(7);
  wh_timers_init(&shared, 12345);
  last_tick = 0;
  for (size_t i = 0; i < MANY; i++) {
    make(&many[i]);
    many[i].timer.callback = in_order;
    uint64_t after = (uint64_t)rand() >> (rand() % 31);
    wh_timer_set(&shared, &many[i].timer, 12345 + 1 + after);
  }
  wh_timers_advance(&shared, 1ULL << 33);
  for (size_t i = 0; i < MANY; i++) assert_int_equal(many[i].runs, 1);
  free(many);
}

/* --- Against a model --- */

/*
 * The model knows for each timer whether it is set, the tick from which it may run and the one at which
 * it must. They differ only where a callback sets a timer that is about to run in the same round to a
 * deadline that has passed as well: it may run in this round or with the next tick. Callbacks do
 * random things too.
 */
enum { MODEL_TIMERS = 200 };

typedef struct entry {
  wh_timer timer;
  bool set;
  uint64_t may, must; /* ticks */
} entry;

static struct {
  wh_timers timers;
  entry entries[MODEL_TIMERS];
  uint64_t now;
  uint64_t random;
  size_t set;
  size_t runs;
  int operations_in_callbacks;
} model;

static uint64_t random_number(void) {
  model.random ^= model.random << 13;
  model.random ^= model.random >> 7;
  model.random ^= model.random << 17;
  return model.random;
}

/* Spread over all magnitudes, mostly short. */
static uint64_t random_span(void) { return (random_number() >> 34) >> (random_number() % 31); }

static void model_set(entry *one, uint64_t deadline) {
  uint64_t next = model.now / TICK + 1;
  uint64_t due = (deadline + TICK - 1) / TICK;
  one->must = due > next ? due : next;
  if (!one->set || one->may >= next || due >= next)
    one->may = one->must; /* else it is about to run */
  if (!one->set) model.set++;
  one->set = true;
  wh_timer_set(&model.timers, &one->timer, deadline);
}

static void model_cancel(entry *one) {
  if (one->set) model.set--;
  one->set = false;
  wh_timer_cancel(&model.timers, &one->timer);
}

static void random_operation(void) {
  entry *one = &model.entries[random_number() % MODEL_TIMERS];
  switch (random_number() % 8) {
  case 0: model_cancel(one); break;
  case 1: /* a little later or sooner than it was */
    if (one->set) {
      uint64_t deadline = wh_timer_deadline(&one->timer) + random_number() % 200;
      model_set(one, deadline > 100 ? deadline - 100 : 0);
    }
    break;
  case 2: model_set(one, random_number() % (model.now + 1)); break; /* in the past */
  case 3: model_set(one, (model.now / TICK + random_number() % 5) * TICK); break;
  default: model_set(one, model.now + random_span());
  }
}

static void model_run(wh_timer *timer) {
  entry *one = (entry *)((char *)timer - offsetof(entry, timer));
  assert_true(one->set);
  assert_true(one->may <= model.now / TICK);
  assert_false(wh_timer_is_set(timer));
  one->set = false;
  model.set--;
  model.runs++;
  for (int i = model.operations_in_callbacks > 0 ? (int)(random_number() % 4) : 0; i > 0; i--) {
    random_operation();
  }
}

static void model_check(void) {
  uint64_t earliest = UINT64_MAX;
  for (size_t i = 0; i < MODEL_TIMERS; i++) {
    entry *one = &model.entries[i];
    assert_int_equal(one->set, wh_timer_is_set(&one->timer));
    if (one->set) {
      assert_true(one->must > model.now / TICK);
      one->may = one->must; /* another round */
      if (one->must < earliest) earliest = one->must;
    }
  }
  assert_int_equal(model.set, model.timers.count);
  int timeout = wh_timers_timeout(&model.timers, model.now);
  if (model.set == 0) {
    assert_int_equal(timeout, -1);
  } else {
    /* Later than now, because all that is due has run, and never after the first one is due. */
    assert_true(timeout > 0);
    assert_true(model.now + (uint64_t)timeout <= earliest * TICK);
  }
}

static void random_operations_agree_with_the_model(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    memset(&model, 0, sizeof model);
    model.random = seed * 0x9e3779b97f4a7c15U;
    model.now = seed % 4 ? random_number() >> (20 + random_number() % 40) : 0;
    model.operations_in_callbacks = seed % 3 != 0;
    wh_timers_init(&model.timers, model.now);
    for (size_t i = 0; i < MODEL_TIMERS; i++) {
      wh_timer_init(&model.entries[i].timer, model_run);
    }
    for (int step = 0; step < 3000; step++) {
      for (int i = (int)(random_number() % 12); i > 0; i--) random_operation();
      switch (random_number() % 4) {
      case 0: model.now += random_number() % 5; break;
      case 1: model.now += random_number() % 200; break;
      case 2: /* as a loop does: until it may have something to do */
        if (model.set > 0) model.now += (uint64_t)wh_timers_timeout(&model.timers, model.now);
        break;
      default: model.now += random_span();
      }
      wh_timers_advance(&model.timers, model.now);
      model_check();
    }
    assert_true(model.runs > 1000);
    for (size_t i = 0; i < MODEL_TIMERS; i++) model_cancel(&model.entries[i]);
    model_check();
    for (size_t i = 0; i < WH_TIMER_LEVELS; i++) assert_true(model.timers.occupied[i] == 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_small),
      cmocka_unit_test(runs_once_never_early_and_at_most_a_tick_late),
      cmocka_unit_test(the_timeout_leads_to_the_deadline),
      cmocka_unit_test(the_timeout_is_0_when_late_and_minus_1_when_idle),
      cmocka_unit_test(a_deadline_in_the_past_is_the_next_tick),
      cmocka_unit_test(cancelled_it_does_not_run),
      cmocka_unit_test(can_be_moved_both_ways),
      cmocka_unit_test(moving_on_every_request_is_almost_free),
      cmocka_unit_test(time_going_back_does_nothing),
      cmocka_unit_test(a_callback_may_set_its_own_timer),
      cmocka_unit_test(a_callback_may_cancel_and_move_others_of_its_tick),
      cmocka_unit_test(a_callback_may_free_its_timer),
      cmocka_unit_test(a_callback_that_advances_does_nothing),
      cmocka_unit_test(runs_in_order),
      cmocka_unit_test(random_operations_agree_with_the_model),
  };
  return cmocka_run_group_tests_name("io/timer", tests, NULL, NULL);
}
