/*
 * Header sections out: the lines that the application wrote become fields with names in lower case.
 * What HPACK does with them is nghttp2's: it knows which fields change with each answer and does not
 * keep those; which may never be kept, we say.
 */
#include <string.h>

#include "base/memory.h"
#include "http/header_names.h"
#include "http/http2_session.h"

/* :status, content-type, date, server. */
#define OWN_FIELDS 4U
/* The digits of :status. */
#define OWN_BYTES 32U

typedef struct maker {
  nghttp2_nv *fields;
  size_t count;
  uint8_t *text; /* where the next name in lower case goes */
} maker;

static void add(maker *m, const char *name, size_t name_length, const void *value, size_t length,
                uint8_t flags) {
  m->fields[m->count++] = (nghttp2_nv){
      .name = (uint8_t *)name,
      .value = (uint8_t *)value,
      .namelen = name_length,
      .valuelen = length,
      .flags = flags,
  };
}

#define ADD_LITERAL(m, name, value) add(m, name, sizeof(name) - 1, value, sizeof(value) - 1, 0)

static void add_number(maker *m, const char *name, size_t name_length, uint64_t number) {
  uint8_t digits[20];
  size_t n = sizeof digits;
  do {
    digits[--n] = (uint8_t)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  memcpy(m->text, digits + n, sizeof digits - n);
  add(m, name, name_length, m->text, sizeof digits - n, 0);
  m->text += sizeof digits - n;
}

static void add_content_type(maker *m, unsigned flags) {
  switch (flags >> WH_COMMAND_FLAG_CONTENT_TYPE_SHIFT & 15) {
  case WH_CONTENT_TYPE_TEXT: ADD_LITERAL(m, "content-type", "text/plain; charset=utf-8"); break;
  case WH_CONTENT_TYPE_JSON:
    ADD_LITERAL(m, "content-type", "application/json; charset=utf-8");
    break;
  case WH_CONTENT_TYPE_HTML: ADD_LITERAL(m, "content-type", "text/html; charset=utf-8"); break;
  case WH_CONTENT_TYPE_BYTES: ADD_LITERAL(m, "content-type", "application/octet-stream"); break;
  default: break;
  }
}

/* Secrets, and what is made up for each client: never in a table (RFC 7541 section 7.1.3). */
static int is_never_indexed(uint16_t id) {
  return id == WH_HEADER_SET_COOKIE || id == WH_HEADER_CONTENT_DISPOSITION ||
         id == WH_HEADER_AUTHORIZATION || id == WH_HEADER_WWW_AUTHENTICATE;
}

int wh_http2_is_of_connection(uint16_t id, const uint8_t *name, size_t length) {
  static const char proxy[] = "proxy-connection";
  switch (id) {
  case WH_HEADER_CONNECTION:
  case WH_HEADER_KEEP_ALIVE:
  case WH_HEADER_TRANSFER_ENCODING:
  case WH_HEADER_UPGRADE: return 1;
  default: return length == sizeof proxy - 1 && memcmp(name, proxy, length) == 0;
  }
}

/* A line without its CRLF. */
static void add_line(maker *m, const uint8_t *line, size_t length) {
  const uint8_t *colon = memchr(line, ':', length);
  if (colon == NULL || colon == line) return;
  size_t name_length = (size_t)(colon - line);
  uint8_t *name = m->text;
  for (size_t i = 0; i < name_length; i++) {
    uint8_t c = line[i];
    name[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
  }
  uint16_t id = wh_header_id(name, name_length);
  /* TE is a request's: its one value here says what the answer may have. */
  if (id == WH_HEADER_TE || wh_http2_is_of_connection(id, name, name_length)) return;
  const uint8_t *value = colon + 1, *end = line + length;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
  m->text += name_length;
  add(m, (const char *)name, name_length, value, (size_t)(end - value),
      is_never_indexed(id) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
}

static size_t count_lines(const uint8_t *lines, size_t length) {
  size_t count = 0;
  const uint8_t *end = lines + length;
  while (lines < end) {
    const uint8_t *feed = memchr(lines, '\n', (size_t)(end - lines));
    if (feed == NULL) break;
    count++;
    lines = feed + 1;
  }
  return count;
}

static void add_lines(maker *m, const uint8_t *lines, size_t length) {
  const uint8_t *end = lines + length;
  while (lines < end) {
    const uint8_t *feed = memchr(lines, '\n', (size_t)(end - lines));
    if (feed == NULL) return;
    size_t line = (size_t)(feed - lines);
    if (line > 0 && lines[line - 1] == '\r') line--;
    add_line(m, lines, line);
    lines = feed + 1;
  }
}

ptrdiff_t wh_http2_make_fields(wh_http2 *session, unsigned status, const wh_answer *answer) {
  const wh_http_service *service = session->service;
  wh_http2_shared *shared = session->service->http2;
  const uint8_t *head = answer->head;
  size_t head_length = answer->head_length;
  if (head_length > 0 && answer->flags & WH_COMMAND_FLAG_HAS_REASON) {
    /* There are no reason phrases (section 8.3.2). */
    const uint8_t *feed = memchr(head, '\n', head_length);
    size_t skipped = feed == NULL ? head_length : (size_t)(feed - head) + 1;
    head += skipped;
    head_length -= skipped;
  }
  size_t count = OWN_FIELDS + (head_length > 0 ? count_lines(head, head_length) : 0);
  if (count > shared->field_room) {
    nghttp2_nv *larger = wh_realloc(shared->fields, (count + 16) * sizeof *larger);
    if (larger == NULL) return -1;
    shared->fields = larger;
    shared->field_room = count + 16;
  }
  uint8_t *text = wh_http2_scratch(session, head_length + OWN_BYTES);
  if (text == NULL) return -1;
  maker m = {.fields = shared->fields, .text = text};
  if (status > 0) {
    if (status == 200)
      ADD_LITERAL(&m, ":status", "200");
    else
      add_number(&m, ":status", 7, status);
    add_content_type(&m, answer->flags);
  }
  if (head_length > 0) add_lines(&m, head, head_length);
  if (status >= 200) {
    if (!(answer->flags & WH_COMMAND_FLAG_HAS_DATE)) {
      add(&m, "date", 4, service->date_block + 6, service->date_length - 8, 0);
    }
    if (!(answer->flags & WH_COMMAND_FLAG_HAS_SERVER) && service->server_name != NULL) {
      add(&m, "server", 6, service->server_name, strlen(service->server_name), 0);
    }
  }
  return (ptrdiff_t)m.count;
}
