#include "http/path.h"

#include "http_pieces.h"

static const struct {
  const char *path, *decoded; /* NULL: refused */
  int needs_decoding;
} rows[] = {
    {"/", "/", 0},
    {"/plain/path", "/plain/path", 0},
    {"//a//b/", "//a//b/", 0},
    {"/;p=1:@", "/;p=1:@", 0},
    {"/a\\b", "/a\\b", 0},
    /* percent-encoding, once; "/" stays as text */
    {"/a%20b+c", "/a b+c", 1},
    {"/a%2Fb%2f", "/a%2Fb%2f", 1},
    {"/%252F", "/%2F", 1},
    {"/%25252e", "/%252e", 1},
    {"/a%5Cb", "/a\\b", 1},
    {"/%01", "/\x01", 1},
    {"/%7f", "/\x7f", 1},
    {"/a%3Fb%23", "/a?b#", 1},
    {"/%61%62%63", "/abc", 1},
    {"/%41b%43d", "/AbCd", 1},
    {"/%00", NULL, 1},
    {"/a%00b", NULL, 1},
    {"/%C3%00", NULL, 1},
    /* no escape at all: text */
    {"/%zz%", "/%zz%", 1},
    {"/%", "/%", 1},
    {"/%4", "/%4", 1},
    {"/%4g", "/%4g", 1},
    {"/%g4", "/%g4", 1},
    {"/%%41", "/%A", 1},
    {"/%u0041", "/%u0041", 1},
    /* UTF-8 */
    {"/%C3%A9", "/\xc3\xa9", 1},
    {"/%c3%a9x", "/\xc3\xa9x", 1},
    {"/%E2%82%AC", "/\xe2\x82\xac", 1},
    {"/%F0%9F%98%80", "/\xf0\x9f\x98\x80", 1},
    {"/%F4%8F%BF%BF", "/\xf4\x8f\xbf\xbf", 1},
    {"/%ED%9F%BF%EE%80%80", "/\xed\x9f\xbf\xee\x80\x80", 1},
    {"/%C2%80", "/\xc2\x80", 1},
    /* not UTF-8: text */
    {"/%e9", "/%e9", 1},
    {"/%e9%41", "/%e9A", 1},
    {"/%80", "/%80", 1},
    {"/%ff", "/%ff", 1},
    {"/%c0%ae", "/%c0%ae", 1},
    {"/%c1%bf", "/%c1%bf", 1},
    {"/%e0%80%af", "/%e0%80%af", 1},
    {"/%e0%9f%bf", "/%e0%9f%bf", 1},
    {"/%f0%80%80%af", "/%f0%80%80%af", 1},
    {"/%ed%a0%80", "/%ed%a0%80", 1},
    {"/%ed%bf%bf", "/%ed%bf%bf", 1},
    {"/%f4%90%80%80", "/%f4%90%80%80", 1},
    {"/%f5%80%80%80", "/%f5%80%80%80", 1},
    {"/%C3", "/%C3", 1},
    {"/%C3%", "/%C3%", 1},
    {"/%C3%A", "/%C3%A", 1},
    {"/%C3x", "/%C3x", 1},
    {"/%E2%82", "/%E2%82", 1},
    {"/%E2%82x", "/%E2%82x", 1},
    {"/%E2%82%41", "/%E2%82A", 1},
    {"/%E2%C3%A9", "/%E2\xc3\xa9", 1},
    {"/%E2%82%C3%A9", "/%E2%82\xc3\xa9", 1},
    {"/%C3%2F", "/%C3%2F", 1},
    {"/%F0%9F%98", "/%F0%9F%98", 1},
    /* dot segments, also encoded ones */
    {"/.", "/", 1},
    {"/..", "/", 1},
    {"/./", "/", 1},
    {"/../", "/", 1},
    {"/a/./b/.", "/a/b/", 1},
    {"/a/b/..", "/a/", 1},
    {"/a/b/../", "/a/", 1},
    {"/a/../b", "/b", 1},
    {"/../../a", "/a", 1},
    {"/a/../../b", "/b", 1},
    {"/a//../b", "/a/b", 1},
    {"/a/..//b", "//b", 1},
    {"//..", "/", 1},
    {"//.", "//", 1},
    {"/%2e%2E/b", "/b", 1},
    {"/a/%2e/b", "/a/b", 1},
    {"/a/.%2E", "/", 1},
    {"/a/..%2fb", "/a/..%2fb", 1},
    {"/a%2f../b", "/a%2f../b", 1},
    {"/a%2f/../b", "/b", 1},
    {"/a/...", "/a/...", 0},
    {"/a/.b", "/a/.b", 0},
    {"/a/..b/c", "/a/..b/c", 0},
    {"/a./b", "/a./b", 0},
    {"/a../b", "/a../b", 0},
    {"/.a/./.b", "/.a/.b", 1},
    {"/...", "/...", 0},
    {"/a/b/c/../../d/./e/../f", "/a/d/f", 1},
    {"/%252e%252e/a", "/%2e%2e/a", 1},
    {"/c3%a9/../%e2", "/%e2", 1},
};

