/* Listening on TCP: real sockets, loopback, ports of the system's choice. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/listen.h"
#include "net_support.h"

static void listens_on_an_ipv4_address(void **state) {
  (void)state;
  wh_endpoint endpoint = net_endpoint_of("http://127.0.0.1:0");
  wh_listening listening = net_must_listen(&endpoint);
  assert_int_equal(listening.count, 1);
  assert_int_not_equal(listening.bound[0].port, 0);
  wh_address expected = net_literal(AF_INET, "127.0.0.1", listening.bound[0].port);
  assert_memory_equal(&listening.bound[0], &expected, sizeof expected);

  char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%u", listening.bound[0].port);
  net_expect_url(&listening, 0, 0, url);
  snprintf(url, sizeof url, "https://127.0.0.1:%u", listening.bound[0].port);
  net_expect_url(&listening, 0, 1, url);
  net_expect_url(&listening, 1, 0, "");

  int client = net_connect_ip(AF_INET, "127.0.0.1", listening.bound[0].port);
  assert_true(client >= 0);
  int server = net_accept_at(listening.fds[0]);
  wh_address ours, theirs, seen;
  assert_int_equal(wh_address_local(server, &ours), WH_OK);
  assert_memory_equal(&ours, &expected, sizeof expected);
  assert_int_equal(wh_address_peer(server, &theirs), WH_OK);
  assert_int_equal(wh_address_local(client, &seen), WH_OK);
  assert_memory_equal(&theirs, &seen, sizeof seen);
  close(server);
  close(client);
  wh_listening_close(&listening);
  assert_int_equal(listening.count, 0);
}

static void sockets_have_the_right_options(void **state) {
  (void)state;
  wh_endpoint endpoint = net_endpoint_of("http://127.0.0.1:0");
  wh_listening listening = net_must_listen(&endpoint);
  int fd = listening.fds[0];
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  assert_int_not_equal(net_option_of(fd, SOL_SOCKET, SO_REUSEADDR), 0);
  assert_int_equal(net_option_of(fd, SOL_SOCKET, SO_REUSEPORT), 0);
  assert_int_equal(accept(fd, NULL, NULL), -1);
  assert_true(errno == EAGAIN || errno == EWOULDBLOCK);

  /* Nobody sets it on accepted sockets: they inherit it. */
  int client = net_connect_ip(AF_INET, "127.0.0.1", listening.bound[0].port);
  assert_true(client >= 0);
  int server = net_accept_at(fd);
  assert_int_not_equal(net_option_of(server, IPPROTO_TCP, TCP_NODELAY), 0);
  close(server);
  close(client);
  wh_listening_close(&listening);
}

static void closing_frees_the_port(void **state) {
  (void)state;
  wh_endpoint endpoint = net_endpoint_of("http://127.0.0.1:0");
  wh_listening listening = net_must_listen(&endpoint);
  uint16_t port = endpoint.address.port = endpoint.port = listening.bound[0].port;
  /* A connection that we close first stays in TIME_WAIT, and must not be in the way. */
  int client = net_connect_ip(AF_INET, "127.0.0.1", port);
  assert_true(client >= 0);
  close(net_accept_at(listening.fds[0]));
  char byte;
  assert_int_equal(read(client, &byte, 1), 0);
  close(client);
  wh_listening_close(&listening);
  wh_listening_close(&listening); /* twice is fine */
  assert_int_equal(net_connect_ip(AF_INET, "127.0.0.1", port), -1);
  assert_int_equal(errno, ECONNREFUSED);

  listening = net_must_listen(&endpoint);
  assert_int_equal(listening.bound[0].port, port);
  wh_listening_close(&listening);
}

static void refuses_a_port_in_use(void **state) {
  (void)state;
  wh_endpoint endpoint = net_endpoint_of("http://127.0.0.1:0");
  wh_listening first = net_must_listen(&endpoint);
  endpoint.address.port = endpoint.port = first.bound[0].port;
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, strerror(EADDRINUSE));
  assert_int_equal(errno, EADDRINUSE);
  wh_endpoint any = net_endpoint_of("http://*:1");
  any.port = first.bound[0].port;
  net_expect_failure(&any, WH_ERR_ADDRESS_IN_USE, strerror(EADDRINUSE));
  wh_listening_close(&first);
}

static void refuses_an_address_that_is_not_ours(void **state) {
  (void)state;
  wh_endpoint endpoint = net_endpoint_of("http://192.0.2.1:0"); /* for documentation only */
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_NOT_AVAILABLE, strerror(EADDRNOTAVAIL));
}

