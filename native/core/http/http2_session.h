/* What the http2*.c share: the session, its streams, and their parts. Private to them. */
#ifndef WH_HTTP_HTTP2_SESSION_H
#define WH_HTTP_HTTP2_SESSION_H

#include <nghttp2/nghttp2.h>
#include <stdint.h>

#include "http/head_cache.h"
#include "http/http2.h"

typedef struct wh_http2_stream wh_http2_stream;
typedef struct wh_http2_piece wh_http2_piece;

/* What all sessions of a service share. */
struct wh_http2_shared {
  wh_http2_limits limits;
  nghttp2_session_callbacks *callbacks;
  nghttp2_option *options;
  wh_head_cache heads;
  wh_http2_stream *free_streams; /* kept for reuse */
  size_t free_stream_count;
  uint8_t *scratch; /* a request line, names in lower case: for the time of a call */
  size_t scratch_size;
  nghttp2_nv *fields; /* of an answer, likewise */
  size_t field_room;
  uint64_t floods[WH_HTTP2_FLOOD_COUNT]; /* connections ended */
};

/* Stream ids that a client has skipped: see http2_guard.c. */
#define WH_HTTP2_SKIPS 8

/* Streams that we have reset lately, for which frames may be on their way still. */
#define WH_HTTP2_RESETS 64

/* Counts frames, for a while. */
typedef struct wh_http2_guard {
  uint64_t since_us;
  uint32_t counts[WH_HTTP2_FLOOD_COUNT];
  int32_t last_id; /* the highest that the client has used */
  struct {
    int32_t from, to;
  } skips[WH_HTTP2_SKIPS];
  int32_t resets[WH_HTTP2_RESETS]; /* ids of streams that we have reset, the oldest overwritten */
  uint8_t skip_count, reset_place;
  uint8_t tripped; /* ended by it */
} wh_http2_guard;

struct wh_http2 {
  wh_http_service *service;
  void *connection;
  uint64_t number;
  uint32_t *requests;
  nghttp2_session *engine;
  wh_http2_stream *first, *last; /* the open ones */
  size_t streams;
  wh_http2_stream *receiving; /* whose header block is being received; may be NULL during one */
  wh_http2_stream *sending;   /* whose order is being carried out; NULL once it is gone */
  wh_http2_guard guard;
  const uint8_t *input_end; /* of what the engine reads; NULL outside of that */
  uint64_t body_bytes;      /* received */
  uint64_t out_queued;      /* bytes of bodies that wait to be sent, of all streams */
  uint64_t data_frames;     /* sent */
  uint32_t reading;         /* streams whose bodies are awaited */
  uint8_t head_hint;
  uint8_t secure : 1;
  uint8_t in_block : 1;  /* a header block is being received */
  uint8_t in_engine : 1; /* a callback of the engine may be running */
  uint8_t eof : 1;
  uint8_t over : 1;
  uint8_t stalled : 1;
  uint8_t greeted : 1; /* our SETTINGS are out */
  uint8_t noticed : 1; /* the first GOAWAY of the pair is out */
  uint8_t ending : 1;  /* the last one */
  uint8_t wants_look : 1;
  uint8_t pinged : 1;
};

/* Pseudo-header fields of a request. */
enum {
  WH_PSEUDO_METHOD,
  WH_PSEUDO_SCHEME,
  WH_PSEUDO_AUTHORITY,
  WH_PSEUDO_PATH,
  WH_PSEUDO_PROTOCOL,
  WH_PSEUDO_COUNT
};

struct wh_http2_stream {
  wh_http2 *session;
  wh_exchange *exchange; /* NULL: there was none, or it is over */
  wh_http2_stream *previous, *next;
  int32_t id;
  /* The head being received. */
  uint32_t fields;
  size_t raw_used;     /* bytes of it in the slot */
  size_t fields_start; /* of these, those before the field lines */
  uint64_t list_size;  /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
  struct {
    uint32_t offset, length;
  } pseudo[WH_PSEUDO_COUNT];
  /* The body in. */
  wh_http2_piece *in_first, *in_last; /* received and not wanted yet */
  uint64_t received, content_length, body_limit;
  uint8_t *trailers; /* of the request, as lines */
  size_t trailers_length, trailers_room;
  /* The body out. */
  wh_http2_piece *out_first, *out_last;
  uint64_t out_queued;
  const uint8_t *lent; /* bytes of the order that is being carried out, behind the pieces */
  size_t lent_length;
  uint8_t *out_trailers; /* as lines */
  size_t out_trailers_length;
  uint8_t pseudo_seen;   /* bits by WH_PSEUDO_... */
  uint8_t refusal;       /* wh_refusal, once the head is complete */
  uint8_t malformed : 1; /* ... or reset */
  uint8_t skipped : 1;   /* nothing of this block is wanted */
  uint8_t in_trailers : 1;
  uint8_t too_many : 1;
  uint8_t has_content_length : 1;
  uint8_t remote_ended : 1;
  uint8_t end_told : 1;  /* the application knows */
  uint8_t opened : 1;    /* the application has begun to read the body: its limit is settled */
  uint8_t awaited : 1;   /* counted in session->reading */
  uint8_t headed : 1;    /* the head of the answer is submitted */
  uint8_t with_data : 1; /* ... with a body to come */
  uint8_t deferred : 1;  /* the engine waits for more of it */
  uint8_t out_ended : 1;
  uint8_t out_done : 1; /* ... and all of it is framed */
  uint8_t detached : 1; /* the engine has closed it; a tunnel's last bytes are not handed on yet */
  uint8_t reset : 1;    /* RST_STREAM is submitted */
  uint8_t tunnel : 1;
  uint8_t extended : 1; /* extended CONNECT (RFC 8441) */
};

