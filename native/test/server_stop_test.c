/*
 * A server that stops: every connection ends with an answer that says so, or, after the drain window,
 * without one. Nobody who was let in is lost.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support_clock.h"
#include "support_client.h"

#define H "Host: h\r\n"
#define RELEASE WH_COMMAND_FLAG_RELEASE
/* The clock goes on by itself too: what is short enough for a slow machine to miss is not looked at. */
#define WINDOW 10000U

static app_request *get(app *a, client *c) {
  size_t number = a->request_count;
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static void stop(app *a, uint32_t window_ms) {
  wh_server_stop_listening(a->server);
  wh_server_stop(a->server, window_ms);
}

/* --- connections --- */

static void without_a_window_idle_connections_end_at_once(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *fresh = client_open(a), *used = client_open(a);
  client_get(used, "/");
  client_expect(used, 200, NULL);
  app_quiet(a);
  stop(a, 0);
  stop(a, 0);
  client_expect_end(fresh);
  client_expect_end(used);
  assert_false(fresh->reset || used->reset);
  client_close(fresh);
  client_close(used);
  RUN_UNTIL(a, app_connections(a) == 0);
}

static void in_the_window_the_next_request_is_answered_with_close(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *idle = client_open(a), *used = client_open(a), *old = client_open(a);
  client_get(used, "/1");
  client_expect(used, 200, NULL);
  client_text(old, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  client_expect_line(old, 200, "Connection: keep-alive");
  stop(a, WINDOW);
  clock_advance(WINDOW - 5000);
  client_expect_nothing(idle);
  client_get(used, "/2");
  client_expect_line(used, 200, "Connection: close");
  client_expect_end(used);
  client_text(old, "GET /2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  client_expect_line(old, 200, "Connection: close");
  client_expect_end(old);
  clock_advance(5100);
  client_expect_end(idle);
  assert_false(used->reset || idle->reset || old->reset);
  /* None of the three has ended its side. */
  clock_advance(1100);
  RUN_UNTIL(a, app_connections(a) == 0);
}

static void a_request_that_crosses_the_end_of_the_window_is_answered(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *used = client_open(a), *fresh = client_open(a), *half = client_open(a);
  client_get(used, "/1");
  client_expect(used, 200, NULL);
  stop(a, WINDOW);
  app_quiet(a);
  clock_advance(WINDOW + 100);
  /* The server has not looked yet: all this waits in the system. */
  client_get(used, "/2");
  client_get(fresh, "/3");
  client_text(half, "GET /4 HTTP/1.1\r\nHo");
  client_expect_line(used, 200, "Connection: close");
  client_expect_line(fresh, 200, "Connection: close");
  client_expect_end(used);
  client_expect_end(fresh);
  clock_advance(300);
  client_expect_refusal(half, 408);
}

static void a_client_that_does_not_close_holds_a_stop_for_a_second(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  app_quiet(a);
  stop(a, 0);
  client_expect_end(c);
  client_get(c, "/late"); /* thrown away */
  clock_advance(100);
  app_quiet(a);
  assert_int_equal(app_connections(a), 1);
  clock_advance(1000);
  RUN_UNTIL(a, app_connections(a) == 0);
  assert_int_equal(a->request_count, 0);
}

static void timeouts_go_on_in_the_window(void **state) {
  (void)state;
  wh_limits limits;
  wh_limits_init(&limits);
  limits.keep_alive_timeout = 20000;
  limits.request_headers_timeout = 10000;
  app *a = app_new(NULL, &limits);
  a->on_request = app_answer_target;
  client *idle = client_open(a), *half = client_open(a), *later = client_open(a);
  client_get(idle, "/");
  client_expect(idle, 200, NULL);
  client_text(half, "GET / HTTP/1.1\r\nHo");
  app_quiet(a);
  stop(a, 100000);
  clock_advance(5000);
  client_expect_nothing(half);
  client_text(later, "GET / HTTP/1.1\r\nHo");
  app_quiet(a);
  clock_advance(5100);
  client_expect_refusal(half, 408);
  client_expect_nothing(idle);
  client_expect_nothing(later);
  clock_advance(10000);
  client_expect_end(idle);
  client_expect_refusal(later, 408);
  client_close(idle);
  client_close(half);
  client_close(later);
  RUN_UNTIL(a, app_connections(a) == 0);
  app_free(a);
}

static void half_a_head_lasts_no_longer_than_the_window(void **state) {
  app *a = *state;
  client *c = client_open(a), *slow = client_open(a);
  client_text(c, "GET / HTTP/1.1\r\nHo");
  client_get(slow, "/slow");
  RUN_UNTIL_REQUESTS(a, 1);
  client_text(slow, "GET /half HTTP/1.1\r\nHo");
  app_quiet(a);
  stop(a, WINDOW);
  clock_advance(WINDOW - 5000);
  client_expect_nothing(c);
  clock_advance(5100);
  client_expect_refusal(c, 408);
  /* Behind a request that runs it has until that is answered, and a moment. */
  client_expect_nothing(slow);
  app_respond_text(app_request_at(a, 0), "slow");
  client_expect(slow, 200, "slow");
  clock_advance(300);
  client_expect_refusal(slow, 408);
}

static void stop_lets_what_runs_finish(void **state) {
  app *a = *state;
  client *one = client_open(a), *stream = client_open(a), *body = client_open(a),
         *post = client_open(a);
  client_get(one, "/0");
  RUN_UNTIL_REQUESTS(a, 1);
  client_get(stream, "/1");
  RUN_UNTIL_REQUESTS(a, 2);
  client_text(body, "POST /2 HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
  RUN_UNTIL_REQUESTS(a, 3);
  client_text(post, "POST /3 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab");
  RUN_UNTIL_REQUESTS(a, 4);
  app_start(app_request_at(a, 1), 200, 0, NULL, -1);
  app_quiet(a);
  stop(a, 0);
  app_quiet(a);
  assert_int_equal(app_connections(a), 4);
  app_respond_text(app_request_at(a, 0), "0");
  client_expect_line(one, 200, "Connection: close");
  client_expect_end(one);
  app_write(app_request_at(a, 1), 0, BYTES("1"));
  app_end(app_request_at(a, 1), RELEASE);
  client_expect(stream, 200, "1");
  client_expect_end(stream);
  app_read(app_request_at(a, 2), 1);
  client_text(body, "cde");
  RUN_UNTIL(a, app_request_at(a, 2)->body_complete);
  app_respond_text(app_request_at(a, 2), "2");
  client_expect_line(body, 200, "Connection: close");
  client_expect_end(body);
  app_respond_text(app_request_at(a, 3), "3");
  client_expect_line(post, 200, "Connection: close");
  client_expect_end(post);
  client *all[] = {one, stream, body, post};
  for (size_t i = 0; i < COUNT(all); i++) client_close(all[i]);
  RUN_UNTIL(a, app_connections(a) == 0);
}

/* --- pipelining --- */

static void all_that_was_dispatched_is_answered(void **state) {
  app *a = *state;
  client *c = client_open(a);
  for (int i = 0; i < 3; i++) client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 3);
  stop(a, 0);
  for (size_t i = 0; i < 3; i++) {
    app_respond_text(app_request_at(a, i), "x");
    client_answer answer = client_take(c, 0);
    assert_int_equal(answer.close, i == 2);
    client_answer_free(&answer);
  }
  client_expect_end(c);
}

static void unsafe_requests_that_wait_are_answered(void **state) {
  app *a = *state;
  client *c = client_open(a), *late = client_open(a);
  static const char post[] = "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab";
  for (int i = 0; i < 3; i++) client_text(c, post);
  RUN_UNTIL_REQUESTS(a, 1);
  for (int i = 0; i < 3; i++) client_text(late, post);
  RUN_UNTIL_REQUESTS(a, 2);
  stop(a, WINDOW);
  for (size_t i = 0; i < 3; i++) {
    RUN_UNTIL_REQUESTS(a, i + 2 - (i == 0));
    app_respond_text(app_request_at(a, i == 0 ? 0 : i + 1), "x");
    client_answer answer = client_take(c, 0);
    assert_int_equal(answer.close, i == 2);
    client_answer_free(&answer);
  }
  client_expect_end(c);
  clock_advance(WINDOW + 100);
  app_quiet(a);
  for (size_t i = 0; i < 3; i++) {
    RUN_UNTIL_REQUESTS(a, i == 0 ? 2 : i + 4);
    app_respond_text(app_request_at(a, i == 0 ? 1 : i + 3), "x");
    client_answer answer = client_take(late, 0);
    assert_int_equal(answer.close, i == 2);
    client_answer_free(&answer);
  }
  client_expect_end(late);
}

static void a_burst_that_comes_in_the_window_is_answered(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a), *posts = client_open(a);
  stop(a, WINDOW);
  client_text(c, "GET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\nGET /3 HTTP/1.1\r\nHo");
  client_expect(c, 200, "GET /1");
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.close, 0); /* the third has begun */
  client_answer_free(&answer);
  client_text(c, "st: h\r\n\r\n");
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
  client_text(posts,
              "POST /1 HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\naPOST /2 HTTP/1.1\r\n" H
              "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET /3 HTTP/1.1\r\n" H "\r\n");
  client_expect(posts, 200, "POST /1");
  client_expect(posts, 200, "POST /2");
  client_expect_line(posts, 200, "Connection: close");
  client_expect_end(posts);
}

static void what_the_system_still_holds_is_answered_in_the_window(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  stop(a, WINDOW);
  client_get(c, "/2"); /* arrived, and not read yet */
  app_respond_text(r, "1");
  wh_server_flush(a->server);
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.close, 0);
  client_answer_free(&answer);
  RUN_UNTIL_REQUESTS(a, 2);
  app_respond_text(app_request_at(a, 1), "2");
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
}

