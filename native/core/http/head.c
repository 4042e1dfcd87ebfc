#include "http/head.h"

#include <string.h>

#include "http/characters.h"
#include "http/content_length.h"
#include "http/field_list.h"
#include "http/header_names.h"
#include "http/host.h"
#include "http/method.h"
#include "http/request_line.h"
#include "http/utf8.h"

typedef struct field {
  uint32_t name_offset, value_offset, value_length;
  uint16_t name_length, id;
} field;

_Static_assert(sizeof(field) == WH_FIELD_SIZE, "the table's entry is this struct");

/*
 * Whether the field stands on one line: name, colon, white space, value, CRLF. llhttp joins lines that
 * begin with white space (obs-fold, RFC 9112 section 5.2), which nobody should send, and takes a bare
 * LF for a line's end.
 */
static int is_one_line(const uint8_t *slot, field *f, unsigned relaxed) {
  const uint8_t *p = slot + f->name_offset + f->name_length + 1;
  while (*p == ' ' || *p == '\t') p++;
  if (f->value_length == 0)
    f->value_offset = (uint32_t)(p - slot);
  else if (p != slot + f->value_offset)
    return 0;
  p += f->value_length;
  if (*p == '\r')
    p++;
  else if (!(relaxed & WH_RELAXED_LINE_FEED))
    return 0;
  return p[0] == '\n' && p[1] != ' ' && p[1] != '\t';
}

/* Takes white space off the end of a value; llhttp has taken it off the start. */
static void trim(const uint8_t *slot, field *f) {
  while (f->value_length > 0) {
    uint8_t last = slot[f->value_offset + f->value_length - 1];
    if (last != ' ' && last != '\t') return;
    f->value_length--;
  }
}

/* llhttp lets all else pass as well where it takes a bare LF for a line's end. */
static int is_value(const uint8_t *p, size_t n) {
  int high;
  return wh_scan_field_value(p, n, &high) == n;
}

/* Whether a byte at or above 0x80 is among them, eight at a time. */
static int has_high(const uint8_t *p, size_t n) {
  uint64_t all = 0;
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    all |= word;
  }
  while (n-- > 0) all |= *p++;
  return (all & UINT64_C(0x8080808080808080)) != 0;
}

/*
 * Whether Host names what the target names. With WH_RELAXED_HOST_OVERRIDE an absolute target wins: its
 * authority becomes the value of the Host field, entry number `index` (RFC 9112 section 3.2.2).
 */
static int host_fits_target(wh_exchange *exchange, field *host, uint32_t index, unsigned relaxed) {
  const uint8_t *slot = exchange->slot;
  uint8_t form = slot[WH_SLOT_TARGET_FORM];
  if (form == WH_TARGET_ORIGIN || form == WH_TARGET_ASTERISK) return 1;
  uint32_t offset = wh_slot_get32(exchange, WH_SLOT_AUTHORITY_OFFSET);
  uint32_t length = wh_slot_get32(exchange, WH_SLOT_AUTHORITY_LENGTH);
  if (wh_host_matches_authority(slot + host->value_offset, host->value_length, slot + offset,
                                length, slot[WH_SLOT_TARGET_SCHEME])) {
    return 1;
  }
  if (form != WH_TARGET_ABSOLUTE || !(relaxed & WH_RELAXED_HOST_OVERRIDE)) return 0;
  host->value_offset = offset;
  host->value_length = slot[offset + length - 1] == ':' ? length - 1 : length;
  memcpy(wh_slot_field(exchange, index), host, sizeof *host);
  return 1;
}

