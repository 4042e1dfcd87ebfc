/* Streams: by id, from their first HEADERS until both sides have ended or one has reset them; windows. */
#include <string.h>

#include "base/memory.h"
#include "http/http2_session.h"

#define KEPT_STREAMS 256 /* kept for reuse */

static size_t bucket_of(int32_t id) { return ((uint32_t)id >> 1) % WH_HTTP2_BUCKETS; }

wh_http2_stream *wh_http2_find(const wh_http2 *session, int32_t id) {
  wh_http2_stream *stream = session->buckets[bucket_of(id)];
  while (stream != NULL && stream->id != id) stream = stream->bucket_next;
  return stream;
}

wh_http2_stream *wh_http2_take_stream(wh_http2 *session, int32_t id) {
  wh_http2_shared *shared = session->service->http2;
  wh_http2_stream *stream = shared->free_streams;
  if (stream != NULL) {
    shared->free_streams = stream->next;
    shared->free_stream_count--;
    memset(stream, 0, sizeof *stream);
  } else {
    stream = wh_zalloc(sizeof *stream);
    if (stream == NULL) return NULL;
  }
  stream->session = session;
  stream->id = id;
  stream->urgency = WH_HTTP2_URGENCY_DEFAULT;
  stream->incremental =
      1; /* a client that says nothing about it wants no answer to hold up the others */
  stream->send_window = session->peer_window;
  stream->receive_left = shared->limits.stream_window;
  stream->previous = session->last;
  if (session->last != NULL)
    session->last->next = stream;
  else
    session->first = stream;
  session->last = stream;
  session->streams++;
  wh_http2_stream **bucket = &session->buckets[bucket_of(id)];
  stream->bucket_next = *bucket;
  *bucket = stream;
  return stream;
}

/* Nothing finds it by its id any more. */
static void forget_id(wh_http2_stream *stream) {
  wh_http2_stream **link = &stream->session->buckets[bucket_of(stream->id)];
  while (*link != NULL && *link != stream) link = &(*link)->bucket_next;
  if (*link != NULL) *link = stream->bucket_next;
}

static void free_stream(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  wh_http2_shared *shared = session->service->http2;
  if (session->receiving == stream) session->receiving = NULL;
  if (session->sending == stream) session->sending = NULL;
  if (session->reader.data == stream) session->reader.data = NULL;
  if (stream->previous != NULL)
    stream->previous->next = stream->next;
  else
    session->first = stream->next;
  if (stream->next != NULL)
    stream->next->previous = stream->previous;
  else
    session->last = stream->previous;
  session->streams--;
  if (stream->trailers != NULL) wh_free(stream->trailers);
  if (stream->out_trailers != NULL) wh_free(stream->out_trailers);
  if (shared->free_stream_count < KEPT_STREAMS) {
    stream->next = shared->free_streams;
    shared->free_streams = stream;
    shared->free_stream_count++;
  } else {
    wh_free(stream);
  }
}

int wh_http2_has_rest(const wh_http2_stream *stream) {
  const wh_exchange *exchange = stream->exchange;
  return stream->tunnel && !stream->session->over && stream->out_done && stream->remote_ended &&
         !stream->end_told && exchange != NULL && !exchange->released && !exchange->aborted;
}

void wh_http2_close_stream(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  if (!stream->closed) {
    stream->closed = 1;
    forget_id(stream);
    wh_http2_unready(stream);
  }
  if (stream->draining) {
    stream->draining = 0;
    session->draining--;
  }
  if (session->streams <= session->draining + 1 && !session->over) {
    session->service->transport->hold(session->connection, 0); /* it idles now, or ends */
  }
  if (wh_http2_has_rest(stream)) {
    wh_http2_want_look(session);
    return;
  }
  wh_http2_cut(stream);
  free_stream(stream);
}

int wh_http2_close_if_done(wh_http2_stream *stream) {
  if (!stream->out_done || !stream->remote_ended) return 0;
  wh_http2_close_stream(stream);
  return 1;
}

void wh_http2_drain(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  wh_http2_drop_body(stream);
  stream->draining = 1;
  stream->received_answered = stream->received;
  session->draining++;
  if (session->streams == session->draining && !session->over) {
    session->service->transport->hold(session->connection, 0);
  }
}

void wh_http2_reset(wh_http2_stream *stream, uint32_t code) {
  wh_http2 *session = stream->session;
  uint8_t payload[4];
  if (!stream->closed) {
    stream->reset = 1;
    wh_http2_note_reset(session, stream->id);
    wh_http2_put32(payload, code);
    wh_http2_write_frame(session, NGHTTP2_RST_STREAM, 0, stream->id, payload, sizeof payload);
  }
  wh_http2_close_stream(stream);
}

void wh_http2_await(wh_http2_stream *stream, int on) {
  wh_http2 *session = stream->session;
  const wh_transport *transport = session->service->transport;
  if (on > 0 && stream->unpaced) on = 0;
  if (stream->awaited != (on > 0)) {
    stream->awaited = on > 0;
    uint32_t before = session->reading;
    session->reading = on > 0 ? before + 1 : before - 1;
    if ((before == 0) != (session->reading == 0)) transport->awaits(session->connection, on > 0);
  }
  /* Of bodies that are over nothing is held against the next one. */
  if (on < 0 && stream->opened && session->reading == 0) transport->awaits(session->connection, -1);
}

/* --- windows --- */

static void give_back(wh_http2 *session, int32_t id, uint32_t length) {
  uint8_t payload[4];
  wh_http2_put32(payload, length);
  wh_http2_write_frame(session, NGHTTP2_WINDOW_UPDATE, 0, id, payload, sizeof payload);
}

void wh_http2_consume_connection(wh_http2 *session, size_t length) {
  uint32_t window = session->service->http2->limits.connection_window;
  session->consumed += (uint32_t)length;
  /* Bodies that nobody reads may hold a part of it for long: then the others need the rest at once. */
  uint32_t enough = session->receive_left < window / 4 ? window / 64 : window / 2;
  if (session->over || session->consumed < enough) return;
  session->receive_left += session->consumed;
  give_back(session, 0, session->consumed);
  session->consumed = 0;
}

void wh_http2_consume(wh_http2_stream *stream, size_t length) {
  wh_http2 *session = stream->session;
  wh_http2_consume_connection(session, length);
  if (stream->closed || stream->remote_ended || session->over) return;
  stream->consumed += (uint32_t)length;
  if (stream->consumed < session->service->http2->limits.stream_window / 2) return;
  stream->receive_left += stream->consumed;
  give_back(session, stream->id, stream->consumed);
  stream->consumed = 0;
}
