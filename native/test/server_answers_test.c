/* Answers out: framing, methods and statuses without body, streams, HTTP/1.0, informational answers. */
#include <stdio.h>

#include "support_client.h"

#define H "Host: h\r\n"
#define RELEASE WH_COMMAND_FLAG_RELEASE

/* Sends a request and waits for it. */
static app_request *ask(app *a, client *c, const char *method, const char *version) {
  char text[200];
  size_t number = a->request_count;
  snprintf(text, sizeof text, "%s / %s\r\n" H "\r\n", method, version);
  client_text(c, text);
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static app_request *get(app *a, client *c) { return ask(a, c, "GET", "HTTP/1.1"); }

static void writes_the_head_of_an_answer(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_respond(get(a, c), 200, RELEASE | WH_CONTENT_TYPE_JSON << WH_COMMAND_FLAG_CONTENT_TYPE_SHIFT,
              "X-A: b\r\nX-C: d\r\n", BYTES("{}"));
  client_answer answer = client_take(c, 0);
  assert_memory_equal(answer.head, "HTTP/1.1 200 OK\r\n", 17);
  assert_true(client_answer_has(&answer, "X-A: b"));
  assert_true(client_answer_has(&answer, "X-C: d"));
  assert_true(client_answer_has(&answer, "Content-Type: application/json; charset=utf-8"));
  assert_true(client_answer_has(&answer, "Content-Length: 2"));
  assert_true(client_answer_has(&answer, "Server: windhover"));
  assert_false(answer.close);
  client_answer_free(&answer);
}

static void leaves_date_and_server_to_the_application(void **state) {
  app *a = *state;
  client *c = client_open(a);
  static const char date[] = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
  for (int i = 1; i < 4; i++) {
    char head[200];
    snprintf(head, sizeof head, "%s%s", i & 1 ? date : "", i & 2 ? "Server: mine\r\n" : "");
    app_respond(get(a, c), 200,
                RELEASE | (i & 1 ? WH_COMMAND_FLAG_HAS_DATE : 0U) |
                    (i & 2 ? WH_COMMAND_FLAG_HAS_SERVER : 0U),
                head, "x", 1);
    client_answer answer = client_take(c, 0); /* which checks that there is one Date */
    assert_int_equal(client_answer_has(&answer, "Date: Sun, 06 Nov 1994 08:49:37 GMT"), i & 1);
    assert_int_equal(client_answer_has(&answer, "Server: mine"), (i & 2) != 0);
    assert_int_equal(client_answer_has(&answer, "Server: windhover"), (i & 2) == 0);
    client_answer_free(&answer);
  }
}

static void writes_every_status(void **state) {
  app *a = *state;
  client *c = client_open(a);
  for (unsigned status = 200; status < 1000; status++) {
    app_respond(get(a, c), status, RELEASE, NULL, "x", 1);
    client_answer answer = client_take(c, 0);
    assert_int_equal(answer.status, status);
    int none = status == 204 || status == 205 || status == 304;
    assert_int_equal(answer.length, none ? 0 : 1);
    assert_int_equal(answer.has_length, status != 204 && status != 304);
    client_answer_free(&answer);
  }
}

static void writes_the_reason_of_the_application(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_respond(get(a, c), 299, RELEASE | WH_COMMAND_FLAG_HAS_REASON, "So So\r\nX: y\r\n", "x", 1);
  client_answer answer = client_take(c, 0);
  assert_memory_equal(answer.head, "HTTP/1.1 299 So So\r\nX: y\r\n", 26);
  client_answer_free(&answer);
}

static void sends_bodies_of_every_size(void **state) {
  app *a = *state;
  client *c = client_open(a);
  static const size_t sizes[] = {0, 1, 1000, 16383, 16384, 16385, 32768, 65536, 100000, 200000};
  for (size_t i = 0; i < COUNT(sizes); i++) {
    uint8_t *body = pattern_bytes(sizes[i]);
    app_respond(get(a, c), 200, RELEASE, NULL, body, sizes[i]);
    client_answer answer = client_take(c, 0);
    assert_int_equal(answer.length, sizes[i]);
    assert_memory_equal(answer.body, body, sizes[i]);
    client_answer_free(&answer);
    free(body);
  }
}

static void sends_heads_of_every_size(void **state) {
  app *a = *state;
  client *c = client_open(a);
  for (size_t size = 1; size < 200000; size = size * 3 + 7) {
    char *head = malloc(size + 10);
    memcpy(head, "X: ", 3);
    memset(head + 3, 'a', size);
    memcpy(head + 3 + size, "\r\n", 3);
    app_respond(get(a, c), 200, RELEASE, head, "x", 1);
    client_answer answer = client_take(c, 0);
    assert_non_null(strstr(answer.head, head));
    client_answer_free(&answer);
    free(head);
  }
}

static void head_gets_the_length_and_no_body(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_respond(ask(a, c, "HEAD", "HTTP/1.1"), 200, RELEASE, NULL, BYTES("hello"));
  client_expect_head(c, 200, 5);
  app_request *r = ask(a, c, "HEAD", "HTTP/1.1");
  app_start(r, 200, 0, NULL, 500);
  app_write(r, 0, BYTES("hello"));
  app_end(r, RELEASE);
  client_expect_head(c, 200, 500);
  r = ask(a, c, "HEAD", "HTTP/1.1");
  app_start(r, 200, 0, NULL, -1);
  app_write(r, 0, BYTES("hello"));
  app_end(r, RELEASE);
  client_expect_head(c, 200, -1);
  r = ask(a, c, "HEAD", "HTTP/1.1");
  app_respond_pinned(r, RELEASE, app_pin_bytes(a, NULL, 20000));
  client_expect_head(c, 200, 20000);
  r = ask(a, c, "HEAD", "HTTP/1.1");
  app_start(r, 200, 0, NULL, 20000);
  app_write_pinned(r, 0, app_pin_bytes(a, NULL, 20000));
  app_end(r, RELEASE);
  client_expect_head(c, 200, 20000);
  client_expect_nothing(c);
  assert_int_equal(app_pins_held(a), 0);
}

static void statuses_without_body_have_none(void **state) {
  app *a = *state;
  client *c = client_open(a);
  static const unsigned statuses[] = {204, 205, 304};
  for (size_t i = 0; i < COUNT(statuses); i++) {
    for (int way = 0; way < 5; way++) {
      app_request *r = get(a, c);
      if (way == 0) app_respond(r, statuses[i], RELEASE, NULL, BYTES("hello"));
      if (way == 1) {
        uint32_t pin = app_pin_bytes(a, NULL, 20000);
        app_command(a, WH_COMMAND_RESPOND, WH_COMMAND_FLAG_PINNED, r->slot, r->generation,
                    statuses[i], NULL, NULL, 0, 20000, pin);
        app_release(r);
      }
      if (way >= 2) {
        app_start(r, statuses[i], 0, NULL, way == 3 ? 5 : -1);
        if (way != 4) app_write(r, 0, BYTES("hello"));
        app_end(r, RELEASE);
      }
      client_answer answer = client_take(c, 0);
      assert_int_equal(answer.status, statuses[i]);
      /* 205 is read like any other answer (RFC 9112 section 6.3), so it must say that there is nothing. */
      int told = statuses[i] == 304 && way == 3; /* what a 200 would have */
      assert_int_equal(answer.has_length, statuses[i] == 205 || told);
      assert_int_equal(answer.content_length, told ? 5 : 0);
      assert_int_equal(answer.chunked, 0);
      client_answer_free(&answer);
      client_expect_nothing(c);
    }
  }
  assert_int_equal(app_pins_held(a), 0);
}

static void streams_with_a_length(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_start(r, 200, 0, "X: y\r\n", 10);
  app_quiet(a);
  assert_true(client_waiting(c) > 0); /* the head leaves at once */
  app_write(r, 0, BYTES("hello"));
  app_quiet(a);
  app_write(r, 0, "", 0);
  app_write(r, 0, BYTES("world"));
  app_end(r, RELEASE);
  client_answer answer = client_take(c, 0);
  assert_true(answer.has_length && !answer.chunked && !answer.close);
  assert_string_equal((char *)answer.body, "helloworld");
  client_answer_free(&answer);
  r = get(a, c);
  app_start(r, 200, 0, NULL, 0);
  app_end(r, RELEASE);
  client_expect(c, 200, "");
}

static void streams_in_chunks(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  uint8_t *large = pattern_bytes(100000);
  app_start(r, 200, 0, NULL, -1);
  app_write(r, 0, BYTES("a"));
  app_quiet(a);
  app_write(r, 0, "", 0); /* is no last chunk */
  app_write(r, 0, BYTES("0123456789abcdef"));
  app_write(r, 0, large, 100000);
  app_write_pinned(r, 0, app_pin_bytes(a, NULL, 70000));
  app_end(r, RELEASE);
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.chunked, 1);
  assert_int_equal(answer.length, 17 + 100000 + 70000);
  assert_memory_equal(answer.body, "a0123456789abcdef", 17);
  assert_memory_equal(answer.body + 17, large, 100000);
  assert_memory_equal(answer.body + 100017, large, 70000);
  client_answer_free(&answer);
  free(large);
  r = get(a, c);
  app_start(r, 200, 0, NULL, -1);
  app_end(r, RELEASE);
  client_expect(c, 200, "");
}

