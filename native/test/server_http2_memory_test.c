/*
 * HTTP/2 without memory. Each scenario runs once for each allocation that it makes, nghttp2's too, and that
 * one fails: whatever the client then gets, nothing crashes, hangs or leaks, and the next client is served.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "support_http2.h"

#define RELEASE WH_COMMAND_FLAG_RELEASE
#define NOTIFY WH_COMMAND_FLAG_NOTIFY

typedef struct scenario {
  const char *name;
  void (*run)(app *a, h2 *h);
  app_handler on_request, on_body;
  uint32_t answers; /* streams that are answered whole when nothing fails */
} scenario;

/* --- what the application does --- */

static void answer_or_release(app *a, app_request *r) {
  if (!r->open) return;
  if (r->aborted)
    app_release(r);
  else
    app_answer_target(a, r);
}

static void echo_or_release(app *a, app_request *r) {
  if (r->open) app_echo(a, r);
}

static void stream_all(app *a, app_request *r) {
  static const char lines[] =
      "X-First: 1\r\nX-Second: with a value that is longer than the first\r\n";
  if (!r->open) return;
  if (r->aborted) {
    app_release(r);
    return;
  }
  if (r->step++ > 0) return;
  app_inform(r, 103, "Link: </x>\r\n");
  app_start(r, 200, 0, lines, -1);
  app_write(r, NOTIFY, BYTES("some bytes"));
  app_write_pinned(r, 0, app_pin_bytes(a, NULL, 40000));
  int file = memfd_create("memory", MFD_CLOEXEC);
  assert_true(file >= 0 && ftruncate(file, 20000) == 0);
  app_file(r, 0, file, 100, 18000);
  app_write(r, 0, BYTES("more bytes"));
  app_trailers(r, RELEASE, "X-Trailer: t\r\n");
}

static void respond_large(app *a, app_request *r) {
  if (!r->open) return;
  uint8_t *body = pattern_bytes(30000);
  if (r->number % 2)
    app_respond(r, 200, RELEASE, "X: y\r\n", body, 30000);
  else
    app_respond_pinned(r, RELEASE, app_pin_bytes(a, body, 30000));
  free(body);
}

static void make_tunnel(app *a, app_request *r) {
  if (!r->open) return;
  if (r->aborted) {
    app_release(r);
  } else if (r->step == 0) {
    r->step = 1;
    r->body_complete = 0;
    app_command(a, WH_COMMAND_UPGRADE, 0, r->slot, r->generation, 200, NULL, NULL, 0, 0, 0);
    app_read(r, 1);
  } else if (r->body_complete) {
    app_write(r, 0, r->body, r->body_length);
    app_end(r, RELEASE);
  }
}

/* --- what the client does --- */

static void get(app *a, h2 *h) {
  (void)a;
  h2_get(h, "/a%20path?query");
}

static void get_many(app *a, h2 *h) {
  (void)a;
  for (int i = 0; i < 20; i++) h2_get(h, "/");
}

static void post(app *a, h2 *h) {
  uint8_t *body = pattern_bytes(50000);
  uint32_t id = h2_request(h, "POST", "/", NULL, 0);
  h2_data(h, id, body, 20000, 0);
  app_quiet(a);
  if (!h2_ended(h)) h2_data(h, id, body + 20000, 29990, 0);
  for (int i = 0; i < 10 && !h2_ended(h); i++) h2_data(h, id, body + i, 1, i == 9);
  free(body);
}

static void post_trailers(app *a, h2 *h) {
  uint32_t id = h2_request(h, "POST", "/", NULL, 0);
  h2_data(h, id, BYTES("body"), 0);
  h2_headers(h, id, "x-trailer: t\nx-other: a value that is rather long, as trailers go\n", 1);
  app_quiet(a);
}

static void send_large_head(app *a, h2 *h) {
  static char lines[25000];
  size_t used = 0;
  (void)a;
  for (int i = 0; i < 20; i++) {
    used += (size_t)sprintf(lines + used, "x-%d: %0900d\n", i, i);
  }
  h2_request(h, "GET", "/%41", lines, 1);
}

static void send_pieces(app *a, h2 *h) {
  size_t length;
  uint8_t *block =
      h2_encode(h, ":method: GET\n:path: /\n:scheme: http\n:authority: h\nx: y\n", &length);
  h2_sync(h); /* nothing may come between its frames */
  h->next_id = 3;
  if (!h2_ended(h)) h2_frame(h, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, block, 3);
  for (size_t i = 3; i < length && !h2_ended(h); i++) {
    h2_frame(h, NGHTTP2_CONTINUATION, i + 1 == length ? NGHTTP2_FLAG_END_HEADERS : 0, 1, block + i,
             1);
    app_quiet(a);
  }
  free(block);
}

