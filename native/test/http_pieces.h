/*
 * What the tests of the core's HTTP pieces share: cmocka, and inputs in blocks of their exact size.
 */
#ifndef WH_TEST_HTTP_PIECES_H
#define WH_TEST_HTTP_PIECES_H

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A literal, which may hold NUL, as pointer and length. */
#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

/* The rows of a table. */
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/*
 * A copy in a block of exactly that size, so that AddressSanitizer sees any read beyond it. Free
 * it.
 */
static inline uint8_t *exact_copy(const void *bytes, size_t n) {
  uint8_t *copy = malloc(n == 0 ? 1 : n);
  assert_non_null(copy);
  if (n > 0) memcpy(copy, bytes, n);
  return copy;
}

/* Tells which row of a table failed: cmocka prints this with the failed assertion. */
#define check_row(condition, row, text)                                \
  do {                                                                 \
    if (!(condition)) {                                                \
      fail_msg("row %zu (%s): %s", (size_t)(row), (text), #condition); \
    }                                                                  \
  } while (0)

#endif
