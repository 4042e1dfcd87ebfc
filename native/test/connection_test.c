/* Connections and their outbox: what is written arrives whole and in order however slowly it is taken,
   and a connection ends when it should. */
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
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "net/connection.h"

#define MOST_PINS 4000
#define MOST_ENDS 8

static wh_loop *loop;
static wh_outbox outbox;
static uint8_t arena[WH_ARENA_MINIMUM];

/* --- pinned buffers --- */

static struct {
  uint8_t *data;
  size_t length;
  int released, gone;
} pins[MOST_PINS];
static size_t pin_count;

static int locate(void *user, uint32_t id, const uint8_t **data, size_t *length) {
  assert_ptr_equal(user, pins);
  assert_in_range(id, 0, pin_count - 1);
  assert_int_equal(pins[id].released, 0);
  if (pins[id].gone) return -1;
  *data = pins[id].data;
  *length = pins[id].length;
  return 0;
}

static void release(void *user, uint32_t id) {
  assert_ptr_equal(user, pins);
  assert_in_range(id, 0, pin_count - 1);
  assert_int_equal(pins[id].released, 0);
  pins[id].released++;
  free(pins[id].data);
  pins[id].data = NULL;
}

static const wh_pinned_source pinned_source = {locate, release};

static uint32_t pin(const uint8_t *bytes, size_t length) {
  assert_true(pin_count < MOST_PINS);
  pins[pin_count].data = malloc(length);
  memcpy(pins[pin_count].data, bytes, length);
  pins[pin_count].length = length;
  pins[pin_count].released = pins[pin_count].gone = 0;
  return (uint32_t)pin_count++;
}

static size_t pins_held(void) {
  size_t held = 0;
  for (size_t i = 0; i < pin_count; i++) held += !pins[i].released;
  return held;
}

/* --- both ends of a connection --- */

typedef struct end {
  wh_connection *connection;
  uint8_t *expected; /* what was written */
  size_t written, received;
  uint8_t *got; /* what our side received */
  size_t got_length;
  int peer, eof, rooms, blocked, lingering, closed, peer_ended;
} end;

static end ends[MOST_ENDS];

static void on_data(wh_connection *c, uint8_t *data, size_t length) {
  end *e = c->session;
  assert_int_equal(e->closed, 0);
  if (length == 0) e->eof++;
  e->got = realloc(e->got, e->got_length + length + 1);
  memcpy(e->got + e->got_length, data, length);
  e->got_length += length;
  e->got[e->got_length] = '\0';
}

static void on_room(wh_connection *c) {
  end *e = c->session;
  assert_int_equal(e->closed, 0);
  assert_true(wh_connection_queued(c) < WH_QUEUE_LOW);
  e->rooms++;
}

/* Told in turn that it is blocked and that it is not, and only when that is true. */
static void on_blocked(wh_connection *c, int blocked) {
  end *e = c->session;
  assert_int_equal(e->blocked, !blocked);
  assert_int_equal(blocked, c->first != NULL);
  e->blocked = blocked;
}

static void on_lingering(wh_connection *c) { ((end *)c->session)->lingering++; }

static void on_closed(wh_connection *c) {
  end *e = c->session;
  assert_int_equal(e->closed, 0);
  e->closed++;
  e->connection = NULL;
}

static const wh_connection_events events = {.on_data = on_data,
                                            .on_room = on_room,
                                            .on_blocked = on_blocked,
                                            .on_lingering = on_lingering,
                                            .on_closed = on_closed};

