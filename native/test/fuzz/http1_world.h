/*
 * The world of http1_fuzz: a wh_server without sockets. Below it a fake connection, which notes what is
 * written; above it a fake application, which notes what it is told. Both check what must hold at any time.
 * Only http1_fuzz.c includes this.
 */
#ifndef WH_TEST_FUZZ_HTTP1_WORLD_H
#define WH_TEST_FUZZ_HTTP1_WORLD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "http/http1_session.h"
#include "http/utf8.h"
#include "server/server_internal.h"

#define MUST(condition)                                               \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                        \
    }                                                                 \
  } while (0)

#define ARENA WH_ARENA_MINIMUM
#define MOST_REQUESTS 2000
#define MOST_PINS 4000
#define MOST_SLABS 200
#define MOST_PIECE 40000U
#define COMMAND_SIZE 131072U

enum {
  OPTION_COMPARE = 1,     /* ignore the script: cut the bytes in three ways and compare */
  OPTION_SMALL = 2,       /* small limits */
  OPTION_NO_MEMORY = 4,   /* an allocation fails: the second byte of the first step says which */
  OPTION_KEEP_SESSION = 8 /* an idle session is not given back */
};

/* --- one run --- */

typedef struct request {
  uint32_t slot, generation;
  int open, head_only, complete, aborted, chunked, room, ended;
  int may_close; /* its answer may end the connection though others follow */
  int tunnel; /* upgraded: what it gets are the client's bytes, and what it writes goes out raw */
  uint64_t length, received, content_length;
} request;

typedef struct output {
  uint8_t *bytes;
  size_t length, room;
} output;

static wh_server *server;
static struct lane {
  wh_server *server;
  uint8_t *arena, *commands;
  uint32_t *events, control[WH_CONTROL_WORDS];
  struct {
    uint8_t *memory;
    size_t slot_size;
  } slabs[MOST_SLABS];
} lanes[2], *lane; /* with the usual limits, and with small ones */
static uint8_t *arena, *commands;
static uint32_t *events, *control;

static wh_http1 *session;
static uint32_t requests_of_connection;
static uint8_t head_hint;
static int finished, closed, full, room_asked, gone, reserve_fails, told_end;
static int sent_after_stop, refused_in_place;
static uint8_t *reserved;
static size_t reserved_size;
static output out;
static output trace;   /* what the application saw, for the comparison */
static output section; /* the trailer section of the body that is coming */
static request requests[MOST_REQUESTS];
static size_t request_count;
static uint8_t pins[MOST_PINS];
static size_t pin_count;
static int auto_answer, within_batch;
static size_t tight_used;

static void add(output *o, const void *bytes, size_t length) {
  if (o->length + length > o->room) {
    o->room = (o->length + length) * 2;
    o->bytes = realloc(o->bytes, o->room);
    MUST(o->bytes != NULL);
  }
  if (length > 0) memcpy(o->bytes + o->length, bytes, length);
  o->length += length;
}

/* --- the connection below --- */

static uint8_t *fake_reserve(void *connection, size_t size) {
  (void)connection;
  MUST(!gone && reserved == NULL);
  MUST(!finished || closed); /* nothing is written behind the end */
  if (reserve_fails) {
    reserve_fails = 0;
    closed = 1;
    return NULL;
  }
  reserved = malloc(size == 0 ? 1 : size); /* exactly, so that any byte more is seen */
  reserved_size = size;
  MUST(reserved != NULL);
  return reserved;
}

static void fake_commit(void *connection, size_t size) {
  (void)connection;
  MUST(reserved != NULL && size <= reserved_size);
  if (!closed) add(&out, reserved, size);
  free(reserved);
  reserved = NULL;
}

static void fake_append(void *connection, const void *data, size_t length) {
  (void)connection;
  MUST(!gone && reserved == NULL && (!finished || closed));
  if (!closed) add(&out, data, length);
}

static void release_pin(uint32_t id) {
  MUST(id >= 1 && id <= pin_count && pins[id - 1] == 1);
  pins[id - 1] = 2;
}

