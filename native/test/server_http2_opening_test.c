/* What a cleartext connection speaks is told by its first bytes, however they are cut; and batches. */
#include <stdio.h>
#include <sys/socket.h>

#include "server/server_internal.h"
#include "support_http2.h"

#define RELEASE WH_COMMAND_FLAG_RELEASE
#define BOTH (WH_PROTOCOL_HTTP1 | WH_PROTOCOL_HTTP2)

static int both_setup(void **state) {
  app *a = h2_app(BOTH, NULL);
  a->on_request = app_answer_target;
  *state = a;
  return 0;
}
#define BOTH_TEST(name) cmocka_unit_test_setup_teardown(name, both_setup, app_teardown)

/* Sends in two pieces, of which the first arrives alone. */
static void send_cut(client *c, const uint8_t *bytes, size_t length, size_t cut) {
  uint64_t before = c->app->server->outbox.bytes_received;
  client_send(c, bytes, cut);
  if (cut > 0) RUN_UNTIL(c->app, c->app->server->outbox.bytes_received >= before + cut);
  client_send(c, bytes + cut, length - cut);
}

static void a_preface_cut_anywhere_is_http2(void **state) {
  app *a = *state;
  for (size_t cut = 0; cut < 45; cut++) {
    h2 *h = h2_open_bare(a);
    static const char start[] = H2_PREFACE "\0\0\0\4\0\0\0\0\0";
    static const char get[] = "\0\0\4\1\5\0\0\0\1\x82\x86\x84\x01\x00";
    uint8_t bytes[64];
    memcpy(bytes, start, sizeof start - 1);
    memcpy(bytes + sizeof start - 1, get, 13);
    bytes[sizeof start - 1 + 2] = 3;
    send_cut(h->client, bytes, sizeof start - 1 + 12, cut);
    h->next_id = 3;
    h2_expect(h, 1, 200, "GET /");
    assert_int_equal(a->requests[a->request_count - 1]->version, 20);
    client_close(h->client);
    h2_free(h);
  }
}

static void a_request_of_http1_cut_anywhere_is_http1(void **state) {
  app *a = *state;
  static const char *const requests[] = {
      "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "PRIVATE /x HTTP/1.1\r\nHost: h\r\n\r\n",
      "P / HTTP/1.1\r\nHost: h\r\n\r\n", "PRI /other HTTP/1.1\r\nHost: h\r\n\r\n",
      "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"};
  for (size_t i = 0; i < COUNT(requests); i++) {
    size_t length = strlen(requests[i]);
    for (size_t cut = 0; cut < length; cut++) {
      client *c = client_open(a);
      send_cut(c, (const uint8_t *)requests[i], length, cut);
      client_expect(c, 200, NULL);
      assert_int_equal(a->requests[a->request_count - 1]->version, 11);
      client_get(c, "/again");
      client_expect(c, 200, "GET /again");
      client_close(c);
    }
  }
}

static void a_preface_that_goes_wrong_is_refused(void **state) {
  app *a = *state;
  for (size_t at = 14; at < 24; at++) {
    client *c = client_open(a);
    char bytes[] = H2_PREFACE;
    bytes[at] ^= 1;
    for (size_t i = 0; i < 24; i++) {
      if (c->ended) break;
      client_send(c, bytes + i, 1);
      app_step(a, 1);
    }
    client_half_close(c);
    RUN_UNTIL(a, c->ended);
    int is_http1 = memcmp(c->in, "HTTP/1.1 ", 9) == 0 && c->in[9] >= '4';
    assert_true(is_http1 || memcmp(c->in + 9, "\0\0\x08\x07", 4) == 0 ||
                memcmp(c->in, "\0\0\x08\x07", 4) == 0);
    client_close(c);
  }
  assert_int_equal(a->request_count, 0);
}

static void where_http2_alone_is_spoken_others_are_told(void **state) {
  app *a = *state;
  static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                                      "PRI * HTTP/1.1\r\n\r\n"};
  for (size_t i = 0; i < COUNT(texts); i++) {
    client *c = client_open(a);
    client_text(c, texts[i]);
    RUN_UNTIL(a, c->ended);
    assert_memory_equal(c->in, "HTTP/1.1 400 Bad Request\r\n", 26);
    client_close(c);
  }
  h2 *h = h2_open_bare(a);
  client_send(h->client, BYTES("\x16\3\1\2\0\1\0\1\xfc\3\3"));
  h2_expect_goaway(h, NGHTTP2_PROTOCOL_ERROR);
  h2_free(h);
  assert_int_equal(a->request_count, 0);
}

/* --- batches --- */

static void streams_of_one_read_are_one_batch_and_one_send(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  a->on_request = app_answer_target;
  h2_sync(h);
  size_t batches = a->batches;
  uint32_t ids[50];
  for (int i = 0; i < 50; i++) ids[i] = h2_get(h, "/");
  while (h->client->sent < h->client->out_length) client_pump(h->client);
  /* Whatever one send brought is there at once. */
  RUN_UNTIL(a, client_waiting(h->client) > 0);
  h2_pump(h);
  size_t done = 0;
  for (int i = 0; i < 50; i++) done += h2_done(h, ids[i]) != 0;
  assert_int_equal(done, 50);
  assert_int_equal(a->batches, batches + 1);
  assert_int_equal(a->request_count, 50);
  h2_free(h);
}

