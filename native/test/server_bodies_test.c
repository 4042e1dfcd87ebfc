/* Bodies of requests: with a length and chunked, wanted and unwanted, in time and late. */
#include <stdio.h>

#include "support_clock.h"
#include "support_client.h"

#define H "Host: h\r\n"
#define DRAIN_LIMIT (1024U * 1024) /* as in http/http1.c */

static void send_length(client *c, const char *fields, const void *body, size_t length) {
  char head[400];
  int n = snprintf(head, sizeof head, "POST /p HTTP/1.1\r\n" H "%sContent-Length: %zu\r\n\r\n",
                   fields, length);
  client_send(c, head, (size_t)n);
  if (body != NULL) client_send(c, body, length);
}

/* As chunks of so many bytes. */
static void send_chunked(client *c, const uint8_t *body, size_t length, size_t piece) {
  client_text(c, "POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
  for (size_t at = 0; at < length; at += piece) {
    size_t n = length - at < piece ? length - at : piece;
    char line[40];
    client_send(c, line, (size_t)sprintf(line, "%zx\r\n", n));
    client_send(c, body + at, n);
    client_text(c, "\r\n");
  }
  client_text(c, "0\r\n\r\n");
}

static void expect_body(client *c, const uint8_t *body, size_t length) {
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.status, 200);
  assert_int_equal(answer.length, length);
  assert_memory_equal(answer.body, body, length);
  client_answer_free(&answer);
}

static void hands_a_small_body_over_with_the_head(void **state) {
  app *a = *state;
  client *c = client_open(a);
  send_length(c, "", "hello", 5);
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  assert_int_equal(a->events, 1);
  assert_int_equal(r->flags, WH_REQUEST_FLAG_KEEP_ALIVE | WH_REQUEST_FLAG_HAS_BODY |
                                 WH_REQUEST_FLAG_BODY_COMPLETE);
  assert_string_equal((char *)r->body, "hello");
  app_respond_text(r, "thanks");
  client_expect(c, 200, "thanks");
}

