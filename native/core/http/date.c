#include "http/date.h"

#include <string.h>

#define SECONDS_PER_DAY 86400
#define YEAR_0 INT64_C(-62167219200)           /* 0000-01-01 00:00:00 */
#define END_OF_YEAR_9999 INT64_C(253402300799) /* 9999-12-31 23:59:59 */
#define DAYS_PER_400_YEARS 146097
#define DAYS_TO_1970 719468 /* from 0000-03-01, where the years below begin */

static void write2(char *out, unsigned value) {
  out[0] = (char)('0' + value / 10);
  out[1] = (char)('0' + value % 10);
}

void wh_date_format(int64_t unix_seconds, char out[WH_DATE_LENGTH]) {
  static const char days_of_week[] = "SunMonTueWedThuFriSat";
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

  if (unix_seconds < YEAR_0) unix_seconds = YEAR_0;
  if (unix_seconds > END_OF_YEAR_9999) unix_seconds = END_OF_YEAR_9999;
  int64_t seconds = unix_seconds - YEAR_0;
  /* 1 January of the year 0 was a Saturday. */
  unsigned day_of_week = (unsigned)((seconds / SECONDS_PER_DAY + 6) % 7);
  unsigned second = (unsigned)(seconds % SECONDS_PER_DAY);

  /*
   * Years are counted from 1 March, so that the leap day is the last of its year; the day is moved
   * by 400 years, one whole cycle of the calendar, so that January and February of the year 0 do
   * not fall below zero.
   */
  int64_t day = (unix_seconds - YEAR_0) / SECONDS_PER_DAY + YEAR_0 / SECONDS_PER_DAY +
                DAYS_TO_1970 + DAYS_PER_400_YEARS;
  unsigned cycle = (unsigned)(day / DAYS_PER_400_YEARS);
  unsigned d = (unsigned)(day % DAYS_PER_400_YEARS);
  unsigned year_of_cycle = (d - d / 1460 + d / 36524 - d / 146096) / 365;
  unsigned day_of_year = d - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
  /* From March on the months' lengths repeat 31 30 31 30 31: five months, 153 days. */
  unsigned month = (5 * day_of_year + 2) / 153;
  unsigned day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
  unsigned is_next_year = month >= 10;
  unsigned year = cycle * 400 + year_of_cycle + is_next_year - 400;
  month = is_next_year ? month - 10 : month + 2;

  memcpy(out, "Sun, 06 Nov 1994 08:49:37 GMT", WH_DATE_LENGTH);
  memcpy(out, days_of_week + (size_t)3 * day_of_week, 3);
  write2(out + 5, day_of_month);
  memcpy(out + 8, months + (size_t)3 * month, 3);
  write2(out + 12, year / 100);
  write2(out + 14, year % 100);
  write2(out + 17, second / 3600);
  write2(out + 20, second / 60 % 60);
  write2(out + 23, second % 60);
}
