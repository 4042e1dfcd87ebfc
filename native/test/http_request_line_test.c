#include "http/request_line.h"

#include "http/method.h"
#include "http/path.h"
#include "http_pieces.h"

#define RAW_QUERY WH_REQUEST_LINE_RAW_QUERY
#define DECODE WH_TARGET_NEEDS_DECODING
#define EMPTY_PATH WH_TARGET_EMPTY_PATH

static int parse(const void *line, size_t length, unsigned options, wh_request_line *out) {
  uint8_t *copy = exact_copy(line, length);
  int status = wh_request_line_parse_with(copy, length, options, out);
  free(copy);
  return status;
}

static int span_is(const char *line, uint32_t offset, uint32_t length, const char *expected) {
  return length == strlen(expected) && memcmp(line + offset, expected, length) == 0;
}

/* Lines that are taken. NULL for a part that the form does not have. */
static const struct {
  const char *line;
  uint8_t method, minor_version, form, flags, scheme;
  const char *path, *query, *authority;
  unsigned options;
} taken[] = {
    {"GET / HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/", "", "", 0},
    {"GET / HTTP/1.0", WH_METHOD_GET, 0, WH_TARGET_ORIGIN, 0, 0, "/", "", "", 0},
    {"get / HTTP/1.1", 0, 1, WH_TARGET_ORIGIN, 0, 0, "/", "", "", 0},
    {"FOO / HTTP/1.1", 0, 1, WH_TARGET_ORIGIN, 0, 0, "/", "", "", 0},
    {"G!#$%&'*+-.^_`|~ / HTTP/1.1", 0, 1, WH_TARGET_ORIGIN, 0, 0, "/", "", "", 0},
    {"QUERY /q HTTP/1.1", WH_METHOD_QUERY, 1, WH_TARGET_ORIGIN, 0, 0, "/q", "", "", 0},
    {"M / HTTP/1.1", 0, 1, WH_TARGET_ORIGIN, 0, 0, "/", "", "", 0},
    {"POST /a?b?c HTTP/1.1", WH_METHOD_POST, 1, WH_TARGET_ORIGIN, 0, 0, "/a", "?b?c", "", 0},
    {"GET /a? HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/a", "?", "", 0},
    {"GET /? HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/", "?", "", 0},
    {"GET /a/b/c/d/e/f/g?x=1&y=2 HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0,
     "/a/b/c/d/e/f/g", "?x=1&y=2", "", 0},
    {"GET //a//b/ HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "//a//b/", "", "", 0},
    {"GET /;p=1:@ HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/;p=1:@", "", "", 0},
    {"GET /-._~!$&'()*+,;=:@az09AZ?/?:@!$&'()*+,;=-._~ HTTP/1.1", WH_METHOD_GET, 1,
     WH_TARGET_ORIGIN, 0, 0, "/-._~!$&'()*+,;=:@az09AZ", "?/?:@!$&'()*+,;=-._~", "", 0},
    {"GET /xHTTP/1.1 HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/xHTTP/1.1", "", "", 0},
    /* decoding */
    {"GET /a%20b+c HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, DECODE, 0, "/a%20b+c", "", "", 0},
    {"GET /a%2Fb%2f HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, DECODE, 0, "/a%2Fb%2f", "", "",
     0},
    {"GET /a?x=%41 HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/a", "?x=%41", "", 0},
    {"GET /a?x=%00 HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/a", "?x=%00", "", 0},
    {"GET /. HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, DECODE, 0, "/.", "", "", 0},
    {"GET /.. HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, DECODE, 0, "/..", "", "", 0},
    {"GET /..?q HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, DECODE, 0, "/..", "?q", "", 0},
    {"GET /.?. HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, DECODE, 0, "/.", "?.", "", 0},
    {"GET /a/./b HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, DECODE, 0, "/a/./b", "", "", 0},
    {"GET /a/../b HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, DECODE, 0, "/a/../b", "", "", 0},
    {"GET /aaaaaaa/../b HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, DECODE, 0, "/aaaaaaa/../b",
     "", "", 0},
    {"GET /a/... HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/a/...", "", "", 0},
    {"GET /.well-known/x HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/.well-known/x", "",
     "", 0},
    {"GET /..a/b. HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/..a/b.", "", "", 0},
    {"GET /a.html?/../ HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/a.html", "?/../", "",
     0},
    /* absolute form */
    {"GET http://h HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ABSOLUTE, EMPTY_PATH, 1, "", "", "h", 0},
    {"GET http://h/ HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ABSOLUTE, 0, 1, "/", "", "h", 0},
    {"GET http://h?q HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ABSOLUTE, EMPTY_PATH, 1, "", "?q", "h",
     0},
    {"GET http://h/a%2Fb/../c?q HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ABSOLUTE, DECODE, 1,
     "/a%2Fb/../c", "?q", "h", 0},
    {"GET HTTP://H/ HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ABSOLUTE, 0, 1, "/", "", "H", 0},
    {"GET https://h:443/ HTTP/1.0", WH_METHOD_GET, 0, WH_TARGET_ABSOLUTE, 0, 2, "/", "", "h:443",
     0},
    {"GET http://h:/ HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ABSOLUTE, 0, 1, "/", "", "h:", 0},
    {"GET http://[::1]:81/x HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ABSOLUTE, 0, 1, "/x", "",
     "[::1]:81", 0},
    {"OPTIONS http://h HTTP/1.1", WH_METHOD_OPTIONS, 1, WH_TARGET_ABSOLUTE, EMPTY_PATH, 1, "", "",
     "h", 0},
    {"FOO http://h/. HTTP/1.1", 0, 1, WH_TARGET_ABSOLUTE, DECODE, 1, "/.", "", "h", 0},
    /* asterisk and authority form */
    {"OPTIONS * HTTP/1.1", WH_METHOD_OPTIONS, 1, WH_TARGET_ASTERISK, 0, 0, "", "", "", 0},
    {"CONNECT h:80 HTTP/1.1", WH_METHOD_CONNECT, 1, WH_TARGET_AUTHORITY, 0, 0, "", "", "h:80", 0},
    {"CONNECT [2001:db8::1]:443 HTTP/1.1", WH_METHOD_CONNECT, 1, WH_TARGET_AUTHORITY, 0, 0, "", "",
     "[2001:db8::1]:443", 0},
    /* raw queries */
    {"GET /a?[a]{b}\\|\"<>^` HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/a",
     "?[a]{b}\\|\"<>^`", "", RAW_QUERY},
    {"GET /a?x=%00%zz HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ORIGIN, 0, 0, "/a", "?x=%00%zz", "",
     RAW_QUERY},
    {"GET http://h?[%] HTTP/1.1", WH_METHOD_GET, 1, WH_TARGET_ABSOLUTE, EMPTY_PATH, 1, "", "?[%]",
     "h", RAW_QUERY},
};

static void takes_lines_of_the_grammar(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(taken); i++) {
    const char *line = taken[i].line;
    wh_request_line out;
    check_row(parse(line, strlen(line), taken[i].options, &out) == 0, i, line);
    check_row(out.method == taken[i].method, i, line);
    check_row(out.method_length == strcspn(line, " "), i, line);
    check_row(out.minor_version == taken[i].minor_version, i, line);
    check_row(out.form == taken[i].form, i, line);
    check_row(out.flags == taken[i].flags, i, line);
    check_row(out.scheme == taken[i].scheme, i, line);
    check_row(out.target_offset == out.method_length + 1, i, line);
    check_row(out.target_length == strlen(line) - out.target_offset - 9, i, line);
    check_row(span_is(line, out.path_offset, out.path_length, taken[i].path), i, line);
    check_row(span_is(line, out.query_offset, out.query_length, taken[i].query), i, line);
    check_row(span_is(line, out.authority_offset, out.authority_length, taken[i].authority), i,
              line);
    /* The flag says just what decoding would change. */
    uint8_t *path = exact_copy(line + out.path_offset, out.path_length);
    int needs_decoding = wh_path_needs_decoding(path, out.path_length);
    free(path);
    check_row(needs_decoding == ((out.flags & DECODE) != 0), i, line);
  }
}

/* Lines that are refused; form for 405. */
static const struct {
  const char *line;
  size_t length;
  int status;
  uint8_t form;
  unsigned options;
} refused[] = {
#define REFUSED(status, line) \
  { line, sizeof(line) - 1, status, 0, 0 }
#define REFUSED_ALWAYS(status, line) \
  { line, sizeof(line) - 1, status, 0, RAW_QUERY }
    /* three parts, one SP between them */
    REFUSED(400, ""),
    REFUSED(400, " "),
    REFUSED(400, "GET"),
    REFUSED(400, "GET "),
    REFUSED(400, "GET /"),
    REFUSED(400, "GET / "),
    REFUSED(400, "GET  HTTP/1.1"),
    REFUSED(400, "GET HTTP/1.1"),
    REFUSED(400, " HTTP/1.1"),
    REFUSED(400, "HTTP/1.1"),
    REFUSED(400, " GET / HTTP/1.1"),
    REFUSED(400, "GET  / HTTP/1.1"),
    REFUSED(400, "GET /  HTTP/1.1"),
    REFUSED(400, "GET / HTTP/1.1 "),
    REFUSED(400, "GET\t/ HTTP/1.1"),
    REFUSED(400, "GET /\tHTTP/1.1"),
    REFUSED(400, "GET /xHTTP/1.1"),
    REFUSED(400, "GET /axHTTP/1.1"),
    REFUSED(400, "GET /a b HTTP/1.1"),
    REFUSED(400, "GET / HTTP/1.1\r"),
    REFUSED(400, "GET / HTTP/1.1\n"),
    REFUSED(400, "\r\nGET / HTTP/1.1"),
    REFUSED(400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    /* the method */
    REFUSED(400, "G(T / HTTP/1.1"),
    REFUSED(400, "G(/ HTTP/1.1"),
    REFUSED(400, "(/ HTTP/1.1"),
    REFUSED(400, "G\x80T / HTTP/1.1"),
    REFUSED(400, "G\0T / HTTP/1.1"),
    REFUSED(400, "GET: / HTTP/1.1"),
    /* the version */
    REFUSED(505, "GET / HTTP/1.2"),
    REFUSED(505, "GET / HTTP/2.0"),
    REFUSED(505, "GET / HTTP/0.9"),
    REFUSED(505, "GET / HTTP/3.1"),
    REFUSED(505, "PRI * HTTP/2.0"),
    REFUSED(505, "GET * HTTP/2.0"),
    REFUSED(400, "GET /a b HTTP/2.0"),
    REFUSED(400, "GET / HTTP/1"),
    REFUSED(505, "GET / HTTP/1."),
    REFUSED(505, "GET /a/b HTTP/1."),
    REFUSED(400, "GET HTTP/1."),
    REFUSED(400, "GET  HTTP/1."),
    REFUSED(400, "GET / HTTP/1.10"),
    REFUSED(505, "GET / HTTP/11"),
    REFUSED(505, "GET / HTTP/x.y"),
    REFUSED(505, "GET / HTTP/1.x"),
    REFUSED(505, "GET / HTTP/1,1"),
    REFUSED(400, "GET / HTTP-1.1"),
    REFUSED(505, "GET / http/1.1"),
    REFUSED(505, "GET / Http/1.1"),
    REFUSED(400, "GET / X"),
    REFUSED(400, "GET / HTTPS/1.1"),
    /* the target's bytes: refused whatever the options */
    REFUSED_ALWAYS(400, "GET /\0 HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /\x01 HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /a\rb HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /a\nb HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /\x7f HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /\x80 HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /\xff HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /a?\x80 HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /a?x=\x01 HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /a#f?g HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /a?g#f HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://h/x#f HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://h#f HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://h/\x01 HTTP/1.1"),
    /* refused by RFC 3986 alone */
    REFUSED_ALWAYS(400, "GET /[ HTTP/1.1"),
    REFUSED(400, "GET /] HTTP/1.1"),
    REFUSED(400, "GET /{ HTTP/1.1"),
    REFUSED(400, "GET /} HTTP/1.1"),
    REFUSED(400, "GET /| HTTP/1.1"),
    REFUSED(400, "GET /\\ HTTP/1.1"),
    REFUSED(400, "GET /\" HTTP/1.1"),
    REFUSED(400, "GET /< HTTP/1.1"),
    REFUSED(400, "GET /> HTTP/1.1"),
    REFUSED(400, "GET /^ HTTP/1.1"),
    REFUSED(400, "GET /` HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET /%zz HTTP/1.1"),
    REFUSED(400, "GET /% HTTP/1.1"),
    REFUSED(400, "GET /%4 HTTP/1.1"),
    REFUSED(400, "GET /%u0041 HTTP/1.1"),
    REFUSED(400, "GET /%4?1 HTTP/1.1"),
    REFUSED(400, "GET http://h/a\\b HTTP/1.1"),
    REFUSED(400, "GET /a?[ HTTP/1.1"),
    REFUSED(400, "GET /a?{} HTTP/1.1"),
    REFUSED(400, "GET /a?\\ HTTP/1.1"),
    REFUSED(400, "GET /a?% HTTP/1.1"),
    REFUSED(400, "GET /a?%4 HTTP/1.1"),
    REFUSED(400, "GET /a?%41%zz HTTP/1.1"),
    REFUSED(400, "GET http://h?| HTTP/1.1"),
    /* what a target begins with */
    REFUSED_ALWAYS(400, "GET ?a HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET %2F HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET a/b HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET a?b HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET *x HTTP/1.1"),
    REFUSED_ALWAYS(400, "OPTIONS *x HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET @ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET h:x HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET h: HTTP/1.1"),
    /* absolute form */
    REFUSED_ALWAYS(400, "GET ftp://h/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http:/h/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http:// HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http:/// HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://?q HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://:80/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://u:p@h/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://u@h/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://h:99999/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://h:x/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://h%41/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://[::1/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET http://[1.2.3.4]/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "GET https:// HTTP/1.1"),
    /* CONNECT */
    REFUSED_ALWAYS(400, "CONNECT / HTTP/1.1"),
    REFUSED_ALWAYS(400, "CONNECT http://h/ HTTP/1.1"),
    REFUSED_ALWAYS(400, "CONNECT h HTTP/1.1"),
    REFUSED_ALWAYS(400, "CONNECT h: HTTP/1.1"),
    REFUSED_ALWAYS(400, "CONNECT h:0 HTTP/1.1"),
    REFUSED_ALWAYS(400, "CONNECT h:x HTTP/1.1"),
    REFUSED_ALWAYS(400, "CONNECT h:65536 HTTP/1.1"),
    REFUSED_ALWAYS(400, "CONNECT u@h:80 HTTP/1.1"),
    REFUSED_ALWAYS(400, "CONNECT h:80/ HTTP/1.1"),
/* a form that another method must ask for */
#define OTHER_METHOD(line, form) \
  { line, sizeof(line) - 1, 405, form, 0 }
    OTHER_METHOD("GET * HTTP/1.1", WH_TARGET_ASTERISK),
    OTHER_METHOD("CONNECT * HTTP/1.1", WH_TARGET_ASTERISK),
    OTHER_METHOD("options * HTTP/1.1", WH_TARGET_ASTERISK),
    OTHER_METHOD("FOO * HTTP/1.1", WH_TARGET_ASTERISK),
    OTHER_METHOD("GET . HTTP/1.1", WH_TARGET_AUTHORITY),
    OTHER_METHOD("GET h HTTP/1.1", WH_TARGET_AUTHORITY),
    OTHER_METHOD("GET h:80 HTTP/1.1", WH_TARGET_AUTHORITY),
    OTHER_METHOD("OPTIONS h:80 HTTP/1.1", WH_TARGET_AUTHORITY),
    OTHER_METHOD("connect h:80 HTTP/1.1", WH_TARGET_AUTHORITY),
    OTHER_METHOD("GET [::1]:80 HTTP/1.1", WH_TARGET_AUTHORITY),
};

static void refuses_all_else_with_its_status(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(refused); i++) {
    wh_request_line out;
    int status = parse(refused[i].line, refused[i].length, refused[i].options, &out);
    check_row(status == refused[i].status, i, refused[i].line);
    if (status == 405) check_row(out.form == refused[i].form, i, refused[i].line);
    if (refused[i].options == 0) continue;
    check_row(parse(refused[i].line, refused[i].length, 0, &out) == refused[i].status, i,
              refused[i].line);
  }
}

/* Each byte at each place of path and query: taken where RFC 3986 allows it, or in a raw query if visible. */
static void takes_exactly_the_bytes_of_rfc_3986(void **state) {
  (void)state;
  static const char ordinary[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                 "-._~!$&'()*+,;=:@/?";
  static const char visible[] = "\"<>[\\]^`{|}";
  for (size_t place = 5; place < 45; place++) {
    for (int byte = 0; byte < 256; byte++) {
      char line[] = "GET /path-of-twenty-bytes?query-of-twenty-byt HTTP/1.1";
      line[place] = (char)byte;
      int is_ordinary = byte != 0 && strchr(ordinary, byte) != NULL;
      int is_visible = byte != 0 && (is_ordinary || byte == '%' || strchr(visible, byte) != NULL);
      wh_request_line out;
      int in_query = place > 25; /* behind the question mark */
      int is_taken = in_query ? is_visible : is_ordinary;
      assert_int_equal(parse(line, sizeof line - 1, 0, &out), is_ordinary ? 0 : 400);
      assert_int_equal(parse(line, sizeof line - 1, RAW_QUERY, &out), is_taken ? 0 : 400);
    }
  }
}

static void keeps_method_and_target_of_a_long_line(void **state) {
  (void)state;
  enum { LENGTH = 8190 };
  static char line[LENGTH + 1];
  memset(line, 'a', LENGTH);
  memcpy(line, "GET /", 5);
  line[5000] = '?';
  memcpy(line + LENGTH - 9, " HTTP/1.1", 9);
  wh_request_line out;
  assert_int_equal(wh_request_line_parse((const uint8_t *)line, LENGTH, &out), 0);
  assert_int_equal(out.path_length, 4996);
  assert_int_equal(out.query_length, LENGTH - 9 - 5000);
  assert_int_equal(out.target_length, LENGTH - 9 - 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_lines_of_the_grammar),
      cmocka_unit_test(refuses_all_else_with_its_status),
      cmocka_unit_test(takes_exactly_the_bytes_of_rfc_3986),
      cmocka_unit_test(keeps_method_and_target_of_a_long_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
