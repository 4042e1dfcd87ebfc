/*
 * A libFuzzer target over a whole HTTP/2 connection: frames, streams, exchanges, answers and the border to the
 * application, all of it real; only the sockets below are fake. The input says which frames the client
 * makes, in which pieces they arrive, and what the application does: answer now, late, in pieces, with
 * pinned buffers and files, twice, never.
 *
 * input: options, which allocation fails, number of steps, steps of three bytes (enum step), bytes for
 *        frames that the client makes up
 *
 * Besides memory errors it looks for broken promises: frames that no server may send, or not then, DATA
 * beyond the windows, answers to another stream, events that make no sense, pinned buffers, files and slots
 * that are not given back, windows that leak, counters that are off, streams that hang.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "http2_world.h"

enum step {
  STEP_HEADERS,
  STEP_DATA,
  STEP_WINDOW_UPDATE,
  STEP_RST_STREAM,
  STEP_SETTINGS,
  STEP_CONTROL,   /* PING, PRIORITY, GOAWAY and the like */
  STEP_RAW_FRAME, /* a frame with a payload of the input's bytes */
  STEP_RAW_BYTES,
  STEP_DELIVER, /* some bytes */
  STEP_DELIVER_ALL,
  STEP_RESPOND, /* the rest: to one of the open requests */
  STEP_RESPOND_PINNED,
  STEP_START,
  STEP_WRITE,
  STEP_WRITE_PINNED,
  STEP_FILE,
  STEP_END,
  STEP_RELEASE,
  STEP_READ,
  STEP_INFORM,
  STEP_ABORT,
  STEP_UPGRADE,
  STEP_RARE, /* see rare() */
  STEP_COUNT
};

static uint32_t next_id;
static const uint8_t *tail; /* of the input */
static size_t tail_length;

static const uint8_t *take_tail(size_t length, size_t *taken) {
  const uint8_t *at = tail;
  *taken = length < tail_length ? length : tail_length;
  tail += *taken;
  tail_length -= *taken;
  return at;
}

/* --- what the client makes --- */

/* One of the streams that it has opened. */
static uint32_t pick_id(uint8_t which) {
  uint32_t count = (next_id - 1) / 2;
  return count == 0 ? 1
                    : (which % (count < 16 ? count : 16U)) * 2 + 1 +
                          (count > 16 && which & 128 ? (count - 16) * 2 : 0);
}

#define FIELD(name, value) put_field(&head, name, value, strlen(value), indexed)

