/* The event loop: reads, writes, room, ends, listeners, the arena, and being woken by other threads. */
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

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "io/io.h"
#include "support_clock.h"

#define ARENA WH_ARENA_MINIMUM

static wh_loop *loop;
static uint8_t arena[ARENA];

/* A stream whose owner notes what it is told. */
typedef struct noted {
  wh_stream stream;
  int peer;
  uint8_t *last_place;
  char text[4096];
  size_t length, reads, ends, rooms, broken;
  void (*then)(struct noted *n); /* at the end of each callback */
} noted;

static void note_read(wh_stream *stream, uint8_t *data, size_t length) {
  noted *n = (noted *)stream;
  assert_true(data >= arena && data + length <= arena + ARENA);
  n->last_place = data;
  n->reads++;
  if (length == 0) n->ends++;
  if (n->length + length < sizeof n->text) {
    memcpy(n->text + n->length, data, length);
    n->text[n->length + length] = '\0';
  }
  n->length += length;
  if (n->then != NULL) n->then(n);
}

static void note_room(wh_stream *stream) {
  noted *n = (noted *)stream;
  n->rooms++;
  if (n->then != NULL) n->then(n);
}

static void note_broken(wh_stream *stream, int error) {
  noted *n = (noted *)stream;
  assert_true(error < 0);
  n->broken++;
  wh_stream_close(stream, 0);
}

static const wh_stream_events noting = {note_read, note_room, note_broken};

static void pair_over(noted *n, int domain_fds[2]) {
  memset(n, 0, sizeof *n);
  n->peer = domain_fds[1];
  assert_int_equal(fcntl(domain_fds[0], F_SETFL, O_NONBLOCK), 0);
  assert_int_equal(fcntl(domain_fds[1], F_SETFL, O_NONBLOCK), 0);
  wh_stream_open(&n->stream, loop, domain_fds[0], &noting);
}

static void open_pair(noted *n) {
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  pair_over(n, fds);
}

static int listen_tcp(struct sockaddr_in *name) {
  socklen_t length = sizeof *name;
  memset(name, 0, sizeof *name);
  name->sin_family = AF_INET;
  name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)name, sizeof *name), 0);
  assert_int_equal(listen(fd, 128), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)name, &length), 0);
  return fd;
}

static int connect_tcp(const struct sockaddr_in *name) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)name, sizeof *name), 0);
  return fd;
}

/* Over TCP, where a reset is one. */
static void open_tcp_pair(noted *n) {
  struct sockaddr_in name;
  int listener = listen_tcp(&name), fds[2];
  fds[1] = connect_tcp(&name);
  fds[0] = accept(listener, NULL, NULL);
  assert_true(fds[0] >= 0);
  close(listener);
  pair_over(n, fds);
}

static void close_pair(noted *n) {
  wh_stream_close(&n->stream, 0);
  if (n->peer >= 0) close(n->peer);
}