static end *open_end(size_t i) {
  int fds[2], small = 4096;
  end *e = &ends[i];
  assert_int_equal(e->peer, 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  e->peer = fds[1];
  wh_address nobody = {.family = WH_ADDRESS_UNIX};
  e->connection = wh_connection_open(&outbox, fds[0], &nobody, &events);
  assert_non_null(e->connection);
  e->connection->session = e;
  return e;
}

/* Notes what is written, to be compared with what arrives. */
static const uint8_t *note(end *e, size_t length) {
  e->expected = realloc(e->expected, e->written + length + 1);
  for (size_t i = 0; i < length; i++) {
    size_t place = e->written + i;
    e->expected[place] = (uint8_t)(place + place / 253 + (size_t)(e - ends));
  }
  e->written += length;
  return e->expected + e->written - length;
}

static void append(end *e, size_t length) {
  const uint8_t *bytes = note(e, length);
  wh_connection_append(e->connection, bytes, length);
}

static void append_pinned(end *e, size_t length) {
  const uint8_t *bytes = note(e, length);
  wh_connection_append_pinned(e->connection, pin(bytes, length), length);
}

/* The peer takes so much; compares it. */
static void take(end *e, size_t most) {
  static uint8_t block[65536];
  while (most > 0 && !e->peer_ended) {
    ssize_t length = recv(e->peer, block, most < sizeof block ? most : sizeof block, 0);
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0) {
      e->peer_ended = length == 0 ? 1 : 2;
      return;
    }
    assert_true(e->received + (size_t)length <= e->written);
    assert_memory_equal(block, e->expected + e->received, length);
    e->received += (size_t)length;
    most -= (size_t)length;
  }
}

static void turn(void) {
  assert_true(wh_loop_poll(loop, 0) >= 0);
  wh_outbox_settle(&outbox);
  assert_null(outbox.owner);
  assert_int_equal(outbox.used, 0);
}

static void take_all(end *e) {
  for (int i = 0; i < 100000 && e->received < e->written; i++) {
    take(e, 1 << 20);
    turn();
  }
  assert_int_equal(e->received, e->written);
}

static int set_up(void **state) {
  (void)state;
  memset(ends, 0, sizeof ends);
  pin_count = 0;
  assert_int_equal(wh_loop_create(arena, sizeof arena, &loop), WH_OK);
  return wh_outbox_init(&outbox, loop, &pinned_source, pins);
}

static int tear_down(void **state) {
  (void)state;
  for (size_t i = 0; i < MOST_ENDS; i++) {
    if (ends[i].connection != NULL) wh_connection_close(ends[i].connection, 0);
  }
  wh_outbox_settle(&outbox);
  assert_int_equal(outbox.count, 0);
  assert_null(outbox.connections);
  assert_null(outbox.todo);
  assert_int_equal(pins_held(), 0);
  wh_outbox_free(&outbox);
  wh_loop_destroy(loop);
  for (size_t i = 0; i < MOST_ENDS; i++) {
    if (ends[i].peer > 0) {
      assert_int_equal(ends[i].closed, 1);
      close(ends[i].peer);
    }
    free(ends[i].expected);
    free(ends[i].got);
  }
  return 0;
}

/* --- writing --- */

static void sends_at_the_end_of_the_turn(void **state) {
  (void)state;
  end *e = open_end(0);
  append(e, 100);
  append(e, 200);
  take(e, 1000);
  assert_int_equal(e->received, 0);
  assert_int_equal(wh_connection_queued(e->connection), 300);
  turn();
  take(e, 1000);
  assert_int_equal(e->received, 300);
  assert_int_equal(wh_connection_queued(e->connection), 0);
}

static void sends_when_told(void **state) {
  (void)state;
  end *e = open_end(0);
  append(e, 100);
  wh_connection_flush(e->connection);
  take(e, 1000);
  assert_int_equal(e->received, 100);
  wh_connection_flush(e->connection);
}

static void writes_in_place(void **state) {
  (void)state;
  end *e = open_end(0);
  uint8_t *out = wh_connection_reserve(e->connection, 5000);
  assert_non_null(out);
  memcpy(out, note(e, 10), 10);
  wh_connection_commit(e->connection, 10);            /* less than was asked for */
  out = wh_connection_reserve(e->connection, 200000); /* more than the outbox has */
  memcpy(out, note(e, 200000), 200000);
  wh_connection_commit(e->connection, 200000);
  assert_non_null(wh_connection_reserve(e->connection, 10));
  wh_connection_commit(e->connection, 0);
  append(e, 10);
  turn();
  take_all(e);
}

static void sets_aside_what_one_connection_holds(void **state) {
  (void)state;
  end *a = open_end(0), *b = open_end(1);
  a->connection->hold = 1;
  append(a, 100);
  append(b, 100); /* takes the outbox over */
  take(a, 1000);
  assert_int_equal(a->received, 0);
  append(a, 100); /* b does not hold: its bytes leave */
  take(b, 1000);
  assert_int_equal(b->received, 100);
  turn();
  take(a, 1000);
  assert_int_equal(a->received, 200);
}

