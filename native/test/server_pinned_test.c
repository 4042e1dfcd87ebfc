/*
 * Buffers of the application that are sent from their place: each is released exactly once, whatever
 * becomes of its answer (support_app.c checks "once", and frees it then, so that a later use is seen).
 */
#include "support_client.h"

#define H "Host: h\r\n"
#define RELEASE WH_COMMAND_FLAG_RELEASE
#define LARGE 8000000 /* more than the system takes at once */

static app_request *get(app *a, client *c) {
  size_t number = a->request_count;
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static void expect_pattern(client *c, size_t length) {
  uint8_t *expected = pattern_bytes(length);
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.status, 200);
  assert_int_equal(answer.length, length);
  assert_memory_equal(answer.body, expected, length);
  client_answer_free(&answer);
  free(expected);
}

static void sends_a_buffer_at_once(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  uint32_t pin = app_pin_bytes(a, NULL, 20000);
  app_respond_pinned(r, RELEASE, pin);
  app_step(a, 0);
  assert_int_equal(a->pins[pin - 1].released, 1);
  expect_pattern(c, 20000);
  app_respond_pinned(get(a, c), RELEASE, app_pin_bytes(a, NULL, 0));
  expect_pattern(c, 0);
}

static void sends_a_buffer_in_parts(void **state) {
  app *a = *state;
  client *c = client_open(a);
  c->deaf = 1;
  app_request *r = get(a, c);
  uint32_t pin = app_pin_bytes(a, NULL, LARGE);
  app_respond_pinned(r, RELEASE, pin);
  app_quiet(a);
  assert_int_equal(a->pins[pin - 1].released, 0);
  client_get(c, "/next"); /* waits behind it */
  app_quiet(a);
  c->deaf = 0;
  expect_pattern(c, LARGE);
  assert_int_equal(a->pins[pin - 1].released, 1);
  RUN_UNTIL_REQUESTS(a, 2);
  app_respond_text(app_request_at(a, 1), "next");
  client_expect(c, 200, "next");
}

static void sends_many_buffers_in_order(void **state) {
  app *a = *state;
  client *c = client_open(a), *other = client_open(a);
  c->deaf = 1;
  app_request *r = get(a, c), *s = get(a, other);
  app_start(r, 200, 0, NULL, -1);
  app_start(s, 200, 0, NULL, 60 * 20000);
  for (int i = 0; i < 60; i++) {
    app_write_pinned(r, 0, app_pin_bytes(a, NULL, 100000));
    app_write(r, 0, BYTES("between"));
    app_write_pinned(s, 0, app_pin_bytes(a, NULL, 20000));
    if (i % 7 == 0) app_step(a, 0);
  }
  app_end(r, RELEASE);
  app_end(s, RELEASE);
  app_quiet(a);
  c->deaf = 0;
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.length, 60 * 100007);
  uint8_t *expected = pattern_bytes(100000);
  for (int i = 0; i < 60; i++) {
    assert_memory_equal(answer.body + (size_t)i * 100007, expected, 100000);
    assert_memory_equal(answer.body + (size_t)i * 100007 + 100000, "between", 7);
  }
  client_answer_free(&answer);
  answer = client_take(other, 0);
  for (int i = 0; i < 60; i++)
    assert_memory_equal(answer.body + (size_t)i * 20000, expected, 20000);
  client_answer_free(&answer);
  free(expected);
  assert_int_equal(app_pins_held(a), 0);
}

static void releases_when_the_client_goes(void **state) {
  app *a = *state;
  for (int reset = 0; reset < 2; reset++) {
    client *c = client_open(a);
    c->deaf = 1;
    app_request *r = get(a, c);
    app_start(r, 200, 0, NULL, -1);
    for (int i = 0; i < 20; i++) app_write_pinned(r, 0, app_pin_bytes(a, NULL, LARGE / 10));
    app_quiet(a);
    assert_true(app_pins_held(a) > 0);
    if (reset)
      client_reset(c);
    else
      client_close(c);
    RUN_UNTIL(a, r->aborted);
    assert_int_equal(app_pins_held(a), 0);
    app_write_pinned(r, 0, app_pin_bytes(a, NULL, 1000)); /* nobody is there */
    app_quiet(a);
    assert_int_equal(app_pins_held(a), 0);
    app_end(r, RELEASE);
    app_quiet(a);
    assert_int_equal(app_in_use(a), 0);
  }
}

static void releases_what_comes_for_a_connection_just_broken(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_start(r, 200, 0, NULL, 3);
  app_write(r, 0, BYTES("too much"));
  app_write_pinned(r, 0, app_pin_bytes(a, NULL, 1000)); /* in the same turn */
  app_write_pinned(r, 0, app_pin_bytes(a, NULL, 2));
  app_end(r, RELEASE);
  app_quiet(a);
  assert_int_equal(app_pins_held(a), 0);
  RUN_UNTIL(a, c->ended);
}

static void releases_for_exchanges_that_are_over(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_respond(r, 200, 0, NULL, BYTES("x"));
  app_respond_pinned(r, 0, app_pin_bytes(a, NULL, 1000)); /* a second answer */
  app_quiet(a);
  assert_int_equal(app_pins_held(a), 0);
  app_write_pinned(r, 0, app_pin_bytes(a, NULL, 1000));
  app_quiet(a);
  assert_int_equal(app_pins_held(a), 0);
  uint32_t slot = r->slot, generation = r->generation;
  app_release(r);
  app_quiet(a);
  uint32_t pin = app_pin_bytes(a, NULL, 1000);
  app_command(a, WH_COMMAND_RESPOND, WH_COMMAND_FLAG_PINNED, slot, generation, 200, NULL, NULL, 0,
              1000, pin);
  app_quiet(a);
  assert_int_equal(app_pins_held(a), 0);
  client_expect(c, 200, "x");
  client_expect_nothing(c);
}

