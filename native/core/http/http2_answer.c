/*
 * Answers out. Heads go to the engine at once. Bodies wait as pieces, as they were ordered, until it asks
 * for so many bytes for a frame: then they are written behind the frame's header straight into what is
 * being sent. A small body mostly goes so without ever being copied elsewhere.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "http/http2_session.h"
#include "http/status.h"

/* RFC 9110 section 6.4.1: these have no content. */
static int status_has_no_body(unsigned status) {
  return status < 200 || status == 204 || status == 205 || status == 304;
}

/* --- pieces --- */

static void drop_piece(wh_http2_stream *stream, wh_http2_piece *piece, int result) {
  wh_http_service *service = stream->session->service;
  if (piece->kind == WH_HTTP2_PINNED) {
    service->receiver->release_pinned(service->user, piece->pinned_id);
  } else if (piece->kind == WH_HTTP2_FILE) {
    service->receiver->drop_file(service->user, piece->file);
    if (stream->exchange != NULL && !stream->exchange->aborted) {
      service->receiver->file_sent(service->user, stream->exchange, result);
    }
  }
  wh_free(piece);
}

void wh_http2_drop_out(wh_http2_stream *stream) {
  stream->session->out_queued -= stream->out_queued;
  stream->out_queued = 0;
  stream->lent_length = 0;
  while (stream->out_first != NULL) {
    wh_http2_piece *piece = stream->out_first;
    stream->out_first = piece->next;
    drop_piece(stream, piece, WH_OK);
  }
  stream->out_last = NULL;
}

static void link_piece(wh_http2_stream *stream, wh_http2_piece *piece) {
  piece->next = NULL;
  if (stream->out_last != NULL)
    stream->out_last->next = piece;
  else
    stream->out_first = piece;
  stream->out_last = piece;
}

/* What has been lent and not gone is copied; NULL where there is no memory. */
static wh_http2_piece *new_piece(wh_http2_stream *stream, wh_http2_piece_kind kind, size_t bytes) {
  wh_http2_piece *piece = wh_alloc(sizeof *piece + bytes);
  if (piece == NULL) {
    wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    return NULL;
  }
  memset(piece, 0, sizeof *piece);
  piece->kind = (uint8_t)kind;
  return piece;
}

static void count_queued(wh_http2_stream *stream, uint64_t length) {
  stream->out_queued += length;
  stream->session->out_queued += length;
}

/* Bytes of the answer's body, wherever they are. */
static void queue_body(wh_http2_stream *stream, const wh_answer *answer) {
  if (answer->flags & WH_COMMAND_FLAG_PINNED) {
    wh_http2_piece *piece = new_piece(stream, WH_HTTP2_PINNED, 0);
    if (piece == NULL) {
      wh_http_service *service = stream->session->service;
      service->receiver->release_pinned(service->user, answer->pinned_id);
      return;
    }
    piece->pinned_id = answer->pinned_id;
    piece->length = answer->body_length;
    link_piece(stream, piece);
  } else {
    stream->lent = answer->body;
    stream->lent_length = answer->body_length;
  }
  count_queued(stream, answer->body_length);
}

/* The order is carried out, and its bytes go: what of them has not been sent is copied. */
static void keep_lent(wh_http2_stream *stream) {
  size_t length = stream->lent_length;
  stream->lent_length = 0;
  if (length == 0) return;
  wh_http2_piece *piece = new_piece(stream, WH_HTTP2_BYTES, length);
  if (piece == NULL) return;
  memcpy(piece->bytes, stream->lent, length);
  piece->length = length;
  link_piece(stream, piece);
}

/* --- what the engine asks for --- */

nghttp2_ssize wh_http2_on_read(nghttp2_session *engine, int32_t id, uint8_t *out, size_t length,
                               uint32_t *flags, nghttp2_data_source *source, void *user) {
  wh_http2_stream *stream = source->ptr;
  (void)engine;
  (void)id;
  (void)out;
  (void)user;
  uint64_t left = stream->out_queued;
  if (left == 0 && !stream->out_ended) {
    stream->deferred = 1;
    return NGHTTP2_ERR_DEFERRED;
  }
  size_t piece = left < length ? (size_t)left : length;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (piece == left && stream->out_ended) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->out_trailers_length > 0) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  }
  return (nghttp2_ssize)piece;
}

