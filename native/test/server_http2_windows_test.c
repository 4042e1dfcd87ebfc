/* Windows in both directions, and who waits for them. */
#include "http/http2_session.h"
#include "server/server_internal.h"
#include "support_http2.h"

#define RELEASE WH_COMMAND_FLAG_RELEASE
#define NOTIFY WH_COMMAND_FLAG_NOTIFY

static void expect_pattern(const h2_stream *s, size_t length) {
  assert_int_equal(s->length, length);
  for (size_t i = 0; i < length; i++) assert_int_equal(s->body[i], pattern_byte(i));
}

static app_request *ask(app *a, h2 *h, uint32_t *id, const char *method, int end_stream) {
  size_t number = a->request_count;
  *id = h2_request(h, method, "/", NULL, end_stream);
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static void an_answer_waits_for_its_windows(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10);
  app_request *r = ask(a, h, &id, "GET", 1);
  uint8_t *body = pattern_bytes(100000);
  app_respond(r, 200, RELEASE, NULL, body, 100000);
  RUN_UNTIL(a, h2_seen(h, id)->length == 10);
  app_quiet(a);
  assert_int_equal(h2_seen(h, id)->length, 10);
  h2_window(h, id, 5);
  RUN_UNTIL(a, h2_seen(h, id)->length == 15);
  h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000);
  RUN_UNTIL(a, h2_seen(h, id)->length == 1005);
  h2_window(h, id, 200000);
  RUN_UNTIL(a, h2_seen(h, id)->length == 65535);
  app_quiet(a);
  assert_int_equal(h2_seen(h, id)->length, 65535);
  h2_window(h, 0, 200000);
  h2_expect(h, id, 200, NULL);
  expect_pattern(h2_seen(h, id), 100000);
  free(body);
  h2_free(h);
}

/* A window that falls below 0 while its stream waits for the connection's. */
static void a_window_may_fall_below_nothing(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t one, two;
  app_request *r = ask(a, h, &one, "GET", 1), *s = ask(a, h, &two, "GET", 1);
  uint8_t *body = pattern_bytes(300000);
  app_start(s, 200, 0, NULL, -1);
  app_write(s, 0, body, 100);
  app_respond(r, 200, RELEASE, NULL, body, 65435);
  RUN_UNTIL(a, h2_done(h, one));
  app_write(s, 0, body + 100, 250000); /* its own window is open, the connection's is not */
  app_end(s, RELEASE);
  app_quiet(a);
  assert_int_equal(h2_seen(h, two)->length, 100);
  for (uint32_t below = 1; below < 12; below++) {
    h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 100 - below);
    h2_window(h, 0, 1000);
    app_quiet(a);
    assert_int_equal(h2_seen(h, two)->length, 100);
  }
  h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
  h2_window(h, two, 1000000);
  h2_window(h, 0, 1000000);
  h2_expect(h, two, 200, NULL);
  expect_pattern(h2_seen(h, two), 250100);
  free(body);
  h2_free(h);
}

static void who_waits_for_room_hears_when_windows_open(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = ask(a, h, &id, "GET", 1);
  uint8_t *body = pattern_bytes(200000);
  app_start(r, 200, 0, NULL, -1);
  app_write(r, NOTIFY, body, 65535 + 40000);
  RUN_UNTIL(a, h2_seen(h, id)->length == 65535);
  app_quiet(a);
  assert_int_equal(r->rooms, 0);
  h2_window(h, 0, 200000);
  h2_window(h, id, 30000);
  RUN_UNTIL(a, r->rooms == 1);
  h2_window(h, id, 30000);
  app_end(r, RELEASE);
  h2_expect(h, id, 200, NULL);
  expect_pattern(h2_seen(h, id), 105535);
  free(body);
  h2_free(h);
}

/* --- in --- */

static void the_client_gets_window_for_what_is_read(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t id;
  app_request *r = ask(a, h, &id, "POST", 0);
  app_quiet(a);
  h2_pump(h);
  uint64_t greeting = h->updates;
  uint8_t *body = pattern_bytes(600000);
  h2_data(h, id, body, 600000, 0);
  app_quiet(a);
  assert_int_equal(h2_seen(h, id)->updates, 0);
  assert_int_equal(r->body_length, 0);
  app_read(r, 1);
  RUN_UNTIL(a, r->body_length == 600000);
  assert_memory_equal(r->body, body, 600000);
  app_quiet(a);
  assert_in_range(h2_seen(h, id)->updates, 300000, 600000);
  assert_in_range(h->updates - greeting, 300000, 600000);
  h2_data(h, id, NULL, 0, 1);
  RUN_UNTIL(a, r->body_complete);
  app_respond_text(r, "ok");
  h2_expect(h, id, 200, "ok");
  free(body);
  h2_free(h);
}

