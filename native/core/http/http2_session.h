/* What the http2*.c share: the session, its streams, and their parts. Private to them. */
#ifndef WH_HTTP_HTTP2_SESSION_H
#define WH_HTTP_HTTP2_SESSION_H

#include <nghttp2/nghttp2.h>
#include <stdint.h>

#include "http/head_cache.h"
#include "http/http2.h"

typedef struct wh_http2_stream wh_http2_stream;
typedef struct wh_http2_piece wh_http2_piece;

#define WH_HTTP2_FRAME_HEADER 9U
/* Payload of the largest frame that we send: every client takes it (RFC 9113 section 4.2). */
#define WH_HTTP2_FRAME_MOST 16384U
#define WH_HTTP2_WINDOW_MOST INT32_MAX
/* Urgencies of RFC 9218: 0 is the first to be served. */
#define WH_HTTP2_URGENCIES 8U
#define WH_HTTP2_URGENCY_DEFAULT 3U

/* --- header blocks that were seen before: http2_hpack.c --- */

#define WH_HTTP2_BLOCK_MOST 256U
#define WH_HTTP2_BLOCK_RAW 1024U
#define WH_HTTP2_BLOCK_FIELDS 32U

/* A request's block that does not change the table, and what the slot holds when it is decoded. */
typedef struct wh_http2_known_request {
  uint64_t version;          /* of the table that it was decoded by */
  uint32_t length;           /* of the block; 0 = none */
  uint32_t raw_used, fields; /* raw_used 0: seen once, and not kept yet */
  wh_head_facts facts;
  uint8_t urgency, incremental;
  uint8_t block[WH_HTTP2_BLOCK_MOST];
  uint8_t slot[WH_SLOT_DATA + WH_HTTP2_BLOCK_RAW];
  uint8_t table[WH_HTTP2_BLOCK_FIELDS * WH_FIELD_SIZE];
} wh_http2_known_request;

#define WH_HTTP2_ANSWER_LINES 192U

/* An answer's block that does not change the table, without Content-Length. */
typedef struct wh_http2_known_answer {
  uint64_t version;
  int64_t date_second;
  uint32_t flags, status;
  uint32_t length; /* of the block; 0 = none */
  uint32_t lines_length;
  uint8_t lines[WH_HTTP2_ANSWER_LINES]; /* of the application */
  uint8_t block[WH_HTTP2_BLOCK_MOST];
} wh_http2_known_answer;

#define WH_HTTP2_KNOWN_ANSWERS 2U

/* What all sessions of a service share. */
struct wh_http2_shared {
  wh_http2_limits limits;
  nghttp2_mem memory; /* nghttp2's allocations are ours */
  wh_head_cache heads;
  wh_http2_stream *free_streams; /* kept for reuse */
  size_t free_stream_count;
  uint8_t *scratch; /* a request line, names in lower case: for the time of a call */
  size_t scratch_size;
  wh_protocol connect; /* what answers CONNECT: see http2_connect.c */
  uint8_t *block;      /* a header block out, likewise */
  size_t block_size;
  nghttp2_nv *fields; /* of an answer, likewise */
  size_t field_room;
  uint64_t floods[WH_HTTP2_FLOOD_COUNT]; /* connections ended */
};

/* Stream ids that a client has skipped: see http2_guard.c. */
#define WH_HTTP2_SKIPS 8
/* Streams that we have reset lately, for which frames may be on their way still. */
#define WH_HTTP2_RESETS 256

/* Counts frames, for a while. */
typedef struct wh_http2_guard {
  uint64_t since_us;
  uint32_t counts[WH_HTTP2_FLOOD_COUNT];
  struct {
    int32_t from, to;
  } skips[WH_HTTP2_SKIPS];
  int32_t resets[WH_HTTP2_RESETS]; /* ids of streams that we have reset, the oldest overwritten */
  uint8_t skip_count, reset_place;
  uint8_t tripped; /* ended by it */
} wh_http2_guard;

