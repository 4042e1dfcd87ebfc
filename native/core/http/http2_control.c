/* Frames that are no messages: SETTINGS, PING, windows, resets, priorities, GOAWAY. */
#include <string.h>

#include "http/http2_session.h"

/* --- SETTINGS --- */

#define SETTINGS_USUAL (32U * 6U) /* bytes: more than there are settings */

void wh_http2_greet(wh_http2 *session) {
  const wh_http2_limits *limits = &session->service->http2->limits;
  const struct {
    uint16_t id;
    uint32_t value, initial;
  } settings[] = {
      {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, limits->header_table, 4096},
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams, UINT32_MAX},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->stream_window, 65535},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits->frame_size, 16384},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, session->service->limits.headers_total_size,
       UINT32_MAX},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1, 0},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1, 0},
  };
  uint8_t payload[6 * sizeof settings / sizeof settings[0]];
  size_t used = 0;
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
    if (settings[i].value == settings[i].initial) continue;
    payload[used] = 0;
    payload[used + 1] = (uint8_t)settings[i].id;
    wh_http2_put32(payload + used + 2, settings[i].value);
    used += 6;
  }
  wh_http2_write_frame(session, NGHTTP2_SETTINGS, 0, 0, payload, used);
  session->unacknowledged = 1;
  session->receive_left = limits->connection_window;
  if (limits->connection_window > 65535) {
    wh_http2_put32(payload, limits->connection_window - 65535);
    wh_http2_write_frame(session, NGHTTP2_WINDOW_UPDATE, 0, 0, payload, 4);
  }
}

/* Another initial window: it moves all windows by the difference (section 6.9.2). */
static uint32_t set_window(wh_http2 *session, uint32_t value) {
  if (value > WH_HTTP2_WINDOW_MOST) return NGHTTP2_FLOW_CONTROL_ERROR;
  int64_t difference = (int64_t)value - session->peer_window;
  session->peer_window = value;
  for (wh_http2_stream *stream = session->first; stream != NULL; stream = stream->next) {
    stream->send_window += difference;
    if (stream->send_window > WH_HTTP2_WINDOW_MOST) return NGHTTP2_FLOW_CONTROL_ERROR;
    if (difference > 0)
      wh_http2_make_ready(stream);
    else if (stream->send_window <= 0 && stream->out_queued > 0)
      wh_http2_unready(stream); /* a ready stream can send: its window may be below 0 now */
  }
  return NGHTTP2_NO_ERROR;
}

static uint32_t set(wh_http2 *session, uint32_t id, uint32_t value) {
  switch (id) {
  case NGHTTP2_SETTINGS_HEADER_TABLE_SIZE: {
    uint32_t most = session->service->http2->limits.header_table;
    session->deflater_version++;
    return nghttp2_hd_deflate_change_table_size(session->deflater, value < most ? value : most) == 0
               ? NGHTTP2_NO_ERROR
               : NGHTTP2_INTERNAL_ERROR;
  }
  case NGHTTP2_SETTINGS_ENABLE_PUSH:
  case NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL:
    return value > 1 ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;
  case NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE: return set_window(session, value);
  case NGHTTP2_SETTINGS_MAX_FRAME_SIZE:
    if (value < 16384 || value > 16777215) return NGHTTP2_PROTOCOL_ERROR;
    return NGHTTP2_NO_ERROR; /* ours are as small as any may be */
  case NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES:
    /* RFC 9218 section 2.1: 0 or 1, and not another one later. */
    if (value > 1) return NGHTTP2_PROTOCOL_ERROR;
    if (session->priorities != 0 && session->priorities != value + 1) return NGHTTP2_PROTOCOL_ERROR;
    session->priorities = (uint8_t)(value + 1);
    return NGHTTP2_NO_ERROR;
  default:
    return NGHTTP2_NO_ERROR; /* streams of ours, lists of headers: we open none, and send few */
  }
}

