#include "http/header_names.h"

#include "generated/header_names_data.h"
#include "http/name_hash.h"

uint16_t wh_header_id(const uint8_t *name, size_t length) {
  if (length - WH_HEADER_SHORTEST > WH_HEADER_LONGEST - WH_HEADER_SHORTEST) return 0;
  uint64_t word = wh_name_word(name, length);
  uint32_t key = wh_name_key(word | WH_NAME_FOLD, length);
  uint8_t id = wh_header_hash_table[key * WH_HEADER_HASH_MULTIPLIER >> WH_HEADER_HASH_SHIFT];
  /* An empty place of the table is id 0, whose length fits no name. */
  if (wh_header_lengths[id] != length) return 0;
  const char *spelling = wh_header_spellings[id];
  uint64_t last = wh_name_word(spelling, length);
  uint64_t difference = (word ^ last) & ~wh_name_case_bits(last);
  /*
   * The word holds the last eight bytes: the rest is compared from the front, overlapping it at the
   * end.
   */
  for (size_t i = 0; i + 8 < length; i += 8) {
    uint64_t expected = wh_load64(spelling + i);
    difference |= (wh_load64(name + i) ^ expected) & ~wh_name_case_bits(expected);
  }
  return difference == 0 ? id : 0;
}

const char *wh_header_name(uint16_t id, size_t *length) {
  if (id == 0 || id >= WH_HEADER_COUNT) {
    *length = 0;
    return NULL;
  }
  *length = wh_header_lengths[id];
  return wh_header_spellings[id];
}