/* Where in a frame the reader is. */
typedef struct wh_http2_reader {
  uint32_t length; /* of the frame's payload */
  uint32_t left;   /* of it, still to come */
  int32_t id;
  uint8_t type, flags;
  uint8_t in_payload;
  uint8_t header[WH_HTTP2_FRAME_HEADER];
  uint8_t header_used;
  uint8_t preface_used;
  uint8_t settled;  /* the client's first SETTINGS have come */
  uint8_t *partial; /* a payload that comes in pieces; not of DATA */
  uint32_t partial_used;
  wh_http2_stream *data; /* whose DATA is being read; NULL: nobody's any more */
  uint32_t padding;      /* at the end of that frame */
} wh_http2_reader;

/* A header block in several frames. */
typedef struct wh_http2_block {
  uint8_t *bytes;
  size_t used, room;
  int32_t id;
  uint8_t open; /* CONTINUATION must follow */
  uint8_t end_stream;
} wh_http2_block;

/* Bytes of a request that are read for nothing behind its answer, before the client is told to stop. */
#define WH_HTTP2_DRAIN_MOST 65536U

#define WH_HTTP2_BUCKETS 64U /* of streams by id */

struct wh_http2 {
  wh_http_service *service;
  void *connection;
  uint64_t number;
  uint32_t *requests;
  nghttp2_hd_inflater *inflater;
  nghttp2_hd_deflater *deflater;
  wh_http2_stream *first, *last; /* the open ones */
  wh_http2_stream *buckets[WH_HTTP2_BUCKETS];
  wh_http2_stream *ready[WH_HTTP2_URGENCIES], *ready_last[WH_HTTP2_URGENCIES];
  size_t streams, draining;   /* all that are open; of these, those answered */
  wh_http2_stream *receiving; /* whose header block is being decoded; may be NULL during one */
  wh_http2_stream *sending;   /* whose order is being carried out; NULL once it is gone */
  const uint8_t *input_end;   /* of what is being read; NULL outside of that */
  wh_http2_reader reader;
  wh_http2_block block;
  wh_http2_guard guard;
  wh_http2_known_request *known_request;
  wh_http2_known_answer *known_answers;        /* WH_HTTP2_KNOWN_ANSWERS */
  uint64_t inflater_version, deflater_version; /* grow whenever a table changes */
  uint8_t known_place;
  uint8_t ready_mask;      /* urgencies of which there are ready streams */
  int32_t last_id;         /* the highest that the client has used */
  int32_t last_taken;      /* the highest that was not ignored */
  int64_t send_window;     /* what the client lets us send */
  int64_t receive_left;    /* what it may send */
  uint32_t consumed;       /* of what it sent, not given back yet */
  uint32_t peer_window;    /* its SETTINGS_INITIAL_WINDOW_SIZE */
  uint64_t body_bytes;     /* received */
  uint64_t out_queued;     /* bytes of bodies that wait to be sent, of all streams */
  uint64_t data_bytes;     /* of DATA frames, sent */
  uint64_t data_frames;    /* sent lately, without those that a small window cut short */
  uint64_t opened_us;      /* by the service's clock */
  uint64_t block_since_us; /* when the last header block began */
  uint64_t list_size;      /* of it so far, as SETTINGS_MAX_HEADER_LIST_SIZE counts */
  uint32_t reading;        /* streams whose bodies are awaited */
  uint8_t head_hint;
  uint8_t priorities;     /* its SETTINGS_NO_RFC7540_PRIORITIES, plus one; 0 = none came */
  uint8_t unacknowledged; /* SETTINGS of ours that it has not acknowledged */
  uint8_t secure : 1;
  uint8_t in_reader : 1; /* frames are being read: what they set free is sent behind them */
  uint8_t eof : 1;
  uint8_t over : 1;
  uint8_t stalled : 1;
  uint8_t noticed : 1; /* the first GOAWAY of the pair is out */
  uint8_t ending : 1;  /* the last one */
  uint8_t leaving : 1; /* the client's GOAWAY has come */
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
  wh_exchange *exchange;            /* NULL: there was none, or it is over */
  wh_http2_stream *previous, *next; /* the session's */
  wh_http2_stream *bucket_next;
  wh_http2_stream *ready_previous, *ready_next; /* of its urgency */
  int32_t id;
  uint8_t urgency;
  uint8_t incremental;
  /* Windows. */
  int64_t send_window, receive_left;
  uint32_t consumed;
  /* The head being received. */
  uint32_t fields;
  size_t raw_used;     /* bytes of it in the slot */
  size_t fields_start; /* of these, those before the field lines */
  struct {
    uint32_t offset, length;
  } pseudo[WH_PSEUDO_COUNT];
  /* The body in. */
  wh_http2_piece *in_first, *in_last; /* received and not wanted yet */
  uint64_t received, content_length, body_limit;
  uint64_t received_answered; /* received when the answer was out */
  uint8_t *trailers;          /* of the request, as lines */
  size_t trailers_length, trailers_room, trailers_told;
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
  uint8_t in_lines : 1;  /* its pseudo-header fields are complete */
  uint8_t in_trailers : 1;
  uint8_t too_many : 1;
  uint8_t has_content_length : 1;
  uint8_t has_host : 1; /* as a field, beside :authority */
  uint8_t remote_ended : 1;
  uint8_t end_told : 1;  /* the application knows */
  uint8_t opened : 1;    /* the application has begun to read the body: its limit is settled */
  uint8_t awaited : 1;   /* counted in session->reading */
  uint8_t headed : 1;    /* the head of the answer is out */
  uint8_t listed : 1;    /* is in a ready list */
  uint8_t out_ended : 1; /* all of the answer is ordered */
  uint8_t out_done : 1;  /* ... and all of it is framed */
  uint8_t draining : 1;  /* answered; the rest of its request is read for nothing, for a while */
  uint8_t reset : 1; /* RST_STREAM is out: the stream is closed, and freed when nobody uses it */
  uint8_t closed : 1;
  uint8_t tunnel : 1;
  uint8_t extended : 1; /* extended CONNECT (RFC 8441) */
  uint8_t unpaced : 1;  /* its body may come as slowly as it likes */
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
  union {
    uint64_t file_offset;
    uint64_t room; /* of a piece of a body in: bytes that it can hold */
  };
  uint32_t pinned_id;
  int file;
  uint8_t kind;
  uint8_t bytes[];
};