/* Nobody gives the connection's window back for the rest of a frame whose stream was refused. */
static void no_window_is_lost_with_a_stream(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint8_t *body = pattern_bytes(16000);
  app_quiet(a);
  h2_pump(h);
  uint64_t greeting = h->updates;
  for (int i = 0; i < 200; i++) {
    uint32_t id = h2_request(h, "POST", "/", "content-length: 10\n", 0);
    const uint8_t header[9] = {
        16000 >> 8 >> 8,    16000 >> 8 & 255, 16000 & 255, NGHTTP2_DATA, 0, 0, 0,
        (uint8_t)(id >> 8), (uint8_t)id};
    client_send(h->client, header, sizeof header);
    client_send(h->client, body, 100);
    h2_expect_reset(h, id, NGHTTP2_PROTOCOL_ERROR);
    client_send(h->client, body, 15900);
    app_quiet(a);
    app_release(app_request_at(a, (size_t)i));
  }
  assert_int_equal(h2_ended(h), 0);
  assert_true(h->updates - greeting > 200 * 16000 - 1024 * 1024);
  free(body);
  h2_free(h);
}

/* One body that nobody reads does not hold the connection's window for ever. */
static void an_unread_body_holds_its_own_window_only(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  uint32_t one, two;
  app_quiet(a);
  h2_pump(h);
  uint64_t window = 65535 + h->updates, before = h->updates;
  uint8_t *body = pattern_bytes(1000000);
  ask(a, h, &one, "POST", 0);
  size_t held = (size_t)(window * 7 / 10);
  h2_data(h, one, body, held, 0);
  app_request *r = ask(a, h, &two, "POST", 0);
  app_read(r, 1);
  size_t sent = held, got = 0;
  while (got < 2 * (size_t)window) {
    size_t allowed = (size_t)(window + h->updates - before) - sent;
    size_t of_stream = 768 * 1024 + (size_t)h2_seen(h, two)->updates - got;
    if (allowed > of_stream) allowed = of_stream;
    if (allowed > 100000) allowed = 100000;
    assert_true(allowed > 0); /* the client may always go on */
    h2_data(h, two, body, allowed, 0);
    sent += allowed;
    got += allowed;
    RUN_UNTIL(a, r->body_length == got);
    app_quiet(a);
    h2_pump(h);
  }
  free(body);
  h2_free(h);
}

/* Bytes that come one by one cost little more than they are. */
static void kept_bytes_are_put_together(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  h2_sync(h); /* its SETTINGS are acknowledged: what follows takes long on a busy machine */
  uint32_t id;
  app_request *r = ask(a, h, &id, "POST", 0);
  for (size_t i = 0; i < 20000; i++) {
    uint8_t byte = pattern_byte(i);
    h2_data(h, id, &byte, 1, 0);
    if (i % 500 == 0) app_quiet(a);
  }
  app_quiet(a);
  const wh_connection *c = a->server->outbox.connections;
  size_t pieces = 0;
  for (const wh_http2_piece *p = ((wh_http2 *)c->session)->first->in_first; p != NULL;
       p = p->next) {
    pieces++;
  }
  assert_in_range(pieces, 1, 20);
  app_read(r, 1);
  RUN_UNTIL(a, r->body_length == 20000);
  for (size_t i = 0; i < 20000; i++) assert_int_equal(r->body[i], pattern_byte(i));
  h2_data(h, id, NULL, 0, 1);
  RUN_UNTIL(a, r->body_complete);
  app_respond_text(r, "ok");
  h2_expect(h, id, 200, "ok");
  h2_free(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      H2_TEST(an_answer_waits_for_its_windows),
      H2_TEST(a_window_may_fall_below_nothing),
      H2_TEST(who_waits_for_room_hears_when_windows_open),
      H2_TEST(the_client_gets_window_for_what_is_read),
      H2_TEST(no_window_is_lost_with_a_stream),
      H2_TEST(an_unread_body_holds_its_own_window_only),
      H2_TEST(kept_bytes_are_put_together),
  };
  return cmocka_run_group_tests_name("windows of HTTP/2", tests, NULL, NULL);
}
