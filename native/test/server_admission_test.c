/* Limits on connections and gates before endpoints, with the clock in the test's hand. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>

#include "base/memory.h"
#include "server/server_internal.h"
#include "support_clock.h"
#include "support_client.h"

#define V1 "PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"
#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

static wh_networks networks(const char *text) {
  wh_networks list;
  const char *bad, *why;
  size_t length;
  assert_int_equal(wh_networks_parse(text, strlen(text), &list, &bad, &length, &why), WH_OK);
  return list;
}

static wh_gate proxy_gate(int required) {
  return (wh_gate){
      .proxies = networks("127.0.0.1"), .reads_proxy = 1, .requires_proxy = (uint8_t)required};
}

static app *gated_app(wh_gate gate, const wh_limits *limits) {
  static const app_options options = {.no_listen = 1};
  app *a = app_new(&options, limits);
  a->on_request = app_answer_target;
  assert_int_equal(app_listen_gated(a, "http://127.0.0.1:0", &gate), WH_OK);
  return a;
}

static wh_metrics metrics_of(const app *a) {
  wh_metrics metrics;
  wh_server_metrics(a->server, &metrics);
  return metrics;
}

/* --- the limit --- */

static app *limited_app(int64_t most, int close) {
  wh_limits limits;
  wh_limits_init(&limits);
  limits.max_concurrent_connections = most;
  limits.close_over_limit = (uint8_t)close;
  app *a = app_new(&(app_options){0}, &limits);
  a->on_request = app_answer_target;
  return a;
}

static void rejected_ones_are_answered_and_do_not_count(void **state) {
  (void)state;
  app *a = limited_app(1, 0);
  client *inside = client_open(a);
  client_get(inside, "/in");
  client_expect(inside, 200, "GET /in");
  for (int i = 0; i < 3; i++) {
    client *outside = client_open(a);
    client_text(outside, GET);
    client_expect_line(outside, 503, "Retry-After: 5");
    assert_int_equal(metrics_of(a).connections, 1);
  }
  assert_int_equal(metrics_of(a).rejected_connections, 3);
  client_get(inside, "/still");
  client_expect(inside, 200, "GET /still");
  app_free(a);
}

static void rejected_ones_that_linger_end_in_time(void **state) {
  (void)state;
  app *a = limited_app(1, 0);
  client *inside = client_open(a);
  client_get(inside, "/in");
  client_expect(inside, 200, "GET /in");
  client *outside = client_open(a);
  RUN_UNTIL(a, a->server->admission.rejecting == 1 && client_has_answer(outside, 0));
  app_quiet(a);
  assert_int_equal(app_connections(a), 2);
  clock_advance(2100);
  RUN_UNTIL(a, app_connections(a) == 1);
  app_free(a);
}

static void a_flood_holds_a_bounded_number(void **state) {
  (void)state;
  app *a = limited_app(1, 0);
  client *inside = client_open(a);
  client_get(inside, "/in");
  client_expect(inside, 200, "GET /in");
  client *flood[300];
  for (size_t i = 0; i < COUNT(flood); i++) {
    flood[i] = client_open(a);
    flood[i]->deaf = 1; /* neither reads nor closes */
  }
  RUN_UNTIL(a, metrics_of(a).rejected_connections == COUNT(flood));
  assert_int_equal(app_connections(a), 1 + WH_REJECTED_MOST);
  client_get(inside, "/still");
  client_expect(inside, 200, "GET /still");
  clock_advance(2100);
  RUN_UNTIL(a, app_connections(a) == 1);
  app_free(a);
}

static void rejected_ones_may_just_be_closed(void **state) {
  (void)state;
  app *a = limited_app(1, 1);
  client *inside = client_open(a);
  client_get(inside, "/in");
  client_expect(inside, 200, "GET /in");
  client_expect_end(client_open(a));
  assert_int_equal(app_connections(a), 1);
  app_free(a);
}

/* --- PROXY headers --- */

static void headers_and_requests_may_be_cut_anywhere(void **state) {
  (void)state;
  static const char bytes[] = V1 "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi" GET;
  app *a = gated_app(proxy_gate(1), NULL);
  a->on_body = app_echo;
  a->on_request = app_echo;
  for (size_t cut = 1; cut < sizeof bytes - 1; cut++) {
    client *c = client_open(a);
    client_send(c, bytes, cut);
    app_quiet(a);
    client_send(c, bytes + cut, sizeof bytes - 1 - cut);
    client_expect(c, 200, "hi");
    client_expect(c, 200, "");
    client_close(c);
  }
  app_free(a);
}

