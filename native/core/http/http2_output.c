/*
 * Frames out. What is not flow-controlled is written at once. Bodies are written while their windows and
 * the connection's queue have room: by urgency (RFC 9218), those of one urgency in turn where they are
 * incremental, one after the other where not.
 */
#include <string.h>

#include "base/error.h"
#include "http/http2_session.h"

/* A frame that a smaller window cut short does not call for opening it: see http2_guard.c. */
#define SMALL_WINDOW 256U

static uint8_t *put_header(uint8_t *out, size_t length, unsigned type, unsigned flags, int32_t id) {
  out[0] = (uint8_t)(length >> 16);
  out[1] = (uint8_t)(length >> 8);
  out[2] = (uint8_t)length;
  out[3] = (uint8_t)type;
  out[4] = (uint8_t)flags;
  wh_http2_put32(out + 5, (uint32_t)id);
  return out + WH_HTTP2_FRAME_HEADER;
}

void wh_http2_write_frame(wh_http2 *session, unsigned type, unsigned flags, int32_t id,
                          const uint8_t *payload, size_t length) {
  const wh_transport *transport = session->service->transport;
  if (session->over) return;
  uint8_t *out = transport->reserve(session->connection, WH_HTTP2_FRAME_HEADER + length);
  if (out == NULL) {
    session->over = 1; /* the connection is closed */
    return;
  }
  out = put_header(out, length, type, flags, id);
  if (length > 0) memcpy(out, payload, length);
  transport->commit(session->connection, WH_HTTP2_FRAME_HEADER + length);
}

void wh_http2_write_goaway(wh_http2 *session, int32_t last, uint32_t code) {
  uint8_t payload[8];
  wh_http2_put32(payload, (uint32_t)last);
  wh_http2_put32(payload + 4, code);
  wh_http2_write_frame(session, NGHTTP2_GOAWAY, 0, 0, payload, sizeof payload);
}

int wh_http2_write_headers(wh_http2 *session, int32_t id, const uint8_t *block, size_t block_length,
                           int end_stream, const uint8_t *body, size_t length) {
  const wh_transport *transport = session->service->transport;
  size_t frames = block_length / WH_HTTP2_FRAME_MOST + 2; /* and one of DATA */
  if (session->over) return -1;
  uint8_t *start = transport->reserve(session->connection,
                                      frames * WH_HTTP2_FRAME_HEADER + block_length + length);
  if (start == NULL) {
    session->over = 1;
    return -1;
  }
  uint8_t *out = start;
  unsigned type = NGHTTP2_HEADERS, flags = end_stream && body == NULL ? NGHTTP2_FLAG_END_STREAM : 0;
  do {
    size_t piece = block_length < WH_HTTP2_FRAME_MOST ? block_length : WH_HTTP2_FRAME_MOST;
    if (piece == block_length) flags |= NGHTTP2_FLAG_END_HEADERS;
    out = put_header(out, piece, type, flags, id);
    memcpy(out, block, piece);
    out += piece;
    block += piece;
    block_length -= piece;
    type = NGHTTP2_CONTINUATION;
    flags = 0;
  } while (block_length > 0);
  if (body != NULL) {
    out = put_header(out, length, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, id);
    memcpy(out, body, length);
    out += length;
  }
  transport->commit(session->connection, (size_t)(out - start));
  return 0;
}

/* --- the ready lists --- */

void wh_http2_make_ready(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  if (stream->listed || stream->closed || !stream->headed || stream->out_done) return;
  if (stream->out_queued == 0 ? !stream->out_ended : stream->send_window <= 0) return;
  uint8_t urgency = stream->urgency;
  stream->listed = 1;
  stream->ready_next = NULL;
  stream->ready_previous = session->ready_last[urgency];
  if (stream->ready_previous != NULL)
    stream->ready_previous->ready_next = stream;
  else
    session->ready[urgency] = stream;
  session->ready_last[urgency] = stream;
  session->ready_mask |= (uint8_t)(1U << urgency);
}

void wh_http2_unready(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  uint8_t urgency = stream->urgency;
  if (!stream->listed) return;
  stream->listed = 0;
  if (stream->ready_previous != NULL)
    stream->ready_previous->ready_next = stream->ready_next;
  else
    session->ready[urgency] = stream->ready_next;
  if (stream->ready_next != NULL)
    stream->ready_next->ready_previous = stream->ready_previous;
  else
    session->ready_last[urgency] = stream->ready_previous;
  if (session->ready[urgency] == NULL) session->ready_mask &= (uint8_t) ~(1U << urgency);
}