static void keeps_the_order_of_many_writers(void **state) {
  (void)state;
  for (size_t i = 0; i < 5; i++) open_end(i);
  for (int round = 0; round < 200; round++) {
    for (size_t i = 0; i < 5; i++) {
      ends[i].connection->hold = (round + (int)i) % 3 == 0;
      append(&ends[i], 1 + (size_t)(round * 37 + (int)i * 11) % 700);
    }
    if (round % 10 == 0) turn();
    if (round % 7 == 0) take(&ends[round % 5], 3000);
  }
  for (size_t i = 0; i < 5; i++) take_all(&ends[i]);
}

/* Everything that can be ordered, at random, with peers that take at random. */
static void any_order_of_everything_arrives_as_written(void **state) {
  (void)state;
  uint32_t seed = 1;
  for (size_t i = 0; i < 4; i++) open_end(i);
  for (int step = 0; step < 6000; step++) {
    seed = seed * 1664525 + 1013904223;
    uint32_t dice = seed >> 8;
    end *e = &ends[dice % 4];
    size_t size = 1 + (dice >> 4) % 3000;
    switch ((dice >> 16) % 10) {
    case 0:
    case 1: append(e, size); break;
    case 2:
      if (pin_count < MOST_PINS) append_pinned(e, size * 10);
      break;
    case 3: e->connection->hold = dice >> 20 & 1; break;
    case 4: wh_connection_flush(e->connection); break;
    case 5: wh_connection_notify_room(e->connection); break;
    case 6: turn(); break;
    default: take(e, size * 8); break;
    }
  }
  for (size_t i = 0; i < 4; i++) take_all(&ends[i]);
  assert_int_equal(pins_held(), 0);
}

static void sends_pinned_buffers_from_their_place(void **state) {
  (void)state;
  end *e = open_end(0);
  append(e, 100);
  append_pinned(e, 1000); /* leaves with what was composed */
  take(e, 5000);
  assert_int_equal(e->received, 1100);
  assert_int_equal(pins_held(), 0);
  append_pinned(e, 1000); /* alone: at the end of the turn */
  append(e, 100);
  append_pinned(e, 500000);
  assert_int_equal(pins_held(), 2);
  turn();
  take_all(e);
  assert_int_equal(pins_held(), 0);
}

static void a_pinned_buffer_may_move(void **state) {
  (void)state;
  end *e = open_end(0);
  append_pinned(e, 300000);
  turn();
  while (e->received < e->written) {
    take(e, 10000);
    uint8_t *moved = NULL;
    if (pins[0].data != NULL) {
      moved = malloc(300000);
      memcpy(moved, pins[0].data, 300000);
      memset(pins[0].data, 'x', 300000);
      free(pins[0].data);
      pins[0].data = moved;
    }
    turn();
  }
}

/* --- room --- */

static void tells_of_room(void **state) {
  (void)state;
  end *e = open_end(0);
  wh_connection_notify_room(e->connection);
  turn();
  assert_int_equal(e->rooms, 1);
  turn();
  assert_int_equal(e->rooms, 1);
  append(e, 300000);
  wh_connection_notify_room(e->connection);
  turn();
  turn();
  assert_int_equal(e->rooms, 1);
  while (wh_connection_queued(e->connection) >= WH_QUEUE_LOW) {
    assert_int_equal(e->rooms, 1);
    take(e, 5000);
    turn();
  }
  assert_int_equal(e->rooms, 2);
  take_all(e);
  assert_int_equal(e->rooms, 2);
}

/* --- reading --- */

static void reads_and_stops_reading(void **state) {
  (void)state;
  end *e = open_end(0);
  turn();
  assert_int_equal(send(e->peer, "abc", 3, 0), 3);
  turn();
  assert_string_equal((char *)e->got, "abc");
  wh_connection_read(e->connection, 0);
  turn();
  assert_int_equal(send(e->peer, "def", 3, 0), 3);
  turn();
  assert_string_equal((char *)e->got, "abc");
  wh_connection_read(e->connection, 1);
  turn();
  turn();
  assert_string_equal((char *)e->got, "abcdef");
  assert_int_equal(outbox.bytes_received, 6);
  shutdown(e->peer, SHUT_WR);
  turn();
  turn();
  assert_int_equal(e->eof, 1);
  append(e, 10); /* our side is open */
  turn();
  take(e, 100);
  assert_int_equal(e->received, 10);
}

