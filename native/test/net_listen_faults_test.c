/*
 * Listening where system calls fail: machines that lack IPv6 or a loopback, ports and files that
 * others take between two calls, file systems without hard links; and every single call failing in
 * turn. The sources under test are compiled into this file, with their system calls replaced.
 */
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
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "net/listen.h"
#include "net/listen_private.h"
#include "net_support.h"

/* --- The system, as this test wants it --- */

typedef enum call {
  CALL_ANY,
  CALL_SOCKET,
  CALL_SETSOCKOPT,
  CALL_BIND,
  CALL_GETSOCKNAME,
  CALL_LISTEN,
  CALL_LSTAT,
  CALL_CONNECT,
  CALL_UNLINK,
  CALL_LINK,
  CALL_RENAME,
  CALL_OPEN,
  CALL_FLOCK,
  CALL_FCHMODAT,
  CALL_CHMOD,
  CALL_LCHOWN
} call;

static struct {
  call fails;         /* which kind of call */
  int family;         /* only for this family, 0 = all; sockets and their options, bind, listen */
  size_t from;        /* the first of them that fails, from 1 */
  size_t times;       /* how many fail then */
  int error;          /* with this errno */
  void (*hook)(void); /* run once, before the first `link` */
  size_t seen;        /* calls that matched so far */
  size_t failed;      /* of them, failed */
  call last;          /* the kind of the last one that failed */
  long open;          /* descriptors open now */
  size_t pauses;      /* how often it slept */
} fault;

static void no_faults(void) { memset(&fault, 0, sizeof fault); }

static void let_fail(call kind, int family, size_t from, size_t times, int error) {
  no_faults();
  fault.fails = kind;
  fault.family = family;
  fault.from = from;
  fault.times = times;
  fault.error = error;
}

static bool fails(call kind, int family) {
  if (fault.times == 0 || (fault.fails != CALL_ANY && fault.fails != kind)) return false;
  if (fault.family != 0 && fault.family != family) return false;
  fault.seen++;
  if (fault.seen < fault.from || fault.seen >= fault.from + fault.times) return false;
  fault.failed++;
  fault.last = kind;
  errno = fault.error;
  return true;
}

static int family_of(int fd) {
  struct sockaddr_storage name = {0};
  socklen_t length = sizeof name;
  return getsockname(fd, (struct sockaddr *)&name, &length) == 0 ? name.ss_family : -1;
}

static int counted(int fd) {
  if (fd >= 0) fault.open++;
  return fd;
}

static int fault_socket(int family, int type, int protocol) {
  return fails(CALL_SOCKET, family) ? -1 : counted(socket(family, type, protocol));
}

static int fault_setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  return fails(CALL_SETSOCKOPT, family_of(fd)) ? -1 : setsockopt(fd, level, option, value, length);
}

static int fault_bind(int fd, const struct sockaddr *name, socklen_t length) {
  return fails(CALL_BIND, name->sa_family) ? -1 : bind(fd, name, length);
}

static int fault_address_local(int fd, wh_address *out) {
  return fails(CALL_GETSOCKNAME, family_of(fd)) ? WH_ERR_SYSTEM : wh_address_local(fd, out);
}

static int fault_listen(int fd, int backlog) {
  return fails(CALL_LISTEN, family_of(fd)) ? -1 : listen(fd, backlog);
}

static int fault_close(int fd) {
  fault.open--;
  return close(fd);
}

static int fault_lstat(const char *path, struct stat *out) {
  return fails(CALL_LSTAT, 0) ? -1 : lstat(path, out);
}

static int fault_connect(int fd, const struct sockaddr *name, socklen_t length) {
  return fails(CALL_CONNECT, 0) ? -1 : connect(fd, name, length);
}

static int fault_unlink(const char *path) { return fails(CALL_UNLINK, 0) ? -1 : unlink(path); }

static int fault_link(const char *from, const char *to) {
  void (*hook)(void) = fault.hook;
  fault.hook = NULL;
  if (hook) hook();
  return fails(CALL_LINK, 0) ? -1 : link(from, to);
}

static int fault_rename(const char *from, const char *to) {
  return fails(CALL_RENAME, 0) ? -1 : rename(from, to);
}

static int fault_open(const char *path, int flags) {
  return fails(CALL_OPEN, 0) ? -1 : counted(open(path, flags));
}

static int fault_flock(int fd, int operation) {
  return fails(CALL_FLOCK, 0) ? -1 : flock(fd, operation);
}

