/*
 * Connections with a filter: what is written goes sealed, in order and once, however little the system
 * takes, and what comes is opened. The filter here is a toy: a record is a length of two bytes and as many
 * bytes, each changed; length 0 says that a side has ended.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "net/connection.h"

#define MASK 0x5A
#define RECORD 1000U /* plain bytes of a record at most */
#define PINS 4096

/* --- the filter --- */

typedef struct toy {
  wh_filter base;
  uint8_t half[2 + RECORD]; /* a record that has come in part */
  size_t half_used;
  int cannot, fails, ended, freed_count;
  size_t sealed; /* plain bytes */
} toy;

static int toys_alive;

static void toy_receive(wh_filter *filter, wh_connection *connection, uint8_t *data,
                        size_t length) {
  toy *t = (toy *)filter;
  uint8_t *plain = data + length;
  size_t used = 0;
  if (length == 0) {
    wh_connection_plain(connection, data, 0);
    return;
  }
  for (size_t i = 0; i < length; i++) {
    t->half[t->half_used++] = data[i];
    if (t->half_used < 2) continue;
    size_t size = (size_t)t->half[0] << 8 | t->half[1];
    assert_true(size <= RECORD);
    if (t->half_used < 2 + size) continue;
    t->half_used = 0;
    if (size == 0) {
      if (used > 0) wh_connection_plain(connection, plain, used);
      wh_connection_plain(connection, data, 0);
      return;
    }
    for (size_t n = 0; n < size; n++) plain[used + n] = t->half[2 + n] ^ MASK;
    used += size;
  }
  if (used > 0) wh_connection_plain(connection, plain, used);
}

static ssize_t toy_seal(wh_filter *filter, const uint8_t *data, size_t length, wh_wire *wire) {
  toy *t = (toy *)filter;
  assert_true(length > 0 && !t->ended);
  if (t->fails) return WH_ERR_CLOSED;
  if (t->cannot) return 0;
  if (length > RECORD) length = RECORD;
  uint8_t *out = wh_wire_reserve(wire, 2 + length);
  if (out == NULL) return WH_ERR_NO_MEMORY;
  out[0] = (uint8_t)(length >> 8);
  out[1] = (uint8_t)length;
  for (size_t i = 0; i < length; i++) out[2 + i] = data[i] ^ MASK;
  wire->used += 2 + length;
  t->sealed += length;
  return (ssize_t)length;
}

static void toy_end(wh_filter *filter, wh_wire *wire) {
  toy *t = (toy *)filter;
  assert_int_equal(t->ended, 0);
  t->ended = 1;
  uint8_t *out = wh_wire_reserve(wire, 2);
  assert_non_null(out);
  memset(out, 0, 2);
  wire->used += 2;
}

static void toy_free(wh_filter *filter) {
  toys_alive--;
  wh_free(filter);
}

static const wh_filter_type toy_type = {toy_receive, toy_seal, toy_end, toy_free};

/* --- the world --- */

typedef struct world {
  uint8_t *arena;
  wh_loop *loop;
  wh_outbox outbox;
  uint8_t *pins[PINS];
  size_t pin_lengths[PINS];
  int pins_released[PINS];
  uint32_t pin_count;
} world;

typedef struct owner {
  wh_connection *connection; /* NULL once it is gone */
  toy *filter;
  int peer;
  uint8_t *received;
  size_t received_length;
  int ends, closed, rooms, blocks, unblocks, lingers, files, file_errors;
  uint64_t last_token;
  void (*react)(struct owner *o, const char *what);
  /* What the peer has read: sealed, and opened. */
  uint8_t *wire, *plain;
  size_t wire_length, plain_length, opened;
  int peer_ends, eof;
  /* What was tapped. */
  uint8_t *tapped;
  size_t tapped_length, tapped_in;
} owner;

static owner *owner_of(const wh_connection *connection) { return connection->session; }

static void react(owner *o, const char *what) {
  if (o->react != NULL) o->react(o, what);
}

static void add(uint8_t **to, size_t *used, const void *bytes, size_t length) {
  *to = realloc(*to, *used + length + 1);
  assert_non_null(*to);
  if (length > 0) memcpy(*to + *used, bytes, length);
  *used += length;
}

