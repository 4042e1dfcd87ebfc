/* Requests in: keep-alive, pipelining, heads in pieces, heads of every size. */
#include <stdio.h>

#include "support_client.h"

#define LARGE_SLABS_KEPT 4 /* as in http/exchange.c */

static const char with_fields[] = "GET /a%20b/../c?b=c%20d HTTP/1.1\r\n"
                                  "Host: example\r\n"
                                  "X-One: 1\r\n"
                                  "x-two:\r\n"
                                  "X-Three: \t3 3 \t\r\n"
                                  "X-One: again\r\n"
                                  "X-Four:\t\xc3\xa9\r\n"
                                  "\r\n";

static void check_field(const app_request *r, const char *name, size_t n, const char *expected) {
  char *value = app_field(r, name, n);
  if (expected == NULL) {
    assert_null(value);
  } else {
    assert_non_null(value);
    assert_string_equal(value, expected);
  }
  free(value);
}

static void check_with_fields(app *a, app_request *r) {
  (void)a;
  assert_string_equal(r->method, "GET");
  assert_string_equal(r->target, "/a%20b/../c?b=c%20d");
  assert_string_equal(r->query, "?b=c%20d");
  assert_memory_equal(r->path, "/c", 2);
  assert_int_equal(r->version, 11);
  assert_int_equal(r->field_count, 6);
  assert_int_equal(r->flags, WH_REQUEST_FLAG_KEEP_ALIVE | WH_REQUEST_FLAG_HIGH_BYTES);
  check_field(r, "Host", 0, "example");
  check_field(r, "x-one", 0, "1");
  check_field(r, "x-one", 1, "again");
  check_field(r, "x-one", 2, NULL);
  check_field(r, "X-Two", 0, "");
  check_field(r, "X-Three", 0, "3 3");
  check_field(r, "X-Four", 0, "\xc3\xa9");
  app_respond_text(r, "good");
}

static void shows_the_head_to_the_application(void **state) {
  app *a = *state;
  client *c = client_open(a);
  a->on_request = check_with_fields;
  client_send(c, BYTES(with_fields));
  client_expect(c, 200, "good");
}

static void keeps_the_connection_for_the_next_request(void **state) {
  app *a = *state;
  client *c = client_open(a);
  a->on_request = app_answer_target;
  for (int i = 0; i < 200; i++) {
    char target[32], expected[32];
    snprintf(target, sizeof target, "/%d", i);
    snprintf(expected, sizeof expected, "GET /%d", i);
    client_get(c, target);
    client_expect(c, 200, expected);
    assert_int_equal(app_in_use(a), 0);
  }
  assert_int_equal(app_connections(a), 1);
  wh_metrics metrics;
  wh_server_metrics(a->server, &metrics);
  assert_int_equal(metrics.requests, 200);
  assert_int_equal(metrics.answers, 200);
  assert_int_equal(metrics.total_connections, 1);
}

static void reads_a_head_cut_anywhere(void **state) {
  app *a = *state;
  a->on_request = check_with_fields;
  for (size_t cut = 1; cut < sizeof with_fields - 1; cut++) {
    client *c = client_open(a);
    client_send(c, with_fields, cut);
    while (app_step(a, 0)) {
    }
    assert_int_equal(client_waiting(c), 0);
    client_send(c, with_fields + cut, sizeof with_fields - 1 - cut);
    client_expect(c, 200, "good");
    client_close(c);
  }
}

static void reads_a_head_byte_by_byte(void **state) {
  app *a = *state;
  client *c = client_open(a);
  a->on_request = check_with_fields;
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < sizeof with_fields - 1; i++) {
      client_send(c, with_fields + i, 1);
      while (app_step(a, 0)) {
      }
    }
    client_expect(c, 200, "good");
  }
}

static void reads_two_requests_cut_anywhere(void **state) {
  app *a = *state;
  a->on_request = app_echo;
  a->on_body = app_echo;
  static const char both[] = "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
                             "\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: u\r\n\r\n";
  for (size_t cut = 1; cut < sizeof both - 1; cut++) {
    client *c = client_open(a);
    client_send(c, both, cut);
    while (app_step(a, 0)) {
    }
    client_send(c, both + cut, sizeof both - 1 - cut);
    client_expect(c, 200, "hello");
    client_expect(c, 200, "abcdefg");
    client_close(c);
  }
}

static void ignores_blank_lines_before_a_request(void **state) {
  app *a = *state;
  client *c = client_open(a);
  a->on_request = app_answer_target;
  client_text(c, "\r\n\r\n\r");
  app_quiet(a);
  client_text(c,
              "\nGET /1 HTTP/1.1\r\nHost: h\r\n\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n\r\n");
  client_expect(c, 200, "GET /1");
  client_expect(c, 200, "GET /2");
  client_get(c, "/3");
  client_expect(c, 200, "GET /3");
}

