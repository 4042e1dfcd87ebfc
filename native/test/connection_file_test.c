/* Files in a connection's queue: they arrive whole and in their place however slowly they are taken, one
   connection's file does not hold up the others, and a descriptor is closed once whatever happens. The
   system's sendfile is replaced here by one that can be told to fail. */
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
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "net/connection.h"

#define FILE_SIZE 3000000U
#define TURN_MOST (512U << 10)

static wh_loop *loop;
static wh_outbox outbox;
static uint8_t arena[WH_ARENA_MINIMUM];

/* --- the system's sendfile, as a test wants it --- */

static struct {
  int error;   /* it fails with this ... */
  int times;   /* ... so many times; -1 = always */
  int swallow; /* all is taken, and goes nowhere */
  size_t calls;
  uint64_t taken;
} system_call;

/* The system's names of the parameters are reserved ones. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t sendfile(int out, int in, off_t *offset, size_t count) {
  system_call.calls++;
  if (system_call.times != 0) {
    if (system_call.times > 0) system_call.times--;
    errno = system_call.error;
    return -1;
  }
  if (system_call.swallow) {
    system_call.taken += count;
    return (ssize_t)count;
  }
  return (ssize_t)syscall(SYS_sendfile, out, in, offset, count);
}

/* --- both ends of a connection --- */

typedef struct end {
  wh_connection *connection;
  uint8_t *expected, *got;
  size_t written, received;
  uint64_t token; /* of the last on_file */
  int result, files, rooms, closed, was_reset, peer, peer_ended;
} end;

static end ends[2];

static void on_data(wh_connection *c, uint8_t *data, size_t length) {
  (void)c;
  (void)data;
  (void)length;
}
static void on_room(wh_connection *c) { ((end *)c->session)->rooms++; }
static void on_blocked(wh_connection *c, int blocked) {
  (void)c;
  (void)blocked;
}
static void on_file(wh_connection *c, uint64_t token, int result) {
  end *e = c->session;
  e->files++;
  e->token = token;
  e->result = result;
}
static void on_closed(wh_connection *c) {
  end *e = c->session;
  e->closed++;
  e->was_reset = c->reset;
  e->connection = NULL;
}
static const wh_connection_events events = {.on_data = on_data,
                                            .on_room = on_room,
                                            .on_blocked = on_blocked,
                                            .on_file = on_file,
                                            .on_closed = on_closed};

static int locate(void *user, uint32_t id, const uint8_t **data, size_t *length) {
  (void)user;
  (void)id;
  (void)data;
  (void)length;
  return -1;
}
static void release(void *user, uint32_t id) {
  (void)user;
  (void)id;
}
static const wh_pinned_source pinned_source = {locate, release};

static end *open_end(size_t i) {
  int fds[2], small = 4096;
  end *e = &ends[i];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  e->peer = fds[1];
  e->expected = malloc(8 * FILE_SIZE);
  e->got = malloc(8 * FILE_SIZE);
  wh_address nobody = {.family = WH_ADDRESS_UNIX};
  e->connection = wh_connection_open(&outbox, fds[0], &nobody, &events);
  assert_non_null(e->connection);
  e->connection->session = e;
  return e;
}

static uint8_t file_byte(size_t i) { return (uint8_t)(i + i / 251); }

static int make_file(size_t size) {
  int file = memfd_create("file", MFD_CLOEXEC);
  uint8_t *bytes = malloc(size + 1);
  for (size_t i = 0; i < size; i++) bytes[i] = file_byte(i);
  assert_int_equal(write(file, bytes, size), size);
  free(bytes);
  return file;
}

static int is_open(int descriptor) { return fcntl(descriptor, F_GETFD) != -1; }

static void append(end *e, const char *text) {
  memcpy(e->expected + e->written, text, strlen(text));
  e->written += strlen(text);
  wh_connection_append(e->connection, text, strlen(text));
}