static void on_data(wh_connection *connection, uint8_t *data, size_t length) {
  owner *o = owner_of(connection);
  assert_int_equal(o->ends, 0);
  if (length == 0)
    o->ends++;
  else
    add(&o->received, &o->received_length, data, length);
  react(o, "data");
}

static void on_room(wh_connection *connection) {
  owner_of(connection)->rooms++;
  react(owner_of(connection), "room");
}

static void on_blocked(wh_connection *connection, int blocked) {
  owner *o = owner_of(connection);
  if (blocked)
    o->blocks++;
  else
    o->unblocks++;
  assert_int_equal(o->blocks - o->unblocks, blocked);
}

static void on_file(wh_connection *connection, uint64_t token, int result) {
  owner *o = owner_of(connection);
  o->last_token = token;
  if (result == WH_OK)
    o->files++;
  else
    o->file_errors++;
  react(o, "file");
}

static void on_lingering(wh_connection *connection) { owner_of(connection)->lingers++; }

static void on_closed(wh_connection *connection) {
  owner *o = owner_of(connection);
  o->closed++;
  o->connection = NULL;
  o->filter = NULL;
}

static const wh_connection_events events = {on_data, on_room,      on_blocked,
                                            on_file, on_lingering, on_closed};

static void tap(wh_connection *connection, int sent, const struct iovec *parts, size_t length) {
  owner *o = owner_of(connection);
  if (!sent) {
    o->tapped_in += length;
    return;
  }
  for (size_t left = length; left > 0; parts++) {
    size_t piece = parts->iov_len < left ? parts->iov_len : left;
    add(&o->tapped, &o->tapped_length, parts->iov_base, piece);
    left -= piece;
  }
}

static int locate(void *user, uint32_t id, const uint8_t **data, size_t *length) {
  world *w = user;
  assert_int_equal(w->pins_released[id], 0);
  if (w->pins[id] == NULL) return -1;
  *data = w->pins[id];
  *length = w->pin_lengths[id];
  return 0;
}

static void release(void *user, uint32_t id) {
  world *w = user;
  assert_int_equal(w->pins_released[id], 0);
  w->pins_released[id] = 1;
  free(w->pins[id]);
  w->pins[id] = NULL;
}

static const wh_pinned_source pinned = {locate, release};

static int set_up(void **state) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  w->arena = malloc(WH_ARENA_MINIMUM);
  assert_int_equal(wh_loop_create(w->arena, WH_ARENA_MINIMUM, &w->loop), WH_OK);
  assert_int_equal(wh_outbox_init(&w->outbox, w->loop, &pinned, w), WH_OK);
  w->outbox.tap = tap;
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  world *w = *state;
  assert_int_equal(w->outbox.count, 0);
  assert_int_equal(w->outbox.wire.used, 0);
  assert_int_equal(toys_alive, 0);
  for (uint32_t i = 0; i < w->pin_count; i++) assert_int_equal(w->pins_released[i], 1);
  wh_outbox_free(&w->outbox);
  wh_loop_destroy(w->loop);
  free(w->arena);
  free(w);
  return 0;
}

static owner *open_owner(world *w) {
  static const wh_address nobody;
  int fds[2], size = 4096;
  owner *o = calloc(1, sizeof *o);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  o->peer = fds[1];
  o->connection = wh_connection_open(&w->outbox, fds[0], &nobody, &events);
  assert_non_null(o->connection);
  o->connection->session = o;
  o->connection->tapped = 1;
  o->filter = wh_zalloc(sizeof *o->filter);
  assert_non_null(o->filter);
  o->filter->base.type = &toy_type;
  toys_alive++;
  wh_connection_filter(o->connection, &o->filter->base);
  return o;
}

static void free_owner(owner *o) {
  if (o->peer >= 0) close(o->peer);
  free(o->received);
  free(o->wire);
  free(o->plain);
  free(o->tapped);
  free(o);
}

static void turn(world *w) {
  assert_true(wh_loop_poll(w->loop, 0) >= 0);
  wh_loop_forget(w->loop);
  wh_outbox_settle(&w->outbox);
}