static void numbers_connections_and_requests(void **state) {
  app *a = *state;
  client *first = client_open(a), *second = client_open(a);
  client_get(first, "/1");
  client_get(first, "/2");
  RUN_UNTIL_REQUESTS(a, 2);
  client_get(second, "/3");
  RUN_UNTIL_REQUESTS(a, 3);
  uint32_t connections[3], numbers[3];
  for (size_t i = 0; i < 3; i++) {
    memcpy(&connections[i], app_request_at(a, i)->memory + WH_SLOT_CONNECTION_LOW, 4);
    memcpy(&numbers[i], app_request_at(a, i)->memory + WH_SLOT_REQUEST_NUMBER, 4);
  }
  assert_int_equal(connections[0], connections[1]);
  assert_int_not_equal(connections[0], connections[2]);
  assert_int_equal(numbers[0], 1);
  assert_int_equal(numbers[1], 2);
  assert_int_equal(numbers[2], 1);
  wh_address peer, local;
  app_request *r = app_request_at(a, 2);
  assert_int_equal(wh_server_exchange_addresses(a->server, r->slot, r->generation, &peer, &local),
                   0);
  assert_int_equal(local.port, a->port);
  assert_int_equal(peer.family, WH_ADDRESS_IPV4);
  assert_int_not_equal(peer.port, 0);
  assert_int_equal(
      wh_server_exchange_addresses(a->server, r->slot, r->generation + 1, &peer, &local),
      WH_ERR_CLOSED);
}

/* --- pipelining --- */

static void answers_pipelined_requests_in_order(void **state) {
  app *a = *state;
  client *c = client_open(a);
  a->on_request = app_answer_target;
  char text[300 * 48];
  size_t length = 0;
  for (int i = 0; i < 300; i++) {
    length += (size_t)snprintf(text + length, sizeof text - length,
                               "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i);
  }
  client_send(c, text, length);
  for (int i = 0; i < 300; i++) {
    char expected[32];
    snprintf(expected, sizeof expected, "GET /%d", i);
    client_expect(c, 200, expected);
  }
  client_expect_nothing(c);
}

static void runs_safe_requests_together_and_answers_them_in_order(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "GET /0 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /1 HTTP/1.1\r\nHost: h\r\n\r\n"
                 "OPTIONS /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 4);
  app_respond_text(app_request_at(a, 3), "three");
  app_respond_text(app_request_at(a, 1), "one");
  client_expect_nothing(c);
  app_respond_text(app_request_at(a, 0), "zero");
  client_expect(c, 200, "zero");
  client_expect_head(c, 200, 3);
  client_expect_nothing(c);
  app_respond_text(app_request_at(a, 2), "two");
  client_expect(c, 200, "two");
  client_expect(c, 200, "three");
  assert_int_equal(app_in_use(a), 0);
}

static void answers_in_order_when_all_come_in_reverse(void **state) {
  app *a = *state;
  client *c = client_open(a);
  for (int i = 0; i < 20; i++) client_get(c, "/x");
  RUN_UNTIL_REQUESTS(a, 20);
  for (size_t i = 20; i-- > 0;) {
    char text[8];
    snprintf(text, sizeof text, "%zu", i);
    app_respond_text(app_request_at(a, i), text);
    if (i % 3 == 0 && i > 0) client_expect_nothing(c); /* in several turns */
  }
  for (int i = 0; i < 20; i++) {
    char text[8];
    snprintf(text, sizeof text, "%d", i);
    client_expect(c, 200, text);
  }
}

static void an_unsafe_request_waits_and_holds(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "GET /0 HTTP/1.1\r\nHost: h\r\n\r\nGET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
                 "DELETE /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n"
                 "POST /4 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
                 "GET /5 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\ncd"
                 "GET /6 HTTP/1.1\r\nHost: h\r\n\r\nGET /7 HTTP/1.1\r\nHost: h\r\n\r\n");
  app_quiet(a);
  assert_int_equal(a->request_count, 2);
  app_respond_text(app_request_at(a, 0), "0");
  app_quiet(a);
  assert_int_equal(a->request_count, 2);
  app_respond_text(app_request_at(a, 1), "1");
  app_quiet(a);
  assert_int_equal(a->request_count, 3);
  assert_string_equal(app_request_at(a, 2)->method, "DELETE");
  app_respond_text(app_request_at(a, 2), "2");
  app_quiet(a);
  assert_int_equal(a->request_count, 4);
  app_respond_text(app_request_at(a, 3), "3");
  app_quiet(a);
  assert_int_equal(a->request_count, 5);
  assert_string_equal((char *)app_request_at(a, 4)->body, "ab");
  app_respond_text(app_request_at(a, 4), "4");
  app_quiet(a);
  assert_int_equal(a->request_count, 6); /* safe, but with a body */
  assert_string_equal((char *)app_request_at(a, 5)->body, "cd");
  app_respond_text(app_request_at(a, 5), "5");
  app_quiet(a);
  assert_int_equal(a->request_count, 8);
  app_respond_text(app_request_at(a, 7), "7");
  app_respond_text(app_request_at(a, 6), "6");
  for (int i = 0; i < 8; i++) {
    char text[8];
    snprintf(text, sizeof text, "%d", i);
    client_expect(c, 200, text);
  }
}

