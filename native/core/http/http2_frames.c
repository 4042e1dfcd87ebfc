/*
 * Frames in (RFC 9113 sections 4 and 6). A frame that is here whole, the usual case, is read where it
 * stands; the payload of one that comes in pieces is put together first, but for DATA, which is handed on
 * as it comes.
 */
#include <string.h>

#include "base/memory.h"
#include "http/http2_session.h"

/* --- header blocks --- */

static uint32_t append_block(wh_http2 *session, const uint8_t *fragment, size_t length) {
  wh_http2_block *block = &session->block;
  /* Huffman makes a block smaller than what it says, a table far more: this bounds what is kept. */
  if (wh_http2_section_is_endless(session, block->used + length)) return NGHTTP2_ENHANCE_YOUR_CALM;
  if (block->used + length > block->room) {
    size_t room = block->room * 2 + length;
    uint8_t *larger = wh_realloc(block->bytes, room);
    if (larger == NULL) return NGHTTP2_INTERNAL_ERROR;
    block->bytes = larger;
    block->room = room;
  }
  if (length > 0) memcpy(block->bytes + block->used, fragment, length);
  block->used += length;
  return NGHTTP2_NO_ERROR;
}

static void drop_block(wh_http2 *session) {
  wh_free(session->block.bytes);
  memset(&session->block, 0, sizeof session->block);
}