/* The peer reads so many bytes, and opens the records that are whole. */
static size_t peer_read(owner *o, size_t most) {
  uint8_t buffer[65536];
  ssize_t got = recv(o->peer, buffer, most < sizeof buffer ? most : sizeof buffer, MSG_DONTWAIT);
  if (got == 0) o->eof = 1;
  if (got <= 0) return 0;
  add(&o->wire, &o->wire_length, buffer, (size_t)got);
  while (o->wire_length - o->opened >= 2) {
    const uint8_t *record = o->wire + o->opened;
    size_t size = (size_t)record[0] << 8 | record[1];
    if (o->wire_length - o->opened < 2 + size) break;
    assert_true(size <= RECORD);
    assert_int_equal(o->peer_ends, 0); /* nothing behind the end */
    if (size == 0) o->peer_ends++;
    size_t before = o->plain_length;
    add(&o->plain, &o->plain_length, record + 2, size);
    for (size_t i = before; i < o->plain_length; i++) o->plain[i] ^= MASK;
    o->opened += 2 + size;
  }
  return (size_t)got;
}

/* Turns until nothing happens any more, the peer reading in pieces of this size. */
static void drain(world *w, owner *o, size_t piece) {
  for (int quiet = 0; quiet < 3;) {
    turn(w);
    quiet = peer_read(o, piece) > 0 ? 0 : quiet + 1;
  }
}

static void peer_send(const owner *o, const void *bytes, size_t length, int end) {
  const uint8_t *at = bytes;
  while (length > 0) {
    size_t piece = length < RECORD ? length : RECORD;
    uint8_t record[2 + RECORD] = {(uint8_t)(piece >> 8), (uint8_t)piece};
    for (size_t i = 0; i < piece; i++) record[2 + i] = at[i] ^ MASK;
    assert_int_equal(send(o->peer, record, 2 + piece, 0), 2 + piece);
    at += piece;
    length -= piece;
  }
  if (end) assert_int_equal(send(o->peer, "\0", 2, 0), 2);
}

static uint8_t pattern(size_t i) { return (uint8_t)('a' + (i + i / 251) % 26); }

/* The next bytes of the pattern, of which `*at` are written already. */
static uint8_t *next_bytes(size_t *at, size_t length) {
  uint8_t *bytes = malloc(length + 1);
  for (size_t i = 0; i < length; i++) bytes[i] = pattern(*at + i);
  *at += length;
  return bytes;
}

static void append(owner *o, size_t *at, size_t length) {
  uint8_t *bytes = next_bytes(at, length);
  wh_connection_append(o->connection, bytes, length);
  free(bytes);
}

static void append_pinned(world *w, owner *o, size_t *at, size_t length) {
  uint32_t id = w->pin_count++;
  w->pins[id] = next_bytes(at, length);
  w->pin_lengths[id] = length;
  wh_connection_append_pinned(o->connection, id, length);
}

static int file_with(const uint8_t *bytes, size_t length) {
  int file = memfd_create("filter", MFD_CLOEXEC);
  assert_true(file >= 0);
  assert_int_equal(write(file, bytes, length), length);
  return file;
}

static void append_file(owner *o, size_t *at, size_t length, uint64_t token) {
  size_t before = *at;
  uint8_t *bytes = next_bytes(at, length);
  int file = file_with(bytes, length);
  free(bytes);
  (void)before;
  wh_connection_append_file(o->connection, file, 0, length, token);
}

static void expect_pattern(const owner *o, size_t length) {
  assert_int_equal(o->plain_length, length);
  for (size_t i = 0; i < length; i++) assert_int_equal(o->plain[i], pattern(i));
  assert_int_equal(o->tapped_length, length);
  if (length > 0) assert_memory_equal(o->tapped, o->plain, length);
}

static void close_owner(world *w, owner *o) {
  if (o->connection != NULL) wh_connection_close(o->connection, 0);
  for (int i = 0; i < 3 && o->closed == 0; i++) turn(w);
  assert_int_equal(o->closed, 1);
  free_owner(o);
}

/* --- tests --- */

