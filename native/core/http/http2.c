/* A session's life: how it begins, what it looks after, how it ends. */
#include "http/http2.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "http/http2_session.h"

const char *const wh_http2_flood_names[WH_HTTP2_FLOOD_COUNT] = {
#define WH_HTTP2_FLOOD_NAME(constant, name) name,
    WH_HTTP2_FLOODS(WH_HTTP2_FLOOD_NAME)
#undef WH_HTTP2_FLOOD_NAME
};

/* --- what sessions share --- */

static void *hpack_alloc(size_t size, void *user) {
  (void)user;
  return wh_alloc(size);
}
static void hpack_free(void *memory, void *user) {
  (void)user;
  wh_free(memory);
}
static void *hpack_calloc(size_t count, size_t size, void *user) {
  (void)user;
  return size > 0 && count > SIZE_MAX / size ? NULL : wh_zalloc(count * size);
}
static void *hpack_realloc(void *memory, size_t size, void *user) {
  (void)user;
  return wh_realloc(memory, size);
}

int wh_http2_prepare(wh_http_service *service, const wh_http2_limits *limits) {
  wh_http2_shared *shared = wh_zalloc(sizeof *shared);
  if (shared == NULL) return WH_ERR_NO_MEMORY;
  service->http2 = shared;
  shared->limits = *limits;
  shared->heads.numbers = &service->head_numbers;
  wh_http2_prepare_connect(shared);
  shared->memory = (nghttp2_mem){NULL, hpack_alloc, hpack_free, hpack_calloc, hpack_realloc};
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
  wh_free(shared->scratch);
  wh_free(shared->block);
  wh_free(shared->fields);
  wh_free(shared);
  service->http2 = NULL;
}

const uint64_t *wh_http2_floods(const wh_http_service *service) { return service->http2->floods; }

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

/* --- life --- */

wh_http2 *wh_http2_open(wh_http_service *service, void *connection, uint64_t number,
                        uint32_t *requests) {
  wh_http2 *session = wh_zalloc(sizeof *session);
  if (session == NULL) return NULL;
  session->service = service;
  session->connection = connection;
  session->number = number;
  session->requests = requests;
  session->secure = service->transport->is_secure(connection) & 1;
  session->guard.since_us = session->opened_us = service->now_us;
  session->send_window = session->peer_window = 65535;
  if (wh_http2_open_hpack(session) != 0) {
    wh_http2_close(session);
    return NULL;
  }
  wh_http2_greet(session);
  return session;
}

void wh_http2_close(wh_http2 *session) {
  session->over = 1;
  while (session->first != NULL) wh_http2_close_stream(session->first);
  wh_http2_close_hpack(session);
  wh_free(session->reader.partial);
  wh_free(session->block.bytes);
  wh_free(session);
}

wh_http2_phase wh_http2_phase_of(const wh_http2 *session) {
  if (session->over) return WH_HTTP2_OVER;
  /* Which holds up all that the client has to say of its other streams. */
  if (session->block.open ||
      (session->reader.in_payload && session->reader.type == NGHTTP2_HEADERS)) {
    return WH_HTTP2_HEAD;
  }
  if (session->streams > session->draining) return WH_HTTP2_BUSY;
  return session->draining > 0 ? WH_HTTP2_DRAIN : WH_HTTP2_IDLE;
}

int wh_http2_has_requests(const wh_http2 *session) { return session->streams > 0; }
uint64_t wh_http2_block_age(const wh_http2 *session) {
  return session->service->now_us - session->block_since_us;
}

int wh_http2_is_stalled(const wh_http2 *session) { return session->stalled; }
uint64_t wh_http2_body_bytes(const wh_http2 *session) { return session->body_bytes; }
uint64_t wh_http2_data_bytes(const wh_http2 *session) { return session->data_bytes; }

void wh_http2_want_look(wh_http2 *session) {
  if (session->wants_look || session->over) return;
  session->wants_look = 1;
  session->service->transport->look(session->connection);
}

/* Everything that is sent ends the connection: nothing is read any more. */
static void finish(wh_http2 *session) {
  if (session->over) return;
  session->over = 1;
  session->service->transport->finish(session->connection, 1);
}