static uint32_t on_headers(wh_http2 *session, const uint8_t *payload, size_t length) {
  const wh_http2_reader *reader = &session->reader;
  size_t padding = 0;
  if (reader->flags & NGHTTP2_FLAG_PADDED) {
    if (length < 1) return NGHTTP2_FRAME_SIZE_ERROR;
    padding = *payload++;
    length--;
  }
  if (reader->flags & NGHTTP2_FLAG_PRIORITY) {
    if (length < 5) return NGHTTP2_FRAME_SIZE_ERROR;
    if ((wh_http2_get32(payload) & INT32_MAX) == (uint32_t)reader->id) {
      return NGHTTP2_PROTOCOL_ERROR; /* it depends on itself */
    }
    payload += 5;
    length -= 5;
  }
  if (padding > length) return NGHTTP2_PROTOCOL_ERROR;
  length -= padding;
  int end_stream = (reader->flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (reader->flags & NGHTTP2_FLAG_END_HEADERS) {
    return wh_http2_take_block(session, reader->id, payload, length, end_stream);
  }
  session->block.open = 1;
  session->block.id = reader->id;
  session->block.end_stream = end_stream != 0;
  return append_block(session, payload, length);
}

static uint32_t on_continuation(wh_http2 *session, const uint8_t *payload, size_t length) {
  uint32_t code = append_block(session, payload, length);
  if (code != NGHTTP2_NO_ERROR || !(session->reader.flags & NGHTTP2_FLAG_END_HEADERS)) return code;
  wh_http2_block block = session->block;
  memset(&session->block, 0, sizeof session->block);
  code = wh_http2_take_block(session, block.id, block.bytes, block.used, block.end_stream);
  wh_free(block.bytes);
  return code;
}

/* --- DATA --- */

/* The header of a DATA frame is here. 0, or the code of a connection error. */
static uint32_t begin_data(wh_http2 *session) {
  wh_http2_reader *reader = &session->reader;
  wh_http2_stream *stream = wh_http2_find(session, reader->id);
  reader->data = NULL;
  reader->padding = 0;
  if (reader->length > session->receive_left) return NGHTTP2_FLOW_CONTROL_ERROR;
  session->receive_left -= reader->length;
  if (stream == NULL) {
    return wh_http2_judge_closed(session, reader->id);
  }
  if (reader->length > stream->receive_left) return NGHTTP2_FLOW_CONTROL_ERROR;
  stream->receive_left -= reader->length;
  if (stream->remote_ended) {
    wh_http2_fault(stream, NGHTTP2_STREAM_CLOSED);
    return NGHTTP2_NO_ERROR;
  }
  if (reader->flags & NGHTTP2_FLAG_PADDED && reader->length == 0) return NGHTTP2_FRAME_SIZE_ERROR;
  reader->data = stream;
  return NGHTTP2_NO_ERROR;
}

/* Takes what there is of the payload of DATA. How many bytes, or 0 with *code set. */
static size_t take_data(wh_http2 *session, const uint8_t *data, size_t length, uint32_t *code) {
  wh_http2_reader *reader = &session->reader;
  size_t taken = 0;
  if (length > reader->left) length = reader->left;
  if (reader->flags & NGHTTP2_FLAG_PADDED && reader->left == reader->length && length > 0) {
    reader->padding = *data;
    if (reader->padding >= reader->length) {
      *code = NGHTTP2_PROTOCOL_ERROR;
      return 0;
    }
    if (reader->padding + 1 == reader->length) {
      *code = wh_http2_guard_empty(session);
      if (*code != NGHTTP2_NO_ERROR) return 0;
    }
    if (reader->data != NULL)
      wh_http2_consume(reader->data, reader->padding + 1U);
    else
      wh_http2_consume_connection(session, reader->padding + 1U);
    reader->left--;
    taken = 1;
    data++;
    length--;
  }
  size_t bytes = reader->left > reader->padding ? reader->left - reader->padding : 0;
  if (bytes > length) bytes = length;
  if (bytes > 0 && reader->data != NULL)
    wh_http2_on_data(reader->data, data, bytes);
  else if (bytes > 0)
    wh_http2_consume_connection(session,
                                bytes); /* the stream has gone, perhaps within this frame */
  reader->left -= (uint32_t)length;
  return taken + length;
}

static void end_data(wh_http2 *session) {
  wh_http2_reader *reader = &session->reader;
  wh_http2_stream *stream = reader->data;
  reader->data = NULL;
  if (stream != NULL && reader->flags & NGHTTP2_FLAG_END_STREAM) wh_http2_remote_end(stream);
}

/* --- any frame --- */

/* A frame's header is here. 0, or the code of a connection error. */
static uint32_t begin_frame(wh_http2 *session, const uint8_t *header) {
  wh_http2_reader *reader = &session->reader;
  reader->length = (uint32_t)header[0] << 16 | (uint32_t)header[1] << 8 | header[2];
  reader->type = header[3];
  reader->flags = header[4];
  reader->id = (int32_t)(wh_http2_get32(header + 5) & INT32_MAX);
  reader->left = reader->length;
  reader->in_payload = 1;
  reader->partial_used = 0;
  if (reader->length > session->service->http2->limits.frame_size) return NGHTTP2_FRAME_SIZE_ERROR;
  if (!reader->settled) {
    if (reader->type != NGHTTP2_SETTINGS || reader->flags & NGHTTP2_FLAG_ACK) {
      return NGHTTP2_PROTOCOL_ERROR; /* section 3.4 */
    }
    reader->settled = 1;
  }
  int continues = reader->type == NGHTTP2_CONTINUATION;
  if (continues != session->block.open || (continues && reader->id != session->block.id)) {
    return NGHTTP2_PROTOCOL_ERROR;
  }
  uint32_t code = wh_http2_guard_frame(session);
  if (code != NGHTTP2_NO_ERROR) return code;
  return reader->type == NGHTTP2_DATA ? begin_data(session) : NGHTTP2_NO_ERROR;
}

/* A frame whose payload is here whole. 0, or the code of a connection error. */
static uint32_t take_frame(wh_http2 *session, const uint8_t *payload, size_t length) {
  switch (session->reader.type) {
  case NGHTTP2_HEADERS: return on_headers(session, payload, length);
  case NGHTTP2_CONTINUATION: return on_continuation(session, payload, length);
  case NGHTTP2_PRIORITY: return wh_http2_on_priority(session, payload, length);
  case NGHTTP2_RST_STREAM: return wh_http2_on_rst_stream(session, payload, length);
  case NGHTTP2_SETTINGS: return wh_http2_on_settings(session, payload, length);
  case NGHTTP2_PUSH_PROMISE: return NGHTTP2_PROTOCOL_ERROR;
  case NGHTTP2_PING: return wh_http2_on_ping(session, payload, length);
  case NGHTTP2_GOAWAY: return wh_http2_on_goaway(session, payload, length);
  case NGHTTP2_WINDOW_UPDATE: return wh_http2_on_window_update(session, payload, length);
  case NGHTTP2_PRIORITY_UPDATE: return wh_http2_on_priority_update(session, payload, length);
  default: return NGHTTP2_NO_ERROR; /* section 5.5: ignored */
  }
}

/* Puts a payload together that comes in pieces. How many bytes were taken; 0 with *code set. */
static size_t gather(wh_http2 *session, const uint8_t *data, size_t length, uint32_t *code) {
  wh_http2_reader *reader = &session->reader;
  if (length > reader->left) length = reader->left;
  if (reader->partial_used == 0) {
    reader->partial = wh_alloc(reader->length);
    if (reader->partial == NULL) {
      *code = NGHTTP2_INTERNAL_ERROR;
      return 0;
    }
  }
  memcpy(reader->partial + reader->partial_used, data, length);
  reader->partial_used += (uint32_t)length;
  reader->left -= (uint32_t)length;
  if (reader->left > 0) return length;
  uint8_t *payload = reader->partial;
  reader->partial = NULL;
  reader->in_payload = 0;
  *code = take_frame(session, payload, reader->length);
  wh_free(payload);
  return length;
}

/* Takes the frame that is being read as far as it is here. How many bytes; *code: a connection error. */
static size_t take_payload(wh_http2 *session, const uint8_t *data, size_t length, uint32_t *code) {
  wh_http2_reader *reader = &session->reader;
  if (reader->type == NGHTTP2_DATA) {
    size_t taken = take_data(session, data, length, code);
    if (reader->left == 0 && *code == NGHTTP2_NO_ERROR && !session->over) {
      reader->in_payload = 0;
      end_data(session);
    }
    return taken;
  }
  if (reader->partial_used == 0 && length >= reader->left) {
    reader->in_payload = 0;
    *code = take_frame(session, data, reader->length);
    return reader->length;
  }
  return length == 0 ? 0 : gather(session, data, length, code);
}

static size_t take_header(wh_http2 *session, const uint8_t *data, size_t length, uint32_t *code) {
  wh_http2_reader *reader = &session->reader;
  if (reader->header_used == 0 && length >= WH_HTTP2_FRAME_HEADER) {
    *code = begin_frame(session, data);
    return WH_HTTP2_FRAME_HEADER;
  }
  size_t piece = WH_HTTP2_FRAME_HEADER - reader->header_used;
  if (piece > length) piece = length;
  memcpy(reader->header + reader->header_used, data, piece);
  reader->header_used = (uint8_t)(reader->header_used + piece);
  if (reader->header_used == WH_HTTP2_FRAME_HEADER) {
    reader->header_used = 0;
    *code = begin_frame(session, reader->header);
  }
  return piece;
}

/* The preface, or as much of it as is here. How many bytes; 0 with *code set. */
static size_t take_preface(wh_http2 *session, const uint8_t *data, size_t length, uint32_t *code) {
  wh_http2_reader *reader = &session->reader;
  size_t piece = WH_HTTP2_PREFACE_LENGTH - reader->preface_used;
  if (piece > length) piece = length;
  if (memcmp(WH_HTTP2_PREFACE + reader->preface_used, data, piece) != 0) {
    *code = NGHTTP2_PROTOCOL_ERROR;
    return 0;
  }
  reader->preface_used = (uint8_t)(reader->preface_used + piece);
  return piece;
}

void wh_http2_read_frames(wh_http2 *session, const uint8_t *data, size_t length) {
  const uint8_t *end = data + length;
  wh_http2_reader *reader = &session->reader;
  uint32_t code = NGHTTP2_NO_ERROR;
  while (!session->over) {
    size_t left = (size_t)(end - data);
    if (reader->preface_used < WH_HTTP2_PREFACE_LENGTH) {
      if (left == 0) break;
      data += take_preface(session, data, left, &code);
    } else if (reader->in_payload) {
      if (left == 0 && reader->left > 0) break;
      data += take_payload(session, data, left, &code);
    } else {
      if (left == 0) break;
      data += take_header(session, data, left, &code);
    }
    if (code != NGHTTP2_NO_ERROR) {
      drop_block(session);
      wh_http2_fail(session, code);
      return;
    }
  }
}
