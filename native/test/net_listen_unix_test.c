/* Listening on Unix sockets: real ones, in a folder of our own. */
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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "net/listen.h"
#include "net_support.h"

static void listens_on_a_unix_socket(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  wh_listening listening = net_must_listen(&endpoint);
  assert_int_equal(listening.count, 1);
  assert_int_equal(listening.bound[0].family, WH_ADDRESS_UNIX);
  assert_true(fcntl(listening.fds[0], F_GETFL) & O_NONBLOCK);
  assert_true(fcntl(listening.fds[0], F_GETFD) & FD_CLOEXEC);
  char url[WH_ENDPOINT_TEXT_SIZE];
  snprintf(url, sizeof url, "http://unix:%s/app.sock", net_folder);
  net_expect_url(&listening, 0, 0, url);
  net_expect_url(&listening, 1, 0, "");
  assert_int_equal(net_files_in_folder(), 1); /* nothing temporary is left */

  int client = net_connect_unix(endpoint.path);
  assert_true(client >= 0);
  int server = net_accept_at(listening.fds[0]);
  wh_address peer;
  assert_int_equal(wh_address_peer(server, &peer), WH_OK);
  assert_int_equal(peer.family, WH_ADDRESS_UNIX);
  close(server);
  close(client);
  wh_listening_close(&listening);
  assert_int_equal(net_files_in_folder(), 0);

  listening = net_must_listen(&endpoint);
  wh_listening_close(&listening);
  assert_int_equal(net_files_in_folder(), 0);
}

