/*
 * Finding a name in a table of a hundred in a few nanoseconds: a perfect hash over the last eight
 * bytes and the length (its multiplier is found by native/tables/generate.mjs, whose hashKey()
 * computes the same), then one comparison by words. For header_names.c and method.c.
 */
#ifndef WH_HTTP_NAME_HASH_H
#define WH_HTTP_NAME_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The bit that makes an ASCII letter lower case, in every byte of a word. */
#define WH_NAME_FOLD UINT64_C(0x2020202020202020)

static inline uint32_t wh_load32(const void *p) {
  uint32_t word;
  memcpy(&word, p, sizeof word);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap32(word);
#endif
  return word;
}

static inline uint64_t wh_load64(const void *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

/* The last eight bytes of a name of n > 0 bytes; of a shorter one all bytes, some of them twice. */
static inline uint64_t wh_name_word(const void *name, size_t n) {
  const uint8_t *p = name;
  if (n >= 8) return wh_load64(p + n - 8);
  if (n >= 4) return wh_load32(p) | (uint64_t)wh_load32(p + n - 4) << 32;
  return p[0] | (uint64_t)p[n >> 1] << 8 | (uint64_t)p[n - 1] << 16;
}

/* The hash key of a name with this (already folded) word. */
static inline uint32_t wh_name_key(uint64_t word, size_t n) {
  return (uint32_t)word + (uint32_t)(word >> 32) * UINT32_C(0x85ebca6b) +
         (uint32_t)n * UINT32_C(0xc2b2ae35);
}

/*
 * Which bits of a word of input may differ from a word of the table where case does not count: bit
 * 0x20 of letters. A table holds letters, digits and "-" only, and of these just letters have bit
 * 0x40.
 */
static inline uint64_t wh_name_case_bits(uint64_t table_word) {
  return (table_word & UINT64_C(0x4040404040404040)) >> 1;
}

#endif
