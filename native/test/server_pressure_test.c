/* Clients that take their answers slowly, or never: the application is told when there is room, and
   memory stays bounded. */
#include "support_client.h"

#include "server/server_internal.h"

#define H "Host: h\r\n"
#define RELEASE WH_COMMAND_FLAG_RELEASE
#define NOTIFY WH_COMMAND_FLAG_NOTIFY

static app_request *get(app *a, client *c) {
  size_t number = a->request_count;
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

/* Bytes that wait in all connections of the server. */
static size_t queued(const app *a) {
  size_t sum = 0;
  for (const wh_connection *c = a->server->outbox.connections; c != NULL; c = c->next) {
    sum += wh_connection_queued(c);
  }
  return sum;
}

static void tells_at_once_when_there_is_room(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_start(r, 200, 0, NULL, -1);
  app_write(r, NOTIFY, BYTES("x"));
  RUN_UNTIL(a, r->rooms == 1);
  app_quiet(a);
  assert_int_equal(r->rooms, 1); /* once */
  app_write(r, NOTIFY, BYTES("y"));
  RUN_UNTIL(a, r->rooms == 2);
  app_end(r, RELEASE);
  client_expect(c, 200, "xy");
}

/* Writes 32 KiB whenever there is room. */
static void write_when_room(app *a, app_request *r) {
  static const uint8_t piece[32768];
  (void)a;
  if (r->aborted) {
    if (r->open) app_release(r);
  } else if (r->rooms == r->step) {
    r->step++;
    app_write(r, NOTIFY, piece, sizeof piece);
  }
}

static void a_writer_waits_for_a_slow_client(void **state) {
  app *a = *state;
  client *c = client_open(a);
  c->deaf = 1;
  app_request *r = get(a, c);
  a->on_body = write_when_room;
  app_start(r, 200, 0, NULL, -1);
  write_when_room(a, r);
  app_quiet(a);
  int rooms = r->rooms;
  assert_true(rooms > 2);
  assert_in_range(queued(a), 1, WH_QUEUE_HIGH + 2 * 32768);
  app_quiet(a);
  assert_int_equal(r->rooms, rooms);
  c->deaf = 0;
  RUN_UNTIL(a, r->rooms > rooms + 20);
  a->on_body = NULL;
  app_end(r, RELEASE);
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.length, (size_t)r->step * 32768);
  client_answer_free(&answer);
}

static void a_writer_hears_of_it_when_the_client_goes(void **state) {
  app *a = *state;
  client *c = client_open(a);
  c->deaf = 1;
  app_request *r = get(a, c);
  a->on_body = write_when_room;
  app_start(r, 200, 0, NULL, -1);
  write_when_room(a, r);
  app_quiet(a);
  client_reset(c);
  RUN_UNTIL(a, r->aborted == 1);
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
}

/* Before its turn there is no room; at its turn the application must hear of it. */
static void a_writer_before_its_turn_waits_and_is_not_forgotten(void **state) {
  app *a = *state;
  client *c = client_open(a);
  client_get(c, "/0");
  client_get(c, "/1");
  RUN_UNTIL_REQUESTS(a, 2);
  app_request *first = app_request_at(a, 0), *second = app_request_at(a, 1);
  app_start(second, 200, 0, NULL, -1);
  app_write(second, NOTIFY, BYTES("a"));
  app_quiet(a);
  assert_int_equal(second->rooms, 0);
  assert_int_equal(first->rooms, 0);
  app_respond_text(first, "first");
  RUN_UNTIL(a, second->rooms == 1);
  app_write(second, 0, BYTES("b"));
  app_end(second, RELEASE);
  client_expect(c, 200, "first");
  client_expect(c, 200, "ab");
}

/* The same with a client that takes neither answer at first. */
static void room_before_its_turn_and_a_slow_client(void **state) {
  app *a = *state;
  client *c = client_open(a);
  c->deaf = 1;
  client_get(c, "/0");
  client_get(c, "/1");
  RUN_UNTIL_REQUESTS(a, 2);
  app_request *first = app_request_at(a, 0), *second = app_request_at(a, 1);
  app_start(second, 200, 0, NULL, -1);
  app_write(second, NOTIFY, BYTES("a"));
  app_respond_pinned(first, RELEASE, app_pin_bytes(a, NULL, 8000000));
  app_quiet(a);
  assert_int_equal(second->rooms, 0);
  c->deaf = 0;
  RUN_UNTIL(a, second->rooms == 1);
  app_end(second, RELEASE);
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.length, 8000000);
  client_answer_free(&answer);
  client_expect(c, 200, "a");
}