/* Bytes of a file into `out`, all of them. WH_OK or WH_ERR_FILE_.... */
static int read_file(const wh_http2_piece *piece, uint8_t *out, size_t length) {
  off_t at = (off_t)(piece->file_offset + piece->offset);
  while (length > 0) {
    ssize_t got = pread(piece->file, out, length, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return WH_ERR_FILE_UNREADABLE;
    if (got == 0) return WH_ERR_FILE_TRUNCATED;
    out += got;
    at += got;
    length -= (size_t)got;
  }
  return WH_OK;
}

/* Bytes of the first piece into `out`. WH_OK, or an error: the answer cannot be completed. */
static int take_piece(wh_http2_stream *stream, uint8_t *out, size_t length) {
  wh_http_service *service = stream->session->service;
  wh_http2_piece *piece = stream->out_first;
  if (piece->kind == WH_HTTP2_FILE) {
    int error = read_file(piece, out, length);
    if (error != WH_OK) return error;
  } else {
    const uint8_t *data = piece->bytes;
    size_t known = (size_t)piece->length;
    if (piece->kind == WH_HTTP2_PINNED &&
        (service->receiver->locate_pinned(service->user, piece->pinned_id, &data, &known) != 0 ||
         known < piece->length)) {
      return WH_ERR_CLOSED;
    }
    memcpy(out, data + piece->offset, length);
  }
  piece->offset += length;
  if (piece->offset == piece->length) {
    stream->out_first = piece->next;
    if (piece->next == NULL) stream->out_last = NULL;
    drop_piece(stream, piece, WH_OK);
  }
  return WH_OK;
}

static int take_bytes(wh_http2_stream *stream, uint8_t *out, size_t length) {
  stream->out_queued -= length;
  stream->session->out_queued -= length;
  while (length > 0 && stream->out_first != NULL) {
    uint64_t left = stream->out_first->length - stream->out_first->offset;
    size_t piece = left < length ? (size_t)left : length;
    int error = take_piece(stream, out, piece);
    if (error != WH_OK) return error;
    out += piece;
    length -= piece;
  }
  if (length > stream->lent_length) return WH_ERR_CLOSED;
  if (length > 0) memcpy(out, stream->lent, length);
  stream->lent += length;
  stream->lent_length -= length;
  return WH_OK;
}

int wh_http2_on_send_data(nghttp2_session *engine, nghttp2_frame *frame, const uint8_t *header,
                          size_t length, nghttp2_data_source *source, void *user) {
  wh_http2 *session = user;
  wh_http2_stream *stream = source->ptr;
  const wh_transport *transport = session->service->transport;
  (void)engine;
  (void)frame;
  if (transport->is_full(session->connection)) return NGHTTP2_ERR_WOULDBLOCK;
  uint8_t *out = transport->reserve(session->connection, 9 + length);
  if (out == NULL) return NGHTTP2_ERR_CALLBACK_FAILURE;
  memcpy(out, header, 9);
  int error = take_bytes(stream, out + 9, length);
  if (error != WH_OK) {
    /* Nothing was committed: the stream ends without it, and its client sees that it is cut. */
    if (stream->out_first != NULL && stream->out_first->kind == WH_HTTP2_FILE) {
      wh_http2_piece *piece = stream->out_first;
      stream->out_first = piece->next;
      if (piece->next == NULL) stream->out_last = NULL;
      drop_piece(stream, piece, error);
    }
    wh_http2_note_reset(session, stream->id);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  transport->commit(session->connection, 9 + length);
  if (stream->out_ended && stream->out_queued == 0 && stream->out_trailers_length > 0) {
    wh_answer lines = {.head = stream->out_trailers, .head_length = stream->out_trailers_length};
    ptrdiff_t count = wh_http2_make_fields(session, 0, &lines, UINT64_MAX);
    if (count < 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    stream->out_trailers_length = 0;
    if (nghttp2_submit_trailer(session->engine, stream->id, session->service->http2->fields,
                               (size_t)count) != 0) {
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
  }
  return 0;
}

/* --- heads --- */

static void submit_head(wh_http2_stream *stream, const wh_answer *answer, uint64_t content_length,
                        int with_data) {
  wh_http2 *session = stream->session;
  ptrdiff_t count = wh_http2_make_fields(session, answer->status, answer, content_length);
  nghttp2_data_provider2 body = {.source = {.ptr = stream}, .read_callback = wh_http2_on_read};
  stream->headed = 1;
  stream->with_data = with_data != 0;
  wh_http_service_headed(session->service, answer->status);
  if (count < 0 ||
      nghttp2_submit_response2(session->engine, stream->id, session->service->http2->fields,
                               (size_t)count, with_data ? &body : NULL) != 0) {
    wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
  }
}

/* Carries an order out: sends what can be sent now. The stream may be gone after. */
static void carry_out(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  session->sending = stream;
  if (stream->deferred && !stream->reset) {
    stream->deferred = 0;
    nghttp2_session_resume_data(session->engine, stream->id);
  }
  wh_http2_send(session);
  if (session->sending == stream) keep_lent(stream);
  session->sending = NULL;
}

static void drop_body_of(wh_http2_stream *stream, const wh_answer *answer) {
  wh_http_service *service = stream->session->service;
  if (!(answer->flags & WH_COMMAND_FLAG_PINNED)) return;
  service->receiver->release_pinned(service->user, answer->pinned_id);
}

static void http2_respond(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  int no_body = status_has_no_body(answer->status);
  exchange->started = exchange->end_ordered = 1;
  if (stream->reset) {
    drop_body_of(stream, answer);
    return;
  }
  int with_data = !no_body && !exchange->head_only && answer->body_length > 0;
  stream->out_ended = 1;
  submit_head(stream, answer, no_body && answer->status != 205 ? UINT64_MAX : answer->body_length,
              with_data);
  if (with_data && !stream->reset)
    queue_body(stream, answer);
  else
    drop_body_of(stream, answer);
  carry_out(stream);
}

static void http2_start(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  exchange->started = 1;
  if (stream->reset) return;
  exchange->no_body = status_has_no_body(answer->status) != 0;
  uint64_t length = UINT64_MAX;
  if (answer->flags & WH_COMMAND_FLAG_HAS_LENGTH && (!exchange->no_body || answer->status == 304)) {
    length = answer->content_length;
    exchange->has_length = !exchange->no_body;
    exchange->response_left = length;
  }
  submit_head(stream, answer, length, 1);
  carry_out(stream);
}

static void http2_write(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  uint64_t length = answer->body_length;
  if (length == 0 || exchange->head_only || exchange->no_body || stream->reset) {
    drop_body_of(stream, answer);
    return;
  }
  if (exchange->has_length) {
    /* The application's side refuses what is too much; this is the second lock. */
    if (length > exchange->response_left) {
      drop_body_of(stream, answer);
      wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
      return;
    }
    exchange->response_left -= length;
  }
  queue_body(stream, answer);
  carry_out(stream);
}

static void http2_file(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  wh_http_service *service = stream->session->service;
  uint64_t length = answer->content_length;
  int unwanted = length == 0 || exchange->head_only || exchange->no_body || stream->reset;
  int too_much = exchange->has_length && length > exchange->response_left;
  wh_http2_piece *piece = unwanted || too_much ? NULL : new_piece(stream, WH_HTTP2_FILE, 0);
  if (piece == NULL) {
    service->receiver->drop_file(service->user, answer->file);
    if (too_much && !unwanted) wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    service->receiver->file_sent(service->user, exchange, WH_OK);
    return;
  }
  if (exchange->has_length) exchange->response_left -= length;
  piece->file = answer->file;
  piece->file_offset = answer->file_offset;
  piece->length = length;
  link_piece(stream, piece);
  count_queued(stream, length);
  carry_out(stream);
}

static void http2_trailers(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  exchange->end_ordered = 1;
  if (stream->reset) return;
  if (exchange->has_length && exchange->response_left > 0 && !exchange->head_only) {
    wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR); /* too few bytes: the client must see that */
    return;
  }
  if (answer->head_length > 0 && !exchange->head_only && !exchange->no_body) {
    stream->out_trailers = wh_alloc(answer->head_length);
    if (stream->out_trailers == NULL) {
      wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
      return;
    }
    memcpy(stream->out_trailers, answer->head, answer->head_length);
    stream->out_trailers_length = answer->head_length;
  }
  stream->out_ended = 1;
  carry_out(stream);
}

static void http2_end(wh_exchange *exchange) {
  static const wh_answer nothing;
  http2_trailers(exchange, &nothing);
}

static void http2_inform(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  wh_http2 *session = stream->session;
  if (exchange->started || stream->reset || answer->status < 100 || answer->status > 199 ||
      answer->status == 101) {
    return;
  }
  if (answer->status == 100) exchange->continue_due = 0;
  ptrdiff_t count = wh_http2_make_fields(session, answer->status, answer, UINT64_MAX);
  if (count < 0) return;
  nghttp2_submit_headers(session->engine, NGHTTP2_FLAG_NONE, stream->id, NULL,
                         session->service->http2->fields, (size_t)count, NULL);
  wh_http_service_headed(session->service, answer->status);
  wh_http2_send(session);
}

/* A tunnel, by CONNECT or extended CONNECT: a 2xx, and then DATA both ways (sections 8.5, RFC 8441). */
static void http2_upgrade(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  if (answer->status / 100 != 2 || !exchange->connect || stream->reset || exchange->body_done) {
    return;
  }
  if (service->upgraded >= service->limits.upgraded) {
    exchange->slot[WH_SLOT_UPGRADE_RESULT] = WH_UPGRADE_RESULT_LIMIT;
    return;
  }
  exchange->slot[WH_SLOT_UPGRADE_RESULT] = WH_UPGRADE_RESULT_DONE;
  service->upgraded++;
  stream->tunnel = stream->opened = 1;
  stream->has_content_length = 0;
  exchange->started = 1;
  wh_http_service_answered(service, exchange);
  wh_http2_await(stream, 0);
  submit_head(stream, answer, UINT64_MAX, 1);
  wh_http2_want_look(session); /* what has come already */
  carry_out(stream);
}

static void http2_notify_room(wh_exchange *exchange) {
  const wh_http2_stream *stream = exchange->owner;
  exchange->room_wanted = 1;
  wh_http2_want_look(stream->session);
}

/* Rates are the connection's here, which others share (Kestrel: not settable on HTTP/2). */
static void http2_rate(wh_exchange *exchange, int of_response, uint32_t bytes, uint32_t grace_ms) {
  (void)exchange;
  (void)of_response;
  (void)bytes;
  (void)grace_ms;
}

static void http2_abort(wh_exchange *exchange, unsigned code) {
  wh_http2_stream *stream = exchange->owner;
  wh_http2 *session = stream->session;
  exchange->aborted = 1; /* the application did it: nobody has to tell it */
  wh_http2_reset(stream, code);
  wh_http2_send(session);
}

/* An application that is done without an answer leaves the client nothing to wait for. */
static void http2_released(wh_exchange *exchange) {
  wh_http2_stream *stream = exchange->owner;
  wh_http2 *session = stream->session;
  if (exchange->end_ordered && !stream->tunnel) return;
  /* Of a tunnel that both have ended nothing is lost; else its client learns that nobody listens. */
  if (!stream->out_done || !stream->remote_ended) {
    wh_http2_reset(stream, stream->tunnel ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR);
  }
  wh_http2_want_look(session);
  wh_http2_send(session);
}

static void *http2_connection(const wh_exchange *exchange) {
  return ((const wh_http2_stream *)exchange->owner)->session->connection;
}

const wh_protocol wh_http2_protocol = {
    .respond = http2_respond,
    .start = http2_start,
    .write = http2_write,
    .file = http2_file,
    .end = http2_end,
    .trailers = http2_trailers,
    .inform = http2_inform,
    .upgrade = http2_upgrade,
    .read = wh_http2_read,
    .limit_body = wh_http2_limit_body,
    .notify_room = http2_notify_room,
    .rate = http2_rate,
    .abort = http2_abort,
    .released = http2_released,
    .connection = http2_connection,
};

/* --- the end --- */

static void let_go(wh_http2_stream *stream) {
  wh_exchange *exchange = stream->exchange;
  wh_http_service *service = stream->session->service;
  stream->exchange = NULL;
  if (stream->tunnel) service->upgraded--;
  stream->tunnel = 0;
  exchange->owner = NULL;
  if (exchange->released || !exchange->dispatched) wh_exchange_give(service->pool, exchange);
}

void wh_http2_answered(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  wh_exchange *exchange = stream->exchange;
  stream->out_done = 1;
  if (stream->tunnel) return; /* the client's side goes on */
  if (exchange != NULL && !exchange->ended) {
    exchange->ended = 1;
    wh_http_service_answered(service, exchange);
    if (exchange->wants_ended) service->receiver->ended(service->user, exchange);
  }
  wh_http2_await(stream, 0);
  if (!stream->remote_ended && !stream->reset) {
    /* Nobody will read the rest of the body (RFC 9113 section 8.1). */
    stream->reset = 1;
    wh_http2_note_reset(session, stream->id);
    nghttp2_submit_rst_stream(session->engine, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
  }
  wh_http2_drop_body(stream);
  if (exchange != NULL && exchange->ended) let_go(stream);
}

void wh_http2_cut(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  wh_exchange *exchange = stream->exchange;
  wh_http2_await(stream, 0);
  wh_http2_drop_out(stream);
  wh_http2_drop_body(stream);
  if (exchange == NULL) return;
  int deaf = exchange->aborted || exchange->released || !exchange->dispatched;
  if (stream->tunnel && stream->out_done && stream->end_told) {
    exchange->ended = 1; /* both sides have ended */
    if (exchange->wants_ended) service->receiver->ended(service->user, exchange);
  } else if (!deaf) {
    exchange->aborted = 1;
    service->receiver->aborted(service->user, exchange, 0);
  }
  let_go(stream);
}

/* A refusal that is an answer: with what was prepared for its reason. */
static void answer_refusal(wh_http2_stream *stream, wh_refusal reason, int head_only) {
  const wh_refusal_answer *made = &stream->session->service->refusal_answers[reason];
  wh_answer answer = {
      .status = wh_refusal_table[reason].status,
      .head = (const uint8_t *)made->head,
      .head_length = made->head_length,
      .body = (const uint8_t *)made->body,
      .body_length = made->body_length,
  };
  int with_data = !head_only && answer.body_length > 0;
  stream->out_ended = 1;
  submit_head(stream, &answer, answer.body_length, with_data);
  if (!with_data || stream->reset) return;
  queue_body(stream, &answer);
  keep_lent(stream); /* it is sent later: the engine may be reading */
}

/* Reasons that make a request malformed rather than too much: no answer, but a reset. */
static int is_malformed(wh_refusal reason) {
  switch (reason) {
  case WH_REFUSED_REQUEST_LINE:
  case WH_REFUSED_HEADER:
  case WH_REFUSED_HOST:
  case WH_REFUSED_CONTENT_LENGTH: return 1;
  default: return 0;
  }
}

static void describe(const void *user, wh_refusal reason, size_t most, wh_refused_request *out) {
  const wh_http2_stream *stream = user;
  const wh_exchange *exchange = stream->exchange;
  (void)reason;
  (void)most;
  memset(out, 0, sizeof *out);
  out->end = stream->session->input_end;
  out->since_us = exchange == NULL ? stream->session->service->now_us : exchange->started_us;
  out->dispatched = exchange != NULL && exchange->dispatched;
  if (exchange == NULL || stream->pseudo[WH_PSEUDO_PATH].length == 0) return;
  out->bytes = exchange->slot + stream->pseudo[WH_PSEUDO_PATH].offset;
  out->length = stream->pseudo[WH_PSEUDO_PATH].length;
  if (out->length > most) out->length = most;
}

void wh_http2_refuse(wh_http2_stream *stream, wh_refusal reason) {
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  wh_exchange *exchange = stream->exchange;
  wh_refuser refuser = {session->connection, stream, describe};
  if (stream->reset) return;
  service->refusals[reason]++;
  service->receiver->refused(service->user, &refuser, reason);
  int head_only = exchange != NULL && exchange->head_only;
  int answered = exchange != NULL && exchange->started;
  wh_http2_await(stream, 0);
  if (exchange != NULL && exchange->dispatched) {
    exchange->body_done = exchange->end_ordered = 1;
    if (!exchange->aborted) {
      exchange->aborted = 1;
      service->receiver->aborted(service->user, exchange, wh_refusal_table[reason].status);
    }
    let_go(stream);
  } else if (exchange != NULL) {
    let_go(stream);
  }
  wh_http2_drop_body(stream);
  if (is_malformed(reason)) {
    if (wh_http2_guard_count(session, WH_HTTP2_FLOOD_RESETS)) {
      wh_http2_fail(session, NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    wh_http2_reset(stream, NGHTTP2_PROTOCOL_ERROR);
  } else if (answered) {
    wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
  } else {
    answer_refusal(stream, reason, head_only);
  }
  wh_http2_want_look(session);
}
