/*
 * The world of http2_fuzz: a wh_server without sockets. Below it a fake connection, which notes what is
 * written; above it a fake application, which notes what it is told. Both check what must hold at any time;
 * the frames are checked by http2_wire.h. Only http2_fuzz.c includes this.
 */
#ifndef WH_TEST_FUZZ_HTTP2_WORLD_H
#define WH_TEST_FUZZ_HTTP2_WORLD_H

#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "http/http2_session.h"
#include "http2_wire.h"
#include "server/server_internal.h"

#define ARENA WH_ARENA_MINIMUM
#define MOST_REQUESTS 2000
#define MOST_PINS 4000
#define MOST_SLABS 200
#define MOST_PIECE 40000U
#define COMMAND_SIZE 131072U
#define FILE_SIZE 30000U
#define ROUNDS 3000

enum {
  OPTION_SMALL = 1,     /* small limits and windows */
  OPTION_NO_MEMORY = 2, /* an allocation fails: the second byte of the input says which */
  OPTION_NO_PREFACE = 4 /* the client's bytes begin as the script has it */
};

typedef struct request {
  uint32_t slot, generation, id;
  int open, has_length, complete, aborted, connect, read, reads, room, wants_ended, ended;
  int tunnel; /* upgraded */
  uint64_t received, content_length;
} request;

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

static wh_http2 *session;
static uint32_t requests_of_connection;
static int finished, closed, full, room_asked, reserve_fails, told_end;
static int look_asked, awaiting, stalled;
static uint8_t *reserved;
static size_t reserved_size;
static request requests[MOST_REQUESTS];
static size_t request_count;
static uint8_t pins[MOST_PINS];
static size_t pin_count;
static int within_batch;
static size_t tight_used;
static int the_file = -1;

/* --- the connection below --- */

