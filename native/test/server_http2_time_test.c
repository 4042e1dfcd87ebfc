/* What time ends of HTTP/2: idle connections, heads that do not end, bodies and answers that stand still. */
#include "support_clock.h"
#include "support_http2.h"

#define RELEASE WH_COMMAND_FLAG_RELEASE

static app_request *ask(app *a, h2 *h, uint32_t *id, const char *method, int end_stream) {
  size_t number = a->request_count;
  *id = h2_request(h, method, "/", NULL, end_stream);
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static void advance(h2 *h, uint64_t ms) {
  h2_pump(h);
  app_quiet(h->app);
  clock_advance(ms);
  app_quiet(h->app);
  h2_pump(h);
}

static void an_idle_connection_ends_whatever_pings_come(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  a->on_request = app_answer_target;
  h2_expect(h, h2_get(h, "/"), 200, "GET /");
  for (int i = 0; i < 12; i++) {
    h2_sync(h);
    advance(h, 10000);
  }
  assert_int_equal(h2_ended(h), 0);
  assert_int_equal(h->ping_acks, 12);
  h2_expect(h, h2_get(h, "/again"), 200, "GET /again");
  for (int i = 0; i < 12; i++) {
    h2_sync(h);
    advance(h, 10000);
  }
  assert_int_equal(h2_ended(h), 0);
  advance(h, 11000);
  h2_expect_goaway(h, NGHTTP2_NO_ERROR);
  assert_int_equal(h->goaway_last, 3);
  h2_free(h);
}

static void a_request_under_way_is_no_idle_time(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = ask(a, h, &id, "GET", 1);
  for (int i = 0; i < 5; i++) advance(h, 100000);
  app_respond_text(r, "late");
  h2_expect(h, id, 200, "late");
  advance(h, 129000);
  assert_int_equal(h2_ended(h), 0);
  advance(h, 2000);
  h2_expect_goaway(h, NGHTTP2_NO_ERROR);
  h2_free(h);
}

static void a_header_block_that_does_not_end_ends_the_connection(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  size_t length;
  uint8_t *block = h2_encode(h, ":method: GET\n:path: /\n:scheme: http\n", &length);
  h2_sync(h);
  h2_frame(h, NGHTTP2_HEADERS, 0, 1, block, length);
  advance(h, 29000);
  assert_int_equal(h2_ended(h), 0);
  advance(h, 2000);
  h2_expect_goaway(h, NGHTTP2_ENHANCE_YOUR_CALM);
  assert_int_equal(a->request_count, 0);
  free(block);
  h2_free(h);
}

static void a_client_that_says_nothing_is_not_waited_for(void **state) {
  app *a = *state;
  h2 *mute = h2_open_bare(a), *half = h2_open_bare(a), *whole = h2_open_bare(a);
  client_text(half->client, "PRI * HTTP");
  client_send(whole->client, BYTES(H2_PREFACE));
  app_quiet(a);
  advance(mute, 29000);
  assert_int_equal(h2_ended(mute) + h2_ended(half) + h2_ended(whole), 0);
  advance(mute, 2000);
  RUN_UNTIL(a, h2_ended(mute) && h2_ended(half));
  advance(whole, 100000);
  RUN_UNTIL(a, h2_ended(whole));
  h2_free(mute);
  h2_free(half);
  h2_free(whole);
}

static void a_slow_body_is_answered_408(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t slow, started, other;
  app_request *r = ask(a, h, &slow, "POST", 0), *s = ask(a, h, &started, "POST", 0);
  app_request *o = ask(a, h, &other, "POST", 0);
  app_read(r, 1);
  app_read(s, 1);
  app_start(s, 200, 0, NULL, -1);
  advance(h, 4900);
  assert_int_equal(r->aborted + s->aborted, 0);
  advance(h, 200);
  h2_expect(h, slow, 408, NULL);
  h2_expect_reset(h, started, NGHTTP2_INTERNAL_ERROR);
  assert_int_equal(r->aborted_status, 408);
  assert_int_equal(s->aborted_status, 408);
  assert_int_equal(o->aborted, 0); /* nobody reads it: it is not slow */
  assert_int_equal(h2_ended(h), 0);
  app_release(r);
  app_release(s);
  app_read(o, 1);
  h2_data(h, other, BYTES("quick"), 1);
  RUN_UNTIL(a, o->body_complete);
  app_respond_text(o, "ok");
  h2_expect(h, other, 200, "ok");
  h2_free(h);
}

/* What was left of the seconds of one body is not all that the next one has. */
static void small_bodies_are_each_measured_anew(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  for (int i = 0; i < 20; i++) {
    uint32_t id;
    app_request *r = ask(a, h, &id, "POST", 0);
    app_read(r, 1);
    advance(h, 400);
    h2_data(h, id, BYTES("ten bytes!"), 1);
    RUN_UNTIL(a, r->body_complete || r->aborted);
    assert_int_equal(r->aborted, 0);
    app_respond_text(r, "ok");
    h2_expect(h, id, 200, "ok");
  }
  h2_free(h);
}

/* Refusing one body sends what waits, which may end another stream: the list is gone over all the same. */
static void bodies_time_out_beside_answers_that_wait(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t ids[6];
  app_request *r[6];
  h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 24);
  h2_window(h, 0, 1 << 24);
  for (int i = 0; i < 6; i++) {
    r[i] = ask(a, h, &ids[i], "POST", 0);
    app_read(r[i], 1);
  }
  app_quiet(a);
  h->client->deaf = 1;
  uint8_t *body = pattern_bytes(200000);
  for (int i = 1; i < 6; i += 2) {
    for (int n = 0; n < 20; n++) {
      if (n == 0) app_start(r[i], 200, 0, NULL, -1);
      app_write(r[i], 0, body, 200000);
      app_quiet(a);
    }
    app_end(r[i], RELEASE);
  }
  app_quiet(a);
  clock_advance(4900);
  h->client->deaf = 0;
  for (int i = 0; i < 100; i++) {
    app_step(a, 0);
    clock_advance(10);
  }
  for (int i = 0; i < 6; i += 2) RUN_UNTIL(a, r[i]->aborted || h2_ended(h));
  free(body);
  h2_free(h);
}

