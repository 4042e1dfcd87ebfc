#include "net/proxy_protocol.h"

#include <string.h>

#include "base/error.h"

static const uint8_t v1_start[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t v2_signature[] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                       0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};

/* Section 2.2 of the specification. */
enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { FAMILY_UNSPEC = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21, FAMILY_UNIX = 0x31 };
enum { TLV_CRC32C = 0x03, TLV_HEAD = 3, CRC_SIZE = 4 };
enum { TCP4_SIZE = 12, TCP6_SIZE = 36, UNIX_SIZE = 216 };

/* Whether the bytes are the start of `text`, as far as they go. */
static int starts_as(const uint8_t *data, size_t length, const uint8_t *text, size_t text_length) {
  return memcmp(data, text, length < text_length ? length : text_length) == 0;
}

/* --- version 1 --- */

/* Takes the next part of a line, up to a blank or the end. NULL where there is none. */
static const char *take(const char **at, const char *end, size_t *length) {
  if (*at >= end) return NULL;
  const char *part = *at;
  const char *blank = memchr(part, ' ', (size_t)(end - part));
  const char *stop = blank != NULL ? blank : end;
  *length = (size_t)(stop - part);
  *at = blank != NULL ? blank + 1 : end;
  if (*length == 0) return NULL;
  /* A blank at the very end divides nothing. */
  return blank != NULL && *at == end ? NULL : part;
}

static int take_address(const char **at, const char *end, int family, wh_address *out) {
  size_t length;
  const char *part = take(at, end, &length);
  if (part == NULL || wh_address_parse(part, length, out) != WH_OK) return 0;
  /* TCP6 may carry an IPv4-mapped address, which is IPv4 here; TCP4 carries nothing else. */
  int written_v6 = memchr(part, ':', length) != NULL;
  return written_v6 == (family == WH_ADDRESS_IPV6);
}

static int take_port(const char **at, const char *end, uint16_t *out) {
  size_t length;
  const char *part = take(at, end, &length);
  if (part == NULL || length > 5 || (part[0] == '0' && length > 1)) return 0;
  unsigned port = 0;
  for (size_t i = 0; i < length; i++) {
    if (part[i] < '0' || part[i] > '9') return 0;
    port = port * 10 + (unsigned)(part[i] - '0');
  }
  if (port > 65535) return 0;
  *out = (uint16_t)port;
  return 1;
}

/* The line behind "PROXY ", without its CRLF. */
static wh_proxy_result read_line(const char *at, const char *end, wh_proxy_header *out) {
  size_t size = (size_t)(end - at);
  /* "UNKNOWN", alone or with anything behind it, which is to be ignored. */
  if (size >= 7 && memcmp(at, "UNKNOWN", 7) == 0 && (size == 7 || at[7] == ' ')) {
    return WH_PROXY_HEADER;
  }
  int family = 0;
  if (size > 5 && memcmp(at, "TCP4 ", 5) == 0) family = WH_ADDRESS_IPV4;
  if (size > 5 && memcmp(at, "TCP6 ", 5) == 0) family = WH_ADDRESS_IPV6;
  if (family == 0) return WH_PROXY_BAD;
  at += 5;
  if (!take_address(&at, end, family, &out->source) ||
      !take_address(&at, end, family, &out->destination) ||
      !take_port(&at, end, &out->source.port) || !take_port(&at, end, &out->destination.port) ||
      at != end) {
    return WH_PROXY_BAD;
  }
  out->has_addresses = 1;
  return WH_PROXY_HEADER;
}

static wh_proxy_result parse_v1(const uint8_t *data, size_t length, wh_proxy_header *out) {
  size_t shown = length < WH_PROXY_V1_MOST ? length : WH_PROXY_V1_MOST;
  const uint8_t *cr = memchr(data, '\r', shown);
  if (cr == NULL) {
    /* A line feed by itself, or anything that no such line has, can be refused at once. */
    for (size_t i = sizeof v1_start; i < shown; i++) {
      if (data[i] < 0x20 || data[i] > 0x7E) return WH_PROXY_BAD;
    }
    return shown == WH_PROXY_V1_MOST ? WH_PROXY_BAD : WH_PROXY_MORE;
  }
  size_t end = (size_t)(cr - data);
  for (size_t i = sizeof v1_start; i < end; i++) {
    if (data[i] < 0x20 || data[i] > 0x7E) return WH_PROXY_BAD;
  }
  if (end + 2 > WH_PROXY_V1_MOST) return WH_PROXY_BAD;
  if (end + 1 == length) return WH_PROXY_MORE;
  if (data[end + 1] != '\n') return WH_PROXY_BAD;
  out->version = 1;
  out->length = end + 2;
  return read_line((const char *)data + sizeof v1_start, (const char *)cr, out);
}

