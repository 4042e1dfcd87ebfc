/* CONNECT and extended CONNECT over HTTP/2: whose bytes are whose, and how each side ends. */
#include <stdio.h>

#include "support_http2.h"

#define RELEASE WH_COMMAND_FLAG_RELEASE
#define CONNECT ":method: CONNECT\n:authority: h:80\n"

static unsigned upgrade(app_request *r, unsigned status) {
  app_command(r->app, WH_COMMAND_UPGRADE, 0, r->slot, r->generation, status, NULL, NULL, 0, 0, 0);
  wh_server_commit(r->app->server);
  return r->memory[WH_SLOT_UPGRADE_RESULT];
}

static app_request *ask(app *a, h2 *h, uint32_t *id) {
  size_t number = a->request_count;
  *id = h->next_id;
  h->next_id += 2;
  h2_headers(h, *id, CONNECT, 0);
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static app_request *tunnel(app *a, h2 *h, uint32_t *id) {
  app_request *r = ask(a, h, id);
  assert_true(r->flags & WH_REQUEST_FLAG_UPGRADE);
  assert_int_equal(upgrade(r, 200), WH_UPGRADE_RESULT_DONE);
  r->body_complete = 0;
  RUN_UNTIL(a, h2_seen(h, *id)->status == 200);
  return r;
}

static uint64_t upgraded(const app *a) {
  wh_metrics metrics;
  wh_server_metrics(a->server, &metrics);
  return metrics.upgraded_connections;
}

static int got(const app_request *r, const char *text) {
  size_t length = strlen(text);
  return r->body_length == length && (length == 0 || memcmp(r->body, text, length) == 0);
}

static int came(h2 *h, uint32_t id, const char *text) {
  const h2_stream *s = h2_seen(h, id);
  size_t length = strlen(text);
  return s->length == length && (length == 0 || memcmp(s->body, text, length) == 0);
}

static void bytes_go_both_ways(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = ask(a, h, &id);
  h2_data(h, id, BYTES("before "), 0);
  app_quiet(a);
  assert_int_equal(upgrade(r, 200), WH_UPGRADE_RESULT_DONE);
  r->body_complete = 0;
  app_read(r, 1);
  h2_data(h, id, BYTES("after"), 0);
  RUN_UNTIL(a, got(r, "before after"));
  app_write(r, 0, BYTES("back"));
  RUN_UNTIL(a, came(h, id, "back"));
  assert_int_equal(upgraded(a), 1);
  char *length = h2_field(h2_seen(h, id), "content-length");
  assert_null(length);
  app_release(r);
  h2_expect_reset(h, id, NGHTTP2_NO_ERROR);
  assert_int_equal(h2_seen(h, id)->ended, 1);
  app_quiet(a);
  assert_int_equal(upgraded(a), 0);
  h2_free(h);
}

static void the_client_ends_first(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = tunnel(a, h, &id);
  app_read(r, 1);
  h2_data(h, id, BYTES("bye"), 1);
  RUN_UNTIL(a, got(r, "bye") && r->body_complete);
  app_write(r, 0, BYTES("still here"));
  RUN_UNTIL(a, came(h, id, "still here"));
  app_end(r, RELEASE);
  RUN_UNTIL(a, h2_done(h, id));
  assert_int_equal(h2_seen(h, id)->ended, 1);
  app_quiet(a);
  assert_int_equal(h2_seen(h, id)->reset, 0);
  assert_int_equal(r->aborted, 0);
  assert_int_equal(upgraded(a), 0);
  h2_free(h);
}

static void the_application_ends_first(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = tunnel(a, h, &id);
  app_write(r, 0, BYTES("bye"));
  app_end(r, 0);
  RUN_UNTIL(a, h2_seen(h, id)->ended);
  app_write(r, 0, BYTES("too late"));
  app_end(r, 0);
  h2_data(h, id, BYTES("one"), 0);
  app_quiet(a);
  assert_true(got(r, ""));
  app_read(r, 1); /* it may still read, and stop, and go on */
  RUN_UNTIL(a, got(r, "one"));
  app_read(r, 0);
  app_quiet(a);
  h2_data(h, id, BYTES("two"), 0);
  app_quiet(a);
  assert_true(got(r, "one"));
  app_read(r, 1);
  RUN_UNTIL(a, got(r, "onetwo"));
  h2_data(h, id, NULL, 0, 1);
  RUN_UNTIL(a, r->body_complete);
  app_quiet(a);
  assert_true(came(h, id, "bye"));
  assert_int_equal(r->aborted, 0);
  assert_int_equal(upgraded(a), 0);
  app_release(r);
  h2_free(h);
}

static void what_waits_is_read_after_both_ends(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = tunnel(a, h, &id);
  h2_data(h, id, BYTES("unread"), 1);
  app_quiet(a);
  app_end(r, 0);
  RUN_UNTIL(a, h2_seen(h, id)->ended);
  app_quiet(a);
  assert_int_equal(r->body_complete, 0);
  app_read(r, 1);
  RUN_UNTIL(a, got(r, "unread") && r->body_complete);
  app_quiet(a);
  assert_int_equal(upgraded(a), 0);
  app_release(r);
  uint32_t next = h2_get(h, "/");
  a->on_request = app_answer_target;
  h2_expect(h, next, 200, "GET /");
  h2_free(h);
}

/* What was written goes out before the end, though the application is gone already. */
static void an_end_with_release_sends_what_waits(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 3);
  app_request *r = tunnel(a, h, &id);
  app_read(r, 1);
  app_write(r, 0, BYTES("last words"));
  app_end(r, RELEASE);
  RUN_UNTIL(a, came(h, id, "las"));
  h2_data(h, id, BYTES("nobody hears this"), 0);
  app_quiet(a);
  assert_int_equal(h2_seen(h, id)->reset, 0);
  h2_window(h, id, 100);
  h2_expect_reset(h, id, NGHTTP2_NO_ERROR);
  assert_int_equal(h2_seen(h, id)->ended, 1);
  assert_true(came(h, id, "last words"));
  assert_true(got(r, ""));
  app_quiet(a);
  assert_int_equal(upgraded(a), 0);
  assert_int_equal(app_in_use(a), 0);
  h2_free(h);
}