static void send_cookies(app *a, h2 *h) {
  (void)a;
  h2_request(h, "GET", "/", "cookie: a=1\ncookie: b=2\npriority: u=1, i\n", 1);
}

static void send_malformed(app *a, h2 *h) {
  (void)a;
  h2_request(h, "GET", "/", "connection: close\n", 1);
  h2_request(h, "GET", "/", "expect: something\n", 1);
  h2_get(h, "/");
}

static void reset(app *a, h2 *h) {
  uint32_t id = h2_request(h, "POST", "/", NULL, 0);
  h2_data(h, id, BYTES("x"), 0);
  app_quiet(a);
  if (!h2_ended(h)) h2_reset(h, id, NGHTTP2_CANCEL);
}

static void tunnel(app *a, h2 *h) {
  h->next_id = 3;
  h2_headers(h, 1, ":method: CONNECT\n:authority: h:80\n", 0);
  app_quiet(a);
  if (!h2_ended(h)) h2_data(h, 1, BYTES("through the tunnel"), 1);
}

static void shut_windows(app *a, h2 *h) {
  h2_setting(h, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 100);
  h2_setting(h, NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 200);
  for (int i = 0; i < 4; i++) h2_get(h, "/");
  app_quiet(a);
  for (uint32_t id = 1; id < 9 && !h2_ended(h); id += 2) h2_window(h, id, 100000);
  if (!h2_ended(h)) h2_window(h, 0, 1000000);
}

static const scenario scenarios[] = {
    {"a request", get, answer_or_release, answer_or_release, 1},
    {"many requests", get_many, answer_or_release, answer_or_release, 20},
    {"a body", post, echo_or_release, echo_or_release, 1},
    {"a body that nobody reads", post, NULL, NULL, 0},
    {"trailers in", post_trailers, echo_or_release, echo_or_release, 1},
    {"a stream", get, stream_all, stream_all, 1},
    {"a large head", send_large_head, answer_or_release, NULL, 1},
    {"a head in pieces", send_pieces, answer_or_release, NULL, 1},
    {"cookies", send_cookies, answer_or_release, NULL, 1},
    {"refusals", send_malformed, answer_or_release, NULL, 2},
    {"a reset", reset, NULL, answer_or_release, 0},
    {"a tunnel", tunnel, make_tunnel, make_tunnel, 1},
    {"shut windows", shut_windows, respond_large, NULL, 4},
};

/* --- the drill --- */

static uint32_t count_answers(h2 *h) {
  uint32_t count = 0;
  h2_pump(h);
  for (size_t i = 0; i < h->stream_count; i++) count += h->streams[i].ended != 0;
  return count;
}

static int all_done(h2 *h) {
  h2_pump(h);
  for (uint32_t id = 1; id < h->next_id; id += 2) {
    if (!h2_done(h, id)) return 0;
  }
  return 1;
}

static int run_scenario(const scenario *s, size_t nth) {
  app *a = h2_app(WH_PROTOCOL_HTTP2, NULL);
  a->on_request = s->on_request;
  a->on_body = s->on_body;
  wh_memory_fail_at(nth);
  h2 *h = h2_open(a);
  s->run(a, h);
  app_quiet(a);
  if (s->on_request != NULL) RUN_UNTIL(a, all_done(h) || h2_ended(h));
  app_quiet(a);
  int has_failed = wh_memory_has_failed();
  wh_memory_fail_at(0);
  if (!has_failed && count_answers(h) != s->answers) {
    fail_msg("%s: %u answers without a failure", s->name, count_answers(h));
  }
  a->on_request = answer_or_release;
  a->on_body = answer_or_release;
  h2 *next = h2_open(a);
  h2_expect(next, h2_get(next, "/next"), 200, "GET /next");
  h2_free(next);
  h2_free(h);
  app_free(a);
  return has_failed;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(scenarios); i++) {
    size_t nth = 0;
    while (run_scenario(&scenarios[i], ++nth)) {
    }
    print_message("  %s: %zu allocations failed\n", scenarios[i].name, nth - 1);
    assert_true(nth > 5);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
  return cmocka_run_group_tests_name("HTTP/2 out of memory", tests, NULL, NULL);
}
