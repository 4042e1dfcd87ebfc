/*
 * A libFuzzer target over the PROXY protocol's parser. Besides memory errors it looks for answers that
 * depend on how the bytes are cut, for headers of an impossible length, and for bytes behind a header
 * that change what was read of it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy_protocol.h"

#define REQUIRE(condition) \
  if (!(condition)) abort()

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* Of a copy of its own size, so that a read past the end is seen. */
static wh_proxy_result parse(const uint8_t *data, size_t length, wh_proxy_header *out) {
  uint8_t *copy = malloc(length > 0 ? length : 1);
  REQUIRE(copy != NULL);
  if (length > 0) memcpy(copy, data, length);
  memset(out, 0, sizeof *out);
  wh_proxy_result result = wh_proxy_parse(copy, length, out);
  free(copy);
  return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
  wh_proxy_header whole, part;
  wh_proxy_result result = parse(data, length, &whole);
  if (length >= WH_PROXY_MOST) REQUIRE(result != WH_PROXY_MORE);
  if (result == WH_PROXY_HEADER) {
    REQUIRE(whole.length > 0 && whole.length <= length && whole.length <= WH_PROXY_MOST);
    REQUIRE(whole.version == 1 || whole.version == 2);
    if (whole.version == 1) REQUIRE(whole.length <= WH_PROXY_V1_MOST);
    if (!whole.has_addresses) REQUIRE(whole.source.family == WH_ADDRESS_NONE);
    if (whole.has_addresses) REQUIRE(whole.source.family != WH_ADDRESS_NONE);
  }
  for (size_t i = 0; i < length; i++) {
    wh_proxy_result early = parse(data, i, &part);
    if (early == WH_PROXY_MORE) continue;
    REQUIRE(early == result);
    if (early == WH_PROXY_HEADER) {
      REQUIRE(part.length == i);
      REQUIRE(memcmp(&part.source, &whole.source, sizeof part.source) == 0);
      REQUIRE(memcmp(&part.destination, &whole.destination, sizeof part.destination) == 0);
    }
    if (early == WH_PROXY_NONE) REQUIRE(i <= 12);
    break;
  }
  return 0;
}
