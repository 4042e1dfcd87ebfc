#include "http/host.h"

#include "http/request_line.h"
#include "http_pieces.h"

static int is_valid(const void *host, size_t n) {
  uint8_t *copy = exact_copy(host, n);
  int valid = wh_host_is_valid(copy, n);
  free(copy);
  return valid;
}

static void takes_hosts_of_the_grammar(void **state) {
  (void)state;
  static const char *const rows[] = {
      "",
      "h",
      "A.b:80",
      "localhost:0",
      "a:65535",
      "a:00080",
      "a_b!$&'()~",
      "..",
      "127.0.0.1",
      "127.1",
      "1.2.3.4:80",
      "xn--bcher-kva.example",
      "[::]",
      "[::1]:80",
      "[1::]",
      "[1:2:3:4:5:6:7:8]",
      "[1:2:3:4:5:6:7::]",
      "[::2:3:4:5:6:7:8]",
      "[1::8]",
      "[2001:DB8:0:0:8:800:200C:417A]",
      "[::ffff:1.2.3.4]",
      "[1:2:3:4:5:6:1.2.3.4]:1",
      "[::0.0.0.0]",
      "[::1.2.3.4]",
      "[1::3:4:5:6:255.255.255.255]",
      "[::0:0]",
      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]",
  };
  for (size_t i = 0; i < COUNT(rows); i++)
    check_row(is_valid(rows[i], strlen(rows[i])), i, rows[i]);
}

static void refuses_other_hosts(void **state) {
  (void)state;
  static const char *const rows[] = {
      /* names and ports */
      "a:",
      "a:x",
      ":80",
      ":",
      "a:80:80",
      "a:99999",
      "a:65536",
      "a:99999999999999999999",
      "a:-1",
      "a:+1",
      "a: 80",
      "a:80 ",
      "a,b",
      "a b",
      " a",
      "a ",
      "a/b",
      "a@b",
      "u:p@h",
      "a%41",
      "a+b=c*",
      "a;b",
      "a*",
      "a?b",
      "a#b",
      "a\\b",
      "a[b]",
      "\xc3\xa9",
      "a\x7f",
      "a\tb",
      "a\r",
      "http://h",
      /* addresses */
      "::1",
      "[::1",
      "::1]",
      "[]",
      "[",
      "]",
      "[a]",
      "[:]",
      "[:::]",
      "[1.2.3.4]",
      "[fe80::1%25e]",
      "[fe80::1%e]",
      "[v1.a]",
      "[::1]x",
      "[::1]80",
      "[::1]:",
      "[::1]:x",
      "[::1]:65536",
      "[::1]]",
      "[[::1]]",
      "[1:2:3:4:5:6:7]",
      "[1:2:3:4:5:6:7:8:9]",
      "[1:2:3:4:5:6:7:8::]",
      "[::1::2]",
      "[1::2::3]",
      "[:1:2:3:4:5:6:7:8]",
      "[1:2:3:4:5:6:7:]",
      "[1:]",
      "[:1]",
      "[12345::]",
      "[g::]",
      "[::1:2:3:4:5:6:7:8]",
      "[::1.2.3]",
      "[::1.2.3.4.5]",
      "[::1.2.3.256]",
      "[::01.2.3.4]",
      "[::1.2.3.04]",
      "[::1.2.3.]",
      "[::.1.2.3]",
      "[::1.2.3.4:5]",
      "[1.2.3.4::]",
      "[1:2:3:4:5:6:7:1.2.3.4]",
      "[::a.2.3.4]",
      "[::1.2.3.a]",
      "[::1000.2.3.4]",
      "[1:2:3:4:5:1.2.3.4]",
      "[ ::1]",
      "[::1 ]",
  };
  for (size_t i = 0; i < COUNT(rows); i++)
    check_row(!is_valid(rows[i], strlen(rows[i])), i, rows[i]);
  assert_int_equal(is_valid(BYTES("a\0b")), 0);
  assert_int_equal(is_valid(BYTES("\0")), 0);
}

static void splits_an_authority(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint32_t host_length;
    int32_t port;
  } rows[] = {
      {"h", 1, -1},
      {"h:", 1, -2},
      {"h:0", 1, 0},
      {"host.example:8080", 12, 8080},
      {"[::1]", 5, -1},
      {"[::1]:", 5, -2},
      {"[::1]:65535", 5, 65535},
      {"h:000000000080", 1, 80},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    wh_authority out;
    size_t n = strlen(rows[i].text);
    uint8_t *copy = exact_copy(rows[i].text, n);
    check_row(wh_authority_parse(copy, n, &out), i, rows[i].text);
    check_row(out.host_length == rows[i].host_length && out.port == rows[i].port, i, rows[i].text);
    free(copy);
  }
  wh_authority out;
  assert_int_equal(wh_authority_parse((const uint8_t *)"", 0, &out), 0);
}

static void compares_host_and_authority(void **state) {
  (void)state;
  enum { NONE = WH_SCHEME_NONE, HTTP = WH_SCHEME_HTTP, HTTPS = WH_SCHEME_HTTPS };
  static const struct {
    const char *host, *authority;
    uint8_t scheme;
    int matches;
  } rows[] = {
      {"h", "h", HTTP, 1},
      {"H", "h", HTTP, 1},
      {"host.Example", "HOST.example", HTTPS, 1},
      {"h:80", "h", HTTP, 1},
      {"h", "h:80", HTTP, 1},
      {"h", "h:", HTTP, 1},
      {"h:80", "h:", HTTP, 1},
      {"h:080", "h", HTTP, 1},
      {"h", "h:443", HTTPS, 1},
      {"h:443", "h", HTTPS, 1},
      {"[::1]", "[::1]:80", HTTP, 1},
      {"[::A]:81", "[::a]:81", HTTP, 1},
      {"h:80", "h:80", NONE, 1},
      {"H:80", "h:80", NONE, 1},
      {"h:0", "h", HTTP, 0},
      {"h:80", "h:0", HTTP, 0},
      {"h", "h:81", HTTP, 0},
      {"h:81", "h", HTTP, 0},
      {"h:80", "h", HTTPS, 0},
      {"h:443", "h", HTTP, 0},
      {"h", "h:80", NONE, 0},
      {"h:80", "h", NONE, 0},
      {"h:80", "h:81", NONE, 0},
      {"x", "h", HTTP, 0},
      {"h", "hh", HTTP, 0},
      {"hh", "h", HTTP, 0},
      {"", "h", HTTP, 0},
      {"h", "", HTTP, 0},
      {"h:", "h", HTTP, 0},
      {"u@h", "u@h", HTTP, 0},
      {"h:x", "h:x", NONE, 0},
      {"[::1]", "[::2]", HTTP, 0},
      {"h!", "h\x01", HTTP, 0},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t n = strlen(rows[i].host);
    size_t m = strlen(rows[i].authority);
    uint8_t *host = exact_copy(rows[i].host, n);
    uint8_t *authority = exact_copy(rows[i].authority, m);
    int matches = wh_host_matches_authority(host, n, authority, m, rows[i].scheme);
    free(host);
    free(authority);
    check_row(matches == rows[i].matches, i, rows[i].host);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_hosts_of_the_grammar),
      cmocka_unit_test(refuses_other_hosts),
      cmocka_unit_test(splits_an_authority),
      cmocka_unit_test(compares_host_and_authority),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