static void refuses_a_privileged_port(void **state) {
  (void)state;
  FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
  char text[16] = "1024";
  if (file) {
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
  }
  long first_free = strtol(text, NULL, 10);
  if (first_free < 2) {
    print_message("skipped: this machine has no privileged ports\n");
    skip();
  }
  uid_t user = geteuid();
  if (user == 0) assert_int_equal(seteuid(65534), 0);
  wh_endpoint endpoint = net_endpoint_of("http://127.0.0.1:1");
  wh_listening listening;
  int result = net_listen_on(&endpoint, &listening);
  if (user == 0) assert_int_equal(seteuid(0), 0);
  if (result == WH_OK) wh_listening_close(&listening);
  assert_int_equal(result, WH_ERR_ACCESS_DENIED);
  assert_non_null(strstr(net_message, strerror(EACCES)));
}

static void shares_a_port_only_by_option(void **state) {
  (void)state;
  wh_endpoint endpoint = net_endpoint_of("http://127.0.0.1:0");
  endpoint.reuse_port = 1;
  wh_listening first = net_must_listen(&endpoint);
  endpoint.address.port = endpoint.port = first.bound[0].port;
  wh_listening second = net_must_listen(&endpoint);
  assert_int_equal(second.bound[0].port, first.bound[0].port);
  endpoint.reuse_port = 0;
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, strerror(EADDRINUSE));
  wh_listening_close(&second);
  wh_listening_close(&first);
}

static void listens_on_an_ipv6_address(void **state) {
  (void)state;
  NEEDS_IPV6();
  wh_endpoint endpoint = net_endpoint_of("http://[::1]:0");
  wh_listening listening = net_must_listen(&endpoint);
  uint16_t port = listening.bound[0].port;
  wh_address expected = net_literal(AF_INET6, "::1", port);
  assert_memory_equal(&listening.bound[0], &expected, sizeof expected);
  char url[64];
  snprintf(url, sizeof url, "http://[::1]:%u", port);
  net_expect_url(&listening, 0, 0, url);
  int client = net_connect_ip(AF_INET6, "::1", port);
  assert_true(client >= 0);
  int server = net_accept_at(listening.fds[0]);
  assert_int_not_equal(net_option_of(server, IPPROTO_TCP, TCP_NODELAY), 0);
  wh_address ours;
  assert_int_equal(wh_address_local(server, &ours), WH_OK);
  assert_memory_equal(&ours, &expected, sizeof expected);
  close(server);
  close(client);
  wh_listening_close(&listening);
}

static void takes_both_protocols(const char *text) {
  wh_endpoint endpoint = net_endpoint_of(text);
  wh_listening listening = net_must_listen(&endpoint);
  assert_int_equal(listening.count, 1);
  uint16_t port = listening.bound[0].port;
  char url[64];
  snprintf(url, sizeof url, "http://[::]:%u", port);
  net_expect_url(&listening, 0, 0, url);

  int client = net_connect_ip(AF_INET, "127.0.0.1", port);
  assert_true(client >= 0);
  int server = net_accept_at(listening.fds[0]);
  wh_address ours, expected = net_literal(AF_INET, "127.0.0.1", port);
  assert_int_equal(wh_address_local(server, &ours), WH_OK);
  assert_memory_equal(&ours, &expected, sizeof expected); /* not ::ffff:127.0.0.1 */
  assert_int_equal(wh_address_peer(server, &ours), WH_OK);
  assert_int_equal(ours.family, WH_ADDRESS_IPV4);
  close(server);
  close(client);

  client = net_connect_ip(AF_INET6, "::1", port);
  assert_true(client >= 0);
  close(net_accept_at(listening.fds[0]));
  close(client);
  wh_listening_close(&listening);
}

static void any_and_the_ipv6_wildcard_are_dual_stack(void **state) {
  (void)state;
  NEEDS_IPV6();
  takes_both_protocols("http://*:0");
  takes_both_protocols("http://+:0");
  takes_both_protocols("http://example.com:0");
  takes_both_protocols("http://[::]:0");
}

static void ipv6_only_leaves_ipv4_alone(void **state) {
  (void)state;
  NEEDS_IPV6();
  static const char *const urls[] = {"http://*:0", "http://[::]:0"};
  for (size_t i = 0; i < 2; i++) {
    wh_endpoint endpoint = net_endpoint_of(urls[i]);
    endpoint.ipv6_only = 1;
    wh_listening listening = net_must_listen(&endpoint);
    uint16_t port = listening.bound[0].port;
    int client = net_connect_ip(AF_INET6, "::1", port);
    assert_true(client >= 0);
    close(client);
    assert_int_equal(net_connect_ip(AF_INET, "127.0.0.1", port), -1);
    /* So somebody else can have the port on IPv4. */
    wh_endpoint v4 = net_endpoint_of("http://0.0.0.0:1");
    v4.address.port = v4.port = port;
    wh_listening other = net_must_listen(&v4);
    char url[64];
    snprintf(url, sizeof url, "http://0.0.0.0:%u", port);
    net_expect_url(&other, 0, 0, url);
    wh_listening_close(&other);
    wh_listening_close(&listening);
  }
}

