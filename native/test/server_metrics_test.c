/* What a server counts, and what it tells of refused requests. */
#include <stdio.h>

#include "support_clock.h"
#include "support_client.h"

#define H "Host: h\r\n"

static wh_metrics read_metrics(const app *a) {
  wh_metrics metrics;
  wh_server_metrics(a->server, &metrics);
  return metrics;
}

static uint64_t count_of(const wh_histogram *histogram) {
  uint64_t count = 0;
  for (size_t i = 0; i < WH_LATENCY_BUCKETS; i++) count += histogram->counts[i];
  return count;
}

/* --- the histogram --- */

static void durations_fall_into_their_buckets(void **state) {
  (void)state;
  for (size_t i = 0; i < WH_LATENCY_BUCKETS; i++) {
    wh_histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    uint64_t limit = wh_latency_bucket_limit(i);
    if (i > 0) assert_true(limit > wh_latency_bucket_limit(i - 1));
    wh_histogram_add(&histogram, limit - 1, 2);
    wh_histogram_add(&histogram, limit, 3);
    assert_int_equal(histogram.counts[i], i + 1 == WH_LATENCY_BUCKETS ? 5 : 2);
    if (i + 1 < WH_LATENCY_BUCKETS) assert_int_equal(histogram.counts[i + 1], 3);
    assert_int_equal(histogram.sum, (limit - 1) * 2 + limit * 3);
  }
  wh_histogram histogram;
  memset(&histogram, 0, sizeof histogram);
  wh_histogram_add(&histogram, UINT64_MAX, 1);
  assert_int_equal(histogram.counts[WH_LATENCY_BUCKETS - 1], 1);
}

/* --- answers --- */

static void answer_as_asked(app *a, app_request *r) {
  (void)a;
  if (strcmp(r->path, "/late") == 0) {
    app_inform(r, 103, "Link: </a>\r\n");
    app_start(r, 404, 0, "", -1);
    app_write(r, 0, "none", 4);
    app_end(r, 0);
    app_release(r);
  } else if (strcmp(r->path, "/weird") == 0) {
    app_respond(r, 700, WH_COMMAND_FLAG_RELEASE, "", "", 0);
  } else {
    app_respond_text(r, "x");
  }
}

static void answers_are_counted_by_status(void **state) {
  app *a = *state;
  a->on_request = answer_as_asked;
  client *c = client_open(a);
  for (int i = 0; i < 3; i++) {
    client_get(c, "/");
    client_expect(c, 200, NULL);
  }
  client_get(c, "/late");
  client_expect(c, 103, NULL);
  client_expect(c, 404, "none");
  client_text(c, "GET / HTTP/3.0\r\n" H "\r\n");
  client_expect_refusal(c, 505);
  client *bad = client_open(a);
  client_text(bad, "GET /\r\n\r\n");
  client_expect_refusal(bad, 400);
  wh_metrics metrics = read_metrics(a);
  assert_int_equal(metrics.statuses[200], 3);
  assert_int_equal(metrics.statuses[103], 1);
  assert_int_equal(metrics.statuses[404], 1);
  assert_int_equal(metrics.statuses[505], 1);
  assert_int_equal(metrics.statuses[400], 1);
  uint64_t all = 0;
  for (size_t i = 0; i < WH_STATUS_LIMIT; i++) all += metrics.statuses[i];
  assert_int_equal(all, 7);
  assert_int_equal(metrics.refused, 2);
  assert_int_equal(metrics.refusals[WH_REFUSED_VERSION], 1);
  assert_int_equal(metrics.refusals[WH_REFUSED_REQUEST_LINE], 1);
}

static void a_status_that_is_none_is_counted_too(void **state) {
  app *a = *state;
  a->on_request = answer_as_asked;
  client *c = client_open(a);
  client_get(c, "/weird");
  RUN_UNTIL(a, read_metrics(a).answers == 1);
  assert_int_equal(read_metrics(a).statuses[0], 1);
}