extern const wh_protocol wh_http2_protocol;

/* --- http2.c --- */

/* As transport->look, once. */
void wh_http2_want_look(wh_http2 *session);
/* GOAWAY with that code, and the connection ends when it is sent. */
void wh_http2_fail(wh_http2 *session, uint32_t code);
/* Memory of the shared scratch; NULL: none. */
uint8_t *wh_http2_scratch(wh_http2 *session, size_t size);

/* --- http2_streams.c --- */

wh_http2_stream *wh_http2_find(const wh_http2 *session, int32_t id);
/* A new one, in all lists. NULL: no memory. */
wh_http2_stream *wh_http2_take_stream(wh_http2 *session, int32_t id);
/*
 * The stream is closed on the wire: its exchange is told and cut loose. It is freed at once, but for one
 * whose tunnel has bytes to be handed on still.
 */
void wh_http2_close_stream(wh_http2_stream *stream);
/* Closes it where both sides have ended. Whether it is closed. */
int wh_http2_close_if_done(wh_http2_stream *stream);
/*
 * The answer is out before the request's end, which nobody wants. The stream stays half-closed for a
 * while: who sends just a little more, wrong or right, is treated as if it had come in time. It may be
 * closed.
 */
void wh_http2_drain(wh_http2_stream *stream);
/* RST_STREAM with that code, and the stream is closed: it must not be used after. */
void wh_http2_reset(wh_http2_stream *stream, uint32_t code);
/* The body of a stream is awaited (1), is not for now (0), or is over (-1). */
void wh_http2_await(wh_http2_stream *stream, int on);
/* Gives window back for bytes that the application took; of the connection's alone. */
void wh_http2_consume(wh_http2_stream *stream, size_t length);
void wh_http2_consume_connection(wh_http2 *session, size_t length);
/* Whether bytes of a tunnel that its client has ended wait still to be handed on. */
int wh_http2_has_rest(const wh_http2_stream *stream);

