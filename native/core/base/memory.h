/*
 * All memory of the core comes from here, so that a test can make each allocation fail in turn.
 */
#ifndef WH_BASE_MEMORY_H
#define WH_BASE_MEMORY_H

#include <stddef.h>

/* As malloc, calloc(1, size), realloc and free. NULL where there is no memory. Any thread. */
void *wh_alloc(size_t size);
void *wh_zalloc(size_t size);
void *wh_realloc(void *memory, size_t size);
void wh_free(void *memory);

#ifdef WH_TEST
/*
 * Makes the nth allocation from now on fail (1 = the next one), and only that one; 0 turns it off.
 * Only in test builds; this thread only.
 */
void wh_memory_fail_at(size_t nth);
/* Whether the failure asked for has happened. */
int wh_memory_has_failed(void);
#endif

#endif