/* A client that always has a request on its way would never let us go. */
static void after_the_window_nothing_more_is_read_of_a_busy_connection(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/1");
  RUN_UNTIL_REQUESTS(a, 1);
  stop(a, WINDOW);
  client_get(c, "/2");
  RUN_UNTIL_REQUESTS(a, 2);
  clock_advance(WINDOW + 100);
  app_quiet(a);
  client_get(c, "/3");
  app_quiet(a);
  assert_int_equal(a->request_count, 2);
  app_respond_text(app_request_at(a, 0), "1");
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.close, 0);
  client_answer_free(&answer);
  app_respond_text(app_request_at(a, 1), "2");
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
  assert_int_equal(c->reset, 0);
}

static void an_answer_that_began_before_ends_the_connection_after_the_window(void **state) {
  app *a = *state;
  client *c = client_open(a), *next = client_open(a);
  app_request *r = get(a, c), *s = get(a, next);
  app_start(r, 200, 0, NULL, -1);
  app_start(s, 200, 0, NULL, -1);
  app_quiet(a);
  stop(a, WINDOW);
  app_end(s, RELEASE);
  client_expect(next, 200, "");
  client_expect_nothing(next);
  client_get(next, "/next");
  RUN_UNTIL_REQUESTS(a, 3);
  app_respond_text(app_request_at(a, 2), "x");
  client_expect_line(next, 200, "Connection: close");
  clock_advance(WINDOW + 100);
  app_quiet(a);
  app_write(r, 0, BYTES("1"));
  app_end(r, RELEASE);
  client_expect(c, 200, "1");
  client_expect_end(c);
}

