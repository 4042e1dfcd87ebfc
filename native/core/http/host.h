/*
 * Hosts and authorities: host [":" port] (RFC 3986 section 3.2.2, RFC 9110 section 7.2), read
 * strictly.
 */
#ifndef WH_HTTP_HOST_H
#define WH_HTTP_HOST_H

#include <stddef.h>
#include <stdint.h>

/* The parts of an authority. */
typedef struct wh_authority {
  uint32_t host_length; /* with the brackets of an IPv6 address */
  int32_t port;         /* 0 to 65535; -1 where there is none, -2 where it is empty ("a:") */
} wh_authority;

/*
 * Splits and checks an authority: a name of letters, digits and - . _ ~ ! $ & ' ( ), or a valid
 * IPv6 address in brackets; a port of digits up to 65535. An empty port is accepted and told (RFC
 * 3986 allows it), an empty host and userinfo are not. 1 where it is valid, else 0. Any thread.
 */
int wh_authority_parse(const uint8_t *p, size_t n, wh_authority *out);

/*
 * Whether the value of a Host field is valid: empty, or a valid authority without an empty port.
 * Any thread.
 */
int wh_host_is_valid(const uint8_t *p, size_t n);

/*
 * Whether a Host value names the same as the authority of the request target: hosts equal without
 * case, ports equal where a missing (or empty) port is the scheme's default. With scheme
 * WH_SCHEME_NONE (authority form) there is no default. False where one of them is not valid. Any
 * thread.
 */
int wh_host_matches_authority(const uint8_t *host, size_t host_length, const uint8_t *authority,
                              size_t authority_length, uint8_t scheme);

#endif
