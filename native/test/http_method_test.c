#include "http/method.h"

#include "http_pieces.h"

static uint8_t find(const void *name, size_t length) {
  uint8_t *copy = exact_copy(name, length);
  uint8_t method = wh_method_find(copy, length);
  free(copy);
  return method;
}

static void knows_the_registered_methods(void **state) {
  (void)state;
  static const struct {
    const char *name;
    uint8_t method;
    int is_safe, is_idempotent; /* IANA's registry */
  } rows[] = {
      {"GET", WH_METHOD_GET, 1, 1},
      {"HEAD", WH_METHOD_HEAD, 1, 1},
      {"POST", WH_METHOD_POST, 0, 0},
      {"PUT", WH_METHOD_PUT, 0, 1},
      {"DELETE", WH_METHOD_DELETE, 0, 1},
      {"CONNECT", WH_METHOD_CONNECT, 0, 0},
      {"OPTIONS", WH_METHOD_OPTIONS, 1, 1},
      {"TRACE", WH_METHOD_TRACE, 1, 1},
      {"PATCH", WH_METHOD_PATCH, 0, 0},
      {"QUERY", WH_METHOD_QUERY, 1, 1},
      {"PROPFIND", WH_METHOD_PROPFIND, 1, 1},
      {"REPORT", WH_METHOD_REPORT, 1, 1},
      {"SEARCH", WH_METHOD_SEARCH, 1, 1},
      {"LOCK", WH_METHOD_LOCK, 0, 0},
      {"ACL", WH_METHOD_ACL, 0, 1},
      {"VERSION-CONTROL", WH_METHOD_VERSION_CONTROL, 0, 1},
      {"UPDATEREDIRECTREF", WH_METHOD_UPDATEREDIRECTREF, 0, 1},
      {"get", 0, 0, 0},
      {"Get", 0, 0, 0},
      {"GETS", 0, 0, 0},
      {"GE", 0, 0, 0},
      {"G", 0, 0, 0},
      {"", 0, 0, 0},
      {"PRI", 0, 0, 0},
      {"FOO", 0, 0, 0},
      {"UPDATEREDIRECTREFS", 0, 0, 0},
      {"VERSION_CONTROL", 0, 0, 0},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    uint8_t method = find(rows[i].name, strlen(rows[i].name));
    check_row(method == rows[i].method, i, rows[i].name);
    check_row(wh_method_is_safe(method) == rows[i].is_safe, i, rows[i].name);
    check_row(wh_method_is_idempotent(method) == rows[i].is_idempotent, i, rows[i].name);
  }
}

static void every_method_has_its_name_and_no_other(void **state) {
  (void)state;
  for (unsigned method = 1; method < WH_METHOD_COUNT; method++) {
    size_t length;
    const char *name = wh_method_name((uint8_t)method, &length);
    assert_non_null(name);
    assert_int_equal(strlen(name), length);
    check_row(find(name, length) == method, method, name);
    uint8_t *changed = exact_copy(name, length);
    for (size_t i = 0; i < length; i++) {
      for (unsigned byte = 0; byte < 256; byte++) {
        changed[i] = (uint8_t)byte;
        uint8_t found = wh_method_find(changed, length);
        check_row((found == method) == (byte == (unsigned char)name[i]), method, name);
        if (found != 0)
          check_row(memcmp(wh_method_name(found, &length), changed, length) == 0, method, name);
      }
      changed[i] = (uint8_t)name[i];
    }
    free(changed);
  }
}

static void other_numbers_are_no_methods(void **state) {
  (void)state;
  static const uint8_t numbers[] = {0, WH_METHOD_COUNT, 64, 255};
  for (size_t i = 0; i < COUNT(numbers); i++) {
    size_t length = 7;
    assert_null(wh_method_name(numbers[i], &length));
    assert_int_equal(length, 0);
    assert_int_equal(wh_method_is_safe(numbers[i]), 0);
    assert_int_equal(wh_method_is_idempotent(numbers[i]), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(knows_the_registered_methods),
      cmocka_unit_test(every_method_has_its_name_and_no_other),
      cmocka_unit_test(other_numbers_are_no_methods),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
