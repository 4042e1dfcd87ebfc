#include "io/timer.h"

#include <limits.h>
#include <string.h>

_Static_assert(sizeof(void *) != 8 || sizeof(wh_timer) == 32, "every connection has one");

#define SLOT_BITS 6U
#define SLOT_MASK (WH_TIMER_SLOTS - 1U)

/* The place in wh_timer.when: 1 to 256 are slots, lowest wheel first. */
enum {
  PLACE_NONE = 0,
  PLACE_FIRST_SLOT = 1,
  PLACE_FAR = PLACE_FIRST_SLOT + WH_TIMER_LEVELS * WH_TIMER_SLOTS
};

static unsigned lowest_bit(uint64_t bits) {
#if defined(__GNUC__)
  return (unsigned)__builtin_ctzll(bits);
#else
  unsigned bit = 0;
  while ((bits >> bit & 1) == 0) bit++;
  return bit;
#endif
}

static unsigned place_of(const wh_timer *timer) { return (unsigned)(timer->when & 0xffff); }

static void set_place(wh_timer *timer, unsigned place) {
  timer->when = (timer->when & ~(uint64_t)0xffff) | place;
}

static void set_deadline(wh_timer *timer, uint64_t deadline_ms) {
  timer->when = deadline_ms << 16 | (timer->when & 0xffff);
}

/* The first tick that begins at the deadline or after it, so that no timer runs early. */
static uint64_t due_tick(uint64_t deadline_ms) {
  return (deadline_ms + WH_TIMER_TICK_MS - 1) / WH_TIMER_TICK_MS;
}

/* The tick at which time comes to a slot, seen from the current one. */
static uint64_t slot_tick(const wh_timers *timers, unsigned level, unsigned slot) {
  unsigned above = SLOT_BITS * (level + 1);
  return (timers->current >> above << above) | (uint64_t)slot << (SLOT_BITS * level);
}

static uint64_t far_tick(const wh_timers *timers) {
  unsigned above = SLOT_BITS * WH_TIMER_LEVELS;
  return ((timers->current >> above) + 1) << above;
}

/* The tick at which time comes to the place where a timer hangs. */
static uint64_t place_tick(const wh_timers *timers, unsigned place) {
  if (place == PLACE_FAR) return far_tick(timers);
  unsigned index = place - PLACE_FIRST_SLOT;
  return slot_tick(timers, index / WH_TIMER_SLOTS, index & SLOT_MASK);
}

static void link_at(wh_timer **head, wh_timer *timer, unsigned place) {
  set_place(timer, place);
  timer->next = *head;
  timer->link = head;
  if (*head != NULL) (*head)->link = &timer->next;
  *head = timer;
}

/*
 * Hangs a timer up for a tick that is not before the current one. The level is that of the highest
 * six bits in which the two ticks differ: so on every level all timers lie in the current turn of
 * the wheel, in slots after the current one, and lower levels come up before higher ones.
 */
static void hang(wh_timers *timers, wh_timer *timer, uint64_t tick) {
  uint64_t difference = tick ^ timers->current;
  unsigned level = 0;
  while (level < WH_TIMER_LEVELS && difference >> (SLOT_BITS * (level + 1)) != 0) level++;
  if (level == WH_TIMER_LEVELS) {
    link_at(&timers->far, timer, PLACE_FAR);
    return;
  }
  unsigned slot = (unsigned)(tick >> (SLOT_BITS * level)) & SLOT_MASK;
  unsigned index = level * WH_TIMER_SLOTS + slot;
  timers->occupied[level] |= (uint64_t)1 << slot;
  link_at(&timers->slots[index], timer, PLACE_FIRST_SLOT + index);
}

static void take_down(wh_timers *timers, wh_timer *timer) {
  *timer->link = timer->next;
  if (timer->next != NULL) timer->next->link = timer->link;
  unsigned place = place_of(timer);
  if (place < PLACE_FAR) {
    unsigned index = place - PLACE_FIRST_SLOT;
    if (timers->slots[index] == NULL) {
      timers->occupied[index / WH_TIMER_SLOTS] &= ~((uint64_t)1 << (index & SLOT_MASK));
    }
  }
  timer->next = NULL;
  timer->link = NULL;
  set_place(timer, PLACE_NONE);
}

