/* Well-formed UTF-8 (Unicode 15, table 3-7). */
#ifndef WH_HTTP_UTF8_H
#define WH_HTTP_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length, 1 to 4, of the well-formed sequence at p (n bytes left); 0 where there is none. */
static inline size_t wh_utf8_sequence(const uint8_t *p, size_t n) {
  if (n == 0) return 0;
  uint8_t lead = p[0];
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (n < length) return 0;
  /* The second byte rules out overlong forms, surrogates and what is above U+10FFFF. */
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (p[1] < low || p[1] > high) return 0;
  for (size_t i = 2; i < length; i++) {
    if ((p[i] & 0xC0) != 0x80) return 0;
  }
  return length;
}

static inline int wh_utf8_is_valid(const uint8_t *p, size_t n) {
  while (n > 0) {
    size_t length = wh_utf8_sequence(p, n);
    if (length == 0) return 0;
    p += length;
    n -= length;
  }
  return 1;
}

#endif