/* The descriptor that the connection owns from now on. */
static int append_file(end *e, int file, size_t offset, size_t length, uint64_t token) {
  for (size_t i = 0; i < length; i++) e->expected[e->written + i] = file_byte(offset + i);
  e->written += length;
  wh_connection_append_file(e->connection, file, offset, length, token);
  return file;
}

static void take(end *e, size_t most) {
  while (most > 0 && !e->peer_ended) {
    ssize_t length = recv(e->peer, e->got + e->received, most, 0);
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0) {
      e->peer_ended = 1;
      return;
    }
    e->received += (size_t)length;
    most -= (size_t)length;
  }
}

static void turn(void) {
  assert_true(wh_loop_poll(loop, 0) >= 0);
  wh_outbox_settle(&outbox);
}

static void take_all(end *e, size_t step) {
  for (int i = 0; i < 1000000 && e->received < e->written && e->connection != NULL; i++) {
    take(e, step);
    turn();
  }
  take(e, e->written);
  assert_int_equal(e->received, e->written);
  assert_memory_equal(e->got, e->expected, e->written);
}

static int set_up(void **state) {
  (void)state;
  signal(SIGPIPE, SIG_IGN);
  memset(ends, 0, sizeof ends);
  memset(&system_call, 0, sizeof system_call);
  assert_int_equal(wh_loop_create(arena, sizeof arena, &loop), WH_OK);
  return wh_outbox_init(&outbox, loop, &pinned_source, NULL);
}

static int tear_down(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    if (ends[i].connection != NULL) wh_connection_close(ends[i].connection, 0);
  }
  wh_outbox_settle(&outbox);
  assert_int_equal(outbox.count, 0);
  wh_outbox_free(&outbox);
  wh_loop_destroy(loop);
  for (size_t i = 0; i < 2; i++) {
    if (ends[i].peer > 0) close(ends[i].peer);
    free(ends[i].expected);
    free(ends[i].got);
  }
  return 0;
}

/* --- the tests --- */

static void arrives_in_its_place_however_slowly_it_is_taken(void **state) {
  (void)state;
  end *e = open_end(0);
  append(e, "head");
  int file = append_file(e, make_file(FILE_SIZE), 0, FILE_SIZE, 7);
  append(e, "between");
  int second = append_file(e, make_file(1000), 10, 500, 8);
  append(e, "tail");
  assert_int_equal(wh_connection_queued(e->connection), e->written);
  turn();
  assert_int_equal(e->files, 0);
  assert_true(is_open(file));
  take_all(e, 5000);
  assert_int_equal(e->files, 2);
  assert_int_equal(e->token, 8);
  assert_int_equal(e->result, WH_OK);
  assert_false(is_open(file));
  assert_false(is_open(second));
  assert_int_equal(wh_connection_queued(e->connection), 0);
  assert_int_equal(outbox.bytes_sent, e->written);
}

static void tells_of_room_when_it_is_nearly_sent(void **state) {
  (void)state;
  end *e = open_end(0);
  append_file(e, make_file(FILE_SIZE), 0, FILE_SIZE, 1);
  wh_connection_notify_room(e->connection);
  turn();
  assert_int_equal(e->rooms, 0);
  assert_true(wh_connection_is_full(e->connection));
  take_all(e, 100000);
  assert_int_equal(e->rooms, 1);
  assert_false(wh_connection_is_full(e->connection));
}

/* What an earlier poll reported as writable stays so: no new edge comes by itself. */
static void gives_others_their_turn_and_goes_on(void **state) {
  (void)state;
  end *e = open_end(0), *other = open_end(1);
  system_call.swallow = 1;
  int file = append_file(e, make_file(10), 0, 4 * TURN_MOST + 5, 1);
  append(other, "mine");
  uint64_t before = 0;
  for (int turns = 0; e->files == 0; turns++) {
    assert_in_range(turns, 0, 10);
    turn();
    assert_in_range(system_call.taken - before, 1, TURN_MOST);
    before = system_call.taken;
  }
  assert_int_equal(system_call.taken, 4 * TURN_MOST + 5);
  take(other, 100);
  assert_int_equal(other->received, 4);
  assert_false(is_open(file));
}

