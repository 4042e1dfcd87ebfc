#include "http/header_names.h"

#include "http_pieces.h"

static uint16_t find(const void *name, size_t length) {
  uint8_t *copy = exact_copy(name, length);
  uint16_t id = wh_header_id(copy, length);
  free(copy);
  return id;
}

static void knows_the_common_names(void **state) {
  (void)state;
  static const struct {
    const char *name;
    uint16_t id;
  } rows[] = {
      {"Host", WH_HEADER_HOST},
      {"host", WH_HEADER_HOST},
      {"HOST", WH_HEADER_HOST},
      {"content-length", WH_HEADER_CONTENT_LENGTH},
      {"CONTENT-LENGTH", WH_HEADER_CONTENT_LENGTH},
      {"cOnTeNt-TyPe", WH_HEADER_CONTENT_TYPE},
      {"transfer-encoding", WH_HEADER_TRANSFER_ENCODING},
      {"Connection", WH_HEADER_CONNECTION},
      {"TE", WH_HEADER_TE},
      {"te", WH_HEADER_TE},
      {"DNT", WH_HEADER_DNT},
      {"Via", WH_HEADER_VIA},
      {"expect", WH_HEADER_EXPECT},
      {"Access-Control-Allow-Methods", WH_HEADER_ACCESS_CONTROL_ALLOW_METHODS},
      {"Access-Control-Allow-Headers", WH_HEADER_ACCESS_CONTROL_ALLOW_HEADERS},
      {"http2-settings", WH_HEADER_HTTP2_SETTINGS},
      {"content-security-policy-report-only", WH_HEADER_CONTENT_SECURITY_POLICY_REPORT_ONLY},
      {"", 0},
      {"H", 0},
      {"X", 0},
      {"Hos", 0},
      {"Hosts", 0},
      {"Content_Length", 0},
      {"Content-Lengt", 0},
      {"Content-Length ", 0},
      {" Content-Length", 0},
      {"X-Unknown", 0},
      {"X-A-Very-Long-Header-Name-That-Nobody-Has-Ever-Heard-Of-Before", 0},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    check_row(find(rows[i].name, strlen(rows[i].name)) == rows[i].id, i, rows[i].name);
  }
}

static void finds_every_name_of_the_table_in_any_case(void **state) {
  (void)state;
  for (unsigned id = 1; id < WH_HEADER_COUNT; id++) {
    size_t length;
    const char *name = wh_header_name((uint16_t)id, &length);
    assert_non_null(name);
    assert_int_equal(strlen(name), length);
    char changed[64];
    for (int variant = 0; variant < 3; variant++) {
      for (size_t i = 0; i < length; i++) {
        int is_letter = (name[i] | 0x20) >= 'a' && (name[i] | 0x20) <= 'z';
        char upper = (char)(is_letter ? name[i] & ~0x20 : name[i]);
        char lower = (char)(is_letter ? name[i] | 0x20 : name[i]);
        changed[i] = variant == 0 ? upper : variant == 1 ? lower : i % 2 ? upper : lower;
      }
      check_row(find(changed, length) == id, id, name);
    }
  }
}

/*
 * Every byte of every name, replaced by every other byte: only the letter's other case is still the
 * name.
 */
static void refuses_every_name_with_one_byte_changed(void **state) {
  (void)state;
  for (unsigned id = 1; id < WH_HEADER_COUNT; id++) {
    size_t length;
    const char *name = wh_header_name((uint16_t)id, &length);
    uint8_t *changed = exact_copy(name, length);
    for (size_t i = 0; i < length; i++) {
      for (unsigned byte = 0; byte < 256; byte++) {
        int is_letter = ((unsigned char)name[i] & 0x40) != 0;
        int is_same = byte == (unsigned char)name[i] ||
                      (is_letter && byte == ((unsigned char)name[i] ^ 0x20U));
        changed[i] = (uint8_t)byte;
        uint16_t found = wh_header_id(changed, length);
        check_row(is_same ? found == id : found != id, id, name);
        /* What is found instead must be another name of the table, as with "Accept-Patch". */
        if (found != 0 && found != id) {
          size_t found_length;
          const char *other = wh_header_name(found, &found_length);
          check_row(found_length == length && (other[i] | 0x20) == (int)(byte | 0x20), id, name);
        }
      }
      changed[i] = (uint8_t)name[i];
    }
    free(changed);
  }
}

static void has_no_name_for_other_ids(void **state) {
  (void)state;
  size_t length = 7;
  assert_null(wh_header_name(0, &length));
  assert_int_equal(length, 0);
  length = 7;
  assert_null(wh_header_name(WH_HEADER_COUNT, &length));
  assert_int_equal(length, 0);
  assert_null(wh_header_name(UINT16_MAX, &length));
  assert_string_equal(wh_header_name(WH_HEADER_ETAG, &length), "ETag");
  assert_int_equal(length, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(knows_the_common_names),
      cmocka_unit_test(finds_every_name_of_the_table_in_any_case),
      cmocka_unit_test(refuses_every_name_with_one_byte_changed),
      cmocka_unit_test(has_no_name_for_other_ids),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