/* A piece of a body that waits: own bytes, a pinned buffer, or a part of a file. */
typedef enum wh_http2_piece_kind {
  WH_HTTP2_BYTES,
  WH_HTTP2_PINNED,
  WH_HTTP2_FILE
} wh_http2_piece_kind;

struct wh_http2_piece {
  wh_http2_piece *next;
  uint64_t offset, length;
  uint64_t file_offset;
  uint32_t pinned_id;
  int file;
  uint8_t kind;
  uint8_t bytes[];
};

extern const wh_protocol wh_http2_protocol;

/* --- http2.c --- */

/* Sends what there is to send, as far as the connection takes it. Streams may end by it. */
void wh_http2_send(wh_http2 *session);
/* As transport->look, once. */
void wh_http2_want_look(wh_http2 *session);
/* GOAWAY with that code, and the connection ends when it is sent. */
void wh_http2_fail(wh_http2 *session, uint32_t code);
/* RST_STREAM with that code; not twice. */
void wh_http2_reset(wh_http2_stream *stream, uint32_t code);
/* The body of a stream is awaited (1), or is no longer (0). */
void wh_http2_await(wh_http2_stream *stream, int on);
/* Memory of the shared scratch; NULL: none. */
uint8_t *wh_http2_scratch(wh_http2 *session, size_t size);

/* --- http2_head.c --- */

int wh_http2_on_begin_headers(nghttp2_session *engine, const nghttp2_frame *frame, void *user);
int wh_http2_on_header(nghttp2_session *engine, const nghttp2_frame *frame, const uint8_t *name,
                       size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                       void *user);
/* A header block is complete. */
void wh_http2_head_complete(wh_http2 *session, const nghttp2_frame *frame);

/* --- http2_body.c --- */

int wh_http2_on_data(nghttp2_session *engine, uint8_t flags, int32_t id, const uint8_t *data,
                     size_t length, void *user);
/* The client has ended its side of the stream. */
void wh_http2_remote_end(wh_http2_stream *stream);
/* Hands on what waited, now that it is wanted. 0: there was no room for all of it. */
int wh_http2_deliver(wh_http2_stream *stream);
void wh_http2_drop_body(wh_http2_stream *stream);
/* The protocol's read and limit_body. */
void wh_http2_read(wh_exchange *exchange, int on);
void wh_http2_limit_body(wh_exchange *exchange, uint64_t most);

/* --- http2_answer.c --- */

nghttp2_ssize wh_http2_on_read(nghttp2_session *engine, int32_t id, uint8_t *out, size_t length,
                               uint32_t *flags, nghttp2_data_source *source, void *user);
int wh_http2_on_send_data(nghttp2_session *engine, nghttp2_frame *frame, const uint8_t *header,
                          size_t length, nghttp2_data_source *source, void *user);
/* The end of the answer is framed. */
void wh_http2_answered(wh_http2_stream *stream);
/* Whether bytes of a tunnel that its client has ended wait still to be handed on. */
static inline int wh_http2_has_rest(const wh_http2_stream *stream) {
  return stream->tunnel && stream->remote_ended && !stream->end_told && stream->exchange != NULL &&
         !stream->exchange->released && !stream->exchange->aborted;
}
/* The stream is closed: its exchange, if there still is one, is told and cut loose. */
void wh_http2_cut(wh_http2_stream *stream);
/* Answers a request that is refused, in place of the application; or resets it if that has answered. */
void wh_http2_refuse(wh_http2_stream *stream, wh_refusal reason);
/* Forgets what waits to be sent. */
void wh_http2_drop_out(wh_http2_stream *stream);

/* --- http2_fields.c: the header sections of answers --- */

/*
 * Makes the fields of an answer's head (content_length UINT64_MAX: none), or of its trailers (status
 * 0), in the shared array. Their number, or -1: no memory.
 */
ptrdiff_t wh_http2_make_fields(wh_http2 *session, unsigned status, const wh_answer *answer,
                               uint64_t content_length);

/* --- http2_guard.c --- */

/* Before each frame. 0, or the code of a connection error. */
uint32_t wh_http2_guard_frame(wh_http2 *session, const nghttp2_frame_hd *hd);
/* Remembers a stream that we reset; whether this one is such. */
void wh_http2_note_reset(wh_http2 *session, int32_t id);
int wh_http2_was_reset(const wh_http2 *session, int32_t id);
/* Counts one more; 1 where that is too many. */
int wh_http2_guard_count(wh_http2 *session, wh_http2_flood kind);
int wh_http2_on_invalid_frame(nghttp2_session *engine, const nghttp2_frame *frame, int error,
                              void *user);

#endif
