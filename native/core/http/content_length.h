/* The value of Content-Length (RFC 9110 section 8.6). */
#ifndef WH_HTTP_CONTENT_LENGTH_H
#define WH_HTTP_CONTENT_LENGTH_H

#include <stddef.h>
#include <stdint.h>

/*
 * 1*DIGIT up to 2^63-1, leading zeros allowed, nothing around or between. 0, or -1 where it is
 * anything else (refuse with 400); *out is then untouched.
 */
static inline int wh_content_length_parse(const uint8_t *p, size_t n, uint64_t *out) {
  uint64_t value = 0;
  if (n == 0) return -1;
  for (size_t i = 0; i < n; i++) {
    unsigned digit = (unsigned)p[i] - '0';
    if (digit > 9) return -1;
    /* 2^63-1 = 9223372036854775807 */
    if (value > UINT64_C(922337203685477580)) return -1;
    value = value * 10 + digit;
    if (value > INT64_MAX) return -1;
  }
  *out = value;
  return 0;
}

#endif