static void releases_in_every_wrong_order(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_write_pinned(r, 0, app_pin_bytes(a, NULL, 1000)); /* before the start */
  app_quiet(a);
  assert_int_equal(app_pins_held(a), 0);
  app_start(r, 200, 0, NULL, -1);
  app_write(r, 0, BYTES("x"));
  app_respond_pinned(r, 0, app_pin_bytes(a, NULL, 1000)); /* after it */
  app_quiet(a);
  assert_int_equal(app_pins_held(a), 0);
  app_end(r, RELEASE);
  client_expect(c, 200, "x");
  client_expect_nothing(c);
}

static void waits_with_a_buffer_for_its_turn(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/0");
  client_get(c, "/1");
  client_get(c, "/2");
  RUN_UNTIL_REQUESTS(a, 3);
  app_respond_pinned(app_request_at(a, 2), RELEASE, app_pin_bytes(a, NULL, 30000));
  app_start(app_request_at(a, 1), 200, 0, NULL, -1);
  app_write_pinned(app_request_at(a, 1), 0, app_pin_bytes(a, NULL, 40000));
  app_end(app_request_at(a, 1), RELEASE);
  app_quiet(a);
  assert_int_equal(app_pins_held(a), 2);
  app_respond_pinned(app_request_at(a, 0), RELEASE, app_pin_bytes(a, NULL, 50000));
  expect_pattern(c, 50000);
  expect_pattern(c, 40000);
  expect_pattern(c, 30000);
  assert_int_equal(app_pins_held(a), 0);
}

static void releases_what_waits_for_its_turn_in_vain(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/0");
  client_get(c, "/1");
  RUN_UNTIL_REQUESTS(a, 2);
  app_respond_pinned(app_request_at(a, 1), 0, app_pin_bytes(a, NULL, 30000));
  app_quiet(a);
  assert_int_equal(app_pins_held(a), 1);
  client_reset(c);
  RUN_UNTIL(a, app_request_at(a, 0)->aborted && app_request_at(a, 1)->aborted);
  assert_int_equal(app_pins_held(a), 0);
}

static void a_buffer_that_is_gone_resets_the_connection(void **state) {
  app *a = *state;
  for (int way = 0; way < 4; way++) {
    client *c = client_open(a);
    c->deaf = way >= 2;
    app_request *r = get(a, c);
    uint32_t pin = app_pin_bytes(a, NULL, LARGE);
    app_respond_pinned(r, RELEASE, pin);
    if (way >= 2) app_quiet(a); /* some of it is sent */
    if (way % 2)
      a->pins[pin - 1].gone = 1;
    else
      a->pins[pin - 1].length = LARGE - 1;
    c->deaf = 0;
    RUN_UNTIL(a, c->ended);
    assert_int_equal(client_has_answer(c, 0), 0);
    app_quiet(a);
    assert_int_equal(app_pins_held(a), 0);
    assert_int_equal(app_connections(a), 0);
  }
}

static void a_buffer_that_grew_is_sent_as_it_was(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  uint32_t pin = app_pin_bytes(a, NULL, 20000);
  app_command(a, WH_COMMAND_RESPOND, WH_COMMAND_FLAG_PINNED, r->slot, r->generation, 200, NULL,
              NULL, 0, 10000, pin);
  app_release(r);
  expect_pattern(c, 10000);
}

static void destroying_the_server_releases_all(void **state) {
  (void)state;
  app *a = app_new(NULL, NULL);
  client *clients[4];
  for (size_t i = 0; i < COUNT(clients); i++) {
    clients[i] = client_open(a);
    clients[i]->deaf = 1;
    app_request *r = get(a, clients[i]);
    client_get(clients[i], "/2");
    RUN_UNTIL_REQUESTS(a, a->request_count);
    app_start(r, 200, 0, NULL, -1);
    for (int n = 0; n < 5; n++) app_write_pinned(r, 0, app_pin_bytes(a, NULL, LARGE));
  }
  app_quiet(a);
  for (size_t i = 0; i < a->request_count; i++) {
    app_request *r = app_request_at(a, i);
    if (r->open) app_respond_pinned(r, i % 2 ? RELEASE : 0, app_pin_bytes(a, NULL, 1000));
  }
  app_quiet(a);
  assert_true(app_pins_held(a) > 0);
  app_destroy(a); /* which checks it */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(sends_a_buffer_at_once),
      APP_TEST(sends_a_buffer_in_parts),
      APP_TEST(sends_many_buffers_in_order),
      APP_TEST(releases_when_the_client_goes),
      APP_TEST(releases_what_comes_for_a_connection_just_broken),
      APP_TEST(releases_for_exchanges_that_are_over),
      APP_TEST(releases_in_every_wrong_order),
      APP_TEST(waits_with_a_buffer_for_its_turn),
      APP_TEST(releases_what_waits_for_its_turn_in_vain),
      APP_TEST(a_buffer_that_is_gone_resets_the_connection),
      APP_TEST(a_buffer_that_grew_is_sent_as_it_was),
      cmocka_unit_test(destroying_the_server_releases_all),
  };
  return cmocka_run_group_tests_name("server pinned", tests, NULL, NULL);
}