static void put_headers(uint8_t a, uint8_t b) {
  static output head;
  static char large[12000];
  int indexed = (a & 32) != 0;
  unsigned flags = a & 128 ? NGHTTP2_FLAG_END_STREAM : 0U;
  uint32_t id = next_id;
  unsigned template = a & 31;
  head.length = 0;
  if (template == 21) { /* trailers */
    id = pick_id(b);
    FIELD("x-trailer", "t");
    if (b & 64) FIELD(":path", "/");
    if (!(b & 32)) flags |= NGHTTP2_FLAG_END_STREAM;
  } else {
    if (b == 255) id = pick_id(a); /* an id again */
    if (b == 254) id += 6;         /* some left out */
    const char *method = template == 1                    ? "POST"
                         : template == 2                  ? "HEAD"
                         : template == 3 || template == 4 ? "CONNECT"
                         : template == 5                  ? "FETCH"
                                                          : "GET";
    FIELD(":method", method);
    if (template == 4) FIELD(":protocol", "websocket");
    if (template != 3) FIELD(":scheme", template == 6 ? "ftp" : "http");
    if (template != 3) FIELD(":path", template == 7 ? "/a%20b?c=%41" : template == 8 ? "" : "/");
    FIELD(":authority", template == 9 ? "a b" : "example:80");
    switch (template) {
    case 1:
      if (b & 8) {
        static const char *const lengths[] = {"0", "3", "10", "300", "20000", "x", "3", "10"};
        FIELD("content-length", lengths[b & 7]);
      }
      if (b & 16) FIELD("expect", "100-continue");
      break;
    case 10:
      FIELD("cookie", "a=1");
      FIELD("cookie", "b=2");
      break;
    case 11: FIELD("Upper", "case"); break;
    case 12: FIELD("connection", "close"); break;
    case 13: FIELD("te", b & 1 ? "trailers" : "gzip"); break;
    case 14: FIELD("host", b & 1 ? "example:80" : "other"); break;
    case 15:
      memset(large, 'l', sizeof large);
      put_field(&head, "x-large", large, b * 47U, indexed);
      break;
    case 16:
      for (int i = 0; i < (b & 127); i++) FIELD("x-many", "m");
      break;
    case 17: FIELD("priority", b & 1 ? "u=1, i" : "u=9,,"); break;
    case 18: FIELD("x", b & 1 ? "\xC3\xA9" : "\xFF"); break;
    case 19: FIELD(":path", "/again"); break;
    case 20:
      FIELD("x", "");
      FIELD("range", "bytes=0-");
      break;
    default: break;
    }
    if (id >= next_id) next_id = id + 2;
  }
  if (next_id >= MOST_ID - 16) return;
  size_t first = a & 64 ? head.length / 2 : head.length;
  put_frame(NGHTTP2_HEADERS, flags | (first == head.length ? NGHTTP2_FLAG_END_HEADERS : 0U), id,
            head.bytes, first);
  if (first == head.length) return;
  put_frame(NGHTTP2_CONTINUATION, 0, id, NULL, 0);
  put_frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, id, head.bytes + first,
            head.length - first);
}

static void put_data(uint8_t a, uint8_t b) {
  static uint8_t bytes[16384];
  memset(bytes, 'd', sizeof bytes);
  static const uint16_t lengths[] = {0, 1, 3, 7, 10, 100, 300, 16384, 4000, 2, 5, 16000};
  size_t length = lengths[(a & 31) % 12];
  unsigned flags = a & 128 ? NGHTTP2_FLAG_END_STREAM : 0U;
  if (a & 64 && length < 16000) {
    uint8_t padding = (uint8_t)(a & 32 ? 200 : 1);
    put_frame_header(length + 1 + padding, NGHTTP2_DATA, flags | NGHTTP2_FLAG_PADDED, pick_id(b));
    add(&pending, &padding, 1);
    add(&pending, bytes, length);
    memset(bytes, 0, padding);
    add(&pending, bytes, padding);
  } else {
    put_frame(NGHTTP2_DATA, flags, pick_id(b), bytes, length);
  }
}

static void put_settings(uint8_t a, uint8_t b) {
  static const uint32_t windows[] = {0, 1, 100, 1000, 65535, 100000, 0x7FFFFFFF, 0x80000000};
  static const uint32_t tables[] = {0, 1, 100, 4096, 65536};
  switch (a % 6) {
  case 0:
  case 1: put_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, windows[b & 7]); break;
  case 2: put_setting(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, tables[b % 5]); break;
  case 3: put_setting(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, b & 1 ? 16384 : 20000 + b); break;
  case 4: put_setting(a, b); break;
  default: {
    size_t length;
    const uint8_t *payload = take_tail((b & 7) * 6U, &length);
    put_frame(NGHTTP2_SETTINGS, 0, 0, payload, length);
  }
  }
}

static void put_control(uint8_t a, uint8_t b) {
  static const uint8_t ping[8] = "windhov", priority[5] = {0, 0, 0, 0, 15};
  uint8_t update[16] = {0, 0, 0, 0, 'u', '=', '2'};
  switch (a % 8) {
  case 0: put_frame(NGHTTP2_PING, b & 1, 0, ping, sizeof ping); break;
  case 1: put_frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0); break;
  case 2: put_frame(NGHTTP2_PRIORITY, 0, pick_id(b), priority, sizeof priority); break;
  case 3:
    update[3] = (uint8_t)pick_id(b);
    put_frame(NGHTTP2_PRIORITY_UPDATE, 0, 0, update, 4 + b % 8U);
    break;
  case 4:
    if (b > 200) put_frame(NGHTTP2_GOAWAY, 0, 0, update, 8);
    break;
  case 5: put_frame(b | 32, b, pick_id(b), ping, b % 9U); break; /* unknown */
  case 6: put_frame(NGHTTP2_CONTINUATION, b & 4, pick_id(b), NULL, 0); break;
  default: put_frame(NGHTTP2_DATA, 0, pick_id(b), NULL, 0); break;
  }
}