static void an_answer_with_too_few_bytes_is_cut(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_start(r, 200, 0, NULL, 10);
  app_write(r, 0, BYTES("short"));
  app_end(r, RELEASE);
  RUN_UNTIL(a, c->ended);
  assert_int_equal(client_has_answer(c, 0), 0);
}

static void an_answer_with_too_many_bytes_is_cut(void **state) {
  app *a = *state;
  for (int pinned = 0; pinned < 2; pinned++) {
    client *c = client_open(a);
    app_request *r = get(a, c);
    app_start(r, 200, 0, NULL, 10);
    app_write(r, 0, BYTES("short"));
    if (pinned)
      app_write_pinned(r, 0, app_pin_bytes(a, NULL, 6));
    else
      app_write(r, 0, BYTES("longer"));
    app_write(r, 0, BYTES("more"));
    app_end(r, 0);
    RUN_UNTIL(a, c->ended);
    assert_int_equal(client_has_answer(c, 0), 0);
    app_release(r);
  }
  assert_int_equal(app_pins_held(a), 0);
}

/* --- keeping and closing --- */

static void closes_when_the_client_wants_it(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  client_text(c,
              "GET / HTTP/1.1\r\n" H "Connection: foo, CLOSE\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n");
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
  assert_int_equal(a->request_count, 1);
}

