/* Status codes, their reason phrases and ready-made status lines (native/tables/status.txt). */
#ifndef WH_HTTP_STATUS_H
#define WH_HTTP_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "generated/status.h"

/* Statuses are counted one by one below this; what is none counts as 0. */
#define WH_STATUS_LIMIT 600

/*
 * The reason phrase ("Not Found"; not NUL-terminated); NULL and length 0 for a code that is not in
 * the table.
 */
const char *wh_status_reason(unsigned status, size_t *length);

/* Whether an answer has no content by its status (RFC 9110 section 6.4.1). */
static inline int wh_status_has_no_body(unsigned status) {
  return status < 200 || status == 204 || status == 205 || status == 304;
}

/*
 * The whole status line with its line end ("HTTP/1.1 200 OK\r\n"; not NUL-terminated); NULL and
 * length 0 for a code that is not in the table.
 */
const char *wh_status_line(unsigned status, size_t *length);

#endif