static void put_raw(unsigned step, uint8_t a, uint8_t b) {
  size_t length;
  if (step == STEP_RAW_BYTES) {
    const uint8_t *bytes = take_tail(a, &length);
    add(&pending, bytes, length);
    return;
  }
  const uint8_t *payload = take_tail(b, &length);
  uint32_t id = a & 128 ? next_id : a & 64 ? pick_id(b) : 0;
  if (id == next_id && (a & 15) == NGHTTP2_HEADERS && next_id < MOST_ID - 16) next_id += 2;
  unsigned flags = a & 32 ? NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM
                          : (a & 16 ? (unsigned)NGHTTP2_FLAG_END_HEADERS : 0U);
  put_frame(a & 15, flags, id, payload, length);
}

static void client_step(unsigned step, uint8_t a, uint8_t b) {
  static const uint32_t increments[] = {1, 10, 100, 1000, 16384, 65535, 1000000, 0x7FFFFFFF, 0};
  if (pending.length > 200000) return;
  switch (step) {
  case STEP_HEADERS: put_headers(a, b); break;
  case STEP_DATA: put_data(a, b); break;
  case STEP_WINDOW_UPDATE:
    put_word_frame(NGHTTP2_WINDOW_UPDATE, b == 0 ? 0 : pick_id(b), increments[a % 9]);
    break;
  case STEP_RST_STREAM: put_word_frame(NGHTTP2_RST_STREAM, pick_id(b), a); break;
  case STEP_SETTINGS: put_settings(a, b); break;
  case STEP_CONTROL: put_control(a, b); break;
  default: put_raw(step, a, b); break;
  }
}

/* --- what the application does --- */

static uint32_t new_pin(void) {
  if (pin_count == MOST_PINS) return 0;
  pins[pin_count++] = 1;
  return (uint32_t)pin_count;
}

static request *pick(uint8_t which) {
  size_t open = 0;
  for (size_t i = 0; i < request_count; i++) open += requests[i].open != 0;
  if (open == 0) return NULL;
  size_t wanted = which % open;
  for (size_t i = 0; i < request_count; i++) {
    if (requests[i].open && wanted-- == 0) return &requests[i];
  }
  return NULL;
}

static void order_read(request *r, uint8_t b) {
  if (b & 64 && r->reads == 0) {
    command(WH_COMMAND_BODY_LIMIT, b & 32 ? 0 : WH_COMMAND_FLAG_HAS_LENGTH, r, 0, NULL, NULL, 0,
            (b & 15U) * 20, 0);
  }
  int on = !(b & 128);
  r->reads += on;
  command(on ? WH_COMMAND_READ : WH_COMMAND_PAUSE, 0, r, 0, NULL, NULL, 0, 0, 0);
}

static void order_file(request *r, unsigned flags, uint8_t b) {
  uint32_t part[4] = {(b & 3U) * 8000, 0, (b & 7) == 7 ? FILE_SIZE : (b & 31U) * 200, 0};
  command(WH_COMMAND_FILE, flags, r, 0, NULL, part, sizeof part, sizeof part, 1);
}

static const char *trailers_of(uint8_t b) {
  static char many[60000];
  if ((b & 7) != 7) return "X-T: y\r\nX-U: z\r\n";
  memset(many, 'm', sizeof many - 1);
  for (size_t i = 0; i + 1000 < sizeof many; i += 1000) memcpy(many + i, "X-M: ", 5);
  for (size_t i = 998; i < sizeof many; i += 1000) memcpy(many + i, "\r\n", 2);
  many[59 * 1000] = '\0';
  return many;
}

