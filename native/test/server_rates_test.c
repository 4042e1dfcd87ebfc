/* Least data rates: of bodies that the application reads, and of answers that clients take. */
#include "support_clock.h"
#include "support_client.h"

#define H "Host: h\r\n"
#define LARGE ((size_t)64 << 20)

/* A request whose body of 1,000,000 bytes the application reads, and of which nothing has come. */
static app_request *open_upload(app *a, client *c) {
  size_t number = a->request_count;
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 1000000\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, number + 1);
  app_request *r = app_request_at(a, number);
  app_read(r, 1);
  app_quiet(a);
  return r;
}

static void send_bytes(client *c, size_t length) {
  char bytes[8192];
  memset(bytes, 'x', sizeof bytes);
  while (length > 0) {
    size_t piece = length < sizeof bytes ? length : sizeof bytes;
    client_send(c, bytes, piece);
    length -= piece;
  }
}

static void a_body_that_stops_is_answered_408(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = open_upload(a, c);
  clock_advance(4900);
  app_quiet(a);
  assert_int_equal(r->aborted, 0);
  clock_advance(200);
  client_expect_refusal(c, 408);
  assert_int_equal(r->aborted, 1);
  assert_int_equal(r->aborted_status, 408);
}

static void a_slow_body_that_keeps_the_rate_goes_on(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = open_upload(a, c);
  for (int i = 0; i < 20; i++) { /* 300 bytes a second */
    send_bytes(c, 600);
    app_quiet(a);
    clock_advance(2000);
    app_quiet(a);
  }
  assert_int_equal(r->aborted, 0);
  assert_int_equal(r->body_length, 20 * 600);
  for (int i = 0; i < 6 && r->aborted == 0; i++) { /* 200 bytes a second */
    send_bytes(c, 400);
    app_quiet(a);
    clock_advance(2000);
    app_quiet(a);
  }
  assert_int_equal(r->aborted_status, 408);
}

static void a_fast_start_buys_no_time(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = open_upload(a, c);
  send_bytes(c, 900000);
  RUN_UNTIL(a, r->body_length == 900000);
  clock_advance(5100);
  app_quiet(a);
  assert_int_equal(r->aborted, 0); /* this window was good */
  clock_advance(5100);
  app_quiet(a);
  assert_int_equal(r->aborted_status, 408);
}

static void time_in_which_the_application_is_behind_does_not_count(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = open_upload(a, c);
  clock_advance(3000);
  app_quiet(a);
  app_read(r, 0);
  app_quiet(a);
  for (int i = 0; i < 10; i++) {
    clock_advance(10000);
    app_quiet(a);
  }
  assert_int_equal(r->aborted, 0);
  app_read(r, 1);
  app_quiet(a);
  clock_advance(1800);
  app_quiet(a);
  assert_int_equal(r->aborted, 0);
  clock_advance(300); /* what was left of the window when it paused */
  app_quiet(a);
  assert_int_equal(r->aborted_status, 408);
}

static void a_body_that_nobody_reads_has_no_rate(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 1000\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 1);
  clock_advance(60000);
  app_quiet(a);
  assert_int_equal(app_request_at(a, 0)->aborted, 0);
  app_respond_text(app_request_at(a, 0), "done");
  client_expect(c, 200, "done");
}

static void the_next_body_has_its_own_window(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = open_upload(a, c);
  send_bytes(c, 1000000);
  RUN_UNTIL(a, r->body_complete);
  app_respond_text(r, "one");
  client_expect(c, 200, "one");
  clock_advance(60000);
  app_quiet(a);
  r = open_upload(a, c);
  clock_advance(4900);
  app_quiet(a);
  assert_int_equal(r->aborted, 0);
  clock_advance(200);
  client_expect_refusal(c, 408);
}

static void an_answer_that_has_started_is_cut(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = open_upload(a, c);
  app_start(r, 200, 0, "", -1);
  app_write(r, 0, "begun", 5);
  app_quiet(a);
  clock_advance(5100);
  RUN_UNTIL(a, c->reset);
  assert_int_equal(r->aborted, 1);
}

static void set_rate(app_request *r, unsigned command, uint32_t bytes, uint32_t grace) {
  app_command(r->app, command, 0, r->slot, r->generation, 0, NULL, NULL, 0, bytes, grace);
}

static void a_request_may_have_a_rate_of_its_own(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = open_upload(a, c);
  set_rate(r, WH_COMMAND_REQUEST_RATE, 0, 5000); /* none */
  app_quiet(a);
  clock_advance(60000);
  app_quiet(a);
  assert_int_equal(r->aborted, 0);
  set_rate(r, WH_COMMAND_REQUEST_RATE, 10000, 2000);
  app_quiet(a);
  clock_advance(2100);
  client_expect_refusal(c, 408);
}

