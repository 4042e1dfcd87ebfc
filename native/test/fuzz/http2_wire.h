/*
 * The wire of http2_fuzz, seen from the client: makes frames for the server, notes what was promised by
 * those that were delivered, and checks every frame that comes back. Only http2_world.h includes this.
 */
#ifndef WH_TEST_FUZZ_HTTP2_WIRE_H
#define WH_TEST_FUZZ_HTTP2_WIRE_H

#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                               \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                        \
    }                                                                 \
  } while (0)

#define FRAME_HEADER 9U
/* Stream ids of a run are below this. */
#define MOST_ID 600
#define MOST_SETTINGS 300
#define DEFAULT_WINDOW 65535

typedef struct output {
  uint8_t *bytes;
  size_t length, room;
} output;

/* What the checker knows of a stream. */
typedef struct wire_stream {
  int opened;             /* its HEADERS were delivered */
  int head, ended, reset; /* by the server */
  int has_length, to_head;
  long request; /* as the answer names it; -1 = it names none */
  int status;
  int64_t updates; /* of its window, beyond the initial one */
  uint64_t sent, length;
} wire_stream;

typedef struct wire_settings {
  int64_t window;
  uint32_t table_least, table, frame;
} wire_settings;

static output pending; /* made, not delivered */
static output out;     /* what the server has written */
static size_t checked; /* of that */
static wire_stream streams[MOST_ID];
static wire_settings settings[MOST_SETTINGS]; /* [0]: the initial ones; then what was delivered */
static size_t settings_count, settings_acked;
static int64_t connection_window; /* what the server may still send */
static uint8_t client_frame[20000];
static size_t client_used; /* of a frame that is delivered in part */
static int blind, greeted, goaways;
/* The client itself may send the byte that fills the arena where nothing was received. */
static int sends_filler;
static uint32_t goaway_id;
static int32_t block_of; /* the stream whose header block goes on; 0 = none */
static int block_ends;
static output block;
static nghttp2_hd_inflater *inflater;

static void add(output *o, const void *bytes, size_t length) {
  if (o->length + length > o->room) {
    o->room = (o->length + length) * 2;
    o->bytes = realloc(o->bytes, o->room);
    MUST(o->bytes != NULL);
  }
  if (length > 0) memcpy(o->bytes + o->length, bytes, length);
  o->length += length;
}