static void order(unsigned step, uint8_t a, uint8_t b) {
  static const uint16_t statuses[] = {200, 204, 205, 304, 404, 500, 299, 200};
  static uint8_t body[MOST_PIECE];
  request *r = pick(a & 15);
  if (r == NULL) return;
  unsigned flags = (a & 16 ? WH_COMMAND_FLAG_RELEASE : 0U) | (a & 32 ? WH_COMMAND_FLAG_NOTIFY : 0U);
  size_t length = b & 128 ? 2000U + (b & 127U) * 290U : b;
  unsigned status = statuses[b & 7];
  uint32_t pinned = 0;
  if (step == STEP_RESPOND || step == STEP_RESPOND_PINNED || step == STEP_START) {
    if (a & 64) flags |= WH_COMMAND_FLAG_WANT_ENDED;
    if (a & 128) flags |= WH_COMMAND_FLAG_CLOSE;
    if (a & 128) status = 200;
  } else if (step != STEP_WRITE && step != STEP_WRITE_PINNED && step != STEP_END) {
    flags = 0;
  }
  if (step == STEP_RESPOND_PINNED || step == STEP_WRITE_PINNED) {
    pinned = new_pin();
    if (pinned == 0) return;
    flags |= WH_COMMAND_FLAG_PINNED;
  }
  if (flags & WH_COMMAND_FLAG_NOTIFY) r->room = 1;
  if (flags & WH_COMMAND_FLAG_WANT_ENDED) r->wants_ended = 1;
  memset(body, 'b', sizeof body);
  switch (step) {
  case STEP_RESPOND:
    command(WH_COMMAND_RESPOND, flags, r, status, head_of(r), body, length, (uint32_t)length, 0);
    break;
  case STEP_RESPOND_PINNED:
    command(WH_COMMAND_RESPOND, flags, r, status, head_of(r), NULL, 0, (uint32_t)length, pinned);
    break;
  case STEP_START:
    if (b & 8) flags |= WH_COMMAND_FLAG_HAS_LENGTH;
    command(WH_COMMAND_START, flags, r, status, head_of(r), NULL, 0, (uint32_t)length, 0);
    break;
  case STEP_WRITE:
    command(WH_COMMAND_WRITE, flags, r, 0, NULL, body, length, (uint32_t)length, 0);
    break;
  case STEP_WRITE_PINNED:
    command(WH_COMMAND_WRITE, flags, r, 0, NULL, NULL, 0, (uint32_t)length, pinned);
    break;
  case STEP_FILE: order_file(r, flags, b); break;
  case STEP_END:
    command(b & 1 ? WH_COMMAND_TRAILERS : WH_COMMAND_END, flags, r, 0,
            b & 1 ? trailers_of(b) : NULL, NULL, 0, 0, 0);
    break;
  case STEP_RELEASE:
    if (b < 128) return; /* that ends most runs */
    flags = WH_COMMAND_FLAG_RELEASE;
    command(WH_COMMAND_RELEASE, 0, r, 0, NULL, NULL, 0, 0, 0);
    break;
  case STEP_READ: order_read(r, b); break;
  case STEP_INFORM:
    command(WH_COMMAND_INFORM, 0, r, b & 1 ? 103 : 100, "Link: <a>\r\n", NULL, 0, 0, 0);
    break;
  case STEP_ABORT:
    if (b < 128) return;
    command(WH_COMMAND_ABORT, 0, r, b & 15, NULL, NULL, 0, 0, 0);
    break;
  case STEP_UPGRADE: upgrade(r, b & 1 ? 200 : 101); break;
  default: break;
  }
  if (flags & WH_COMMAND_FLAG_RELEASE) r->open = 0;
}

/* --- what else may happen --- */