static void sets_the_mode_whatever_the_umask(void **state) {
  (void)state;
  static const struct {
    mode_t umask;
    int mode;
    mode_t expected;
  } rows[] = {
      {022, -1, 0755}, {077, 0666, 0666}, {077, 0660, 0660},
      {0, 0600, 0600}, {0, -1, 0777},     {022, 0, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    wh_endpoint endpoint = net_unix_endpoint("app.sock");
    endpoint.unix_mode = rows[i].mode;
    mode_t before = umask(rows[i].umask);
    wh_listening listening = net_must_listen(&endpoint);
    umask(before);
    struct stat status;
    assert_int_equal(stat(endpoint.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, rows[i].expected);
    wh_listening_close(&listening);
  }
}

static void sets_the_owner(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  struct stat status;
  if (geteuid() != 0) {
    /* One can only give to oneself. */
    endpoint.unix_uid = geteuid();
    endpoint.unix_gid = getegid();
    wh_listening own = net_must_listen(&endpoint);
    wh_listening_close(&own);
    endpoint.unix_uid = 0;
    net_expect_failure(&endpoint, WH_ERR_ACCESS_DENIED, "owner");
    assert_int_equal(net_files_in_folder(), 0);
    return;
  }
  endpoint.unix_uid = 65534;
  endpoint.unix_mode = 0640;
  wh_listening listening = net_must_listen(&endpoint);
  assert_int_equal(stat(endpoint.path, &status), 0);
  assert_int_equal(status.st_uid, 65534);
  assert_int_equal(status.st_gid, getegid());
  assert_int_equal(status.st_mode & 07777, 0640);
  wh_listening_close(&listening);
  endpoint.unix_uid = -1;
  endpoint.unix_gid = 1;
  listening = net_must_listen(&endpoint);
  assert_int_equal(stat(endpoint.path, &status), 0);
  assert_int_equal(status.st_uid, 0);
  assert_int_equal(status.st_gid, 1);
  wh_listening_close(&listening);
  assert_int_equal(net_files_in_folder(), 0);

  /* Who may not give it away fails, and leaves nothing behind. */
  assert_int_equal(chmod(net_folder, 0777), 0);
  assert_int_equal(seteuid(65534), 0);
  wh_listening refused;
  endpoint.unix_uid = 1;
  int result = net_listen_on(&endpoint, &refused);
  assert_int_equal(seteuid(0), 0);
  assert_int_equal(chmod(net_folder, 0700), 0);
  assert_int_equal(result, WH_ERR_ACCESS_DENIED);
  assert_non_null(strstr(net_message, "owner"));
  assert_int_equal(net_files_in_folder(), 0);
}

static void replaces_a_stale_file(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  net_make_stale(endpoint.path);
  assert_int_equal(net_connect_unix(endpoint.path), -1);
  assert_int_equal(errno, ECONNREFUSED);
  wh_listening listening = net_must_listen(&endpoint);
  int client = net_connect_unix(endpoint.path);
  assert_true(client >= 0);
  close(net_accept_at(listening.fds[0]));
  close(client);
  assert_int_equal(net_files_in_folder(), 1);
  wh_listening_close(&listening);
  assert_int_equal(net_files_in_folder(), 0);
}

static void replaces_a_stale_file_while_the_folder_is_locked(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  net_make_stale(endpoint.path);
  int lock = open(net_folder, O_RDONLY | O_DIRECTORY);
  assert_true(lock >= 0);
  assert_int_equal(flock(lock, LOCK_EX), 0);
  wh_listening listening = net_must_listen(&endpoint); /* waits a moment, not for ever */
  close(lock);
  wh_listening_close(&listening);
  assert_int_equal(net_files_in_folder(), 0);
}

static void refuses_a_live_socket_and_leaves_it(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  wh_listening first = net_must_listen(&endpoint);
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "somebody listens there already");
  close(net_accept_at(first.fds[0])); /* the question itself */
  int client = net_connect_unix(endpoint.path);
  assert_true(client >= 0);
  close(net_accept_at(first.fds[0]));
  close(client);
  assert_int_equal(net_files_in_folder(), 1);
  wh_listening_close(&first);
}

static void refuses_a_live_socket_with_a_full_backlog(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  endpoint.backlog = 1;
  wh_listening first = net_must_listen(&endpoint);
  int clients[64];
  size_t count = 0;
  struct sockaddr_un name = net_unix_name(endpoint.path);
  for (; count < 64; count++) {
    clients[count] = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(clients[count] >= 0);
    assert_int_equal(fcntl(clients[count], F_SETFL, O_NONBLOCK), 0);
    if (connect(clients[count], (struct sockaddr *)&name, sizeof name) != 0) break;
  }
  assert_true(count < 64); /* full indeed */
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "somebody listens there already");
  for (size_t i = 0; i <= count; i++) close(clients[i]);
  wh_listening_close(&first);
}

static void refuses_a_live_datagram_socket(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  struct sockaddr_un name = net_unix_name(endpoint.path);
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "somebody listens there already");
  close(fd);
  assert_int_equal(unlink(endpoint.path), 0);
}

static void never_removes_what_is_no_socket(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  struct stat before, after;

  int fd = open(endpoint.path, O_CREAT | O_WRONLY | O_EXCL, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "keep", 4), 4);
  close(fd);
  assert_int_equal(lstat(endpoint.path, &before), 0);
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "no socket");
  assert_int_equal(lstat(endpoint.path, &after), 0);
  assert_int_equal(after.st_ino, before.st_ino);
  assert_int_equal(after.st_size, 4);
  assert_int_equal(unlink(endpoint.path), 0);

  assert_int_equal(mkdir(endpoint.path, 0700), 0);
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "no socket");
  assert_int_equal(rmdir(endpoint.path), 0);

  assert_int_equal(mkfifo(endpoint.path, 0600), 0);
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "no socket");
  assert_int_equal(unlink(endpoint.path), 0);

  /* A link, even to a stale socket or to nothing, is somebody's arrangement. */
  wh_endpoint other = net_unix_endpoint("other.sock");
  net_make_stale(other.path);
  assert_int_equal(symlink(other.path, endpoint.path), 0);
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "no socket");
  assert_int_equal(unlink(other.path), 0);
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "no socket");
  assert_int_equal(unlink(endpoint.path), 0);
  assert_int_equal(net_files_in_folder(), 0);
}