static void byte_by_byte(void **state) {
  (void)state;
  static const char *const all[] = {V1 GET, GET, "PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n",
                                    "\r\n\r\n" GET};
  for (size_t i = 0; i < COUNT(all); i++) {
    app *a = gated_app(proxy_gate(0), NULL);
    client *c = client_open(a);
    for (const char *at = all[i]; *at != '\0'; at++) {
      client_send(c, at, 1);
      app_quiet(a);
    }
    client_expect(c, 200, NULL);
    app_free(a);
  }
}

static void the_header_has_its_time(void **state) {
  (void)state;
  app *a = gated_app(proxy_gate(1), NULL);
  client *silent = client_open(a), *slow = client_open(a);
  client_text(slow, "PROXY TCP4 ");
  app_quiet(a);
  clock_advance(29000);
  app_quiet(a);
  client_text(slow, "1.2.3.4 "); /* does not push it back */
  app_quiet(a);
  assert_int_equal(app_connections(a), 2);
  clock_advance(1100);
  RUN_UNTIL(a, silent->ended && slow->ended);
  assert_int_equal(metrics_of(a).refused_connections, 2);
  app_free(a);
}

static void a_stop_ends_those_without_a_header(void **state) {
  (void)state;
  app *a = gated_app(proxy_gate(1), NULL);
  client *c = client_open(a);
  client_text(c, "PROXY");
  app_quiet(a);
  wh_server_stop(a->server, 0);
  RUN_UNTIL(a, app_connections(a) == 0);
  app_free(a);
}

/* --- watched connections --- */

static unsigned heard[8];
static uint32_t last_handle;

static void hear(app *a, unsigned news, uint32_t handle, uint32_t word) {
  (void)a;
  (void)word;
  heard[news]++;
  last_handle = handle;
}

static app *watched_app(wh_gate gate) {
  memset(heard, 0, sizeof heard);
  app *a = gated_app(gate, NULL);
  a->on_news = hear;
  return a;
}

static void the_host_is_told_what_a_connection_was(void **state) {
  (void)state;
  wh_gate gate = proxy_gate(1);
  gate.watched = 1;
  app *a = watched_app(gate);
  client *c = client_open(a);
  client_text(c, V1 GET);
  client_expect(c, 200, NULL);
  assert_int_equal(heard[WH_CONNECTION_NEWS_OPENED], 1);
  wh_connection_facts facts;
  assert_int_equal(wh_server_connection(a->server, last_handle, &facts), WH_OK);
  assert_int_equal(facts.is_open, 1);
  assert_int_equal(facts.peer.port, 4711);
  assert_int_equal(facts.local.port, 443);
  assert_int_equal(facts.socket_local.port, a->port);
  client_close(c);
  RUN_UNTIL(a, heard[WH_CONNECTION_NEWS_CLOSED] == 1);
  assert_int_equal(wh_server_connection(a->server, last_handle, &facts), WH_OK);
  assert_int_equal(facts.is_open, 0);
  assert_int_equal(facts.requests, 1);
  assert_int_equal(facts.bytes_received, strlen(GET));
  assert_true(facts.bytes_sent > 0);
  assert_int_equal(facts.reason, WH_CLOSE_REASON_CLIENT_CLOSED);
  wh_server_forget_connection(a->server, last_handle);
  assert_int_equal(wh_server_connection(a->server, last_handle, &facts), WH_ERR_CLOSED);
  wh_server_forget_connection(a->server, last_handle);
  wh_server_forget_connection(a->server, UINT32_MAX);
  wh_server_decide(a->server, UINT32_MAX, 1);
  app_free(a);
}

static void a_connection_waits_for_the_hosts_word(void **state) {
  (void)state;
  app *a = watched_app((wh_gate){.watched = 1, .asks = 1});
  for (int admit = 0; admit < 2; admit++) {
    client *c = client_open(a);
    client_text(c, GET GET);
    RUN_UNTIL(a, heard[WH_CONNECTION_NEWS_OPENED] == (unsigned)admit + 1);
    app_quiet(a);
    assert_int_equal(a->request_count, 0);
    wh_server_decide(a->server, last_handle, admit);
    wh_server_decide(a->server, last_handle, !admit); /* the first word counts */
    if (admit) {
      client_expect(c, 200, "GET /");
      client_expect(c, 200, "GET /");
      client_close(c);
    } else {
      RUN_UNTIL(a, c->ended || c->reset);
    }
    RUN_UNTIL(a, heard[WH_CONNECTION_NEWS_CLOSED] == (unsigned)admit + 1);
    wh_server_forget_connection(a->server, last_handle);
  }
  app_free(a);
}

