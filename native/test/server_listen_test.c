/* Where a server listens, and what it does when the system has no descriptor left. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/server_internal.h"
#include "support_clock.h"
#include "support_client.h"

#define H "Host: h\r\n"

static app *silent_app(void) {
  static const app_options options = {.no_listen = 1};
  app *a = app_new(&options, NULL);
  a->on_request = app_answer_target;
  return a;
}

static void url_of(const app *a, size_t index, char *out, size_t size) {
  assert_true(wh_server_url(a->server, index, out, size) > 0);
}

static void port_0_gets_a_port(void **state) {
  (void)state;
  app *a = silent_app();
  char url[100], second[100];
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_OK);
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_OK);
  url_of(a, 0, url, sizeof url);
  url_of(a, 1, second, sizeof second);
  assert_int_equal(wh_server_url(a->server, 2, second, sizeof second), 0);
  assert_string_not_equal(url, second);
  assert_memory_equal(url, "http://127.0.0.1:", 17);
  unsigned long port = strtoul(url + 17, NULL, 10);
  assert_in_range(port, 1, 65535);
  a->port = (uint16_t)port;
  client *c = client_open(a);
  client_get(c, "/");
  client_expect(c, 200, "GET /");
  app_free(a);
}

static void localhost_is_both_loopbacks(void **state) {
  (void)state;
  app *a = silent_app();
  assert_int_equal(app_listen(a, "http://localhost:0"), WH_OK);
  client *c = client_open(a);
  client_get(c, "/4");
  client_expect(c, 200, "GET /4");
  struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
  name.sin6_addr = in6addr_loopback;
  int fd = socket(AF_INET6, SOCK_STREAM, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof name) == 0) {
    c = client_over(a, fd);
    client_get(c, "/6");
    client_expect(c, 200, "GET /6");
  } else {
    print_message("this machine has no IPv6 loopback\n");
    if (fd >= 0) close(fd);
  }
  app_free(a);
}

static void a_unix_socket_serves(void **state) {
  (void)state;
  char folder[] = "/tmp/wh-server-XXXXXX", path[100], url[200];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/s", folder);
  snprintf(url, sizeof url, "http://unix:%s", path);
  app *a = silent_app();
  assert_int_equal(app_listen(a, url), WH_OK);
  a->on_body = app_echo;
  a->on_request = app_echo;
  client *c = client_open_unix(a, path);
  uint8_t *body = pattern_bytes(150000);
  for (int i = 0; i < 3; i++) {
    client_text(c, "POST / HTTP/1.1\r\n" H "Content-Length: 150000\r\n\r\n");
    client_send(c, body, 150000);
    client_answer answer = client_take(c, 0);
    assert_memory_equal(answer.body, body, 150000);
    client_answer_free(&answer);
  }
  free(body);
  /* A client that ends its side gets its answer; one that vanishes aborts its request. */
  a->on_request = NULL;
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 4);
  client_half_close(c);
  app_quiet(a);
  app_request *r = app_request_at(a, 3);
  wh_address peer, local;
  assert_int_equal(wh_server_exchange_addresses(a->server, r->slot, r->generation, &peer, &local),
                   0);
  assert_int_equal(peer.family, WH_ADDRESS_UNIX);
  app_respond_text(r, "x");
  client_expect(c, 200, "x");
  client_expect_end(c);
  c = client_open_unix(a, path);
  client_get(c, "/");
  RUN_UNTIL_REQUESTS(a, 5);
  client_close(c);
  app_quiet(a);
  app_respond_text(app_request_at(a, 4), "x");
  RUN_UNTIL(a, app_connections(a) == 0);
  app_free(a);
  assert_int_equal(access(path, F_OK), -1);
  assert_int_equal(rmdir(folder), 0);
}

static void a_port_in_use_is_said_and_harmless(void **state) {
  (void)state;
  app *a = silent_app(), *b = silent_app();
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_OK);
  char url[100];
  url_of(a, 0, url, sizeof url);
  assert_int_equal(app_listen(b, url), WH_ERR_ADDRESS_IN_USE);
  assert_int_equal(wh_server_url(b->server, 0, url, sizeof url), 0);
  assert_int_equal(app_listen(b, "http://127.0.0.1:0"), WH_OK);
  client *c = client_open(b);
  client_get(c, "/");
  client_expect(c, 200, "GET /");
  app_free(a);
  app_free(b);
}