void wh_http2_fail(wh_http2 *session, uint32_t code) {
  if (session->over) return;
  wh_http2_write_goaway(session, session->last_taken, code);
  finish(session);
}

void wh_http2_end_drain(wh_http2 *session) {
  for (wh_http2_stream *stream = session->first, *next; stream != NULL; stream = next) {
    next = stream->next;
    if (stream->draining) wh_http2_reset(stream, NGHTTP2_NO_ERROR);
  }
}

/* Nothing runs any more, and nothing is to come. */
static void finish_if_done(wh_http2 *session) {
  if (session->over || session->streams > session->draining || session->in_reader) return;
  if (!session->eof && !session->ending && !session->leaving) return;
  wh_http2_end_drain(session);
  if (!session->ending) wh_http2_write_goaway(session, session->last_taken, NGHTTP2_NO_ERROR);
  finish(session);
}

void wh_http2_room(wh_http2 *session) {
  wh_http2_send(session);
  wh_http2_want_look(session);
}

/* Looks after one stream; it may be gone after. */
static void look_at(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  wh_exchange *exchange = stream->exchange;
  if (exchange == NULL || !exchange->dispatched) return;
  if (stream->in_first != NULL || stream->remote_ended) {
    if (!wh_http2_deliver(stream)) wh_http2_want_look(session); /* no room in the arena now */
  }
  uint64_t low = service->limits.response_low;
  if (exchange->room_wanted && !exchange->released &&
      (stream->out_queued == 0 || stream->out_queued < low)) {
    exchange->room_wanted = 0;
    service->receiver->room(service->user, exchange);
  }
  if (stream->closed && !wh_http2_has_rest(stream)) wh_http2_close_stream(stream);
}

void wh_http2_look(wh_http2 *session) {
  session->wants_look = 0;
  if (session->over) return;
  for (wh_http2_stream *stream = session->first, *next; stream != NULL; stream = next) {
    next = stream->next;
    look_at(stream);
  }
  wh_http2_send(session);
  finish_if_done(session);
}

/* The client has ended its side: streams whose requests are complete are answered still. */
static void receive_end(wh_http2 *session) {
  session->eof = 1;
  for (wh_http2_stream *stream = session->first, *next; stream != NULL; stream = next) {
    next = stream->next;
    if (!stream->remote_ended) wh_http2_reset(stream, NGHTTP2_CANCEL);
  }
}

void wh_http2_receive(wh_http2 *session, uint8_t *data, size_t length) {
  if (session->over) return;
  if (length == 0) {
    receive_end(session);
  } else {
    session->in_reader = 1;
    session->input_end = data + length;
    wh_http2_read_frames(session, data, length);
    session->input_end = NULL;
    session->in_reader = 0;
  }
  wh_http2_send(session);
  finish_if_done(session);
}

/* --- ends --- */

void wh_http2_body_timeout(wh_http2 *session) {
  session->in_reader = 1; /* nothing is sent meanwhile: it may close any stream, the next one too */
  for (wh_http2_stream *stream = session->first, *next; stream != NULL; stream = next) {
    next = stream->next;
    if (stream->awaited) wh_http2_refuse(stream, WH_REFUSED_BODY_TIMEOUT);
  }
  session->in_reader = 0;
  wh_http2_send(session);
  finish_if_done(session);
}

void wh_http2_end_slow(wh_http2 *session) { wh_http2_fail(session, NGHTTP2_ENHANCE_YOUR_CALM); }

void wh_http2_end_idle(wh_http2 *session) { wh_http2_fail(session, NGHTTP2_NO_ERROR); }

void wh_http2_stop(wh_http2 *session, int late) {
  if (session->over) return;
  if (!session->noticed) {
    session->noticed = 1;
    wh_http2_write_goaway(session, INT32_MAX, NGHTTP2_NO_ERROR);
  }
  if (late && !session->ending) {
    session->ending = 1;
    wh_http2_write_goaway(session, session->last_taken, NGHTTP2_NO_ERROR);
  }
  finish_if_done(session);
}

void wh_http2_ping(wh_http2 *session) {
  static const uint8_t payload[8];
  session->pinged = 1;
  wh_http2_write_frame(session, NGHTTP2_PING, 0, 0, payload, sizeof payload);
}

int wh_http2_ping_awaited(const wh_http2 *session) { return session->pinged; }
