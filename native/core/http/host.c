#include "http/host.h"

#include <string.h>

#include "http/characters.h"
#include "http/request_line.h"

#define NO_PORT (-1)
#define EMPTY_PORT (-2)

/* dec-octet "." dec-octet "." dec-octet "." dec-octet (RFC 3986): no leading zeros. */
static int is_ipv4(const uint8_t *p, size_t n) {
  size_t i = 0;
  for (int part = 0; part < 4; part++) {
    if (part > 0 && (i == n || p[i++] != '.')) return 0;
    size_t start = i;
    unsigned value = 0;
    while (i < n && i - start < 3 && (wh_characters[p[i]] & WH_CHARACTER_DIGIT) != 0) {
      value = value * 10 + (p[i++] - (unsigned)'0');
    }
    if (i == start || value > 255 || (i - start > 1 && p[start] == '0')) return 0;
  }
  return i == n;
}

/*
 * IPv6address (RFC 3986 section 3.2.2): eight groups, "::" once for one group or more, IPv4 as the
 * last two.
 */
static int is_ipv6(const uint8_t *p, size_t n) {
  int groups = 0;
  int has_gap = 0;
  size_t i = 0;
  if (n >= 2 && p[0] == ':' && p[1] == ':') {
    has_gap = 1;
    i = 2;
    if (i == n) return 1;
  }
  for (;;) {
    size_t start = i;
    while (i < n && i - start < 4 && wh_hex_digits[p[i]] >= 0) i++;
    if (i == start) return 0;
    if (i < n && p[i] == '.') {
      groups += 2;
      if (!is_ipv4(p + start, n - start)) return 0;
      break;
    }
    groups++;
    if (i == n) break;
    if (p[i++] != ':') return 0;
    if (i < n && p[i] == ':') {
      if (has_gap) return 0;
      has_gap = 1;
      if (++i == n) break;
    }
  }
  return has_gap ? groups <= 7 : groups == 8;
}

int wh_authority_parse(const uint8_t *p, size_t n, wh_authority *out) {
  size_t i = 0;
  if (n == 0 || n > UINT32_MAX) return 0;
  if (p[0] == '[') {
    const uint8_t *close = memchr(p, ']', n);
    if (close == NULL || !is_ipv6(p + 1, (size_t)(close - p) - 1)) return 0;
    i = (size_t)(close - p) + 1;
  } else {
    while (i < n && (wh_characters[p[i]] & WH_CHARACTER_REG_NAME) != 0) i++;
    if (i == 0) return 0;
  }
  out->host_length = (uint32_t)i;
  out->port = NO_PORT;
  if (i == n) return 1;
  if (p[i++] != ':') return 0;
  if (i == n) {
    out->port = EMPTY_PORT;
    return 1;
  }
  int32_t port = 0;
  for (; i < n; i++) {
    if ((wh_characters[p[i]] & WH_CHARACTER_DIGIT) == 0) return 0;
    port = port * 10 + (p[i] - '0');
    if (port > 65535) return 0;
  }
  out->port = port;
  return 1;
}

int wh_host_is_valid(const uint8_t *p, size_t n) {
  wh_authority authority;
  if (n == 0) return 1;
  return wh_authority_parse(p, n, &authority) && authority.port != EMPTY_PORT;
}

static int32_t port_of(const wh_authority *authority, uint8_t scheme) {
  if (authority->port >= 0) return authority->port;
  return scheme == WH_SCHEME_HTTP ? 80 : scheme == WH_SCHEME_HTTPS ? 443 : NO_PORT;
}

int wh_host_matches_authority(const uint8_t *host, size_t host_length, const uint8_t *authority,
                              size_t authority_length, uint8_t scheme) {
  wh_authority a;
  wh_authority b;
  if (!wh_authority_parse(host, host_length, &a) || a.port == EMPTY_PORT) return 0;
  if (!wh_authority_parse(authority, authority_length, &b)) return 0;
  return a.host_length == b.host_length && port_of(&a, scheme) == port_of(&b, scheme) &&
         wh_equals_ignore_case(host, authority, a.host_length);
}