/* --- http2_frames.c: in --- */

/* Reads frames. Stops when the session is over. */
void wh_http2_read_frames(wh_http2 *session, const uint8_t *data, size_t length);

/* --- http2_control.c: frames that are no messages; each returns 0 or the code of a connection error --- */

uint32_t wh_http2_on_settings(wh_http2 *session, const uint8_t *payload, size_t length);
uint32_t wh_http2_on_ping(wh_http2 *session, const uint8_t *payload, size_t length);
uint32_t wh_http2_on_window_update(wh_http2 *session, const uint8_t *payload, size_t length);
uint32_t wh_http2_on_rst_stream(wh_http2 *session, const uint8_t *payload, size_t length);
uint32_t wh_http2_on_goaway(wh_http2 *session, const uint8_t *payload, size_t length);
uint32_t wh_http2_on_priority(wh_http2 *session, const uint8_t *payload, size_t length);
uint32_t wh_http2_on_priority_update(wh_http2 *session, const uint8_t *payload, size_t length);
/* Our SETTINGS, and the connection's window. */
void wh_http2_greet(wh_http2 *session);
/* The value of a priority field (RFC 9218); what does not parse is ignored. */
void wh_http2_set_priority(wh_http2_stream *stream, const uint8_t *value, size_t length);

/* --- http2_output.c: out --- */

/* Writes a frame with so small a payload that it is always written at once. */
void wh_http2_write_frame(wh_http2 *session, unsigned type, unsigned flags, int32_t id,
                          const uint8_t *payload, size_t length);
void wh_http2_write_goaway(wh_http2 *session, int32_t last, uint32_t code);
/*
 * Writes a header block, and behind it `length` bytes of body that end the stream (NULL: none). 0, or -1:
 * no memory.
 */
int wh_http2_write_headers(wh_http2 *session, int32_t id, const uint8_t *block, size_t block_length,
                           int end_stream, const uint8_t *body, size_t length);
static inline void wh_http2_put32(uint8_t *out, uint32_t value) {
  out[0] = (uint8_t)(value >> 24);
  out[1] = (uint8_t)(value >> 16);
  out[2] = (uint8_t)(value >> 8);
  out[3] = (uint8_t)value;
}
static inline uint32_t wh_http2_get32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
/* The stream has something to send: puts it into the list of its urgency. */
void wh_http2_make_ready(wh_http2_stream *stream);
void wh_http2_unready(wh_http2_stream *stream);
/* Sends bodies, as far as windows and the connection take them. Streams may be closed by it. */
void wh_http2_send(wh_http2 *session);

/* --- http2_hpack.c --- */

int wh_http2_open_hpack(wh_http2 *session);
void wh_http2_close_hpack(wh_http2 *session);
/* Decodes a block, field by field (wh_http2_take_field). 0, or the code of a connection error. */
uint32_t wh_http2_decode(wh_http2 *session, const uint8_t *block, size_t length);
/* What a block that was seen before says: NULL where it was not, or may mean something else now. */
const wh_http2_known_request *wh_http2_find_request(const wh_http2 *session, const uint8_t *block,
                                                    size_t length);
/* Remembers what was decoded, where that is worth while. */
void wh_http2_note_request(wh_http2_stream *stream, const uint8_t *block, size_t length,
                           const wh_head_facts *facts);
/*
 * The block of an answer's head, or of its trailers (status 0), in memory that is valid until the next
 * call. content_length UINT64_MAX: none. NULL: no memory.
 */
const uint8_t *wh_http2_encode(wh_http2 *session, unsigned status, const wh_answer *answer,
                               uint64_t content_length, size_t *length);