/* In the turn in which the queue emptied: no edge will come for what is written only then. */
static void what_is_written_in_the_turn_that_emptied_the_queue_goes_out(void **state) {
  (void)state;
  end *e = open_end(0);
  system_call.swallow = 1;
  append_file(e, make_file(10), 0, 3 * TURN_MOST, 1);
  for (int turns = 0; e->files < 2; turns++) {
    assert_in_range(turns, 0, 20);
    assert_true(wh_loop_poll(loop, 0) >= 0);
    if (e->files == 1 && e->token == 1) {
      append_file(e, make_file(10), 0, 3 * TURN_MOST, 2);
      e->token = 0;
    }
    wh_outbox_settle(&outbox);
  }
  assert_int_equal(e->token, 2);
}

static void goes_on_after_interruptions_and_a_full_system(void **state) {
  (void)state;
  const int errors[] = {EINTR, EAGAIN};
  for (size_t i = 0; i < 2; i++) {
    end *e = open_end(i);
    system_call.error = errors[i];
    system_call.times = i == 0 ? 3 : 1;
    append(e, "head");
    append_file(e, make_file(20000), 0, 20000, 1);
    turn();
    take_all(e, 1000);
    assert_int_equal(e->files, 1);
  }
}

static void is_read_and_written_where_the_system_cannot_send_it(void **state) {
  (void)state;
  const int errors[] = {EINVAL, ENOSYS};
  for (size_t i = 0; i < 2; i++) {
    end *e = open_end(i);
    system_call.error = errors[i];
    system_call.times = -1;
    system_call.calls = 0;
    append(e, "head");
    int file = append_file(e, make_file(FILE_SIZE), 5, 1000000, 1);
    append(e, "tail");
    take_all(e, 30000);
    assert_int_equal(system_call.calls, 1); /* it is not asked again */
    assert_int_equal(e->result, WH_OK);
    assert_int_equal(e->files, 1);
    assert_false(is_open(file));
  }
}

static void a_file_that_shrinks_resets_the_connection(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    end *e = open_end(i);
    system_call.error = EINVAL;
    system_call.times = i == 0 ? 0 : -1; /* sent by the system, and by hand */
    append(e, "head");
    int file = make_file(FILE_SIZE);
    append_file(e, file, 0, FILE_SIZE, 3);
    append(e, "tail");
    turn();
    take(e, 10000);
    assert_int_equal(e->files, 0);
    assert_int_equal(ftruncate(file, 100000), 0);
    for (int n = 0; n < 1000 && e->connection != NULL; n++) {
      take(e, 50000);
      turn();
    }
    take(e, FILE_SIZE);
    assert_int_equal(e->closed, 1);
    assert_int_equal(e->was_reset, 1);
    assert_int_equal(e->files, 1);
    assert_int_equal(e->token, 3);
    assert_int_equal(e->result, WH_ERR_FILE_TRUNCATED);
    assert_int_equal(e->received, 100004); /* no tail behind the gap */
    assert_false(is_open(file));
  }
}

static void a_file_that_cannot_be_read_resets_the_connection(void **state) {
  (void)state;
  end *e = open_end(0);
  int file = append_file(e, make_file(1000), 0, 1000, 3);
  system_call.error = EIO;
  system_call.times = 1;
  turn();
  assert_int_equal(e->closed, 1);
  assert_int_equal(e->was_reset, 1);
  assert_int_equal(e->result, WH_ERR_FILE_UNREADABLE);
  assert_false(is_open(file));
}

static void what_is_no_file_is_unreadable(void **state) {
  (void)state;
  end *e = open_end(0);
  int folder = append_file(e, open("/", O_RDONLY | O_CLOEXEC), 0, 1000, 3);
  turn();
  assert_int_equal(e->closed, 1);
  assert_int_equal(e->result, WH_ERR_FILE_UNREADABLE);
  assert_false(is_open(folder));
}