static void runs_no_more_than_64_requests_of_a_connection_at_once(void **state) {
  app *a = *state;
  client *c = client_open(a);
  for (int i = 0; i < 200; i++) client_get(c, "/x");
  app_quiet(a);
  assert_int_equal(a->request_count, 64);
  for (size_t i = 0; i < 63; i++) app_respond_text(app_request_at(a, i), "x");
  app_quiet(a);
  assert_in_range(a->request_count, 64, 64 + 63);
  a->on_request = app_answer_target;
  for (size_t i = 63; i < a->request_count; i++) app_respond_text(app_request_at(a, i), "x");
  for (int i = 0; i < 200; i++) client_expect(c, 200, NULL);
  assert_int_equal(a->request_count, 200);
}

static void streams_two_answers_of_one_connection_in_order(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/0");
  client_get(c, "/1");
  client_get(c, "/2");
  RUN_UNTIL_REQUESTS(a, 3);
  app_request *r0 = app_request_at(a, 0), *r1 = app_request_at(a, 1), *r2 = app_request_at(a, 2);
  app_start(r1, 200, 0, "X: 1\r\n", -1);
  app_write(r1, 0, BYTES("one "));
  app_start(r0, 200, 0, NULL, 7);
  app_quiet(a);
  app_write(r1, 0, BYTES("uno "));
  app_write(r0, 0, BYTES("ze"));
  app_quiet(a);
  app_end(r1, WH_COMMAND_FLAG_RELEASE);
  app_write(r0, 0, BYTES("ro "));
  app_start(r2, 200, 0, NULL, -1);
  app_quiet(a);
  app_write(r0, 0, BYTES("ro"));
  app_end(r0, 0);
  app_release(r0);
  client_expect(c, 200, "zero ro");
  client_expect_line(c, 200, "X: 1");
  app_write(r2, 0, BYTES("two"));
  app_end(r2, WH_COMMAND_FLAG_RELEASE);
  client_expect(c, 200, "two");
}

static void serves_many_connections_at_once(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *clients[300];
  for (size_t i = 0; i < COUNT(clients); i++) {
    char target[32];
    clients[i] = client_open(a);
    snprintf(target, sizeof target, "/%zu", i);
    client_get(clients[i], target);
    client_get(clients[i], target);
    if (i % 50 == 0) app_step(a, 0);
  }
  for (size_t i = 0; i < COUNT(clients); i++) {
    char expected[32];
    snprintf(expected, sizeof expected, "GET /%zu", i);
    client_expect(clients[i], 200, expected);
    client_expect(clients[i], 200, expected);
  }
  assert_int_equal(app_connections(a), COUNT(clients));
}

/* --- large heads --- */

/* A GET whose fields take about so many bytes. */
static char *large_request(size_t size, size_t lines) {
  char *text = malloc(size + lines * 16 + 200);
  assert_non_null(text);
  size_t length = (size_t)sprintf(text, "GET /large HTTP/1.1\r\nHost: h\r\n");
  for (size_t i = 0; i < lines; i++) {
    length += (size_t)sprintf(text + length, "X-%zu: ", i);
    for (size_t n = 0; n < size / lines; n++) text[length++] = (char)pattern_byte(n + i);
    length += (size_t)sprintf(text + length, "\r\n");
  }
  sprintf(text + length, "\r\n");
  return text;
}

static void check_large(const app_request *r, size_t size, size_t lines) {
  assert_int_equal(r->field_count, lines + 1);
  for (size_t i = 0; i < lines; i++) {
    char name[32];
    snprintf(name, sizeof name, "x-%zu", i);
    char *value = app_field(r, name, 0);
    assert_non_null(value);
    assert_int_equal(strlen(value), size / lines);
    for (size_t n = 0; n < size / lines; n++) assert_int_equal(value[n], pattern_byte(n + i));
    free(value);
  }
}