/* --- http2_fields.c: the header sections of answers --- */

/* Whether a field says something about a connection of HTTP/1 (RFC 9113 section 8.2.2). */
int wh_http2_is_of_connection(uint16_t id, const uint8_t *name, size_t length);

/* Makes the fields in the shared array. Their number, or -1: no memory. */
ptrdiff_t wh_http2_make_fields(wh_http2 *session, unsigned status, const wh_answer *answer);

/* --- http2_head.c --- */

/*
 * A header block is complete: decodes it, for a new stream, or trailers, or nobody. 0, or the code of a
 * connection error.
 */
uint32_t wh_http2_take_block(wh_http2 *session, int32_t id, const uint8_t *block, size_t length,
                             int end_stream);
/* A field of it. 0, or the code of a connection error. */
uint32_t wh_http2_take_field(wh_http2 *session, const uint8_t *name, size_t name_length,
                             const uint8_t *value, size_t value_length);

/* --- http2_body.c --- */

/* Bytes of DATA, whose windows are seen to. */
void wh_http2_on_data(wh_http2_stream *stream, const uint8_t *data, size_t length);
/* The client has ended its side of the stream, which may close by it. */
void wh_http2_remote_end(wh_http2_stream *stream);
/* Hands on what waited, now that it is wanted. 0: there was no room for all of it. */
int wh_http2_deliver(wh_http2_stream *stream);
void wh_http2_drop_body(wh_http2_stream *stream);
/* The protocol's read and limit_body. */
void wh_http2_read(wh_exchange *exchange, int on);
void wh_http2_limit_body(wh_exchange *exchange, uint64_t most);

/* --- http2_connect.c --- */

/* Makes shared->connect. */
void wh_http2_prepare_connect(wh_http2_shared *shared);
/* Tells the application what an extended CONNECT asks for. 0, or why the request is malformed. */
wh_refusal wh_http2_take_protocol(wh_http2_stream *stream);

/* --- http2_answer.c --- */

/* Takes bytes of the answer's body for a frame. WH_OK, or an error: it cannot be completed. */
int wh_http2_take_bytes(wh_http2_stream *stream, uint8_t *out, size_t length);
/* The end of the answer is framed. The stream may be closed by it. */
void wh_http2_answered(wh_http2_stream *stream);
/* Its exchange, if there still is one, is told and cut loose. */
void wh_http2_cut(wh_http2_stream *stream);
/*
 * Answers a request that is refused, in place of the application; or resets it if it is malformed, or
 * that has answered. The stream must not be used after.
 */
void wh_http2_refuse(wh_http2_stream *stream, wh_refusal reason);
/* Forgets what waits to be sent. */
void wh_http2_drop_out(wh_http2_stream *stream);

/* --- http2_guard.c --- */

/* Before each frame. 0, or the code of a connection error. */
uint32_t wh_http2_guard_frame(wh_http2 *session);
/* Counts one more; 1 where that is too many. */
int wh_http2_guard_count(wh_http2 *session, wh_http2_flood kind);
/* Counts DATA that carries nothing. 0, or the code of a connection error. */
uint32_t wh_http2_guard_empty(wh_http2 *session);
/* Whether a header section is so large that it does not get a 431, which is then counted and told. */
int wh_http2_section_is_endless(wh_http2 *session, uint64_t size);
/* Remembers a stream that we reset; whether this one is such. */
void wh_http2_note_reset(wh_http2 *session, int32_t id);
int wh_http2_was_reset(const wh_http2 *session, int32_t id);
/* The client opens a stream with this id, which is higher than any before. */
void wh_http2_note_id(wh_http2 *session, int32_t id);
/* A frame for a stream that is not open and not idle. 0: to be ignored; or the code of a connection error. */
uint32_t wh_http2_judge_closed(const wh_http2 *session, int32_t id);
/* A fault of the client costs its stream: "made you reset". It may end the connection. */
void wh_http2_fault(wh_http2_stream *stream, uint32_t code);

#endif