static void what_comes_is_opened(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  turn(w);
  peer_send(o, "one two three", 13, 0);
  turn(w);
  assert_int_equal(o->received_length, 13);
  uint8_t record[] = {0, 4, 'f' ^ MASK, 'o' ^ MASK, 'u' ^ MASK, 'r' ^ MASK};
  for (size_t i = 0; i < sizeof record; i++) {
    assert_int_equal(send(o->peer, record + i, 1, 0), 1);
    turn(w);
  }
  assert_memory_equal(o->received, "one two threefour", 17);
  assert_int_equal(o->tapped_in, 17);
  peer_send(o, "end", 3, 1);
  turn(w);
  assert_int_equal(o->received_length, 20);
  assert_int_equal(o->ends, 1);
  close_owner(w, o);
}

static void small_writes_of_a_turn_are_one_send(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  size_t at = 0;
  for (int i = 0; i < 50; i++) append(o, &at, 7);
  wh_outbox_settle(&w->outbox);
  assert_int_equal(peer_read(o, 100000), 2 + 350);
  expect_pattern(o, 350);
  close_owner(w, o);
}

static void everything_comes_in_order_however_little_is_taken(void **state) {
  world *w = *state;
  static const size_t pieces[] = {1, 7, 999, 1002, 4096, 65536};
  for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
    owner *o = open_owner(w);
    size_t at = 0, scale = pieces[p] < 100 ? 1 : 20;
    append(o, &at, 10);
    append_pinned(w, o, &at, 400 * scale);
    append(o, &at, 1500 * scale);
    for (int i = 0; i < 40; i++) append_pinned(w, o, &at, 3 + (size_t)i);
    append_file(o, &at, 2000 * scale, 77);
    append(o, &at, 5);
    append_file(o, &at, 1, 78);
    append_pinned(w, o, &at, 1000 * scale);
    drain(w, o, pieces[p]);
    append(o, &at, 3000 * scale);
    turn(w);
    append(o, &at, 11);
    append_pinned(w, o, &at, 12);
    drain(w, o, pieces[p]);
    expect_pattern(o, at);
    assert_int_equal(o->files, 2);
    assert_int_equal(o->last_token, 78);
    assert_int_equal(o->blocks, o->unblocks);
    assert_int_equal(o->connection->queued, 0);
    assert_int_equal(o->connection->sent, o->wire_length);
    close_owner(w, o);
  }
}

static void no_more_is_sealed_than_can_be_sent(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  size_t at = 0;
  append_pinned(w, o, &at, 1000000);
  turn(w);
  turn(w);
  assert_true(o->filter->sealed < 300000);
  assert_true(o->filter->base.unsent_length > 0);
  assert_int_equal(o->blocks, 1);
  drain(w, o, 65536);
  expect_pattern(o, at);
  close_owner(w, o);
}

static void room_is_told_of_when_the_queue_is_low(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  size_t at = 0;
  append(o, &at, 5);
  wh_connection_notify_room(o->connection);
  turn(w);
  assert_int_equal(o->rooms, 1);
  append_pinned(w, o, &at, 300000);
  wh_connection_notify_room(o->connection);
  turn(w);
  assert_int_equal(o->rooms, 1);
  assert_true(wh_connection_is_full(o->connection));
  for (int i = 0; i < 1000 && o->rooms == 1; i++) {
    peer_read(o, 4096);
    turn(w);
  }
  assert_int_equal(o->rooms, 2);
  assert_true(o->connection->queued < WH_QUEUE_LOW);
  drain(w, o, 65536);
  expect_pattern(o, at);
  close_owner(w, o);
}

/* What cannot be sealed now waits plain, and goes when the filter says so by a flush. */
static void a_filter_may_have_us_wait(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  size_t at = 0;
  o->filter->cannot = 1;
  append(o, &at, 3000);
  turn(w);
  append(o, &at, 20);
  append_pinned(w, o, &at, 500);
  append_file(o, &at, 100, 1);
  for (int i = 0; i < 5; i++) turn(w);
  assert_int_equal(peer_read(o, 65536), 0);
  o->filter->cannot = 0;
  wh_connection_flush(o->connection);
  drain(w, o, 65536);
  expect_pattern(o, at);
  close_owner(w, o);
}

