/*
 * The border to the application: commands that make no sense do no harm, more events than fit are handed
 * over all the same, and what the memory must be.
 */
#include <stdio.h>

#include "server/server_internal.h"
#include "support_clock.h"
#include "support_client.h"

#define H "Host: h\r\n"
#define RELEASE WH_COMMAND_FLAG_RELEASE

static app_request *get(app *a, client *c) {
  size_t number = a->request_count;
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static void wrong_addresses_reach_nobody(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  static const uint32_t slots[] = {1, 63, 64, 65, 1000000, 0x7fffffff, 0xffffffff};
  for (unsigned kind = 0; kind < 12; kind++) {
    for (size_t i = 0; i < COUNT(slots); i++) {
      app_command(a, kind, 0, slots[i], r->generation, 200, "X: y\r\n", BYTES("abcd"), 4, 0);
    }
    for (uint32_t off = 1; off < 4; off++) {
      app_command(a, kind, 0, r->slot, r->generation + off, 200, NULL, NULL, 0, 0, 0);
      app_command(a, kind, 0, r->slot, r->generation - off, 200, NULL, NULL, 0, 0, 0);
      app_command(a, kind, 0, r->slot, 0, 200, NULL, NULL, 0, 0, 0);
    }
  }
  client_expect_nothing(c);
  app_respond_text(r, "the right one");
  client_expect(c, 200, "the right one");
}

static void a_request_that_has_no_body_yet_reads_nothing(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_read(r, 1);
  app_read(r, 0);
  app_quiet(a);
  client_get(c, "/next"); /* it reads on all the same */
  RUN_UNTIL_REQUESTS(a, 2);
  app_respond_text(app_request_at(a, 1), "2");
  app_respond_text(r, "1");
  client_expect(c, 200, "1");
  client_expect(c, 200, "2");
}

static void an_old_generation_reaches_nobody(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  uint32_t slot = r->slot, generation = r->generation;
  app_respond_text(r, "old");
  client_expect(c, 200, "old");
  r = get(a, c);
  assert_int_equal(r->slot, slot);
  assert_int_not_equal(r->generation, generation);
  app_command(a, WH_COMMAND_RESPOND, 0, slot, generation, 200, NULL, BYTES("wrong"), 5, 0);
  app_command(a, WH_COMMAND_RELEASE, 0, slot, generation, 0, NULL, NULL, 0, 0, 0);
  app_command(a, WH_COMMAND_ABORT, 0, slot, generation, 0, NULL, NULL, 0, 0, 0);
  client_expect_nothing(c);
  app_respond_text(r, "new");
  client_expect(c, 200, "new");
}

static void orders_in_the_wrong_state_are_dropped(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_write(r, 0, BYTES("before"));
  app_end(r, 0);
  app_quiet(a);
  assert_int_equal(client_waiting(c), 0);
  app_start(r, 200, 0, NULL, -1);
  app_start(r, 500, 0, NULL, -1);
  app_respond(r, 500, 0, NULL, BYTES("no"));
  app_write(r, 0, BYTES("yes"));
  app_inform(r, 103, "Link: <a>\r\n");
  app_end(r, 0);
  app_end(r, 0);
  app_write(r, 0, BYTES("after"));
  app_respond(r, 500, 0, NULL, BYTES("no"));
  app_start(r, 500, 0, NULL, -1);
  app_abort(r);
  client_expect(c, 200, "yes");
  client_expect_nothing(c);
  uint32_t slot = r->slot, generation = r->generation;
  app_release(r);
  app_command(a, WH_COMMAND_RELEASE, 0, slot, generation, 0, NULL, NULL, 0, 0, 0);
  app_command(a, WH_COMMAND_RESPOND, 0, slot, generation, 200, NULL, BYTES("x"), 1, 0);
  client_expect_nothing(c);
  assert_int_equal(app_in_use(a), 0);
}

/* A release with an order that does not end the answer: as if it came right behind. */
static void a_release_with_any_order_is_a_release(void **state) {
  app *a = *state;
  static const unsigned kinds[] = {WH_COMMAND_START,
                                   WH_COMMAND_WRITE,
                                   WH_COMMAND_END,
                                   WH_COMMAND_READ,
                                   WH_COMMAND_PAUSE,
                                   WH_COMMAND_INFORM,
                                   WH_COMMAND_ABORT,
                                   0,
                                   200};
  for (size_t i = 0; i < COUNT(kinds); i++) {
    client *c = client_open(a);
    app_request *r = get(a, c);
    app_command(a, kinds[i], RELEASE, r->slot, r->generation, 103, NULL, NULL, 0, 0, 0);
    r->open = 0;
    a->by_slot[r->slot] = NULL;
    RUN_UNTIL(a, c->ended); /* nobody will answer */
    app_quiet(a);
    assert_int_equal(app_in_use(a), 0);
  }
  client *c = client_open(a);
  app_request *r = get(a, c);
  app_start(r, 200, 0, NULL, -1);
  app_respond(r, 200, RELEASE, NULL, BYTES("x"));
  RUN_UNTIL(a, c->ended);
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
}

static void lengths_beyond_the_buffer_end_the_reading(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = get(a, c);
  uint32_t words[WH_COMMAND_WORDS] = {WH_COMMAND_RESPOND, r->slot, r->generation, 200U << 20, 0, 0};
  static const uint32_t bad[][2] = {
      {0, 1}, {0, 0xffffffff}, {0xfffff, 0}, {1, 0}, {0xfffff, 0xffffffff}};
  for (size_t i = 0; i < COUNT(bad); i++) {
    words[3] = 200U << 20 | bad[i][0];
    words[4] = bad[i][1];
    app_raw_commands(a, words, sizeof words);
    client_expect_nothing(c);
    assert_int_equal(a->memory.control[WH_CONTROL_COMMAND_LENGTH], 0);
  }
  /* Less than a whole command, or a length that no buffer has. */
  app_raw_commands(a, words, 20);
  app_quiet(a);
  a->memory.control[WH_CONTROL_COMMAND_LENGTH] = 3;
  app_quiet(a);
  memset(a->memory.commands, 0, a->memory.command_size);
  a->memory.control[WH_CONTROL_COMMAND_LENGTH] = 0xffffffff;
  app_quiet(a);
  memset(a->memory.commands, 0xff, a->memory.command_size);
  a->memory.control[WH_CONTROL_COMMAND_LENGTH] = (uint32_t)a->memory.command_size;
  app_quiet(a);
  client_expect_nothing(c);
  app_respond_text(r, "fine");
  client_expect(c, 200, "fine");
}

/* Bytes without sense, as they would come from a bug above: no crash, and the server goes on. */
static void garbage_does_no_harm(void **state) {
  app *a = *state;
  uint32_t seed = 12345;
  a->garbage = 1;
  for (int round = 0; round < 400; round++) {
    client *c = client_open(a);
    client_get(c, "/1");
    client_text(c, "GET /2 HTTP/1.1\r\n" H "\r\nPOST /3 HTTP/1.1\r\n" H
                   "Content-Length: 9\r\n\r\nabc");
    size_t number = a->request_count;
    RUN_UNTIL_REQUESTS(a, number + 2);
    for (int n = 0; n < 40; n++) {
      uint32_t words[WH_COMMAND_WORDS + 16];
      for (size_t i = 0; i < COUNT(words); i++) {
        seed = seed * 1664525 + 1013904223;
        words[i] = seed ^ seed >> 15;
      }
      app_request *r = app_request_at(a, number + (words[6] & 1));
      uint32_t flags = words[7] & 0xffffff & ~(uint32_t)WH_COMMAND_FLAG_PINNED;
      if (words[8] % 8 != 0) flags &= ~(uint32_t)WH_COMMAND_FLAG_RELEASE;
      words[0] = words[0] % 11 | flags << 8;
      if (words[9] % 4 != 0) {
        words[1] = r->slot;
        words[2] = r->generation;
      }
      words[3] = (words[3] & 0xfff00000) | words[3] % 32;
      if (words[10] % 4 != 0) words[4] %= 32;
      app_raw_commands(a, words, sizeof words);
      if (n % 10 == 0) app_step(a, 0);
    }
    app_step(a, 0);
    client_close(c);
    /* Whatever became of them, from here on they are over. */
    for (size_t i = number; i < a->request_count; i++) {
      if (app_request_at(a, i)->open) app_release(app_request_at(a, i));
    }
  }
  app_quiet(a);
  client *c = client_open(a);
  app_respond_text(get(a, c), "still here");
  client_expect(c, 200, "still here");
}

static void commands_may_be_committed_within_a_batch(void **state) {
  app *a = *state;
  client *c = client_open(a);
  /* Together more than the buffer holds: app_command commits when it is full. */
  a->on_request = app_echo;
  a->on_body = app_echo;
  uint8_t *body = pattern_bytes(100000);
  for (int i = 0; i < 10; i++) {
    client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n");
    client_send(c, body, 100000);
  }
  for (int i = 0; i < 10; i++) {
    client_answer answer = client_take(c, 0);
    assert_int_equal(answer.length, 100000);
    assert_memory_equal(answer.body, body, 100000);
    client_answer_free(&answer);
  }
  free(body);
  assert_true(a->memory.control[WH_CONTROL_EPOCH] > 0);
}

/* --- more events than fit --- */

static void more_events_than_fit_are_handed_over_in_order(void **state) {
  app *a = *state;
  client *clients[30];
  for (size_t i = 0; i < COUNT(clients); i++) {
    clients[i] = client_open(a);
    for (int n = 0; n < 64; n++) client_get(clients[i], "/");
  }
  RUN_UNTIL_REQUESTS(a, 30 * 64);
  size_t before = a->events;
  wh_server_abort(
      a->server); /* 1,920 requests are aborted at once; there is room for 1,024 events */
  assert_int_equal(a->server->event_count + a->server->overflow_count, 30 * 64);
  app_quiet(a);
  assert_int_equal(a->events - before, 30 * 64);
  for (size_t i = 0; i < a->request_count; i++) assert_int_equal(app_request_at(a, i)->aborted, 1);
}

/* The handler commits within the batch, and what that brings goes behind the batch. */
static void answer_and_commit(app *a, app_request *r) {
  app_respond(r, 200, WH_COMMAND_FLAG_WANT_ENDED, NULL, BYTES("x"));
  wh_server_commit(a->server);
}

static void events_that_come_of_a_batch_follow_it(void **state) {
  app *a = *state;
  client *clients[30];
  a->on_request = answer_and_commit;
  for (size_t i = 0; i < COUNT(clients); i++) {
    clients[i] = client_open(a);
    for (int n = 0; n < 64; n++) client_get(clients[i], "/");
  }
  for (size_t i = 0; i < COUNT(clients); i++) {
    for (int n = 0; n < 64; n++) client_expect(clients[i], 200, "x");
  }
  app_quiet(a);
  for (size_t i = 0; i < a->request_count; i++) assert_int_equal(app_request_at(a, i)->ended, 1);
}

/* Requests that waited until their connections had room again come all in one round. */
static void many_connections_that_go_on_at_once(void **state) {
  app *a = *state;
  client *clients[40];
  for (size_t i = 0; i < COUNT(clients); i++) {
    clients[i] = client_open(a);
    client_get(clients[i], "/first");
  }
  RUN_UNTIL_REQUESTS(a, 40);
  for (size_t i = 0; i < COUNT(clients); i++) {
    client_text(clients[i], "DELETE /second HTTP/1.1\r\n" H "\r\n");
    for (int n = 0; n < 64; n++) client_get(clients[i], "/third");
  }
  app_quiet(a);
  assert_int_equal(a->request_count, 40);
  for (size_t i = 0; i < 40; i++) app_respond_text(app_request_at(a, i), "1");
  RUN_UNTIL_REQUESTS(a, 80);
  for (size_t i = 40; i < 80; i++) app_respond_text(app_request_at(a, i), "2");
  RUN_UNTIL_REQUESTS(a, 80 + 40 * 64);
  for (size_t i = 80; i < a->request_count; i++) app_respond_text(app_request_at(a, i), "3");
  for (size_t i = 0; i < COUNT(clients); i++) {
    client_expect(clients[i], 200, "1");
    client_expect(clients[i], 200, "2");
    for (int n = 0; n < 64; n++) client_expect(clients[i], 200, "3");
  }
}

/* What waited of several connections is more than the arena has at once. */
static void much_that_waited_goes_on_in_turns(void **state) {
  app *a = *state;
  client *clients[6];
  uint8_t *body = pattern_bytes(30000);
  for (size_t i = 0; i < COUNT(clients); i++) {
    clients[i] = client_open(a);
    client_get(clients[i], "/first");
  }
  RUN_UNTIL_REQUESTS(a, COUNT(clients));
  for (size_t i = 0; i < COUNT(clients); i++) {
    client_text(clients[i], "POST /second HTTP/1.1\r\n" H "Content-Length: 30000\r\n\r\n");
    client_send(clients[i], body, 30000);
    client_get(clients[i], "/third");
  }
  app_quiet(a);
  a->on_request = a->on_body = app_echo;
  for (size_t i = 0; i < COUNT(clients); i++) app_respond_text(app_request_at(a, i), "1");
  for (size_t i = 0; i < COUNT(clients); i++) {
    client_expect(clients[i], 200, "1");
    client_expect(clients[i], 200, (char *)body);
    client_expect(clients[i], 200, "");
  }
  free(body);
}

/* The server ends all connections while their requests are being handled. */
static void abort_and_answer(app *a, app_request *r) {
  app_start(r, 200, 0, NULL, -1);
  wh_server_abort(a->server);
  app_write(r, 0, BYTES("x"));
  app_write_pinned(r, 0, app_pin_bytes(a, NULL, 100000));
  app_end(r, RELEASE);
}

static void all_may_be_aborted_within_a_batch(void **state) {
  app *a = *state;
  client *clients[5];
  for (size_t i = 0; i < COUNT(clients); i++) {
    clients[i] = client_open(a);
    client_get(clients[i], "/1");
    client_get(clients[i], "/2");
  }
  a->on_request = abort_and_answer;
  for (size_t i = 0; i < COUNT(clients); i++) RUN_UNTIL(a, clients[i]->ended);
  app_quiet(a);
  assert_int_equal(app_connections(a), 0);
  assert_int_equal(app_pins_held(a), 0);
  assert_int_equal(app_in_use(a), 0);
}

/* As many as the limit allows, all answered before their turn but the first. */
static void a_thousand_answers_that_waited_leave_at_once(void **state) {
  (void)state;
  wh_limits limits;
  wh_limits_init(&limits);
  limits.max_pipelined_requests = 1024;
  app *a = app_new(NULL, &limits);
  client *c = client_open(a);
  for (int i = 0; i < 1024; i++) client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 1024);
  for (size_t i = 1024; i-- > 0;) {
    char text[16];
    snprintf(text, sizeof text, "%zu", i);
    app_respond_text(app_request_at(a, i), text);
  }
  for (size_t i = 0; i < 1024; i++) {
    char text[16];
    snprintf(text, sizeof text, "%zu", i);
    client_expect(c, 200, text);
  }
  app_free(a);
}