static uint8_t *fake_reserve(void *connection, size_t size) {
  (void)connection;
  free(reserved);            /* what could not be filled is not committed */
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
  MUST(!finished || closed);
  if (!closed) add(&out, data, length);
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
static uint8_t *fake_lend(void *connection, size_t length) {
  (void)connection;
  return wh_loop_lend(server->loop, length);
}
static void fake_look(void *connection) {
  (void)connection;
  look_asked = 1;
}
static void fake_awaits(void *connection, int on) {
  (void)connection;
  MUST(on != 0 || awaiting);
  MUST(on >= 0 || !awaiting);
  awaiting = on > 0;
}
static void fake_stalled(void *connection, int on) {
  (void)connection;
  MUST(on != stalled);
  stalled = on;
}

static const wh_transport transport = {
    .reserve = fake_reserve,
    .commit = fake_commit,
    .append = fake_append,
    .notify_room = fake_notify_room,
    .has_more = fake_has_more,
    .is_full = fake_is_full,
    .hold = fake_hold,
    .read = fake_read,
    .finish = fake_finish,
    .close = fake_close,
    .is_secure = fake_is_secure,
    .lend = fake_lend,
    .look = fake_look,
    .awaits = fake_awaits,
    .stalled = fake_stalled,
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
  static char head[80];
  snprintf(head, sizeof head, "X-Id: %zu\r\nConnection: close\r\n", (size_t)(r - requests));
  return head;
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

static const uint8_t *slot_of(uint32_t slot) {
  MUST(slot >> WH_SLAB_SHIFT < MOST_SLABS);
  size_t slot_size = lane->slabs[slot >> WH_SLAB_SHIFT].slot_size;
  const uint8_t *memory = lane->slabs[slot >> WH_SLAB_SHIFT].memory;
  MUST(memory != NULL);
  return memory + (slot & ((1U << WH_SLAB_SHIFT) - 1)) * slot_size;
}

static void take_body(request *r, uint32_t offset, uint32_t length) {
  MUST(offset <= ARENA && length <= ARENA - offset && length > 0);
  MUST(r->open && r->reads > 0 && !r->complete && !r->aborted);
  for (uint32_t i = 0; i < length; i++) MUST(sends_filler || arena[offset + i] != 0xEE);
  r->received += length;
  if (r->has_length && !r->connect) MUST(r->received <= r->content_length);
}

static void check_lines(const uint8_t *lines, uint32_t length) {
  MUST(length > 0);
  for (uint32_t i = 0; i < length; i++) MUST(lines[i] >= ' ' || strchr("\t\r\n", lines[i]) != NULL);
}

static void check_request_field(const uint8_t *memory, uint32_t i) {
  uint32_t words[3];
  uint16_t halves[2];
  const uint8_t *entry = memory + word_at(memory, WH_SLOT_SIZE) - WH_FIELD_SIZE * (i + 1);
  memcpy(words, entry, sizeof words);
  memcpy(halves, entry + 12, sizeof halves);
  const uint8_t *name = slot_piece(memory, words[0], halves[0]);
  const uint8_t *value = slot_piece(memory, words[1], words[2]);
  check_name(name, halves[0]);
  MUST(name[0] != ':');
  for (size_t n = 0; n < words[2]; n++) MUST((value[n] >= 32 || value[n] == 9) && value[n] != 127);
  if (words[2] > 0) {
    MUST(value[0] != ' ' && value[0] != '\t');
    MUST(value[words[2] - 1] != ' ' && value[words[2] - 1] != '\t');
  }
}

static void take_request(uint32_t slot) {
  if (request_count == MOST_REQUESTS) abort(); /* the input is too large for this */
  for (size_t i = 0; i < request_count; i++) MUST(!requests[i].open || requests[i].slot != slot);
  request *r = &requests[request_count++];
  memset(r, 0, sizeof *r);
  r->slot = slot;
  const uint8_t *memory = slot_of(slot);
  r->generation = word_at(memory, WH_SLOT_GENERATION);
  r->open = 1;
  uint16_t flags;
  memcpy(&flags, memory + WH_SLOT_FLAGS, sizeof flags);
  MUST(memory[WH_SLOT_VERSION] == 20 && !(flags & WH_REQUEST_FLAG_BODY_COMPLETE));
  r->has_length = !(flags & WH_REQUEST_FLAG_CHUNKED);
  r->connect = (flags & WH_REQUEST_FLAG_UPGRADE) != 0;
  r->content_length = word_at(memory, WH_SLOT_CONTENT_LENGTH_LOW) |
                      (uint64_t)word_at(memory, WH_SLOT_CONTENT_LENGTH_HIGH) << 32;
  r->id = word_at(memory, WH_SLOT_REQUEST_NUMBER);
  MUST(r->id % 2 == 1 && (blind || (r->id < MOST_ID && streams[r->id].opened)));
  for (size_t i = 0; i + 1 < request_count; i++) MUST(requests[i].id != r->id);
  if (flags & WH_REQUEST_FLAG_HEAD_METHOD && r->id < MOST_ID) streams[r->id].to_head = 1;
  static const size_t places[] = {WH_SLOT_METHOD_OFFSET, WH_SLOT_TARGET_OFFSET, WH_SLOT_PATH_OFFSET,
                                  WH_SLOT_QUERY_OFFSET, WH_SLOT_AUTHORITY_OFFSET};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    slot_piece(memory, word_at(memory, places[i]), word_at(memory, places[i] + 4));
  }
  MUST(word_at(memory, WH_SLOT_METHOD_LENGTH) > 0 && word_at(memory, WH_SLOT_TARGET_LENGTH) > 0);
  uint32_t fields = word_at(memory, WH_SLOT_HEADER_COUNT);
  MUST(fields <= server->service.limits.header_count);
  for (uint32_t i = 0; i < fields; i++) check_request_field(memory, i);
  if (!(flags & (WH_REQUEST_FLAG_HAS_BODY | WH_REQUEST_FLAG_UPGRADE))) r->complete = 1;
}

/* Makes a tunnel of it, if that can be. */
static void upgrade(request *r, unsigned status) {
  command(WH_COMMAND_UPGRADE, 0, r, status, head_of(r), NULL, 0, 0, 0);
  int before = r->tunnel;
  wh_server_commit(server);
  const uint8_t *slot = slot_of(r->slot);
  if (before || word_at(slot, WH_SLOT_GENERATION) != r->generation) return;
  r->tunnel = slot[WH_SLOT_UPGRADE_RESULT] == WH_UPGRADE_RESULT_DONE;
}

static void take_event(const uint32_t *event) {
  unsigned kind = event[0] & 0xFF, flags = event[0] >> 8;
  MUST(kind >= WH_EVENT_REQUEST && kind <= WH_EVENT_FILE_DONE);
  MUST(flags == 0 || (flags == WH_EVENT_FLAG_TRAILERS && kind == WH_EVENT_BODY));
  if (kind == WH_EVENT_REQUEST) {
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
    MUST(event[2] <= ARENA && event[3] <= ARENA - event[2]);
    MUST(!r->complete && !r->aborted);
    if (flags == WH_EVENT_FLAG_TRAILERS)
      check_lines(arena + event[2], event[3]);
    else
      take_body(r, event[2], event[3]);
    break;
  case WH_EVENT_BODY_END:
    MUST(!r->complete && !r->aborted);
    MUST(!r->has_length || r->connect || r->received == r->content_length);
    r->complete = 1;
    break;
  case WH_EVENT_ABORTED:
    MUST(!r->aborted && !r->ended);
    r->aborted = 1;
    break;
  case WH_EVENT_ROOM:
    MUST(r->room);
    r->room = 0;
    break;
  case WH_EVENT_ENDED:
    MUST(!r->ended && r->wants_ended);
    r->ended = 1;
    break;
  case WH_EVENT_FILE_DONE: MUST(!r->aborted && event[2] <= WH_FILE_RESULT_UNREADABLE); break;
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
  static uint8_t bytes[MOST_PIECE];
  (void)user;
  MUST(id >= 1 && id <= pin_count && pins[id - 1] == 1);
  memset(bytes, 'p', sizeof bytes);
  *data = bytes;
  *length = sizeof bytes;
  return id % 32 == 31 ? -1 : 0; /* gone */
}

static void release_pinned(void *user, uint32_t id) {
  (void)user;
  MUST(id >= 1 && id <= pin_count && pins[id - 1] == 1);
  pins[id - 1] = 2;
}

static void make_file(void) {
  static uint8_t bytes[FILE_SIZE];
  if (the_file >= 0) return;
  memset(bytes, 'f', sizeof bytes);
  the_file = memfd_create("http2_fuzz", 0);
  MUST(the_file >= 0 && write(the_file, bytes, sizeof bytes) == (ssize_t)sizeof bytes);
}

static int take_file(void *user, uint32_t id) {
  (void)user;
  (void)id;
  return dup(the_file);
}

static const wh_host host = {dispatch,      allocate_slab,  free_slab,
                             locate_pinned, release_pinned, take_file};

/* --- what holds whenever a turn is over --- */

static size_t kept_of(const wh_http2_stream *stream) {
  size_t kept = 0;
  for (const wh_http2_piece *p = stream->in_first; p != NULL; p = p->next) {
    kept += (size_t)(p->length - p->offset);
  }
  return kept;
}

/* Of the frame of DATA that is being read: what is counted as received, and not yet taken. */
static int64_t under_way(void) {
  const wh_http2_reader *r = &session->reader;
  if (!r->in_payload || r->type != NGHTTP2_DATA) return 0;
  return r->left > r->padding ? r->left - r->padding : 0;
}

static void check_stream(const wh_http2_stream *s) {
  const wh_http2_limits *limits = &server->service.http2->limits;
  const wh_exchange *e = s->exchange;
  if (!s->remote_ended && !s->closed) {
    int64_t coming = session->reader.data == s ? under_way() : 0;
    MUST(s->receive_left + s->consumed + (int64_t)kept_of(s) + coming == limits->stream_window ||
         e == NULL || !e->dispatched || e->released || e->aborted);
  }
  if (s->listed) MUST(!s->closed && s->headed && !s->out_done);
  if (s->listed && s->out_queued > 0) MUST(s->send_window > 0);
  if (s->headed && !s->closed && !s->out_done && s->out_queued > 0) {
    MUST(s->listed || s->send_window <= 0);
  }
  if (e == NULL || !e->dispatched || e->released || e->aborted) return;
  /* What is wanted has been handed on, and who waits for room has heard of it. */
  MUST(!e->body_wanted || e->body_done || s->in_first == NULL);
  MUST(!s->remote_ended || s->in_first != NULL || e->body_done);
  MUST(!e->room_wanted || full || s->out_queued >= server->service.limits.response_low);
}

static void check_session(int memory_failed) {
  if (session == NULL) return;
  size_t count = 0, kept = 0, reading = 0, tunnels = 0;
  uint64_t queued = 0;
  for (const wh_http2_stream *s = session->first; s != NULL; s = s->next) {
    count++;
    kept += kept_of(s);
    queued += s->out_queued;
    reading += s->awaited;
    tunnels += s->tunnel;
    uint64_t left = 0;
    for (const wh_http2_piece *p = s->out_first; p != NULL; p = p->next)
      left += p->length - p->offset;
    MUST(left == s->out_queued && s->lent_length == 0);
    MUST(s->closed || wh_http2_find(session, s->id) == s);
  }
  MUST(count == session->streams && queued == session->out_queued && reading == session->reading);
  MUST(tunnels == server->service.upgraded);
  MUST(awaiting == (reading > 0) || session->over);
  MUST(session->sending == NULL && session->receiving == NULL && !session->in_reader);
  if (session->over || closed || memory_failed) return;
  /* What was received and not kept is consumed: windows do not leak. */
  MUST(session->receive_left + session->consumed + (int64_t)kept + under_way() ==
       server->service.http2->limits.connection_window);
  for (const wh_http2_stream *s = session->first; s != NULL; s = s->next) check_stream(s);
}

/* --- turns --- */

static int memory_failed;

static void batch(void) {
  if (server->event_count > 0) wh_server_dispatch(server);
  wh_server_commit(server);
  wh_loop_forget(server->loop);
  tight_used = 0;
}

/* What the server does at the end of a turn: batches, what those set free, ends. */
static void settle(void) {
  int i = 0;
  batch();
  for (; i < ROUNDS && session != NULL && !closed; i++) {
    if (room_asked && !full) {
      room_asked = 0;
      wh_http2_room(session);
    } else if (look_asked) {
      look_asked = 0;
      wh_http2_look(session);
    } else if (server->event_count == 0 && control[WH_CONTROL_COMMAND_LENGTH] == 0) {
      break;
    }
    batch();
  }
  MUST(i < ROUNDS); /* it does not turn for ever */
  check_output();
  check_session(memory_failed);
  if (session != NULL) (void)wh_http2_phase_of(session);
}

/* The connection is gone. */
static void let_go(void) {
  wh_http2 *old = session;
  closed = 1;
  session = NULL;
  if (old != NULL) wh_http2_close(old);
}

/* Bytes arrive. Alone in a batch they stand at the very end of the arena, so that reading on is seen. */
static void deliver(const uint8_t *bytes, size_t length, int more) {
  if (length == 0 || closed || finished || told_end || session == NULL) return;
  uint8_t *at = arena + ARENA - length;
  if (more || tight_used > 0) {
    if (tight_used + length > ARENA) settle();
    at = arena + tight_used;
    tight_used += length + (length & 63);
    if (tight_used > ARENA) tight_used = ARENA;
  }
  if (closed || finished) return;
  memcpy(at, bytes, length);
  wh_http2_receive(session, at, length);
  if (!more) settle();
}

/* Delivers so many of the bytes that the client has made. */
static void deliver_pending(size_t length, int more) {
  if (length > pending.length) length = pending.length;
  if (length > MOST_PIECE) length = MOST_PIECE;
  note_delivered(pending.bytes, length);
  deliver(pending.bytes, length, more);
  memmove(pending.bytes, pending.bytes + length, pending.length - length);
  pending.length -= length;
}

static void deliver_end(void) {
  settle();
  if (told_end || closed || finished || session == NULL) return;
  told_end = 1;
  wh_http2_receive(session, arena, 0);
  settle();
}

#endif