static uint32_t word_of(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* without_preface: the client's bytes begin anywhere, and nothing can be known of its frames. */
static void wire_begin(int without_preface) {
  memset(streams, 0, sizeof streams);
  pending.length = out.length = checked = block.length = 0;
  settings[0] = (wire_settings){DEFAULT_WINDOW, 4096, 4096, 16384};
  settings_count = 1;
  settings_acked = 0;
  connection_window = DEFAULT_WINDOW;
  blind = without_preface;
  client_used = 0;
  greeted = goaways = 0;
  goaway_id = UINT32_MAX;
  block_of = 0;
  if (inflater != NULL) nghttp2_hd_inflate_del(inflater);
  MUST(nghttp2_hd_inflate_new(&inflater) == 0);
}

/* --- the client's frames --- */

static void put_frame_header(size_t length, unsigned type, unsigned flags, uint32_t id) {
  const uint8_t header[FRAME_HEADER] = {
      (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
      (uint8_t)type,           (uint8_t)flags,         (uint8_t)(id >> 24),
      (uint8_t)(id >> 16),     (uint8_t)(id >> 8),     (uint8_t)id};
  add(&pending, header, sizeof header);
}

static void put_frame(unsigned type, unsigned flags, uint32_t id, const void *payload,
                      size_t length) {
  put_frame_header(length, type, flags, id);
  add(&pending, payload, length);
}

static void put_word_frame(unsigned type, uint32_t id, uint32_t word) {
  const uint8_t payload[4] = {(uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8),
                              (uint8_t)word};
  put_frame(type, 0, id, payload, sizeof payload);
}

static void put_setting(unsigned which, uint32_t value) {
  const uint8_t payload[6] = {(uint8_t)(which >> 8),  (uint8_t)which,        (uint8_t)(value >> 24),
                              (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
  put_frame(NGHTTP2_SETTINGS, 0, 0, payload, sizeof payload);
}

static void put_hpack_length(output *o, size_t length) {
  uint8_t byte;
  if (length < 127) {
    byte = (uint8_t)length;
    add(o, &byte, 1);
    return;
  }
  byte = 127;
  add(o, &byte, 1);
  for (length -= 127;; length >>= 7) {
    byte = (uint8_t)(length < 128 ? length : 128 | (length & 127));
    add(o, &byte, 1);
    if (length < 128) return;
  }
}

/* A literal field; indexed: into the dynamic table. */
static void put_field(output *o, const char *name, const char *value, size_t value_length,
                      int indexed) {
  uint8_t kind = indexed ? 0x40 : 0;
  add(o, &kind, 1);
  put_hpack_length(o, strlen(name));
  add(o, name, strlen(name));
  put_hpack_length(o, value_length);
  add(o, value, value_length);
}

/* --- what was delivered --- */

static void note_settings(const uint8_t *payload, size_t length) {
  if (settings_count == MOST_SETTINGS) abort(); /* the input is too large for this */
  wire_settings next = settings[settings_count - 1];
  next.table_least = next.table;
  for (size_t at = 0; at + 6 <= length; at += 6) {
    unsigned which = (unsigned)payload[at] << 8 | payload[at + 1];
    uint32_t value = word_of(payload + at + 2);
    if (which == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) next.window = value;
    if (which == NGHTTP2_SETTINGS_MAX_FRAME_SIZE) next.frame = value;
    if (which != NGHTTP2_SETTINGS_HEADER_TABLE_SIZE) continue;
    next.table = value;
    if (value < next.table_least) next.table_least = value;
  }
  settings[settings_count++] = next;
}

static void note_client_frame(void) {
  const uint8_t *f = client_frame;
  size_t length = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
  uint32_t id = word_of(f + 5) & 0x7FFFFFFF;
  if (f[3] == NGHTTP2_SETTINGS && !(f[4] & NGHTTP2_FLAG_ACK) && id == 0 && length % 6 == 0) {
    note_settings(f + FRAME_HEADER, length);
  } else if (f[3] == NGHTTP2_WINDOW_UPDATE && length == 4) {
    uint32_t increment = word_of(f + FRAME_HEADER) & 0x7FFFFFFF;
    if (id == 0)
      connection_window += increment;
    else if (id < MOST_ID)
      streams[id].updates += increment;
  }
}

/* Bytes are about to be delivered: what may the server do from now on? */
static void note_delivered(const uint8_t *bytes, size_t length) {
  for (size_t i = 0; i < length && !blind; i++) {
    client_frame[client_used++] = bytes[i];
    if (client_used < FRAME_HEADER) continue;
    size_t payload = (size_t)client_frame[0] << 16 | (size_t)client_frame[1] << 8 | client_frame[2];
    uint32_t id = word_of(client_frame + 5) & 0x7FFFFFFF;
    if (client_used == FRAME_HEADER && client_frame[3] == NGHTTP2_HEADERS) {
      if (id < MOST_ID)
        streams[id].opened = 1;
      else
        blind = 1; /* an id that is not kept: what comes back is not judged any more */
    }
    if (client_used < FRAME_HEADER + payload) {
      /* Longer than anything that says something here: a fault, or DATA. */
      if (client_used == sizeof client_frame) client_used--;
      continue;
    }
    note_client_frame();
    client_used = 0;
  }
}

/* --- what comes back --- */

/* The most that a SETTINGS which may be in force allows. */
static int64_t most_window(void) {
  int64_t most = 0;
  for (size_t i = settings_acked; i < settings_count; i++) {
    if (settings[i].window > most) most = settings[i].window;
  }
  return most;
}

static uint32_t most_frame(void) {
  uint32_t most = 16384;
  for (size_t i = settings_acked; i < settings_count; i++) {
    if (settings[i].frame > most) most = settings[i].frame;
  }
  return most;
}

static void check_name(const uint8_t *name, size_t length) {
  MUST(length > 0);
  for (size_t i = 0; i < length; i++) {
    MUST(name[i] > ' ' && name[i] < 127 && !(name[i] >= 'A' && name[i] <= 'Z'));
    MUST(name[i] != ':' || i == 0);
  }
  MUST(length != 10 || memcmp(name, "connection", 10) != 0);
  MUST(length != 17 || memcmp(name, "transfer-encoding", 17) != 0);
}

/* One field of a header section. */
static void check_field(wire_stream *s, const nghttp2_nv *nv, size_t place, int is_trailers) {
  check_name(nv->name, nv->namelen);
  for (size_t i = 0; i < nv->valuelen; i++) MUST(nv->value[i] >= ' ' && nv->value[i] != 127);
  MUST((nv->name[0] == ':') == (place == 0 && !is_trailers));
  if (place == 0 && !is_trailers) {
    MUST(nv->namelen == 7 && memcmp(nv->name, ":status", 7) == 0 && nv->valuelen == 3);
    s->status = (nv->value[0] - '0') * 100 + (nv->value[1] - '0') * 10 + (nv->value[2] - '0');
    MUST(s->status >= 100 && s->status <= 599 && s->status != 101);
  }
  if (is_trailers) return;
  char text[32] = "";
  memcpy(text, nv->value, nv->valuelen < 31 ? nv->valuelen : 31);
  if (nv->namelen == 14 && memcmp(nv->name, "content-length", 14) == 0) {
    MUST(!s->has_length && s->status >= 200);
    s->has_length = 1;
    s->length = strtoull(text, NULL, 10);
  }
  if (nv->namelen == 4 && memcmp(nv->name, "x-id", 4) == 0) s->request = strtol(text, NULL, 10);
}

static void check_block(wire_stream *s) {
  const uint8_t *at = block.bytes;
  size_t left = block.length, place = 0;
  int is_trailers = s->head;
  if (!is_trailers) s->request = -1;
  for (;;) {
    nghttp2_nv nv;
    int flags = 0;
    ssize_t taken = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, at, left, 1);
    MUST(taken >= 0);
    at += taken;
    left -= (size_t)taken;
    if (flags & NGHTTP2_HD_INFLATE_EMIT) check_field(s, &nv, place++, is_trailers);
    if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
  }
  MUST(left == 0 && place > 0);
  nghttp2_hd_inflate_end_headers(inflater);
  if (is_trailers)
    MUST(block_ends);
  else if (s->status >= 200)
    s->head = 1;
  else
    MUST(!block_ends);
}

static void check_stream_end(wire_stream *s) {
  MUST(!s->ended && s->head);
  s->ended = 1;
  if (s->has_length && !s->to_head && s->status != 304) MUST(s->sent == s->length);
  if (s->to_head || s->status == 204 || s->status == 304) MUST(s->sent == 0);
}

static void check_settings_ack(void) {
  MUST(settings_acked + 1 < settings_count); /* one for each */
  settings_acked++;
  const wire_settings *now = &settings[settings_acked];
  MUST(nghttp2_hd_inflate_change_table_size(inflater, now->table_least) == 0);
  MUST(nghttp2_hd_inflate_change_table_size(inflater, now->table) == 0);
}

static void check_data(wire_stream *s, const uint8_t *payload, size_t length, unsigned flags) {
  MUST(s->head && !s->ended && !(flags & ~(unsigned)NGHTTP2_FLAG_END_STREAM));
  s->sent += length;
  connection_window -= (int64_t)length;
  MUST(length == 0 || connection_window >= 0);
  MUST(length == 0 || (int64_t)s->sent <= most_window() + s->updates);
  for (size_t i = 0; i < length; i++) MUST(payload[i] >= ' '); /* nothing that nobody wrote */
  if (flags & NGHTTP2_FLAG_END_STREAM) check_stream_end(s);
}

static void check_frame(const uint8_t *f, size_t length) {
  unsigned type = f[3], flags = f[4];
  uint32_t id = word_of(f + 5);
  const uint8_t *payload = f + FRAME_HEADER;
  MUST(id < MOST_ID && length <= most_frame());
  MUST((type == NGHTTP2_CONTINUATION) == (block_of != 0));
  wire_stream *s = &streams[id];
  if (id != 0) MUST(s->opened && id % 2 == 1 && !s->reset);
  if (!greeted) {
    MUST(type == NGHTTP2_SETTINGS && flags == 0 && id == 0 && length % 6 == 0);
    greeted = 1;
    return;
  }
  switch (type) {
  case NGHTTP2_DATA:
    MUST(id != 0);
    check_data(s, payload, length, flags);
    break;
  case NGHTTP2_HEADERS:
  case NGHTTP2_CONTINUATION:
    MUST(id != 0 && !s->ended && !(flags & (NGHTTP2_FLAG_PADDED | NGHTTP2_FLAG_PRIORITY)));
    if (type == NGHTTP2_HEADERS) {
      block.length = 0;
      block_ends = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
      block_of = (int32_t)id;
    }
    MUST(block_of == (int32_t)id);
    add(&block, payload, length);
    if (!(flags & NGHTTP2_FLAG_END_HEADERS)) break;
    block_of = 0;
    check_block(s);
    if (block_ends) check_stream_end(s);
    break;
  case NGHTTP2_RST_STREAM:
    MUST(id != 0 && length == 4);
    s->reset = 1;
    break;
  case NGHTTP2_SETTINGS:
    MUST(id == 0 && length == 0 && flags == NGHTTP2_FLAG_ACK);
    check_settings_ack();
    break;
  case NGHTTP2_PING: MUST(id == 0 && length == 8); break;
  case NGHTTP2_GOAWAY:
    MUST(id == 0 && length >= 8 && word_of(payload) <= goaway_id);
    goaway_id = word_of(payload);
    MUST(++goaways <= 4);
    break;
  case NGHTTP2_WINDOW_UPDATE:
    MUST(length == 4 && word_of(payload) > 0 && word_of(payload) < 0x80000000);
    break;
  default: MUST(!"a frame that no server sends");
  }
}

/* Checks what was written since the last time: whole frames, and those a server may send now. */
static void check_output(void) {
  while (checked < out.length && !blind) {
    MUST(out.length - checked >= FRAME_HEADER);
    const uint8_t *f = out.bytes + checked;
    size_t length = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
    MUST(out.length - checked >= FRAME_HEADER + length);
    check_frame(f, length);
    checked += FRAME_HEADER + length;
  }
}

#endif
