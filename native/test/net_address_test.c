/* What addresses look like, and which texts are endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "net/address.h"

/* --- Addresses --- */

static wh_address from_text(int family, const char *text) {
  wh_address address;
  if (family == AF_INET) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(8080)};
    assert_int_equal(inet_pton(AF_INET, text, &v4.sin_addr), 1);
    wh_address_from_sockaddr(&address, (struct sockaddr *)&v4, sizeof v4);
  } else {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(8080)};
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    wh_address_from_sockaddr(&address, (struct sockaddr *)&v6, sizeof v6);
  }
  return address;
}

static void keeps_family_port_and_bytes(void **state) {
  (void)state;
  wh_address v4 = from_text(AF_INET, "192.0.2.7");
  assert_int_equal(v4.family, WH_ADDRESS_IPV4);
  assert_int_equal(v4.port, 8080);
  assert_memory_equal(v4.bytes, "\xc0\x00\x02\x07\0\0\0\0\0\0\0\0\0\0\0\0", 16);
  wh_address v6 = from_text(AF_INET6, "2001:db8::1");
  assert_int_equal(v6.family, WH_ADDRESS_IPV6);
  assert_int_equal(v6.port, 8080);
  assert_memory_equal(v6.bytes, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
}

static void mapped_ipv6_becomes_ipv4(void **state) {
  (void)state;
  wh_address mapped = from_text(AF_INET6, "::ffff:192.0.2.7");
  wh_address v4 = from_text(AF_INET, "192.0.2.7");
  assert_memory_equal(&mapped, &v4, sizeof v4);
}

static void unknown_or_short_is_none(void **state) {
  (void)state;
  wh_address address;
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
  memset(&address, 0xff, sizeof address);
  wh_address_from_sockaddr(&address, NULL, 0);
  assert_int_equal(address.family, WH_ADDRESS_NONE);
  memset(&address, 0xff, sizeof address);
  wh_address_from_sockaddr(&address, (struct sockaddr *)&v6, sizeof v6 - 1);
  assert_int_equal(address.family, WH_ADDRESS_NONE);
  wh_address_from_sockaddr(&address, (struct sockaddr *)&v6, 1);
  assert_int_equal(address.family, WH_ADDRESS_NONE);
  v6.sin6_family = 250;
  wh_address_from_sockaddr(&address, (struct sockaddr *)&v6, sizeof v6);
  assert_int_equal(address.family, WH_ADDRESS_NONE);
  assert_int_equal(address.port, 0);
}

static void a_nameless_unix_peer_is_unix(void **state) {
  (void)state;
  wh_address address;
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  wh_address_from_sockaddr(&address, (struct sockaddr *)&name,
                           offsetof(struct sockaddr_un, sun_path));
  assert_int_equal(address.family, WH_ADDRESS_UNIX);
  assert_int_equal(address.port, 0);
  char text[WH_ADDRESS_TEXT_SIZE] = "x";
  assert_int_equal(wh_address_format(&address, text, sizeof text), 0);
  assert_string_equal(text, "");
}

static void asks_a_socket(void **state) {
  (void)state;
  int pair[2];
  wh_address address;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  assert_int_equal(wh_address_local(pair[0], &address), WH_OK);
  assert_int_equal(address.family, WH_ADDRESS_UNIX);
  assert_int_equal(wh_address_peer(pair[0], &address), WH_OK);
  assert_int_equal(address.family, WH_ADDRESS_UNIX);
  close(pair[0]);
  close(pair[1]);

  int lone = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(lone >= 0);
  memset(&address, 0xff, sizeof address);
  assert_int_equal(wh_address_peer(lone, &address), WH_ERR_CLOSED);
  assert_int_equal(address.family, WH_ADDRESS_NONE);
  close(lone);
  assert_int_equal(wh_address_local(-1, &address), WH_ERR_SYSTEM);
}

/* RFC 5952's own examples, and the corners of its rules. */
static void writes_ipv6_as_rfc_5952_says(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:0db8::0001", "2001:db8::1"},               /* 4.1: no leading zeros */
      {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},        /* 4.2.1: as short as can be */
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* 4.2.2: not for one group */
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* 4.2.3: the longest */
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* 4.2.3: the first of equals */
      {"2001:DB8::ABCD", "2001:db8::abcd"},             /* 4.3: lower case */
      {"0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"},             /* at the start */
      {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},             /* at the end */
      {"0:1:2:3:4:5:6:0", "0:1:2:3:4:5:6:0"},           /* single ones at both ends */
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"1000:200:30:4::a", "1000:200:30:4::a"},
      {"::1.2.3.4", "::102:304"}, /* the deprecated form is not told from others */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    wh_address address = from_text(AF_INET6, rows[i][0]);
    char text[WH_ADDRESS_TEXT_SIZE];
    size_t length = wh_address_format(&address, text, sizeof text);
    assert_string_equal(text, rows[i][1]);
    assert_int_equal(length, strlen(rows[i][1]));
  }
  /* Section 5. Does not come from a socket, but a caller may fill the structure. */
  wh_address mapped = {.family = WH_ADDRESS_IPV6,
                       .bytes = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 255}};
  char text[WH_ADDRESS_TEXT_SIZE];
  wh_address_format(&mapped, text, sizeof text);
  assert_string_equal(text, "::ffff:192.0.2.255");
}