/* The lowest descriptor number that is free: all below it are taken. */
static rlim_t lowest_free(void) {
  int fd = dup(0);
  assert_true(fd >= 0);
  close(fd);
  return (rlim_t)fd;
}

static void goes_on_after_the_descriptors_ran_out(void **state) {
  (void)state;
  app *a = silent_app();
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_OK);
  client *first = client_open(a);
  client_get(first, "/first");
  client_expect(first, 200, NULL);
  client *waiting[3];
  for (size_t i = 0; i < COUNT(waiting); i++) {
    waiting[i] = client_open(a);
    client_get(waiting[i], "/waits");
  }
  struct rlimit before, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = lowest_free();
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 20; i++) app_step(a, 0);
  size_t connections = app_connections(a);
  /* Meanwhile it does not spin, and serves those that it has. */
  app_quiet(a);
  client_get(first, "/still");
  client_expect(first, 200, "GET /still");
  clock_advance(150);
  app_quiet(a);
  int error = setrlimit(RLIMIT_NOFILE, &before);
  assert_int_equal(error, 0);
  assert_int_equal(connections, 1);
  clock_advance(150);
  for (size_t i = 0; i < COUNT(waiting); i++) client_expect(waiting[i], 200, "GET /waits");
  app_free(a);
}

static void may_stop_listening_while_it_waits_for_descriptors(void **state) {
  (void)state;
  app *a = silent_app();
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_OK);
  client *c = client_open(a);
  struct rlimit before, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = lowest_free();
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 20; i++) app_step(a, 0);
  wh_server_stop_listening(a->server);
  for (int i = 0; i < 20; i++) app_step(a, 0);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  clock_advance(150);
  client_get(c, "/"); /* it was let in before */
  client_expect(c, 200, "GET /");
  RUN_UNTIL(a, !wh_server_is_listening(a->server));
  app_free(a);
}

static void accepts_a_flood_in_turns(void **state) {
  (void)state;
  app *a = silent_app();
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_OK);
  client *clients[400];
  for (size_t i = 0; i < COUNT(clients); i++) clients[i] = client_open(a);
  for (size_t i = 0; i < COUNT(clients); i++) client_get(clients[i], "/");
  for (size_t i = 0; i < COUNT(clients); i++) client_expect(clients[i], 200, "GET /");
  wh_metrics metrics;
  wh_server_metrics(a->server, &metrics);
  assert_int_equal(metrics.total_connections, 400);
  assert_int_equal(metrics.connections, 400);
  app_free(a);
}

/* One request per connection: what the reading right after accept is for. */
static void serves_short_connections(void **state) {
  (void)state;
  app *a = silent_app();
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_OK);
  for (int i = 0; i < 300; i++) {
    client *c = client_open(a);
    client_text(c, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    client_expect(c, 200, "GET /");
    client_expect_end(c);
    client_close(c);
    assert_int_equal(app_connections(a), 0);
  }
  /* The listener may hand over only clients that have said something by now. */
  client *slow = client_open(a), *ends = client_open(a);
  app_quiet(a);
  client_get(slow, "/slow");
  client_expect(slow, 200, "GET /slow");
  client_half_close(ends);
  client_expect_end(ends);
  client_get(slow, "/again");
  client_expect(slow, 200, "GET /again");
  /* Long after, all is as before. */
  clock_advance(5000);
  client *next = client_open(a);
  client_get(next, "/next");
  client_expect(next, 200, "GET /next");
  client *silent = client_open(a);
  RUN_UNTIL(a, app_connections(a) == 3);
  client_get(silent, "/silent");
  client_expect(silent, 200, "GET /silent");
  app_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(port_0_gets_a_port),
      cmocka_unit_test(localhost_is_both_loopbacks),
      cmocka_unit_test(a_unix_socket_serves),
      cmocka_unit_test(a_port_in_use_is_said_and_harmless),
      cmocka_unit_test(goes_on_after_the_descriptors_ran_out),
      cmocka_unit_test(may_stop_listening_while_it_waits_for_descriptors),
      cmocka_unit_test(accepts_a_flood_in_turns),
      cmocka_unit_test(serves_short_connections),
  };
  return cmocka_run_group_tests_name("server listening", tests, NULL, NULL);
}