static void decodes_as_kestrel_does(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t n = strlen(rows[i].path);
    uint8_t *path = exact_copy(rows[i].path, n);
    uint8_t *out = exact_copy(rows[i].path, n);
    memset(out, 0xee, n);
    size_t length = 0;
    int result = wh_path_decode(path, n, out, &length);
    check_row(wh_path_needs_decoding(path, n) == rows[i].needs_decoding, i, rows[i].path);
    check_row(memcmp(path, rows[i].path, n) == 0, i, rows[i].path);
    if (rows[i].decoded == NULL) {
      check_row(result == -1, i, rows[i].path);
    } else {
      check_row(result == 0 && length == strlen(rows[i].decoded), i, rows[i].path);
      check_row(memcmp(out, rows[i].decoded, length) == 0, i, rows[i].path);
      if (!rows[i].needs_decoding)
        check_row(strcmp(rows[i].path, rows[i].decoded) == 0, i, rows[i].path);
    }
    free(out);
    free(path);
  }
}

static void decodes_in_place(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t n = strlen(rows[i].path);
    uint8_t *path = exact_copy(rows[i].path, n);
    size_t length = 0;
    int result = wh_path_decode(path, n, path, &length);
    if (rows[i].decoded == NULL) {
      check_row(result == -1, i, rows[i].path);
    } else {
      check_row(result == 0, i, rows[i].path);
      check_row(length == strlen(rows[i].decoded), i, rows[i].path);
      check_row(memcmp(path, rows[i].decoded, length) == 0, i, rows[i].path);
    }
    free(path);
  }
}

static void takes_an_empty_path(void **state) {
  (void)state;
  uint8_t byte = 'x';
  size_t length = 7;
  assert_int_equal(wh_path_decode(&byte, 0, &byte, &length), 0);
  assert_int_equal(length, 0);
  assert_int_equal(wh_path_needs_decoding(&byte, 0), 0);
}

/*
 * Every code point but NUL and "/" encoded comes out as its UTF-8; every pair of a wrong form as it
 * went in.
 */
static void decodes_every_character(void **state) {
  (void)state;
  static const char digits[] = "0123456789abcdef";
  for (uint32_t code = 1; code <= 0x110fff; code += code < 0x3000 ? 1 : 61) {
    uint8_t utf8[4];
    size_t n;
    if (code < 0x80) {
      utf8[0] = (uint8_t)code;
      n = 1;
    } else if (code < 0x800) {
      utf8[0] = (uint8_t)(0xc0 | code >> 6);
      n = 2;
    } else if (code < 0x10000) {
      utf8[0] = (uint8_t)(0xe0 | code >> 12);
      n = 3;
    } else {
      utf8[0] = (uint8_t)(0xf0 | code >> 18);
      n = 4;
    }
    for (size_t i = 1; i < n; i++) utf8[i] = (uint8_t)(0x80 | (code >> 6 * (n - 1 - i) & 0x3f));
    char path[16] = "/";
    for (size_t i = 0; i < n; i++) {
      path[1 + 3 * i] = '%';
      path[2 + 3 * i] = digits[utf8[i] >> 4];
      path[3 + 3 * i] = digits[utf8[i] & 15];
    }
    size_t path_length = 1 + 3 * n;
    uint8_t out[16];
    size_t length;
    if (code == '.') continue; /* a dot segment */
    assert_int_equal(wh_path_decode((const uint8_t *)path, path_length, out, &length), 0);
    int stays = code == '/' || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff;
    if (stays) {
      assert_int_equal(length, path_length);
      assert_memory_equal(out, path, length);
    } else {
      assert_int_equal(length, 1 + n);
      assert_memory_equal(out + 1, utf8, n);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decodes_as_kestrel_does),
      cmocka_unit_test(decodes_in_place),
      cmocka_unit_test(takes_an_empty_path),
      cmocka_unit_test(decodes_every_character),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
