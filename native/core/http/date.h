/* The Date field's format. */
#ifndef WH_HTTP_DATE_H
#define WH_HTTP_DATE_H

#include <stdint.h>

#define WH_DATE_LENGTH 29

/*
 * Writes IMF-fixdate (RFC 9110 section 5.6.7), "Sun, 06 Nov 1994 08:49:37 GMT", without a NUL, for
 * seconds since 1970. Seconds out of the years 0 to 9999 are taken as the nearest that is in. Any
 * thread; no locale, no libc.
 */
void wh_date_format(int64_t unix_seconds, char out[WH_DATE_LENGTH]);

#endif