static void bytes_that_came_with_a_header_wait_too(void **state) {
  (void)state;
  wh_gate gate = proxy_gate(1);
  gate.watched = gate.asks = gate.bytes = 1;
  app *a = watched_app(gate);
  client *c = client_open(a);
  client_text(c, V1 GET);
  client_half_close(c);
  RUN_UNTIL(a, heard[WH_CONNECTION_NEWS_OPENED] == 1);
  app_quiet(a);
  wh_server_decide(a->server, last_handle, 1);
  client_expect(c, 200, "GET /");
  wh_bytes *bytes = wh_server_next_bytes(a->server);
  assert_non_null(bytes);
  assert_int_equal(bytes->length, strlen(GET));
  assert_memory_equal(bytes->data, GET, bytes->length);
  assert_int_equal(bytes->sent, 0);
  wh_bytes_free(bytes);
  bytes = wh_server_next_bytes(a->server);
  assert_non_null(bytes);
  assert_int_equal(bytes->sent, 1);
  wh_bytes_free(bytes);
  app_free(a); /* what nobody took and forgot goes with the server */
}

static void forgetting_one_that_waits_closes_it(void **state) {
  (void)state;
  app *a = watched_app((wh_gate){.watched = 1, .asks = 1});
  client *c = client_open(a);
  RUN_UNTIL(a, heard[WH_CONNECTION_NEWS_OPENED] == 1);
  wh_server_forget_connection(a->server, last_handle);
  RUN_UNTIL(a, c->ended || c->reset);
  app_quiet(a);
  assert_int_equal(heard[WH_CONNECTION_NEWS_CLOSED], 0);
  app_free(a);
}

static void many_handles_are_used_again(void **state) {
  (void)state;
  app *a = watched_app((wh_gate){.watched = 1});
  for (unsigned round = 0; round < 5; round++) {
    client *clients[100];
    for (size_t i = 0; i < COUNT(clients); i++) clients[i] = client_open(a);
    RUN_UNTIL(a, heard[WH_CONNECTION_NEWS_OPENED] == (round + 1) * COUNT(clients));
    for (size_t i = 0; i < COUNT(clients); i++) client_close(clients[i]);
    RUN_UNTIL(a, heard[WH_CONNECTION_NEWS_CLOSED] == (round + 1) * COUNT(clients));
    for (uint32_t handle = 0; handle < 128; handle++) {
      wh_server_forget_connection(a->server, handle);
    }
    assert_int_equal(a->server->admission.visitor_count, 0);
  }
  assert_true(a->server->admission.visitor_room <= 128);
  app_free(a);
}

/* Each allocation on the way in fails in turn: the connection may be lost, nothing else. */
static void no_memory_costs_only_that_connection(void **state) {
  (void)state;
  for (size_t nth = 1; nth < 20; nth++) {
    wh_gate gate = proxy_gate(1);
    gate.watched = gate.asks = gate.bytes = 1;
    app *a = watched_app(gate);
    client *c = client_open(a);
    client_text(c, V1);
    wh_memory_fail_at(nth);
    for (int i = 0; i < 5; i++) app_step(a, 0);
    client_text(c, GET);
    for (int i = 0; i < 5; i++) app_step(a, 0);
    if (heard[WH_CONNECTION_NEWS_OPENED] == 1) wh_server_decide(a->server, last_handle, 1);
    for (int i = 0; i < 5; i++) app_step(a, 0);
    wh_memory_fail_at(0);
    memset(heard, 0, sizeof heard);
    c = client_open(a);
    client_text(c, V1 GET);
    RUN_UNTIL(a, heard[WH_CONNECTION_NEWS_OPENED] == 1);
    wh_server_decide(a->server, last_handle, 1);
    client_expect(c, 200, NULL);
    app_free(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rejected_ones_are_answered_and_do_not_count),
      cmocka_unit_test(rejected_ones_that_linger_end_in_time),
      cmocka_unit_test(a_flood_holds_a_bounded_number),
      cmocka_unit_test(rejected_ones_may_just_be_closed),
      cmocka_unit_test(headers_and_requests_may_be_cut_anywhere),
      cmocka_unit_test(byte_by_byte),
      cmocka_unit_test(the_header_has_its_time),
      cmocka_unit_test(a_stop_ends_those_without_a_header),
      cmocka_unit_test(the_host_is_told_what_a_connection_was),
      cmocka_unit_test(a_connection_waits_for_the_hosts_word),
      cmocka_unit_test(bytes_that_came_with_a_header_wait_too),
      cmocka_unit_test(forgetting_one_that_waits_closes_it),
      cmocka_unit_test(many_handles_are_used_again),
      cmocka_unit_test(no_memory_costs_only_that_connection),
  };
  return cmocka_run_group_tests_name("server/admission", tests, NULL, NULL);
}
