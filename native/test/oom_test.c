/*
 * Without memory. Each scenario runs once for each allocation that it makes, and that one fails: whatever
 * the client then gets, nothing crashes, hangs or leaks, and the next client is served. The same for the
 * slabs that the host allocates.
 */
#include <stdio.h>

#include "base/memory.h"
#include "support_client.h"

#define H "Host: h\r\n"
#define RELEASE WH_COMMAND_FLAG_RELEASE
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"

typedef struct scenario {
  const char *name;
  void (*run)(app *a, client *c);
  app_handler on_request, on_body;
  size_t answers; /* that the client gets when nothing fails */
  int to_slow;    /* the client reads nothing at first */
  int least;      /* allocations that it makes at least: else it tests nothing */
} scenario;

/* --- what the application does --- */

static void collect(app *a, app_request *r) {
  (void)a;
  (void)r;
}

/* Once three are there, answers them in reverse, in three ways. */
static void answer_in_reverse(app *a, app_request *r) {
  if (r->number % 3 != 2 || r->number + 1 != a->request_count) return;
  app_respond(r, 200, RELEASE, "X: y\r\n", BYTES("third"));
  r = a->requests[r->number - 1];
  app_start(r, 200, 0, "X: y\r\n", -1);
  app_write(r, 0, BYTES("sec"));
  app_write_pinned(r, WH_COMMAND_FLAG_NOTIFY, app_pin_bytes(a, NULL, 20000));
  app_end(r, RELEASE);
  r = a->requests[r->number - 1];
  app_respond_pinned(r, RELEASE, app_pin_bytes(a, NULL, 30000));
}

static void answer_now_or_when_aborted(app *a, app_request *r) {
  if (!r->open) return;
  if (r->aborted)
    app_release(r);
  else
    app_answer_target(a, r);
}

static void echo_or_release(app *a, app_request *r) {
  if (r->open) app_echo(a, r);
}

static void stream_large(app *a, app_request *r) {
  if (!r->open) return;
  if (r->aborted) {
    app_release(r);
    return;
  }
  if (r->step == 0) app_start(r, 200, 0, NULL, -1);
  if (r->rooms < r->step) return;
  if (++r->step <= 12) {
    uint8_t *piece = pattern_bytes(50000);
    if (r->step % 2)
      app_write(r, WH_COMMAND_FLAG_NOTIFY, piece, 50000);
    else
      app_write_pinned(r, WH_COMMAND_FLAG_NOTIFY, app_pin_bytes(a, piece, 50000));
    free(piece);
  } else {
    app_end(r, RELEASE);
  }
}

static void respond_large(app *a, app_request *r) {
  if (!r->open) return;
  uint8_t *body = pattern_bytes(200000);
  if (r->number % 2)
    app_respond(r, 200, RELEASE, "X: y\r\n", body, 200000);
  else
    app_respond_pinned(r, RELEASE, app_pin_bytes(a, body, 200000));
  free(body);
}

static void answer_and_want_ended(app *a, app_request *r) {
  (void)a;
  if (!r->open) return;
  if (r->ended || r->aborted)
    app_release(r);
  else
    app_respond(r, 200, WH_COMMAND_FLAG_WANT_ENDED, NULL, BYTES("x"));
}

/* --- what the client does --- */

static void send_get(app *a, client *c) {
  (void)a;
  client_text(c, GET("/"));
}

static void send_three(app *a, client *c) {
  (void)a;
  client_text(c, GET("/1") GET("/2") GET("/3"));
}

static void send_pieces(app *a, client *c) {
  static const char text[] = "GET /in/pieces%20 HTTP/1.1\r\n" H "X-One: 1\r\n\r\n";
  for (size_t i = 0; i < sizeof text - 1; i += 5) {
    if (c->ended) return;
    client_send(c, text + i, sizeof text - 1 - i < 5 ? sizeof text - 1 - i : 5);
    while (app_step(a, 0)) {
    }
  }
}

