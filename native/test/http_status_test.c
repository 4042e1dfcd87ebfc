#include "http/status.h"

#include <stdio.h>

#include "http_pieces.h"

static void tells_the_registered_phrases(void **state) {
  (void)state;
  static const struct {
    unsigned status;
    const char *phrase;
  } rows[] = {
      {100, "Continue"},
      {101, "Switching Protocols"},
      {103, "Early Hints"},
      {200, "OK"},
      {204, "No Content"},
      {304, "Not Modified"},
      {400, "Bad Request"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {417, "Expectation Failed"},
      {418, "I'm a teapot"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {503, "Service Unavailable"},
      {505, "HTTP Version Not Supported"},
      {511, "Network Authentication Required"},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t length;
    const char *phrase = wh_status_reason(rows[i].status, &length);
    check_row(phrase != NULL && length == strlen(rows[i].phrase) &&
                  memcmp(phrase, rows[i].phrase, length) == 0,
              i, rows[i].phrase);
  }
}

static void lines_are_made_of_code_and_phrase(void **state) {
  (void)state;
  int known = 0;
  for (unsigned status = 0; status < 1100; status++) {
    size_t length = 7;
    size_t reason_length = 7;
    const char *line = wh_status_line(status, &length);
    const char *reason = wh_status_reason(status, &reason_length);
    if (line == NULL) {
      assert_null(reason);
      assert_int_equal(length, 0);
      assert_int_equal(reason_length, 0);
      continue;
    }
    known++;
    char expected[128];
    int size = snprintf(expected, sizeof expected, "HTTP/1.1 %u %.*s\r\n", status,
                        (int)reason_length, reason);
    assert_int_equal(length, size);
    assert_memory_equal(line, expected, length);
    assert_null(memchr(reason, '\r', reason_length));
  }
  assert_in_range(known, 50, 100);
}

static void other_codes_are_unknown(void **state) {
  (void)state;
  static const unsigned codes[] = {0,   1,   99,  104, 199, 209,  299,         419,
                                   499, 512, 599, 600, 999, 1000, (unsigned)-1};
  for (size_t i = 0; i < COUNT(codes); i++) {
    size_t length = 7;
    assert_null(wh_status_line(codes[i], &length));
    assert_int_equal(length, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tells_the_registered_phrases),
      cmocka_unit_test(lines_are_made_of_code_and_phrase),
      cmocka_unit_test(other_codes_are_unknown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