/* --- ends --- */

static void finishes_when_all_is_sent(void **state) {
  (void)state;
  end *e = open_end(0);
  append(e, 500000);
  wh_connection_finish(e->connection, 0);
  wh_connection_finish(e->connection, 1); /* once is enough */
  turn();
  assert_int_equal(e->closed, 0);
  while (!e->peer_ended) {
    take(e, 100000);
    turn();
  }
  assert_int_equal(e->closed, 1);
  assert_int_equal(e->received, e->written);
  assert_int_equal(e->lingering, 0);
}

static void finishes_at_once_with_nothing_to_send(void **state) {
  (void)state;
  end *e = open_end(0);
  wh_connection_finish(e->connection, 0);
  turn();
  assert_int_equal(e->closed, 1);
}

static void lingers_until_the_peer_ends(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    end *e = open_end(i);
    append(e, i == 0 ? 10 : 300000);
    wh_connection_read(e->connection, 0);
    wh_connection_finish(e->connection, 1);
    turn();
    if (i == 1) assert_int_equal(e->lingering, 0);
    while (!e->peer_ended) {
      take(e, 100000);
      turn();
    }
    assert_int_equal(e->lingering, 1);
    assert_int_equal(e->received, e->written);
    assert_int_equal(e->closed, 0);
    assert_int_equal(send(e->peer, "still sending", 13, 0), 13);
    turn();
    assert_int_equal(e->closed, 0);
    assert_int_equal(e->got_length, 0); /* thrown away */
    shutdown(e->peer, SHUT_WR);
    turn();
    turn();
    assert_int_equal(e->closed, 1);
    assert_int_equal(e->eof, 0);
  }
}

static void does_not_linger_for_a_peer_that_has_ended(void **state) {
  (void)state;
  end *e = open_end(0);
  turn();
  shutdown(e->peer, SHUT_WR);
  turn();
  append(e, 10);
  wh_connection_finish(e->connection, 1);
  turn();
  assert_int_equal(e->closed, 1);
  assert_int_equal(e->lingering, 0);
  take(e, 100);
  assert_int_equal(e->received, 10);
}

static void an_end_that_comes_while_it_finishes_counts(void **state) {
  (void)state;
  end *e = open_end(0);
  append(e, 300000);
  wh_connection_finish(e->connection, 1);
  turn();
  shutdown(e->peer, SHUT_WR);
  turn();
  assert_int_equal(e->closed, 0);
  while (!e->peer_ended) {
    take(e, 100000);
    turn();
  }
  assert_int_equal(e->received, e->written);
  assert_int_equal(e->closed, 1);
}

static void what_is_written_to_a_closed_connection_goes_nowhere(void **state) {
  (void)state;
  end *e = open_end(0), *other = open_end(1);
  append(e, 100);
  append(other, 100);
  append(e, 50);
  wh_connection_close(e->connection, 1);
  wh_connection_close(e->connection, 0);
  wh_connection *c = e->connection;
  wh_connection_append(c, "abc", 3);
  assert_non_null(wh_connection_reserve(c, 100));
  wh_connection_commit(c, 3);
  wh_connection_append_pinned(c, pin((const uint8_t *)"abc", 3), 3);
  assert_int_equal(pins_held(), 0);
  wh_connection_flush(c);
  wh_connection_notify_room(c);
  wh_connection_read(c, 0);
  wh_connection_finish(c, 1);
  append(other, 100);
  turn();
  assert_int_equal(e->closed, 1);
  assert_int_equal(e->rooms, 0);
  take(other, 1000);
  assert_int_equal(other->received, 200);
  e->written = 100; /* the first write left when the outbox changed hands; the second did not */
  take(e, 1000);
  assert_int_equal(e->received, 100);
}