static void send_large_head(app *a, client *c) {
  char line[700];
  memset(line, 'a', sizeof line);
  memcpy(line, "X: ", 3);
  memcpy(line + sizeof line - 2, "\r\n", 2);
  client_text(c, "GET /large%41 HTTP/1.1\r\n" H);
  for (int i = 0; i < 30; i++) {
    if (c->ended) return;
    client_send(c, line, sizeof line);
    if (i % 4 == 0)
      while (app_step(a, 0)) {
      }
  }
  client_text(c, "\r\n");
}

static void send_body(app *a, client *c) {
  (void)a;
  uint8_t *body = pattern_bytes(200000);
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 200000\r\n\r\n");
  client_send(c, body, 200000);
  free(body);
}

static void send_chunks(app *a, client *c) {
  (void)a;
  client_text(c, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 50; i++) client_text(c, "5;x=y\r\nhello\r\n");
  client_text(c, "0\r\nT: u\r\n\r\n");
}

/* Each waits for the one before. */
static void send_unsafe(app *a, client *c) {
  (void)a;
  client_text(c, "POST /1 HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc" GET(
                     "/2") "POST /3 HTTP/1.1\r\n" H
                           "Content-Length: 3\r\n\r\nabc" GET("/4") "DELETE /5 HTTP/1.1\r\n" H
                                                                    "\r\n" GET("/6"));
  client_half_close(c);
}

