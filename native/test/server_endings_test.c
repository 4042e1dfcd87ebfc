/* How connections end: clients that end their side or vanish, applications that want an end. */
#include <stdio.h>

#include "support_clock.h"
#include "support_client.h"

#define H "Host: h\r\n"
#define RELEASE WH_COMMAND_FLAG_RELEASE

static app_request *get(app *a, client *c) {
  size_t number = a->request_count;
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

/* --- a client that ends its side, and waits for the answer --- */

static void a_half_closed_client_gets_its_answer(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  client_get(c, "/now");
  client_half_close(c);
  client_expect(c, 200, "GET /now");
  client_expect_end(c);
  assert_int_equal(c->reset, 0);
  a->on_request = NULL;
  c = client_open(a);
  app_request *r = get(a, c);
  client_half_close(c);
  client_expect_nothing(c);
  assert_int_equal(r->aborted, 0);
  app_respond_text(r, "late");
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
}

static void a_half_closed_client_gets_a_stream(void **state) {
  app *a = *state;
  for (int started = 0; started < 2; started++) {
    for (int post = 0; post < 2; post++) {
      client *c = client_open(a);
      size_t number = a->request_count;
      client_text(c, post ? "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab"
                          : "GET / HTTP/1.1\r\n" H "\r\n");
      RUN_UNTIL_REQUESTS(a, number + 1);
      app_request *r = app_request_at(a, number);
      if (started) app_start(r, 200, 0, NULL, -1);
      app_quiet(a);
      client_half_close(c);
      app_quiet(a);
      assert_int_equal(c->ended, 0);
      if (!started) app_start(r, 200, 0, NULL, -1);
      app_write(r, 0, BYTES("one "));
      app_quiet(a);
      app_write(r, 0, BYTES("two"));
      app_end(r, RELEASE);
      client_expect(c, 200, "one two");
      /* Nothing more can come: the connection ends now, not when it has been idle for long. */
      client_expect_end(c);
    }
  }
}

static void a_half_closed_client_gets_all_pipelined_answers(void **state) {
  app *a = *state;
  for (int order = 0; order < 3; order++) {
    client *c = client_open(a);
    size_t number = a->request_count;
    for (int i = 0; i < 3; i++) client_get(c, "/");
    RUN_UNTIL_REQUESTS(a, number + 3);
    client_half_close(c);
    app_quiet(a);
    for (size_t i = 0; i < 3; i++) {
      size_t n = order == 0 ? i : order == 1 ? 2 - i : (i + 1) % 3;
      app_request *r = app_request_at(a, number + n);
      char text[8];
      snprintf(text, sizeof text, "%zu", n);
      app_respond_text(r, text);
      app_quiet(a);
    }
    client_expect(c, 200, "0");
    client_expect(c, 200, "1");
    client_answer last = client_take(c, 0);
    assert_string_equal((char *)last.body, "2");
    assert_int_equal(last.close, 1);
    client_answer_free(&last);
    client_expect_end(c);
  }
}

static void a_half_closed_client_gets_what_waited(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "GET /0 HTTP/1.1\r\n" H "\r\n"
                 "POST /1 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab"
                 "GET /2 HTTP/1.1\r\n" H "\r\n"
                 "DELETE /3 HTTP/1.1\r\n" H "\r\n");
  client_half_close(c);
  for (size_t i = 0; i < 4; i++) {
    char text[8];
    snprintf(text, sizeof text, "%zu", i);
    RUN_UNTIL_REQUESTS(a, i + 1);
    app_quiet(a);
    assert_int_equal(a->request_count, i + 1);
    app_respond_text(app_request_at(a, i), text);
    client_expect(c, 200, text);
  }
  client_expect_end(c);
}

/* Much more than the server reads at once, and the client's end right behind it. */
static void a_half_closed_client_gets_answers_to_much_that_waited(void **state) {
  app *a = *state;
  for (int half_close = 0; half_close < 2; half_close++) {
    client *c = client_open(a);
    size_t first = a->request_count, count = 400;
    a->on_request = NULL;
    uint8_t *body = pattern_bytes(1000);
    client_get(c, "/0");
    if (half_close == 1) RUN_UNTIL_REQUESTS(a, first + 1);
    for (size_t i = 0; i < count; i++) {
      client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 1000\r\n\r\n");
      client_send(c, body, 1000);
    }
    if (half_close) client_half_close(c);
    RUN_UNTIL_REQUESTS(a, first + 1);
    app_quiet(a);
    assert_int_equal(a->request_count, first + 1);
    a->on_request = a->on_body = app_echo;
    app_respond_text(app_request_at(a, first), "0");
    client_expect(c, 200, "0");
    for (size_t i = 0; i < count; i++) client_expect(c, 200, (char *)body);
    if (half_close) client_expect_end(c);
    free(body);
  }
}

