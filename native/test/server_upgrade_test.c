/* Connections that become tunnels: whose bytes are whose, how each side ends, and what is refused. */
#include "support_clock.h"
#include "support_client.h"

#define RELEASE WH_COMMAND_FLAG_RELEASE
#define UPGRADE "GET /u HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
#define CONNECT "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"

static void order(app_request *r, unsigned status, const char *head) {
  app_command(r->app, WH_COMMAND_UPGRADE, 0, r->slot, r->generation, status, head, NULL, 0, 0, 0);
}

static unsigned result_of(const app_request *r) {
  wh_server_commit(r->app->server);
  return r->memory[WH_SLOT_UPGRADE_RESULT];
}

static uint64_t upgraded(const app *a) {
  wh_metrics metrics;
  wh_server_metrics(a->server, &metrics);
  return metrics.upgraded_connections;
}

static app_request *ask(app *a, client *c, const char *text) {
  size_t number = a->request_count;
  client_text(c, text);
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

/* From here on the request's bytes are those of the tunnel. */
static void make_tunnel(app_request *r, unsigned status) {
  order(r, status, status == 101 ? "Upgrade: x\r\n" : "");
  assert_int_equal(result_of(r), WH_UPGRADE_RESULT_DONE);
  r->body_complete = 0;
}

static void expect_bytes(client *c, const char *text) {
  size_t length = strlen(text);
  RUN_UNTIL(c->app, client_waiting(c) >= length);
  assert_memory_equal(c->in + c->taken, text, length);
  c->taken += length;
}

static void expect_head(client *c, int status) {
  client_answer answer = client_take(c, 1);
  assert_int_equal(answer.status, status);
  assert_false(answer.chunked || answer.has_length || answer.close);
  client_answer_free(&answer);
}

static app_request *tunnel(app *a, client *c) {
  app_request *r = ask(a, c, UPGRADE);
  assert_true(r->flags & WH_REQUEST_FLAG_UPGRADE);
  make_tunnel(r, 101);
  expect_head(c, 101);
  return r;
}

static int got(const app_request *r, const char *text) {
  size_t length = strlen(text);
  return r->body_length == length && (length == 0 || memcmp(r->body, text, length) == 0);
}

static void bytes_behind_the_request_come_first(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = ask(a, c, UPGRADE "one GET / HTTP/1.1\r\n\r\n");
  client_text(c, "two");
  app_quiet(a);
  assert_int_equal(r->body_length, 0);
  make_tunnel(r, 101);
  expect_head(c, 101);
  RUN_UNTIL(a, r->body_length >= 22);
  app_read(r, 1);
  client_text(c, "three");
  RUN_UNTIL(a, got(r, "one GET / HTTP/1.1\r\n\r\ntwothree"));
  app_write(r, 0, BYTES("back"));
  expect_bytes(c, "back");
  assert_int_equal(a->request_count, 1);
  app_release(r);
  client_expect_end(c);
}

static void each_side_ends_by_itself(void **state) {
  app *a = *state;
  client *one = client_open(a), *two = client_open(a);
  app_request *r = tunnel(a, one), *s = tunnel(a, two);
  assert_int_equal(upgraded(a), 2);
  app_read(r, 1);
  app_read(s, 1);
  app_write(r, 0, BYTES("bye"));
  app_end(r, 0);
  expect_bytes(one, "bye");
  RUN_UNTIL(a, one->ended);
  client_text(one, "still");
  RUN_UNTIL(a, got(r, "still"));
  app_write(r, 0, BYTES("too late"));
  client_half_close(one);
  RUN_UNTIL(a, r->body_complete);
  RUN_UNTIL(a, app_connections(a) == 1);
  assert_int_equal(client_waiting(one), 0);
  assert_int_equal(r->aborted, 0);
  app_release(r);
  client_half_close(two);
  RUN_UNTIL(a, s->body_complete);
  app_write(s, 0, BYTES("after the end"));
  expect_bytes(two, "after the end");
  app_end(s, RELEASE);
  client_expect_end(two);
  assert_int_equal(upgraded(a), 0);
  assert_int_equal(app_in_use(a), 0);
}

static void a_paused_tunnel_reads_what_was_sent_before_both_ends(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = tunnel(a, c);
  app_end(r, 0);
  RUN_UNTIL(a, c->ended);
  client_text(c, "unread");
  client_half_close(c);
  app_quiet(a);
  assert_int_equal(r->aborted, 0);
  assert_int_equal(r->body_length, 0);
  app_read(r, 1);
  RUN_UNTIL(a, r->body_complete);
  assert_true(got(r, "unread"));
  assert_int_equal(r->aborted, 0);
  app_release(r);
  app_quiet(a);
  assert_int_equal(app_connections(a), 0);
}

static void ends_that_came_early_are_told_late(void **state) {
  app *a = *state;
  client *bare = client_open(a), *more = client_open(a);
  app_request *r = ask(a, bare, UPGRADE), *s = ask(a, more, UPGRADE "tail");
  client_half_close(bare);
  client_half_close(more);
  app_quiet(a);
  make_tunnel(r, 101);
  make_tunnel(s, 101);
  app_read(s, 1);
  RUN_UNTIL(a, r->body_complete && s->body_complete);
  assert_true(got(r, "") && got(s, "tail"));
  app_end(r, RELEASE);
  app_end(s, RELEASE);
  expect_head(bare, 101);
  expect_head(more, 101);
  client_expect_end(bare);
  client_expect_end(more);
}

static void a_reset_is_told_once(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = tunnel(a, c);
  client_reset(c);
  RUN_UNTIL(a, r->aborted == 1);
  app_write(r, WH_COMMAND_FLAG_NOTIFY, BYTES("x"));
  app_end(r, 0);
  app_release(r);
  app_quiet(a);
  assert_int_equal(upgraded(a), 0);
  assert_int_equal(app_in_use(a), 0);
}

static void an_abort_resets(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = tunnel(a, c);
  app_write(r, 0, BYTES("never mind"));
  app_abort(r);
  RUN_UNTIL(a, c->ended);
  assert_int_equal(c->reset, 1);
  assert_int_equal(r->aborted, 0);
  app_release(r);
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
}

static void what_is_left_is_sent_but_not_for_ever(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = tunnel(a, c);
  c->deaf = 1;
  for (int i = 0; i < 200; i++) {
    uint8_t *bytes = pattern_bytes(50000);
    app_write(r, 0, bytes, 50000);
    free(bytes);
    app_step(a, 0);
  }
  app_release(r);
  app_quiet(a);
  assert_int_equal(app_connections(a), 1);
  clock_advance(29000);
  app_quiet(a);
  assert_int_equal(app_connections(a), 1);
  clock_advance(2000);
  app_quiet(a);
  assert_int_equal(app_connections(a), 0);
}

static void room_is_told(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = tunnel(a, c);
  c->deaf = 1;
  size_t sent = 0;
  uint8_t *bytes = pattern_bytes(200 * 50000);
  for (int i = 0; i < 200; i++) {
    app_write(r, i == 199 ? WH_COMMAND_FLAG_NOTIFY : 0, bytes + sent, 50000);
    sent += 50000;
    app_step(a, 0);
  }
  app_quiet(a);
  assert_int_equal(r->rooms, 0);
  c->deaf = 0;
  RUN_UNTIL(a, r->rooms == 1);
  RUN_UNTIL(a, client_waiting(c) == sent);
  assert_memory_equal(c->in + c->taken, bytes, sent);
  c->taken += sent;
  free(bytes);
  uint32_t pin = app_pin_bytes(a, NULL, 100000);
  app_write_pinned(r, 0, pin);
  RUN_UNTIL(a, client_waiting(c) == 100000);
  c->taken += 100000;
  app_release(r);
  client_expect_end(c);
}

static void no_time_of_http_limits_a_tunnel(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = tunnel(a, c);
  app_read(r, 1);
  for (int i = 0; i < 10; i++) {
    clock_advance(100000);
    client_expect_nothing(c);
  }
  client_text(c, "here");
  RUN_UNTIL(a, got(r, "here"));
  app_release(r);
  client_expect_end(c);
}

static void no_rate_limits_a_tunnel(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = tunnel(a, c);
  c->deaf = 1;
  uint8_t *bytes = pattern_bytes(50000);
  for (int i = 0; i < 200; i++) {
    app_write(r, 0, bytes, 50000);
    app_step(a, 0);
  }
  free(bytes);
  for (int i = 0; i < 10; i++) {
    app_quiet(a);
    clock_advance(60000);
  }
  app_quiet(a);
  assert_int_equal(app_connections(a), 1);
  c->deaf = 0;
  RUN_UNTIL(a, client_waiting(c) == 200 * 50000);
  c->taken += 200 * 50000;
  app_command(a, WH_COMMAND_RESPONSE_RATE, 0, r->slot, r->generation, 0, NULL, NULL, 0, 1000, 1001);
  app_command(a, WH_COMMAND_BODY_LIMIT, 0, r->slot, r->generation, 0, NULL, NULL, 0, 0, 0);
  app_command(a, WH_COMMAND_TRAILERS, RELEASE, r->slot, r->generation, 0, "A: b\r\n", NULL, 0, 0,
              0);
  client_expect_end(c);
}

static void misuse_does_nothing(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = ask(a, c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  order(r, 101, NULL);
  assert_int_equal(result_of(r), WH_UPGRADE_RESULT_NONE);
  app_respond_text(r, "plain");
  client_expect(c, 200, "plain");
  r = ask(a, c, UPGRADE);
  order(r, 200, NULL); /* that is for CONNECT */
  assert_int_equal(result_of(r), WH_UPGRADE_RESULT_NONE);
  app_start(r, 200, 0, NULL, 1);
  order(r, 101, NULL);
  assert_int_equal(result_of(r), WH_UPGRADE_RESULT_NONE);
  app_write(r, 0, BYTES("s"));
  app_end(r, RELEASE);
  client_expect(c, 200, "s");
  r = tunnel(a, c);
  order(r, 101, NULL);
  app_respond(r, 200, 0, NULL, BYTES("no"));
  app_start(r, 200, 0, NULL, -1);
  app_inform(r, 103, NULL);
  app_respond_pinned(r, 0, app_pin_bytes(a, NULL, 20000));
  app_quiet(a);
  assert_int_equal(app_pins_held(a), 0);
  app_write(r, 0, BYTES("yes"));
  app_end(r, 0);
  app_write_pinned(r, 0, app_pin_bytes(a, NULL, 20000));
  app_end(r, RELEASE);
  expect_bytes(c, "yes");
  client_expect_end(c);
  assert_int_equal(app_pins_held(a), 0);
}

static void over_the_limit_it_can_still_be_answered(void **state) {
  (void)state;
  wh_limits limits;
  wh_limits_init(&limits);
  limits.max_concurrent_upgraded_connections = 1;
  app *a = app_new(NULL, &limits);
  client *one = client_open(a), *two = client_open(a);
  app_request *r = tunnel(a, one),
              *s = ask(a, two, UPGRADE "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
  order(s, 101, NULL);
  assert_int_equal(result_of(s), WH_UPGRADE_RESULT_LIMIT);
  app_respond(s, 503, RELEASE, NULL, BYTES("full"));
  client_expect(two, 503, "full");
  RUN_UNTIL_REQUESTS(a, 3); /* what stood behind it is a request */
  app_release(r);
  client_expect_end(one);
  app_respond_text(app_request_at(a, 2), "next");
  client_expect(two, 200, "next");
  tunnel(a, two);
  assert_int_equal(upgraded(a), 1);
  app_free(a);
}

static void a_stop_leaves_tunnels_alone(void **state) {
  app *a = *state;
  client *c = client_open(a), *late = client_open(a);
  app_request *r = tunnel(a, c), *s = ask(a, late, UPGRADE);
  wh_server_stop_listening(a->server);
  wh_server_stop(a->server, 60000);
  make_tunnel(s, 101);
  expect_head(late, 101);
  app_write(r, 0, BYTES("going"));
  expect_bytes(c, "going");
  app_end(r, RELEASE);
  client_expect_end(c);
  wh_server_abort(a->server);
  RUN_UNTIL(a, late->ended && s->aborted == 1);
  assert_int_equal(late->reset, 1);
  app_release(s);
  app_quiet(a);
  assert_int_equal(upgraded(a), 0);
}

static void connect_makes_a_tunnel(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = ask(a, c, CONNECT "early");
  order(r, 101, NULL); /* that is for Upgrade */
  assert_int_equal(result_of(r), WH_UPGRADE_RESULT_NONE);
  make_tunnel(r, 299);
  client_answer answer = client_take(c, 1);
  assert_int_equal(answer.status, 299);
  assert_null(strstr(answer.head, "Connection"));
  client_answer_free(&answer);
  RUN_UNTIL(a, got(r, "early"));
  app_release(r);
  client_expect_end(c);
}

static void connect_is_never_answered_2xx_without_a_tunnel(void **state) {
  app *a = *state;
  client *clients[4];
  app_request *requests[4];
  for (int i = 0; i < 4; i++) {
    clients[i] = client_open(a);
    requests[i] = ask(a, clients[i], CONNECT);
  }
  app_respond_text(requests[0], "hello");
  app_respond_pinned(requests[1], RELEASE, app_pin_bytes(a, NULL, 50000));
  app_start(requests[2], 200, 0, NULL, 70000);
  app_write_pinned(requests[2], WH_COMMAND_FLAG_NOTIFY, app_pin_bytes(a, NULL, 70000));
  RUN_UNTIL(a, requests[2]->aborted == 1); /* it waits for nothing */
  assert_int_equal(requests[2]->aborted_status, 405);
  app_end(requests[2], RELEASE);
  app_respond(requests[3], 502, RELEASE, NULL, BYTES("no"));
  for (int i = 0; i < 3; i++) {
    client_expect_line(clients[i], 405, "Allow: ");
    client_expect_end(clients[i]);
  }
  client_expect_line(clients[3], 502, "Connection: close");
  client_expect_end(clients[3]);
  assert_int_equal(app_pins_held(a), 0);
  client *body = client_open(a);
  client_text(body, "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\nContent-Length: 1\r\n\r\nx");
  client_expect_refusal(body, 400);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(bytes_behind_the_request_come_first),
      APP_TEST(each_side_ends_by_itself),
      APP_TEST(a_paused_tunnel_reads_what_was_sent_before_both_ends),
      APP_TEST(ends_that_came_early_are_told_late),
      APP_TEST(a_reset_is_told_once),
      APP_TEST(an_abort_resets),
      APP_TEST(what_is_left_is_sent_but_not_for_ever),
      APP_TEST(room_is_told),
      APP_TEST(no_time_of_http_limits_a_tunnel),
      APP_TEST(no_rate_limits_a_tunnel),
      APP_TEST(misuse_does_nothing),
      cmocka_unit_test(over_the_limit_it_can_still_be_answered),
      APP_TEST(a_stop_leaves_tunnels_alone),
      APP_TEST(connect_makes_a_tunnel),
      APP_TEST(connect_is_never_answered_2xx_without_a_tunnel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
