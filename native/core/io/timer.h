/*
 * Timers that cost O(1): a hierarchical timing wheel whose entries live in their owners.
 *
 * Four wheels of 64 slots stand over each other. A slot of the lowest is one tick of 16 ms, a slot
 * of each next one spans the whole wheel below it (1 s, 65 s, 70 minutes); what lies more than
 * three days ahead waits on a list. A timer hangs in the slot of its deadline on the lowest wheel
 * that reaches it. When time comes to a slot of an upper wheel, its timers are hung anew, lower
 * down; in a slot of the lowest wheel they are due. A bit per slot says where timers hang, so time
 * jumps over what is empty.
 *
 * Timeouts in a server are moved far more often than they expire: every request pushes its
 * connection's. So moving a timer writes its deadline and nothing else, as long as the place where
 * it hangs comes up before the new deadline; when that place comes up, the timer is hung where it
 * belongs by then. The price is a wake-up now and then that finds nothing to do.
 *
 * A timer never runs early, and at most WH_TIMER_TICK_MS late (plus what the caller of
 * wh_timers_advance is late). Timers run in the order of their ticks; within one tick in any order.
 *
 * Times are in milliseconds from any fixed point, never going back, and are always given by the
 * caller: nothing here reads a clock. One thread per wh_timers. Nothing allocates or fails.
 */
#ifndef WH_IO_TIMER_H
#define WH_IO_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_TIMER_TICK_MS 16
#define WH_TIMER_LEVELS 4
#define WH_TIMER_SLOTS 64

/* The latest deadline that a timer can have, 8,900 years; what is later becomes this. */
#define WH_TIMER_DEADLINE_MAX (((uint64_t)1 << 48) - 1)

typedef struct wh_timer wh_timer;

/*
 * Called when the timer is due; it is not set any more. The callback may set and cancel any timer,
 * this one too, and may free this one's memory, and any other's that it has cancelled.
 */
typedef void (*wh_timer_callback)(wh_timer *timer);

/*
 * Part of its owner, who finds itself by the timer's address. 32 bytes; all zero is "not set". The
 * deadline and the place share a word by hand and not as bit fields, because compilers write those in
 * pieces, and a word that is read right after it was written in pieces costs a stall.
 */
struct wh_timer {
  wh_timer *next;
  wh_timer **link; /* what points at this timer */
  uint64_t when;   /* deadline, ms, << 16 | private: where it hangs, 0 = it is not set */
  wh_timer_callback callback;
};

/* All timers of a loop. Its members are private. */
typedef struct wh_timers {
  uint64_t current; /* the tick up to which slots are empty */
  uint64_t limit;   /* the tick of the latest time given; > current while running */
  uint64_t occupied[WH_TIMER_LEVELS]; /* a bit for each slot with timers */
  wh_timer *slots[WH_TIMER_LEVELS * WH_TIMER_SLOTS];
  wh_timer *far;     /* beyond the highest wheel */
  wh_timer *running; /* taken from the slot that time has come to */
  size_t count;      /* how many are set */
  bool advancing;
} wh_timers;

void wh_timers_init(wh_timers *timers, uint64_t now_ms);

/* Prepares a timer that is not set. */
static inline void wh_timer_init(wh_timer *timer, wh_timer_callback callback) {
  timer->next = NULL;
  timer->link = NULL;
  timer->when = 0;
  timer->callback = callback;
}

static inline bool wh_timer_is_set(const wh_timer *timer) { return (timer->when & 0xffff) != 0; }

/* When a timer that is set will run, or one that is not was to run. */
static inline uint64_t wh_timer_deadline(const wh_timer *timer) { return timer->when >> 16; }

/* Private: hangs a timer where its new deadline belongs. */
void wh_timer_move(wh_timers *timers, wh_timer *timer, uint64_t deadline_ms);

/*
 * Makes the timer run at deadline_ms, instead of when it would have run if it was set. A deadline
 * that has passed becomes the next tick's: the callback is never called from here, and a callback
 * that sets its own timer to the past does not run again in the same wh_timers_advance.
 */
static inline void wh_timer_set(wh_timers *timers, wh_timer *timer, uint64_t deadline_ms) {
  uint64_t when = timer->when;
  if ((when & 0xffff) != 0 && deadline_ms >= when >> 16 && deadline_ms <= WH_TIMER_DEADLINE_MAX) {
    timer->when = deadline_ms << 16 | (when & 0xffff);
  } else {
    wh_timer_move(timers, timer, deadline_ms);
  }
}

/* Makes the timer not run. Does nothing if it is not set. */
void wh_timer_cancel(wh_timers *timers, wh_timer *timer);

/* Private: the part of wh_timers_advance that has something to do. */
void wh_timers_run(wh_timers *timers, uint64_t limit);

/*
 * Runs all timers that are due at now_ms. Costs a comparison as long as the tick is the same. A
 * time before the last one, or a call from a callback, does nothing.
 */
static inline void wh_timers_advance(wh_timers *timers, uint64_t now_ms) {
  uint64_t limit = now_ms / WH_TIMER_TICK_MS;
  if (limit > timers->limit) wh_timers_run(timers, limit);
}

/*
 * Milliseconds from now_ms until wh_timers_advance may have something to do: 0 = now, -1 = there is
 * no timer. It can be before the first deadline, never more than a tick after it.
 */
int wh_timers_timeout(const wh_timers *timers, uint64_t now_ms);

#endif