static void a_broken_peer_is_found_by_writing_or_reading(void **state) {
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    end *e = open_end(i);
    turn();
    if (i == 2) {
      append(e, 300000); /* waits for room */
      append_pinned(e, 300000);
      turn();
    }
    close(e->peer);
    e->peer = open("/dev/null", O_RDONLY);
    e->received = e->written;
    if (i == 1) append(e, 100);
    if (i == 1) wh_connection_flush(e->connection);
    for (int n = 0; n < 5 && !e->closed; n++) turn();
    if (i == 0) assert_int_equal(e->eof, 1); /* first the end of its side, then that it is gone */
    assert_int_equal(e->closed, 1);
  }
}

static void a_pinned_buffer_that_is_gone_resets(void **state) {
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    end *e = open_end(i);
    if (i == 1) append(e, 10);
    if (i == 3) append(e, 300000);
    uint32_t id = pin(note(e, 1000), 1000);
    if (i < 2) pins[id].gone = 1;
    wh_connection_append_pinned(e->connection, id, 1000);
    if (i >= 2) pins[id].length = 999;
    turn();
    take(e, 1 << 20);
    for (int n = 0; n < 1000 && !e->closed; n++) {
      take(e, 1 << 20);
      turn();
    }
    assert_int_equal(e->closed, 1);
    assert_int_equal(pins_held(), 0);
  }
}

static void all_may_be_closed_in_one_turn(void **state) {
  (void)state;
  for (size_t i = 0; i < MOST_ENDS; i++) {
    open_end(i);
    append(&ends[i], 100 + 50000 * i);
    if (i % 2) append_pinned(&ends[i], 1000);
  }
  for (size_t i = 0; i < MOST_ENDS; i++) wh_connection_close(ends[i].connection, i % 3 == 0);
  wh_outbox_settle(&outbox);
  for (size_t i = 0; i < MOST_ENDS; i++) assert_int_equal(ends[i].closed, 1);
  assert_int_equal(outbox.count, 0);
}

/* --- no memory --- */

static void without_memory_a_connection_ends_and_others_go_on(void **state) {
  (void)state;
  end *other = open_end(5);
  for (size_t way = 0; way < 5; way++) {
    end *e = open_end(way);
    turn();
    append(e, 20000); /* more than the system takes */
    if (way == 0) {
      wh_memory_fail_at(1);
      turn();
    } else if (way == 1) {
      wh_memory_fail_at(1);
      append_pinned(e, 100);
    } else if (way == 2) {
      wh_memory_fail_at(2);
      append_pinned(e, 100);
    } else if (way == 3) {
      e->connection->hold = 1;
      wh_memory_fail_at(1);
      append(other, 10);
    } else {
      wh_memory_fail_at(2);
      assert_null(wh_connection_reserve(e->connection, 10000000));
    }
    turn();
    wh_memory_fail_at(0);
    assert_int_equal(e->closed, 1);
    assert_int_equal(pins_held(), 0);
  }
  take_all(other);
  int fds[2];
  wh_address nobody = {0};
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  wh_memory_fail_at(1);
  assert_null(wh_connection_open(&outbox, fds[0], &nobody, &events));
  wh_memory_fail_at(0);
  assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* it is closed */
  close(fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(sends_at_the_end_of_the_turn),
      TEST(sends_when_told),
      TEST(writes_in_place),
      TEST(sets_aside_what_one_connection_holds),
      TEST(keeps_the_order_of_many_writers),
      TEST(any_order_of_everything_arrives_as_written),
      TEST(sends_pinned_buffers_from_their_place),
      TEST(a_pinned_buffer_may_move),
      TEST(tells_of_room),
      TEST(reads_and_stops_reading),
      TEST(finishes_when_all_is_sent),
      TEST(finishes_at_once_with_nothing_to_send),
      TEST(lingers_until_the_peer_ends),
      TEST(does_not_linger_for_a_peer_that_has_ended),
      TEST(an_end_that_comes_while_it_finishes_counts),
      TEST(what_is_written_to_a_closed_connection_goes_nowhere),
      TEST(a_broken_peer_is_found_by_writing_or_reading),
      TEST(a_pinned_buffer_that_is_gone_resets),
      TEST(all_may_be_closed_in_one_turn),
      TEST(without_memory_a_connection_ends_and_others_go_on),
  };
  return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
