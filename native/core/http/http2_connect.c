/*
 * CONNECT on HTTP/2: plain (RFC 9113 section 8.5) and extended (RFC 8441), which names the protocol that
 * its stream is to carry, such as websocket.
 *
 * As on HTTP/1.1 a 2xx that makes no tunnel is answered 405 in its place: client and server would disagree
 * about what the bytes behind it are.
 */
#include <string.h>

#include "http/characters.h"
#include "http/http2_session.h"

/* The longest name that the slot has room for. */
#define PROTOCOL_LENGTH_MOST 255U
#define PROTOCOL_OFFSET_BITS 24U

/* `protocol` of RFC 9110 section 7.8: a token, and a version behind a slash, which is one too. */
static int is_protocol(const uint8_t *name, size_t length) {
  size_t token = wh_scan_token(name, length);
  if (token == 0 || token == length) return token > 0;
  if (name[token] != '/') return 0;
  size_t rest = length - token - 1;
  return rest > 0 && wh_scan_token(name + token + 1, rest) == rest;
}

wh_refusal wh_http2_take_protocol(wh_http2_stream *stream) {
  wh_exchange *exchange = stream->exchange;
  uint32_t offset = stream->pseudo[WH_PSEUDO_PROTOCOL].offset;
  uint32_t length = stream->pseudo[WH_PSEUDO_PROTOCOL].length;
  wh_slot_set32(exchange, WH_SLOT_CONNECT_PROTOCOL, 0);
  if (!stream->extended) return WH_REFUSED_NOTHING;
  if (length > PROTOCOL_LENGTH_MOST || offset >> PROTOCOL_OFFSET_BITS != 0 ||
      !is_protocol(exchange->slot + offset, length)) {
    return WH_REFUSED_HEADER;
  }
  wh_slot_set32(exchange, WH_SLOT_CONNECT_PROTOCOL, offset | length << PROTOCOL_OFFSET_BITS);
  return WH_REFUSED_NOTHING;
}

/* The refusal takes the answer's place. */
static void refuse(wh_exchange *exchange, const wh_answer *answer, int is_whole) {
  wh_http2_stream *stream = exchange->owner;
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  if (answer->flags & WH_COMMAND_FLAG_PINNED) {
    service->receiver->release_pinned(service->user, answer->pinned_id);
  }
  if (is_whole) exchange->aborted = 1; /* nothing more is to come of its answer: nobody is told */
  wh_http2_refuse(stream, WH_REFUSED_CONNECT);
  wh_http2_send(session);
}

static void connect_respond(wh_exchange *exchange, const wh_answer *answer) {
  if (answer->status / 100 == 2)
    refuse(exchange, answer, 1);
  else
    wh_http2_protocol.respond(exchange, answer);
}

static void connect_start(wh_exchange *exchange, const wh_answer *answer) {
  if (answer->status / 100 == 2)
    refuse(exchange, answer, 0);
  else
    wh_http2_protocol.start(exchange, answer);
}

void wh_http2_prepare_connect(wh_http2_shared *shared) {
  shared->connect = wh_http2_protocol;
  shared->connect.respond = connect_respond;
  shared->connect.start = connect_start;
}