static void an_unread_body_ends_with_the_window(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a), *late = client_open(a);
  client_text(c, "POST /drain HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
  client_expect(c, 200, "POST /drain");
  client_text(late, "POST /drain HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
  client_expect(late, 200, "POST /drain");
  stop(a, WINDOW);
  client_text(c, "cdeGET / HTTP/1.1\r\n" H "\r\n");
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
  clock_advance(WINDOW + 100);
  app_quiet(a);
  client_text(late, "cde");
  client_expect_end(late);
}

static void stop_in_handler(app *a, app_request *r) {
  stop(a, 0);
  app_answer_target(a, r);
}

static void stop_within_a_batch(void **state) {
  app *a = *state;
  client *c = client_open(a), *idle = client_open(a);
  app_quiet(a);
  a->on_request = stop_in_handler;
  client_get(c, "/");
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
  client_expect_end(idle);
}

/* --- listeners --- */

static int connect_to(uint16_t port) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  int result = connect(fd, (struct sockaddr *)&name, sizeof name);
  close(fd);
  return result;
}

static void no_connection_is_accepted_after_stop_listening(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  client_get(c, "/1");
  client_expect(c, 200, NULL);
  assert_int_equal(wh_server_is_listening(a->server), 1);
  wh_server_stop_listening(a->server);
  wh_server_stop_listening(a->server);
  client_get(c, "/2"); /* those that are there go on */
  client_expect(c, 200, "GET /2");
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_ERR_STATE);
  RUN_UNTIL(a, !wh_server_is_listening(a->server));
  char url[100];
  assert_int_equal(wh_server_url(a->server, 0, url, sizeof url), 0);
  assert_int_equal(connect_to(a->port), -1);
}