static void continue_is_counted(void **state) {
  app *a = *state;
  a->on_request = a->on_body = app_echo;
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  client_expect(c, 100, NULL);
  client_text(c, "ab");
  client_expect(c, 200, "ab");
  wh_metrics metrics = read_metrics(a);
  assert_int_equal(metrics.statuses[100], 1);
  assert_int_equal(metrics.statuses[200], 1);
}

/* --- phases --- */

static void phases_are_measured(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  client_get(c, "/at-once");
  client_expect(c, 200, NULL);
  wh_metrics metrics = read_metrics(a);
  assert_int_equal(count_of(&metrics.receiving), 1);
  assert_int_equal(metrics.receiving.counts[0], 1);
  assert_int_equal(metrics.receiving.sum, 0);
  client_text(c, "GET /slow HTTP/1.1\r\nHo");
  app_quiet(a);
  clock_advance(2000);
  client_text(c, "st: h\r\n");
  app_quiet(a);
  clock_advance(3000);
  client_text(c, "\r\n");
  client_expect(c, 200, NULL);
  metrics = read_metrics(a);
  assert_int_equal(count_of(&metrics.receiving), 2);
  assert_in_range(metrics.receiving.sum, 5000000, 5900000);
  assert_int_equal(count_of(&metrics.queueing), 2);
  assert_int_equal(count_of(&metrics.latency), 2);
  /* Its latency does not count the time in which it was received. */
  assert_true(metrics.latency.sum < 1000000);
}

/* A large head moves to a larger slot on its way: its first byte stays when it was. */
static void a_head_that_grows_keeps_its_time(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  char line[1100];
  memset(line, 'v', sizeof line);
  memcpy(line, "X: ", 3);
  memcpy(line + sizeof line - 3, "\r\n", 3);
  client_text(c, "GET / HTTP/1.1\r\n" H);
  for (int i = 0; i < 4; i++) {
    app_quiet(a);
    clock_advance(1000);
    client_text(c, line);
  }
  client_text(c, "\r\n");
  client_expect(c, 200, NULL);
  assert_in_range(read_metrics(a).receiving.sum, 4000000, 4900000);
}

static void a_batch_of_many_waits_as_one(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  for (int i = 0; i < 20; i++) client_get(c, "/");
  for (int i = 0; i < 20; i++) client_expect(c, 200, NULL);
  wh_metrics metrics = read_metrics(a);
  assert_int_equal(count_of(&metrics.queueing), 20);
  assert_int_equal(count_of(&metrics.receiving), 20);
}

/* --- timeouts --- */

static void timeouts_are_counted_by_kind(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *idle = client_open(a), *slow = client_open(a);
  client_text(slow, "GET / HTTP/1.1\r\n");
  app_quiet(a);
  clock_advance(31000);
  client_expect_refusal(slow, 408);
  clock_advance(100000);
  client_expect_end(idle);
  client *large = client_open(a);
  client_text(large, "POST / HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\n");
  client_answer answer = client_take(large, 0);
  client_answer_free(&answer);
  client_expect_end(large);
  clock_advance(6000);
  RUN_UNTIL(a, app_connections(a) == 0);
  wh_metrics metrics = read_metrics(a);
  assert_int_equal(metrics.timeouts[WH_TIMEOUT_REQUEST_HEADERS], 1);
  assert_int_equal(metrics.timeouts[WH_TIMEOUT_KEEP_ALIVE], 1);
  assert_int_equal(metrics.timeouts[WH_TIMEOUT_LINGER], 2);
  assert_int_equal(metrics.timeouts[WH_TIMEOUT_BODY_DRAIN], 0);
  assert_int_equal(metrics.refusals[WH_REFUSED_HEADERS_TIMEOUT], 1);
}

static void every_timeout_has_a_name(void **state) {
  (void)state;
  for (size_t i = 0; i < WH_TIMEOUT_COUNT; i++) {
    assert_true(strlen(wh_timeout_names[i]) > 0);
    for (size_t j = 0; j < i; j++) {
      assert_string_not_equal(wh_timeout_names[i], wh_timeout_names[j]);
    }
  }
}