static int fault_fchmodat(int at, const char *path, mode_t mode, int flags) {
  return fails(CALL_FCHMODAT, 0) ? -1 : fchmodat(at, path, mode, flags);
}

static int fault_chmod(const char *path, mode_t mode) {
  return fails(CALL_CHMOD, 0) ? -1 : chmod(path, mode);
}

static int fault_lchown(const char *path, uid_t user, gid_t group) {
  return fails(CALL_LCHOWN, 0) ? -1 : lchown(path, user, group);
}

static int fault_nanosleep(const struct timespec *time, struct timespec *rest) {
  assert_true(time->tv_sec == 0 && time->tv_nsec > 0 && rest == NULL);
  fault.pauses++;
  return 0;
}

#define socket(family, type, protocol) fault_socket(family, type, protocol)
#define setsockopt(fd, level, option, value, length) \
  fault_setsockopt(fd, level, option, value, length)
#define bind(fd, name, length) fault_bind(fd, name, length)
#define wh_address_local(fd, out) fault_address_local(fd, out)
#define listen(fd, backlog) fault_listen(fd, backlog)
#define close(fd) fault_close(fd)
#define lstat(path, out) fault_lstat(path, out)
#define connect(fd, name, length) fault_connect(fd, name, length)
#define unlink(path) fault_unlink(path)
#define link(from, to) fault_link(from, to)
#define rename(from, to) fault_rename(from, to)
#define open(path, flags) fault_open(path, flags)
#define flock(fd, operation) fault_flock(fd, operation)
#define fchmodat(at, path, mode, flags) fault_fchmodat(at, path, mode, flags)
#define chmod(path, mode) fault_chmod(path, mode)
#define lchown(path, user, group) fault_lchown(path, user, group)
#define nanosleep(time, rest) fault_nanosleep(time, rest)

#include "net/listen.c"           /* NOLINT(bugprone-suspicious-include): see above */
#include "net/listen_attempt.c"   /* NOLINT(bugprone-suspicious-include) */
#include "net/listen_inherited.c" /* NOLINT(bugprone-suspicious-include) */
#include "net/listen_tcp.c"       /* NOLINT(bugprone-suspicious-include) */
#include "net/listen_unix.c"      /* NOLINT(bugprone-suspicious-include) */

#undef socket
#undef setsockopt
#undef bind
#undef wh_address_local
#undef listen
#undef close
#undef lstat
#undef connect
#undef unlink
#undef link
#undef rename
#undef open
#undef flock
#undef fchmodat
#undef chmod
#undef lchown
#undef nanosleep

/* --- Machines that lack something --- */

/* The two ways in which a system says that it has no such address. */
static const struct {
  call kind;
  int error;
} missing[] = {{CALL_SOCKET, EAFNOSUPPORT}, {CALL_BIND, EADDRNOTAVAIL}};

static void any_falls_back_to_ipv4(void **state) {
  for (size_t i = 0; i < 2; i++) {
    wh_endpoint endpoint = net_endpoint_of("http://*:0");
    let_fail(missing[i].kind, AF_INET6, 1, SIZE_MAX / 2, missing[i].error);
    wh_listening listening = net_must_listen(&endpoint);
    assert_int_equal(fault.failed, 1);
    assert_int_equal(listening.count, 1);
    char url[64];
    snprintf(url, sizeof url, "http://0.0.0.0:%u", listening.bound[0].port);
    net_expect_url(&listening, 0, 0, url);
    int client = net_connect_ip(AF_INET, "127.0.0.1", listening.bound[0].port);
    assert_true(client >= 0);
    close(client);
    wh_listening_close(&listening);
    assert_int_equal(fault.open, 0);

    endpoint.ipv6_only = 1;
    net_expect_failure(&endpoint, WH_ERR_ADDRESS_NOT_AVAILABLE, strerror(missing[i].error));
    endpoint = net_endpoint_of("http://[::]:0");
    net_expect_failure(&endpoint, WH_ERR_ADDRESS_NOT_AVAILABLE, strerror(missing[i].error));
    assert_int_equal(fault.open, 0);
  }
}

static void any_does_not_fall_back_from_a_port_in_use(void **state) {
  wh_endpoint endpoint = net_endpoint_of("http://*:9");
  let_fail(CALL_BIND, AF_INET6, 1, SIZE_MAX / 2, EADDRINUSE);
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, strerror(EADDRINUSE));
  let_fail(CALL_BIND, AF_INET6, 1, SIZE_MAX / 2, EACCES);
  net_expect_failure(&endpoint, WH_ERR_ACCESS_DENIED, strerror(EACCES));
}

