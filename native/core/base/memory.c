#include "base/memory.h"

#include <stdlib.h>

#ifdef WH_TEST
static _Thread_local size_t fail_at;
static _Thread_local int has_failed;

void wh_memory_fail_at(size_t nth) {
  fail_at = nth;
  has_failed = 0;
}

int wh_memory_has_failed(void) { return has_failed; }

static int must_fail(void) {
  if (fail_at == 0 || --fail_at != 0) return 0;
  has_failed = 1;
  return 1;
}
#else
#define must_fail() 0
#endif

void *wh_alloc(size_t size) { return must_fail() ? NULL : malloc(size); }

void *wh_zalloc(size_t size) { return must_fail() ? NULL : calloc(1, size); }

void *wh_realloc(void *memory, size_t size) { return must_fail() ? NULL : realloc(memory, size); }

void wh_free(void *memory) { free(memory); }