uint32_t wh_http2_on_settings(wh_http2 *session, const uint8_t *payload, size_t length) {
  const wh_http2_reader *reader = &session->reader;
  if (reader->id != 0) return NGHTTP2_PROTOCOL_ERROR;
  if (reader->flags & NGHTTP2_FLAG_ACK) {
    if (length != 0) return NGHTTP2_FRAME_SIZE_ERROR;
    if (session->unacknowledged) {
      session->unacknowledged = 0;
      session->inflater_version++;
      nghttp2_hd_inflate_change_table_size(session->inflater,
                                           session->service->http2->limits.header_table);
    }
    return NGHTTP2_NO_ERROR;
  }
  if (length % 6 != 0) return NGHTTP2_FRAME_SIZE_ERROR;
  /* As much work as several frames is counted as several. */
  for (size_t at = SETTINGS_USUAL; at < length; at += SETTINGS_USUAL) {
    if (wh_http2_guard_count(session, WH_HTTP2_FLOOD_SETTINGS)) return NGHTTP2_ENHANCE_YOUR_CALM;
  }
  for (size_t at = 0; at < length; at += 6) {
    uint32_t id = (uint32_t)payload[at] << 8 | payload[at + 1];
    uint32_t code = set(session, id, wh_http2_get32(payload + at + 2));
    if (code != NGHTTP2_NO_ERROR) return code;
  }
  wh_http2_write_frame(session, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
  return NGHTTP2_NO_ERROR;
}

/* --- PING, GOAWAY --- */

uint32_t wh_http2_on_ping(wh_http2 *session, const uint8_t *payload, size_t length) {
  if (session->reader.id != 0) return NGHTTP2_PROTOCOL_ERROR;
  if (length != 8) return NGHTTP2_FRAME_SIZE_ERROR;
  if (session->reader.flags & NGHTTP2_FLAG_ACK)
    session->pinged = 0;
  else
    wh_http2_write_frame(session, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, payload, length);
  return NGHTTP2_NO_ERROR;
}

uint32_t wh_http2_on_goaway(wh_http2 *session, const uint8_t *payload, size_t length) {
  (void)payload;
  if (session->reader.id != 0) return NGHTTP2_PROTOCOL_ERROR;
  if (length < 8) return NGHTTP2_FRAME_SIZE_ERROR;
  session->leaving = 1;
  wh_http2_want_look(session);
  return NGHTTP2_NO_ERROR;
}

/* --- of streams --- */

/* The open stream of the frame; NULL with *code set, or where the frame is to be ignored. */
static wh_http2_stream *stream_of_frame(const wh_http2 *session, uint32_t *code) {
  int32_t id = session->reader.id;
  wh_http2_stream *stream = wh_http2_find(session, id);
  *code = stream == NULL && (id > session->last_id || id % 2 == 0) ? NGHTTP2_PROTOCOL_ERROR
                                                                   : NGHTTP2_NO_ERROR;
  return stream;
}

uint32_t wh_http2_on_rst_stream(wh_http2 *session, const uint8_t *payload, size_t length) {
  uint32_t code;
  (void)payload;
  if (session->reader.id == 0) return NGHTTP2_PROTOCOL_ERROR;
  if (length != 4) return NGHTTP2_FRAME_SIZE_ERROR;
  wh_http2_stream *stream = stream_of_frame(session, &code);
  if (stream == NULL) return code;
  stream->reset = 1;
  wh_http2_close_stream(stream);
  return NGHTTP2_NO_ERROR;
}

uint32_t wh_http2_on_window_update(wh_http2 *session, const uint8_t *payload, size_t length) {
  uint32_t code;
  if (length != 4) return NGHTTP2_FRAME_SIZE_ERROR;
  int64_t increment = wh_http2_get32(payload) & INT32_MAX;
  if (session->reader.id == 0) {
    if (increment == 0) return NGHTTP2_PROTOCOL_ERROR;
    session->send_window += increment;
    return session->send_window > WH_HTTP2_WINDOW_MOST ? NGHTTP2_FLOW_CONTROL_ERROR
                                                       : NGHTTP2_NO_ERROR;
  }
  wh_http2_stream *stream = stream_of_frame(session, &code);
  if (stream == NULL) return code;
  if (increment == 0) {
    wh_http2_fault(stream, NGHTTP2_PROTOCOL_ERROR);
    return NGHTTP2_NO_ERROR;
  }
  stream->send_window += increment;
  if (stream->send_window > WH_HTTP2_WINDOW_MOST) {
    wh_http2_fault(stream, NGHTTP2_FLOW_CONTROL_ERROR);
    return NGHTTP2_NO_ERROR;
  }
  wh_http2_make_ready(stream);
  return NGHTTP2_NO_ERROR;
}

/* --- priorities --- */

uint32_t wh_http2_on_priority(wh_http2 *session, const uint8_t *payload, size_t length) {
  int32_t id = session->reader.id;
  if (id == 0) return NGHTTP2_PROTOCOL_ERROR;
  if (length != 5) {
    wh_http2_stream *stream = wh_http2_find(session, id);
    if (stream == NULL) return NGHTTP2_FRAME_SIZE_ERROR;
    wh_http2_fault(stream, NGHTTP2_FRAME_SIZE_ERROR);
    return NGHTTP2_NO_ERROR;
  }
  /* RFC 9113 took the tree of priorities out; a stream that depends on itself is still a fault. */
  return (wh_http2_get32(payload) & INT32_MAX) == (uint32_t)id ? NGHTTP2_PROTOCOL_ERROR
                                                               : NGHTTP2_NO_ERROR;
}

void wh_http2_set_priority(wh_http2_stream *stream, const uint8_t *value, size_t length) {
  nghttp2_extpri priority = {.urgency = WH_HTTP2_URGENCY_DEFAULT}; /* of what is left out */
  if (nghttp2_extpri_parse_priority(&priority, value, length) != 0) return;
  /* The list that it is in is that of its urgency. */
  int listed = stream->listed;
  if (listed) wh_http2_unready(stream);
  stream->urgency =
      (uint8_t)(priority.urgency < WH_HTTP2_URGENCIES ? priority.urgency : WH_HTTP2_URGENCIES - 1);
  stream->incremental = priority.inc != 0;
  if (listed) wh_http2_make_ready(stream);
}

uint32_t wh_http2_on_priority_update(wh_http2 *session, const uint8_t *payload, size_t length) {
  if (session->reader.id != 0) return NGHTTP2_PROTOCOL_ERROR;
  if (length < 4) return NGHTTP2_FRAME_SIZE_ERROR;
  int32_t id = (int32_t)(wh_http2_get32(payload) & INT32_MAX);
  if (id == 0) return NGHTTP2_PROTOCOL_ERROR;
  wh_http2_stream *stream = wh_http2_find(session, id);
  if (stream == NULL) return NGHTTP2_NO_ERROR; /* closed, or not there yet: it may say so itself */
  wh_http2_set_priority(stream, payload + 4, length - 4);
  return NGHTTP2_NO_ERROR;
}
