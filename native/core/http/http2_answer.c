/*
 * Answers out. Heads are written at once, with a body that is small and whole. Other bodies wait as
 * pieces, as they were ordered, until there is room for a frame of them: then they are written behind its
 * header straight into what is being sent.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "http/http2_session.h"
#include "http/status.h"

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
  /* It may have been all that waited for the client's windows: nothing is held against it then. */
  if (stream->out_queued > 0) wh_http2_want_look(stream->session);
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

static void drop_pinned(wh_http2 *session, const wh_answer *answer) {
  wh_http_service *service = session->service;
  if (!(answer->flags & WH_COMMAND_FLAG_PINNED)) return;
  service->receiver->release_pinned(service->user, answer->pinned_id);
}

static void link_piece(wh_http2_stream *stream, wh_http2_piece *piece) {
  piece->next = NULL;
  if (stream->out_last != NULL)
    stream->out_last->next = piece;
  else
    stream->out_first = piece;
  stream->out_last = piece;
}

/* NULL where there is no memory: the stream is gone then. */
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

/* Bytes of the answer's body, wherever they are. 0: the stream is gone. */
static int queue_body(wh_http2_stream *stream, const wh_answer *answer) {
  if (answer->flags & WH_COMMAND_FLAG_PINNED) {
    wh_http2 *session = stream->session;
    wh_http2_piece *piece = new_piece(stream, WH_HTTP2_PINNED, 0);
    if (piece == NULL) {
      drop_pinned(session, answer);
      return 0;
    }
    piece->pinned_id = answer->pinned_id;
    piece->length = answer->body_length;
    link_piece(stream, piece);
  } else {
    stream->lent = answer->body;
    stream->lent_length = answer->body_length;
  }
  count_queued(stream, answer->body_length);
  return 1;
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

/* --- what a frame takes --- */

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

/* The file that cannot be sent is told of, and dropped. */
static void drop_bad_file(wh_http2_stream *stream, int error) {
  wh_http2_piece *piece = stream->out_first;
  if (piece == NULL || piece->kind != WH_HTTP2_FILE) return;
  stream->out_first = piece->next;
  if (piece->next == NULL) stream->out_last = NULL;
  drop_piece(stream, piece, error);
}

int wh_http2_take_bytes(wh_http2_stream *stream, uint8_t *out, size_t length) {
  stream->out_queued -= length;
  stream->session->out_queued -= length;
  if (stream->exchange != NULL && stream->exchange->room_wanted) {
    wh_http2_want_look(stream->session);
  }
  while (length > 0 && stream->out_first != NULL) {
    uint64_t left = stream->out_first->length - stream->out_first->offset;
    size_t piece = left < length ? (size_t)left : length;
    int error = take_piece(stream, out, piece);
    if (error != WH_OK) {
      drop_bad_file(stream, error);
      return error;
    }
    out += piece;
    length -= piece;
  }
  if (length > stream->lent_length) return WH_ERR_CLOSED;
  if (length > 0) {
    memcpy(out, stream->lent, length);
    stream->lent += length;
    stream->lent_length -= length;
  }
  return WH_OK;
}

/* --- heads --- */

/*
 * The head of an answer, and behind it `body` where that is all of it (NULL: none, or more is to come).
 * 0, or -1: the stream is gone.
 */
static int send_head(wh_http2_stream *stream, const wh_answer *answer, uint64_t content_length,
                     int end_stream, const uint8_t *body, size_t body_length) {
  wh_http2 *session = stream->session;
  size_t length;
  const uint8_t *block = wh_http2_encode(session, answer->status, answer, content_length, &length);
  if (block == NULL) {
    wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    return -1;
  }
  stream->headed = 1;
  wh_http_service_headed(session->service, answer->status);
  return wh_http2_write_headers(session, stream->id, block, length, end_stream, body, body_length);
}

/* Carries an order out: sends what can be sent now. The stream may be gone after. */
static void carry_out(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  wh_http2_make_ready(stream);
  if (stream->out_queued > WH_HTTP2_FRAME_MOST) {
    /* When all orders of the batch are known: large bodies share the connection. */
    wh_http2_want_look(session);
    keep_lent(stream);
    return;
  }
  session->sending = stream;
  wh_http2_send(session);
  if (session->sending == stream) keep_lent(stream);
  session->sending = NULL;
}

/* Whether a whole body can go behind its head in one frame. */
static int fits_at_once(const wh_http2_stream *stream, const wh_answer *answer) {
  const wh_http2 *session = stream->session;
  int64_t length = (int64_t)answer->body_length;
  return length <= (int64_t)WH_HTTP2_FRAME_MOST && !(answer->flags & WH_COMMAND_FLAG_PINNED) &&
         length <= stream->send_window && length <= session->send_window &&
         !session->service->transport->is_full(session->connection);
}

static void http2_respond(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  wh_http2 *session = stream->session;
  int no_body = wh_status_has_no_body(answer->status);
  int with_data = !no_body && !exchange->head_only && answer->body_length > 0;
  uint64_t content_length = answer->status == 205 ? 0 : no_body ? UINT64_MAX : answer->body_length;
  exchange->started = exchange->end_ordered = 1;
  stream->out_ended = 1;
  if (!with_data) {
    drop_pinned(stream->session, answer);
    if (send_head(stream, answer, content_length, 1, NULL, 0) == 0) wh_http2_answered(stream);
  } else if (fits_at_once(stream, answer)) {
    if (send_head(stream, answer, content_length, 0, answer->body, answer->body_length) != 0)
      return;
    stream->send_window -= (int64_t)answer->body_length;
    session->send_window -= (int64_t)answer->body_length;
    session->data_bytes += WH_HTTP2_FRAME_HEADER + answer->body_length;
    session->data_frames++;
    wh_http2_answered(stream);
  } else if (send_head(stream, answer, content_length, 0, NULL, 0) == 0) {
    if (queue_body(stream, answer)) carry_out(stream);
  } else {
    drop_pinned(session, answer);
  }
}

static void http2_start(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  exchange->started = 1;
  exchange->no_body = wh_status_has_no_body(answer->status) != 0;
  uint64_t length = UINT64_MAX;
  if (answer->flags & WH_COMMAND_FLAG_HAS_LENGTH && (!exchange->no_body || answer->status == 304)) {
    length = answer->content_length;
    exchange->has_length = !exchange->no_body;
    exchange->response_left = length;
  }
  send_head(stream, answer, length, 0, NULL, 0);
}

static void http2_write(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  uint64_t length = answer->body_length;
  int too_much = exchange->has_length && length > exchange->response_left;
  if (length == 0 || stream->out_ended || exchange->head_only || exchange->no_body || too_much) {
    drop_pinned(stream->session, answer);
    /* The application's side refuses what is too much; this is the second lock. */
    if (too_much && !exchange->head_only) wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    return;
  }
  if (exchange->has_length) exchange->response_left -= length;
  if (queue_body(stream, answer)) carry_out(stream);
}

static void http2_file(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  wh_http_service *service = stream->session->service;
  uint64_t length = answer->content_length;
  int unwanted = length == 0 || stream->out_ended || exchange->head_only || exchange->no_body;
  int too_much = !unwanted && exchange->has_length && length > exchange->response_left;
  if (unwanted || too_much) {
    service->receiver->drop_file(service->user, answer->file);
    service->receiver->file_sent(service->user, exchange, WH_OK);
    if (too_much) wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
    return;
  }
  wh_http2_piece *piece = new_piece(stream, WH_HTTP2_FILE, 0);
  if (piece == NULL) {
    service->receiver->drop_file(service->user, answer->file);
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

static void http2_released(wh_exchange *exchange);

/* Our side of a tunnel ends: the application may go on reading, where it has not released it too. */
static void end_tunnel(wh_http2_stream *stream) {
  if (!stream->out_ended) {
    stream->out_ended = 1;
    carry_out(stream);
  } else if (stream->exchange->released) {
    http2_released(stream->exchange);
  }
}

static void http2_trailers(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  if (stream->tunnel) {
    end_tunnel(stream); /* there is no place for trailers (section 8.5) */
    return;
  }
  exchange->end_ordered = 1;
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
  if (exchange->started || answer->status < 100 || answer->status > 199 || answer->status == 101) {
    return;
  }
  if (answer->status == 100) exchange->continue_due = 0;
  size_t length;
  const uint8_t *block = wh_http2_encode(session, answer->status, answer, UINT64_MAX, &length);
  if (block == NULL) return;
  wh_http2_write_headers(session, stream->id, block, length, 0, NULL, 0);
  wh_http_service_headed(session->service, answer->status);
}

/* A tunnel, by CONNECT or extended CONNECT: a 2xx, and then DATA both ways (sections 8.5, RFC 8441). */
static void http2_upgrade(wh_exchange *exchange, const wh_answer *answer) {
  wh_http2_stream *stream = exchange->owner;
  wh_http_service *service = stream->session->service;
  if (answer->status / 100 != 2 || !exchange->connect || exchange->body_done) return;
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
  wh_http2_await(stream, -1);
  if (send_head(stream, answer, UINT64_MAX, 0, NULL, 0) != 0) return;
  wh_http2_want_look(stream->session); /* what has come already */
}

static void http2_notify_room(wh_exchange *exchange) {
  const wh_http2_stream *stream = exchange->owner;
  exchange->room_wanted = 1;
  wh_http2_want_look(stream->session);
}

/*
 * Rates are the connection's here, which others share: a body can be left out of what is measured, but
 * has no rate of its own (as with Kestrel).
 */
static void http2_rate(wh_exchange *exchange, int of_response, uint32_t bytes, uint32_t grace_ms) {
  wh_http2_stream *stream = exchange->owner;
  (void)grace_ms;
  if (of_response || bytes != 0) return;
  stream->unpaced = 1;
  wh_http2_await(stream, 0);
}

static void http2_abort(wh_exchange *exchange, unsigned code) {
  exchange->aborted = 1; /* the application did it: nobody has to tell it */
  wh_http2_reset(exchange->owner, code);
}

/*
 * The application lets a tunnel go: what it has written is sent, and then its client learns that nobody
 * listens, without losing what was sent (section 8.1): see wh_http2_answered.
 */
static void leave_tunnel(wh_http2_stream *stream) {
  wh_exchange *exchange = stream->exchange;
  exchange->body_wanted = 0;
  if (stream->closed) {
    wh_http2_close_stream(stream);
  } else if (stream->out_done) {
    wh_http2_reset(stream, NGHTTP2_NO_ERROR);
  } else {
    exchange->end_ordered = 1;
    if (!stream->out_ended) end_tunnel(stream); /* else its end waits for the windows */
  }
}

/* An application that is done without an answer leaves the client nothing to wait for. */
static void http2_released(wh_exchange *exchange) {
  wh_http2_stream *stream = exchange->owner;
  if (stream->tunnel)
    leave_tunnel(stream);
  else if (!exchange->end_ordered)
    wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
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
  wh_http2_unready(stream);
  if (stream->tunnel) {
    /* The client's side goes on, unless nobody listens to it any more. */
    if (!wh_http2_close_if_done(stream) && exchange->released)
      wh_http2_reset(stream, NGHTTP2_NO_ERROR); /* what was sent is complete: section 8.1 */
    return;
  }
  if (exchange != NULL) {
    exchange->ended = 1;
    wh_http_service_answered(service, exchange);
    if (exchange->wants_ended) service->receiver->ended(service->user, exchange);
    let_go(stream);
  }
  if (stream->remote_ended)
    wh_http2_close_stream(stream);
  else
    wh_http2_drain(stream);
}

void wh_http2_cut(wh_http2_stream *stream) {
  wh_http2 *session = stream->session;
  wh_http_service *service = session->service;
  wh_exchange *exchange = stream->exchange;
  wh_http2_await(stream, -1);
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
  /* A target of CONNECT allows no method (RFC 9110 section 10.2.1: the field may be empty). */
  static const char allow[] = "Allow: \r\n";
  size_t allow_length = sizeof allow - 1;
  uint8_t *lines = reason == WH_REFUSED_CONNECT ? wh_alloc(allow_length + made->head_length) : NULL;
  if (lines != NULL) {
    memcpy(lines, allow, allow_length);
    if (made->head_length > 0) memcpy(lines + allow_length, made->head, made->head_length);
    answer.head = lines;
    answer.head_length = allow_length + made->head_length;
  }
  int with_data = !head_only && answer.body_length > 0;
  stream->out_ended = 1;
  int gone = send_head(stream, &answer, answer.body_length, !with_data, NULL, 0) != 0;
  if (lines != NULL) wh_free(lines);
  if (gone) return;
  if (!with_data)
    wh_http2_answered(stream);
  else if (queue_body(stream, &answer))
    carry_out(stream);
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
  service->refusals[reason]++;
  service->receiver->refused(service->user, &refuser, reason);
  int head_only = exchange != NULL && exchange->head_only;
  wh_http2_await(stream, -1);
  if (exchange != NULL && exchange->dispatched) {
    exchange->body_done = 1;
    if (!exchange->aborted) {
      exchange->aborted = 1;
      service->receiver->aborted(service->user, exchange, wh_refusal_table[reason].status);
    }
  }
  wh_http2_drop_body(stream);
  if (is_malformed(reason)) {
    wh_http2_fault(stream, NGHTTP2_PROTOCOL_ERROR);
  } else if (stream->headed) {
    wh_http2_reset(stream, NGHTTP2_INTERNAL_ERROR);
  } else {
    if (exchange != NULL) let_go(stream);
    answer_refusal(stream, reason, head_only);
  }
}