/* --- version 2 --- */

/* CRC-32C (RFC 3385) of the header, its own four bytes counted as 0. Bit by bit: headers are short. */
static uint32_t checksum(const uint8_t *data, size_t length, size_t crc_at) {
  uint32_t crc = 0xFFFFFFFFU;
  for (size_t i = 0; i < length; i++) {
    crc ^= i >= crc_at && i < crc_at + CRC_SIZE ? 0U : data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78U : 0U);
  }
  return ~crc;
}

static unsigned read16(const uint8_t *data) { return (unsigned)data[0] << 8 | data[1]; }

static uint32_t read32(const uint8_t *data) {
  return (uint32_t)read16(data) << 16 | (uint32_t)read16(data + 2);
}

/* Whether the TLVs from `at` on fill the header, and a checksum among them is right. */
static int check_tlvs(const uint8_t *data, size_t at, size_t length) {
  int has_checksum = 0;
  while (at < length) {
    if (length - at < TLV_HEAD) return 0;
    unsigned type = data[at];
    size_t size = read16(data + at + 1);
    at += TLV_HEAD;
    if (size > length - at) return 0;
    if (type == TLV_CRC32C) {
      if (size != CRC_SIZE || has_checksum) return 0;
      has_checksum = 1;
      if (read32(data + at) != checksum(data, length, at)) return 0;
    }
    at += size;
  }
  return 1;
}

static wh_proxy_result parse_v2(const uint8_t *data, size_t length, wh_proxy_header *out) {
  /* What is wrong already is refused before the rest is waited for. */
  if (length > 12 && data[12] != COMMAND_LOCAL && data[12] != COMMAND_PROXY) return WH_PROXY_BAD;
  if (length < WH_PROXY_V2_START) return WH_PROXY_MORE;
  size_t rest = read16(data + 14);
  size_t size = 0;
  int is_local = data[12] == COMMAND_LOCAL;
  if (!is_local) {
    switch (data[13]) {
    case FAMILY_UNSPEC: break;
    case FAMILY_TCP4: size = TCP4_SIZE; break;
    case FAMILY_TCP6: size = TCP6_SIZE; break;
    case FAMILY_UNIX: size = UNIX_SIZE; break;
    default: return WH_PROXY_BAD;
    }
  }
  if (rest > WH_PROXY_V2_REST_MOST || rest < size) return WH_PROXY_BAD;
  if (length < WH_PROXY_V2_START + rest) return WH_PROXY_MORE;
  out->version = 2;
  out->length = WH_PROXY_V2_START + rest;
  /* "The receiver must ignore the rest": of a family that says nothing, and of LOCAL. */
  if (size == 0) return WH_PROXY_HEADER;
  const uint8_t *at = data + WH_PROXY_V2_START;
  switch (data[13]) {
  case FAMILY_TCP4:
    wh_address_from_bytes(&out->source, WH_ADDRESS_IPV4, at, (uint16_t)read16(at + 8));
    wh_address_from_bytes(&out->destination, WH_ADDRESS_IPV4, at + 4, (uint16_t)read16(at + 10));
    break;
  case FAMILY_TCP6:
    wh_address_from_bytes(&out->source, WH_ADDRESS_IPV6, at, (uint16_t)read16(at + 32));
    wh_address_from_bytes(&out->destination, WH_ADDRESS_IPV6, at + 16, (uint16_t)read16(at + 34));
    break;
  default:
    out->source.family = WH_ADDRESS_UNIX;
    out->destination.family = WH_ADDRESS_UNIX;
    break;
  }
  out->has_addresses = 1;
  return check_tlvs(data, WH_PROXY_V2_START + size, out->length) ? WH_PROXY_HEADER : WH_PROXY_BAD;
}

wh_proxy_result wh_proxy_parse(const uint8_t *data, size_t length, wh_proxy_header *out) {
  wh_proxy_header header;
  memset(&header, 0, sizeof header);
  wh_proxy_result result = WH_PROXY_NONE;
  if (length == 0) {
    result = WH_PROXY_MORE;
  } else if (starts_as(data, length, v1_start, sizeof v1_start)) {
    result = length < sizeof v1_start ? WH_PROXY_MORE : parse_v1(data, length, &header);
  } else if (starts_as(data, length, v2_signature, sizeof v2_signature)) {
    result = length < sizeof v2_signature ? WH_PROXY_MORE : parse_v2(data, length, &header);
  }
  if (result == WH_PROXY_HEADER) *out = header;
  return result;
}
