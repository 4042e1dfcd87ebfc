/*
 * Time that a test can push on. A program that uses this gets its own clock_gettime, which the core
 * calls too: the system's time plus what the test added.
 */
#ifndef WH_TEST_SUPPORT_CLOCK_H
#define WH_TEST_SUPPORT_CLOCK_H

#include <stdint.h>

/* From now on it is so much later, for all clocks. */
void clock_advance(uint64_t ms);
/* The system's monotonic time (ms), whatever was added: for the patience of tests. */
uint64_t clock_real_ms(void);

#endif
