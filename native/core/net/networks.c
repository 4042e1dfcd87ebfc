#include "net/networks.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* The bits of an IPv4-mapped prefix (::ffff:0:0/96) that are not the IPv4 address's. */
#define MAPPED_BITS 96U

static int refuse(const char **why, const char *reason) {
  *why = reason;
  return WH_ERR_ADDRESS_INVALID;
}

/* Whether the first `bits` bits are the same. */
static int same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits) {
  size_t whole = bits / 8;
  unsigned rest = bits % 8;
  if (memcmp(a, b, whole) != 0) return 0;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* Whether all bits behind the prefix are 0. */
static int ends_in_zeros(const uint8_t *bytes, unsigned bits, unsigned size) {
  for (unsigned i = bits; i < size; i++) {
    if (bytes[i / 8] >> (7 - i % 8) & 1) return 0;
  }
  return 1;
}

int wh_network_parse(const char *text, size_t length, wh_network *out, const char **why) {
  *why = NULL;
  if (length == 4 && memcmp(text, "unix", 4) == 0) {
    *out = (wh_network){.address = {.family = WH_ADDRESS_UNIX}};
    return WH_OK;
  }
  const char *slash = length > 0 ? memchr(text, '/', length) : NULL;
  size_t address_length = slash != NULL ? (size_t)(slash - text) : length;
  wh_address address;
  if (wh_address_parse(text, address_length, &address) != WH_OK) {
    return refuse(why, "it is no IP address, no network such as 10.0.0.0/8, and not 'unix'");
  }
  int written_v6 = memchr(text, ':', address_length) != NULL;
  unsigned size = written_v6 ? 128 : 32;
  unsigned bits = size;
  if (slash != NULL) {
    const char *digit = slash + 1, *end = text + length;
    if (digit == end || end - digit > 3 || (*digit == '0' && end - digit > 1)) {
      return refuse(why, "what follows '/' is no number of bits");
    }
    bits = 0;
    for (; digit < end; digit++) {
      if (*digit < '0' || *digit > '9') {
        return refuse(why, "what follows '/' is no number of bits");
      }
      bits = bits * 10 + (unsigned)(*digit - '0');
    }
    if (bits > size) return refuse(why, "there are more bits after '/' than the address has");
  }
  if (written_v6 && address.family == WH_ADDRESS_IPV4) {
    if (bits < MAPPED_BITS) {
      return refuse(why, "a network of IPv4-mapped addresses has a prefix of 96 bits or more");
    }
    bits -= MAPPED_BITS;
    size = 32;
  }
  if (!ends_in_zeros(address.bytes, bits, size)) {
    return refuse(why, "the address has bits behind the prefix");
  }
  *out = (wh_network){.address = address, .bits = bits};
  return WH_OK;
}

int wh_networks_parse(const char *text, size_t length, wh_networks *out, const char **bad,
                      size_t *bad_length, const char **why) {
  *out = (wh_networks){0};
  *bad = text;
  *bad_length = length;
  *why = NULL;
  if (length == 0) return WH_OK;
  size_t count = 1;
  for (size_t i = 0; i < length; i++) count += text[i] == ' ';
  wh_network *items = wh_alloc(count * sizeof *items);
  if (items == NULL) {
    *why = "there is no memory";
    return WH_ERR_NO_MEMORY;
  }
  size_t used = 0;
  for (const char *at = text, *end = text + length; used < count; used++) {
    const char *blank = at < end ? memchr(at, ' ', (size_t)(end - at)) : NULL;
    size_t size = (size_t)((blank != NULL ? blank : end) - at);
    if (wh_network_parse(at, size, &items[used], why) != WH_OK) {
      *bad = at;
      *bad_length = size;
      wh_free(items);
      return WH_ERR_ADDRESS_INVALID;
    }
    at += size + 1;
  }
  out->items = items;
  out->count = count;
  return WH_OK;
}

void wh_networks_free(wh_networks *networks) {
  wh_free(networks->items);
  *networks = (wh_networks){0};
}

int wh_networks_contain(const wh_networks *networks, const wh_address *address) {
  for (size_t i = 0; i < networks->count; i++) {
    const wh_network *network = &networks->items[i];
    if (network->address.family != address->family || address->family == WH_ADDRESS_NONE) continue;
    if (same_prefix(network->address.bytes, address->bytes, network->bits)) return 1;
  }
  return 0;
}