static void closes_when_the_application_wants_it(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_respond(get(a, c), 200, RELEASE | WH_COMMAND_FLAG_CLOSE, NULL, BYTES("x"));
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
  c = client_open(a);
  app_request *r = get(a, c);
  app_start(r, 200, WH_COMMAND_FLAG_CLOSE, NULL, -1);
  app_write(r, 0, BYTES("x"));
  app_end(r, RELEASE);
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
}

static void http_1_0_closes_or_says_that_it_keeps(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  client_text(c, "GET / HTTP/1.0\r\n\r\n");
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
  c = client_open(a);
  client_text(c, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\nConnection: "
                 "Keep-Alive\r\n\r\n");
  client_expect_line(c, 200, "Connection: keep-alive");
  client_expect_line(c, 200, "Connection: keep-alive");
  client_text(c, "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n");
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
  assert_int_equal(app_request_at(a, 0)->version, 10);
}

static void http_1_0_ends_a_stream_with_the_connection(void **state) {
  app *a = *state;
  for (int keep = 0; keep < 2; keep++) {
    client *c = client_open(a);
    size_t number = a->request_count;
    client_text(c, keep ? "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                        : "GET / HTTP/1.0\r\n\r\n");
    RUN_UNTIL_REQUESTS(a, number + 1);
    app_request *r = app_request_at(a, number);
    app_start(r, 200, 0, NULL, -1);
    app_write(r, 0, BYTES("one "));
    app_quiet(a);
    app_write(r, 0, BYTES("two"));
    app_end(r, RELEASE);
    client_answer answer = client_take(c, 0);
    assert_true(answer.close && !answer.chunked && !answer.has_length);
    assert_string_equal((char *)answer.body, "one two");
    client_answer_free(&answer);
    client_expect_end(c);
  }
  /* With a length the connection can be kept. */
  client *c = client_open(a);
  size_t number = a->request_count;
  client_text(c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, number + 1);
  app_request *r = app_request_at(a, number);
  app_start(r, 200, 0, NULL, 2);
  app_write(r, 0, BYTES("hi"));
  app_end(r, RELEASE);
  client_expect_line(c, 200, "Connection: keep-alive");
  client_expect_nothing(c);
}

/* --- informational answers --- */

static void informs_before_the_answer(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_inform(r, 103, "Link: </a>\r\n");
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.status, 103);
  assert_true(client_answer_has(&answer, "Link: </a>"));
  client_answer_free(&answer);
  app_inform(r, 103, "Link: </b>\r\n");
  app_start(r, 200, 0, NULL, -1);
  app_inform(r, 103, "Link: </c>\r\n"); /* too late */
  app_write(r, 0, BYTES("x"));
  app_end(r, RELEASE);
  client_expect(c, 103, NULL);
  client_expect(c, 200, "x");
  client_expect_nothing(c);
}

