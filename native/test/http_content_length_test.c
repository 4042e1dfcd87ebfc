#include "http/content_length.h"

#include "http_pieces.h"

static int parse(const void *text, size_t n, uint64_t *out) {
  uint8_t *copy = exact_copy(text, n);
  int result = wh_content_length_parse(copy, n, out);
  free(copy);
  return result;
}

static void takes_digits(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t value;
  } rows[] = {
      {"0", 0},
      {"3", 3},
      {"003", 3},
      {"000000000000000000000000000000000000000000042", 42},
      {"30000001", 30000001},
      {"4294967296", UINT64_C(4294967296)},
      {"9223372036854775806", INT64_MAX - 1},
      {"9223372036854775807", INT64_MAX},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    uint64_t value = 7;
    check_row(parse(rows[i].text, strlen(rows[i].text), &value) == 0, i, rows[i].text);
    check_row(value == rows[i].value, i, rows[i].text);
  }
}

static void refuses_all_else(void **state) {
  (void)state;
  static const char *const rows[] = {
      "",
      "+3",
      "-0",
      "-3",
      "3,3",
      "3, 3",
      "3 3",
      " 3",
      "3 ",
      "0x3",
      "3a",
      "a",
      "3.0",
      "1e3",
      "\t3",
      "3\r",
      "\xb3",
      "9223372036854775808",
      "9223372036854775810",
      "18446744073709551615",
      "18446744073709551616",
      "18446744073709551619",
      "36893488147419103235",
      "99999999999999999999999999999999",
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    uint64_t value = 7;
    check_row(parse(rows[i], strlen(rows[i]), &value) == -1, i, rows[i]);
    check_row(value == 7, i, rows[i]);
  }
  uint64_t value = 7;
  assert_int_equal(parse(BYTES("3\0"), &value), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_digits),
      cmocka_unit_test(refuses_all_else),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
