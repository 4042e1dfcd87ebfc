#include "http/service.h"

#include <string.h>

#include "http/date.h"

static size_t put(uint8_t *out, const char *text, size_t length) {
  memcpy(out, text, length);
  return length;
}

void wh_http_service_tick(wh_http_service *service, int64_t unix_seconds) {
  if (service->date_second == unix_seconds && service->date_length != 0) return;
  service->date_second = unix_seconds;
  char date[WH_DATE_LENGTH];
  wh_date_format(unix_seconds, date);
  uint8_t *out = service->date_block;
  size_t n = 0;
  n += put(out + n, "Date: ", 6);
  n += put(out + n, date, sizeof date);
  n += put(out + n, "\r\n", 2);
  service->date_length = n;
  if (service->server_name != NULL) {
    size_t name_length = strnlen(service->server_name, 64);
    n += put(out + n, "Server: ", 8);
    n += put(out + n, service->server_name, name_length);
    n += put(out + n, "\r\n", 2);
  }
  service->date_block_length = n;
}