/* --- memory --- */

static void wants_enough_memory(void **state) {
  (void)state;
  static uint8_t arena[65536], commands[4096];
  static uint32_t events[1024 * WH_EVENT_WORDS], control[WH_CONTROL_WORDS];
  wh_memory good = {arena, sizeof arena, events, 1024, commands, sizeof commands, control};
  wh_limits limits;
  wh_limits_init(&limits);
  static const wh_host none;
  for (int i = 0; i < 8; i++) {
    wh_memory memory = good;
    wh_server *server = NULL;
    if (i == 1) memory.arena = NULL;
    if (i == 2) memory.arena_size = 65535;
    if (i == 3) memory.events = NULL;
    if (i == 4) memory.event_room = 1023;
    if (i == 5) memory.commands = NULL;
    if (i == 6) memory.command_size = 4095;
    if (i == 7) memory.control = NULL;
    int error = wh_server_create(&memory, &limits, &none, NULL, &server);
    assert_int_equal(error, i == 0 ? WH_OK : WH_ERR_INVALID_ARGUMENT);
    wh_server_destroy(server);
  }
}

static void works_with_a_large_arena(void **state) {
  (void)state;
  static const app_options large = {
      .arena_size = 1 << 20, .event_room = 4096, .command_size = 1 << 20};
  app *a = app_new(&large, NULL);
  a->on_request = a->on_body = app_echo;
  uint8_t *body = pattern_bytes(400000);
  client *clients[10];
  for (size_t i = 0; i < COUNT(clients); i++) {
    clients[i] = client_open(a);
    client_text(clients[i], "POST / HTTP/1.1\r\n" H "Content-Length: 400000\r\n\r\n");
    client_send(clients[i], body, 400000);
  }
  for (size_t i = 0; i < COUNT(clients); i++) {
    client_answer answer = client_take(clients[i], 0);
    assert_int_equal(answer.length, 400000);
    assert_memory_equal(answer.body, body, 400000);
    client_answer_free(&answer);
  }
  free(body);
  app_free(a);
}