static void fake_append_pinned(void *connection, uint32_t id, size_t length) {
  (void)connection;
  MUST(!gone && reserved == NULL && (!finished || closed) && length > 0);
  for (size_t i = 0; i < length && !closed; i++) add(&out, "p", 1);
  release_pin(id);
}

static void fake_append_file(void *connection, int file, uint64_t offset, uint64_t length,
                             uint64_t token) {
  (void)connection;
  (void)file;
  (void)offset;
  (void)length;
  (void)token;
  abort(); /* nobody here orders files: server_files_test.c does */
}

static void fake_notify_room(void *connection) {
  (void)connection;
  room_asked = 1;
}
static int fake_is_full(const void *connection) {
  (void)connection;
  return full;
}
static void fake_hold(void *connection, int on) {
  (void)connection;
  (void)on;
}
static void fake_read(void *connection, int on) {
  (void)connection;
  (void)on;
}
static void fake_finish(void *connection, int linger) {
  (void)connection;
  (void)linger;
  finished = 1;
}
static void fake_end(void *connection) { (void)connection; }
static void fake_close(void *connection, int with_reset) {
  (void)connection;
  (void)with_reset;
  closed = 1;
}

static int fake_has_more(const void *connection) {
  (void)connection;
  return 0;
}

static int fake_is_secure(const void *connection) {
  (void)connection;
  return 0;
}

static const wh_transport transport = {
    .reserve = fake_reserve,
    .commit = fake_commit,
    .append = fake_append,
    .append_pinned = fake_append_pinned,
    .append_file = fake_append_file,
    .notify_room = fake_notify_room,
    .has_more = fake_has_more,
    .is_full = fake_is_full,
    .hold = fake_hold,
    .read = fake_read,
    .finish = fake_finish,
    .end = fake_end,
    .close = fake_close,
    .is_secure = fake_is_secure,
};

/* --- the application above --- */

static void command(unsigned kind, unsigned flags, const request *r, unsigned status,
                    const char *head, const void *body, size_t body_length, uint32_t w4,
                    uint32_t w5) {
  size_t head_length = head == NULL ? 0 : strlen(head);
  size_t size = (WH_COMMAND_WORDS * 4 + head_length + body_length + 3) & ~(size_t)3;
  if (control[WH_CONTROL_COMMAND_LENGTH] + size > COMMAND_SIZE) wh_server_commit(server);
  uint8_t *at = commands + control[WH_CONTROL_COMMAND_LENGTH];
  uint32_t words[WH_COMMAND_WORDS] = {
      kind | flags << 8, r->slot, r->generation, status << 20 | (uint32_t)head_length, w4, w5};
  memcpy(at, words, sizeof words);
  if (head_length > 0) memcpy(at + sizeof words, head, head_length);
  if (body_length > 0) memcpy(at + sizeof words + head_length, body, body_length);
  control[WH_CONTROL_COMMAND_LENGTH] += (uint32_t)size;
}

/* Every answer names its request. */
static const char *head_of(const request *r) {
  static char head[40];
  snprintf(head, sizeof head, "X-Id: %zu\r\n", (size_t)(r - requests));
  return head;
}

static void answer(request *r) {
  command(WH_COMMAND_RESPOND, WH_COMMAND_FLAG_RELEASE, r, 200, head_of(r), "ok", 2, 2, 0);
  r->open = 0;
}

static uint32_t word_at(const uint8_t *slot, size_t place) {
  uint32_t word;
  memcpy(&word, slot + place, sizeof word);
  return word;
}

/* A piece of the slot that the head names must be within it. */
static const uint8_t *slot_piece(const uint8_t *slot, uint32_t offset, uint32_t length) {
  uint32_t size = word_at(slot, WH_SLOT_SIZE);
  MUST(offset <= size && length <= size - offset);
  return slot + offset;
}

static void trace_piece(const uint8_t *slot, size_t place) {
  uint32_t length = word_at(slot, place + 4);
  add(&trace, slot_piece(slot, word_at(slot, place), length), length);
  add(&trace, "|", 1);
}

