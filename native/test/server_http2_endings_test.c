/* How streams and connections of HTTP/2 end: resets at any point, aborts, stops, and who comes too late. */
#include "support_clock.h"
#include "support_http2.h"

#define RELEASE WH_COMMAND_FLAG_RELEASE
#define WANT_ENDED WH_COMMAND_FLAG_WANT_ENDED

static app_request *ask(app *a, h2 *h, uint32_t *id, const char *method, int end_stream) {
  size_t number = a->request_count;
  *id = h2_request(h, method, "/", NULL, end_stream);
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static void expect_alive(app *a, h2 *h) {
  size_t number = a->request_count;
  uint32_t id = h2_get(h, "/next");
  RUN_UNTIL_REQUESTS(a, number + 1);
  app_respond_text(app_request_at(a, number), "next");
  h2_expect(h, id, 200, "next");
}

/* A client resets its stream at each of these points; whatever the application orders then is in vain. */
static void a_client_may_reset_at_any_point(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint8_t *body = pattern_bytes(100000);
  for (int point = 0; point < 8; point++) {
    uint32_t id;
    app_request *r = ask(a, h, &id, "POST", point == 7);
    if (point >= 1) h2_data(h, id, BYTES("some"), 0);
    if (point >= 2) app_read(r, 1);
    if (point >= 2) RUN_UNTIL(a, r->body_length == 4 || point == 7);
    if (point >= 3) app_start(r, 200, WANT_ENDED, NULL, -1);
    if (point >= 4) app_write(r, 0, body, 100000);
    if (point >= 5) app_write_pinned(r, WH_COMMAND_FLAG_NOTIFY, app_pin_bytes(a, NULL, 5000));
    if (point >= 6) app_end(r, 0);
    app_quiet(a);
    h2_pump(h);
    h2_reset(h, id, NGHTTP2_CANCEL);
    RUN_UNTIL(a, r->aborted);
    assert_int_equal(r->ended, 0);
    assert_int_equal(app_pins_held(a), 0);
    app_read(r, 1);
    app_write(r, 0, BYTES("deaf"));
    app_write_pinned(r, 0, app_pin_bytes(a, NULL, 10));
    app_end(r, 0);
    app_respond_pinned(r, 0, app_pin_bytes(a, NULL, 10));
    app_quiet(a);
    assert_int_equal(app_pins_held(a), 0);
    app_release(r);
    h2_window(h, 0, 65535); /* what that one took of the connection's */
  }
  expect_alive(a, h);
  free(body);
  h2_free(h);
}

static void an_application_may_abort_at_any_point(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  for (int point = 0; point < 5; point++) {
    uint32_t id;
    app_request *r = ask(a, h, &id, "POST", 0);
    if (point >= 1) h2_data(h, id, BYTES("some"), 0);
    if (point >= 2) app_start(r, 200, 0, NULL, -1);
    if (point >= 3) app_write_pinned(r, 0, app_pin_bytes(a, NULL, 500));
    if (point >= 4) app_read(r, 1);
    app_command(a, WH_COMMAND_ABORT, 0, r->slot, r->generation, NGHTTP2_CANCEL + 1, NULL, NULL, 0,
                0, 0);
    h2_expect_reset(h, id, NGHTTP2_CANCEL);
    assert_int_equal(r->aborted, 0);
    h2_data(h, id, BYTES("on its way still"), 1);
    app_write(r, 0, BYTES("deaf"));
    app_quiet(a);
    app_release(r);
  }
  expect_alive(a, h);
  h2_free(h);
}

static void who_releases_without_an_answer_resets(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t one, two;
  app_request *r = ask(a, h, &one, "GET", 1), *s = ask(a, h, &two, "POST", 0);
  app_release(r);
  h2_expect_reset(h, one, NGHTTP2_INTERNAL_ERROR);
  app_start(s, 200, 0, NULL, -1);
  app_release(s);
  h2_expect_reset(h, two, NGHTTP2_INTERNAL_ERROR);
  expect_alive(a, h);
  h2_free(h);
}

static void an_early_answer_ends_the_upload(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = ask(a, h, &id, "POST", 0);
  h2_data(h, id, BYTES("a part"), 0);
  app_quiet(a);
  app_respond(r, 200, WANT_ENDED, NULL, BYTES("enough"));
  h2_expect_reset(h, id, NGHTTP2_NO_ERROR);
  assert_int_equal(h2_seen(h, id)->ended, 1);
  RUN_UNTIL(a, r->ended == 1);
  assert_int_equal(r->aborted, 0);
  h2_data(h, id, BYTES("more"), 1);
  app_release(r);
  expect_alive(a, h);
  h2_free(h);
}

static void too_few_and_too_many_bytes_are_seen(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = ask(a, h, &id, "GET", 1);
  app_start(r, 200, 0, NULL, 10);
  app_write(r, 0, BYTES("five!"));
  app_end(r, RELEASE);
  h2_expect_reset(h, id, NGHTTP2_INTERNAL_ERROR);
  r = ask(a, h, &id, "GET", 1);
  app_start(r, 200, 0, NULL, 3);
  app_write(r, 0, BYTES("five!"));
  app_end(r, RELEASE);
  h2_expect_reset(h, id, NGHTTP2_INTERNAL_ERROR);
  assert_int_equal(h2_seen(h, id)->length, 0);
  r = ask(a, h, &id, "GET", 1);
  app_respond(r, 205, RELEASE, NULL, BYTES("there is no such thing"));
  h2_expect(h, id, 205, "");
  char *length = h2_field(h2_seen(h, id), "content-length");
  assert_string_equal(length, "0");
  free(length);
  expect_alive(a, h);
  h2_free(h);
}

static void a_pinned_buffer_that_has_gone_ends_its_stream(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = ask(a, h, &id, "GET", 1);
  uint32_t pin = app_pin_bytes(a, NULL, 5000);
  a->pins[pin - 1].gone = 1;
  app_respond_pinned(r, 0, pin);
  h2_expect_reset(h, id, NGHTTP2_INTERNAL_ERROR);
  RUN_UNTIL(a, r->aborted);
  assert_int_equal(app_pins_held(a), 0);
  app_release(r);
  expect_alive(a, h);
  h2_free(h);
}

static void a_client_that_ends_its_side_is_answered_still(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t whole, half;
  app_request *r = ask(a, h, &whole, "GET", 1), *s = ask(a, h, &half, "POST", 0);
  client_half_close(h->client);
  RUN_UNTIL(a, s->aborted);
  app_release(s);
  assert_int_equal(r->aborted, 0);
  app_respond_text(r, "late");
  h2_expect(h, whole, 200, "late");
  h2_expect_goaway(h, NGHTTP2_NO_ERROR);
  h2_free(h);
}

/* --- stops --- */

static void stop(app *a, uint32_t window_ms) {
  wh_server_stop_listening(a->server);
  wh_server_stop(a->server, window_ms);
}

static void a_stop_says_goaway_twice(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t one, two;
  app_request *r = ask(a, h, &one, "GET", 1);
  stop(a, 10000);
  RUN_UNTIL(a, (h2_pump(h), h->goaways == 1));
  assert_int_equal(h->goaway_last, INT32_MAX);
  app_request *s = ask(a, h, &two, "GET", 1); /* was on its way */
  clock_advance(10100);
  RUN_UNTIL(a, (h2_pump(h), h->goaways == 2));
  assert_int_equal(h->goaway_last, two);
  uint32_t late = h2_get(h, "/late");
  app_quiet(a);
  assert_int_equal(a->request_count, 2);
  app_respond_text(r, "one");
  app_respond_text(s, "two");
  h2_expect(h, one, 200, "one");
  h2_expect(h, two, 200, "two");
  RUN_UNTIL(a, h2_ended(h));
  assert_int_equal(h2_seen(h, late)->heads, 0);
  h2_free(h);
}

static void a_quiet_connection_does_not_hold_a_stop(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  h2 *used = h2_open(a), *fresh = h2_open(a), *mute = h2_open_bare(a);
  h2_expect(used, h2_get(used, "/"), 200, NULL);
  app_quiet(a);
  stop(a, 0);
  RUN_UNTIL(a, h2_ended(used) && h2_ended(fresh) && h2_ended(mute));
  client_close(used->client);
  client_close(fresh->client);
  client_close(mute->client);
  RUN_UNTIL(a, app_connections(a) == 0);
  h2_free(used);
  h2_free(fresh);
  h2_free(mute);
}

static void a_stop_waits_for_the_last_answer(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = ask(a, h, &id, "POST", 0);
  stop(a, 0);
  app_quiet(a);
  app_read(r, 1);
  h2_data(h, id, BYTES("body"), 1);
  RUN_UNTIL(a, r->body_complete);
  app_respond_text(r, "done");
  h2_expect(h, id, 200, "done");
  RUN_UNTIL(a, h2_ended(h));
  h2_free(h);
}

static void an_abort_of_the_server_tells_everybody(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t one, two;
  app_request *r = ask(a, h, &one, "GET", 1), *s = ask(a, h, &two, "POST", 0);
  app_start(s, 200, 0, NULL, -1);
  app_write_pinned(s, 0, app_pin_bytes(a, NULL, 100000));
  app_quiet(a);
  wh_server_abort(a->server);
  RUN_UNTIL(a, r->aborted && s->aborted && app_connections(a) == 0);
  h2_free(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      H2_TEST(a_client_may_reset_at_any_point),
      H2_TEST(an_application_may_abort_at_any_point),
      H2_TEST(who_releases_without_an_answer_resets),
      H2_TEST(an_early_answer_ends_the_upload),
      H2_TEST(too_few_and_too_many_bytes_are_seen),
      H2_TEST(a_pinned_buffer_that_has_gone_ends_its_stream),
      H2_TEST(a_client_that_ends_its_side_is_answered_still),
      H2_TEST(a_stop_says_goaway_twice),
      H2_TEST(a_quiet_connection_does_not_hold_a_stop),
      H2_TEST(a_stop_waits_for_the_last_answer),
      H2_TEST(an_abort_of_the_server_tells_everybody),
  };
  return cmocka_run_group_tests_name("endings of HTTP/2", tests, NULL, NULL);
}