static void answer_large(app *a, app_request *r) {
  (void)a;
  static uint8_t body[60000];
  memset(body, 'x', sizeof body);
  app_respond(r, 200, RELEASE, NULL, body, sizeof body);
}

/* A client that asks and asks and reads nothing must not fill our memory with answers. */
static void a_client_that_reads_nothing_is_not_read_from(void **state) {
  app *a = *state;
  client *c = client_open(a);
  a->on_request = answer_large;
  c->deaf = 1;
  size_t most = 0, asked = 4000;
  for (size_t i = 0; i < asked; i++) {
    client_get(c, "/");
    if (i % 100 == 0) app_quiet(a);
    if (queued(a) > most) most = queued(a);
  }
  app_quiet(a);
  if (queued(a) > most) most = queued(a);
  assert_true(a->request_count < asked);
  /* 64 answers at once are possible, and what was there before. */
  assert_in_range(most, 1, 66 * 61000 + WH_QUEUE_HIGH);
  /* And none is lost. */
  c->deaf = 0;
  for (size_t i = 0; i < asked; i++) {
    client_answer answer = client_take(c, 0);
    assert_int_equal(answer.length, 60000);
    client_answer_free(&answer);
  }
  assert_int_equal(a->request_count, asked);
}

/* The same for requests that run one at a time. */
static void a_client_that_posts_and_reads_nothing_is_not_read_from(void **state) {
  app *a = *state;
  client *c = client_open(a);
  a->on_request = answer_large;
  c->deaf = 1;
  size_t most = 0, asked = 1000;
  for (size_t i = 0; i < asked; i++) {
    client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
    if (i % 100 == 0) app_quiet(a);
    if (queued(a) > most) most = queued(a);
  }
  app_quiet(a);
  assert_true(a->request_count < asked);
  assert_in_range(most, 1, 2 * 61000 + WH_QUEUE_HIGH);
  client_half_close(c); /* all the same each is answered */
  c->deaf = 0;
  for (size_t i = 0; i < asked; i++) {
    client_answer answer = client_take(c, 0);
    assert_int_equal(answer.length, 60000);
    client_answer_free(&answer);
  }
  client_expect_end(c);
}

static void a_client_that_reads_nothing_can_go(void **state) {
  app *a = *state;
  a->on_request = answer_large;
  for (int reset = 0; reset < 2; reset++) {
    client *c = client_open(a);
    c->deaf = 1;
    for (size_t i = 0; i < 500; i++) client_get(c, "/");
    app_quiet(a);
    assert_true(queued(a) > 0);
    if (reset)
      client_reset(c);
    else
      client_close(c);
    RUN_UNTIL(a, app_connections(a) == 0);
    assert_int_equal(queued(a), 0);
  }
}

/* A slow answer must not keep the rest of the body from being taken. */
static void a_body_is_read_while_the_answer_waits(void **state) {
  app *a = *state;
  client *c = client_open(a);
  c->deaf = 1;
  uint8_t *body = pattern_bytes(900000);
  client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 900000\r\n\r\n");
  RUN_UNTIL_REQUESTS(a, 1);
  app_request *r = app_request_at(a, 0);
  app_respond_pinned(r, RELEASE, app_pin_bytes(a, NULL, 8000000));
  app_quiet(a);
  client_send(c, body, 900000);
  app_quiet(a);
  assert_int_equal(c->sent, c->out_length); /* drained */
  c->deaf = 0;
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.length, 8000000);
  client_answer_free(&answer);
  free(body);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(tells_at_once_when_there_is_room),
      APP_TEST(a_writer_waits_for_a_slow_client),
      APP_TEST(a_writer_hears_of_it_when_the_client_goes),
      APP_TEST(a_writer_before_its_turn_waits_and_is_not_forgotten),
      APP_TEST(room_before_its_turn_and_a_slow_client),
      APP_TEST(a_client_that_reads_nothing_is_not_read_from),
      APP_TEST(a_client_that_posts_and_reads_nothing_is_not_read_from),
      APP_TEST(a_client_that_reads_nothing_can_go),
      APP_TEST(a_body_is_read_while_the_answer_waits),
  };
  return cmocka_run_group_tests_name("server pressure", tests, NULL, NULL);
}
