/* A session's life: its engine, what comes, what goes, and how it ends. */
#include "http/http2.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "http/http2_session.h"

#define KEPT_STREAMS 256 /* streams kept for reuse */

const char *const wh_http2_flood_names[WH_HTTP2_FLOOD_COUNT] = {
#define WH_HTTP2_FLOOD_NAME(constant, name) name,
    WH_HTTP2_FLOODS(WH_HTTP2_FLOOD_NAME)
#undef WH_HTTP2_FLOOD_NAME
};

/* --- streams --- */

static wh_http2_stream *stream_of(wh_http2 *session, int32_t id) {
  return nghttp2_session_get_stream_user_data(session->engine, id);
}

static void free_stream(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  wh_http2_shared *shared = session->service->http2;
  if (session->receiving == stream) session->receiving = NULL;
  if (session->sending == stream) session->sending = NULL;
  if (stream->previous != NULL)
    stream->previous->next = stream->next;
  else
    session->first = stream->next;
  if (stream->next != NULL)
    stream->next->previous = stream->previous;
  else
    session->last = stream->previous;
  session->streams--;
  wh_free(stream->trailers);
  wh_free(stream->out_trailers);
  if (shared->free_stream_count < KEPT_STREAMS) {
    stream->next = shared->free_streams;
    shared->free_streams = stream;
    shared->free_stream_count++;
  } else {
    wh_free(stream);
  }
}

void wh_http2_reset(wh_http2_stream *stream, uint32_t code) {
  if (stream->reset) return;
  stream->reset = 1;
  wh_http2_await(stream, 0);
  wh_http2_drop_out(stream);
  wh_http2_note_reset(stream->session, stream->id);
  nghttp2_submit_rst_stream(stream->session->engine, NGHTTP2_FLAG_NONE, stream->id, code);
  wh_http2_want_look(stream->session);
}

void wh_http2_await(wh_http2_stream *stream, int on) {
  wh_http2 *session = stream->session;
  if (stream->awaited == (on != 0)) return;
  stream->awaited = on != 0;
  uint32_t before = session->reading;
  session->reading = on ? before + 1 : before - 1;
  if ((before == 0) != (session->reading == 0)) {
    session->service->transport->awaits(session->connection, on);
  }
}

uint8_t *wh_http2_scratch(wh_http2 *session, size_t size) {
  wh_http2_shared *shared = session->service->http2;
  if (shared->scratch_size < size) {
    uint8_t *larger = wh_realloc(shared->scratch, size + 1024);
    if (larger == NULL) return NULL;
    shared->scratch = larger;
    shared->scratch_size = size + 1024;
  }
  return shared->scratch;
}

/* --- what the engine tells --- */

static int on_begin_frame(nghttp2_session *engine, const nghttp2_frame_hd *hd, void *user) {
  wh_http2 *session = user;
  (void)engine;
  uint32_t code = wh_http2_guard_frame(session, hd);
  if (code == NGHTTP2_NO_ERROR) return 0;
  wh_http2_fail(session, code);
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_frame_recv(nghttp2_session *engine, const nghttp2_frame *frame, void *user) {
  wh_http2 *session = user;
  (void)engine;
  if (frame->hd.type == NGHTTP2_HEADERS) {
    wh_http2_head_complete(session, frame);
  } else if (frame->hd.type == NGHTTP2_DATA) {
    wh_http2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream != NULL && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) wh_http2_remote_end(stream);
  } else if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK) {
    session->pinged = 0;
  }
  return session->over ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame_send(nghttp2_session *engine, const nghttp2_frame *frame, void *user) {
  wh_http2 *session = user;
  (void)engine;
  if (frame->hd.type == NGHTTP2_DATA)
    session->data_frames++;
  else if (frame->hd.type != NGHTTP2_HEADERS)
    return 0;
  if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
  wh_http2_stream *stream = stream_of(session, frame->hd.stream_id);
  if (stream != NULL) wh_http2_answered(stream);
  return 0;
}

