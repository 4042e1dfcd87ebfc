#include "http/status.h"

#include "generated/status_data.h"

/* What stands around the reason phrase in a line: "HTTP/1.1 200 " and CRLF. */
#define BEFORE_REASON 13
#define AFTER_REASON 2

const char *wh_status_line(unsigned status, size_t *length) {
  uint8_t place = status - 100 < 500 ? wh_status_places[status - 100] : 0;
  *length = wh_status_line_lengths[place];
  return place == 0 ? NULL : wh_status_lines[place];
}

const char *wh_status_reason(unsigned status, size_t *length) {
  const char *line = wh_status_line(status, length);
  if (line == NULL) return NULL;
  *length -= BEFORE_REASON + AFTER_REASON;
  return line + BEFORE_REASON;
}