wh_refusal wh_head_check(wh_exchange *exchange, uint32_t fields, unsigned relaxed,
                         wh_head_facts *facts) {
  uint8_t *slot = exchange->slot;
  field host = {0};
  uint32_t host_index = 0;
  unsigned lengths = 0, encodings = 0, hosts = 0, upgrades = 0;
  int coding = 0; /* what is wrong with Transfer-Encoding */
  memset(facts, 0, sizeof *facts);
  for (uint32_t i = 0; i < fields; i++) {
    field f;
    uint8_t *entry = wh_slot_field(exchange, i);
    memcpy(&f, entry, sizeof f);
    if (f.name_length == 0 || !is_one_line(slot, &f, relaxed)) { /* llhttp lets both pass */
      return WH_REFUSED_HEADER;
    }
    const uint8_t *value = slot + f.value_offset;
    trim(slot, &f);
    if (relaxed & WH_RELAXED_LINE_FEED && !is_value(value, f.value_length)) {
      return WH_REFUSED_HEADER;
    }
    f.id = wh_header_id(slot + f.name_offset, f.name_length);
    memcpy(entry, &f, sizeof f);
    if (has_high(value, f.value_length)) {
      if (!wh_utf8_is_valid(value, f.value_length)) return WH_REFUSED_HEADER;
      facts->flags |= WH_REQUEST_FLAG_HIGH_BYTES;
    }
    switch (f.id) {
    case WH_HEADER_HOST:
      hosts++;
      host = f;
      host_index = i;
      if (!wh_host_is_valid(value, f.value_length)) return WH_REFUSED_HOST;
      break;
    case WH_HEADER_CONTENT_LENGTH:
      lengths++;
      if (wh_content_length_parse(value, f.value_length, &facts->content_length) != 0) {
        return WH_REFUSED_CONTENT_LENGTH;
      }
      break;
    case WH_HEADER_TRANSFER_ENCODING:
      encodings++;
      coding = wh_transfer_encoding_status(value, f.value_length);
      break;
    case WH_HEADER_CONNECTION:
      facts->connection |= wh_connection_parse(value, f.value_length);
      if (facts->connection & WH_CONNECTION_INVALID) return WH_REFUSED_HEADER;
      break;
    case WH_HEADER_UPGRADE: upgrades += f.value_length > 0; break;
    case WH_HEADER_EXPECT:
      if (exchange->minor_version == 0) break; /* RFC 9110 10.1.1: ignored on HTTP/1.0 */
      if (!wh_expect_is_continue(value, f.value_length)) {
        return WH_REFUSED_EXPECTATION;
      }
      facts->expect_continue = 1;
      break;
    default: break;
    }
  }
  if (hosts > 1 || (hosts == 0 && exchange->minor_version == 1)) {
    return WH_REFUSED_HOST;
  }
  if (hosts == 1 && !host_fits_target(exchange, &host, host_index, relaxed)) {
    return WH_REFUSED_HOST;
  }
  if (lengths > 1) return WH_REFUSED_CONTENT_LENGTH;
  if (encodings > 1 || (encodings == 1 && (lengths == 1 || exchange->minor_version == 0))) {
    return WH_REFUSED_TRANSFER_ENCODING;
  }
  if (coding != 0) {
    return coding == 501 ? WH_REFUSED_TRANSFER_CODING : WH_REFUSED_TRANSFER_ENCODING;
  }
  uint8_t method = slot[WH_SLOT_METHOD];
  if (exchange->minor_version == 0 && lengths == 0 &&
      (method == WH_METHOD_POST || method == WH_METHOD_PUT)) {
    return WH_REFUSED_LENGTH_REQUIRED;
  }
  if (encodings == 1) facts->flags |= WH_REQUEST_FLAG_CHUNKED | WH_REQUEST_FLAG_HAS_BODY;
  if (facts->content_length > 0) facts->flags |= WH_REQUEST_FLAG_HAS_BODY;
  /* RFC 9110 section 7.8: without the option, and on HTTP/1.0, the field says nothing. */
  if (facts->connection & WH_CONNECTION_UPGRADE && upgrades > 0 && exchange->minor_version == 1 &&
      !(facts->flags & WH_REQUEST_FLAG_HAS_BODY)) {
    facts->flags |= WH_REQUEST_FLAG_UPGRADE;
  }
  if (facts->expect_continue) facts->flags |= WH_REQUEST_FLAG_EXPECT_CONTINUE;
  return 0;
}
