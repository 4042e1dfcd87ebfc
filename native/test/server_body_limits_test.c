/* Trailers of both directions, and how much body is taken: limits that the application may change. */
#include <stdlib.h>
#include <string.h>

#include "support_clock.h"
#include "support_client.h"

#define H "Host: h\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"

static app *limited(int64_t most) {
  wh_limits limits;
  wh_limits_init(&limits);
  limits.max_request_body_size = most;
  return app_new(NULL, &limits);
}

/* What has come and was not taken, as a text. */
static char *wire_of(const client *c) {
  char *text = malloc(client_waiting(c) + 1);
  assert_non_null(text);
  memcpy(text, c->in + c->taken, client_waiting(c));
  text[client_waiting(c)] = '\0';
  return text;
}

/* --- trailers --- */

static void hands_trailers_over_before_the_end(void **state) {
  app *a = *state;
  client *c = client_open(a);
  static const char text[] = CHUNKED "3\r\nabc\r\n0\r\nX: y\r\nZ:\xc3\xa9 \r\n\r\n";
  client_text(c, text);
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  RUN_UNTIL(a, r->body_complete);
  assert_string_equal((char *)r->body, "abc");
  assert_string_equal(r->trailers, "X: y\r\nZ:\xc3\xa9 \r\n");
  app_respond_text(r, "ok");
  client_expect(c, 200, "ok");
}

static void takes_trailers_cut_anywhere(void **state) {
  app *a = *state;
  static const char head[] = CHUNKED "3\r\nabc\r\n0\r\n";
  static const char section[] = "X: \xf0\x9f\xa6\x85\r\nY-Long: \xc3\xa9\xe2\x82\xac z\r\n";
  client *c = client_open(a);
  for (size_t cut = 1; cut < sizeof section; cut++) {
    client_text(c, head);
    RUN_UNTIL_REQUESTS(a, cut);
    app_request *r = app_request_at(a, cut - 1);
    app_read(r, 1);
    client_send(c, section, cut);
    app_quiet(a);
    client_send(c, section + cut, sizeof section - 1 - cut);
    client_text(c, "\r\n");
    RUN_UNTIL(a, r->body_complete);
    assert_string_equal(r->trailers, section);
    app_respond_text(r, "ok");
    client_expect(c, 200, "ok");
  }
}

static void refuses_trailers_that_are_no_utf8(void **state) {
  app *a = *state;
  static const char *const bad[] = {
      "X: \x80\r\n",         "X: \xc3\r\n",     "X: \xc3(\r\n",           "X: \xe2\x82\r\n",
      "X: \xed\xa0\x80\r\n", "X: \xc0\xaf\r\n", "X: \xf5\x80\x80\x80\r\n"};
  for (size_t i = 0; i < COUNT(bad); i++) {
    client *c = client_open(a);
    client_text(c, CHUNKED "0\r\n");
    client_text(c, bad[i]);
    client_text(c, "\r\n");
    client_expect_refusal(c, 400);
    app_release(app_request_at(a, i));
    client_close(c);
  }
}

static void sends_trailers_behind_chunks(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  app_start(r, 200, 0, NULL, -1);
  app_write(r, 0, BYTES("abc"));
  app_trailers(r, WH_COMMAND_FLAG_RELEASE, "X: y\r\n");
  app_quiet(a);
  char *wire = wire_of(c);
  assert_non_null(strstr(wire, "\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"));
  free(wire);
}

static void drops_trailers_for_which_there_is_no_place(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 1);
  app_start(app_request_at(a, 0), 200, 0, NULL, 3);
  app_write(app_request_at(a, 0), 0, BYTES("abc"));
  app_trailers(app_request_at(a, 0), WH_COMMAND_FLAG_RELEASE, "X: y\r\n");
  client_expect(c, 200, "abc");
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 2);
  app_trailers(app_request_at(a, 1), 0, "X: y\r\n"); /* before the start: no order at all */
  client_expect_nothing(c);
  app_respond_text(app_request_at(a, 1), "x");
  client_expect(c, 200, "x");
}

/* --- limits --- */