static void localhost_is_the_loopback_that_there_is(void **state) {
  for (size_t i = 0; i < 2; i++) {
    wh_endpoint endpoint = net_endpoint_of("http://localhost:0");
    let_fail(missing[i].kind, AF_INET6, 1, SIZE_MAX / 2, missing[i].error);
    wh_listening listening = net_must_listen(&endpoint);
    assert_int_equal(listening.count, 1);
    assert_int_equal(listening.bound[0].family, WH_ADDRESS_IPV4);
    char url[64];
    snprintf(url, sizeof url, "http://localhost:%u", listening.bound[0].port);
    net_expect_url(&listening, 0, 0, url);
    wh_listening_close(&listening);
    assert_int_equal(fault.open, 0);

    let_fail(missing[i].kind, 0, 1, SIZE_MAX / 2, missing[i].error); /* neither */
    net_expect_failure(&endpoint, WH_ERR_ADDRESS_NOT_AVAILABLE, strerror(missing[i].error));
    assert_int_equal(fault.failed, 2);
    assert_int_equal(fault.open, 0);
  }
}

static void localhost_is_ipv6_where_there_is_no_ipv4(void **state) {
  NEEDS_IPV6();
  for (size_t i = 0; i < 2; i++) {
    wh_endpoint endpoint = net_endpoint_of("http://localhost:0");
    let_fail(missing[i].kind, AF_INET, 1, SIZE_MAX / 2, missing[i].error);
    wh_listening listening = net_must_listen(&endpoint);
    assert_int_equal(listening.count, 1);
    assert_int_equal(listening.bound[0].family, WH_ADDRESS_IPV6);
    assert_int_not_equal(listening.bound[0].port, 0);
    wh_listening_close(&listening);
    assert_int_equal(fault.open, 0);
  }
}

/* --- Others who are faster --- */

static void localhost_looks_for_a_port_free_on_both(void **state) {
  NEEDS_IPV6();
  static const call kinds[] = {CALL_BIND, CALL_LISTEN};
  for (size_t i = 0; i < 2; i++) {
    wh_endpoint endpoint = net_endpoint_of("http://localhost:0");
    let_fail(kinds[i], AF_INET6, 1, 5, EADDRINUSE);
    wh_listening listening = net_must_listen(&endpoint);
    assert_int_equal(fault.failed, 5);
    assert_int_equal(listening.count, 2);
    assert_int_equal(listening.bound[0].port, listening.bound[1].port);
    assert_int_equal(fault.open, 2);
    wh_listening_close(&listening);
    assert_int_equal(fault.open, 0);

    let_fail(kinds[i], AF_INET6, 1, SIZE_MAX / 2, EADDRINUSE);
    net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "found no free port");
    assert_int_equal(fault.failed, WH_LISTEN_TRIES); /* not for ever */
    assert_int_equal(fault.open, 0);

    /* A port that was asked for is not tried twice. */
    endpoint.port = 9;
    let_fail(CALL_BIND, 0, 1, SIZE_MAX / 2, EADDRINUSE);
    net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, strerror(EADDRINUSE));
    assert_int_equal(fault.failed, 1);
  }
}

static wh_endpoint newcomer_at;
static int newcomer;

/* Somebody else's server, which does not know our ways, takes the name. */
static void come(void) {
  struct sockaddr_un name = net_unix_name(newcomer_at.path);
  newcomer = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_true(newcomer >= 0);
  assert_int_equal(bind(newcomer, (struct sockaddr *)&name, sizeof name), 0);
  assert_int_equal(listen(newcomer, 4), 0);
}

static void come_and_go(void) {
  come();
  close(newcomer);
}

static void come_with_a_file(void) {
  int fd = open(newcomer_at.path, O_CREAT | O_EXCL | O_WRONLY, 0600);
  assert_true(fd >= 0);
  close(fd);
}