static void an_empty_body_is_none(void **state) {
  app *a = *state;
  a->on_request = a->on_body = app_echo;
  client *c = client_open(a);
  send_length(c, "", NULL, 0);
  client_expect(c, 200, "");
  assert_int_equal(app_request_at(a, 0)->flags, WH_REQUEST_FLAG_KEEP_ALIVE);
  client_text(c, "POST / HTTP/1.1\r\n" H "\r\n");
  client_expect(c, 200, "");
  client_text(c, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  client_expect(c, 200, "");
  assert_int_equal(app_request_at(a, 2)->flags,
                   WH_REQUEST_FLAG_KEEP_ALIVE | WH_REQUEST_FLAG_HAS_BODY | WH_REQUEST_FLAG_CHUNKED);
}

static void reads_bodies_of_every_size(void **state) {
  app *a = *state;
  a->on_request = a->on_body = app_echo;
  client *c = client_open(a);
  static const size_t sizes[] = {1,     2,     100,   4095,   16384, 16385,
                                 65535, 65536, 65537, 100000, 200000};
  for (size_t i = 0; i < COUNT(sizes); i++) {
    uint8_t *body = pattern_bytes(sizes[i]);
    send_length(c, "", body, sizes[i]);
    send_chunked(c, body, sizes[i], sizes[i]);
    send_chunked(c, body, sizes[i], 1000);
    if (sizes[i] < 20000) send_chunked(c, body, sizes[i], 3);
    for (int n = 0; n < (sizes[i] < 20000 ? 4 : 3); n++) expect_body(c, body, sizes[i]);
    free(body);
  }
}

static void reads_a_body_byte_by_byte(void **state) {
  app *a = *state;
  a->on_request = a->on_body = app_echo;
  client *c = client_open(a);
  static const char text[] = "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"
                             "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                             "3;a=\"b\"\r\nabc\r\n00a\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
  for (size_t i = 0; i < sizeof text - 1; i++) {
    client_send(c, text + i, 1);
    while (app_step(a, 0)) {
    }
  }
  client_expect(c, 200, "hello");
  client_expect(c, 200, "abc0123456789");
}

static void reads_no_more_than_what_is_wanted(void **state) {
  app *a = *state;
  client *c = client_open(a);
  size_t size = 8000000;
  uint8_t *body = pattern_bytes(size);
  send_length(c, "", body, size);
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  app_quiet(a);
  assert_true(r->body_length <= 65536); /* what came with the head, at most */
  assert_true(c->sent < c->out_length);
  app_read(r, 1);
  RUN_UNTIL(a, r->body_length > 500000);
  app_read(r, 0);
  app_quiet(a);
  size_t paused = r->body_length;
  assert_true(paused < size && !r->body_complete);
  app_quiet(a);
  assert_int_equal(r->body_length, paused);
  app_read(r, 1);
  RUN_UNTIL(a, r->body_complete);
  assert_int_equal(r->body_length, size);
  assert_memory_equal(r->body, body, size);
  app_respond_text(r, "all");
  client_expect(c, 200, "all");
  free(body);
}

static void joins_the_chunks_of_one_read(void **state) {
  app *a = *state;
  a->on_request = a->on_body = app_echo;
  client *c = client_open(a);
  uint8_t *body = pattern_bytes(3000);
  send_chunked(c, body, 3000, 10);
  expect_body(c, body, 3000);
  assert_in_range(a->events, 1, 20); /* and not 300 */
  free(body);
}

static void keeps_bodies_of_many_connections_apart(void **state) {
  app *a = *state;
  a->on_request = a->on_body = app_echo;
  client *clients[60];
  uint8_t *body = pattern_bytes(30000);
  for (size_t i = 0; i < COUNT(clients); i++) {
    clients[i] = client_open(a);
    if (i % 2)
      send_chunked(clients[i], body + i, 20000 + i * 7, 500);
    else
      send_length(clients[i], "", body + i, 20000 + i * 7);
  }
  for (size_t i = 0; i < COUNT(clients); i++) expect_body(clients[i], body + i, 20000 + i * 7);
  free(body);
}

/* --- bodies that nobody reads --- */

static void drains_what_nobody_reads(void **state) {
  app *a = *state;
  client *c = client_open(a);
  size_t size = 900000;
  uint8_t *body = pattern_bytes(size);
  for (int chunked = 0; chunked < 2; chunked++) {
    size_t number = a->request_count;
    if (chunked)
      send_chunked(c, body, size, 10000);
    else
      send_length(c, "", body, size);
    RUN_UNTIL_REQUESTS(a, number + 1);
    app_respond_text(app_request_at(a, number), "no thanks");
    client_expect(c, 200, "no thanks");
    client_get(c, "/next");
    RUN_UNTIL_REQUESTS(a, number + 2);
    assert_string_equal(app_request_at(a, number + 1)->target, "/next");
    app_respond_text(app_request_at(a, number + 1), "next");
    client_expect(c, 200, "next");
  }
  free(body);
}

static void drains_what_is_left_when_the_answer_is_early(void **state) {
  app *a = *state;
  client *c = client_open(a);
  uint8_t *body = pattern_bytes(300000);
  send_length(c, "", body, 300000);
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  app_read(r, 1);
  RUN_UNTIL(a, r->body_length > 100000);
  app_respond_text(r, "enough");
  client_expect(c, 200, "enough");
  a->on_request = app_answer_target;
  client_get(c, "/next");
  client_expect(c, 200, "GET /next");
  free(body);
}

static void ends_a_connection_that_has_too_much_to_drain(void **state) {
  app *a = *state;
  client *c = client_open(a);
  size_t size = DRAIN_LIMIT * 8;
  uint8_t *body = pattern_bytes(size);
  send_length(c, "", body, size);
  RUN_UNTIL_REQUESTS(a, 1);
  app_respond_text(app_request_at(a, 0), "no thanks");
  client_expect(c, 200, "no thanks");
  RUN_UNTIL(a, c->ended);
  assert_int_equal(c->reset, 0);
  free(body);
}

static void answers_are_readable_though_the_body_is_unread_and_the_connection_ends(void **state) {
  app *a = *state;
  uint8_t *body = pattern_bytes(3000000);
  for (int round = 0; round < 20; round++) {
    client *c = client_open(a);
    size_t number = a->request_count;
    send_length(c, "Connection: close\r\n", body, 3000000);
    RUN_UNTIL_REQUESTS(a, number + 1);
    app_respond_text(app_request_at(a, number), "no thanks");
    client_expect_line(c, 200, "Connection: close");
    RUN_UNTIL(a, c->ended);
    assert_int_equal(c->reset, 0);
    client_close(c);
  }
  free(body);
}

static void gives_up_draining_after_five_seconds(void **state) {
  app *a = *state;
  client *c = client_open(a);
  send_length(c, "", NULL, 1000);
  RUN_UNTIL_REQUESTS(a, 1);
  app_respond_text(app_request_at(a, 0), "no thanks");
  client_expect(c, 200, "no thanks");
  client_text(c, "some");
  client_expect_nothing(c);
  clock_advance(4900);
  client_expect_nothing(c);
  clock_advance(200);
  RUN_UNTIL(a, c->ended);
  RUN_UNTIL(a, app_connections(a) == 0);
}

static void draining_ends_in_time_for_the_next_request(void **state) {
  app *a = *state;
  client *c = client_open(a);
  send_length(c, "", NULL, 4);
  RUN_UNTIL_REQUESTS(a, 1);
  app_respond_text(app_request_at(a, 0), "no thanks");
  client_expect(c, 200, "no thanks");
  clock_advance(4000);
  client_text(c, "bodyGET /next HTTP/1.1\r\n" H "\r\n");
  RUN_UNTIL_REQUESTS(a, 2);
  clock_advance(4000); /* the time for draining is over, but so is draining */
  client_expect_nothing(c);
  app_respond_text(app_request_at(a, 1), "next");
  client_expect(c, 200, "next");
  clock_advance(100000);
  client_expect_nothing(c);
}

/* The client ends its side in the middle of a body that nobody wanted: the answer still counts. */
static void a_drained_client_that_half_closes_gets_the_answer(void **state) {
  app *a = *state;
  client *c = client_open(a);
  c->deaf = 1;
  send_length(c, "", "some", 4);
  client_close(c);
  c = client_open(a);
  c->deaf = 1;
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 1000\r\n\r\nsome");
  RUN_UNTIL_REQUESTS(a, 2);
  app_request *r = app_request_at(a, 1);
  uint8_t *large = pattern_bytes(8000000);
  uint32_t pin = app_pin_bytes(a, large, 8000000);
  app_respond_pinned(r, WH_COMMAND_FLAG_RELEASE, pin);
  app_quiet(a);
  client_half_close(c);
  app_quiet(a);
  c->deaf = 0;
  expect_body(c, large, 8000000);
  client_expect_end(c);
  free(large);
}

/* --- 100 Continue --- */

static void says_continue_when_the_body_is_wanted(void **state) {
  app *a = *state;
  client *c = client_open(a);
  send_length(c, "Expect: 100-Continue\r\n", NULL, 5);
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  assert_true(r->flags & WH_REQUEST_FLAG_EXPECT_CONTINUE);
  client_expect_nothing(c);
  app_read(r, 1);
  client_expect(c, 100, NULL);
  app_read(r, 0);
  app_read(r, 1);
  client_expect_nothing(c);
  client_text(c, "hello");
  RUN_UNTIL(a, r->body_complete);
  app_respond_text(r, "got it");
  client_expect(c, 200, "got it");
}

static void says_no_continue_to_those_who_did_not_wait(void **state) {
  app *a = *state;
  a->on_request = a->on_body = app_echo;
  client *c = client_open(a);
  send_length(c, "Expect: 100-continue\r\n", "hello", 5);
  client_expect(c, 200, "hello");
  /* The body comes before it is asked for, but not with the head. */
  a->on_request = NULL;
  client_text(c, "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhel");
  RUN_UNTIL(a, a->request_count == 2 && app_request_at(a, 1)->body_length == 3);
  app_read(app_request_at(a, 1), 1);
  client_expect_nothing(c);
  client_text(c, "lo");
  client_expect(c, 200, "hello");
  /* HTTP/1.0 knows nothing of it. */
  client_text(c, "POST / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: "
                 "100-continue\r\nContent-Length: 2\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 3);
  app_read(app_request_at(a, 2), 1);
  client_expect_nothing(c);
  client_text(c, "hi");
  client_expect(c, 200, "hi");
}

static void says_continue_once_earlier_answers_are_out(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/first");
  send_length(c, "Expect: 100-continue\r\n", NULL, 5);
  RUN_UNTIL_REQUESTS(a, 1);
  client_expect_nothing(c);
  app_respond_text(app_request_at(a, 0), "first");
  client_expect(c, 200, "first");
  RUN_UNTIL_REQUESTS(a, 2);
  app_read(app_request_at(a, 1), 1);
  client_expect(c, 100, NULL);
  client_text(c, "hello");
  RUN_UNTIL(a, app_request_at(a, 1)->body_complete);
  app_respond_text(app_request_at(a, 1), "second");
  client_expect(c, 200, "second");
}

/* Whether the client sends the body after all is anybody's guess: so the connection ends, and says so. */
static void ends_the_connection_when_a_waiting_client_gets_no_continue(void **state) {
  app *a = *state;
  for (int streamed = 0; streamed < 2; streamed++) {
    client *c = client_open(a);
    size_t number = a->request_count;
    send_length(c, "Expect: 100-continue\r\n", NULL, 5);
    RUN_UNTIL_REQUESTS(a, number + 1);
    app_request *r = app_request_at(a, number);
    if (streamed) {
      app_start(r, 401, 0, NULL, 3);
      app_write(r, 0, BYTES("who"));
      app_end(r, WH_COMMAND_FLAG_RELEASE);
    } else {
      app_respond(r, 401, WH_COMMAND_FLAG_RELEASE, NULL, BYTES("who"));
    }
    client_answer answer = client_take(c, 0);
    assert_int_equal(answer.status, 401);
    assert_int_equal(answer.close, 1);
    client_answer_free(&answer);
    client_text(c, "hello");
    client_expect_end(c);
    assert_int_equal(c->reset, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(hands_a_small_body_over_with_the_head),
      APP_TEST(an_empty_body_is_none),
      APP_TEST(reads_bodies_of_every_size),
      APP_TEST(reads_a_body_byte_by_byte),
      APP_TEST(reads_no_more_than_what_is_wanted),
      APP_TEST(joins_the_chunks_of_one_read),
      APP_TEST(keeps_bodies_of_many_connections_apart),
      APP_TEST(drains_what_nobody_reads),
      APP_TEST(drains_what_is_left_when_the_answer_is_early),
      APP_TEST(ends_a_connection_that_has_too_much_to_drain),
      APP_TEST(answers_are_readable_though_the_body_is_unread_and_the_connection_ends),
      APP_TEST(gives_up_draining_after_five_seconds),
      APP_TEST(draining_ends_in_time_for_the_next_request),
      APP_TEST(a_drained_client_that_half_closes_gets_the_answer),
      APP_TEST(says_continue_when_the_body_is_wanted),
      APP_TEST(says_no_continue_to_those_who_did_not_wait),
      APP_TEST(says_continue_once_earlier_answers_are_out),
      APP_TEST(ends_the_connection_when_a_waiting_client_gets_no_continue),
  };
  return cmocka_run_group_tests_name("server bodies", tests, NULL, NULL);
}