/* --- refusals, told one by one --- */

typedef struct told {
  size_t count;
  uint32_t reason, duration;
  unsigned port, dispatched;
  char address[64], input[WH_REFUSAL_RECORD_INPUT_MOST + 1];
  size_t input_length, record_length;
} told;
static told last;

static void note_refused(app *a, const uint32_t *event) {
  size_t count = last.count + 1;
  memset(&last, 0, sizeof last);
  last.count = count;
  last.reason = event[1];
  last.record_length = event[3];
  if (event[3] == 0) return;
  assert_true((size_t)event[2] + event[3] <= a->memory.arena_size);
  const uint8_t *record = a->memory.arena + event[2];
  uint16_t port;
  memcpy(&port, record + WH_REFUSAL_RECORD_PORT, sizeof port);
  memcpy(&last.duration, record + WH_REFUSAL_RECORD_DURATION, sizeof last.duration);
  last.port = port;
  last.dispatched = record[WH_REFUSAL_RECORD_DISPATCHED];
  size_t address_length = record[WH_REFUSAL_RECORD_ADDRESS_LENGTH];
  last.input_length = record[WH_REFUSAL_RECORD_INPUT_LENGTH];
  assert_int_equal(event[3], WH_REFUSAL_RECORD_SIZE + address_length + last.input_length);
  assert_in_range(last.input_length, 0, WH_REFUSAL_RECORD_INPUT_MOST);
  memcpy(last.address, record + WH_REFUSAL_RECORD_SIZE, address_length);
  memcpy(last.input, record + WH_REFUSAL_RECORD_SIZE + address_length, last.input_length);
}

static void want_refusals(app *a, uint32_t how) {
  memset(&last, 0, sizeof last);
  a->on_refused = note_refused;
  a->memory.control[WH_CONTROL_REFUSALS] = how;
}

static void refuse(app *a, const char *bytes, int status) {
  client *c = client_open(a);
  client_text(c, bytes);
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.status, status);
  client_answer_free(&answer);
  client_expect_end(c);
  client_close(c);
  app_quiet(a);
}

#define BAD "GET /\r\n\r\n"

static void a_refusal_says_what_was_at_fault(void **state) {
  static const struct {
    const char *bytes;
    int status;
    wh_refusal reason;
    const char *input;
  } table[] = {
      {BAD, 400, WH_REFUSED_REQUEST_LINE, "GET /"},
      {"\r\nGET /a b HTTP/1.1\r\n" H "\r\n", 400, WH_REFUSED_REQUEST_LINE, "GET /a b HTTP/1.1"},
      {"GET / HTTP/1.1\r\n" H "A: b\r\nX y: z\r\nC: d\r\n\r\n", 400, WH_REFUSED_HEADER, "X y: z"},
      {"GET / HTTP/1.1\r\nHost: a b\r\nA: b\r\n\r\n", 400, WH_REFUSED_HOST, "Host: a b"},
      {"GET / HTTP/1.1\r\nHost: h\r\nhost: i\r\n\r\n", 400, WH_REFUSED_HOST, "host: i"},
      {"GET /none HTTP/1.1\r\nA: b\r\n\r\n", 400, WH_REFUSED_HOST, "GET /none HTTP/1.1"},
      {"GET / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400, WH_REFUSED_CONTENT_LENGTH,
       "Content-Length: -1"},
      {"GET / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n", 400,
       WH_REFUSED_CONTENT_LENGTH, "Content-Length: 9223372036854775808"},
      {"GET / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", 400, WH_REFUSED_TRANSFER_ENCODING,
       "Transfer-Encoding: gzip"},
      {"GET / HTTP/1.1\r\n" H "Expect: nothing\r\n\r\n", 417, WH_REFUSED_EXPECTATION,
       "Expect: nothing"},
      {"GET /high HTTP/1.1\r\n" H "X: \xe9\r\n\r\nGET /next", 400, WH_REFUSED_HEADER,
       "GET /high HTTP/1.1"},
      {"GET / HTTP/9.9\r\n" H "\r\n", 505, WH_REFUSED_VERSION, "GET / HTTP/9.9"},
      {"\x16\x03\x01", 400, WH_REFUSED_TLS_ON_CLEARTEXT, "\x16\x03\x01"},
  };
  app *a = *state;
  want_refusals(a, 1);
  for (size_t i = 0; i < COUNT(table); i++) {
    refuse(a, table[i].bytes, table[i].status);
    assert_int_equal(last.count, i + 1);
    if (last.reason != table[i].reason) print_error("row %zu: %s\n", i, table[i].bytes);
    assert_int_equal(last.reason, table[i].reason);
    assert_string_equal(last.input, table[i].input);
    assert_string_equal(last.address, "127.0.0.1");
    assert_true(last.port > 0);
    assert_int_equal(last.dispatched, 0);
  }
}

