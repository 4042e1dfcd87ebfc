/* The end of listening: who is let in still, and who is not. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listen_end.h"
#include "net_support.h"

static int connect_slowly(const wh_listening *listening) {
  struct sockaddr_in name = {.sin_family = AF_INET,
                             .sin_port = htons(listening->bound[0].port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  if (connect(fd, (struct sockaddr *)&name, sizeof name) != 0) assert_int_equal(errno, EINPROGRESS);
  return fd;
}

static int error_of(int fd) {
  int error;
  socklen_t size = sizeof error;
  assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
  return error;
}

static int waits_for(int fd, short events, int timeout_ms) {
  struct pollfd at = {.fd = fd, .events = events};
  return poll(&at, 1, timeout_ms) > 0;
}

#ifdef __linux__
static void tcp_refuses_new_clients_and_keeps_the_others(void **state) {
  (void)state;
  static const char *const urls[] = {"http://127.0.0.1:0", "http://*:0"};
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
    wh_endpoint endpoint = net_endpoint_of(urls[i]);
    wh_listening listening = net_must_listen(&endpoint);
    int before = connect_slowly(&listening);
    assert_true(waits_for(before, POLLOUT, 10000));
    assert_int_equal(write(before, "x", 1), 1);
    wh_listening_refuse(&listening);
    wh_listening_refuse(&listening);
    int after = connect_slowly(&listening);
    assert_false(waits_for(after, POLLOUT, 20));
    assert_int_not_equal(wh_listening_arriving(&listening), 1);
    int accepted = net_accept_at(listening.fds[0]);
    char byte = 0;
    assert_true(waits_for(accepted, POLLIN, 10000));
    assert_int_equal(read(accepted, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(accept(listening.fds[0], NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    /* Both directions of a connection that was accepted go on. */
    assert_int_equal(write(accepted, "y", 1), 1);
    assert_true(waits_for(before, POLLIN, 10000));
    wh_listening_close(&listening);
    assert_true(waits_for(after, POLLOUT, 10000)); /* the SYN comes again */
    assert_int_equal(error_of(after), ECONNREFUSED);
    close(before);
    close(after);
    close(accepted);
  }
}

/* A rolling restart: who comes while one listener goes is served by the other. */
static void another_listener_of_the_port_takes_over(void **state) {
  (void)state;
  wh_endpoint endpoint = net_endpoint_of("http://127.0.0.1:0");
  endpoint.reuse_port = 1;
  wh_listening old = net_must_listen(&endpoint);
  endpoint.port = endpoint.address.port = old.bound[0].port;
  wh_listening next = net_must_listen(&endpoint);
  wh_listening_refuse(&old);
  assert_int_equal(wh_listening_arriving(&old), -1);
  int clients[40];
  for (size_t i = 0; i < 40; i++) clients[i] = connect_slowly(&old);
  wh_listening_close(&old);
  for (size_t i = 0; i < 40; i++) {
    assert_true(waits_for(clients[i], POLLOUT, 10000));
    assert_int_equal(error_of(clients[i]), 0);
    close(net_accept_at(next.fds[0]));
  }
  for (size_t i = 0; i < 40; i++) close(clients[i]);
  wh_listening_close(&next);
}

static void a_client_that_was_held_back_is_on_its_way(void **state) {
  (void)state;
  wh_endpoint endpoint = net_endpoint_of("http://127.0.0.1:0");
  wh_listening listening = net_must_listen(&endpoint);
  wh_listening_defer(&listening, 1);
  int silent = connect_slowly(&listening), asks = connect_slowly(&listening);
  assert_true(waits_for(silent, POLLOUT, 10000));
  assert_true(waits_for(asks, POLLOUT, 10000));
  int arriving = wh_listening_arriving(&listening);
  if (arriving < 0) {
    print_message("skipped: no sock_diag\n");
    wh_listening_close(&listening);
    skip();
  }
  assert_int_equal(arriving, 1);
  wh_listening_refuse(&listening);
  assert_int_equal(write(asks, "x", 1), 1);
  close(net_accept_at(listening.fds[0]));
  assert_int_equal(wh_listening_arriving(&listening), 1);
  /* The system asks the other one again after a second, and lets it in. */
  assert_true(waits_for(listening.fds[0], POLLIN, 10000));
  close(net_accept_at(listening.fds[0]));
  assert_int_equal(wh_listening_arriving(&listening), 0);
  close(silent);
  close(asks);
  wh_listening_close(&listening);
}
#endif

static void unix_sockets_refuse_new_clients_and_keep_the_others(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("s");
  wh_listening listening = net_must_listen(&endpoint);
  int before = net_connect_unix(endpoint.path);
  assert_true(before >= 0);
  /* A second name, as for somebody who has found the file already. */
  wh_endpoint other = net_unix_endpoint("t");
  assert_int_equal(link(endpoint.path, other.path), 0);
  wh_listening_refuse(&listening);
  wh_listening_refuse(&listening);
  assert_int_equal(wh_listening_arriving(&listening), 0);
  assert_int_equal(net_connect_unix(endpoint.path), -1);
  assert_int_equal(errno, ENOENT);
#ifdef __linux__
  assert_int_equal(net_connect_unix(other.path), -1);
  assert_int_equal(errno, ECONNREFUSED);
#endif
  unlink(other.path);
  /* The next server may have the name at once, and keeps it. */
  wh_listening next = net_must_listen(&endpoint);
  int accepted = net_accept_at(listening.fds[0]);
  assert_true(accepted >= 0);
  assert_int_equal(accept(listening.fds[0], NULL, NULL), -1);
  assert_true(errno == EAGAIN || errno == EINVAL);
  wh_listening_close(&listening);
  int client = net_connect_unix(endpoint.path);
  assert_true(client >= 0);
  close(client);
  close(before);
  close(accepted);
  wh_listening_close(&next);
}

static void nothing_comes_to_what_is_closed(void **state) {
  (void)state;
  wh_listening listening = {0};
  wh_listening_refuse(&listening);
  assert_int_equal(wh_listening_arriving(&listening), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#ifdef __linux__
      cmocka_unit_test(tcp_refuses_new_clients_and_keeps_the_others),
      cmocka_unit_test(another_listener_of_the_port_takes_over),
      cmocka_unit_test(a_client_that_was_held_back_is_on_its_way),
#endif
      cmocka_unit_test(unix_sockets_refuse_new_clients_and_keep_the_others),
      cmocka_unit_test(nothing_comes_to_what_is_closed),
  };
  return cmocka_run_group_tests_name("end of listening", tests, net_make_folder, net_remove_folder);
}