static void say(noted *n, const char *text) {
  assert_int_equal(send(n->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static int set_up(void **state) {
  (void)state;
  return wh_loop_create(arena, ARENA, &loop);
}

static int tear_down(void **state) {
  (void)state;
  wh_loop_destroy(loop);
  return 0;
}

static void reads_what_comes(void **state) {
  (void)state;
  noted n;
  open_pair(&n);
  assert_int_equal(wh_stream_want(&n.stream, WH_READ), WH_OK);
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  say(&n, "hello");
  assert_int_equal(wh_loop_poll(loop, 1000), 1);
  assert_string_equal(n.text, "hello");
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  /* Nobody wants it: it waits. */
  assert_int_equal(wh_stream_want(&n.stream, 0), WH_OK);
  say(&n, " world");
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  assert_int_equal(wh_stream_want(&n.stream, WH_READ), WH_OK);
  assert_int_equal(wh_loop_poll(loop, 1000), 1);
  assert_string_equal(n.text, "hello world");
  close_pair(&n);
}

/* More than one read takes, though the system tells of it once; with an end right behind it or without. */
static void reads_all_of_much_that_came_at_once(void **state) {
  (void)state;
  static char block[150000];
  for (int way = 0; way < 4; way++) {
    noted n;
    if (way < 2)
      open_pair(&n);
    else
      open_tcp_pair(&n);
    int large = 400000;
    setsockopt(n.peer, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    setsockopt(n.stream.handle.fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    size_t sent = 0;
    for (ssize_t more = 1; more > 0 && sent<sizeof block; sent += more> 0 ? (size_t)more : 0) {
      more = send(n.peer, block, sizeof block - sent, MSG_NOSIGNAL);
    }
    if (way % 2) shutdown(n.peer, SHUT_WR);
    wh_stream_want(&n.stream, WH_READ);
    size_t turns = 0;
    while (n.length < sent || n.ends < (size_t)(way % 2)) {
      size_t before = n.length;
      assert_true(wh_loop_poll(loop, 1000) > 0);
      assert_true(n.length - before <= ARENA); /* no more in one turn */
      turns++;
    }
    assert_in_range(turns, sent / ARENA, 1000);
    assert_int_equal(n.length, sent);
    assert_int_equal(wh_loop_poll(loop, 0), 0);
    close_pair(&n);
  }
}

/* What was there before it was wanted is told when it is. */
static void tells_of_what_came_while_nobody_wanted_it(void **state) {
  (void)state;
  noted n;
  open_pair(&n);
  wh_stream_want(&n.stream, WH_READ);
  wh_stream_want(&n.stream, 0);
  say(&n, "a");
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  wh_stream_want(&n.stream, WH_WRITE);
  assert_int_equal(wh_loop_poll(loop, 1000), 1);
  assert_int_equal(n.rooms, 1);
  wh_stream_want(&n.stream, WH_READ | WH_WRITE);
  assert_int_equal(wh_loop_poll(loop, 1000), 1);
  assert_string_equal(n.text, "a");
  shutdown(n.peer, SHUT_WR);
  wh_stream_want(&n.stream, 0);
  wh_loop_poll(loop, 0);
  wh_stream_want(&n.stream, WH_READ);
  assert_int_equal(wh_loop_poll(loop, 1000), 1);
  assert_int_equal(n.ends, 1);
  close_pair(&n);
}

static void tells_of_the_end_once(void **state) {
  (void)state;
  noted n;
  open_pair(&n);
  wh_stream_want(&n.stream, WH_READ);
  say(&n, "last");
  shutdown(n.peer, SHUT_WR);
  while (n.ends == 0) assert_true(wh_loop_poll(loop, 1000) > 0);
  assert_string_equal(n.text, "last");
  wh_stream_want(&n.stream, WH_READ);
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  assert_int_equal(wh_stream_try_read(&n.stream), 0);
  assert_int_equal(n.ends, 1);
  /* Our side is open still. */
  assert_int_equal(wh_stream_write(&n.stream, "bye", 3), 3);
  char got[8];
  assert_int_equal(recv(n.peer, got, sizeof got, 0), 3);
  close_pair(&n);
}

static void tells_of_a_reset(void **state) {
  (void)state;
  for (unsigned interest = 0; interest < 2; interest++) {
    noted n;
    open_tcp_pair(&n);
    wh_stream_want(&n.stream, interest);
    struct linger linger = {1, 0};
    setsockopt(n.peer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(n.peer);
    n.peer = -1;
    while (n.broken == 0) assert_true(wh_loop_poll(loop, 1000) > 0);
    assert_int_equal(n.ends, 0);
    assert_int_equal(wh_stream_write(&n.stream, "x", 1), WH_ERR_CLOSED);
    assert_int_equal(wh_stream_want(&n.stream, WH_READ), WH_ERR_CLOSED);
    close_pair(&n); /* again: harmless */
  }
}

static void tells_of_room(void **state) {
  (void)state;
  noted n;
  open_pair(&n);
  static char block[65536];
  ssize_t sent, total = 0;
  while ((sent = wh_stream_write(&n.stream, block, sizeof block)) > 0) total += sent;
  assert_int_equal(sent, 0);
  struct iovec parts[2] = {{block, 10}, {block, 10}};
  assert_int_equal(wh_stream_writev(&n.stream, parts, 2), 0);
  wh_stream_want(&n.stream, WH_WRITE);
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  assert_int_equal(n.rooms, 0);
  while (recv(n.peer, block, sizeof block, 0) > 0) {
  }
  assert_int_equal(wh_loop_poll(loop, 1000), 1);
  assert_int_equal(n.rooms, 1);
  assert_int_equal(wh_stream_writev(&n.stream, parts, 2), 20);
  wh_stream_want(&n.stream, 0);
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  close_pair(&n);
}

static void ends_our_side(void **state) {
  (void)state;
  noted n;
  open_pair(&n);
  assert_int_equal(wh_stream_write(&n.stream, "x", 1), 1);
  wh_stream_finish(&n.stream);
  char got[8];
  assert_int_equal(recv(n.peer, got, sizeof got, 0), 1);
  assert_int_equal(recv(n.peer, got, sizeof got, 0), 0);
  say(&n, "still");
  wh_stream_want(&n.stream, WH_READ);
  assert_int_equal(wh_loop_poll(loop, 1000), 1);
  assert_string_equal(n.text, "still");
  close_pair(&n);
  wh_stream_finish(&n.stream);
}

static void tries_to_read_at_once(void **state) {
  (void)state;
  noted n;
  open_pair(&n);
  assert_int_equal(wh_stream_try_read(&n.stream), 0);
  say(&n, "early");
  assert_int_equal(wh_stream_try_read(&n.stream), 1);
  assert_string_equal(n.text, "early");
  /* It was never registered, and may be closed so. */
  close_pair(&n);
  assert_int_equal(wh_stream_try_read(&n.stream), 0);
}

/* --- the arena --- */

static void keep_all(noted *n) { wh_loop_keep(loop, n->last_place + n->length); }

static void keeps_bytes_until_they_are_forgotten(void **state) {
  (void)state;
  noted first, second;
  open_pair(&first);
  open_pair(&second);
  first.then = second.then = keep_all;
  say(&first, "first");
  say(&second, "second");
  assert_int_equal(wh_stream_try_read(&first.stream), 1);
  assert_int_equal(wh_stream_try_read(&second.stream), 1);
  assert_memory_equal(first.last_place, "first", 5);
  assert_memory_equal(second.last_place, "second", 6);
  assert_true(second.last_place - first.last_place >= 5);
  uint8_t *lent = wh_loop_lend(loop, 1000);
  assert_true(lent >= second.last_place + 6);
  memset(lent, 'x', 1000);
  uint8_t *more = wh_loop_lend(loop, 10);
  assert_true(more >= lent + 1000);
  assert_null(wh_loop_lend(loop, ARENA));
  wh_loop_forget(loop);
  assert_ptr_equal(wh_loop_lend(loop, ARENA), arena);
  assert_non_null(wh_loop_lend(loop, 0));
  assert_null(wh_loop_lend(loop, 1));
  wh_loop_keep(loop, arena + 5); /* does not shrink it */
  assert_null(wh_loop_lend(loop, 1));
  wh_loop_forget(loop);
  close_pair(&first);
  close_pair(&second);
}

static void a_full_arena_ends_the_turn(void **state) {
  (void)state;
  noted n[3];
  for (size_t i = 0; i < 3; i++) {
    open_pair(&n[i]);
    wh_stream_want(&n[i].stream, WH_READ);
    say(&n[i], "x");
  }
  assert_non_null(wh_loop_lend(loop, ARENA - 1000));
  assert_int_equal(wh_stream_try_read(&n[0].stream), 0);
  assert_int_equal(wh_loop_poll(loop, 1000), 0);
  assert_int_equal(wh_loop_has_rest(loop), 1);
  assert_int_equal(wh_loop_poll(loop, 1000), 0); /* and does not wait */
  close_pair(&n[1]);
  wh_loop_forget(loop);
  assert_int_equal(wh_loop_poll(loop, 1000), 3); /* one of them for nobody */
  assert_int_equal(wh_loop_has_rest(loop), 0);
  assert_int_equal(n[0].reads + n[2].reads, 2);
  assert_int_equal(n[1].reads, 0);
  close_pair(&n[0]);
  close_pair(&n[2]);
}

/* --- turns --- */

static void pause_it(noted *n) {
  (void)n;
  wh_loop_pause(loop);
}

static void can_be_paused_in_the_middle(void **state) {
  (void)state;
  noted n[10];
  for (size_t i = 0; i < 10; i++) {
    open_pair(&n[i]);
    n[i].then = pause_it;
    wh_stream_want(&n[i].stream, WH_READ);
    say(&n[i], "x");
  }
  for (size_t i = 0; i < 10; i++) {
    assert_int_equal(wh_loop_poll(loop, 1000), 1);
    assert_int_equal(wh_loop_has_rest(loop), i < 9);
  }
  for (size_t i = 0; i < 10; i++) {
    assert_int_equal(n[i].reads, 1);
    close_pair(&n[i]);
  }
}

static noted *all;
static size_t closers;

/* Closes and frees all streams, the one that is served last of them. */
static void close_all(noted *n) {
  closers++;
  for (size_t i = 0; i < 10; i++) {
    noted *other = &all[i];
    if (other != n) close_pair(other);
  }
  close_pair(n);
}

static void a_stream_may_be_closed_and_freed_while_its_event_waits(void **state) {
  (void)state;
  for (int room = 0; room < 2; room++) {
    all = calloc(10, sizeof *all);
    closers = 0;
    for (size_t i = 0; i < 10; i++) {
      open_pair(&all[i]);
      all[i].then = close_all;
      wh_stream_want(&all[i].stream, room ? WH_READ | WH_WRITE : WH_READ);
      say(&all[i], "x");
    }
    assert_true(wh_loop_poll(loop, 1000) > 0);
    assert_int_equal(closers, 1);
    free(all); /* whatever is left of the turn must not touch them */
    while (wh_loop_has_rest(loop)) wh_loop_poll(loop, 0);
    assert_int_equal(wh_loop_poll(loop, 0), 0);
  }
}

static void serves_more_handles_than_one_fetch_brings(void **state) {
  (void)state;
  enum { MANY = 600 };
  noted *n = calloc(MANY, sizeof *n);
  for (size_t i = 0; i < MANY; i++) {
    open_pair(&n[i]);
    wh_stream_want(&n[i].stream, WH_READ);
    say(&n[i], "x");
  }
  size_t served = 0;
  while (served < MANY) {
    int count = wh_loop_poll(loop, 1000);
    assert_true(count > 0);
    served += (size_t)count;
  }
  for (size_t i = 0; i < MANY; i++) {
    assert_int_equal(n[i].reads, 1);
    close_pair(&n[i]);
  }
  free(n);
}

static size_t fired;
static void fire(wh_timer *timer) {
  (void)timer;
  fired++;
}

static void runs_timers(void **state) {
  (void)state;
  wh_timer timer;
  fired = 0;
  wh_timer_init(&timer, fire);
  assert_int_equal(wh_loop_timeout(loop), -1);
  wh_timer_set(wh_loop_timers(loop), &timer, wh_loop_now(loop) + 5000);
  assert_in_range(wh_loop_timeout(loop), 1, 5100);
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  assert_int_equal(fired, 0);
  clock_advance(6000);
  assert_int_equal(wh_loop_timeout(loop), 0);
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  assert_int_equal(fired, 1);
  assert_int_equal(wh_loop_timeout(loop), -1);
  uint64_t before = wh_loop_now(loop);
  clock_advance(1000);
  assert_int_equal(wh_loop_now(loop), before);
  wh_loop_touch(loop);
  assert_true(wh_loop_now(loop) >= before + 1000);
}

static void its_descriptor_is_readable_when_there_is_something(void **state) {
  (void)state;
  noted n;
  open_pair(&n);
  wh_stream_want(&n.stream, WH_READ);
  struct pollfd ready = {.fd = wh_loop_descriptor(loop), .events = POLLIN};
  assert_int_equal(poll(&ready, 1, 0), 0);
  say(&n, "x");
  assert_int_equal(poll(&ready, 1, 1000), 1);
  wh_loop_poll(loop, 0);
  assert_int_equal(poll(&ready, 1, 0), 0);
  wh_loop_wake(loop);
  wh_loop_wake(loop);
  assert_int_equal(poll(&ready, 1, 1000), 1);
  assert_int_equal(wh_loop_poll(loop, 0), 1);
  assert_int_equal(poll(&ready, 1, 0), 0);
  close_pair(&n);
}

/* --- listeners --- */

typedef struct acceptor {
  wh_listener listener;
  int fds[300];
  size_t count, refused;
  int pause, close_after;
} acceptor;

static void note_accept(wh_listener *listener, int fd, const struct sockaddr *peer, size_t length) {
  acceptor *a = (acceptor *)listener;
  assert_ptr_equal(listener->owner, a);
  assert_int_equal(peer->sa_family, AF_INET);
  assert_int_equal(length, sizeof(struct sockaddr_in));
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  a->fds[a->count++] = fd;
  if (a->pause) wh_loop_pause(loop);
  if (a->close_after) wh_listener_close(listener);
}

static void note_refused(wh_listener *listener, int error) {
  acceptor *a = (acceptor *)listener;
  assert_int_equal(error, EMFILE);
  a->refused++;
}

static void open_acceptor(acceptor *a, int fd) {
  memset(a, 0, sizeof *a);
  a->listener.on_accept = note_accept;
  a->listener.on_refused = note_refused;
  a->listener.owner = a;
  assert_int_equal(wh_listener_open(&a->listener, loop, fd), WH_OK);
}

static void accepts(void **state) {
  (void)state;
  acceptor *a = calloc(1, sizeof *a);
  struct sockaddr_in name;
  int fd = listen_tcp(&name), clients[100];
  open_acceptor(a, fd);
  for (size_t i = 0; i < 100; i++) clients[i] = connect_tcp(&name);
  while (a->count < 100) assert_true(wh_loop_poll(loop, 1000) > 0);
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  wh_listener_close(&a->listener);
  wh_listener_close(&a->listener);
  int late = connect_tcp(&name);
  assert_int_equal(wh_loop_poll(loop, 0), 0);
  close(late);
  for (size_t i = 0; i < 100; i++) {
    close(clients[i]);
    close(a->fds[i]);
  }
  close(fd);
  free(a);
}

static void stops_accepting_when_paused_or_closed(void **state) {
  (void)state;
  for (int closes = 0; closes < 2; closes++) {
    acceptor *a = calloc(1, sizeof *a);
    struct sockaddr_in name;
    int fd = listen_tcp(&name), clients[5];
    open_acceptor(a, fd);
    a->pause = !closes;
    a->close_after = closes;
    for (size_t i = 0; i < 5; i++) clients[i] = connect_tcp(&name);
    assert_int_equal(wh_loop_poll(loop, 1000), 1);
    assert_int_equal(a->count, 1);
    if (closes) {
      assert_int_equal(wh_loop_poll(loop, 0), 0);
    } else {
      for (size_t i = 1; i < 5; i++) assert_int_equal(wh_loop_poll(loop, 1000), 1);
      assert_int_equal(a->count, 5);
      wh_listener_close(&a->listener);
    }
    for (size_t i = 0; i < 5; i++) close(clients[i]);
    for (size_t i = 0; i < a->count; i++) close(a->fds[i]);
    close(fd);
    free(a);
  }
}

static void refuses_what_cannot_be_watched(void **state) {
  (void)state;
  wh_listener listener = {0};
  assert_true(wh_listener_open(&listener, loop, 100000) < 0);
  wh_listener_close(&listener);
  wh_stream stream;
  wh_stream_open(&stream, loop, open("/dev/null", O_RDONLY), &noting);
  assert_true(wh_stream_want(&stream, WH_READ) < 0);
  wh_stream_close(&stream, 1);
}

static void wants_an_arena_and_memory(void **state) {
  (void)state;
  wh_loop *other = NULL;
  assert_int_equal(wh_loop_create(NULL, ARENA, &other), WH_ERR_INVALID_ARGUMENT);
  assert_int_equal(wh_loop_create(arena, ARENA - 1, &other), WH_ERR_INVALID_ARGUMENT);
  wh_memory_fail_at(1);
  assert_int_equal(wh_loop_create(arena, ARENA, &other), WH_ERR_NO_MEMORY);
  wh_memory_fail_at(0);
  assert_null(other);
  wh_loop_destroy(NULL);
}

/* --- threads: wh_loop_wake is the only function that others may call --- */

#define WAKERS 4
#define WAKES 2000

static atomic_size_t woken;

static void *wake_often(void *unused) {
  (void)unused;
  for (int i = 0; i < WAKES; i++) {
    atomic_fetch_add_explicit(&woken, 1, memory_order_relaxed);
    wh_loop_wake(loop);
  }
  return NULL;
}

static void is_woken_by_other_threads(void **state) {
  (void)state;
  pthread_t threads[WAKERS];
  atomic_store(&woken, 0);
  for (size_t i = 0; i < WAKERS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, wake_often, NULL), 0);
  }
  size_t turns = 0;
  do {
    assert_int_equal(wh_loop_poll(loop, 10000), 1);
    turns++;
  } while (atomic_load(&woken) < WAKERS * WAKES);
  for (size_t i = 0; i < WAKERS; i++) pthread_join(threads[i], NULL);
  while (wh_loop_poll(loop, 0) > 0) {
  }
  assert_in_range(turns, 1, WAKERS * WAKES + 1);
}

static void *wake_once(void *unused) {
  (void)unused;
  wh_loop_wake(loop);
  return NULL;
}

static void a_wait_without_end_ends_when_woken(void **state) {
  (void)state;
  for (int i = 0; i < 100; i++) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_once, NULL), 0);
    assert_int_equal(wh_loop_poll(loop, -1), 1);
    pthread_join(thread, NULL);
  }
}

static void interrupt(int number) { (void)number; }

static void *send_signal(void *thread) {
  pthread_kill(*(pthread_t *)thread, SIGUSR1);
  return NULL;
}

static void a_signal_ends_a_wait_and_is_no_error(void **state) {
  (void)state;
  struct sigaction action = {.sa_handler = interrupt}, before;
  sigaction(SIGUSR1, &action, &before);
  pthread_t self = pthread_self(), thread;
  assert_int_equal(pthread_create(&thread, NULL, send_signal, &self), 0);
  assert_int_equal(wh_loop_poll(loop, 200), 0);
  pthread_join(thread, NULL);
  sigaction(SIGUSR1, &before, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(reads_what_comes),
      TEST(reads_all_of_much_that_came_at_once),
      TEST(tells_of_what_came_while_nobody_wanted_it),
      TEST(tells_of_the_end_once),
      TEST(tells_of_a_reset),
      TEST(tells_of_room),
      TEST(ends_our_side),
      TEST(tries_to_read_at_once),
      TEST(keeps_bytes_until_they_are_forgotten),
      TEST(a_full_arena_ends_the_turn),
      TEST(can_be_paused_in_the_middle),
      TEST(a_stream_may_be_closed_and_freed_while_its_event_waits),
      TEST(serves_more_handles_than_one_fetch_brings),
      TEST(runs_timers),
      TEST(its_descriptor_is_readable_when_there_is_something),
      TEST(accepts),
      TEST(stops_accepting_when_paused_or_closed),
      TEST(refuses_what_cannot_be_watched),
      TEST(wants_an_arena_and_memory),
      TEST(is_woken_by_other_threads),
      TEST(a_wait_without_end_ends_when_woken),
      TEST(a_signal_ends_a_wait_and_is_no_error),
  };
  return cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
}
