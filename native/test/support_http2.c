#include "support_http2.h"

#include <stdio.h>

#define FRAME_HEADER 9U
#define DEFAULT_WINDOW 65535

static void *must(void *memory) {
  assert_non_null(memory);
  return memory;
}

h2 *h2_over(client *c) {
  h2 *h = must(calloc(1, sizeof *h));
  h->app = c->app;
  h->client = c;
  h->next_id = 1;
  h->window = h->initial_window = DEFAULT_WINDOW;
  h->goaway_last = UINT32_MAX;
  assert_int_equal(nghttp2_hd_deflate_new(&h->deflater, 4096), 0);
  assert_int_equal(nghttp2_hd_inflate_new(&h->inflater), 0);
  return h;
}

h2 *h2_open_bare(app *a) { return h2_over(client_open(a)); }

h2 *h2_open(app *a) {
  h2 *h = h2_open_bare(a);
  client_send(h->client, BYTES(H2_PREFACE));
  h2_frame(h, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
  return h;
}

void h2_free(h2 *h) {
  for (size_t i = 0; i < h->stream_count; i++) {
    free(h->streams[i].head);
    free(h->streams[i].trailers);
    free(h->streams[i].body);
  }
  free(h->streams);
  free(h->block);
  nghttp2_hd_deflate_del(h->deflater);
  nghttp2_hd_inflate_del(h->inflater);
  free(h);
}

/* --- frames --- */

void h2_frame(h2 *h, unsigned type, unsigned flags, uint32_t id, const void *payload,
              size_t length) {
  uint8_t header[FRAME_HEADER] = {
      (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
      (uint8_t)type,           (uint8_t)flags,         (uint8_t)(id >> 24),
      (uint8_t)(id >> 16),     (uint8_t)(id >> 8),     (uint8_t)id};
  client_send(h->client, header, sizeof header);
  if (length > 0) client_send(h->client, payload, length);
}

uint8_t *h2_encode(h2 *h, const char *lines, size_t *length) {
  nghttp2_nv fields[256];
  size_t count = 0;
  while (*lines != '\0') {
    const char *end = strchr(lines, '\n');
    const char *colon = strchr(lines + 1, ':'); /* pseudo-header fields begin with one */
    assert_true(end != NULL && colon != NULL && colon < end && count < COUNT(fields));
    fields[count++] = (nghttp2_nv){.name = (uint8_t *)lines,
                                   .namelen = (size_t)(colon - lines),
                                   .value = (uint8_t *)colon + 2,
                                   .valuelen = (size_t)(end - colon - 2)};
    lines = end + 1;
  }
  size_t room = nghttp2_hd_deflate_bound(h->deflater, fields, count);
  uint8_t *block = must(malloc(room));
  nghttp2_ssize used = nghttp2_hd_deflate_hd2(h->deflater, block, room, fields, count);
  assert_true(used >= 0);
  *length = (size_t)used;
  return block;
}

void h2_headers(h2 *h, uint32_t id, const char *lines, int end_stream) {
  size_t length, at = 0;
  uint8_t *block = h2_encode(h, lines, &length);
  unsigned type = NGHTTP2_HEADERS, flags = end_stream ? NGHTTP2_FLAG_END_STREAM : 0U;
  do {
    size_t piece = length - at < 16384 ? length - at : 16384;
    if (at + piece == length) flags |= NGHTTP2_FLAG_END_HEADERS;
    h2_frame(h, type, flags, id, block + at, piece);
    at += piece;
    type = NGHTTP2_CONTINUATION;
    flags = 0;
  } while (at < length);
  free(block);
}

uint32_t h2_request(h2 *h, const char *method, const char *path, const char *lines,
                    int end_stream) {
  uint32_t id = h->next_id;
  size_t more = lines == NULL ? 0 : strlen(lines);
  size_t room = strlen(method) + strlen(path) + more + 100;
  char *all = must(malloc(room));
  snprintf(all, room, ":method: %s\n:scheme: http\n:path: %s\n:authority: h\n%s", method, path,
           more > 0 ? lines : "");
  h->next_id += 2;
  h2_headers(h, id, all, end_stream);
  free(all);
  return id;
}

uint32_t h2_get(h2 *h, const char *path) { return h2_request(h, "GET", path, NULL, 1); }

void h2_data(h2 *h, uint32_t id, const void *bytes, size_t length, int end_stream) {
  const uint8_t *at = bytes;
  do {
    size_t piece = length < 16384 ? length : 16384;
    length -= piece;
    h2_frame(h, NGHTTP2_DATA, length == 0 && end_stream ? NGHTTP2_FLAG_END_STREAM : 0, id, at,
             piece);
    at += piece;
  } while (length > 0);
}

static void put32(uint8_t *out, uint32_t value) {
  for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void h2_window(h2 *h, uint32_t id, uint32_t increment) {
  uint8_t payload[4];
  put32(payload, increment);
  h2_frame(h, NGHTTP2_WINDOW_UPDATE, 0, id, payload, sizeof payload);
  if (id == 0)
    h->window += increment;
  else
    h2_seen(h, id)->window += increment;
}

void h2_setting(h2 *h, unsigned which, uint32_t value) {
  uint8_t payload[6] = {(uint8_t)(which >> 8), (uint8_t)which};
  put32(payload + 2, value);
  h2_frame(h, NGHTTP2_SETTINGS, 0, 0, payload, sizeof payload);
  if (which != NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) return;
  h2_pump(h);
  for (size_t i = 0; i < h->stream_count; i++) {
    h->streams[i].window += (int64_t)value - h->initial_window;
  }
  h->initial_window = value;
}

void h2_reset(h2 *h, uint32_t id, uint32_t code) {
  uint8_t payload[4];
  put32(payload, code);
  h2_frame(h, NGHTTP2_RST_STREAM, 0, id, payload, sizeof payload);
}

void h2_ping(h2 *h, unsigned flags) { h2_frame(h, NGHTTP2_PING, flags, 0, "12345678", 8); }

void h2_sync(h2 *h) {
  h2_pump(h);
  int acks = h->ping_acks;
  RUN_UNTIL(h->app, (h2_pump(h), h->settings > 0) || h2_ended(h));
  h2_ping(h, 0);
  RUN_UNTIL(h->app, (h2_pump(h), h->ping_acks > acks) || h2_ended(h));
}

/* --- what came --- */

static h2_stream *stream_of(h2 *h, uint32_t id) {
  for (size_t i = 0; i < h->stream_count; i++) {
    if (h->streams[i].id == id) return &h->streams[i];
  }
  if (h->stream_count == h->stream_room) {
    h->stream_room = h->stream_room * 2 + 16;
    h->streams = must(realloc(h->streams, h->stream_room * sizeof *h->streams));
  }
  h2_stream *s = &h->streams[h->stream_count++];
  memset(s, 0, sizeof *s);
  s->id = id;
  s->window = h->initial_window;
  return s;
}

static void add_text(char **text, const void *bytes, size_t length) {
  size_t used = *text == NULL ? 0 : strlen(*text);
  *text = must(realloc(*text, used + length + 1));
  memcpy(*text + used, bytes, length);
  (*text)[used + length] = '\0';
}

static void take_block(h2 *h) {
  h2_stream *s = stream_of(h, h->block_of);
  const uint8_t *at = h->block;
  size_t left = h->block_length;
  int is_trailers = s->status >= 200;
  char **text = is_trailers ? &s->trailers : &s->head;
  int place = 0;
  for (;;) {
    nghttp2_nv nv;
    int flags = 0;
    nghttp2_ssize taken = nghttp2_hd_inflate_hd3(h->inflater, &nv, &flags, at, left, 1);
    assert_true(taken >= 0);
    at += taken;
    left -= (size_t)taken;
    if (flags & NGHTTP2_HD_INFLATE_EMIT) {
      int is_status = nv.namelen == 7 && memcmp(nv.name, ":status", 7) == 0;
      assert_int_equal(is_status, place == 0 && !is_trailers);
      if (is_status) s->status = atoi((const char *)nv.value);
      add_text(text, nv.name, nv.namelen);
      add_text(text, ": ", 2);
      add_text(text, nv.value, nv.valuelen);
      add_text(text, "\n", 1);
      place++;
    }
    if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
  }
  nghttp2_hd_inflate_end_headers(h->inflater);
  s->heads++;
  if (h->block_flags & NGHTTP2_FLAG_END_STREAM) {
    assert_int_equal(s->ended, 0);
    s->ended = 1;
  } else {
    assert_false(is_trailers);
  }
  h->block_of = 0;
}

static void take_settings(h2 *h, unsigned flags, const uint8_t *payload, size_t length) {
  if (flags & NGHTTP2_FLAG_ACK) {
    h->acks++;
    return;
  }
  h->settings++;
  if (h->client->fd >= 0 && !h->client->half_close) {
    h2_frame(h, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
  }
  for (size_t at = 0; at + 6 <= length; at += 6) {
    if (payload[at + 1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) {
      h->max_streams = get32(payload + at + 2);
    }
  }
}

static void take_data(h2 *h, h2_stream *s, unsigned flags, const uint8_t *payload, size_t length) {
  assert_true(s->status >= 200);
  s->window -= (int64_t)length;
  h->window -= (int64_t)length;
  if (length > 0) assert_true(s->window >= 0 && h->window >= 0);
  s->body = must(realloc(s->body, s->length + length + 1));
  memcpy(s->body + s->length, payload, length);
  s->length += length;
  s->body[s->length] = '\0';
  s->data_frames++;
  if (flags & NGHTTP2_FLAG_END_STREAM) s->ended = 1;
}

static void take_frame(h2 *h, const uint8_t *f, size_t length) {
  unsigned type = f[3], flags = f[4];
  uint32_t id = get32(f + 5);
  const uint8_t *payload = f + FRAME_HEADER;
  if (h->settings == 0) assert_int_equal(type, NGHTTP2_SETTINGS);
  assert_int_equal(type == NGHTTP2_CONTINUATION, h->block_of != 0);
  h2_stream *s = id == 0 ? NULL : stream_of(h, id);
  if (s != NULL) {
    assert_true(id % 2 == 1 && id < h->next_id);
    assert_int_equal(s->reset, 0);
    if (type == NGHTTP2_DATA || type == NGHTTP2_HEADERS) assert_int_equal(s->ended, 0);
  }
  switch (type) {
  case NGHTTP2_DATA:
    assert_non_null(s);
    take_data(h, s, flags, payload, length);
    break;
  case NGHTTP2_HEADERS:
  case NGHTTP2_CONTINUATION:
    if (type == NGHTTP2_HEADERS) {
      h->block_length = 0;
      h->block_of = id;
      h->block_flags = flags;
    }
    assert_int_equal(h->block_of, id);
    h->block = must(realloc(h->block, h->block_length + length + 1));
    memcpy(h->block + h->block_length, payload, length);
    h->block_length += length;
    if (flags & NGHTTP2_FLAG_END_HEADERS) take_block(h);
    break;
  case NGHTTP2_RST_STREAM:
    assert_non_null(s);
    assert_int_equal(length, 4);
    s->reset = 1;
    s->code = get32(payload);
    break;
  case NGHTTP2_SETTINGS: take_settings(h, flags, payload, length); break;
  case NGHTTP2_PING:
    assert_int_equal(length, 8);
    if (flags & NGHTTP2_FLAG_ACK)
      h->ping_acks++;
    else
      h->pings++;
    break;
  case NGHTTP2_GOAWAY:
    assert_true(length >= 8 && get32(payload) <= h->goaway_last);
    h->goaways++;
    h->goaway_last = get32(payload);
    h->goaway_code = get32(payload + 4);
    break;
  case NGHTTP2_WINDOW_UPDATE:
    assert_int_equal(length, 4);
    assert_true(get32(payload) > 0);
    if (s != NULL)
      s->updates += get32(payload);
    else
      h->updates += get32(payload);
    break;
  default: fail_msg("a frame of type %u", type);
  }
}

void h2_pump(h2 *h) {
  client *c = h->client;
  for (;;) {
    const uint8_t *f = c->in + c->taken;
    size_t left = c->in_length - c->taken;
    if (left < FRAME_HEADER) return;
    size_t length = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
    if (left < FRAME_HEADER + length) return;
    take_frame(h, f, length);
    c->taken += FRAME_HEADER + length;
  }
}

h2_stream *h2_seen(h2 *h, uint32_t id) {
  h2_pump(h);
  return stream_of(h, id);
}

int h2_done(h2 *h, uint32_t id) {
  const h2_stream *s = h2_seen(h, id);
  return s->ended || s->reset;
}

int h2_ended(h2 *h) {
  h2_pump(h);
  return h->client->ended;
}

void h2_expect(h2 *h, uint32_t id, int status, const char *body) {
  RUN_UNTIL(h->app, h2_done(h, id) || h2_ended(h));
  const h2_stream *s = h2_seen(h, id);
  if (!s->ended) fail_msg("stream %u: reset %d with %u", id, s->reset, s->code);
  assert_int_equal(s->status, status);
  if (body == NULL) return;
  assert_int_equal(s->length, strlen(body));
  if (s->length > 0) assert_memory_equal(s->body, body, s->length);
}

void h2_expect_reset(h2 *h, uint32_t id, uint32_t code) {
  RUN_UNTIL(h->app, h2_seen(h, id)->reset || h2_ended(h));
  const h2_stream *s = h2_seen(h, id);
  assert_int_equal(s->reset, 1);
  assert_int_equal(s->code, code);
}

void h2_expect_goaway(h2 *h, uint32_t code) {
  RUN_UNTIL(h->app, h2_ended(h));
  assert_true(h->goaways > 0);
  assert_int_equal(h->goaway_code, code);
  assert_int_equal(client_waiting(h->client), 0);
}

char *h2_field(const h2_stream *s, const char *name) {
  size_t length = strlen(name);
  for (const char *at = s->head; at != NULL && *at != '\0';) {
    const char *end = strchr(at, '\n');
    if (strncmp(at, name, length) == 0 && at[length] == ':') {
      size_t value = (size_t)(end - at) - length - 2;
      char *text = must(calloc(1, value + 1));
      memcpy(text, at + length + 2, value);
      return text;
    }
    at = end + 1;
  }
  return NULL;
}

app *h2_app(unsigned protocols, const wh_limits *limits) {
  static const app_options options = {.no_listen = 1};
  app *a = app_new(&options, limits);
  a->protocols = protocols;
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_OK);
  return a;
}

int h2_setup(void **state) {
  *state = h2_app(WH_PROTOCOL_HTTP2, NULL);
  return 0;
}