static void a_half_closed_client_gets_the_refusal_of_what_followed(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "GET /0 HTTP/1.1\r\n" H "\r\nGET /1 HTTP/1.1\r\n" H "\r\nBAD\r\n");
  client_half_close(c);
  RUN_UNTIL_REQUESTS(a, 2);
  app_quiet(a);
  app_respond_text(app_request_at(a, 0), "0");
  app_quiet(a);
  app_respond_text(app_request_at(a, 1), "1");
  client_expect(c, 200, "0");
  client_expect(c, 200, "1");
  client_expect_refusal(c, 400);
}

static void an_incomplete_request_ends_with_its_client(void **state) {
  app *a = *state;
  static const char *const texts[] = {"", "\r\n", "G", "GET / HTTP/1.1\r\n",
                                      "GET / HTTP/1.1\r\nHost: h\r\n"};
  for (size_t i = 0; i < COUNT(texts); i++) {
    client *c = client_open(a);
    client_text(c, texts[i]);
    app_quiet(a);
    client_half_close(c);
    client_expect_end(c);
    assert_int_equal(c->reset, 0);
  }
  assert_int_equal(a->request_count, 0);
  RUN_UNTIL(a, app_connections(a) == 0);
}

static void an_incomplete_body_aborts_its_request(void **state) {
  app *a = *state;
  for (int chunked = 0; chunked < 2; chunked++) {
    client *c = client_open(a);
    size_t number = a->request_count;
    client_text(c, chunked ? "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nab"
                           : "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
    RUN_UNTIL_REQUESTS(a, number + 1);
    app_request *r = app_request_at(a, number);
    app_read(r, 1);
    client_half_close(c);
    RUN_UNTIL(a, r->aborted);
    assert_int_equal(r->aborted_status, 0);
    assert_int_equal(r->body_length, 2);
    client_expect_end(c);
    app_respond_text(r, "nobody hears");
    app_quiet(a);
    assert_int_equal(app_in_use(a), 0);
  }
}

/* --- a client that vanishes --- */

static void a_reset_aborts_what_runs_once(void **state) {
  app *a = *state;
  client *c = client_open(a);
  for (int i = 0; i < 5; i++) client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 5);
  app_respond(app_request_at(a, 0), 200, 0, NULL, BYTES("0")); /* over, not released */
  app_respond(app_request_at(a, 2), 200, 0, NULL, BYTES("2"));
  app_respond_text(app_request_at(a, 3), "3"); /* waits, released */
  app_start(app_request_at(a, 4), 200, 0, NULL, -1);
  client_expect(c, 200, "0");
  client_reset(c);
  RUN_UNTIL(a, app_request_at(a, 1)->aborted);
  app_quiet(a);
  assert_int_equal(app_request_at(a, 0)->aborted, 0); /* its answer is out */
  assert_int_equal(app_request_at(a, 2)->aborted, 1);
  assert_int_equal(app_request_at(a, 4)->aborted, 1);
  assert_int_equal(app_connections(a), 0);
  assert_int_equal(app_in_use(a), 4);
  /* What they still order does no harm. */
  app_request *r = app_request_at(a, 1);
  app_read(r, 1);
  app_inform(r, 103, "Link: <a>\r\n");
  app_start(r, 200, WH_COMMAND_FLAG_NOTIFY, NULL, -1);
  app_write(r, WH_COMMAND_FLAG_NOTIFY, BYTES("x"));
  app_end(r, WH_COMMAND_FLAG_WANT_ENDED);
  app_abort(r);
  app_quiet(a);
  wh_address peer, local;
  assert_int_equal(wh_server_exchange_addresses(a->server, r->slot, r->generation, &peer, &local),
                   WH_ERR_CLOSED);
  for (size_t i = 0; i < 5; i++) {
    if (app_request_at(a, i)->open) app_release(app_request_at(a, i));
  }
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
}

static void a_reset_in_the_middle_of_a_body_aborts(void **state) {
  app *a = *state;
  for (int reading = 0; reading < 2; reading++) {
    client *c = client_open(a);
    size_t number = a->request_count;
    client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nab");
    RUN_UNTIL_REQUESTS(a, number + 1);
    app_request *r = app_request_at(a, number);
    if (reading) app_read(r, 1);
    app_quiet(a);
    client_reset(c);
    RUN_UNTIL(a, r->aborted);
    RUN_UNTIL(a, app_connections(a) == 0);
    app_release(r);
    app_quiet(a);
    assert_int_equal(app_in_use(a), 0);
  }
}

static void a_reset_after_a_half_close_aborts(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  client_half_close(c);
  app_quiet(a);
  assert_int_equal(r->aborted, 0);
  client_reset(c);
  RUN_UNTIL(a, r->aborted);
}

static void a_client_may_vanish_before_its_request_is_dispatched(void **state) {
  app *a = *state;
  for (int i = 0; i < 50; i++) {
    client *c = client_open(a);
    client_get(c, "/");
    if (i % 2)
      client_reset(c);
    else
      client_close(c);
  }
  app_quiet(a);
  for (size_t i = 0; i < a->request_count; i++) {
    app_request *r = app_request_at(a, i);
    app_respond_text(r, "nobody hears");
  }
  RUN_UNTIL(a, app_connections(a) == 0);
  assert_int_equal(app_in_use(a), 0);
}