static void a_filter_that_fails_closes(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  size_t at = 0;
  append_pinned(w, o, &at, 100000);
  turn(w);
  o->filter->fails = 1;
  append(o, &at, 10);
  for (int i = 0; i < 1000 && o->closed == 0; i++) {
    peer_read(o, 4096);
    turn(w);
  }
  assert_int_equal(o->closed, 1);
  free_owner(o);
  o = open_owner(w);
  o->filter->fails = 1;
  append(o, &at, 10);
  turn(w);
  assert_int_equal(o->closed, 1);
  free_owner(o);
}

static void finish_sends_all_then_the_end(void **state) {
  world *w = *state;
  for (int linger = 0; linger < 2; linger++) {
    owner *o = open_owner(w);
    size_t at = 0;
    append_pinned(w, o, &at, 100000);
    append(o, &at, 10);
    wh_connection_finish(o->connection, linger);
    drain(w, o, 5000);
    expect_pattern(o, at);
    assert_int_equal(o->peer_ends, 1);
    assert_int_equal(o->eof, 1);
    assert_int_equal(o->closed, !linger);
    assert_int_equal(o->lingers, linger);
    if (linger) {
      peer_send(o, "ignored", 7, 0);
      turn(w);
      assert_int_equal(o->received_length, 0);
      close(o->peer);
      o->peer = -1;
      turn(w);
      assert_int_equal(o->closed, 1);
    }
    free_owner(o);
  }
}

static void our_side_may_end_alone(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  size_t at = 0;
  append_pinned(w, o, &at, 100000);
  wh_connection_end(o->connection);
  wh_connection_end(o->connection);
  drain(w, o, 5000);
  expect_pattern(o, at);
  assert_int_equal(o->peer_ends, 1);
  assert_int_equal(o->eof, 1);
  assert_int_equal(o->closed, 0);
  peer_send(o, "still", 5, 0);
  turn(w);
  assert_int_equal(o->received_length, 5);
  peer_send(o, "", 0, 1);
  turn(w);
  assert_int_equal(o->ends, 1);
  wh_connection_finish(o->connection, 1);
  turn(w);
  assert_int_equal(o->closed, 1);
  free_owner(o);
}

static void the_end_waits_for_a_full_system(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  size_t at = 0;
  append(o, &at, 60000);
  wh_connection_finish(o->connection, 0);
  for (int i = 0; i < 3; i++) turn(w);
  assert_int_equal(o->closed, 0);
  drain(w, o, 100);
  expect_pattern(o, at);
  assert_int_equal(o->peer_ends, 1);
  assert_int_equal(o->closed, 1);
  free_owner(o);
}

static void a_file_that_is_too_short_resets(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  wh_connection_append_file(o->connection, file_with((const uint8_t *)"short", 5), 0, 10, 9);
  drain(w, o, 5000);
  assert_int_equal(o->file_errors, 1);
  assert_int_equal(o->files, 0);
  assert_int_equal(o->closed, 1);
  free_owner(o);
}

static void a_pinned_buffer_that_is_gone_resets(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  size_t at = 0;
  append_pinned(w, o, &at, 50);
  append_pinned(w, o, &at, 100000);
  free(w->pins[1]);
  w->pins[1] = NULL;
  drain(w, o, 5000);
  assert_int_equal(o->closed, 1);
  free_owner(o);
}

/* --- closing inside callbacks --- */

static void close_on(owner *o, const char *what) {
  if (strcmp(what, "file") == 0 || strcmp(what, "room") == 0 || strcmp(what, "data") == 0) {
    wh_connection_close(o->connection, 1);
  }
}

static void a_callback_may_close(void **state) {
  world *w = *state;
  size_t at = 0;
  owner *o = open_owner(w);
  o->react = close_on;
  append(o, &at, 10);
  append_file(o, &at, 3000, 1);
  append_pinned(w, o, &at, 5000);
  drain(w, o, 500);
  assert_int_equal(o->closed, 1);
  free_owner(o);
  o = open_owner(w);
  o->react = close_on;
  append_pinned(w, o, &at, 300000);
  wh_connection_notify_room(o->connection);
  drain(w, o, 5000);
  assert_int_equal(o->closed, 1);
  free_owner(o);
  o = open_owner(w);
  o->react = close_on;
  append(o, &at, 10);
  turn(w);
  peer_send(o, "x", 1, 1);
  turn(w);
  assert_int_equal(o->closed, 1);
  assert_int_equal(o->ends, 0);
  free_owner(o);
}

