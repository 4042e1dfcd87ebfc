/*
 * What a client may not do for ever: frames that cost us something and it nothing are counted by kind,
 * ten seconds at a time, and too many of one kind end the connection with ENHANCE_YOUR_CALM (RFC 9113
 * section 10.5). The limits are far above what any client needs, and far below what hurts.
 *
 * Here too: stream ids that are lower than one already used (section 5.1.1).
 */
#include "http/http2_session.h"

/* Header sections that exceed their limit by no more than this and the limit itself get a 431. */
#define SECTION_SPARE 65536U
/* CONTINUATION of fewer bytes that is not the last one: nobody cuts a header block like that. */
#define SMALL_CONTINUATION 128U

/* A client does that for ever: it is counted and told once; the caller ends the connection. */
static void trip(wh_http2 *session, wh_http2_flood kind) {
  wh_http_service *service = session->service;
  if (session->guard.tripped) return;
  session->guard.tripped = 1;
  service->http2->floods[kind]++;
  service->receiver->flooded(service->user, session->connection, kind, session->input_end);
}

int wh_http2_guard_count(wh_http2 *session, wh_http2_flood kind) {
  wh_http2_guard *guard = &session->guard;
  wh_http2_shared *shared = session->service->http2;
  uint64_t now = session->service->now_us;
  if (now - guard->since_us > WH_HTTP2_FLOOD_WINDOW * UINT64_C(1000)) {
    guard->since_us = now;
    session->data_frames = 0;
    for (size_t i = 0; i < WH_HTTP2_FLOOD_COUNT; i++) guard->counts[i] = 0;
  }
  uint64_t most = shared->limits.floods[kind];
  /* A client opens two windows for each DATA that it takes, and some do it in small steps. */
  if (kind == WH_HTTP2_FLOOD_WINDOW_UPDATES) most += session->data_frames * 8;
  if (++guard->counts[kind] <= most || most >= UINT32_MAX) return 0;
  trip(session, kind);
  return 1;
}

uint32_t wh_http2_guard_empty(wh_http2 *session) {
  if (session->reader.flags & NGHTTP2_FLAG_END_STREAM) return NGHTTP2_NO_ERROR;
  return wh_http2_guard_count(session, WH_HTTP2_FLOOD_EMPTY_FRAMES) ? NGHTTP2_ENHANCE_YOUR_CALM
                                                                    : NGHTTP2_NO_ERROR;
}

int wh_http2_section_is_endless(wh_http2 *session, uint64_t size) {
  if (size <= (uint64_t)session->service->limits.headers_total_size * 2 + SECTION_SPARE) return 0;
  trip(session, WH_HTTP2_FLOOD_HEADER_BLOCKS);
  return 1;
}

void wh_http2_note_reset(wh_http2 *session, int32_t id) {
  wh_http2_guard *guard = &session->guard;
  guard->resets[guard->reset_place++ % WH_HTTP2_RESETS] = id;
}

int wh_http2_was_reset(const wh_http2 *session, int32_t id) {
  for (size_t i = 0; i < WH_HTTP2_RESETS; i++) {
    if (session->guard.resets[i] == id) return 1;
  }
  return 0;
}

/* Remembers that the client has gone from one stream id to another that is not the next. */
static void note_skip(wh_http2_guard *guard, int32_t from, int32_t to) {
  if (guard->skip_count == WH_HTTP2_SKIPS)
    return; /* which of the two codes it gets does not matter */
  guard->skips[guard->skip_count].from = from;
  guard->skips[guard->skip_count].to = to;
  guard->skip_count++;
}

static int was_skipped(const wh_http2_guard *guard, int32_t id) {
  for (size_t i = 0; i < guard->skip_count; i++) {
    if (id > guard->skips[i].from && id < guard->skips[i].to) return 1;
  }
  return 0;
}

void wh_http2_note_id(wh_http2 *session, int32_t id) {
  if (id > session->last_id + 2 && (session->last_id > 0 || id > 1)) {
    note_skip(&session->guard, session->last_id, id);
  }
  session->last_id = id;
}