/* The same in two orders. */
static void a_release_behind_the_end_sends_what_waits(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 3);
  app_request *r = tunnel(a, h, &id);
  app_write(r, 0, BYTES("last words"));
  app_end(r, 0);
  RUN_UNTIL(a, came(h, id, "las"));
  app_release(r);
  app_quiet(a);
  h2_window(h, id, 100);
  h2_expect_reset(h, id, NGHTTP2_NO_ERROR);
  assert_true(came(h, id, "last words"));
  app_quiet(a);
  assert_int_equal(upgraded(a), 0);
  assert_int_equal(app_in_use(a), 0);
  h2_free(h);
}

static void a_second_end_may_release(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = tunnel(a, h, &id);
  app_end(r, 0);
  RUN_UNTIL(a, h2_seen(h, id)->ended);
  app_end(r, RELEASE);
  h2_expect_reset(h, id, NGHTTP2_NO_ERROR);
  app_quiet(a);
  assert_int_equal(upgraded(a), 0);
  assert_int_equal(app_in_use(a), 0);
  h2_free(h);
}

/* Nor does it have to say that its side ends. */
static void a_release_sends_what_waits(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 3);
  app_request *r = tunnel(a, h, &id);
  app_read(r, 1);
  app_write(r, 0, BYTES("last words"));
  app_release(r);
  h2_data(h, id, BYTES("nobody hears this"), 0);
  app_quiet(a);
  assert_int_equal(h2_seen(h, id)->reset, 0);
  h2_window(h, id, 100);
  h2_expect_reset(h, id, NGHTTP2_NO_ERROR);
  assert_int_equal(h2_seen(h, id)->ended, 1);
  assert_true(came(h, id, "last words"));
  assert_true(got(r, ""));
  /* And where it has said so before, but the client does not wait for it. */
  r = tunnel(a, h, &id);
  app_write(r, 0, BYTES("last words"));
  app_end(r, 0);
  app_quiet(a);
  app_release(r);
  app_quiet(a);
  h2_reset(h, id, NGHTTP2_CANCEL);
  RUN_UNTIL(a, upgraded(a) == 0);
  assert_int_equal(app_in_use(a), 0);
  h2_free(h);
}

static void resets_and_aborts_end_both_sides(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t one, two, three;
  app_request *r = tunnel(a, h, &one), *s = tunnel(a, h, &two), *t = tunnel(a, h, &three);
  h2_data(h, one, BYTES("kept"), 0);
  h2_reset(h, one, NGHTTP2_NO_ERROR);
  RUN_UNTIL(a, r->aborted);
  app_write(r, 0, BYTES("deaf"));
  app_end(r, RELEASE);
  app_abort(s);
  app_release(s);
  h2_expect_reset(h, two, NGHTTP2_INTERNAL_ERROR);
  app_end(t, 0);
  RUN_UNTIL(a, h2_seen(h, three)->ended);
  h2_data(h, three, BYTES("kept"), 0);
  app_quiet(a);
  h2_reset(h, three, NGHTTP2_NO_ERROR);
  RUN_UNTIL(a, t->aborted);
  app_release(t);
  app_quiet(a);
  assert_int_equal(upgraded(a), 0);
  h2_free(h);
}

