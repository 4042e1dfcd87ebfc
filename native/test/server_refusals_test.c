/*
 * Requests that the server refuses itself: a status, no body, Connection: close, and the end. Statuses
 * follow Kestrel (reference: A6) but where the server is stricter.
 */
#include <stdio.h>

#include "support_clock.h"
#include "support_client.h"

#define H "Host: h\r\n"

static const struct {
  int status;
  const char *bytes;
} table[] = {
    /* the request line */
    {400, "GET  / HTTP/1.1\r\n" H "\r\n"},
    {400, " GET / HTTP/1.1\r\n" H "\r\n"},
    {400, "GET\t/ HTTP/1.1\r\n" H "\r\n"},
    {400, "GET / HTTP/1.1 \r\n" H "\r\n"},
    {400, "G(T / HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /a b HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /\r\n" H "\r\n"},
    {400, "GET\r\n"},
    {400, "GET / HTTP/1\r\n" H "\r\n"},
    {400, "GET / HTTP/1.10\r\n" H "\r\n"},
    {400, "GET / HTTP/1.1\n" H "\r\n"},
    {400, "GET / HTTP/1.1\r\r\n" H "\r\n"},
    {400, "GET ?a HTTP/1.1\r\n" H "\r\n"},
    {400, "GET %2F HTTP/1.1\r\n" H "\r\n"},
    {400, "GET  HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /%00 HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /\x80 HTTP/1.1\r\n" H "\r\n"},
    {400, "GET /\x01 HTTP/1.1\r\n" H "\r\n"},
    {400, "GET ftp://h/ HTTP/1.1\r\n" H "\r\n"},
    {400, "GET http:///a HTTP/1.1\r\n" H "\r\n"},
    {400, "GET http://x/ HTTP/1.1\r\n" H "\r\n"},
    {400, "CONNECT h:80 HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "\x16\x03\x01\x02\r\n\r\n"},
    {405, "GET * HTTP/1.1\r\n" H "\r\n"},
    {405, "GET h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"},
    {505, "GET / HTTP/1.2\r\n" H "\r\n"},
    {505, "GET / HTTP/2.0\r\n" H "\r\n"},
    {505, "GET / http/1.1\r\n" H "\r\n"},
    {505, "GET / HTTP/0.9\r\n" H "\r\n"},
    /* header lines */
    {400, "GET / HTTP/1.1\r\n" H "X : y\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H " X: y\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n X: y\r\n" H "\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X y\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H ": y\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X(: y\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X\x80: y\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X:\r\n b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X: a\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X: a\r\n\n"},
    {400, "GET / HTTP/1.1\r\n" H "X: \xe9\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X: \x01\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H "X: \x7f\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H H "\r\n"},
    {400, "GET / HTTP/1.0\r\n" H H "\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a:\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    /* framing */
    {400, "POST / HTTP/1.1\r\n" H "Content-Length: -3\r\n\r\nabc"},
    {400, "POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc"},
    {400, "POST / HTTP/1.1\r\n" H "Content-Length: 3,3\r\n\r\nabc"},
    {400, "POST / HTTP/1.1\r\n" H "Content-Length: 3 3\r\n\r\nabc"},
    {400, "POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc"},
    {400, "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\nabc"},
    {400, "POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\nabc"},
    {400, "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
    {400,
     "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {400,
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" H
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.0\r\n" H "\r\n"},
    {400, "PUT / HTTP/1.0\r\n" H "\r\n"},
    {417, "POST / HTTP/1.1\r\n" H "Expect: foo\r\nContent-Length: 3\r\n\r\nabc"},
};

static void check_refusal(app *a, size_t row, const char *bytes, size_t length, int status) {
  client *c = client_open(a);
  client_send(c, bytes, length);
  app_quiet(a);
  if (client_waiting(c) == 0) fail_msg("row %zu: no answer to:\n%s", row, bytes);
  client_answer answer = client_take(c, 0);
  if (answer.status != status) {
    fail_msg("row %zu: %d instead of %d for:\n%s", row, answer.status, status, bytes);
  }
  /* Who speaks TLS to a cleartext port is told so. */
  size_t explained =
      bytes[0] == 0x16 ? strlen(wh_refusal_table[WH_REFUSED_TLS_ON_CLEARTEXT].text) : 0;
  assert_int_equal(answer.length, explained);
  assert_true(answer.has_length && answer.close);
  assert_int_equal(client_answer_has(&answer, "Server: windhover"), 1);
  client_answer_free(&answer);
  client_expect_end(c);
  assert_int_equal(c->reset, 0);
  client_close(c);
}

static void refuses_what_is_wrong(void **state) {
  app *a = *state;
  for (size_t i = 0; i < COUNT(table); i++) {
    check_refusal(a, i, table[i].bytes, strlen(table[i].bytes), table[i].status);
  }
  assert_int_equal(a->request_count, 0);
  wh_metrics metrics;
  wh_server_metrics(a->server, &metrics);
  assert_int_equal(metrics.refused, COUNT(table));
}

static void answers_as_it_was_told(void **state) {
  app *a = *state;
  static const char head[] = "Content-Type: text/plain\r\nX-Why: line\r\n", body[] = "bad line";
  assert_int_equal(wh_server_set_refusal(a->server, WH_REFUSED_NOTHING, "", 0, "", 0),
                   WH_ERR_INVALID_ARGUMENT);
  assert_int_equal(wh_server_set_refusal(a->server, WH_REFUSAL_COUNT, "", 0, "", 0),
                   WH_ERR_INVALID_ARGUMENT);
  /* Twice: the first is freed. */
  for (int i = 0; i < 2; i++) {
    assert_int_equal(wh_server_set_refusal(a->server, WH_REFUSED_HEADER, head, sizeof head - 1,
                                           body, sizeof body - 1),
                     WH_OK);
  }
  static const char *const requests[] = {"GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
                                         "HEAD / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n"};
  for (int i = 0; i < 2; i++) {
    client *c = client_open(a);
    client_send(c, requests[i], strlen(requests[i]));
    app_quiet(a);
    client_answer answer = client_take(c, i == 1);
    assert_int_equal(answer.status, 400);
    assert_int_equal(client_answer_has(&answer, "X-Why: line"), 1);
    assert_int_equal(client_answer_has(&answer, "Content-Length: 8"), 1);
    assert_int_equal(answer.length, i == 1 ? 0 : 8);
    if (i == 0) assert_memory_equal(answer.body, body, 8);
    client_answer_free(&answer);
    client_expect_end(c);
    client_close(c);
  }
}

static void refuses_the_same_cut_anywhere(void **state) {
  app *a = *state;
  for (size_t i = 0; i < COUNT(table); i++) {
    size_t length = strlen(table[i].bytes);
    client *c = client_open(a);
    for (size_t n = 0; n < length; n++) {
      client_send(c, table[i].bytes + n, 1);
      app_step(a, 0);
    }
    client_expect_refusal(c, table[i].status);
    client_close(c);
  }
  assert_int_equal(a->request_count, 0);
}

static void refuses_nul_bytes(void **state) {
  app *a = *state;
  check_refusal(a, 0, BYTES("GET /\0 HTTP/1.1\r\n" H "\r\n"), 400);
  check_refusal(a, 1, BYTES("G\0T / HTTP/1.1\r\n" H "\r\n"), 400);
  check_refusal(a, 2, BYTES("GET / HTTP/1.1\r\n" H "X\0: y\r\n\r\n"), 400);
  check_refusal(a, 3, BYTES("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n"), 400);
}

static void refuses_a_flood_of_blank_lines(void **state) {
  app *a = *state;
  check_refusal(a, 0, BYTES("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"),
                400);
}

static void says_which_method_is_allowed(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "GET * HTTP/1.1\r\n" H "\r\n");
  client_expect_line(c, 405, "Allow: OPTIONS");
  c = client_open(a);
  client_text(c, "GET h:80 HTTP/1.1\r\n" H "\r\n");
  client_expect_line(c, 405, "Allow: CONNECT");
}

static void refuses_a_refusal_only_once(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "BAD\r\nBAD\r\nGET / HTTP/1.1\r\n" H "\r\n");
  client_text(c, "BAD\r\n\r\n");
  client_expect_refusal(c, 400);
  assert_int_equal(a->request_count, 0);
}

static void answers_what_came_before_a_bad_request(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  for (size_t i = 0; i < COUNT(table); i++) {
    client *c = client_open(a);
    client_text(c, "GET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\n");
    client_text(c, table[i].bytes);
    client_expect(c, 200, "GET /1");
    client_expect(c, 200, "GET /2");
    client_expect_refusal(c, table[i].status);
    client_close(c);
  }
}

static void a_refusal_waits_for_late_answers(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "GET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\nBAD\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 2);
  client_expect_nothing(c);
  app_respond_text(app_request_at(a, 1), "2");
  client_expect_nothing(c);
  app_start(app_request_at(a, 0), 200, 0, NULL, -1);
  app_write(app_request_at(a, 0), 0, BYTES("1"));
  app_end(app_request_at(a, 0), WH_COMMAND_FLAG_RELEASE);
  client_expect(c, 200, "1");
  client_expect(c, 200, "2");
  client_expect_refusal(c, 400);
}

static void no_refusal_follows_an_answer_that_closes(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "GET /1 HTTP/1.1\r\n" H "\r\nBAD\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 1);
  app_respond(app_request_at(a, 0), 200, WH_COMMAND_FLAG_CLOSE | WH_COMMAND_FLAG_RELEASE, NULL,
              BYTES("x"));
  client_expect_line(c, 200, "Connection: close");
  client_expect_end(c);
}

/* --- limits --- */

static void refuses_long_request_lines_with_414(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  for (size_t excess = 0; excess < 2; excess++) {
    for (int pieces = 0; pieces < 2; pieces++) {
      /* "GET " + target + " HTTP/1.1\r\n" */
      char text[9000], *out = text + sprintf(text, "GET /");
      while ((size_t)(out - text) < 8192 - 11 + excess) *out++ = 'a';
      out += sprintf(out, " HTTP/1.1\r\n" H "\r\n");
      client *c = client_open(a);
      size_t length = (size_t)(out - text), half = pieces ? 5000 : length;
      client_send(c, text, half);
      app_quiet(a);
      client_send(c, text + half, length - half);
      if (excess == 0)
        client_expect(c, 200, NULL);
      else
        client_expect_refusal(c, 414);
    }
  }
}

static void refuses_a_request_line_without_end(void **state) {
  app *a = *state;
  client *c = client_open(a);
  char text[8193];
  memset(text, 'a', sizeof text);
  client_send(c, text, 8192);
  client_expect_nothing(c);
  client_send(c, text, 1);
  client_expect_refusal(c, 414);
}

static void check_total(app *a, size_t total, size_t piece, int status) {
  char text[40000];
  int start = sprintf(text, "GET / HTTP/1.1\r\n");
  char *out = text + start;
  out += sprintf(out, H "X: ");
  while ((size_t)(out - text) - (size_t)start + 2 < total) *out++ = 'a';
  out += sprintf(out, "\r\n\r\n");
  client *c = client_open(a);
  for (char *at = text; at < out; at += piece) {
    client_send(c, at, (size_t)(out - at) < piece ? (size_t)(out - at) : piece);
    while (app_step(a, 0)) {
    }
  }
  if (status == 200)
    client_expect(c, 200, "GET /");
  else
    client_expect_refusal(c, status);
  client_close(c);
}

static void refuses_large_headers_with_431(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  static const size_t pieces[] = {40000, 1000, 16, 8193};
  for (size_t i = 0; i < COUNT(pieces); i++) {
    check_total(a, 32768, pieces[i], 200);
    check_total(a, 32769, pieces[i], 431);
    check_total(a, 38000, pieces[i], 431);
  }
}

static void refuses_many_headers_with_431(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  for (int lines = 99; lines <= 100; lines++) {
    char text[4000], *out = text + sprintf(text, "GET / HTTP/1.1\r\n" H);
    for (int i = 0; i < lines; i++) out += sprintf(out, "X%d: y\r\n", i);
    out += sprintf(out, "\r\n");
    for (int pieces = 0; pieces < 2; pieces++) {
      client *c = client_open(a);
      for (char *at = text; at < out; at += pieces ? 7 : out - text) {
        client_send(c, at, pieces && out - at > 7 ? 7 : (size_t)(pieces ? out - at : out - text));
        while (app_step(a, 0)) {
        }
      }
      if (lines == 99)
        client_expect(c, 200, "GET /");
      else
        client_expect_refusal(c, 431);
      client_close(c);
    }
  }
}

static void refuses_names_longer_than_the_table_can_say(void **state) {
  (void)state;
  wh_limits limits;
  wh_limits_init(&limits);
  limits.max_request_headers_total_size = 1 << 20;
  app *a = app_new(NULL, &limits);
  client *c = client_open(a);
  uint8_t *text = pattern_bytes(70000);
  client_text(c, "GET / HTTP/1.1\r\n" H);
  client_send(c, text, 70000);
  client_text(c, ": x\r\n\r\n");
  client_expect_refusal(c, 400);
  /* The longest that it can say. */
  a->on_request = app_answer_target;
  c = client_open(a);
  client_text(c, "GET / HTTP/1.1\r\n" H);
  client_send(c, text, 65535);
  client_text(c, ": x\r\n\r\n");
  client_expect(c, 200, "GET /");
  free(text);
  app_free(a);
}

/* --- time --- */

static void answers_408_to_a_head_that_does_not_end(void **state) {
  app *a = *state;
  client *c = client_open(a), *other = client_open(a);
  client_text(c, "GET / HTTP/1.1\r\nHost");
  client_text(other, "GE");
  app_quiet(a);
  for (int i = 0; i < 29; i++) {
    clock_advance(1000);
    client_text(c, "x"); /* a byte now and then does not help */
    client_expect_nothing(c);
  }
  clock_advance(1100);
  client_expect_refusal(c, 408);
  client_expect_refusal(other, 408);
}

static void the_date_of_a_timeout_is_fresh(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a), *other = client_open(a);
  client_get(other, "/");
  client_answer before = client_take(other, 0);
  client_text(c, "GET / HTTP/1.1\r\nHost");
  app_quiet(a);
  clock_advance(31000);
  client_answer after = client_take(c, 0);
  assert_int_equal(after.status, 408);
  assert_string_not_equal(strstr(before.head, "Date: "), strstr(after.head, "Date: "));
  /* "Date: Sat, 21 Nov 2026 13:56:53 GMT": seconds apart, by the clock's own reading. */
  char *date = strstr(before.head, "Date: ");
  assert_int_not_equal(memcmp(date, strstr(after.head, "Date: "), 35), 0);
  client_answer_free(&before);
  client_answer_free(&after);
}

static void the_date_of_a_refusal_is_fresh(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  client_get(c, "/");
  client_answer before = client_take(c, 0);
  clock_advance(60000);
  client_text(c, "BAD\r\n");
  client_answer after = client_take(c, 0);
  assert_int_equal(after.status, 400);
  assert_int_not_equal(memcmp(strstr(before.head, "Date: "), strstr(after.head, "Date: "), 35), 0);
  client_answer_free(&before);
  client_answer_free(&after);
}

/* --- bodies at fault --- */

static void refuses_a_bad_chunk_in_place_of_the_answer(void **state) {
  app *a = *state;
  for (int close = 0; close < 2; close++) {
    client *c = client_open(a);
    client_text(c, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n");
    client_text(c, close ? "Connection: close\r\n\r\n" : "\r\n");
    size_t number = a->request_count;
    RUN_UNTIL_REQUESTS(a, number + 1);
    app_request *r = app_request_at(a, number);
    app_read(r, 1);
    client_text(c, "3\r\nabc\r\n");
    RUN_UNTIL(a, r->body_length == 3);
    client_text(c, "x\r\n");
    client_expect_refusal(c, 400);
    assert_int_equal(r->aborted, 1);
    assert_int_equal(r->aborted_status, 400);
    app_respond_text(r, "too late");
    app_quiet(a);
    assert_int_equal(app_in_use(a), 0);
  }
}

static void cuts_an_answer_short_whose_request_is_bad(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  app_start(r, 200, 0, NULL, -1);
  app_write(r, 0, BYTES("some"));
  app_read(r, 1);
  app_quiet(a);
  client_text(c, "x\r\n");
  RUN_UNTIL(a, c->ended);
  assert_int_equal(client_has_answer(c, 0), 0); /* no last chunk */
  RUN_UNTIL(a, r->aborted);
  assert_int_equal(r->aborted_status, 400);
  app_write(r, 0, BYTES("more"));
  app_end(r, WH_COMMAND_FLAG_RELEASE);
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
}

static void refuses_a_chunked_body_over_the_limit_with_413(void **state) {
  (void)state;
  wh_limits limits;
  wh_limits_init(&limits);
  limits.max_request_body_size = 10;
  app *a = app_new(NULL, &limits);
  a->on_request = app_echo;
  a->on_body = app_echo;
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H
                 "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n5\r\n12345\r\n0\r\n\r\n");
  client_expect(c, 200, "abcde12345");
  client_text(c, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n6\r\n");
  client_expect_refusal(c, 413);
  c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\n");
  client_expect_refusal(c, 413);
  app_free(a);
}

/* A complete answer to the request is out: a second one would be taken for the next request's. */
static void a_fault_in_a_drained_body_gets_no_second_answer(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nab");
  RUN_UNTIL_REQUESTS(a, 1);
  app_respond_text(app_request_at(a, 0), "done");
  client_expect(c, 200, "done");
  client_text(c, "c\r\nxyz\r\n");
  client_expect_end(c);
  assert_int_equal(c->reset, 0);
}

static void a_refused_client_can_read_while_it_sends(void **state) {
  app *a = *state;
  a->on_request = a->on_body = app_echo;
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 30000001\r\n\r\n");
  uint8_t *body = pattern_bytes(8000000);
  client_send(c, body, 8000000);
  free(body);
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.status, 413);
  client_answer_free(&answer);
  RUN_UNTIL(a, c->ended);
  assert_int_equal(c->reset, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(answers_as_it_was_told),
      APP_TEST(refuses_what_is_wrong),
      APP_TEST(refuses_the_same_cut_anywhere),
      APP_TEST(refuses_nul_bytes),
      APP_TEST(refuses_a_flood_of_blank_lines),
      APP_TEST(says_which_method_is_allowed),
      APP_TEST(refuses_a_refusal_only_once),
      APP_TEST(answers_what_came_before_a_bad_request),
      APP_TEST(a_refusal_waits_for_late_answers),
      APP_TEST(no_refusal_follows_an_answer_that_closes),
      APP_TEST(refuses_long_request_lines_with_414),
      APP_TEST(refuses_a_request_line_without_end),
      APP_TEST(refuses_large_headers_with_431),
      APP_TEST(refuses_many_headers_with_431),
      cmocka_unit_test(refuses_names_longer_than_the_table_can_say),
      APP_TEST(answers_408_to_a_head_that_does_not_end),
      APP_TEST(the_date_of_a_timeout_is_fresh),
      APP_TEST(the_date_of_a_refusal_is_fresh),
      APP_TEST(refuses_a_bad_chunk_in_place_of_the_answer),
      APP_TEST(cuts_an_answer_short_whose_request_is_bad),
      cmocka_unit_test(refuses_a_chunked_body_over_the_limit_with_413),
      APP_TEST(a_fault_in_a_drained_body_gets_no_second_answer),
      APP_TEST(a_refused_client_can_read_while_it_sends),
  };
  return cmocka_run_group_tests_name("server refusals", tests, NULL, NULL);
}