static void closing_removes_only_its_own_file(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  wh_listening first = net_must_listen(&endpoint);
  assert_int_equal(unlink(endpoint.path), 0); /* by an administrator */
  wh_listening second = net_must_listen(&endpoint);
  wh_listening_close(&first);
  int client = net_connect_unix(endpoint.path);
  assert_true(client >= 0);
  close(net_accept_at(second.fds[0]));
  close(client);

  assert_int_equal(unlink(endpoint.path), 0);
  int fd = open(endpoint.path, O_CREAT | O_WRONLY | O_EXCL, 0600);
  assert_true(fd >= 0);
  close(fd);
  wh_listening_close(&second);
  assert_int_equal(unlink(endpoint.path), 0); /* it was still there */
}

static void refuses_a_missing_folder(void **state) {
  (void)state;
  wh_endpoint endpoint = net_unix_endpoint("missing/app.sock");
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_NOT_AVAILABLE, strerror(ENOENT));
  wh_endpoint file = net_unix_endpoint("file");
  int fd = open(file.path, O_CREAT | O_WRONLY, 0600);
  assert_true(fd >= 0);
  close(fd);
  endpoint = net_unix_endpoint("file/app.sock");
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_NOT_AVAILABLE, strerror(ENOTDIR));
  assert_int_equal(unlink(file.path), 0);
}

static void refuses_a_folder_without_permission(void **state) {
  (void)state;
  if (geteuid() == 0) {
    wh_endpoint endpoint = net_unix_endpoint("app.sock");
    wh_listening live = net_must_listen(&endpoint), listening;
    wh_endpoint other = net_unix_endpoint("other.sock");
    assert_int_equal(chmod(net_folder, 0755), 0);
    assert_int_equal(chmod(endpoint.path, 0600), 0);
    assert_int_equal(seteuid(65534), 0);
    int creating = net_listen_on(&other, &listening);
    int asking = net_listen_on(&endpoint, &listening);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(net_folder, 0700), 0);
    assert_int_equal(creating, WH_ERR_ACCESS_DENIED);
    assert_int_equal(asking, WH_ERR_ACCESS_DENIED);
    assert_non_null(strstr(net_message, "cannot find out whether somebody listens"));
    wh_listening_close(&live);
  } else {
    assert_int_equal(chmod(net_folder, 0500), 0);
    wh_endpoint endpoint = net_unix_endpoint("app.sock");
    net_expect_failure(&endpoint, WH_ERR_ACCESS_DENIED, strerror(EACCES));
    assert_int_equal(chmod(net_folder, 0700), 0);
  }
  assert_int_equal(net_files_in_folder(), 0);
}

/* The temporary name must fit as well, whatever the length of the folder and the file's name. */
static void paths_of_every_length_work(void **state) {
  (void)state;
  size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
  for (size_t length = strlen(net_folder) + 2; length <= most; length++) {
    char name[128];
    size_t name_length = length - strlen(net_folder) - 1;
    memset(name, 'n', name_length);
    name[name_length] = '\0';
    wh_endpoint endpoint = net_unix_endpoint(name);
    net_make_stale(endpoint.path);
    wh_listening listening = net_must_listen(&endpoint);
    int client = net_connect_unix(endpoint.path);
    assert_true(client >= 0);
    close(client);
    assert_int_equal(net_files_in_folder(), 1);
    wh_listening_close(&listening);
    assert_int_equal(net_files_in_folder(), 0);
  }
}