static void append_on_room(owner *o, const char *what) {
  static const uint8_t bytes[5000];
  if (strcmp(what, "room") != 0 || o->rooms > 20) return;
  wh_connection_append(o->connection, bytes, sizeof bytes);
  wh_connection_notify_room(o->connection);
}

static void a_callback_may_write(void **state) {
  world *w = *state;
  owner *o = open_owner(w);
  o->react = append_on_room;
  wh_connection_notify_room(o->connection);
  drain(w, o, 700);
  assert_int_equal(o->rooms, 21);
  assert_int_equal(o->plain_length, 20 * 5000);
  close_owner(w, o);
}

static void the_peer_may_go_at_any_point(void **state) {
  world *w = *state;
  for (int turns = 0; turns < 6; turns++) {
    owner *o = open_owner(w);
    size_t at = 0;
    append(o, &at, 10);
    append_pinned(w, o, &at, 20000);
    append_file(o, &at, 20000, 1);
    append(o, &at, 20000);
    if (turns % 2) wh_connection_finish(o->connection, 1);
    for (int i = 0; i < turns; i++) {
      turn(w);
      peer_read(o, 7000);
    }
    close(o->peer);
    o->peer = -1;
    for (int i = 0; i < 20 && o->closed == 0; i++) turn(w);
    assert_int_equal(o->closed, 1);
    free_owner(o);
  }
}

static void connections_share_the_outbox(void **state) {
  world *w = *state;
  owner *o[4];
  size_t at[4] = {0};
  for (int i = 0; i < 4; i++) o[i] = open_owner(w);
  for (int round = 0; round < 30; round++) {
    for (int i = 0; i < 4; i++) {
      o[i]->connection->hold = round % 3 == 0;
      append(o[i], &at[i], (size_t)(round * 37 + i * 501));
      if (round % 7 == i) append_pinned(w, o[i], &at[i], 900);
    }
    if (round % 5 == 0) turn(w);
    peer_read(o[round % 4], 3000);
  }
  for (int i = 0; i < 4; i++) drain(w, o[i], 65536);
  for (int i = 0; i < 4; i++) {
    expect_pattern(o[i], at[i]);
    close_owner(w, o[i]);
  }
}

/* Whatever allocation fails: nothing leaks, and the connection is closed or complete. */
static void every_allocation_may_fail(void **state) {
  world *w = *state;
  size_t nth = 0;
  for (int has_failed = 1; has_failed;) {
    owner *o = open_owner(w);
    size_t at = 0;
    wh_memory_fail_at(++nth);
    append(o, &at, 3000);
    append_pinned(w, o, &at, 70000);
    append_file(o, &at, 5000, 1);
    append(o, &at, 100);
    turn(w);
    if (o->closed == 0) append(o, &at, 70000);
    drain(w, o, 5000);
    has_failed = wh_memory_has_failed();
    wh_memory_fail_at(0);
    if (o->closed == 0) expect_pattern(o, at);
    if (!has_failed) assert_int_equal(o->closed, 0);
    if (o->closed == 0)
      close_owner(w, o);
    else
      free_owner(o);
  }
  assert_true(nth > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_comes_is_opened),
      TEST(small_writes_of_a_turn_are_one_send),
      TEST(everything_comes_in_order_however_little_is_taken),
      TEST(no_more_is_sealed_than_can_be_sent),
      TEST(room_is_told_of_when_the_queue_is_low),
      TEST(a_filter_may_have_us_wait),
      TEST(a_filter_that_fails_closes),
      TEST(finish_sends_all_then_the_end),
      TEST(our_side_may_end_alone),
      TEST(the_end_waits_for_a_full_system),
      TEST(a_file_that_is_too_short_resets),
      TEST(a_pinned_buffer_that_is_gone_resets),
      TEST(a_callback_may_close),
      TEST(a_callback_may_write),
      TEST(the_peer_may_go_at_any_point),
      TEST(connections_share_the_outbox),
      TEST(every_allocation_may_fail),
  };
  return cmocka_run_group_tests_name("connections with a filter", tests, NULL, NULL);
}
