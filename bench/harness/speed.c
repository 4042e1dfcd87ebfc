/*
 * How fast a core is, until SIGTERM: the mean of many short samples, in nanoseconds of CPU time of
 * one and the same piece of work. It tells what /proc cannot see: that a neighbour of this virtual
 * machine has the other half of the core, or the clock has changed. A sample takes 0.1 ms every
 * 20 ms, half a percent of the core. Built by speed.mjs beside it, which starts it on that core.
 */

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 60000, PAUSE_MICROSECONDS = 20000 };

static volatile sig_atomic_t stopped;
static volatile uint64_t sink;

static void on_stop(int signal) {
  (void)signal;
  stopped = 1;
}

static uint64_t cpu_time(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Work that keeps several units of a core busy, so that a neighbour on it shows. */
static uint64_t sample(void) {
  uint64_t a = 1, b = 2, c = 3, d = 4, started = cpu_time();
  for (uint64_t i = 0; i < ROUNDS; i++) {
    a = a * 31 + i;
    b ^= b << 3;
    b += i;
    c += c >> 5;
    c ^= i;
    d = d * 7 + 1;
  }
  sink = a + b + c + d;
  return cpu_time() - started;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_stop};
  sigaction(SIGTERM, &action, NULL);
  uint64_t sum = 0, samples = 0;
  while (!stopped) {
    sum += sample();
    samples++;
    usleep(PAUSE_MICROSECONDS);
  }
  printf("%llu\n", (unsigned long long)(samples > 0 ? sum / samples : 0));
  return 0;
}