static int on_stream_close(nghttp2_session *engine, int32_t id, uint32_t code, void *user) {
  wh_http2 *session = user;
  wh_http2_stream *stream = stream_of(session, id);
  (void)engine;
  if (stream == NULL) return 0;
  wh_http2_want_look(session);
  if (code == NGHTTP2_NO_ERROR && stream->out_done && wh_http2_has_rest(stream)) {
    stream->detached = 1;
    return 0;
  }
  wh_http2_cut(stream);
  free_stream(stream);
  return 0;
}

int wh_http2_prepare(wh_http_service *service, const wh_http2_limits *limits) {
  wh_http2_shared *shared = wh_zalloc(sizeof *shared);
  if (shared == NULL) return WH_ERR_NO_MEMORY;
  service->http2 = shared;
  shared->limits = *limits;
  shared->heads.numbers = &service->head_numbers;
  if (nghttp2_session_callbacks_new(&shared->callbacks) != 0 ||
      nghttp2_option_new(&shared->options) != 0) {
    return WH_ERR_NO_MEMORY;
  }
  nghttp2_session_callbacks *callbacks = shared->callbacks;
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, wh_http2_on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, wh_http2_on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, wh_http2_on_data);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks,
                                                               wh_http2_on_invalid_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, wh_http2_on_send_data);
  nghttp2_option *options = shared->options;
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_option_set_no_http_messaging(options, 1); /* we are stricter, and answer 431 ourselves */
  nghttp2_option_set_no_closed_streams(options, 1);
  nghttp2_option_set_builtin_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
  nghttp2_option_set_max_send_header_block_length(options, 16U << 20);
  nghttp2_option_set_max_deflate_dynamic_table_size(options, limits->header_table);
  /* Ours count these: http2_guard.c. */
  nghttp2_option_set_stream_reset_rate_limit(options, UINT64_MAX, UINT64_MAX);
  nghttp2_option_set_max_continuations(options, SIZE_MAX);
  return WH_OK;
}

void wh_http2_unprepare(wh_http_service *service) {
  wh_http2_shared *shared = service->http2;
  if (shared == NULL) return;
  while (shared->free_streams != NULL) {
    wh_http2_stream *stream = shared->free_streams;
    shared->free_streams = stream->next;
    wh_free(stream);
  }
  nghttp2_session_callbacks_del(shared->callbacks);
  nghttp2_option_del(shared->options);
  wh_free(shared->scratch);
  wh_free(shared->fields);
  wh_free(shared);
  service->http2 = NULL;
}

const uint64_t *wh_http2_floods(const wh_http_service *service) { return service->http2->floods; }

/* --- life --- */

/*
 * Streams that the engine takes before it calls one too many a connection error. Ours refuses the
 * stream alone (RFC 9113 section 5.1.2), so the engine's limit is out of reach, and the client is told
 * the real one: see greet.
 */
static uint32_t engine_streams(const wh_http2_limits *limits) {
  return limits->streams > UINT32_MAX / 4 ? UINT32_MAX / 2 : limits->streams * 2 + 1000;
}

static int submit_settings(wh_http2 *session) {
  const wh_http2_limits *limits = &session->service->http2->limits;
  nghttp2_settings_entry entries[7] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, engine_streams(limits)},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, session->service->limits.headers_total_size},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  size_t count = 5;
  if (limits->header_table != 4096) {
    entries[count++] =
        (nghttp2_settings_entry){NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, limits->header_table};
  }
  if (limits->frame_size != 16384) {
    entries[count++] =
        (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits->frame_size};
  }
  if (nghttp2_submit_settings(session->engine, NGHTTP2_FLAG_NONE, entries, count) != 0) return -1;
  return nghttp2_session_set_local_window_size(session->engine, NGHTTP2_FLAG_NONE, 0,
                                               (int32_t)limits->connection_window);
}