void wh_timers_init(wh_timers *timers, uint64_t now_ms) {
  memset(timers, 0, sizeof *timers);
  timers->current = timers->limit = now_ms / WH_TIMER_TICK_MS;
}

void wh_timer_move(wh_timers *timers, wh_timer *timer, uint64_t deadline_ms) {
  if (deadline_ms > WH_TIMER_DEADLINE_MAX) deadline_ms = WH_TIMER_DEADLINE_MAX;
  uint64_t tick = due_tick(deadline_ms);
  if (tick <= timers->limit) {
    /* After the latest time given, also while that time's timers still run: see wh_timer_set. */
    tick = timers->limit + 1;
    deadline_ms = tick * WH_TIMER_TICK_MS;
  }
  set_deadline(timer, deadline_ms);
  unsigned place = place_of(timer);
  if (place != PLACE_NONE) {
    if (place_tick(timers, place) <= tick) return; /* it will be looked at in time */
    take_down(timers, timer);
  } else {
    timers->count++;
  }
  hang(timers, timer, tick);
}

void wh_timer_cancel(wh_timers *timers, wh_timer *timer) {
  if (place_of(timer) == PLACE_NONE) return;
  take_down(timers, timer);
  timers->count--;
}

/* The place that time comes to next, and when. PLACE_NONE if there is no timer. */
static unsigned next_place(const wh_timers *timers, uint64_t *tick) {
  for (unsigned level = 0; level < WH_TIMER_LEVELS; level++) {
    if (timers->occupied[level] == 0) continue;
    unsigned slot = lowest_bit(timers->occupied[level]);
    *tick = slot_tick(timers, level, slot);
    return PLACE_FIRST_SLOT + level * WH_TIMER_SLOTS + slot;
  }
  if (timers->far == NULL) return PLACE_NONE;
  *tick = far_tick(timers);
  return PLACE_FAR;
}

/*
 * Takes all timers from a place to the running list, where they can still be set and cancelled. They
 * keep the place's number: what is asked of it is right for an empty slot that time has come to.
 */
static void take_all(wh_timers *timers, unsigned place) {
  wh_timer **head = &timers->far;
  if (place < PLACE_FAR) {
    unsigned index = place - PLACE_FIRST_SLOT;
    head = &timers->slots[index];
    timers->occupied[index / WH_TIMER_SLOTS] &= ~((uint64_t)1 << (index & SLOT_MASK));
  }
  timers->running = *head;
  *head = NULL;
  if (timers->running != NULL) timers->running->link = &timers->running;
}

void wh_timers_run(wh_timers *timers, uint64_t limit) {
  if (timers->advancing) return;
  timers->advancing = true;
  timers->limit = limit;
  uint64_t tick = 0;
  unsigned place;
  while ((place = next_place(timers, &tick)) != PLACE_NONE && tick <= limit) {
    timers->current = tick;
    take_all(timers, place);
    wh_timer *timer;
    while ((timer = timers->running) != NULL) {
      take_down(timers, timer);
      uint64_t due = due_tick(wh_timer_deadline(timer));
      if (due > timers->current) {
        hang(timers, timer, due);
      } else {
        timers->count--;
        timer->callback(timer); /* which may have freed it */
      }
    }
  }
  timers->current = limit;
  timers->advancing = false;
}

int wh_timers_timeout(const wh_timers *timers, uint64_t now_ms) {
  uint64_t tick = 0;
  if (next_place(timers, &tick) == PLACE_NONE) return -1;
  uint64_t at = tick * WH_TIMER_TICK_MS;
  if (at <= now_ms) return 0;
  return at - now_ms > INT_MAX ? INT_MAX : (int)(at - now_ms);
}
