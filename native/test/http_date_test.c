/* gmtime_r */
#define _POSIX_C_SOURCE 200809L

#include "http/date.h"

#include <time.h>

#include "http_pieces.h"

static void check(int64_t seconds, const char *expected) {
  char out[WH_DATE_LENGTH + 1];
  out[WH_DATE_LENGTH] = '!'; /* must not be touched */
  wh_date_format(seconds, out);
  assert_int_equal(out[WH_DATE_LENGTH], '!');
  out[WH_DATE_LENGTH] = 0;
  assert_string_equal(out, expected);
}

static void formats_known_dates(void **state) {
  (void)state;
  check(784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* RFC 9110 section 5.6.7 */
  check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
  check(-1, "Wed, 31 Dec 1969 23:59:59 GMT");
  check(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
  check(1709164800, "Thu, 29 Feb 2024 00:00:00 GMT");
  check(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
  check(2147483647, "Tue, 19 Jan 2038 03:14:07 GMT");
  check(2147483648, "Tue, 19 Jan 2038 03:14:08 GMT");
  check(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
  check(-62167219200, "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void takes_the_nearest_date_of_four_digits(void **state) {
  (void)state;
  check(253402300800, "Fri, 31 Dec 9999 23:59:59 GMT");
  check(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
  check(-62167219201, "Sat, 01 Jan 0000 00:00:00 GMT");
  check(INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT");
}

/*
 * A prime step of about ten hours, so that every day and many times of day come up, over 600 years.
 */
static void agrees_with_libc(void **state) {
  (void)state;
  for (int64_t seconds = -9000000000; seconds < 10000000000; seconds += 35969) {
    time_t time = (time_t)seconds;
    struct tm parts;
    char expected[64];
    assert_non_null(gmtime_r(&time, &parts));
    assert_int_equal(strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &parts),
                     WH_DATE_LENGTH);
    check(seconds, expected);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(formats_known_dates),
      cmocka_unit_test(takes_the_nearest_date_of_four_digits),
      cmocka_unit_test(agrees_with_libc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
