/* What time ends, and what it must not: idle connections, limits of waiting, clocks that went on. */
#include "support_clock.h"
#include "support_client.h"

#define H "Host: h\r\n"

static app_request *get(app *a, client *c) {
  size_t number = a->request_count;
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static void an_idle_connection_ends_after_its_time(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *fresh = client_open(a), *used = client_open(a);
  client_get(used, "/");
  client_expect(used, 200, NULL);
  app_quiet(a);
  clock_advance(29000);
  client_expect_nothing(fresh);
  clock_advance(2000);
  client_expect_end(fresh); /* who says nothing has no longer than a head may take */
  assert_int_equal(fresh->reset, 0);
  clock_advance(98000);
  client_expect_nothing(used);
  client_get(used, "/");
  client_expect(used, 200, NULL);
  clock_advance(2000);
  client_expect_nothing(used);
  clock_advance(129000);
  client_expect_end(used);
  assert_int_equal(used->reset, 0);
}

static void blank_lines_do_not_keep_a_connection(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_quiet(a);
  for (int i = 0; i < 6; i++) {
    clock_advance(4500);
    client_text(c, "\r\n");
    client_expect_nothing(c);
  }
  clock_advance(4000);
  client_expect_end(c);
}

static void the_time_of_an_idle_connection_starts_with_the_answer(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  /* The answer comes from a timer of the application, say: no turn looks at the clock before. */
  clock_advance(200000);
  app_respond_text(r, "slow");
  client_expect(c, 200, "slow");
  client_expect_nothing(c);
  clock_advance(129000);
  client_expect_nothing(c);
  clock_advance(2000);
  client_expect_end(c);
}

static void no_limit_of_idle_time_is_none(void **state) {
  (void)state;
  wh_limits limits;
  wh_limits_init(&limits);
  limits.keep_alive_timeout = WH_UNLIMITED;
  limits.request_headers_timeout = WH_UNLIMITED;
  app *a = app_new(NULL, &limits);
  client *c = client_open(a);
  a->on_request = app_answer_target;
  client_text(c, "GET /1 HTTP/1.1\r\n");
  client_expect_nothing(c);
  client_text(c, H "\r\n");
  client_expect(c, 200, NULL);
  for (int i = 0; i < 10; i++) {
    clock_advance(100000000);
    client_expect_nothing(c);
  }
  client_get(c, "/2");
  client_expect(c, 200, NULL);
  app_free(a);
}

static void the_date_of_a_late_answer_is_fresh(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_respond_text(r, "x");
  client_answer before = client_take(c, 0);
  r = get(a, c);
  clock_advance(60000);
  app_respond_text(r, "x");
  client_answer after = client_take(c, 0);
  assert_int_not_equal(memcmp(strstr(before.head, "Date: "), strstr(after.head, "Date: "), 35), 0);
  client_answer_free(&before);
  client_answer_free(&after);
}

static void latency_counts_from_the_request(void **state) {
  app *a = *state;
  client *c = client_open(a);
  a->on_request = app_answer_target;
  client_get(c, "/");
  client_expect(c, 200, NULL);
  clock_advance(60000); /* in which nothing happens */
  client_get(c, "/");
  client_expect(c, 200, NULL);
  wh_metrics metrics;
  wh_server_metrics(a->server, &metrics);
  uint64_t slow = 0;
  for (size_t i = 0; i < WH_LATENCY_BUCKETS; i++) {
    if (wh_latency_bucket_limit(i) > 30000000) slow += metrics.latency.counts[i];
  }
  assert_int_equal(slow, 0);
}

/* A client that neither sends the rest nor closes: we wait for it, but not for ever. */
static void lingering_ends_after_five_seconds(void **state) {
  app *a = *state;
  a->on_request = a->on_body = app_echo;
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\n");
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.status, 413);
  client_answer_free(&answer);
  client_expect_end(c);
  assert_int_equal(app_connections(a), 1);
  clock_advance(4900);
  app_quiet(a);
  assert_int_equal(app_connections(a), 1);
  clock_advance(200);
  RUN_UNTIL(a, app_connections(a) == 0);
}

static void lingering_counts_from_the_end_of_a_late_answer(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 1000\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 1);
  clock_advance(60000);
  app_respond_text(app_request_at(a, 0), "late");
  app_quiet(a);
  assert_int_equal(app_connections(a), 1);
  client_text(c, "still sending");
  app_quiet(a);
  assert_int_equal(c->reset, 0);
  client_expect(c, 200, "late");
  client_expect_end(c);
  assert_int_equal(app_connections(a), 1);
  client_close(c);
  RUN_UNTIL(a, app_connections(a) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(an_idle_connection_ends_after_its_time),
      APP_TEST(blank_lines_do_not_keep_a_connection),
      APP_TEST(the_time_of_an_idle_connection_starts_with_the_answer),
      cmocka_unit_test(no_limit_of_idle_time_is_none),
      APP_TEST(the_date_of_a_late_answer_is_fresh),
      APP_TEST(latency_counts_from_the_request),
      APP_TEST(lingering_ends_after_five_seconds),
      APP_TEST(lingering_counts_from_the_end_of_a_late_answer),
  };
  return cmocka_run_group_tests_name("server time", tests, NULL, NULL);
}