static void a_window_that_stays_shut_ends_the_connection(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
  app_request *r = ask(a, h, &id, "GET", 1);
  app_respond_text(r, "never read");
  advance(h, 4900);
  assert_int_equal(h2_ended(h), 0);
  advance(h, 200);
  h2_expect_goaway(h, NGHTTP2_ENHANCE_YOUR_CALM);
  h2_free(h);
}

static void windows_that_open_in_time_do_not(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
  app_request *r = ask(a, h, &id, "GET", 1);
  uint8_t *body = pattern_bytes(20000);
  app_respond(r, 200, RELEASE, NULL, body, 20000);
  for (int i = 0; i < 5; i++) {
    advance(h, 4000);
    assert_int_equal(h2_ended(h), 0);
    h2_window(h, id, 4000);
    RUN_UNTIL(a, h2_seen(h, id)->length == (size_t)(i + 1) * 4000);
  }
  h2_expect(h, id, 200, NULL);
  advance(h, 20000);
  assert_int_equal(h2_ended(h), 0);
  free(body);
  h2_free(h);
}

static void a_silent_client_is_asked_whether_it_is_there(void **state) {
  wh_limits limits;
  wh_limits_init(&limits);
  limits.http2_ping_delay = 10000;
  limits.http2_ping_timeout = 5000;
  app *a = h2_app(WH_PROTOCOL_HTTP2, &limits);
  (void)state;
  h2 *h = h2_open(a);
  uint32_t id;
  h2_sync(h);
  app_request *r = ask(a, h, &id, "GET", 1);
  clock_advance(9000);
  app_quiet(a);
  h2_pump(h);
  assert_int_equal(h->pings, 0);
  clock_advance(1100);
  RUN_UNTIL(a, (h2_pump(h), h->pings == 1));
  h2_ping(h, NGHTTP2_FLAG_ACK);
  h2_sync(h);
  advance(h, 5100);
  advance(h, 9000);
  assert_int_equal(h->pings, 1);
  assert_int_equal(h2_ended(h), 0);
  clock_advance(1100);
  RUN_UNTIL(a, (h2_pump(h), h->pings == 2));
  assert_int_equal(r->aborted, 0);
  advance(h, 6000);
  RUN_UNTIL(a, h2_ended(h));
  RUN_UNTIL(a, r->aborted);
  h2_free(h);
  app_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      H2_TEST(an_idle_connection_ends_whatever_pings_come),
      H2_TEST(a_request_under_way_is_no_idle_time),
      H2_TEST(a_header_block_that_does_not_end_ends_the_connection),
      H2_TEST(a_client_that_says_nothing_is_not_waited_for),
      H2_TEST(a_slow_body_is_answered_408),
      H2_TEST(small_bodies_are_each_measured_anew),
      H2_TEST(bodies_time_out_beside_answers_that_wait),
      H2_TEST(a_window_that_stays_shut_ends_the_connection),
      H2_TEST(windows_that_open_in_time_do_not),
      cmocka_unit_test(a_silent_client_is_asked_whether_it_is_there),
  };
  return cmocka_run_group_tests_name("time in HTTP/2", tests, NULL, NULL);
}