uint32_t wh_http2_judge_closed(const wh_http2 *session, int32_t id) {
  if (id == 0 || id % 2 == 0 || id > session->last_id) return NGHTTP2_PROTOCOL_ERROR;
  /* Frames for a stream that we have reset may come until the client knows. */
  if (wh_http2_was_reset(session, id)) return NGHTTP2_NO_ERROR;
  return was_skipped(&session->guard, id) ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_STREAM_CLOSED;
}

/* HEADERS: 0, or the code of a connection error. */
static uint32_t judge_headers(wh_http2 *session) {
  int32_t id = session->reader.id;
  session->block_since_us = session->service->now_us;
  if (id % 2 == 0) return NGHTTP2_PROTOCOL_ERROR;
  if (id > session->last_id) return NGHTTP2_NO_ERROR;
  const wh_http2_stream *stream = wh_http2_find(session, id);
  if (stream != NULL) return stream->remote_ended ? NGHTTP2_STREAM_CLOSED : NGHTTP2_NO_ERROR;
  uint32_t code = wh_http2_judge_closed(session, id);
  /* Trailers of a stream that we have reset are to be expected, but not for ever. */
  if (code == NGHTTP2_NO_ERROR && wh_http2_guard_count(session, WH_HTTP2_FLOOD_RESETS)) {
    return NGHTTP2_ENHANCE_YOUR_CALM;
  }
  return code;
}

/* Whether the client has had its time to acknowledge our SETTINGS (RFC 9113 section 6.5.3). */
static int is_unsettled(wh_http2 *session) {
  const wh_http2_reader *reader = &session->reader;
  uint32_t most = session->service->http2->limits.settings_timeout;
  if (reader->type == NGHTTP2_SETTINGS && reader->flags & NGHTTP2_FLAG_ACK) return 0;
  if (most == UINT32_MAX ||
      session->service->now_us - session->opened_us <= most * UINT64_C(1000)) {
    return 0;
  }
  trip(session, WH_HTTP2_FLOOD_UNACKNOWLEDGED);
  return 1;
}

uint32_t wh_http2_guard_frame(wh_http2 *session) {
  const wh_http2_reader *reader = &session->reader;
  wh_http2_flood kind;
  if (session->unacknowledged && is_unsettled(session)) return NGHTTP2_SETTINGS_TIMEOUT;
  switch (reader->type) {
  case NGHTTP2_HEADERS: return judge_headers(session);
  case NGHTTP2_DATA: return reader->length > 0 ? NGHTTP2_NO_ERROR : wh_http2_guard_empty(session);
  case NGHTTP2_CONTINUATION:
    if (reader->length > 0 &&
        (reader->length >= SMALL_CONTINUATION || reader->flags & NGHTTP2_FLAG_END_HEADERS)) {
      return NGHTTP2_NO_ERROR;
    }
    kind = WH_HTTP2_FLOOD_EMPTY_FRAMES;
    break;
  case NGHTTP2_RST_STREAM: kind = WH_HTTP2_FLOOD_RESETS; break;
  case NGHTTP2_PING: kind = WH_HTTP2_FLOOD_PINGS; break;
  case NGHTTP2_SETTINGS: kind = WH_HTTP2_FLOOD_SETTINGS; break;
  case NGHTTP2_PRIORITY:
  case NGHTTP2_PRIORITY_UPDATE: kind = WH_HTTP2_FLOOD_PRIORITIES; break;
  case NGHTTP2_WINDOW_UPDATE: kind = WH_HTTP2_FLOOD_WINDOW_UPDATES; break;
  case NGHTTP2_PUSH_PROMISE: return NGHTTP2_NO_ERROR;
  default: kind = WH_HTTP2_FLOOD_UNKNOWN_FRAMES; break; /* GOAWAY too: one is enough */
  }
  return wh_http2_guard_count(session, kind) ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_NO_ERROR;
}

void wh_http2_fault(wh_http2_stream *stream, uint32_t code) {
  wh_http2 *session = stream->session;
  if (wh_http2_guard_count(session, WH_HTTP2_FLOOD_RESETS))
    wh_http2_fail(session, NGHTTP2_ENHANCE_YOUR_CALM);
  else
    wh_http2_reset(stream, code);
}
