/* A server that stops: idle connections end at once, others with the answer that they wait for. */
#include "support_client.h"

#define H "Host: h\r\n"
#define RELEASE WH_COMMAND_FLAG_RELEASE

static app_request *get(app *a, client *c) {
  size_t number = a->request_count;
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static void stop_closes_idle_connections(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *fresh = client_open(a), *used = client_open(a);
  client_get(used, "/");
  client_expect(used, 200, NULL);
  app_quiet(a);
  wh_server_stop_listening(a->server);
  wh_server_stop(a->server);
  wh_server_stop(a->server);
  client_expect_end(fresh);
  client_expect_end(used);
  assert_int_equal(app_connections(a), 0);
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
  wh_server_stop_listening(a->server);
  wh_server_stop(a->server);
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
  assert_int_equal(app_connections(a), 0);
}

static void stop_answers_all_that_was_dispatched(void **state) {
  app *a = *state;
  client *c = client_open(a);
  for (int i = 0; i < 3; i++) client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 3);
  wh_server_stop_listening(a->server);
  wh_server_stop(a->server);
  for (size_t i = 0; i < 3; i++) {
    app_respond_text(app_request_at(a, i), "x");
    client_answer answer = client_take(c, 0);
    assert_int_equal(answer.close, i == 2);
    client_answer_free(&answer);
  }
  client_expect_end(c);
}

static void stop_waits_for_a_head_on_its_way(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a), *drain = client_open(a);
  client_text(c, "GET /late HTTP/1.1\r\nHo");
  client_text(drain, "POST /drain HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
  client_expect(drain, 200, "POST /drain");
  app_quiet(a);
  wh_server_stop_listening(a->server);
  wh_server_stop(a->server);
  client_expect_nothing(c);
  client_text(c, "st: h\r\n\r\n");
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
  client_text(drain, "cde");
  client_expect_end(drain);
}

static void stop_in_handler(app *a, app_request *r) {
  wh_server_stop_listening(a->server);
  wh_server_stop(a->server);
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

static void no_connection_is_accepted_after_stop_listening(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  client_get(c, "/1");
  client_expect(c, 200, NULL);
  wh_server_stop_listening(a->server);
  wh_server_stop_listening(a->server);
  client_get(c, "/2"); /* those that are there go on */
  client_expect(c, 200, "GET /2");
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_ERR_STATE);
  char url[100];
  assert_int_equal(wh_server_url(a->server, 0, url, sizeof url), 0);
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
      APP_TEST(stop_closes_idle_connections),
      APP_TEST(stop_lets_what_runs_finish),
      APP_TEST(stop_answers_all_that_was_dispatched),
      APP_TEST(stop_waits_for_a_head_on_its_way),
      APP_TEST(stop_within_a_batch),
      APP_TEST(no_connection_is_accepted_after_stop_listening),
      APP_TEST(server_abort_resets_all),
      cmocka_unit_test(destroy_with_everything_in_flight),
      cmocka_unit_test(destroy_at_once),
  };
  return cmocka_run_group_tests_name("server stop", tests, NULL, NULL);
}