static void take_body(request *r, uint32_t offset, uint32_t length) {
  MUST(offset <= ARENA && length <= ARENA - offset);
  MUST(r->open && !r->complete && !r->aborted && length > 0);
  add(&trace, arena + offset, length);
  r->received += length;
}

/* What a field's value may have: its bytes are UTF-8 and no controls but TAB. */
static void check_section(void) {
  MUST(wh_utf8_is_valid(section.bytes, section.length));
  for (size_t i = 0; i < section.length; i++) {
    uint8_t byte = section.bytes[i];
    MUST((byte >= 32 && byte != 127) || byte == '\t' || byte == '\r' || byte == '\n');
  }
  MUST(section.length == 0 || section.bytes[section.length - 1] == '\n');
}

static void take_trailers(const request *r, uint32_t offset, uint32_t length) {
  MUST(offset <= ARENA && length <= ARENA - offset && length > 0);
  MUST(r->open && r->chunked && !r->complete && !r->aborted);
  add(&section, arena + offset, length);
  MUST(section.length <= server->service.limits.headers_total_size);
}

static void take_request(uint32_t slot) {
  if (request_count == MOST_REQUESTS) abort(); /* the input is too large for this */
  for (size_t i = 0; i < request_count; i++) MUST(!requests[i].open || requests[i].slot != slot);
  request *r = &requests[request_count++];
  memset(r, 0, sizeof *r);
  section.length = 0; /* of one whose reader has gone */
  r->slot = slot;
  MUST(slot >> WH_SLAB_SHIFT < MOST_SLABS);
  size_t slot_size = lane->slabs[slot >> WH_SLAB_SHIFT].slot_size;
  const uint8_t *memory = lane->slabs[slot >> WH_SLAB_SHIFT].memory;
  MUST(memory != NULL);
  memory += (slot & ((1U << WH_SLAB_SHIFT) - 1)) * slot_size;
  MUST(word_at(memory, WH_SLOT_SIZE) == slot_size);
  r->generation = word_at(memory, WH_SLOT_GENERATION);
  r->open = 1;
  uint16_t flags;
  memcpy(&flags, memory + WH_SLOT_FLAGS, sizeof flags);
  r->may_close = memory[WH_SLOT_VERSION] == 10 || !(flags & WH_REQUEST_FLAG_KEEP_ALIVE) ||
                 flags & WH_REQUEST_FLAG_EXPECT_CONTINUE;
  r->head_only = (flags & WH_REQUEST_FLAG_HEAD_METHOD) != 0;
  r->chunked = (flags & WH_REQUEST_FLAG_CHUNKED) != 0;
  r->content_length = word_at(memory, WH_SLOT_CONTENT_LENGTH_LOW) |
                      (uint64_t)word_at(memory, WH_SLOT_CONTENT_LENGTH_HIGH) << 32;
  MUST(word_at(memory, WH_SLOT_REQUEST_NUMBER) == request_count);
  trace_piece(memory, WH_SLOT_METHOD_OFFSET);
  trace_piece(memory, WH_SLOT_TARGET_OFFSET);
  trace_piece(memory, WH_SLOT_PATH_OFFSET);
  trace_piece(memory, WH_SLOT_QUERY_OFFSET);
  uint32_t fields = word_at(memory, WH_SLOT_HEADER_COUNT);
  MUST(fields <= server->service.limits.header_count);
  for (uint32_t i = 0; i < fields; i++) {
    uint32_t words[3];
    uint16_t halves[2];
    memcpy(words, memory + slot_size - WH_FIELD_SIZE * (i + 1), sizeof words);
    memcpy(halves, memory + slot_size - WH_FIELD_SIZE * (i + 1) + 12, sizeof halves);
    const uint8_t *name = slot_piece(memory, words[0], halves[0]);
    const uint8_t *value = slot_piece(memory, words[1], words[2]);
    MUST(halves[0] > 0);
    for (size_t n = 0; n < halves[0]; n++) MUST(name[n] > 32 && name[n] < 127 && name[n] != ':');
    for (size_t n = 0; n < words[2]; n++)
      MUST((value[n] >= 32 || value[n] == 9) && value[n] != 127);
    if (words[2] > 0) {
      MUST(value[0] != ' ' && value[0] != '\t');
      MUST(value[words[2] - 1] != ' ' && value[words[2] - 1] != '\t');
    }
    add(&trace, name, halves[0]);
    add(&trace, ":", 1);
    add(&trace, value, words[2]);
    add(&trace, ",", 1);
  }
  if (flags & WH_REQUEST_FLAG_BODY_COMPLETE) {
    take_body(r, word_at(memory, WH_SLOT_BODY_OFFSET), word_at(memory, WH_SLOT_BODY_LENGTH));
    MUST(r->received == r->content_length);
    r->complete = 1;
  }
  if (!(flags & WH_REQUEST_FLAG_HAS_BODY)) r->complete = 1;
  if (!auto_answer) return;
  if (r->complete)
    answer(r);
  else
    command(WH_COMMAND_READ, 0, r, 0, NULL, NULL, 0, 0, 0);
}