static void a_short_name_in_a_long_folder_works(void **state) {
  (void)state;
  size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
  char deep[128];
  int start = snprintf(deep, sizeof deep, "%s/", net_folder);
  memset(deep + start, 'd', most - 2 - (size_t)start);
  deep[most - 2] = '\0';
  assert_int_equal(mkdir(deep, 0700), 0);
  /* One character, so that the temporary name, of one too, sometimes comes out the same. */
  char path[128 + 2];
  snprintf(path, sizeof path, "%s/x", deep);
  wh_endpoint endpoint;
  assert_int_equal(wh_endpoint_from_path(path, strlen(path), &endpoint, NULL, 0), WH_OK);
  for (int i = 0; i < 300; i++) {
    wh_listening listening = net_must_listen(&endpoint);
    int client = net_connect_unix(path);
    assert_true(client >= 0);
    close(client);
    wh_listening_close(&listening);
  }
  assert_int_equal(rmdir(deep), 0); /* empty */
}

/* --- Many at once --- */

typedef struct starter {
  pthread_t thread;
  pthread_barrier_t *barrier;
  const wh_endpoint *endpoint;
  wh_listening listening;
  int result;
} starter;

static void *start(void *argument) {
  starter *self = argument;
  pthread_barrier_wait(self->barrier);
  self->result = wh_listen(self->endpoint, &self->listening, NULL, 0);
  return NULL;
}

static void of_many_at_once_one_gets_the_stale_file(void **state) {
  (void)state;
  enum { STARTERS = 8, ROUNDS = 100 };
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  for (int round = 0; round < ROUNDS; round++) {
    if (round % 2) net_make_stale(endpoint.path);
    pthread_barrier_t barrier;
    starter starters[STARTERS];
    assert_int_equal(pthread_barrier_init(&barrier, NULL, STARTERS), 0);
    for (size_t i = 0; i < STARTERS; i++) {
      starters[i].barrier = &barrier;
      starters[i].endpoint = &endpoint;
      assert_int_equal(pthread_create(&starters[i].thread, NULL, start, &starters[i]), 0);
    }
    starter *winner = NULL;
    int winners = 0;
    for (size_t i = 0; i < STARTERS; i++) {
      assert_int_equal(pthread_join(starters[i].thread, NULL), 0);
      if (starters[i].result == WH_OK) {
        winner = &starters[i];
        winners++;
      } else {
        assert_int_equal(starters[i].result, WH_ERR_ADDRESS_IN_USE);
      }
    }
    pthread_barrier_destroy(&barrier);
    assert_int_equal(winners, 1);
    assert_int_equal(net_files_in_folder(), 1);
    /* And the name leads to the winner. */
    struct stat status;
    assert_int_equal(lstat(endpoint.path, &status), 0);
    assert_int_equal((uint64_t)status.st_ino, winner->listening.unix_inode);
    int client = net_connect_unix(endpoint.path);
    assert_true(client >= 0);
    close(client);
    wh_listening_close(&winner->listening);
    assert_int_equal(net_files_in_folder(), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(listens_on_a_unix_socket),
      cmocka_unit_test(sets_the_mode_whatever_the_umask),
      cmocka_unit_test(sets_the_owner),
      cmocka_unit_test(replaces_a_stale_file),
      cmocka_unit_test(replaces_a_stale_file_while_the_folder_is_locked),
      cmocka_unit_test(refuses_a_live_socket_and_leaves_it),
      cmocka_unit_test(refuses_a_live_socket_with_a_full_backlog),
      cmocka_unit_test(refuses_a_live_datagram_socket),
      cmocka_unit_test(never_removes_what_is_no_socket),
      cmocka_unit_test(closing_removes_only_its_own_file),
      cmocka_unit_test(refuses_a_missing_folder),
      cmocka_unit_test(refuses_a_folder_without_permission),
      cmocka_unit_test(paths_of_every_length_work),
      cmocka_unit_test(a_short_name_in_a_long_folder_works),
      cmocka_unit_test(of_many_at_once_one_gets_the_stale_file),
  };
  return cmocka_run_group_tests_name("net/listen_unix", tests, net_make_folder, net_remove_folder);
}