static void who_waits_in_the_queue_is_served(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  for (uint32_t window = 0; window <= WINDOW; window += WINDOW) {
    client *asked[200], *silent = client_open(a);
    for (size_t i = 0; i < COUNT(asked); i++) {
      asked[i] = client_open(a);
      if (i % 2 == 0) client_get(asked[i], "/early");
    }
    stop(a, window);
    for (size_t i = 1; i < COUNT(asked); i += 2) client_get(asked[i], "/late");
    for (size_t i = 0; i < COUNT(asked); i++) {
      client_expect_line(asked[i], 200, "Connection: close");
      client_expect_end(asked[i]);
    }
    clock_advance(window + 300);
    client_expect_end(silent);
    client_free_all(a);
    RUN_UNTIL(a, app_connections(a) == 0);
    if (window > 0) break;
    app_free(a);
    *state = a = app_new(NULL, NULL);
    a->on_request = app_answer_target;
  }
}

static void the_port_is_free_while_connections_drain(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  stop(a, WINDOW);
  RUN_UNTIL(a, !wh_server_is_listening(a->server));
  static const app_options silent = {.no_listen = 1};
  app *b = app_new(&silent, NULL);
  b->on_request = app_answer_target;
  char url[100];
  snprintf(url, sizeof url, "http://127.0.0.1:%u", a->port);
  assert_int_equal(app_listen(b, url), WH_OK);
  client *d = client_open(b);
  client_get(d, "/");
  client_expect(d, 200, "GET /");
  app_free(b);
  app_respond_text(r, "x");
  client_expect(c, 200, "x");
}

static void who_waits_at_a_unix_socket_is_served(void **state) {
  (void)state;
  static const app_options silent = {.no_listen = 1};
  app *a = app_new(&silent, NULL);
  a->on_request = app_answer_target;
  char folder[] = "/tmp/windhover-stop-XXXXXX", path[64], url[80];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/s.sock", folder);
  snprintf(url, sizeof url, "http://unix:%s", path);
  assert_int_equal(app_listen(a, url), WH_OK);
  client *asked = client_open_unix(a, path), *late = client_open_unix(a, path);
  client_get(asked, "/");
  stop(a, WINDOW);
  assert_int_equal(wh_server_is_listening(a->server), 0);
  assert_int_equal(rmdir(folder), 0); /* the socket is gone */
  client_get(late, "/");
  client_expect_line(asked, 200, "Connection: close");
  client_expect_line(late, 200, "Connection: close");
  app_free(a);
}

/* Descriptors come back while the server stops: those who waited are served. */
static void who_waits_for_a_descriptor_is_served(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  client_get(c, "/");
  struct rlimit before, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  int lowest = dup(0);
  close(lowest);
  none.rlim_cur = (rlim_t)lowest;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  stop(a, WINDOW);
  assert_int_equal(wh_server_is_listening(a->server), 1);
  for (int i = 0; i < 20; i++) app_step(a, 0);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  clock_advance(50);
  client_expect_line(c, 200, "Connection: close");
  clock_advance(200);
  RUN_UNTIL(a, !wh_server_is_listening(a->server));
}