static void a_server_that_came_between_is_left_alone(void **state) {
  /* With hard links and without. */
  static const int errors[] = {0, EPERM, EOPNOTSUPP};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    wh_endpoint endpoint = newcomer_at = net_unix_endpoint("app.sock");
    if (errors[i]) {
      let_fail(CALL_LINK, 0, 1, SIZE_MAX / 2, errors[i]);
    } else {
      no_faults();
    }
    fault.hook = come;
    net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "somebody listens there already");
    assert_int_equal(fault.open, 0);
    assert_int_equal(net_files_in_folder(), 1);
    int client = net_connect_unix(endpoint.path);
    assert_true(client >= 0);
    close(client);
    close(newcomer);
    assert_int_equal(unlink(endpoint.path), 0);

    if (errors[i]) fault.seen = 0;
    fault.hook = come_with_a_file;
    net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "no socket");
    assert_int_equal(net_files_in_folder(), 1);
    assert_int_equal(unlink(endpoint.path), 0);

    /* One that was gone again left a stale file. */
    fault.hook = come_and_go;
    wh_listening listening = net_must_listen(&endpoint);
    assert_int_equal(net_files_in_folder(), 1);
    client = net_connect_unix(endpoint.path);
    assert_true(client >= 0);
    close(client);
    wh_listening_close(&listening);
    assert_int_equal(fault.open, 0);
    assert_int_equal(net_files_in_folder(), 0);
  }
}

static void gives_up_where_a_name_cannot_be_had(void **state) {
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  let_fail(CALL_LINK, 0, 1, SIZE_MAX / 2, EEXIST);
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, "others keep creating");
  assert_int_equal(fault.failed, WH_LISTEN_TRIES);
  let_fail(CALL_BIND, 0, 1, SIZE_MAX / 2, EADDRINUSE);
  net_expect_failure(&endpoint, WH_ERR_ADDRESS_IN_USE, strerror(EADDRINUSE));
  assert_int_equal(fault.failed, WH_LISTEN_TRIES);
  assert_int_equal(fault.open, 0);
  assert_int_equal(net_files_in_folder(), 0);
}

/* --- File systems that lack something --- */

static void works_without_hard_links(void **state) {
  static const int errors[] = {EPERM, EOPNOTSUPP, ENOSYS, EMLINK};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    wh_endpoint endpoint = net_unix_endpoint("app.sock");
    net_make_stale(endpoint.path);
    let_fail(CALL_LINK, 0, 1, SIZE_MAX / 2, errors[i]);
    wh_listening listening = net_must_listen(&endpoint);
    assert_int_not_equal(fault.failed, 0);
    assert_int_equal(net_files_in_folder(), 1);
    int client = net_connect_unix(endpoint.path);
    assert_true(client >= 0);
    close(client);
    wh_listening_close(&listening);
    assert_int_equal(net_files_in_folder(), 0);
  }
}

static void sets_the_mode_where_links_are_always_followed(void **state) {
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  endpoint.unix_mode = 0612;
  let_fail(CALL_FCHMODAT, 0, 1, 1, ENOTSUP);
  wh_listening listening = net_must_listen(&endpoint);
  assert_int_equal(fault.failed, 1);
  struct stat status;
  assert_int_equal(stat(endpoint.path, &status), 0);
  assert_int_equal(status.st_mode & 07777, 0612);
  wh_listening_close(&listening);
}

static void works_without_locks(void **state) {
  static const struct {
    call kind;
    int error;
    size_t pauses;
  } rows[] = {
      {CALL_OPEN, EACCES, 0}, {CALL_FLOCK, ENOLCK, 0}, {CALL_FLOCK, EWOULDBLOCK, WH_LISTEN_TRIES}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    wh_endpoint endpoint = net_unix_endpoint("app.sock");
    net_make_stale(endpoint.path);
    let_fail(rows[i].kind, 0, 1, SIZE_MAX / 2, rows[i].error);
    wh_listening listening = net_must_listen(&endpoint);
    assert_int_not_equal(fault.failed, 0);
    assert_true(fault.pauses >= rows[i].pauses);
    wh_listening_close(&listening);
    assert_int_equal(fault.open, 0);
    assert_int_equal(net_files_in_folder(), 0);
  }
}

static void a_signal_does_not_disturb(void **state) {
  static const call kinds[] = {CALL_CONNECT, CALL_OPEN, CALL_FLOCK};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    wh_endpoint endpoint = net_unix_endpoint("app.sock");
    net_make_stale(endpoint.path);
    let_fail(kinds[i], 0, 1, 3, EINTR);
    wh_listening listening = net_must_listen(&endpoint);
    assert_int_equal(fault.failed, 3);
    wh_listening_close(&listening);
    assert_int_equal(net_files_in_folder(), 0);
  }
}