static void holds_what_exceeds_the_limit_until_it_is_read(void **state) {
  (void)state;
  app *a = limited(10);
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\nabcdefghijk");
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  app_quiet(a);
  assert_int_equal(r->body_length, 0);
  app_limit_body(r, 11);
  app_read(r, 1);
  RUN_UNTIL(a, r->body_complete);
  assert_string_equal((char *)r->body, "abcdefghijk");
  app_respond_text(r, "all");
  client_expect(c, 200, "all");
  client_text(c, CHUNKED "6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 2);
  r = app_request_at(a, 1);
  app_quiet(a);
  assert_string_equal((char *)r->body, "abcdef");
  app_limit_body(r, -1);
  app_read(r, 1);
  RUN_UNTIL(a, r->body_complete);
  assert_string_equal((char *)r->body, "abcdefghijk");
  app_respond_text(r, "all");
  client_expect(c, 200, "all");
  app_free(a);
}

static void refuses_at_the_first_read(void **state) {
  (void)state;
  app *a = limited(10);
  static const char *const requests[] = {
      "POST / HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\n",
      "POST / HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\nabcdefghijk",
      CHUNKED "6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n",
      CHUNKED "b\r\n",
  };
  for (uint32_t i = 0; i < COUNT(requests); i++) {
    client *c = client_open(a);
    client_text(c, requests[i]);
    RUN_UNTIL_REQUESTS(a, i + 1);
    app_request *r = app_request_at(a, i);
    client_expect_nothing(c);
    app_read(r, 1);
    app_respond(r, 200, 0, NULL, BYTES("all is well")); /* too late */
    client_expect_refusal(c, 413);
    assert_int_equal(r->aborted_status, 413);
    app_release(r);
    client_close(c);
  }
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
  app_free(a);
}

static void an_answer_without_a_read_ends_the_connection(void **state) {
  (void)state;
  app *a = limited(10);
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\nabcdefghijkGET / HTTP/1.1\r\n" H
                 "\r\n");
  RUN_UNTIL_REQUESTS(a, 1);
  app_respond_text(app_request_at(a, 0), "mine");
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.status, 200);
  assert_true(answer.close);
  client_answer_free(&answer);
  client_expect_end(c);
  assert_int_equal(c->reset, 0);
  assert_int_equal(a->request_count, 1);
  app_free(a);
}

/* A lower limit of the application's holds for what has come already. */
static void refuses_what_came_before_the_limit(void **state) {
  app *a = *state;
  static const char *const requests[] = {
      "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc",
      CHUNKED "3\r\nabc\r\n0\r\n\r\n",
      CHUNKED "3\r\nabc\r\n",
      "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nab",
  };
  for (uint32_t i = 0; i < COUNT(requests); i++) {
    client *c = client_open(a);
    client_text(c, requests[i]);
    RUN_UNTIL_REQUESTS(a, i + 1);
    app_request *r = app_request_at(a, i);
    app_quiet(a);
    app_limit_body(r, 2);
    app_respond(r, 200, WH_COMMAND_FLAG_RELEASE, NULL, BYTES("all is well"));
    client_expect_refusal(c, 413);
    client_close(c);
  }
}

/* Commands that make no sense change nothing. */
static void a_limit_after_the_first_read_is_none(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 6\r\n\r\nabc");
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  app_read(r, 1);
  app_limit_body(r, 0);
  client_text(c, "def");
  RUN_UNTIL(a, r->body_complete);
  assert_string_equal((char *)r->body, "abcdef");
  app_respond_text(r, "ok");
  client_expect(c, 200, "ok");
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 2);
  app_limit_body(app_request_at(a, 1), 0); /* it has none */
  app_read(app_request_at(a, 1), 1);
  app_respond_text(app_request_at(a, 1), "ok");
  client_expect(c, 200, "ok");
}

static void a_client_that_goes_frees_what_is_held(void **state) {
  (void)state;
  app *a = limited(10);
  client *c = client_open(a);
  client_text(c, CHUNKED "6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  client_reset(c);
  app_read(r, 1);
  RUN_UNTIL(a, r->aborted);
  app_release(r);
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
  app_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(hands_trailers_over_before_the_end),
      APP_TEST(takes_trailers_cut_anywhere),
      APP_TEST(refuses_trailers_that_are_no_utf8),
      APP_TEST(sends_trailers_behind_chunks),
      APP_TEST(drops_trailers_for_which_there_is_no_place),
      cmocka_unit_test(holds_what_exceeds_the_limit_until_it_is_read),
      cmocka_unit_test(refuses_at_the_first_read),
      cmocka_unit_test(an_answer_without_a_read_ends_the_connection),
      APP_TEST(refuses_what_came_before_the_limit),
      APP_TEST(a_limit_after_the_first_read_is_none),
      cmocka_unit_test(a_client_that_goes_frees_what_is_held),
  };
  return cmocka_run_group_tests_name("server body limits", tests, NULL, NULL);
}