/* A host that has no slab to give: the client is told, and the next one is served. */
static void answers_503_without_slots(void **state) {
  app *a = *state;
  a->slabs_fail = 1;
  client *c = client_open(a);
  client_get(c, "/");
  client_expect_refusal(c, 503);
  a->slabs_fail = 0;
  a->on_request = app_answer_target;
  c = client_open(a);
  client_get(c, "/");
  client_expect(c, 200, NULL);
  a->slabs_fail = 1; /* a large head needs another slot */
  c = client_open(a);
  client_text(c, "GET / HTTP/1.1\r\n" H "X: ");
  uint8_t *large = pattern_bytes(5000);
  client_send(c, large, 5000);
  client_text(c, "\r\n\r\n");
  client_expect_refusal(c, 503);
  free(large);
  a->slabs_fail = 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(wrong_addresses_reach_nobody),
      APP_TEST(a_request_that_has_no_body_yet_reads_nothing),
      APP_TEST(an_old_generation_reaches_nobody),
      APP_TEST(orders_in_the_wrong_state_are_dropped),
      APP_TEST(a_release_with_any_order_is_a_release),
      APP_TEST(lengths_beyond_the_buffer_end_the_reading),
      APP_TEST(garbage_does_no_harm),
      APP_TEST(commands_may_be_committed_within_a_batch),
      APP_TEST(more_events_than_fit_are_handed_over_in_order),
      APP_TEST(events_that_come_of_a_batch_follow_it),
      APP_TEST(many_connections_that_go_on_at_once),
      APP_TEST(much_that_waited_goes_on_in_turns),
      APP_TEST(all_may_be_aborted_within_a_batch),
      cmocka_unit_test(a_thousand_answers_that_waited_leave_at_once),
      cmocka_unit_test(wants_enough_memory),
      cmocka_unit_test(works_with_a_large_arena),
      APP_TEST(answers_503_without_slots),
  };
  return cmocka_run_group_tests_name("server commands", tests, NULL, NULL);
}