/* --- answers --- */

static app_request *open_download(app *a, client *c) {
  size_t number = a->request_count;
  c->deaf = 1;
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, number + 1);
  app_request *r = app_request_at(a, number);
  app_respond_pinned(r, 0, app_pin_bytes(a, NULL, LARGE));
  app_release(r);
  app_quiet(a);
  return r;
}

static void a_client_that_takes_nothing_is_cut(void **state) {
  app *a = *state;
  client *c = client_open(a), *other = client_open(a);
  open_download(a, c);
  clock_advance(4900);
  app_quiet(a);
  assert_int_equal(app_connections(a), 2);
  clock_advance(200);
  RUN_UNTIL(a, app_connections(a) == 1);
  c->deaf = 0;
  RUN_UNTIL(a, c->ended);
  assert_int_equal(c->reset, 1);
  a->on_request = app_answer_target;
  client_get(other, "/alive");
  client_expect(other, 200, NULL);
}

/* Takes so many bytes, whatever they are. */
static void take_bytes(app *a, client *c, size_t length) {
  size_t before = c->in_length;
  c->deaf = 0;
  RUN_UNTIL(a, c->in_length >= before + length);
  c->deaf = 1;
}

static void a_client_that_takes_enough_is_not(void **state) {
  app *a = *state;
  client *c = client_open(a);
  open_download(a, c);
  for (int i = 0; i < 3; i++) {
    clock_advance(4000);
    app_quiet(a);
    take_bytes(a, c, 8 << 20); /* more than the system buffers for it: so the window opens */
    app_quiet(a);
  }
  assert_int_equal(app_connections(a), 1);
  clock_advance(5100);
  app_quiet(a);
  clock_advance(5100);
  RUN_UNTIL(a, app_connections(a) == 0);
}

static void no_rate_waits_for_ever(void **state) {
  (void)state;
  wh_limits limits;
  wh_limits_init(&limits);
  limits.min_response_rate = WH_UNLIMITED;
  limits.min_request_rate = WH_UNLIMITED;
  app *a = app_new(NULL, &limits);
  client *c = client_open(a), *up = client_open(a);
  open_download(a, c);
  app_request *r = open_upload(a, up);
  for (int i = 0; i < 10; i++) {
    clock_advance(10000);
    app_quiet(a);
  }
  assert_int_equal(app_connections(a), 2);
  assert_int_equal(r->aborted, 0);
  app_free(a);
}

static void an_answer_may_have_a_rate_of_its_own(void **state) {
  app *a = *state;
  client *c = client_open(a);
  c->deaf = 1;
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  set_rate(r, WH_COMMAND_RESPONSE_RATE, 0, 5000);
  app_start(r, 200, 0, "", -1);
  app_write_pinned(r, 0, app_pin_bytes(a, NULL, LARGE));
  app_quiet(a);
  for (int i = 0; i < 10; i++) {
    clock_advance(10000);
    app_quiet(a);
  }
  assert_int_equal(app_connections(a), 1);
  set_rate(r, WH_COMMAND_RESPONSE_RATE, 100, 1500);
  app_quiet(a);
  clock_advance(1600);
  RUN_UNTIL(a, app_connections(a) == 0);
  assert_int_equal(r->aborted, 1);
}

static void requests_sent_ahead_and_answers_not_read_end(void **state) {
  app *a = *state;
  a->on_request = app_answer_target;
  client *c = client_open(a);
  c->deaf = 1;
  static const char request[] = "GET / HTTP/1.1\r\n" H "\r\n";
  for (int i = 0; i < 60000; i++) client_send(c, request, sizeof request - 1);
  app_quiet(a);
  size_t served = a->request_count;
  assert_true(served < 60000); /* it stops reading while the answers wait */
  clock_advance(5100);
  RUN_UNTIL(a, app_connections(a) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(a_body_that_stops_is_answered_408),
      APP_TEST(a_slow_body_that_keeps_the_rate_goes_on),
      APP_TEST(a_fast_start_buys_no_time),
      APP_TEST(time_in_which_the_application_is_behind_does_not_count),
      APP_TEST(a_body_that_nobody_reads_has_no_rate),
      APP_TEST(the_next_body_has_its_own_window),
      APP_TEST(an_answer_that_has_started_is_cut),
      APP_TEST(a_request_may_have_a_rate_of_its_own),
      APP_TEST(a_client_that_takes_nothing_is_cut),
      APP_TEST(a_client_that_takes_enough_is_not),
      cmocka_unit_test(no_rate_waits_for_ever),
      APP_TEST(an_answer_may_have_a_rate_of_its_own),
      APP_TEST(requests_sent_ahead_and_answers_not_read_end),
  };
  return cmocka_run_group_tests_name("server rates", tests, NULL, NULL);
}