static void a_client_may_vanish_while_requests_wait(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "GET /0 HTTP/1.1\r\n" H "\r\nPOST /1 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab"
                 "GET /2 HTTP/1.1\r\n" H "\r\nGET /3 HT");
  RUN_UNTIL_REQUESTS(a, 1);
  client_reset(c);
  RUN_UNTIL(a, app_request_at(a, 0)->aborted);
  app_quiet(a);
  assert_int_equal(app_in_use(a), 1);
  assert_int_equal(a->request_count, 1);
}

/* --- an application that wants an end --- */

static void abort_resets_the_connection(void **state) {
  app *a = *state;
  client *c = client_open(a);
  for (int i = 0; i < 3; i++) client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 3);
  app_abort(app_request_at(a, 1));
  RUN_UNTIL(a, c->ended);
  assert_int_equal(c->reset, 1);
  app_quiet(a);
  assert_int_equal(app_request_at(a, 0)->aborted, 1);
  assert_int_equal(app_request_at(a, 1)->aborted, 0); /* it knows */
  assert_int_equal(app_request_at(a, 2)->aborted, 1);
}

/* --- no answer follows one that says close --- */

static void nothing_follows_an_answer_that_closes(void **state) {
  app *a = *state;
  for (int way = 0; way < 3; way++) {
    client *c = client_open(a);
    size_t number = a->request_count;
    for (int i = 0; i < 3; i++) client_get(c, "/");
    RUN_UNTIL_REQUESTS(a, number + 3);
    app_request *r0 = app_request_at(a, number), *r1 = app_request_at(a, number + 1),
                *r2 = app_request_at(a, number + 2);
    if (way == 1)
      app_respond_pinned(r1, RELEASE, app_pin_bytes(a, NULL, 20000)); /* before its turn */
    app_respond(r0, 200, RELEASE | WH_COMMAND_FLAG_CLOSE, NULL, BYTES("0"));
    if (way == 0)
      app_respond_pinned(r1, RELEASE, app_pin_bytes(a, NULL, 20000)); /* in the same turn */
    if (way == 2) app_quiet(a);
    if (way == 2) app_respond_text(r1, "1"); /* later */
    app_start(r2, 200, 0, NULL, -1);
    app_write(r2, 0, BYTES("2"));
    client_expect_line(c, 200, "Connection: close");
    client_expect_end(c);
    client_close(c);
    RUN_UNTIL(a, r2->aborted);
    app_end(r2, RELEASE);
    app_quiet(a);
    assert_int_equal(app_in_use(a), 0);
    assert_int_equal(app_pins_held(a), 0);
  }
}

/* --- large answers at the end of a connection --- */

static void a_last_answer_may_take_its_time(void **state) {
  app *a = *state;
  for (int way = 0; way < 3; way++) {
    client *c = client_open(a);
    size_t number = a->request_count;
    client_text(c, way == 0   ? "GET / HTTP/1.0\r\n\r\n"
                   : way == 1 ? "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n"
                              : "POST / HTTP/1.1\r\n" H
                                "Connection: close\r\nContent-Length: 9\r\n\r\n");
    RUN_UNTIL_REQUESTS(a, number + 1);
    c->deaf = 1;
    app_respond_pinned(app_request_at(a, number), RELEASE, app_pin_bytes(a, NULL, 8000000));
    app_quiet(a);
    for (int i = 0; i < 4; i++) {
      clock_advance(1200); /* a slow line, not a dead one */
      app_quiet(a);
    }
    c->deaf = 0;
    client_answer answer = client_take(c, 0);
    assert_int_equal(answer.length, 8000000);
    client_answer_free(&answer);
    client_expect_end(c);
    assert_int_equal(c->reset, 0);
    client_close(c);
    RUN_UNTIL(a, app_connections(a) == 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(a_half_closed_client_gets_its_answer),
      APP_TEST(a_half_closed_client_gets_a_stream),
      APP_TEST(a_half_closed_client_gets_all_pipelined_answers),
      APP_TEST(a_half_closed_client_gets_what_waited),
      APP_TEST(a_half_closed_client_gets_answers_to_much_that_waited),
      APP_TEST(a_half_closed_client_gets_the_refusal_of_what_followed),
      APP_TEST(an_incomplete_request_ends_with_its_client),
      APP_TEST(an_incomplete_body_aborts_its_request),
      APP_TEST(a_reset_aborts_what_runs_once),
      APP_TEST(a_reset_in_the_middle_of_a_body_aborts),
      APP_TEST(a_reset_after_a_half_close_aborts),
      APP_TEST(a_client_may_vanish_before_its_request_is_dispatched),
      APP_TEST(a_client_may_vanish_while_requests_wait),
      APP_TEST(abort_resets_the_connection),
      APP_TEST(nothing_follows_an_answer_that_closes),
      APP_TEST(a_last_answer_may_take_its_time),
  };
  return cmocka_run_group_tests_name("server endings", tests, NULL, NULL);
}
