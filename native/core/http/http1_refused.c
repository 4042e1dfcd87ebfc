/* What a refused request had at fault: for those who are told of it. Only looked for when they want it. */
#include <string.h>

#include "generated/header_names.h"
#include "http/http1_session.h"

/* The known field that a reason is about; 0 where it is none. */
static unsigned field_of(wh_refusal reason) {
  switch (reason) {
  case WH_REFUSED_HOST: return WH_HEADER_HOST;
  case WH_REFUSED_CONTENT_LENGTH: return WH_HEADER_CONTENT_LENGTH;
  case WH_REFUSED_TRANSFER_ENCODING: return WH_HEADER_TRANSFER_ENCODING;
  case WH_REFUSED_EXPECTATION: return WH_HEADER_EXPECT;
  default: return 0;
  }
}

/* The line of that field, of a head whose fields are all in the slot: the last one, where it is repeated. */
static size_t find_field(const wh_http1 *session, unsigned id, const uint8_t **bytes) {
  const wh_exchange *exchange = session->parsing;
  if (id == 0 || exchange == NULL) return 0;
  for (uint32_t i = session->fields; i-- > 0;) {
    const uint8_t *entry = wh_slot_field(exchange, i);
    uint32_t place[3];
    uint16_t known;
    memcpy(place, entry, sizeof place);
    memcpy(&known, entry + WH_FIELD_ID, sizeof known);
    if (known != id) continue;
    *bytes = exchange->slot + place[0];
    return place[1] < place[0] ? 0 : place[1] + place[2] - place[0];
  }
  return 0;
}

/* The start of the line that llhttp found at fault, if that is among the bytes being parsed. */
static size_t find_line(const wh_http1 *session, const uint8_t **bytes) {
  if (llhttp_get_errno(&session->parser) == HPE_PAUSED) return 0; /* it found nothing */
  const uint8_t *at = (const uint8_t *)llhttp_get_error_pos(&session->parser);
  if (session->input == NULL || at == NULL || at < session->input || at > session->input_end) {
    return 0;
  }
  while (at > session->input && at[-1] != '\n') at--;
  *bytes = at;
  return (size_t)(session->input_end - at);
}

/* From the first byte to the end of its line, or of all there is. */
static size_t first_line(const uint8_t *bytes, size_t length) {
  if (length == 0) return 0;
  const uint8_t *feed = memchr(bytes, '\n', length);
  size_t line = feed == NULL ? length : (size_t)(feed - bytes);
  return line > 0 && bytes[line - 1] == '\r' ? line - 1 : line;
}

/* The length of the request line of a head that is complete: the session may be at a later one. */
static size_t line_length(const wh_exchange *exchange) {
  static const char version[] = " HTTP/1.1";
  size_t end = (size_t)wh_slot_get32(exchange, WH_SLOT_TARGET_OFFSET) +
               wh_slot_get32(exchange, WH_SLOT_TARGET_LENGTH) + sizeof version - 1;
  return end > WH_SLOT_DATA && end <= exchange->slot_size ? end - WH_SLOT_DATA : 0;
}

/* Bytes that show what is at fault. */
static size_t find_bytes(const wh_http1 *session, wh_refusal reason, const uint8_t **bytes) {
  if (reason == WH_REFUSED_CHUNK && session->input != NULL) {
    *bytes = session->input;
    return (size_t)(session->input_end - session->input);
  }
  size_t length = find_field(session, field_of(reason), bytes);
  if (length == 0 && reason == WH_REFUSED_HEADER && session->state == STATE_FIELDS) {
    length = find_line(session, bytes);
    if (length > 0) length = first_line(*bytes, length);
  }
  const wh_exchange *exchange = session->parsing;
  if (length == 0 && exchange != NULL) {
    /* The request line, or as much of it as had come before this round. */
    *bytes = exchange->slot + WH_SLOT_DATA;
    length = first_line(*bytes, exchange->dispatched ? line_length(exchange) : session->raw_used);
  }
  if (length == 0 && session->input != NULL) {
    const uint8_t *start = session->input;
    while (start < session->input_end && (*start == '\r' || *start == '\n')) start++;
    *bytes = start;
    length = first_line(start, (size_t)(session->input_end - start));
  }
  return length;
}

static void describe(const void *user, wh_refusal reason, size_t most, wh_refused_request *out) {
  const wh_http1 *session = user;
  const wh_exchange *exchange = session->parsing;
  out->bytes = NULL;
  out->length = find_bytes(session, reason, &out->bytes);
  if (out->length > most) out->length = most;
  out->end = session->input == NULL ? NULL : session->input_end;
  out->since_us = exchange == NULL ? session->service->now_us : exchange->started_us;
  out->dispatched = exchange != NULL && exchange->dispatched;
}

void wh_http1_tell_refused(wh_http1 *session, wh_refusal reason) {
  wh_http_service *service = session->service;
  wh_refuser refuser = {session->connection, session, describe};
  service->refusals[reason]++;
  service->receiver->refused(service->user, &refuser, reason);
}