static void a_peer_that_goes_lets_the_file_go(void **state) {
  (void)state;
  end *e = open_end(0);
  int file = append_file(e, make_file(FILE_SIZE), 0, FILE_SIZE, 3);
  int second = append_file(e, make_file(10), 0, 10, 4);
  turn();
  close(e->peer);
  e->peer = 0;
  for (int n = 0; n < 100 && e->connection != NULL; n++) turn();
  assert_int_equal(e->closed, 1);
  assert_int_equal(e->files, 0);
  assert_false(is_open(file));
  assert_false(is_open(second));
}

static void closing_lets_the_file_go(void **state) {
  (void)state;
  end *e = open_end(0);
  int first = append_file(e, make_file(FILE_SIZE), 0, FILE_SIZE, 3);
  turn();
  wh_connection_close(e->connection, 1);
  int second = make_file(10);
  wh_connection_append_file(e->connection, second, 0, 10, 4); /* goes nowhere */
  assert_false(is_open(second));
  turn();
  assert_int_equal(e->files, 0);
  assert_false(is_open(first));
}

static void is_sent_before_a_connection_finishes(void **state) {
  (void)state;
  end *e = open_end(0);
  append_file(e, make_file(FILE_SIZE), 0, FILE_SIZE, 3);
  wh_connection_finish(e->connection, 0);
  take_all(e, 200000);
  turn();
  assert_int_equal(e->closed, 1);
  assert_int_equal(e->files, 1);
}

static void without_memory_the_connection_ends(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    end *e = open_end(i);
    system_call.error = EINVAL;
    system_call.times = -1;
    int file = make_file(1000);
    if (i == 1) append_file(e, file, 0, 1000, 1);
    wh_memory_fail_at(1); /* the segment, or the buffer to read into */
    if (i == 0) append_file(e, file, 0, 1000, 1);
    turn();
    wh_memory_fail_at(0);
    assert_int_equal(e->closed, 1);
    assert_false(is_open(file));
  }
}

static void the_marks_of_the_queue_can_be_set(void **state) {
  (void)state;
  end *e = open_end(0);
  wh_outbox_set_high(&outbox, 0);
  assert_false(wh_connection_is_full(e->connection));
  append_file(e, make_file(FILE_SIZE), 0, 500000, 3);
  wh_connection_notify_room(e->connection);
  turn();
  assert_true(wh_connection_is_full(e->connection));
  assert_int_equal(e->rooms, 0);
  wh_outbox_set_high(&outbox, 1000000);
  assert_false(wh_connection_is_full(e->connection));
  wh_outbox_set_high(&outbox, UINT64_MAX);
  assert_true(wh_connection_is_full(e->connection)); /* for who asks and asks */
  wh_outbox_set_high(&outbox, 0);
  take_all(e, 5000);
  assert_int_equal(e->rooms, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(arrives_in_its_place_however_slowly_it_is_taken),
      TEST(tells_of_room_when_it_is_nearly_sent),
      TEST(gives_others_their_turn_and_goes_on),
      TEST(what_is_written_in_the_turn_that_emptied_the_queue_goes_out),
      TEST(goes_on_after_interruptions_and_a_full_system),
      TEST(is_read_and_written_where_the_system_cannot_send_it),
      TEST(a_file_that_shrinks_resets_the_connection),
      TEST(a_file_that_cannot_be_read_resets_the_connection),
      TEST(what_is_no_file_is_unreadable),
      TEST(a_peer_that_goes_lets_the_file_go),
      TEST(closing_lets_the_file_go),
      TEST(is_sent_before_a_connection_finishes),
      TEST(without_memory_the_connection_ends),
      TEST(the_marks_of_the_queue_can_be_set),
  };
  return cmocka_run_group_tests_name("connection_file", tests, NULL, NULL);
}