/* Makes a tunnel of it, if that can be. */
static void upgrade(request *r, unsigned status) {
  const uint8_t *slot =
      lane->slabs[r->slot >> WH_SLAB_SHIFT].memory +
      (r->slot & ((1U << WH_SLAB_SHIFT) - 1)) * lane->slabs[r->slot >> WH_SLAB_SHIFT].slot_size;
  command(WH_COMMAND_UPGRADE, 0, r, status, head_of(r), NULL, 0, 0, 0);
  int before = r->tunnel;
  wh_server_commit(server);
  if (before || word_at(slot, WH_SLOT_GENERATION) != r->generation) return;
  r->tunnel = slot[WH_SLOT_UPGRADE_RESULT] == WH_UPGRADE_RESULT_DONE;
  if (r->tunnel) r->complete = 0;
}

static void take_event(const uint32_t *event) {
  unsigned kind = event[0] & 0xFF, flags = event[0] >> 8;
  MUST(kind >= WH_EVENT_REQUEST && kind <= WH_EVENT_ENDED);
  MUST(flags == 0 || (flags == WH_EVENT_FLAG_TRAILERS && kind == WH_EVENT_BODY));
  if (event[0] == WH_EVENT_REQUEST) {
    take_request(event[1]);
    return;
  }
  request *r = NULL;
  for (size_t i = 0; i < request_count; i++) {
    if (requests[i].open && requests[i].slot == event[1]) r = &requests[i];
  }
  if (r == NULL) return;
  switch (kind) {
  case WH_EVENT_BODY:
    if (flags == WH_EVENT_FLAG_TRAILERS)
      take_trailers(r, event[2], event[3]);
    else
      take_body(r, event[2], event[3]);
    break;
  case WH_EVENT_BODY_END:
    MUST(!r->complete && !r->aborted);
    MUST(r->chunked || r->tunnel || r->received == r->content_length);
    r->complete = 1;
    check_section();
    add(&trace, section.bytes, section.length);
    section.length = 0;
    if (auto_answer) answer(r);
    break;
  case WH_EVENT_ABORTED:
    MUST(!r->aborted);
    r->aborted = 1;
    section.length = 0;
    if (event[2] != 0) refused_in_place = 1;
    if (auto_answer) {
      command(WH_COMMAND_RELEASE, 0, r, 0, NULL, NULL, 0, 0, 0);
      r->open = 0;
    }
    break;
  case WH_EVENT_ROOM:
    MUST(r->room);
    r->room = 0;
    break;
  case WH_EVENT_ENDED:
    MUST(!r->ended);
    r->ended = 1;
    break;
  default: abort();
  }
}

static void dispatch(void *user, uint32_t first, uint32_t count) {
  (void)user;
  MUST(!within_batch && count > 0);
  within_batch = 1;
  for (uint32_t i = first; i < first + count; i++) take_event(events + (size_t)i * WH_EVENT_WORDS);
  within_batch = 0;
}

static uint8_t *allocate_slab(void *user, uint32_t number, size_t size, size_t slot_size) {
  struct lane *l = user;
  MUST(number < MOST_SLABS && l->slabs[number].memory == NULL);
  l->slabs[number].memory = calloc(1, size);
  l->slabs[number].slot_size = slot_size;
  return l->slabs[number].memory;
}