static void send_expecting(app *a, client *c) {
  client_text(c, "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  app_quiet(a);
  if (!c->ended) client_text(c, "abc");
}

static void send_bad(app *a, client *c) {
  (void)a;
  client_text(c, GET("/1") GET("/2") GET("/3") "BAD\r\n\r\n");
}

static void send_bad_chunk(app *a, client *c) {
  (void)a;
  client_text(c, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n");
}

static void send_unread(app *a, client *c) {
  (void)a;
  uint8_t *body = pattern_bytes(300000);
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 300000\r\n\r\n");
  client_send(c, body, 300000);
  client_text(c, GET("/next"));
  free(body);
}

static void send_many(app *a, client *c) {
  (void)a;
  for (int i = 0; i < 40; i++) client_text(c, GET("/"));
}

static void send_and_reset(app *a, client *c) {
  client_text(c, GET("/1") GET("/2"));
  app_quiet(a);
  client_reset(c);
}

/* More events at once than there is room for. */
static void send_on_many_connections(app *a, client *c) {
  (void)c;
  for (int i = 0; i < 20; i++) {
    client *other = client_open(a);
    for (int n = 0; n < 64; n++) client_text(other, GET("/"));
  }
  app_quiet(a);
  wh_server_abort(a->server);
}

/* Requests of many connections that go on at once: more events than there is room for. */
static void send_on_many_that_wait(app *a, client *c) {
  (void)c;
  for (int i = 0; i < 20; i++) {
    client *other = client_open(a);
    client_text(other, "DELETE / HTTP/1.1\r\n" H "\r\n");
    for (int n = 0; n < 64; n++) client_text(other, GET("/"));
  }
  app_quiet(a);
  for (size_t i = 0, n = a->request_count; i < n; i++) app_respond_text(app_request_at(a, i), "x");
}

static const scenario scenarios[] = {
    {"a request", send_get, answer_now_or_when_aborted, answer_now_or_when_aborted, 1, 0, 4},
    {"a head in pieces", send_pieces, answer_now_or_when_aborted, NULL, 1, 0, 4},
    {"a large head", send_large_head, answer_now_or_when_aborted, NULL, 1, 0, 6},
    {"late answers", send_three, answer_in_reverse, NULL, 3, 0, 9},
    {"late answers to a slow client", send_three, answer_in_reverse, NULL, 3, 1, 9},
    {"a body", send_body, echo_or_release, echo_or_release, 1, 0, 4},
    {"a body to a slow client", send_body, echo_or_release, echo_or_release, 1, 1, 4},
    {"chunks", send_chunks, echo_or_release, echo_or_release, 1, 0, 4},
    {"requests that wait", send_unsafe, answer_now_or_when_aborted, answer_now_or_when_aborted, 6,
     0, 6},
    {"100 Continue", send_expecting, echo_or_release, echo_or_release, 2, 0, 4},
    {"a bad request", send_bad, answer_in_reverse, NULL, 4, 0, 6},
    {"a bad chunk", send_bad_chunk, echo_or_release, echo_or_release, 1, 0, 4},
    {"a stream", send_get, stream_large, stream_large, 1, 1, 8},
    {"an unread body", send_unread, answer_now_or_when_aborted, NULL, 2, 0, 4},
    {"large answers", send_many, respond_large, NULL, 40, 1, 10},
    {"ended", send_many, answer_and_want_ended, answer_and_want_ended, 40, 0, 4},
    {"a reset", send_and_reset, collect, collect, 0, 0, 4},
    {"many that wait", send_on_many_that_wait, collect, collect, 0, 0, 20},
    {"many events", send_on_many_connections, collect, collect, 0, 0, 20},
};

/* --- the drill --- */

static size_t count_answers(client *c) {
  size_t count = 0;
  while (client_has_answer(c, 0)) {
    client_answer answer = client_take(c, 0);
    client_answer_free(&answer);
    count++;
  }
  return count;
}

static void run_scenario(const scenario *s, size_t nth, int of_slabs, int *has_failed) {
  app *a = app_new(NULL, NULL);
  a->on_request = s->on_request;
  a->on_body = s->on_body;
  client *c = client_open(a);
  c->deaf = s->to_slow;
  if (of_slabs)
    a->slab_fails_at = nth;
  else
    wh_memory_fail_at(nth);
  s->run(a, c);
  app_quiet(a);
  c->deaf = 0;
  size_t answers = 0;
  uint64_t patience = app_patience();
  for (;;) {
    answers += count_answers(c);
    if (answers >= s->answers || c->ended) break;
    app_wait(a, patience, __FILE__, __LINE__, s->name); /* a client that hangs */
  }
  app_quiet(a);
  *has_failed = of_slabs ? a->slab_fails_at == 0 : wh_memory_has_failed();
  wh_memory_fail_at(0);
  a->slab_fails_at = 0;
  if (!*has_failed && answers != s->answers) {
    fail_msg("%s: %zu answers without a failure, expected %zu", s->name, answers, s->answers);
  }
  a->on_request = answer_now_or_when_aborted;
  client *next = client_open(a);
  client_get(next, "/next");
  client_expect(next, 200, "GET /next");
  app_free(a);
}

static void drill(int of_slabs) {
  for (size_t i = 0; i < COUNT(scenarios); i++) {
    int has_failed = 1;
    size_t nth = 0;
    while (has_failed) run_scenario(&scenarios[i], ++nth, of_slabs, &has_failed);
    print_message("  %s: %zu %s failed\n", scenarios[i].name, nth - 1,
                  of_slabs ? "slabs" : "allocations");
    if (!of_slabs)
      assert_true(nth - 1 >= (size_t)scenarios[i].least);
    else
      assert_true(nth > 1);
  }
}

static void every_allocation_of_a_request_may_fail(void **state) {
  (void)state;
  drill(0);
}

static void every_slab_may_fail(void **state) {
  (void)state;
  drill(1);
}

static void every_allocation_of_a_start_may_fail(void **state) {
  (void)state;
  static const app_options options = {.no_listen = 1};
  size_t failures = 0;
  for (size_t nth = 1;; nth++) {
    wh_memory_fail_at(nth);
    app *a = app_new(&options, NULL);
    int error = a == NULL ? WH_ERR_NO_MEMORY : app_listen(a, "http://localhost:0");
    int has_failed = wh_memory_has_failed();
    wh_memory_fail_at(0);
    if (has_failed) {
      assert_int_equal(error, WH_ERR_NO_MEMORY);
      failures++;
    }
    if (a == NULL) continue;
    if (error != WH_OK) assert_int_equal(app_listen(a, "http://localhost:0"), WH_OK);
    a->on_request = app_answer_target;
    client *c = client_open(a);
    client_get(c, "/");
    client_expect(c, 200, "GET /");
    app_free(a);
    if (!has_failed) break;
  }
  assert_true(failures >= 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_allocation_of_a_start_may_fail),
      cmocka_unit_test(every_allocation_of_a_request_may_fail),
      cmocka_unit_test(every_slab_may_fail),
  };
  return cmocka_run_group_tests_name("out of memory", tests, NULL, NULL);
}
