#include "server/limits.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"

const wh_limit_row wh_limit_table[] = {
#define WH_LIMIT_ROW(member, name, initial, least, greatest, open, unit, effect) \
  {name, unit, effect, offsetof(wh_limits, member), initial, least, greatest, open},
    WH_LIMITS(WH_LIMIT_ROW)
#undef WH_LIMIT_ROW
};

const size_t wh_limit_table_length = sizeof wh_limit_table / sizeof wh_limit_table[0];

static int64_t *member_of(wh_limits *limits, const wh_limit_row *row) {
  return (int64_t *)(void *)((char *)limits + row->offset);
}

void wh_limits_init(wh_limits *limits) {
  memset(limits, 0, sizeof *limits);
  for (size_t i = 0; i < wh_limit_table_length; i++) {
    *member_of(limits, &wh_limit_table[i]) = wh_limit_table[i].initial;
  }
  limits->add_server_header = 1;
}

int wh_limits_set(wh_limits *limits, const wh_limit_row *row, int64_t value) {
  int unlimited = value == WH_UNLIMITED && row->can_be_unlimited;
  if (!unlimited && (value < row->least || value > row->greatest)) return WH_ERR_INVALID_ARGUMENT;
  *member_of(limits, row) = value;
  return WH_OK;
}

int64_t wh_limits_get(const wh_limits *limits, const wh_limit_row *row) {
  int64_t value;
  memcpy(&value, (const char *)limits + row->offset, sizeof value);
  return value;
}

int wh_limits_check(const wh_limits *limits, const wh_limit_row **larger,
                    const wh_limit_row **smaller) {
  static const char *const parts[] = {"maxRequestLineSize", "maxRequestHeadersTotalSize"};
  *smaller = wh_limit_find("maxRequestBufferSize");
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    *larger = wh_limit_find(parts[i]);
    if (wh_limits_get(limits, *larger) > limits->max_request_buffer_size) {
      return WH_ERR_INVALID_ARGUMENT;
    }
  }
  return WH_OK;
}

const wh_limit_row *wh_limit_find(const char *name) {
  for (size_t i = 0; i < wh_limit_table_length; i++) {
    if (strcmp(wh_limit_table[i].name, name) == 0) return &wh_limit_table[i];
  }
  return NULL;
}