static void a_socket_that_gives_no_clear_answer_is_left_alone(void **state) {
  static const struct {
    int error;
    int result;
  } rows[] = {{EIO, WH_ERR_SYSTEM}, {ENOMEM, WH_ERR_NO_MEMORY}, {EACCES, WH_ERR_ACCESS_DENIED}};
  wh_endpoint endpoint = net_unix_endpoint("app.sock");
  net_make_stale(endpoint.path);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    let_fail(CALL_CONNECT, 0, 1, 1, rows[i].error);
    net_expect_failure(&endpoint, rows[i].result, "cannot find out whether somebody listens");
    assert_int_equal(net_files_in_folder(), 1);
  }
  assert_int_equal(unlink(endpoint.path), 0);
}

/* --- Every call in turn --- */

typedef struct sweep_row {
  const char *url; /* NULL: a Unix socket */
  int stale;
  int permissions;
} sweep_row;

/*
 * Makes the first, second, ... call of wh_listen fail with an error that nothing expects. Each time it
 * fails with that error, or succeeds because it can do without; and nothing stays open or behind.
 */
static void sweep(const sweep_row *row) {
  size_t most = 1;
  for (size_t nth = 1; nth <= most; nth++) {
    wh_endpoint endpoint = row->url ? net_endpoint_of(row->url) : net_unix_endpoint("app.sock");
    endpoint.reuse_port = 1;
    if (row->permissions) {
      endpoint.unix_mode = 0600;
      endpoint.unix_uid = geteuid();
      endpoint.unix_gid = getegid();
    }
    if (row->stale) net_make_stale(endpoint.path);
    let_fail(CALL_ANY, 0, nth, 1, EIO);
    wh_listening listening;
    int result = net_listen_on(&endpoint, &listening);
    if (nth == 1) {
      most = 100; /* until a run has no such call */
    } else if (fault.failed == 0) {
      assert_int_equal(result, WH_OK);
      most = nth;
    }
    if (result == WH_OK) {
      if (fault.failed) assert_true(fault.last == CALL_OPEN || fault.last == CALL_FLOCK);
      assert_string_equal(net_message, "");
      assert_int_equal(fault.open, listening.count);
    } else {
      assert_int_equal(result, WH_ERR_SYSTEM);
      assert_int_equal(errno, EIO);
      assert_non_null(strstr(net_message, strerror(EIO)));
    }
    fault.times = 0;
    wh_listening_close(&listening);
    assert_int_equal(fault.open, 0);
    if (row->stale && result != WH_OK) unlink(endpoint.path);
    assert_int_equal(net_files_in_folder(), 0);
  }
  assert_true(most > 5 && most < 100);
}

static void every_call_can_fail(void **state) {
  static const sweep_row rows[] = {
      {"http://127.0.0.1:0", 0, 0},
      {"http://*:0", 0, 0},
      {"http://localhost:0", 0, 0},
      {NULL, 0, 0},
      {NULL, 1, 0},
      {NULL, 0, 1},
      {NULL, 1, 1},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) sweep(&rows[i]);
}

/* A file that closing cannot look at or remove is left; the descriptors are closed all the same. */
static void closing_goes_on(void **state) {
  static const call kinds[] = {CALL_LSTAT, CALL_UNLINK};
  for (size_t i = 0; i < 2; i++) {
    wh_endpoint endpoint = net_unix_endpoint("app.sock");
    no_faults();
    wh_listening listening = net_must_listen(&endpoint);
    fault.fails = kinds[i];
    fault.from = fault.times = 1;
    fault.error = EIO;
    wh_listening_close(&listening);
    assert_int_equal(fault.failed, 1);
    assert_int_equal(fault.open, 0);
    assert_int_equal(unlink(endpoint.path), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_falls_back_to_ipv4),
      cmocka_unit_test(any_does_not_fall_back_from_a_port_in_use),
      cmocka_unit_test(localhost_is_the_loopback_that_there_is),
      cmocka_unit_test(localhost_is_ipv6_where_there_is_no_ipv4),
      cmocka_unit_test(localhost_looks_for_a_port_free_on_both),
      cmocka_unit_test(a_server_that_came_between_is_left_alone),
      cmocka_unit_test(gives_up_where_a_name_cannot_be_had),
      cmocka_unit_test(works_without_hard_links),
      cmocka_unit_test(sets_the_mode_where_links_are_always_followed),
      cmocka_unit_test(works_without_locks),
      cmocka_unit_test(a_signal_does_not_disturb),
      cmocka_unit_test(a_socket_that_gives_no_clear_answer_is_left_alone),
      cmocka_unit_test(every_call_can_fail),
      cmocka_unit_test(closing_goes_on),
  };
  return cmocka_run_group_tests_name("net/listen, system calls failing", tests, net_make_folder,
                                     net_remove_folder);
}