static void informs_nobody_who_cannot_take_it(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_inform(r, 200, "X: y\r\n"); /* no informational status */
  app_inform(r, 99, "X: y\r\n");
  app_respond(r, 200, RELEASE, NULL, BYTES("x"));
  client_expect(c, 200, "x");
  client_text(c, "GET / HTTP/1.0\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 2);
  app_inform(app_request_at(a, 1), 103, "Link: </a>\r\n");
  app_respond_text(app_request_at(a, 1), "old");
  client_expect(c, 200, "old");
}

static void informs_in_its_turn(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/1");
  client_get(c, "/2");
  RUN_UNTIL_REQUESTS(a, 2);
  app_inform(app_request_at(a, 1), 102, NULL);
  app_inform(app_request_at(a, 1), 103, "Link: </a>\r\n");
  client_expect_nothing(c);
  app_respond_text(app_request_at(a, 1), "2");
  app_inform(app_request_at(a, 0), 103, "Link: </b>\r\n");
  app_respond_text(app_request_at(a, 0), "1");
  client_expect(c, 103, "");
  client_expect(c, 200, "1");
  client_expect(c, 102, "");
  client_expect(c, 103, "");
  client_expect(c, 200, "2");
}

/* --- what is told of the end --- */

static void tells_of_the_end_to_those_who_ask(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/0");
  client_get(c, "/1");
  client_get(c, "/2");
  RUN_UNTIL_REQUESTS(a, 3);
  app_request *r0 = app_request_at(a, 0), *r1 = app_request_at(a, 1), *r2 = app_request_at(a, 2);
  app_respond(r1, 200, WH_COMMAND_FLAG_WANT_ENDED, NULL, BYTES("1"));
  app_start(r2, 200, WH_COMMAND_FLAG_WANT_ENDED, NULL, -1);
  app_end(r2, 0);
  app_quiet(a);
  assert_int_equal(r1->ended, 0);
  app_respond(r0, 200, 0, NULL, BYTES("0"));
  app_quiet(a);
  assert_int_equal(r0->ended, 0);
  assert_int_equal(r1->ended, 1);
  assert_int_equal(r2->ended, 1);
  for (int i = 0; i < 3; i++) client_expect(c, 200, NULL);
  assert_int_equal(app_in_use(a), 3);
  app_release(r0);
  app_release(r1);
  app_release(r2);
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
}

static void a_release_without_an_answer_ends_the_connection(void **state) {
  app *a = *state;
  for (int started = 0; started < 3; started++) {
    client *c = client_open(a);
    app_request *r = get(a, c);
    if (started > 0) app_start(r, 200, 0, NULL, -1);
    if (started > 1)
      app_write(r, RELEASE, BYTES("x")); /* with the last command, or behind it */
    else
      app_release(r);
    RUN_UNTIL(a, c->ended);
    assert_int_equal(client_has_answer(c, 0), 0);
    app_quiet(a);
    assert_int_equal(app_in_use(a), 0);
    assert_int_equal(app_connections(a), 0);
  }
}

static void latency_is_measured_from_the_arrival(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  client_get(c, "/");
  client_expect(c, 200, NULL);
  wh_metrics metrics;
  wh_server_metrics(a->server, &metrics);
  uint64_t counted = 0;
  for (size_t i = 0; i < WH_LATENCY_BUCKETS; i++) counted += metrics.latency.counts[i];
  assert_int_equal(counted, 1);
  assert_int_equal(metrics.answers, 1);
  assert_true(metrics.bytes_sent > 0 && metrics.bytes_received > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(writes_the_head_of_an_answer),
      APP_TEST(leaves_date_and_server_to_the_application),
      APP_TEST(writes_every_status),
      APP_TEST(writes_the_reason_of_the_application),
      APP_TEST(sends_bodies_of_every_size),
      APP_TEST(sends_heads_of_every_size),
      APP_TEST(head_gets_the_length_and_no_body),
      APP_TEST(statuses_without_body_have_none),
      APP_TEST(streams_with_a_length),
      APP_TEST(streams_in_chunks),
      APP_TEST(an_answer_with_too_few_bytes_is_cut),
      APP_TEST(an_answer_with_too_many_bytes_is_cut),
      APP_TEST(closes_when_the_client_wants_it),
      APP_TEST(closes_when_the_application_wants_it),
      APP_TEST(http_1_0_closes_or_says_that_it_keeps),
      APP_TEST(http_1_0_ends_a_stream_with_the_connection),
      APP_TEST(informs_before_the_answer),
      APP_TEST(informs_nobody_who_cannot_take_it),
      APP_TEST(informs_in_its_turn),
      APP_TEST(tells_of_the_end_to_those_who_ask),
      APP_TEST(a_release_without_an_answer_ends_the_connection),
      APP_TEST(latency_is_measured_from_the_arrival),
  };
  return cmocka_run_group_tests_name("server answers", tests, NULL, NULL);
}
