/*
 * Files out: a part of a file as body of an answer. The connection has the system send it, so only the
 * framing is written here (RFC 9112 section 6).
 */
#include "base/error.h"
#include "http/http1_session.h"

/* The digits of a 64-bit size, and CRLF. */
#define CHUNK_LINE_SIZE 18U

static size_t put_chunk_line(uint8_t *out, uint64_t size) {
  unsigned digits = 1;
  while (digits < 16 && size >> (digits * 4) != 0) digits++;
  for (unsigned i = 0; i < digits; i++) {
    out[i] = (uint8_t) "0123456789abcdef"[size >> ((digits - 1 - i) * 4) & 15];
  }
  out[digits] = '\r';
  out[digits + 1] = '\n';
  return digits + 2;
}

void wh_http1_send_file(wh_http1 *session, wh_exchange *exchange, const wh_answer *answer) {
  wh_http_service *service = session->service;
  const wh_transport *transport = service->transport;
  uint64_t length = answer->content_length;
  if (length == 0 || exchange->head_only || exchange->no_body) {
    service->receiver->drop_file(service->user, answer->file);
    service->receiver->file_sent(service->user, exchange, WH_OK);
    return;
  }
  /* The application's side refuses what is too much; this is the second lock. */
  if (exchange->has_length && length > exchange->response_left) {
    service->receiver->drop_file(service->user, answer->file);
    transport->close(session->connection, 1);
    return;
  }
  if (exchange->has_length) exchange->response_left -= length;
  if (exchange->chunked) {
    uint8_t *line = transport->reserve(session->connection, CHUNK_LINE_SIZE);
    if (line == NULL) {
      service->receiver->drop_file(service->user, answer->file);
      return;
    }
    transport->commit(session->connection, put_chunk_line(line, length));
  }
  uint64_t token = (uint64_t)exchange->generation << 32 | exchange->index;
  transport->append_file(session->connection, answer->file, answer->file_offset, length, token);
  if (exchange->chunked) transport->append(session->connection, "\r\n", 2);
}
