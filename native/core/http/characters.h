/*
 * Character classes of HTTP (RFC 9110 section 5.6, RFC 9112) and of URIs (RFC 3986 section 2 and
 * 3), and fast scans of spans by them. A scan returns the index of the first byte that does not
 * belong, or the length of the span where all do. None reads outside the span. Any thread.
 */
#ifndef WH_HTTP_CHARACTERS_H
#define WH_HTTP_CHARACTERS_H

#include <stddef.h>
#include <stdint.h>

enum wh_character_class {
  WH_CHARACTER_TOKEN = 1,       /* tchar */
  WH_CHARACTER_FIELD_VALUE = 2, /* VCHAR, obs-text, SP, HTAB */
  WH_CHARACTER_TARGET = 4, /* pchar, "/" and "?"; "%" too, whose two digits are checked apart */
  WH_CHARACTER_TARGET_LENIENT = 8, /* every visible character but "#" */
  WH_CHARACTER_REG_NAME = 16,      /* what a host name may hold: unreserved and ! $ & ' ( ) */
  WH_CHARACTER_QUOTED_TEXT = 32,   /* qdtext */
  WH_CHARACTER_DIGIT = 64,
  WH_CHARACTER_ALPHA = 128
};

/* The classes of each byte, as a set of wh_character_class bits. */
extern const uint8_t wh_characters[256];

/* The value of a hexadecimal digit, or -1. */
extern const int8_t wh_hex_digits[256];

/* Up to the first byte that is no tchar (RFC 9110 section 5.6.2). */
size_t wh_scan_token(const uint8_t *p, size_t n);

/*
 * Up to the first byte that a field value may not hold (a control but HTAB, DEL).
 * *has_high is set to 1 where a byte of the scanned part is 0x80 or more (obs-text), else to 0.
 */
size_t wh_scan_field_value(const uint8_t *p, size_t n, int *has_high);

/*
 * Up to the first byte that a request target may not hold by RFC 3986; with lenient, by our lenient
 * rule (any visible ASCII character but "#"). Says nothing about the two digits after a "%".
 */
size_t wh_scan_target(const uint8_t *p, size_t n, int lenient);

/* Whether two spans of n bytes are equal without the case of ASCII letters. */
int wh_equals_ignore_case(const uint8_t *a, const uint8_t *b, size_t n);

/* Takes SP and HTAB (OWS) off both ends of a span. */
static inline void wh_trim_ows(const uint8_t **p, size_t *n) {
  const uint8_t *start = *p;
  const uint8_t *end = start + *n;
  while (start < end && (*start == ' ' || *start == '\t')) start++;
  while (end > start && (end[-1] == ' ' || end[-1] == '\t')) end--;
  *p = start;
  *n = (size_t)(end - start);
}

#endif