static void localhost_is_both_loopbacks_on_one_port(void **state) {
  (void)state;
  NEEDS_IPV6();
  wh_endpoint endpoint = net_endpoint_of("http://app.localhost:0");
  wh_listening listening = net_must_listen(&endpoint);
  assert_int_equal(listening.count, 2);
  uint16_t port = listening.bound[0].port;
  assert_int_not_equal(port, 0);
  wh_address v4 = net_literal(AF_INET, "127.0.0.1", port), v6 = net_literal(AF_INET6, "::1", port);
  assert_memory_equal(&listening.bound[0], &v4, sizeof v4);
  assert_memory_equal(&listening.bound[1], &v6, sizeof v6);

  char url[64];
  snprintf(url, sizeof url, "http://localhost:%u", port);
  net_expect_url(&listening, 0, 0, url);
  net_expect_url(&listening, 1, 0, "");

  int client = net_connect_ip(AF_INET, "127.0.0.1", port);
  assert_true(client >= 0);
  close(net_accept_at(listening.fds[0]));
  close(client);
  client = net_connect_ip(AF_INET6, "::1", port);
  assert_true(client >= 0);
  close(net_accept_at(listening.fds[1]));
  close(client);

  /* And with a port that was asked for. */
  wh_listening_close(&listening);
  endpoint.port = port;
  listening = net_must_listen(&endpoint);
  assert_int_equal(listening.count, 2);
  assert_int_equal(listening.bound[1].port, port);
  wh_listening_close(&listening);
}

static void localhost_refuses_a_port_in_use_on_either(void **state) {
  (void)state;
  NEEDS_IPV6();
  static const char *const urls[] = {"http://127.0.0.1:0", "http://[::1]:0"};
  for (size_t i = 0; i < 2; i++) {
    wh_endpoint one = net_endpoint_of(urls[i]), other = net_endpoint_of(urls[1 - i]);
    wh_listening taken = net_must_listen(&one);
    wh_endpoint localhost = net_endpoint_of("http://localhost:1");
    localhost.port = taken.bound[0].port;
    net_expect_failure(&localhost, WH_ERR_ADDRESS_IN_USE, strerror(EADDRINUSE));
    /* Nothing was left open on the other one. */
    other.address.port = other.port = taken.bound[0].port;
    wh_listening free_one = net_must_listen(&other);
    wh_listening_close(&free_one);
    wh_listening_close(&taken);
  }
}

static void refuses_an_unknown_interface(void **state) {
  (void)state;
  wh_endpoint endpoint = net_endpoint_of("http://[fe80::1%nosuch0]:0");
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_NOT_AVAILABLE, "\"nosuch0\"");
}

static void refuses_options_out_of_range(void **state) {
  (void)state;
  wh_endpoint endpoint = net_endpoint_of("http://127.0.0.1:0");
  endpoint.backlog = 0;
  net_expect_failure(&endpoint, WH_ERR_INVALID_ARGUMENT, "backlog");
  endpoint = net_unix_endpoint("app.sock");
  endpoint.unix_mode = 01000;
  net_expect_failure(&endpoint, WH_ERR_INVALID_ARGUMENT, "0777");
  endpoint.unix_mode = -2;
  net_expect_failure(&endpoint, WH_ERR_INVALID_ARGUMENT, "0777");
  endpoint.unix_mode = -1;
  endpoint.unix_uid = UINT32_MAX;
  net_expect_failure(&endpoint, WH_ERR_INVALID_ARGUMENT, "user");
  endpoint.unix_uid = -1;
  endpoint.unix_gid = -2;
  net_expect_failure(&endpoint, WH_ERR_INVALID_ARGUMENT, "group");
  wh_endpoint_init(&endpoint);
  wh_listening listening;
  assert_int_equal(wh_listen(&endpoint, &listening, net_message, sizeof net_message),
                   WH_ERR_ADDRESS_INVALID);
  assert_int_equal(wh_listen(&endpoint, &listening, NULL, 0), WH_ERR_ADDRESS_INVALID);
  assert_int_equal(net_files_in_folder(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(listens_on_an_ipv4_address),
      cmocka_unit_test(sockets_have_the_right_options),
      cmocka_unit_test(closing_frees_the_port),
      cmocka_unit_test(refuses_a_port_in_use),
      cmocka_unit_test(refuses_an_address_that_is_not_ours),
      cmocka_unit_test(refuses_a_privileged_port),
      cmocka_unit_test(shares_a_port_only_by_option),
      cmocka_unit_test(listens_on_an_ipv6_address),
      cmocka_unit_test(any_and_the_ipv6_wildcard_are_dual_stack),
      cmocka_unit_test(ipv6_only_leaves_ipv4_alone),
      cmocka_unit_test(localhost_is_both_loopbacks_on_one_port),
      cmocka_unit_test(localhost_refuses_a_port_in_use_on_either),
      cmocka_unit_test(refuses_an_unknown_interface),
      cmocka_unit_test(refuses_options_out_of_range),
  };
  return cmocka_run_group_tests_name("net/listen", tests, net_make_folder, net_remove_folder);
}
