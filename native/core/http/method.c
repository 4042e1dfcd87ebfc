#include "http/method.h"

#include "generated/methods_data.h"
#include "http/name_hash.h"

uint8_t wh_method_find(const uint8_t *p, size_t n) {
  if (n == 3 && p[0] == 'G' && p[1] == 'E' && p[2] == 'T') return WH_METHOD_GET;
  if (n == 0 || n > WH_METHOD_LONGEST) return 0;
  uint64_t word = wh_name_word(p, n);
  uint32_t key = wh_name_key(word, n);
  uint8_t method = wh_method_hash_table[key * WH_METHOD_HASH_MULTIPLIER >> WH_METHOD_HASH_SHIFT];
  if (wh_method_lengths[method] != n) return 0;
  const char *spelling = wh_method_spellings[method];
  uint64_t difference = word ^ wh_name_word(spelling, n);
  for (size_t i = 0; i + 8 < n; i += 8) difference |= wh_load64(p + i) ^ wh_load64(spelling + i);
  return difference == 0 ? method : 0;
}

const char *wh_method_name(uint8_t method, size_t *length) {
  if (method == 0 || method >= WH_METHOD_COUNT) {
    *length = 0;
    return NULL;
  }
  *length = wh_method_lengths[method];
  return wh_method_spellings[method];
}

static int in_set(uint8_t method, uint64_t set) {
  return method < WH_METHOD_COUNT && (set >> method & 1) != 0;
}

int wh_method_is_safe(uint8_t method) { return in_set(method, WH_METHODS_SAFE); }

int wh_method_is_idempotent(uint8_t method) { return in_set(method, WH_METHODS_IDEMPOTENT); }
