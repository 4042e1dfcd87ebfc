#include "http/characters.h"

#include "http/name_hash.h"

#if defined(__SSE2__) || defined(_M_X64)
#define WH_HAS_SSE2 1
#include <emmintrin.h>
#endif

/* The tests compute both tables again from the grammars. */
/* clang-format off */
const uint8_t wh_characters[256] = {
      0,   0,   0,   0,   0,   0,   0,   0,   0,  34,   0,   0,   0,   0,   0,   0, /* 00 */
      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0, /* 10 */
     34,  63,  10,  35,  63,  47,  63,  63,  62,  62,  47,  47,  46,  63,  63,  46, /* 20 */
    127, 127, 127, 127, 127, 127, 127, 127, 127, 127,  46,  46,  42,  46,  42,  46, /* 30 */
     46, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, /* 40 */
    191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191,  42,  10,  42,  43,  63, /* 50 */
     43, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191, /* 60 */
    191, 191, 191, 191, 191, 191, 191, 191, 191, 191, 191,  42,  43,  42,  63,   0, /* 70 */
     34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34, /* 80 */
     34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34, /* 90 */
     34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34, /* a0 */
     34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34, /* b0 */
     34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34, /* c0 */
     34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34, /* d0 */
     34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34, /* e0 */
     34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34,  34, /* f0 */
};

const int8_t wh_hex_digits[256] = {
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* 00 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* 10 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* 20 */
     0,  1,  2,  3,  4,  5,  6,  7,  8,  9, -1, -1, -1, -1, -1, -1, /* 30 */
    -1, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* 40 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* 50 */
    -1, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* 60 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* 70 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* 80 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* 90 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* a0 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* b0 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* c0 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* d0 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* e0 */
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, /* f0 */
};
/* clang-format on */

/* The index of the first byte from i on that is not of the class, or n. */
static size_t scan_bytes(const uint8_t *p, size_t i, size_t n, unsigned class) {
  while (i < n && (wh_characters[p[i]] & class) != 0) i++;
  return i;
}

/*
 * Whether eight bytes are all of the class: their table entries are combined before the one branch.
 */
static inline int are_all(const uint8_t *p, unsigned class) {
  const uint8_t *t = wh_characters;
  unsigned all = t[p[0]] & t[p[1]] & t[p[2]] & t[p[3]] & t[p[4]] & t[p[5]] & t[p[6]] & t[p[7]];
  return (all & class) != 0;
}

static size_t scan_class(const uint8_t *p, size_t n, unsigned class) {
  size_t i = 0;
  if (n >= 8) {
    while (n - i >= 8 && are_all(p + i, class)) i += 8;
    /* The last eight overlap those before. */
    if (n - i < 8 && are_all(p + n - 8, class)) return n;
  }
  return scan_bytes(p, i, n, class);
}

size_t wh_scan_token(const uint8_t *p, size_t n) { return scan_class(p, n, WH_CHARACTER_TOKEN); }

#define WH_ONES UINT64_C(0x0101010101010101)
#define WH_HIGHS UINT64_C(0x8080808080808080)

/*
 * Whether a byte of the word is below 0x20 (HTAB too) or DEL: the high bit of some byte is then
 * set.
 */
static inline uint64_t has_control(uint64_t word) {
  uint64_t del = word ^ (WH_ONES * 0x7f);
  return (((word - WH_ONES * 0x20) & ~word) | ((del - WH_ONES) & ~del)) & WH_HIGHS;
}

/* From i on byte by byte; *has_high is told of the scanned bytes only. */
static size_t scan_value_bytes(const uint8_t *p, size_t i, size_t n, int *has_high) {
  unsigned high = 0;
  while (i < n && (wh_characters[p[i]] & WH_CHARACTER_FIELD_VALUE) != 0) high |= p[i++];
  *has_high |= (int)(high >> 7 & 1);
  return i;
}

size_t wh_scan_field_value(const uint8_t *p, size_t n, int *has_high) {
  size_t i = 0;
  *has_high = 0;
  if (n < 8) {
    if (n < 4) return scan_value_bytes(p, 0, n, has_high);
    uint64_t word = wh_name_word(p, n);
    if (has_control(word) != 0) return scan_value_bytes(p, 0, n, has_high);
    *has_high = (word & WH_HIGHS) != 0;
    return n;
  }
#ifdef WH_HAS_SSE2
  if (n >= 16) {
    const __m128i space = _mm_set1_epi8(0x20);
    const __m128i tab = _mm_set1_epi8(0x09);
    const __m128i del = _mm_set1_epi8(0x7f);
    int high = 0;
    for (;;) {
      __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
      __m128i visible = _mm_cmpeq_epi8(_mm_max_epu8(block, space), block);
      __m128i good = _mm_andnot_si128(_mm_cmpeq_epi8(block, del),
                                      _mm_or_si128(visible, _mm_cmpeq_epi8(block, tab)));
      if (_mm_movemask_epi8(good) != 0xffff) break;
      high |= _mm_movemask_epi8(block);
      if (i + 16 == n) {
        *has_high = high != 0;
        return n;
      }
      i += 16;
      if (i + 16 > n) i = n - 16; /* the last block overlaps the one before */
    }
    *has_high = high != 0;
    return scan_value_bytes(p, i, n, has_high);
  }
#endif
  uint64_t high = 0;
  for (;;) {
    uint64_t word = wh_load64(p + i);
    /* A HTAB stops here too: the bytewise scan lets it pass. */
    if (has_control(word) != 0) break;
    high |= word;
    if (i + 8 == n) {
      *has_high = (high & WH_HIGHS) != 0;
      return n;
    }
    i += 8;
    if (i + 8 > n) i = n - 8;
  }
  *has_high = (high & WH_HIGHS) != 0;
  return scan_value_bytes(p, i, n, has_high);
}

size_t wh_scan_target(const uint8_t *p, size_t n, int lenient) {
  return scan_class(p, n, lenient ? WH_CHARACTER_TARGET_LENIENT : WH_CHARACTER_TARGET);
}

int wh_equals_ignore_case(const uint8_t *a, const uint8_t *b, size_t n) {
  size_t i = 0;
  /* Most of what is equal is equal in case too. */
  while (n - i >= 8 && wh_load64(a + i) == wh_load64(b + i)) i += 8;
  for (; i < n; i++) {
    unsigned difference = a[i] ^ b[i];
    if (difference == 0) continue;
    if (difference != 0x20 || (wh_characters[a[i]] & WH_CHARACTER_ALPHA) == 0) return 0;
  }
  return 1;
}