wh_http2 *wh_http2_open(wh_http_service *service, void *connection, uint64_t number,
                        uint32_t *requests) {
  wh_http2 *session = wh_zalloc(sizeof *session);
  if (session == NULL) return NULL;
  session->service = service;
  session->connection = connection;
  session->number = number;
  session->requests = requests;
  session->secure = service->transport->is_secure(connection) & 1;
  session->guard.since_us = service->now_us;
  if (nghttp2_session_server_new2(&session->engine, service->http2->callbacks, session,
                                  service->http2->options) != 0) {
    wh_free(session);
    return NULL;
  }
  if (submit_settings(session) != 0) {
    wh_http2_close(session);
    return NULL;
  }
  wh_http2_send(session);
  return session;
}

void wh_http2_close(wh_http2 *session) {
  session->over = 1;
  while (session->first != NULL) {
    wh_http2_stream *stream = session->first;
    wh_http2_cut(stream);
    free_stream(stream);
  }
  nghttp2_session_del(session->engine);
  wh_free(session);
}

wh_http2_phase wh_http2_phase_of(const wh_http2 *session) {
  if (session->over) return WH_HTTP2_OVER;
  if (session->streams > (session->receiving != NULL ? 1U : 0U)) return WH_HTTP2_BUSY;
  return session->in_block ? WH_HTTP2_HEAD : WH_HTTP2_IDLE;
}

int wh_http2_is_stalled(const wh_http2 *session) { return session->stalled; }
uint64_t wh_http2_body_bytes(const wh_http2 *session) { return session->body_bytes; }

void wh_http2_want_look(wh_http2 *session) {
  if (session->wants_look || session->over) return;
  session->wants_look = 1;
  session->service->transport->look(session->connection);
}

/* --- out --- */

/* Everything that is sent ends the connection: nothing is read any more. */
static void finish(wh_http2 *session) {
  if (session->over) return;
  session->over = 1;
  session->service->transport->finish(session->connection, 1);
}

void wh_http2_fail(wh_http2 *session, uint32_t code) {
  if (session->over) return;
  uint32_t last = (uint32_t)nghttp2_session_get_last_proc_stream_id(session->engine);
  /* Not by the engine: its own callback may be what found the fault. */
  const uint8_t goaway[17] = {0,
                              0,
                              8,
                              NGHTTP2_GOAWAY,
                              0,
                              0,
                              0,
                              0,
                              0,
                              (uint8_t)(last >> 24),
                              (uint8_t)(last >> 16),
                              (uint8_t)(last >> 8),
                              (uint8_t)last,
                              (uint8_t)(code >> 24),
                              (uint8_t)(code >> 16),
                              (uint8_t)(code >> 8),
                              (uint8_t)code};
  session->service->transport->append(session->connection, goaway, sizeof goaway);
  finish(session);
}

