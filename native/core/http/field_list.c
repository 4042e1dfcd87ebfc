#include "http/field_list.h"

#include <string.h>

#include "http/characters.h"

/*
 * The next member of a comma-separated list, without white space around it, possibly empty. 0 at
 * the end.
 */
static int next_member(const uint8_t **p, const uint8_t *end, const uint8_t **member, size_t *n) {
  if (*p == NULL) return 0;
  const uint8_t *comma = memchr(*p, ',', (size_t)(end - *p));
  *member = *p;
  *n = (size_t)((comma == NULL ? end : comma) - *p);
  wh_trim_ows(member, n);
  *p = comma == NULL ? NULL : comma + 1;
  return 1;
}

static int is_text(const uint8_t *p, size_t n, const char *text, size_t length) {
  return n == length && wh_equals_ignore_case(p, (const uint8_t *)text, n);
}

/* For string literals. */
#define IS_LITERAL(p, n, literal) is_text(p, n, literal, sizeof(literal) - 1)

static unsigned connection_option(const uint8_t *p, size_t n) {
  if (n == 0) return 0;
  if (IS_LITERAL(p, n, "close")) return WH_CONNECTION_CLOSE;
  if (IS_LITERAL(p, n, "keep-alive")) return WH_CONNECTION_KEEP_ALIVE;
  if (IS_LITERAL(p, n, "upgrade")) return WH_CONNECTION_UPGRADE;
  return wh_scan_token(p, n) == n ? WH_CONNECTION_OTHER : WH_CONNECTION_INVALID;
}

unsigned wh_connection_parse(const uint8_t *p, size_t n) {
  const uint8_t *end = p + n;
  const uint8_t *member;
  size_t length;
  if (n == 0) return 0;
  /* Nearly always it is one member and nothing else. */
  unsigned options = connection_option(p, n);
  if (options != WH_CONNECTION_INVALID) return options;
  options = 0;
  while (next_member(&p, end, &member, &length)) options |= connection_option(member, length);
  return options;
}

int wh_transfer_encoding_status(const uint8_t *p, size_t n) {
  const uint8_t *end = p + n;
  const uint8_t *member;
  size_t length;
  if (IS_LITERAL(p, n, "chunked")) return 0;
  for (int others = 0; next_member(&p, end, &member, &length); others++) {
    /* A coding may have parameters, but `chunked` has none. */
    size_t name = wh_scan_token(member, length);
    if (name == 0) return 400;
    if (IS_LITERAL(member, name, "chunked")) {
      return others > 0 && p == NULL && name == length ? 501 : 400;
    }
    while (name < length && (member[name] == ' ' || member[name] == '\t')) name++;
    if (name < length && member[name] != ';') return 400;
  }
  return 400;
}

int wh_expect_is_continue(const uint8_t *p, size_t n) { return IS_LITERAL(p, n, "100-continue"); }

int wh_list_has_member(const uint8_t *p, size_t n, const char *member, size_t member_length) {
  const uint8_t *end = p + n;
  const uint8_t *found;
  size_t length;
  if (n == 0) return 0;
  while (next_member(&p, end, &found, &length)) {
    if (is_text(found, length, member, member_length)) return 1;
  }
  return 0;
}