/* --- heads --- */

static void expect_refused(app *a, h2 *h, const char *lines, int status) {
  size_t number = a->request_count;
  uint32_t id = h2_request(h, "GET", "/", lines, 1);
  h2_expect(h, id, status, NULL);
  assert_int_equal(a->request_count, number);
}

static void expect_malformed(app *a, h2 *h, const char *lines) {
  size_t number = a->request_count;
  uint32_t id = h->next_id;
  h->next_id += 2;
  h2_headers(h, id, lines, 1);
  h2_expect_reset(h, id, NGHTTP2_PROTOCOL_ERROR);
  assert_int_equal(a->request_count, number);
}

static void heads_that_are_too_large_get_431(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  a->on_request = app_answer_target;
  char *lines = malloc(60000);
  size_t used = 0;
  snprintf(lines, 60000, "x: %033000d\n", 1);
  expect_refused(a, h, lines, 431);
  for (int i = 0; i < 101; i++) used += (size_t)snprintf(lines + used, 60000 - used, "x: y\n");
  expect_refused(a, h, lines, 431);
  used = 0;
  for (int i = 0; i < 50; i++) {
    used += (size_t)snprintf(lines + used, 60000 - used, "x%d: %0800d\n", i, i);
  }
  expect_refused(a, h, lines, 431);
  h2_expect(h, h2_get(h, "/alive"), 200, "GET /alive");
  snprintf(lines, 60000, "/%09000d", 1);
  uint32_t id = h2_get(h, lines);
  h2_expect(h, id, 414, NULL);
  free(lines);
  h2_free(h);
}

#define HEAD ":method: GET\n:scheme: http\n:path: /\n:authority: h\n"

static void malformed_requests_cost_their_stream_only(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  a->on_request = app_answer_target;
  static const char *const heads[] = {
      ":method: GET\n:scheme: http\n",
      ":method: GET\n:scheme: http\n:path: \n:authority: h\n",
      ":method: \n:scheme: http\n:path: /\n",
      ":scheme: http\n:path: /\n:authority: h\n",
      ":method: GET\n:path: /\n:authority: h\n",
      HEAD ":path: /\n",
      HEAD ":unknown: x\n",
      HEAD "x: y\n:method: GET\n",
      ":authority: \nx: y\n:method: GET\n:scheme: http\n:path: /\n",
      ":path: \n:authority: \nx: y\n:method: GET\n:scheme: http\n",
      "x: y\n" HEAD,
      HEAD "Upper: case\n",
      HEAD "connection: close\n",
      HEAD "keep-alive: 1\n",
      HEAD "proxy-connection: close\n",
      HEAD "transfer-encoding: chunked\n",
      HEAD "upgrade: x\n",
      HEAD "te: gzip\n",
      HEAD "host: other\n",
      HEAD "content-length: 3\n",
      HEAD "content-length: x\n",
      HEAD "x: \x01\n",
      HEAD "x y: z\n",
      ":method: CONNECT\n:scheme: http\n:path: /\n:authority: h:1\n",
      ":method: CONNECT\n:authority: nonsense\n",
      ":method: GET\n:protocol: websocket\n:scheme: http\n:path: /\n:authority: h\n",
  };
  for (size_t i = 0; i < COUNT(heads); i++) expect_malformed(a, h, heads[i]);
  h2_expect(h, h2_get(h, "/alive"), 200, "GET /alive");
  assert_int_equal(app_in_use(a), 0);
  h2_free(h);
}

static void what_is_said_again_means_the_same(void **state) {
  app *a = *state;
  h2 *h = h2_open(a);
  a->on_request = app_answer_target;
  for (int i = 0; i < 300; i++) {
    char path[20], lines[100];
    snprintf(path, sizeof path, "/%d", i % 7);
    snprintf(lines, sizeof lines, "cookie: a=%d\ncookie: b=2\nx-%d: %d\n", i % 3, i % 5, i % 2);
    char expected[30];
    snprintf(expected, sizeof expected, "GET %s", path);
    h2_expect(h, h2_request(h, "GET", path, lines, 1), 200, expected);
    if (i % 40 == 20) h2_setting(h, NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, i % 80 == 20 ? 0 : 4096);
    if (i % 40 == 20) nghttp2_hd_inflate_change_table_size(h->inflater, i % 80 == 20 ? 0 : 4096);
  }
  h2_free(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH_TEST(a_preface_cut_anywhere_is_http2),
      BOTH_TEST(a_request_of_http1_cut_anywhere_is_http1),
      BOTH_TEST(a_preface_that_goes_wrong_is_refused),
      H2_TEST(where_http2_alone_is_spoken_others_are_told),
      H2_TEST(streams_of_one_read_are_one_batch_and_one_send),
      H2_TEST(heads_that_are_too_large_get_431),
      H2_TEST(malformed_requests_cost_their_stream_only),
      H2_TEST(what_is_said_again_means_the_same),
  };
  return cmocka_run_group_tests_name("openings and heads of HTTP/2", tests, NULL, NULL);
}