static void reads_heads_of_every_size(void **state) {
  app *a = *state;
  client *c = client_open(a);
  for (size_t size = 1000; size < 32000; size += 1237) {
    for (size_t lines = 1; lines <= 99; lines += 49) {
      if (size + lines * 10 > 32700) continue;
      char *text = large_request(size, lines);
      for (int pieces = 0; pieces < 2; pieces++) {
        size_t number = a->request_count, length = strlen(text);
        size_t piece = pieces ? 777 : length;
        for (size_t sent = 0; sent < length; sent += piece) {
          client_send(c, text + sent, length - sent < piece ? length - sent : piece);
          if (pieces)
            while (app_step(a, 0)) {
            }
        }
        RUN_UNTIL_REQUESTS(a, number + 1);
        check_large(app_request_at(a, number), size, lines);
        app_respond_text(app_request_at(a, number), "large");
        client_expect(c, 200, "large");
      }
      free(text);
    }
  }
  assert_true(a->most_large_slabs >= 1);
}

static void keeps_few_large_slots(void **state) {
  app *a = *state;
  client *clients[12];
  char *text = large_request(9000, 3);
  for (int round = 0; round < 3; round++) {
    size_t before = a->request_count;
    for (size_t i = 0; i < COUNT(clients); i++) {
      if (round == 0) clients[i] = client_open(a);
      client_text(clients[i], text);
    }
    RUN_UNTIL_REQUESTS(a, before + COUNT(clients));
    assert_true(a->large_slabs_alive >= COUNT(clients));
    for (size_t i = 0; i < COUNT(clients); i++) check_large(app_request_at(a, before + i), 9000, 3);
    for (size_t i = 0; i < COUNT(clients); i++)
      app_respond_text(app_request_at(a, before + i), "x");
    for (size_t i = 0; i < COUNT(clients); i++) client_expect(clients[i], 200, "x");
    assert_int_equal(a->large_slabs_alive, LARGE_SLABS_KEPT);
    assert_int_equal(app_in_use(a), 0);
  }
  free(text);
}

static void a_slot_stays_until_it_is_released(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/first");
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *first = app_request_at(a, 0);
  app_respond(first, 200, 0, NULL, BYTES("x"));
  client_expect(c, 200, "x");
  a->on_request = app_answer_target;
  for (int i = 0; i < 100; i++) client_get(c, "/second");
  for (int i = 0; i < 100; i++) client_expect(c, 200, "GET /second");
  uint32_t offset;
  memcpy(&offset, first->memory + WH_SLOT_TARGET_OFFSET, sizeof offset);
  assert_memory_equal(first->memory + offset, "/first", 6);
  assert_int_equal(app_in_use(a), 1);
  app_release(first);
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
}

static void a_burst_is_dispatched_in_batches(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *clients[40];
  for (size_t i = 0; i < COUNT(clients); i++) {
    clients[i] = client_open(a);
    for (int n = 0; n < 60; n++) client_get(clients[i], "/x");
  }
  for (size_t i = 0; i < COUNT(clients); i++) {
    for (int n = 0; n < 60; n++) client_expect(clients[i], 200, "GET /x");
  }
  assert_int_equal(a->request_count, 2400);
  /* A batch ends with the connection that fills it: 127 requests before, 64 of it. */
  assert_in_range(a->most_events, 1, 128 + 64);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(shows_the_head_to_the_application),
      APP_TEST(keeps_the_connection_for_the_next_request),
      APP_TEST(reads_a_head_cut_anywhere),
      APP_TEST(reads_a_head_byte_by_byte),
      APP_TEST(reads_two_requests_cut_anywhere),
      APP_TEST(ignores_blank_lines_before_a_request),
      APP_TEST(numbers_connections_and_requests),
      APP_TEST(answers_pipelined_requests_in_order),
      APP_TEST(runs_safe_requests_together_and_answers_them_in_order),
      APP_TEST(answers_in_order_when_all_come_in_reverse),
      APP_TEST(an_unsafe_request_waits_and_holds),
      APP_TEST(runs_no_more_than_64_requests_of_a_connection_at_once),
      APP_TEST(streams_two_answers_of_one_connection_in_order),
      APP_TEST(serves_many_connections_at_once),
      APP_TEST(reads_heads_of_every_size),
      APP_TEST(keeps_few_large_slots),
      APP_TEST(a_slot_stays_until_it_is_released),
      APP_TEST(a_burst_is_dispatched_in_batches),
  };
  return cmocka_run_group_tests_name("server requests", tests, NULL, NULL);
}