/* Our first SETTINGS, with the limit of streams that we mean: see engine_streams. */
static void greet(wh_http2 *session, uint8_t *frame, size_t length) {
  uint32_t streams = session->service->http2->limits.streams;
  session->greeted = 1;
  for (size_t at = 9; at + 6 <= length; at += 6) {
    if (frame[at] != 0 || frame[at + 1] != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) continue;
    for (int i = 0; i < 4; i++) frame[at + 2 + i] = (uint8_t)(streams >> (24 - 8 * i));
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
  if (session->over || session->in_engine) return;
  session->in_engine = 1;
  int full = 0;
  while (!(full = transport->is_full(session->connection))) {
    const uint8_t *data;
    nghttp2_ssize length = nghttp2_session_mem_send2(session->engine, &data);
    if (length == 0) break;
    uint8_t *out = length > 0 ? transport->reserve(session->connection, (size_t)length) : NULL;
    if (out == NULL) {
      session->in_engine = 0;
      session->over = 1;
      transport->close(session->connection, 1);
      return;
    }
    memcpy(out, data, (size_t)length);
    if (!session->greeted) greet(session, out, (size_t)length);
    transport->commit(session->connection, (size_t)length);
  }
  session->in_engine = 0;
  /* A frame of DATA can have filled the queue, too. */
  if (transport->is_full(session->connection)) {
    full = 1;
    transport->notify_room(session->connection);
  }
  set_stalled(session, full);
  int done =
      !nghttp2_session_want_read(session->engine) && !nghttp2_session_want_write(session->engine);
  if (done || ((session->eof || session->ending) && session->streams == 0 && !full &&
               !nghttp2_session_want_write(session->engine))) {
    finish(session);
  }
}

void wh_http2_room(wh_http2 *session) {
  wh_http2_send(session);
  wh_http2_want_look(session);
}

void wh_http2_look(wh_http2 *session) {
  wh_http_service *service = session->service;
  session->wants_look = 0;
  if (session->over) return;
  for (wh_http2_stream *stream = session->first, *next; stream != NULL; stream = next) {
    wh_exchange *exchange = stream->exchange;
    next = stream->next;
    if (exchange == NULL || !exchange->dispatched) continue;
    if (stream->in_first != NULL || stream->remote_ended) {
      if (!wh_http2_deliver(stream)) wh_http2_want_look(session); /* no room in the arena now */
    }
    if (exchange->room_wanted && !exchange->released &&
        (stream->out_queued == 0 || stream->out_queued < service->limits.response_low)) {
      exchange->room_wanted = 0;
      service->receiver->room(service->user, exchange);
    }
    if (stream->detached && !wh_http2_has_rest(stream)) {
      wh_http2_cut(stream);
      free_stream(stream);
    }
  }
  wh_http2_send(session);
}

/* --- in --- */

/* The client has ended its side: streams whose requests are complete are answered still. */
static void receive_end(wh_http2 *session) {
  session->eof = 1;
  for (wh_http2_stream *stream = session->first; stream != NULL; stream = stream->next) {
    if (!stream->remote_ended) wh_http2_reset(stream, NGHTTP2_CANCEL);
  }
  wh_http2_send(session);
  if (session->streams == 0) finish(session);
}

void wh_http2_receive(wh_http2 *session, uint8_t *data, size_t length) {
  if (session->over) return;
  if (length == 0) {
    receive_end(session);
    return;
  }
  session->in_engine = 1;
  session->input_end = data + length;
  nghttp2_ssize taken = nghttp2_session_mem_recv2(session->engine, data, length);
  session->in_engine = 0;
  session->input_end = NULL;
  if (session->over) return;
  if (taken < 0) {
    uint32_t code = taken == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM
                    : taken == NGHTTP2_ERR_NOMEM || taken == NGHTTP2_ERR_CALLBACK_FAILURE
                        ? NGHTTP2_INTERNAL_ERROR
                        : NGHTTP2_PROTOCOL_ERROR;
    wh_http2_fail(session, code);
    return;
  }
  wh_http2_send(session);
}

/* --- ends --- */

void wh_http2_body_timeout(wh_http2 *session) {
  for (wh_http2_stream *stream = session->first, *next; stream != NULL; stream = next) {
    next = stream->next;
    if (stream->awaited) wh_http2_refuse(stream, WH_REFUSED_BODY_TIMEOUT);
  }
  wh_http2_send(session);
}

void wh_http2_end_slow(wh_http2 *session) { wh_http2_fail(session, NGHTTP2_ENHANCE_YOUR_CALM); }

void wh_http2_end_idle(wh_http2 *session) {
  if (session->over) return;
  session->ending = 1;
  nghttp2_session_terminate_session(session->engine, NGHTTP2_NO_ERROR);
  wh_http2_send(session);
  finish(session);
}

void wh_http2_stop(wh_http2 *session, int late) {
  if (session->over) return;
  if (!session->noticed) {
    session->noticed = 1;
    nghttp2_submit_shutdown_notice(session->engine);
  }
  if (late && !session->ending) {
    session->ending = 1;
    nghttp2_submit_goaway(session->engine, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session->engine),
                          NGHTTP2_NO_ERROR, NULL, 0);
  }
  wh_http2_send(session);
}

void wh_http2_ping(wh_http2 *session) {
  if (session->over || nghttp2_submit_ping(session->engine, NGHTTP2_FLAG_NONE, NULL) != 0) return;
  session->pinged = 1;
  wh_http2_send(session);
}

int wh_http2_ping_awaited(const wh_http2 *session) { return session->pinged; }