static void rare(uint8_t a, uint8_t b) {
  int alive = session != NULL && !closed;
  switch (a & 15) {
  case 0:
    if (b > 128) deliver_end();
    break;
  case 1:
  case 2:
    /* The drain window begins, or is over. */
    server->service.stopping = server->stopping =
        (a & 15) == 1 && !server->stopping ? WH_STOPPING_WINDOW : WH_STOPPING_LATE;
    if (alive) wh_http2_stop(session, server->stopping == WH_STOPPING_LATE);
    break;
  case 3: full = 1; break;
  case 4: full = 0; break;
  case 5:
    if (b > 200) reserve_fails = 1;
    break;
  case 6:
    if (b > 200) let_go();
    break;
  case 7: wh_server_commit(server); break;
  case 8:
    if (alive && awaiting) wh_http2_body_timeout(session);
    break;
  case 9:
    if (alive && b > 200) wh_http2_end_slow(session);
    break;
  case 10:
    settle();
    if (session != NULL && !closed && wh_http2_phase_of(session) == WH_HTTP2_IDLE && b > 128) {
      wh_http2_end_idle(session);
    }
    break;
  case 11:
    if (alive) wh_http2_ping(session);
    break;
  case 12: server->service.now_us += b * 100000U; break;
  default: settle(); break;
  }
}

/* --- runs --- */

static void set_up(struct lane *l, int small) {
  l->arena = malloc(ARENA);
  l->events = calloc(1024 * WH_EVENT_WORDS, sizeof *l->events);
  l->commands = malloc(COMMAND_SIZE);
  MUST(l->arena != NULL && l->events != NULL && l->commands != NULL);
  wh_memory memory = {l->arena, ARENA, l->events, 1024, l->commands, COMMAND_SIZE, l->control};
  wh_limits limits;
  wh_limits_init(&limits);
  if (small) {
    limits.max_request_line_size = 64;
    limits.max_request_headers_total_size = 600;
    limits.max_request_header_count = 5;
    limits.max_request_body_size = 200;
    limits.max_concurrent_upgraded_connections = 1;
    limits.max_response_buffer_size = 1000;
    limits.http2_streams = 3;
    limits.http2_field_size = 300;
    limits.http2_header_table = 100;
    limits.http2_stream_window = 65535;
    limits.http2_connection_window = 65535;
    limits.http2_resets = 20;
    limits.http2_pings = 5;
    limits.http2_settings = 5;
    limits.http2_priorities = 5;
    limits.http2_empty = 5;
    limits.http2_updates = 20;
    limits.http2_unknown = 5;
  }
  MUST(wh_server_create(&memory, &limits, &host, l, &l->server) == WH_OK);
  l->server->service.transport = &transport;
}

/* The number that the next descriptor gets. */
static int lowest_descriptor(void) {
  int descriptor = dup(the_file);
  close(descriptor);
  return descriptor;
}

static int lowest; /* lowest_descriptor() at the start of the run */

static void begin(unsigned options, size_t fails_at) {
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  lane = &lanes[(options & OPTION_SMALL) != 0];
  if (lane->server == NULL) set_up(lane, (options & OPTION_SMALL) != 0);
  server = lane->server;
  arena = lane->arena;
  events = lane->events;
  commands = lane->commands;
  control = lane->control;
  memset(arena, 0xEE, ARENA);
  requests_of_connection = 0;
  finished = closed = full = room_asked = reserve_fails = told_end = 0;
  look_asked = awaiting = stalled = 0;
  request_count = pin_count = tight_used = 0;
  next_id = 1;
  server->stopping = server->service.stopping = 0;
  make_file();
  lowest = lowest_descriptor();
  wire_begin((options & OPTION_NO_PREFACE) != 0);
  memory_failed = (options & OPTION_NO_MEMORY) != 0;
  if (memory_failed) wh_memory_fail_at(fails_at);
  session = wh_http2_open(&server->service, &session, 1, &requests_of_connection);
  if (session == NULL) closed = 1;
  if (options & OPTION_NO_PREFACE) return;
  deliver((const uint8_t *)preface, sizeof preface - 1, 1);
  put_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
  put_frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
}