static void a_listener_is_closed_in_any_case(void **state) {
  app *a = *state;
  client *c = client_open(a);
  struct rlimit before, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  int lowest = dup(0);
  close(lowest);
  none.rlim_cur = (rlim_t)lowest;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  stop(a, WINDOW);
  clock_advance(1300);
  uint64_t patience = app_patience();
  while (wh_server_is_listening(a->server) && clock_real_ms() < patience) app_step(a, 5);
  int listening = wh_server_is_listening(a->server);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(listening, 0);
  RUN_UNTIL(a, c->ended);
}

static void server_abort_resets_all(void **state) {
  app *a = *state;
  client *idle = client_open(a), *runs = client_open(a), *body = client_open(a),
         *slow = client_open(a);
  app_request *r = get(a, runs);
  client_text(body, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
  RUN_UNTIL_REQUESTS(a, 2);
  slow->deaf = 1;
  app_request *s = get(a, slow);
  app_respond_pinned(s, 0, app_pin_bytes(a, NULL, 8000000));
  app_quiet(a);
  wh_server_abort(a->server);
  assert_int_equal(app_connections(a), 0);
  assert_int_equal(app_pins_held(a), 0);
  RUN_UNTIL(a, r->aborted && app_request_at(a, 1)->aborted);
  assert_int_equal(s->aborted, 0); /* its answer was complete */
  RUN_UNTIL(a, idle->ended && runs->ended && body->ended);
  assert_true(idle->reset && runs->reset && body->reset);
  /* The server goes on. */
  client *next = client_open(a);
  a->on_request = app_answer_target;
  client_get(next, "/next");
  client_expect(next, 200, "GET /next");
}

static void destroy_with_everything_in_flight(void **state) {
  (void)state;
  app *a = app_new(NULL, NULL);
  for (int i = 0; i < 6; i++) {
    client *c = client_open(a);
    if (i == 1) client_text(c, "GET / HT");
    if (i == 2)
      client_text(c,
                  "GET / HTTP/1.1\r\n" H "\r\nPOST / HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nab");
    if (i == 3) client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nab");
    if (i == 4) client_text(c, "BAD\r\n");
    if (i == 5) {
      for (int n = 0; n < 100; n++) client_get(c, "/");
    }
  }
  app_quiet(a);
  assert_int_equal(app_connections(a), 6);
  app_release(app_request_at(a, 0)); /* not even taken */
  app_destroy(a);
}

static void destroy_at_once(void **state) {
  (void)state;
  app_destroy(app_new(NULL, NULL));
  static const app_options nothing = {.no_listen = 1};
  app_destroy(app_new(&nothing, NULL));
  wh_server_destroy(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(without_a_window_idle_connections_end_at_once),
      APP_TEST(in_the_window_the_next_request_is_answered_with_close),
      APP_TEST(a_request_that_crosses_the_end_of_the_window_is_answered),
      APP_TEST(a_client_that_does_not_close_holds_a_stop_for_a_second),
      cmocka_unit_test(timeouts_go_on_in_the_window),
      APP_TEST(half_a_head_lasts_no_longer_than_the_window),
      APP_TEST(stop_lets_what_runs_finish),
      APP_TEST(all_that_was_dispatched_is_answered),
      APP_TEST(unsafe_requests_that_wait_are_answered),
      APP_TEST(a_burst_that_comes_in_the_window_is_answered),
      APP_TEST(what_the_system_still_holds_is_answered_in_the_window),
      APP_TEST(after_the_window_nothing_more_is_read_of_a_busy_connection),
      APP_TEST(an_answer_that_began_before_ends_the_connection_after_the_window),
      APP_TEST(an_unread_body_ends_with_the_window),
      APP_TEST(stop_within_a_batch),
      APP_TEST(no_connection_is_accepted_after_stop_listening),
      APP_TEST(who_waits_in_the_queue_is_served),
      APP_TEST(the_port_is_free_while_connections_drain),
      cmocka_unit_test(who_waits_at_a_unix_socket_is_served),
      APP_TEST(who_waits_for_a_descriptor_is_served),
      APP_TEST(a_listener_is_closed_in_any_case),
      APP_TEST(server_abort_resets_all),
      cmocka_unit_test(destroy_with_everything_in_flight),
      cmocka_unit_test(destroy_at_once),
  };
  return cmocka_run_group_tests_name("server stop", tests, NULL, NULL);
}