static void writes_ipv4(void **state) {
  (void)state;
  static const char *const rows[] = {"0.0.0.0",      "1.2.3.4",       "10.20.30.40",
                                     "100.101.99.9", "127.0.0.1",     "255.255.255.255",
                                     "200.100.10.1", "199.110.11.109"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    wh_address address = from_text(AF_INET, rows[i]);
    char text[WH_ADDRESS_TEXT_SIZE];
    assert_int_equal(wh_address_format(&address, text, sizeof text), strlen(rows[i]));
    assert_string_equal(text, rows[i]);
  }
}

/* Every text reads back as the same address, is never longer than the system's, and fits. */
static void random_addresses_read_back(void **state) {
  (void)state;
  srand(5952);
  for (int i = 0; i < 20000; i++) {
    wh_address address = {.family = WH_ADDRESS_IPV6};
    for (int group = 0; group < 8; group++) {
      if (rand() % 2) continue; /* many zeros, in all arrangements */
      address.bytes[2 * group] = (uint8_t)(rand() % 3 ? 0 : rand());
      address.bytes[2 * group + 1] = (uint8_t)rand();
    }
    char text[WH_ADDRESS_TEXT_SIZE], system[INET6_ADDRSTRLEN];
    uint8_t back[16];
    size_t length = wh_address_format(&address, text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_int_equal(inet_pton(AF_INET6, text, back), 1);
    assert_memory_equal(back, address.bytes, 16);
    assert_non_null(inet_ntop(AF_INET6, address.bytes, system, sizeof system));
    if (strchr(system, '.') == NULL) assert_string_equal(text, system);
  }
}

static void cuts_what_does_not_fit(void **state) {
  (void)state;
  wh_address address = from_text(AF_INET, "192.0.2.7");
  char text[4] = "zzz";
  assert_int_equal(wh_address_format(&address, text, sizeof text), 9);
  assert_string_equal(text, "192");
  assert_int_equal(wh_address_format(&address, NULL, 0), 9);
}

/* --- Endpoints that are fine --- */

typedef struct accepted_row {
  const char *url;
  int kind;
  int port;
  int https;
  const char *formatted;
} accepted_row;

static void reads_urls(void **state) {
  (void)state;
  static const accepted_row rows[] = {
      {"http://127.0.0.1:5000", WH_ENDPOINT_IP, 5000, 0, "http://127.0.0.1:5000"},
      {"http://127.0.0.1:5000/", WH_ENDPOINT_IP, 5000, 0, "http://127.0.0.1:5000"},
      {"http://127.0.0.1", WH_ENDPOINT_IP, 80, 0, "http://127.0.0.1:80"},
      {"https://127.0.0.1", WH_ENDPOINT_IP, 443, 1, "https://127.0.0.1:443"},
      {"HTTP://127.0.0.1:0", WH_ENDPOINT_IP, 0, 0, "http://127.0.0.1:0"},
      {"hTTpS://127.0.0.1:65535", WH_ENDPOINT_IP, 65535, 1, "https://127.0.0.1:65535"},
      {"http://0.0.0.0:00080", WH_ENDPOINT_IP, 80, 0, "http://0.0.0.0:80"},
      {"http://[::]:5000", WH_ENDPOINT_IP, 5000, 0, "http://[::]:5000"},
      {"http://[2001:DB8:0::1]", WH_ENDPOINT_IP, 80, 0, "http://[2001:db8::1]:80"},
      {"http://[::1]:1/", WH_ENDPOINT_IP, 1, 0, "http://[::1]:1"},
      {"http://[::ffff:127.0.0.1]:1", WH_ENDPOINT_IP, 1, 0, "http://127.0.0.1:1"},
      {"http://[fe80::1%eth0]:1", WH_ENDPOINT_IP, 1, 0, "http://[fe80::1%eth0]:1"},
      {"http://[fe80::1%25eth0]:1", WH_ENDPOINT_IP, 1, 0, "http://[fe80::1%eth0]:1"},
      {"http://[fe80::1%25]:1", WH_ENDPOINT_IP, 1, 0, "http://[fe80::1%25]:1"},
      {"http://localhost:5000", WH_ENDPOINT_LOCALHOST, 5000, 0, "http://localhost:5000"},
      {"http://LocalHost.", WH_ENDPOINT_LOCALHOST, 80, 0, "http://LocalHost.:80"},
      {"http://app.localhost:0", WH_ENDPOINT_LOCALHOST, 0, 0, "http://app.localhost:0"},
      {"http://*:5000", WH_ENDPOINT_ANY, 5000, 0, "http://*:5000"},
      {"http://+", WH_ENDPOINT_ANY, 80, 0, "http://+:80"},
      {"http://example.com:81", WH_ENDPOINT_ANY, 81, 0, "http://example.com:81"},
      {"http://notlocalhost:81", WH_ENDPOINT_ANY, 81, 0, "http://notlocalhost:81"},
      {"http://localhost.example:81", WH_ENDPOINT_ANY, 81, 0, "http://localhost.example:81"},
      {"http://my_host-1.x1", WH_ENDPOINT_ANY, 80, 0, "http://my_host-1.x1:80"},
      {"http://unix.example", WH_ENDPOINT_ANY, 80, 0, "http://unix.example:80"},
      {"http://unix:/run/app.sock", WH_ENDPOINT_UNIX, 0, 0, "http://unix:/run/app.sock"},
      {"https://unix:/run/app.sock", WH_ENDPOINT_UNIX, 0, 1, "https://unix:/run/app.sock"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    wh_endpoint endpoint;
    char message[WH_MESSAGE_SIZE] = "untouched";
    int result =
        wh_endpoint_parse_url(rows[i].url, strlen(rows[i].url), &endpoint, message, sizeof message);
    if (result != WH_OK) print_error("%s\n", message);
    assert_int_equal(result, WH_OK);
    assert_string_equal(message, "untouched");
    assert_int_equal(endpoint.kind, rows[i].kind);
    assert_int_equal(endpoint.port, rows[i].port);
    assert_int_equal(endpoint.https, rows[i].https);
    char text[WH_ENDPOINT_TEXT_SIZE];
    size_t length = wh_endpoint_format(&endpoint, text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, rows[i].formatted);
    if (endpoint.kind == WH_ENDPOINT_IP) assert_int_equal(endpoint.address.port, endpoint.port);
    if (endpoint.kind != WH_ENDPOINT_UNIX) assert_string_equal(endpoint.path, "");
    assert_int_equal(endpoint.backlog, 512);
    assert_int_equal(endpoint.unix_mode, -1);
    assert_int_equal(endpoint.unix_uid, -1);
    assert_int_equal(endpoint.unix_gid, -1);
    assert_int_equal(endpoint.reuse_port, 0);
    assert_int_equal(endpoint.ipv6_only, 0);
  }
}

static void a_mapped_literal_listens_on_ipv4(void **state) {
  (void)state;
  wh_endpoint endpoint;
  const char *url = "http://[::ffff:127.0.0.1]:1";
  assert_int_equal(wh_endpoint_parse_url(url, strlen(url), &endpoint, NULL, 0), WH_OK);
  assert_int_equal(endpoint.address.family, WH_ADDRESS_IPV4);
  char text[WH_ENDPOINT_TEXT_SIZE];
  wh_endpoint_format(&endpoint, text, sizeof text);
  assert_string_equal(text, "http://127.0.0.1:1");
}

static void takes_only_the_length_given(void **state) {
  (void)state;
  wh_endpoint endpoint;
  const char *url = "http://localhost:5000999/x";
  assert_int_equal(wh_endpoint_parse_url(url, 21, &endpoint, NULL, 0), WH_OK);
  assert_int_equal(endpoint.port, 5000);
}

static void reads_hosts_and_ports(void **state) {
  (void)state;
  static const struct {
    const char *host;
    long port;
    int kind;
    const char *formatted;
  } rows[] = {
      {"127.0.0.1", 0, WH_ENDPOINT_IP, "http://127.0.0.1:0"},
      {"::1", 80, WH_ENDPOINT_IP, "http://[::1]:80"},
      {"[::1]", 65535, WH_ENDPOINT_IP, "http://[::1]:65535"},
      {"fe80::1%lo", 1, WH_ENDPOINT_IP, "http://[fe80::1%lo]:1"},
      {"*", 1, WH_ENDPOINT_ANY, "http://*:1"},
      {"localhost", 1, WH_ENDPOINT_LOCALHOST, "http://localhost:1"},
      {"unix", 1, WH_ENDPOINT_ANY, "http://unix:1"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    wh_endpoint endpoint;
    char text[WH_ENDPOINT_TEXT_SIZE];
    assert_int_equal(wh_endpoint_parse_host(rows[i].host, strlen(rows[i].host), rows[i].port,
                                            &endpoint, NULL, 0),
                     WH_OK);
    assert_int_equal(endpoint.kind, rows[i].kind);
    assert_int_equal(endpoint.port, rows[i].port);
    wh_endpoint_format(&endpoint, text, sizeof text);
    assert_string_equal(text, rows[i].formatted);
  }
}

static void reads_paths(void **state) {
  (void)state;
  wh_endpoint endpoint;
  const char *path = "/run/a b:c?d#e\n.sock";
  assert_int_equal(wh_endpoint_from_path(path, strlen(path), &endpoint, NULL, 0), WH_OK);
  assert_int_equal(endpoint.kind, WH_ENDPOINT_UNIX);
  assert_string_equal(endpoint.path, path);
  char text[WH_ENDPOINT_DESCRIPTION_SIZE];
  wh_endpoint_describe(&endpoint, text, sizeof text);
  assert_string_equal(text, "http://unix:/run/a b:c?d#e\\x0a.sock");
}

/* --- Endpoints that are refused --- */

static void expect_refusal(int result, const wh_endpoint *endpoint, const char *message,
                           const char *value, const char *reason) {
  wh_endpoint empty;
  wh_endpoint_init(&empty);
  if (result != WH_ERR_ADDRESS_INVALID || !strstr(message, reason)) {
    print_error("\"%s\": %d, message: %s\n", value, result, message);
  }
  assert_int_equal(result, WH_ERR_ADDRESS_INVALID);
  assert_non_null(strstr(message, reason));
  assert_memory_equal(endpoint, &empty, sizeof empty);
}

static void refuses_urls_and_says_why(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      /* What Kestrel takes for a host name, to listen on every address at port 80. */
      {"http://127.0.0.1:abc", "the port is no number"},
      {"http://127.0.0.1:5000?x", "query"},
      {"http://unix:rel.sock", "absolute"},
      /* Schemes. */
      {"", "empty"},
      {"5000", "does not start with http://"},
      {"127.0.0.1:5000", "does not start with http://"},
      {"localhost:5000", "does not start with http://"},
      {"http:/localhost", "does not start with http://"},
      {"http:", "does not start with http://"},
      {"://localhost", "scheme"},
      {"ftp://localhost", "scheme"},
      {"httpx://localhost", "scheme"},
      {"net.tcp://localhost", "scheme"},
      {"ws://localhost", "scheme"},
      /* Hosts. */
      {"http://", "host is missing"},
      {"http:///", "host is missing"},
      {"http://:5000", "host is missing"},
      {"http://[]:5000", "no IPv6"},
      {"http://[::1:5000", "not closed"},
      {"http://[::1]5000", "only a port"},
      {"http://[127.0.0.1]:5000", "no IPv6"},
      {"http://[::1::]:5000", "no IPv6"},
      {"http://[12345::]:5000", "no IPv6"},
      {"http://[1:2:3:4:5:6:7:8:1111:2222:3333:4444]", "no IPv6"},
      {"http://[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]", "no IPv6"},
      {"http://[fe80::1]:5000", "interface"},
      {"http://[fe80::1%]:5000", "zone after % is empty"},
      {"http://[fe80::1%0123456789abcdef]:1", "zone after % is too long"},
      {"http://[::1%lo]:1", "only a link-local"},
      {"http://[fe80::1%e;h]:1", "';'"},
      {"http://::1:5000", "brackets"},
      {"http://127.0.0.256:5000", "IPv4"},
      {"http://127.0.0.1.1:5000", "IPv4"},
      {"http://127.1:5000", "IPv4"},
      {"http://2130706433:5000", "IPv4"},
      {"http://0x7f000001:5000", "IPv4"},
      {"http://127.0.0.01:5000", "IPv4"},
      {"http://127.0.0.1.:5000", "IPv4"},
      {"http://example.1", "IPv4"},
      {"http://*.example.com", "'*'"},
      {"http://exa%6dple.com", "'%'"},
      {"http://b\xc3\xbc"
       "cher.example",
       "ASCII form"},
      {"http://a..b", "empty part"},
      {"http://.localhost", "empty part"},
      {"http://.", "empty part"},
      {"http://a\\b", "'\\'"},
      {"http://user@localhost", "user"},
      {"http://user:password@localhost", "user"},
      {"http://unix", "http://unix:/run/app.sock"},
      {"http://unix/", "http://unix:/run/app.sock"},
      /* Ports. */
      {"http://localhost:", "port after ':' is missing"},
      {"http://localhost:/", "port after ':' is missing"},
      {"http://localhost:65536", "greater than 65535"},
      {"http://localhost:18446744073709556616", "greater than 65535"},
      {"http://localhost:-1", "no number"},
      {"http://localhost:+1", "no number"},
      {"http://localhost:0x50", "no number"},
      {"http://localhost:50:00", "more than one ':'"},
      {"http://[::1]:", "port after ':' is missing"},
      {"http://[::1]:x", "no number"},
      /* What comes after. */
      {"http://localhost:5000/base", "path base"},
      {"http://localhost/base", "path base"},
      {"http://localhost//", "path base"},
      {"http://localhost:5000/?x", "path base"},
      {"http://localhost?", "query"},
      {"http://localhost#x", "fragment"},
      {"http://localhost:5000;http://localhost:5001", "path base"},
      /* Blanks. */
      {" http://localhost", "blank"},
      {"http://localhost ", "blank"},
      {"http://local host", "blank"},
      {"http://localhost:5000\n", "blank"},
      {"http://localhost:\t5000", "blank"},
      {"http://localhost\x7f", "blank"},
      /* Unix sockets. */
      {"http://unix:", "missing"},
      {"http://unix:5000", "absolute"},
      {"http://unix:@abstract", "absolute"},
      {"http://unix:/", "folder"},
      {"http://unix:/run/", "folder"},
      {"http://unix:/run/app.sock:/base", "':'"},
      {"http://unix:/run/app.sock:5000", "':'"},
      {"http://unix:/run/app.sock?x", "'?'"},
      {"http://unix:/run/app.sock#x", "'#'"},
      {"http://pipe:/name", "pipes"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    wh_endpoint endpoint;
    char message[WH_MESSAGE_SIZE] = "";
    const char *url = rows[i][0];
    int result = wh_endpoint_parse_url(url, strlen(url), &endpoint, message, sizeof message);
    expect_refusal(result, &endpoint, message, url, rows[i][1]);
    /* The value stands at the start, unless it had to be escaped. */
    if (!strpbrk(url, "\n\t\x7f")) assert_memory_equal(message + 1, url, strlen(url));
  }
}

static void refuses_hosts_and_ports(void **state) {
  (void)state;
  static const struct {
    const char *host;
    size_t length;
    long port;
    const char *reason;
  } rows[] = {
      {"", 0, 1, "host is missing"},
      {"localhost", 9, -1, "not between 0 and 65535"},
      {"localhost", 9, 65536, "not between 0 and 65535"},
      {"localhost:5000", 14, 80, "':'"},
      {"::1\0junk", 8, 1, "byte 0x00"},
      {"127.0.0.1\0junk", 14, 1, "byte 0x00"},
      {"local host", 10, 1, "' '"},
      {" localhost", 10, 1, "' '"},
      {"[::1", 4, 1, "'['"},
      {"[localhost]", 11, 1, "no IPv6"},
      {"a/b", 3, 1, "'/'"},
      {"1.2.3", 5, 1, "IPv4"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    wh_endpoint endpoint;
    char message[WH_MESSAGE_SIZE] = "";
    int result = wh_endpoint_parse_host(rows[i].host, rows[i].length, rows[i].port, &endpoint,
                                        message, sizeof message);
    expect_refusal(result, &endpoint, message, rows[i].host, rows[i].reason);
  }
  char host[300];
  memset(host, 'a', sizeof host);
  wh_endpoint endpoint;
  char message[WH_MESSAGE_SIZE] = "";
  int result = wh_endpoint_parse_host(host, 256, 1, &endpoint, message, sizeof message);
  expect_refusal(result, &endpoint, message, "long", "longer than");
  assert_int_equal(wh_endpoint_parse_host(host, 255, 65535, &endpoint, NULL, 0), WH_OK);
  char text[WH_ENDPOINT_TEXT_SIZE];
  endpoint.https = 1;
  assert_true(wh_endpoint_format(&endpoint, text, sizeof text) < sizeof text);
}

static void refuses_paths(void **state) {
  (void)state;
  static const struct {
    const char *path;
    size_t length;
    const char *reason;
  } rows[] = {
      {"", 0, "missing"},
      {"app.sock", 8, "absolute"},
      {"./app.sock", 10, "absolute"},
      {"\0abstract", 9, "absolute"},
      {"/a\0b", 4, "NUL"},
      {"/run/", 5, "folder"},
      {"/", 1, "folder"},
  };
  wh_endpoint endpoint;
  char message[WH_MESSAGE_SIZE];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int result =
        wh_endpoint_from_path(rows[i].path, rows[i].length, &endpoint, message, sizeof message);
    expect_refusal(result, &endpoint, message, rows[i].path, rows[i].reason);
  }
  char path[200] = "/";
  memset(path + 1, 'p', sizeof path - 1);
  size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
  assert_int_equal(wh_endpoint_from_path(path, most, &endpoint, NULL, 0), WH_OK);
  assert_int_equal(strlen(endpoint.path), most);
  int result = wh_endpoint_from_path(path, most + 1, &endpoint, message, sizeof message);
  char expected[40];
  snprintf(expected, sizeof expected, "has %zu bytes; this system allows %zu", most + 1, most);
  expect_refusal(result, &endpoint, message, "long", expected);
}

static void messages_are_safe_to_print(void **state) {
  (void)state;
  wh_endpoint endpoint;
  char message[WH_MESSAGE_SIZE];
  const char *forged = "http://a\n\x1b[2Jerror: ";
  wh_endpoint_parse_url(forged, strlen(forged), &endpoint, message, sizeof message);
  assert_null(strchr(message, '\n'));
  assert_null(strchr(message, '\x1b'));
  assert_non_null(strstr(message, "http://a\\x0a\\x1b[2Jerror: "));

  /* A long value is cut between characters, and the reason still fits, even if all is escaped. */
  char value[2000];
  for (size_t start = 0; start < 4; start++) {
    memset(value, 'a', start);
    for (size_t i = start; i + 4 <= sizeof value; i += 4) memcpy(value + i, "\xf0\x9f\xa6\x85", 4);
    wh_endpoint_parse_url(value, sizeof value - 4, &endpoint, message, sizeof message);
    char *dots = strstr(message, "...\"");
    assert_non_null(dots);
    assert_non_null(strstr(message, "does not start"));
    assert_int_equal((size_t)(dots - message - 1 - (ptrdiff_t)start) % 4, 0);
  }
  memset(value, '\x01', sizeof value);
  wh_endpoint_parse_url(value, sizeof value, &endpoint, message, sizeof message);
  assert_non_null(strstr(message, "it has a blank or a control character"));
}

static void a_message_fits_any_buffer(void **state) {
  (void)state;
  wh_endpoint endpoint;
  const char *url = "http://localhost:abc";
  for (size_t size = 0; size <= 90; size++) {
    char *message = malloc(size + 1); /* the sanitizer watches its end */
    assert_non_null(message);
    message[size] = '!';
    assert_int_equal(wh_endpoint_parse_url(url, strlen(url), &endpoint, message, size),
                     WH_ERR_ADDRESS_INVALID);
    if (size > 0) assert_true(strlen(message) < size);
    assert_int_equal(message[size], '!');
    free(message);
  }
  assert_int_equal(wh_endpoint_parse_url(url, strlen(url), &endpoint, NULL, 0),
                   WH_ERR_ADDRESS_INVALID);
}

/* Whatever bytes come: an answer, and what was accepted reads back as the same endpoint. */
static void any_bytes_get_an_answer(void **state) {
  (void)state;
  static const char *const pieces[] = {
      "http://", "https://", "unix:", "localhost", "[",         "]", "::1",  ":",  "5000", "/",
      ".",       "*",        "%lo",   "fe80::1",   "127.0.0.1", "a", "\xff", "\0", "?",    " "};
  srand(20);
  int accepted = 0;
  for (int round = 0; round < 200000; round++) {
    char text[200];
    size_t length = 0;
    if (rand() % 4) length = (size_t)snprintf(text, sizeof text, "http://");
    for (int i = rand() % 6; i > 0; i--) {
      const char *piece = pieces[(size_t)rand() % (sizeof pieces / sizeof *pieces)];
      size_t piece_length = *piece ? strlen(piece) : 1;
      memcpy(text + length, piece, piece_length);
      length += piece_length;
    }
    char *exact = malloc(length ? length : 1); /* no NUL after it */
    assert_non_null(exact);
    memcpy(exact, text, length);
    wh_endpoint endpoint, again;
    char message[WH_MESSAGE_SIZE], url[WH_ENDPOINT_TEXT_SIZE];
    int result = wh_endpoint_parse_url(exact, length, &endpoint, message, sizeof message);
    free(exact);
    if (result != WH_OK) {
      assert_int_equal(result, WH_ERR_ADDRESS_INVALID);
      continue;
    }
    accepted++;
    size_t url_length = wh_endpoint_format(&endpoint, url, sizeof url);
    assert_int_equal(wh_endpoint_parse_url(url, url_length, &again, message, sizeof message),
                     WH_OK);
    assert_int_equal(again.kind, endpoint.kind);
    assert_int_equal(again.port, endpoint.port);
    assert_memory_equal(&again.address, &endpoint.address, sizeof again.address);
    assert_string_equal(again.path, endpoint.path);
    assert_string_equal(again.zone, endpoint.zone);
  }
  assert_true(accepted > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keeps_family_port_and_bytes),
      cmocka_unit_test(mapped_ipv6_becomes_ipv4),
      cmocka_unit_test(unknown_or_short_is_none),
      cmocka_unit_test(a_nameless_unix_peer_is_unix),
      cmocka_unit_test(asks_a_socket),
      cmocka_unit_test(writes_ipv6_as_rfc_5952_says),
      cmocka_unit_test(writes_ipv4),
      cmocka_unit_test(random_addresses_read_back),
      cmocka_unit_test(cuts_what_does_not_fit),
      cmocka_unit_test(reads_urls),
      cmocka_unit_test(a_mapped_literal_listens_on_ipv4),
      cmocka_unit_test(takes_only_the_length_given),
      cmocka_unit_test(reads_hosts_and_ports),
      cmocka_unit_test(reads_paths),
      cmocka_unit_test(refuses_urls_and_says_why),
      cmocka_unit_test(refuses_hosts_and_ports),
      cmocka_unit_test(refuses_paths),
      cmocka_unit_test(messages_are_safe_to_print),
      cmocka_unit_test(a_message_fits_any_buffer),
      cmocka_unit_test(any_bytes_get_an_answer),
  };
  return cmocka_run_group_tests_name("net/address", tests, NULL, NULL);
}