static void answer_all(void) {
  for (request *r; (r = pick(0)) != NULL;) {
    /* Whatever was ordered before, this ends it. */
    command(WH_COMMAND_END, 0, r, 0, NULL, NULL, 0, 0, 0);
    command(WH_COMMAND_RESPOND, WH_COMMAND_FLAG_RELEASE, r, 200, head_of(r), "ok", 2, 2, 0);
    r->open = 0;
  }
  settle();
}

/* The client opens its windows wide. */
static void open_windows(void) {
  const int64_t wide = 1 << 30;
  put_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, DEFAULT_WINDOW);
  if (connection_window < wide) {
    put_word_frame(NGHTTP2_WINDOW_UPDATE, 0, (uint32_t)(wide - connection_window));
  }
  for (const wh_http2_stream *s = session->first; s != NULL; s = s->next) {
    int64_t updates = s->id < MOST_ID ? streams[s->id].updates : 0;
    if (updates < wide) {
      put_word_frame(NGHTTP2_WINDOW_UPDATE, (uint32_t)s->id, (uint32_t)(wide - updates));
    }
  }
  while (pending.length > 0 && !closed && !finished) deliver_pending(MOST_PIECE, 0);
}

/* The end of a run: answers all that is open, and looks whether everything is as it should be. */
static void end(unsigned options) {
  reserve_fails = 0;
  full = 0;
  settle();
  answer_all();
  int can_open = session != NULL && client_used == 0 && pending.length == 0 && !told_end &&
                 !(options & OPTION_NO_PREFACE);
  if (can_open && !closed && !finished) {
    server->service.now_us += WH_HTTP2_FLOOD_WINDOW * UINT64_C(1000) + 1;
    open_windows();
    answer_all(); /* what came only now */
    settle();
    if (!closed && !finished && !memory_failed && goaways == 0) {
      /* All is answered, and the client takes it: nothing is left but requests without an end. */
      MUST(session->out_queued == 0 && !session->stalled && session->streams == session->draining);
      wh_http2_end_drain(session);
      MUST(session->first == NULL && session->draining == 0);
    }
  }
  deliver_end();
  answer_all();
  if (can_open) MUST(finished || closed || memory_failed);
  let_go();
  batch();
  answer_all();
  check_output();
  /* Of the frame that a fault cut off nothing is left. */
  MUST(wh_exchange_pool_in_use(server->pool) == 0);
  MUST(server->service.upgraded == 0);
  MUST(server->event_count == 0 && server->overflow_count == 0);
  for (size_t i = 0; i < pin_count; i++) MUST(pins[i] == 2);
  for (int id = 1; id < MOST_ID; id++) {
    const wire_stream *s = &streams[id];
    if (!s->head || s->request < 0) continue;
    MUST((size_t)s->request < request_count && requests[s->request].id == (uint32_t)id);
  }
  MUST(lowest_descriptor() == lowest); /* all files are closed */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 3 || size > MOST_PIECE) return 0;
  unsigned options = data[0];
  size_t fails_at = data[1] + 1U, count = data[2];
  data += 3;
  size -= 3;
  if (count * 3 > size) count = size / 3;
  tail = data + count * 3;
  tail_length = size - count * 3;
  sends_filler = memchr(data, 0xEE, size) != NULL;
  begin(options, fails_at);
  for (size_t i = 0; i < count; i++) {
    unsigned step = data[i * 3] % STEP_COUNT;
    uint8_t a = data[i * 3 + 1], b = data[i * 3 + 2];
    if (step <= STEP_RAW_BYTES)
      client_step(step, a, b);
    else if (step == STEP_DELIVER)
      deliver_pending(a + 1U, b & 1);
    else if (step == STEP_DELIVER_ALL)
      deliver_pending(MOST_PIECE, b & 1);
    else if (step == STEP_RARE)
      rare(a, b);
    else
      order(step, a, b);
    if (data[i * 3] & 128) settle();
  }
  while (pending.length > 0 && !closed && !finished && session != NULL && !told_end) {
    deliver_pending(MOST_PIECE, 0);
  }
  end(options);
  wh_memory_fail_at(0);
  return 0;
}