static void free_slab(void *user, uint32_t number, uint8_t *memory) {
  struct lane *l = user;
  MUST(l->slabs[number].memory == memory);
  free(memory);
  l->slabs[number].memory = NULL;
}

static int locate_pinned(void *user, uint32_t id, const uint8_t **data, size_t *length) {
  (void)user;
  (void)id;
  (void)data;
  (void)length;
  abort(); /* that is the connection's business */
}

static void host_release_pinned(void *user, uint32_t id) {
  (void)user;
  release_pin(id);
}

static int take_file(void *user, uint32_t id) {
  (void)user;
  (void)id;
  return -1;
}

static const wh_host host = {dispatch,      allocate_slab,       free_slab,
                             locate_pinned, host_release_pinned, take_file};

/* --- turns --- */

static void let_go(void) {
  wh_http1 *old = session;
  session = NULL;
  if (old != NULL) wh_http1_close(old);
}

static void batch(void) {
  if (server->event_count > 0) wh_server_dispatch(server);
  wh_server_commit(server);
  wh_loop_forget(server->loop);
  tight_used = 0;
}

/* What the server does at the end of a turn: batches, what those set free, ends. */
static void settle(unsigned options) {
  batch();
  for (int i = 0; i < MOST_REQUESTS && session != NULL && !closed; i++) {
    if (room_asked && !full) {
      room_asked = 0;
      wh_http1_room(session);
    }
    if (wh_http1_can_resume(session)) {
      size_t rest = wh_http1_rest(session);
      MUST(rest <= ARENA);
      wh_http1_resume(session, arena + ARENA - rest);
    } else if (server->event_count == 0 && control[WH_CONTROL_COMMAND_LENGTH] == 0) {
      break;
    }
    batch();
  }
  if (session != NULL && !closed && !finished) {
    /* Who waits for room to write has heard of it. */
    MUST(full || session->first == NULL || !session->first->room_wanted);
  }
  if (session != NULL && !closed && server->stopping == WH_STOPPING_LATE) wh_http1_stop(session);
  if (session != NULL && !closed && !finished && wh_http1_phase_of(session) == WH_HTTP1_IDLE) {
    if (server->stopping == WH_STOPPING_LATE) finished = 1;
    if (!(options & OPTION_KEEP_SESSION) || told_end || finished) let_go();
  }
  if (closed) let_go();
  batch();
}

static uint64_t body_faults(void) {
  const uint64_t *refusals = server->service.refusals;
  return refusals[WH_REFUSED_CHUNK];
}

/* Bytes arrive. Alone in a batch they stand at the very end of the arena, so that reading on is seen. */
static void deliver(const uint8_t *bytes, size_t length, int more, unsigned options) {
  if (length == 0 || closed || finished || told_end) return;
  if (session == NULL) {
    session = wh_http1_open(&server->service, &session, 1, &requests_of_connection, &head_hint);
    if (session == NULL) {
      closed = 1;
      return;
    }
  }
  uint8_t *at = arena + ARENA - length;
  if (more || tight_used > 0) {
    if (tight_used + length > ARENA) settle(options);
    at = arena + tight_used;
    tight_used += length + (length & 63);
    if (tight_used > ARENA) tight_used = ARENA;
  }
  if (session == NULL || closed || finished) return;
  memcpy(at, bytes, length);
  if (server->stopping) sent_after_stop = 1;
  uint64_t dispatched = server->service.requests, faults = body_faults();
  size_t written = out.length;
  int draining = session->draining;
  wh_http1_receive(session, at, length);
  /* A fault in a body whose request has its answer brings no second answer. */
  if (draining && body_faults() != faults && server->service.requests == dispatched) {
    MUST(out.length == written);
  }
  if (!more) settle(options);
}

static void deliver_end(unsigned options) {
  if (told_end || closed || finished) return;
  settle(options);
  told_end = 1;
  if (session == NULL)
    finished = 1;
  else
    wh_http1_receive(session, arena, 0);
  settle(options);
}

#endif
