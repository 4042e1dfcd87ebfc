/* Durations counted by size: what an addition costs is one increment and one sum. */
#ifndef WH_HTTP_HISTOGRAM_H
#define WH_HTTP_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Four buckets for each power of two of microseconds, from 1 µs to about a minute; the last has the rest. */
#define WH_LATENCY_BUCKETS 104

typedef struct wh_histogram {
  uint64_t counts[WH_LATENCY_BUCKETS]; /* see wh_latency_bucket_limit */
  uint64_t sum;                        /* µs */
} wh_histogram;

/* Counts `times` durations of so many microseconds. */
static inline void wh_histogram_add(wh_histogram *histogram, uint64_t us, uint64_t times) {
  size_t bucket = (size_t)us;
  if (us >= 4) {
    unsigned power = 63U - (unsigned)__builtin_clzll(us);
    bucket = (size_t)(power - 1) * 4 + (us >> (power - 2) & 3);
  }
  histogram->counts[bucket < WH_LATENCY_BUCKETS ? bucket : WH_LATENCY_BUCKETS - 1] += times;
  histogram->sum += us * times;
}

/* The first number of microseconds that is above bucket i. */
static inline uint64_t wh_latency_bucket_limit(size_t i) {
  if (i < 4) return i + 1;
  return (uint64_t)(4 + i % 4 + 1) << (i / 4 - 1);
}

#endif