static void what_was_at_fault_is_cut(void **state) {
  app *a = *state;
  want_refusals(a, 1);
  char text[600];
  memset(text, 'x', sizeof text);
  memcpy(text, "GET /", 5);
  memcpy(text + sizeof text - 5, "\r\n\r\n", 5);
  refuse(a, text, 400);
  assert_int_equal(last.input_length, WH_REFUSAL_RECORD_INPUT_MOST);
  assert_memory_equal(last.input, text, WH_REFUSAL_RECORD_INPUT_MOST);
}

static void a_fault_that_comes_in_pieces_is_shown(void **state) {
  app *a = *state;
  want_refusals(a, 1);
  static const char *const rows[][2] = {
      {"GET /a b HTTP/1.1\r\n" H "\r\n", "GET /a b HTTP/1.1"},
      {"GET / HTTP/1.1\r\nHost: a b\r\nA: b\r\n\r\n", "Host: a b"},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    client *c = client_open(a);
    for (const char *p = rows[i][0]; *p != 0; p++) {
      client_send(c, p, 1);
      app_step(a, 0);
    }
    client_expect_refusal(c, 400);
    assert_string_equal(last.input, rows[i][1]);
  }
}

static void a_bad_chunk_is_shown_and_the_request_known(void **state) {
  app *a = *state;
  want_refusals(a, 1);
  a->on_request = a->on_body = NULL;
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  RUN_UNTIL_REQUESTS(a, 1);
  app_read(app_request_at(a, 0), 1);
  client_text(c, "zz\r\n");
  RUN_UNTIL(a, last.count == 1);
  assert_int_equal(last.reason, WH_REFUSED_CHUNK);
  assert_int_equal(last.dispatched, 1);
  assert_non_null(strstr(last.input, "zz"));
}

/* Its limit is settled when it is first read, long after the head was parsed. */
static void a_body_that_is_too_large_shows_its_request(void **state) {
  app *a = *state;
  want_refusals(a, 1);
  client *c = client_open(a);
  client_text(c, "POST /big HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\nabc");
  RUN_UNTIL_REQUESTS(a, 1);
  app_quiet(a);
  app_read(app_request_at(a, 0), 1);
  RUN_UNTIL(a, last.count == 1);
  assert_int_equal(last.reason, WH_REFUSED_BODY_TOO_LARGE);
  assert_int_equal(last.dispatched, 1);
  assert_string_equal(last.input, "POST /big HTTP/1.1");
}