static void what_is_no_tunnel_is_answered(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = ask(a, h, &id);
  assert_int_equal(upgrade(r, 101), WH_UPGRADE_RESULT_NONE);
  app_respond(r, 403, RELEASE, NULL, BYTES("no"));
  h2_expect(h, id, 403, "no");
  /* Its client has ended it already. */
  id = h->next_id;
  h->next_id += 2;
  h2_headers(h, id, CONNECT, 1);
  RUN_UNTIL_REQUESTS(a, 2);
  r = app_request_at(a, 1);
  assert_false(r->flags & WH_REQUEST_FLAG_UPGRADE);
  assert_int_equal(upgrade(r, 200), WH_UPGRADE_RESULT_NONE);
  app_respond(r, 400, RELEASE, NULL, BYTES(""));
  h2_expect(h, id, 400, "");
  h2_free(h);
}

/* A 2xx would say that there is a tunnel. */
static void what_makes_no_tunnel_is_refused(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = ask(a, h, &id);
  app_respond(r, 200, RELEASE, NULL, BYTES("no tunnel"));
  h2_expect(h, id, 405, "");
  char *allow = h2_field(h2_seen(h, id), "allow");
  assert_non_null(allow);
  assert_string_equal(allow, "");
  free(allow);
  r = ask(a, h, &id);
  app_command(a, WH_COMMAND_START, 0, r->slot, r->generation, 204, NULL, NULL, 0, 0, 0);
  wh_server_commit(a->server);
  h2_expect(h, id, 405, "");
  RUN_UNTIL(a, r->aborted);
  app_write(r, 0, BYTES("no tunnel"));
  app_end(r, RELEASE);
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
  h2_free(h);
}

static void names_of_protocols_are_checked(void **state) {
  static const char *const wrong[] = {"a b", "a/", "/a", "a/b/c", "", "(", "\xc3\xbc"};
  app *a = *state;
  h2 *h = h2_open(a);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    char head[128];
    uint32_t id = h->next_id;
    h->next_id += 2;
    snprintf(head, sizeof head,
             ":method: CONNECT\n:protocol: %s\n:scheme: http\n:path: /\n:authority: h\n", wrong[i]);
    h2_headers(h, id, head, 0);
    h2_expect_reset(h, id, NGHTTP2_PROTOCOL_ERROR);
  }
  h2_free(h);
}

static void extended_connect(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id = h->next_id;
  h->next_id += 2;
  h2_headers(h, id,
             ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:path: /chat?x\n"
             ":authority: h\n",
             0);
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  assert_string_equal(r->path, "/chat");
  uint32_t place;
  memcpy(&place, r->memory + WH_SLOT_CONNECT_PROTOCOL, sizeof place);
  assert_int_equal(place >> 24, 9);
  assert_memory_equal(r->memory + (place & 0xFFFFFF), "websocket", 9);
  assert_true(r->flags & WH_REQUEST_FLAG_UPGRADE);
  assert_int_equal(upgrade(r, 200), WH_UPGRADE_RESULT_DONE);
  r->body_complete = 0;
  app_read(r, 1);
  app_write(r, 0, BYTES("a"));
  h2_data(h, id, BYTES("b"), 1);
  RUN_UNTIL(a, got(r, "b") && r->body_complete);
  app_trailers(r, RELEASE, "X: no place\r\n");
  h2_expect(h, id, 200, "a");
  assert_null(h2_seen(h, id)->trailers);
  h2_free(h);
}

static void there_is_a_limit(void **state) {
  wh_limits limits;
  wh_limits_init(&limits);
  limits.max_concurrent_upgraded_connections = 1;
  app *a = h2_app(WH_PROTOCOL_HTTP2, &limits);
  h2 *h = h2_open(a);
  uint32_t one, two;
  (void)state;
  app_request *r = tunnel(a, h, &one), *s = ask(a, h, &two);
  assert_int_equal(upgrade(s, 200), WH_UPGRADE_RESULT_LIMIT);
  app_respond(s, 503, RELEASE, NULL, BYTES(""));
  h2_expect(h, two, 503, "");
  client_reset(h->client);
  RUN_UNTIL(a, r->aborted);
  assert_int_equal(upgraded(a), 0);
  h2_free(h);
  app_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      H2_TEST(bytes_go_both_ways),
      H2_TEST(the_client_ends_first),
      H2_TEST(the_application_ends_first),
      H2_TEST(what_waits_is_read_after_both_ends),
      H2_TEST(an_end_with_release_sends_what_waits),
      H2_TEST(a_release_behind_the_end_sends_what_waits),
      H2_TEST(a_second_end_may_release),
      H2_TEST(a_release_sends_what_waits),
      H2_TEST(resets_and_aborts_end_both_sides),
      H2_TEST(what_is_no_tunnel_is_answered),
      H2_TEST(what_makes_no_tunnel_is_refused),
      H2_TEST(names_of_protocols_are_checked),
      H2_TEST(extended_connect),
      cmocka_unit_test(there_is_a_limit),
  };
  return cmocka_run_group_tests_name("tunnels of HTTP/2", tests, NULL, NULL);
}
