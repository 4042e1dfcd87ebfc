#include "http/characters.h"

#include "http_pieces.h"

/* The grammars again, as predicates: what the tables must say. */
static int is_digit(int c) { return c >= '0' && c <= '9'; }
static int is_alpha(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static int is_one_of(int c, const char *set) { return c != 0 && strchr(set, c) != NULL; }
static int is_visible(int c) { return c > 0x20 && c < 0x7f; }
static int is_token(int c) { return is_digit(c) || is_alpha(c) || is_one_of(c, "!#$%&'*+-.^_`|~"); }
static int is_field_value(int c) { return is_visible(c) || c == ' ' || c == '\t' || c >= 0x80; }
static int is_unreserved(int c) { return is_digit(c) || is_alpha(c) || is_one_of(c, "-._~"); }
static int is_target(int c) { return is_unreserved(c) || is_one_of(c, "!$&'()*+,;=:@/?%"); }
static int is_lenient_target(int c) { return is_visible(c) && c != '#'; }
static int is_reg_name(int c) { return is_unreserved(c) || is_one_of(c, "!$&'()"); }
static int is_quoted_text(int c) { return is_field_value(c) && c != '"' && c != '\\'; }

static void classes_are_those_of_the_grammars(void **state) {
  (void)state;
  static const struct {
    unsigned class;
    int (*is_in)(int);
    const char *name;
  } rows[] = {
      {WH_CHARACTER_TOKEN, is_token, "token"},
      {WH_CHARACTER_FIELD_VALUE, is_field_value, "field value"},
      {WH_CHARACTER_TARGET, is_target, "target"},
      {WH_CHARACTER_TARGET_LENIENT, is_lenient_target, "lenient target"},
      {WH_CHARACTER_REG_NAME, is_reg_name, "reg-name"},
      {WH_CHARACTER_QUOTED_TEXT, is_quoted_text, "qdtext"},
      {WH_CHARACTER_DIGIT, is_digit, "digit"},
      {WH_CHARACTER_ALPHA, is_alpha, "alpha"},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    for (int c = 0; c < 256; c++) {
      int is_in = (wh_characters[c] & rows[i].class) != 0;
      check_row(is_in == (rows[i].is_in(c) != 0), c, rows[i].name);
    }
  }
}

static void hexadecimal_digits_have_their_values(void **state) {
  (void)state;
  for (int c = 0; c < 256; c++) {
    int expected = -1;
    if (is_digit(c)) expected = c - '0';
    if (c >= 'a' && c <= 'f') expected = c - 'a' + 10;
    if (c >= 'A' && c <= 'F') expected = c - 'A' + 10;
    assert_int_equal(wh_hex_digits[c], expected);
  }
}

static size_t scan_field_value(const uint8_t *p, size_t n) {
  int has_high;
  return wh_scan_field_value(p, n, &has_high);
}
static size_t scan_strict(const uint8_t *p, size_t n) { return wh_scan_target(p, n, 0); }
static size_t scan_lenient(const uint8_t *p, size_t n) { return wh_scan_target(p, n, 1); }

/* Each byte at each place of spans of each length up to 70, in blocks of their exact size. */
static void scans_stop_at_the_first_foreign_byte(void **state) {
  (void)state;
  static const struct {
    size_t (*scan)(const uint8_t *, size_t);
    int (*is_in)(int);
    const char *name;
  } rows[] = {
      {wh_scan_token, is_token, "token"},
      {scan_field_value, is_field_value, "field value"},
      {scan_strict, is_target, "target"},
      {scan_lenient, is_lenient_target, "lenient target"},
  };
  for (size_t row = 0; row < COUNT(rows); row++) {
    for (size_t length = 0; length <= 70; length++) {
      uint8_t *span = malloc(length + !length);
      assert_non_null(span);
      memset(span, 'a', length);
      check_row(rows[row].scan(span, length) == length, length, rows[row].name);
      for (size_t place = 0; place < length; place++) {
        for (int c = 0; c < 256; c++) {
          span[place] = (uint8_t)c;
          size_t expected = rows[row].is_in(c) ? length : place;
          check_row(rows[row].scan(span, length) == expected, c, rows[row].name);
        }
        span[place] = 'a';
      }
      /* Two foreign bytes: the first counts. */
      if (length >= 2) {
        span[length - 1] = 0x7f;
        for (size_t place = 0; place + 1 < length; place++) {
          span[place] = 1;
          check_row(rows[row].scan(span, length) == place, place, rows[row].name);
          span[place] = 'a';
        }
      }
      free(span);
    }
  }
}

static void tells_high_bytes_of_the_scanned_part_only(void **state) {
  (void)state;
  for (size_t length = 1; length <= 70; length++) {
    uint8_t *span = malloc(length);
    assert_non_null(span);
    memset(span, 'v', length);
    int has_high = 1;
    assert_int_equal(wh_scan_field_value(span, length, &has_high), length);
    assert_int_equal(has_high, 0);
    for (size_t high = 0; high < length; high++) {
      span[high] = 0xe9;
      assert_int_equal(wh_scan_field_value(span, length, &has_high), length);
      assert_int_equal(has_high, 1);
      for (size_t bad = 0; bad < length; bad++) {
        if (bad == high) continue;
        span[bad] = 0;
        assert_int_equal(wh_scan_field_value(span, length, &has_high), bad);
        assert_int_equal(has_high, high < bad);
        span[bad] = bad % 2 ? '\t' : 'v';
      }
      memset(span, 'v', length);
    }
    free(span);
  }
}

static void compares_without_the_case_of_letters_only(void **state) {
  (void)state;
  for (int a = 0; a < 256; a++) {
    for (int b = 0; b < 256; b++) {
      uint8_t left[] = {'x', (uint8_t)a, 'Y'};
      uint8_t right[] = {'X', (uint8_t)b, 'y'};
      int expected = a == b || (is_alpha(a) && is_alpha(b) && (a | 0x20) == (b | 0x20));
      assert_int_equal(wh_equals_ignore_case(left, right, 3), expected);
    }
  }
  assert_int_equal(wh_equals_ignore_case((const uint8_t *)"a", (const uint8_t *)"b", 0), 1);
}

static void finds_a_difference_at_any_place(void **state) {
  (void)state;
  for (size_t n = 1; n <= 40; n++) {
    uint8_t *a = malloc(n);
    uint8_t *b = malloc(n);
    assert_non_null(a);
    assert_non_null(b);
    memset(a, 'k', n);
    memset(b, 'k', n);
    assert_int_equal(wh_equals_ignore_case(a, b, n), 1);
    for (size_t place = 0; place < n; place++) {
      b[place] = 'K';
      assert_int_equal(wh_equals_ignore_case(a, b, n), 1);
      b[place] = 'l';
      assert_int_equal(wh_equals_ignore_case(a, b, n), 0);
      b[place] = 'k';
    }
    free(a);
    free(b);
  }
}

static void trims_optional_white_space(void **state) {
  (void)state;
  static const struct {
    const char *text, *trimmed;
  } rows[] = {{"", ""},
              {" ", ""},
              {" \t \t", ""},
              {"a", "a"},
              {" a", "a"},
              {"a\t", "a"},
              {"\t a \t b \t", "a \t b"},
              {"\va\f", "\va\f"}};
  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t n = strlen(rows[i].text);
    uint8_t *copy = exact_copy(rows[i].text, n);
    const uint8_t *p = copy;
    wh_trim_ows(&p, &n);
    check_row(n == strlen(rows[i].trimmed) && memcmp(p, rows[i].trimmed, n) == 0, i, rows[i].text);
    free(copy);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(classes_are_those_of_the_grammars),
      cmocka_unit_test(hexadecimal_digits_have_their_values),
      cmocka_unit_test(scans_stop_at_the_first_foreign_byte),
      cmocka_unit_test(tells_high_bytes_of_the_scanned_part_only),
      cmocka_unit_test(compares_without_the_case_of_letters_only),
      cmocka_unit_test(finds_a_difference_at_any_place),
      cmocka_unit_test(trims_optional_white_space),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
