#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net_support.h"

char net_folder[64];

char net_message[WH_MESSAGE_SIZE];

wh_endpoint net_endpoint_of(const char *url) {
  wh_endpoint endpoint;
  if (wh_endpoint_parse_url(url, strlen(url), &endpoint, net_message, sizeof net_message) !=
      WH_OK) {
    fail_msg("%s", net_message);
  }
  return endpoint;
}

int net_listen_on(const wh_endpoint *endpoint, wh_listening *out) {
  net_message[0] = '\0';
  return wh_listen(endpoint, out, net_message, sizeof net_message);
}

wh_listening net_must_listen(const wh_endpoint *endpoint) {
  wh_listening listening;
  if (net_listen_on(endpoint, &listening) != WH_OK) fail_msg("%s", net_message);
  assert_string_equal(net_message, "");
  return listening;
}

void net_expect_failure(const wh_endpoint *endpoint, int error, const char *part) {
  wh_listening listening;
  memset(&listening, 0xff, sizeof listening);
  int result = net_listen_on(endpoint, &listening);
  if (result != error || !strstr(net_message, part)) {
    print_error("%s: %s\n", wh_error_name(result), net_message);
  }
  assert_int_equal(result, error);
  assert_non_null(strstr(net_message, part));
  char url[WH_ENDPOINT_TEXT_SIZE];
  wh_endpoint_format(endpoint, url, sizeof url);
  assert_non_null(strstr(net_message, url));
  assert_int_equal(listening.count, 0);
  wh_listening_close(&listening); /* a failed one is closed already */
}

wh_address net_literal(int family, const char *text, uint16_t port) {
  wh_address address = {.family = family == AF_INET ? WH_ADDRESS_IPV4 : WH_ADDRESS_IPV6,
                        .port = port};
  assert_int_equal(inet_pton(family, text, address.bytes), 1);
  return address;
}

int net_connect_ip(int family, const char *ip, uint16_t port) {
  struct sockaddr_storage name;
  memset(&name, 0, sizeof name);
  socklen_t length;
  if (family == AF_INET) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&name;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    assert_int_equal(inet_pton(AF_INET, ip, &v4->sin_addr), 1);
    length = sizeof *v4;
  } else {
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&name;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    assert_int_equal(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
    length = sizeof *v6;
  }
  int fd = socket(family, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  if (connect(fd, (struct sockaddr *)&name, length) != 0) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

struct sockaddr_un net_unix_name(const char *path) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  assert_true(strlen(path) < sizeof name.sun_path);
  memcpy(name.sun_path, path, strlen(path) + 1);
  return name;
}

int net_connect_unix(const char *path) {
  struct sockaddr_un name = net_unix_name(path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  if (connect(fd, (struct sockaddr *)&name, sizeof name) != 0) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

int net_accept_at(int listener) {
  struct pollfd ready = {.fd = listener, .events = POLLIN};
  assert_int_equal(poll(&ready, 1, 10000), 1);
  int fd = accept(listener, NULL, NULL);
  assert_true(fd >= 0);
  return fd;
}

void net_expect_url(const wh_listening *listening, size_t index, int https, const char *expected) {
  char url[WH_ENDPOINT_TEXT_SIZE];
  size_t length = wh_listening_url(listening, index, https, url, sizeof url);
  assert_string_equal(url, expected);
  assert_int_equal(length, strlen(expected));
}

int net_option_of(int fd, int level, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  assert_int_equal(getsockopt(fd, level, option, &value, &length), 0);
  return value;
}

int net_has_ipv6(void) {
  struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET6, SOCK_STREAM, 0);
  int result = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0;
  if (fd >= 0) close(fd);
  return result;
}

int net_files_in_folder(void) {
  DIR *open_folder = opendir(net_folder);
  assert_non_null(open_folder);
  int count = 0;
  for (struct dirent *entry; (entry = readdir(open_folder)) != NULL;) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) count++;
  }
  closedir(open_folder);
  return count;
}

wh_endpoint net_unix_endpoint(const char *name) {
  wh_endpoint endpoint;
  char path[200];
  snprintf(path, sizeof path, "%s/%s", net_folder, name);
  if (wh_endpoint_from_path(path, strlen(path), &endpoint, net_message, sizeof net_message) !=
      WH_OK) {
    fail_msg("%s", net_message);
  }
  return endpoint;
}

void net_make_stale(const char *path) {
  struct sockaddr_un name = net_unix_name(path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
  assert_int_equal(listen(fd, 1), 0);
  close(fd);
}

int net_make_folder(void **state) {
  (void)state;
  snprintf(net_folder, sizeof net_folder, "/tmp/wh-listen-XXXXXX");
  return mkdtemp(net_folder) ? 0 : -1;
}

int net_remove_folder(void **state) {
  (void)state;
  return rmdir(net_folder); /* fails, and so does the group, if a test left a file */
}
