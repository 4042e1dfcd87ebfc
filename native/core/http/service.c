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

void wh_http_service_answered(wh_http_service *service, const wh_exchange *exchange) {
  service->answers++;
  uint64_t us = service->now_us - exchange->started_us;
  size_t bucket = (size_t)us;
  if (us >= 4) {
    unsigned power = 63U - (unsigned)__builtin_clzll(us);
    bucket = (size_t)(power - 1) * 4 + (us >> (power - 2) & 3);
  }
  service->latency[bucket < WH_LATENCY_BUCKETS ? bucket : WH_LATENCY_BUCKETS - 1]++;
}

uint64_t wh_latency_bucket_limit(size_t i) {
  if (i < 4) return i + 1;
  return (uint64_t)(4 + i % 4 + 1) << (i / 4 - 1);
}