/* A request before it in the same bytes, whose body stands in the arena: the record must not harm it. */
static void a_refusal_leaves_bodies_of_its_batch_alone(void **state) {
  app *a = *state;
  want_refusals(a, 1);
  a->on_request = a->on_body = app_echo;
  client *good = client_open(a), *bad = client_open(a);
  app_quiet(a);
  client_text(good, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nabcde");
  client_text(bad, BAD);
  client_expect(good, 200, "abcde");
  client_expect_refusal(bad, 400);
  assert_int_equal(last.count, 1);
}

static void a_late_head_is_shown_with_its_time(void **state) {
  app *a = *state;
  want_refusals(a, 1);
  client *c = client_open(a);
  client_text(c, "GET /slow HTTP/1.1\r\nHost: h");
  app_quiet(a);
  clock_advance(31000);
  client_expect_refusal(c, 408);
  assert_int_equal(last.reason, WH_REFUSED_HEADERS_TIMEOUT);
  assert_string_equal(last.input, "GET /slow HTTP/1.1");
  assert_in_range(last.duration, 30000000, 32000000);
}

static void refusals_are_told_to_who_wants_them(void **state) {
  app *a = *state;
  want_refusals(a, 0);
  refuse(a, BAD, 400);
  assert_int_equal(last.count, 0);
  want_refusals(a, 2); /* one a second */
  refuse(a, BAD, 400);
  assert_int_equal(last.count, 1);
  refuse(a, BAD, 400);
  assert_int_equal(last.count, 1);
  clock_advance(1001);
  refuse(a, BAD, 400);
  assert_int_equal(last.count, 2);
  want_refusals(a, 1);
  for (size_t i = 1; i < 4; i++) {
    refuse(a, BAD, 400);
    assert_int_equal(last.count, i);
  }
  assert_int_equal(read_metrics(a).refused, 7);
}

/* Where bodies fill the arena there is no room for the details: the event comes all the same. */
static void a_full_arena_costs_the_details_only(void **state) {
  app *a = *state;
  want_refusals(a, 1);
  size_t expected = 0;
  for (size_t round = 0; round < 40; round++) {
    client *clients[8];
    size_t length = 7000 + round * 200;
    for (size_t i = 0; i < COUNT(clients); i++) clients[i] = client_open(a);
    app_quiet(a);
    for (size_t i = 0; i < COUNT(clients); i++) {
      char head[100];
      snprintf(head, sizeof head, "POST / HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n", length);
      uint8_t *body = pattern_bytes(length);
      a->on_request = a->on_body = app_echo;
      client_text(clients[i], i % 2 ? BAD : head);
      if (i % 2 == 0) client_send(clients[i], body, length);
      free(body);
    }
    for (size_t i = 0; i < COUNT(clients); i++) {
      if (i % 2)
        client_expect_refusal(clients[i], 400);
      else {
        client_answer answer = client_take(clients[i], 0);
        uint8_t *body = pattern_bytes(length);
        assert_int_equal(answer.length, length);
        assert_memory_equal(answer.body, body, length);
        free(body);
        client_answer_free(&answer);
      }
      client_close(clients[i]);
    }
    app_quiet(a);
    expected += 4;
    assert_int_equal(last.count, expected);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(durations_fall_into_their_buckets),
      APP_TEST(answers_are_counted_by_status),
      APP_TEST(a_status_that_is_none_is_counted_too),
      APP_TEST(continue_is_counted),
      APP_TEST(phases_are_measured),
      APP_TEST(a_head_that_grows_keeps_its_time),
      APP_TEST(a_batch_of_many_waits_as_one),
      APP_TEST(timeouts_are_counted_by_kind),
      cmocka_unit_test(every_timeout_has_a_name),
      APP_TEST(a_refusal_says_what_was_at_fault),
      APP_TEST(what_was_at_fault_is_cut),
      APP_TEST(a_fault_that_comes_in_pieces_is_shown),
      APP_TEST(a_bad_chunk_is_shown_and_the_request_known),
      APP_TEST(a_body_that_is_too_large_shows_its_request),
      APP_TEST(a_refusal_leaves_bodies_of_its_batch_alone),
      APP_TEST(a_late_head_is_shown_with_its_time),
      APP_TEST(refusals_are_told_to_who_wants_them),
      APP_TEST(a_full_arena_costs_the_details_only),
  };
  return cmocka_run_group_tests_name("server metrics", tests, NULL, NULL);
}