/* --- bodies --- */

/* The body is sent: the end, with trailers where there are any. The stream may be gone after. */
static void send_end(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  if (stream->out_trailers_length > 0) {
    wh_answer lines = {.head = stream->out_trailers, .head_length = stream->out_trailers_length};
    size_t length;
    const uint8_t *block = wh_http2_encode(session, 0, &lines, UINT64_MAX, &length);
    stream->out_trailers_length = 0;
    if (block == NULL) {
      wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
      return;
    }
    if (wh_http2_write_headers(session, stream->id, block, length, 1, NULL, 0) != 0) return;
  } else {
    wh_http2_write_frame(session, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, stream->id, NULL, 0);
    if (session->over) return;
    session->data_frames++;
  }
  wh_http2_answered(stream);
}

/* A frame of the body. The stream may be gone after. */
static void send_body(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  const wh_transport *transport = session->service->transport;
  uint64_t length = stream->out_queued;
  if (length > WH_HTTP2_FRAME_MOST) length = WH_HTTP2_FRAME_MOST;
  if ((int64_t)length > stream->send_window) length = (uint64_t)stream->send_window;
  if ((int64_t)length > session->send_window) length = (uint64_t)session->send_window;
  int cut = length < stream->out_queued && length < SMALL_WINDOW;
  int ends = length == stream->out_queued && stream->out_ended && stream->out_trailers_length == 0;
  uint8_t *out = transport->reserve(session->connection, WH_HTTP2_FRAME_HEADER + (size_t)length);
  if (out == NULL) {
    session->over = 1;
    return;
  }
  put_header(out, (size_t)length, NGHTTP2_DATA, ends ? NGHTTP2_FLAG_END_STREAM : 0, stream->id);
  if (wh_http2_take_bytes(stream, out + WH_HTTP2_FRAME_HEADER, (size_t)length) != WH_OK) {
    /* Nothing was committed: the client sees that its answer is cut. */
    wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    return;
  }
  transport->commit(session->connection, WH_HTTP2_FRAME_HEADER + (size_t)length);
  stream->send_window -= (int64_t)length;
  session->send_window -= (int64_t)length;
  session->data_bytes += WH_HTTP2_FRAME_HEADER + length;
  if (!cut) session->data_frames++;
  if (ends) {
    wh_http2_answered(stream);
  } else if (stream->out_queued == 0 && stream->out_ended) {
    send_end(stream);
  } else if (stream->out_queued == 0 || stream->send_window <= 0) {
    wh_http2_unready(stream);
  } else if (stream->incremental && stream->ready_next != NULL) {
    wh_http2_unready(stream);
    wh_http2_make_ready(stream); /* behind the others */
  }
}

/* What needs no window, while there is none: ends of bodies. */
static void send_ends(wh_http2 *session) {
  for (size_t urgency = 0; urgency < WH_HTTP2_URGENCIES; urgency++) {
    for (wh_http2_stream *stream = session->ready[urgency], *next; stream != NULL; stream = next) {
      next = stream->ready_next;
      if (stream->out_queued == 0) send_end(stream);
      if (session->over) return;
    }
  }
}

static void set_stalled(wh_http2 *session, int full) {
  int stalled = !full && session->out_queued > 0 && !session->over;
  if (stalled == session->stalled) return;
  session->stalled = stalled != 0;
  session->service->transport->stalled(session->connection, stalled);
}

void wh_http2_send(wh_http2 *session) {
  const wh_transport *transport = session->service->transport;
  if (session->over || session->in_reader) return;
  int full = 0;
  while (session->ready_mask != 0 && !session->over) {
    full = transport->is_full(session->connection);
    if (full) break;
    if (session->send_window <= 0) {
      send_ends(session);
      break;
    }
    wh_http2_stream *stream = session->ready[__builtin_ctz(session->ready_mask)];
    if (stream->out_queued == 0)
      send_end(stream);
    else
      send_body(stream);
  }
  if (session->over) return;
  if (full) transport->notify_room(session->connection);
  set_stalled(session, full);
}
