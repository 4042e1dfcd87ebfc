#include "http/chunked.h"

#include <stdio.h>

#include "http_pieces.h"

/* What came out of a decoder: the same however the input was cut. */
typedef struct outcome {
  int result;
  uint8_t reason;
  size_t consumed;
  size_t body_length, trailers_length;
  uint8_t body[70000], trailers[70000];
} outcome;

/*
 * Feeds the input in pieces that end at the places of `cuts` (ascending), each in a block of its
 * exact size.
 */
static void decode(const uint8_t *input, size_t length, const wh_chunked_limits *limits,
                   const size_t *cuts, size_t cut_count, outcome *out) {
  wh_chunked chunked;
  wh_chunked_init(&chunked, limits);
  out->consumed = out->body_length = out->trailers_length = 0;
  out->result = WH_CHUNKED_MORE;
  size_t start = 0;
  for (size_t i = 0; i <= cut_count && out->result == WH_CHUNKED_MORE; i++) {
    size_t end = i < cut_count ? cuts[i] : length;
    uint8_t *piece = exact_copy(input + start, end - start);
    size_t offset = 0;
    do {
      size_t consumed = 99;
      size_t span_length = 99;
      const uint8_t *span = NULL;
      size_t left = end - start - offset;
      out->result = wh_chunked_feed(&chunked, piece + offset, left, &consumed, &span, &span_length);
      assert_true(consumed <= left);
      if (out->result == WH_CHUNKED_BODY || out->result == WH_CHUNKED_TRAILER) {
        assert_true(span_length > 0 && span >= piece + offset);
        assert_true(span + span_length <= piece + offset + consumed);
      } else {
        assert_null(span);
        assert_int_equal(span_length, 0);
      }
      if (out->result == WH_CHUNKED_BODY) {
        memcpy(out->body + out->body_length, span, span_length);
        out->body_length += span_length;
      } else if (out->result == WH_CHUNKED_TRAILER) {
        memcpy(out->trailers + out->trailers_length, span, span_length);
        out->trailers_length += span_length;
      } else if (out->result == WH_CHUNKED_MORE) {
        assert_int_equal(consumed, left);
      }
      offset += consumed;
      out->consumed += consumed;
    } while (out->result > WH_CHUNKED_MORE);
    free(piece);
    start = end;
  }
  out->reason = chunked.reason;
  /* A decoder that has ended stays so. */
  if (out->result == WH_CHUNKED_MORE) return;
  size_t consumed = 99;
  size_t span_length;
  const uint8_t *span;
  int again =
      wh_chunked_feed(&chunked, (const uint8_t *)"1\r\n", 3, &consumed, &span, &span_length);
  assert_int_equal(again, out->result);
  assert_int_equal(consumed, 0);
}

static outcome whole, cut; /* large, so not on the stack */

/*
 * Decodes the input whole, cut once at every place, and byte by byte; all must agree. `whole` holds
 * the outcome.
 */
static void decode_every_way(const void *input, size_t length, const wh_chunked_limits *limits) {
  decode(input, length, limits, NULL, 0, &whole);
  for (size_t place = 0; place <= length + 1; place++) {
    size_t every[4096];
    size_t count = 1;
    every[0] = place;
    if (place > length) { /* byte by byte */
      assert_true(length < COUNT(every));
      for (count = 0; count < length; count++) every[count] = count;
    }
    decode(input, length, limits, every, count, &cut);
    assert_int_equal(cut.result, whole.result);
    assert_int_equal(cut.reason, whole.reason);
    assert_int_equal(cut.consumed, whole.consumed);
    assert_int_equal(cut.body_length, whole.body_length);
    assert_memory_equal(cut.body, whole.body, whole.body_length);
    if (whole.result < 0) continue; /* trailers before an error are worthless */
    assert_int_equal(cut.trailers_length, whole.trailers_length);
    assert_memory_equal(cut.trailers, whole.trailers, whole.trailers_length);
  }
}

static void decodes_bodies_of_the_grammar(void **state) {
  (void)state;
  static const struct {
    const char *input; /* followed by another request */
    const char *body, *trailers;
  } rows[] = {
      {"0\r\n\r\n", "", ""},
      {"000\r\n\r\n", "", ""},
      {"3\r\nabc\r\n0\r\n\r\n", "abc", ""},
      {"00000003\r\nabc\r\n0\r\n\r\n", "abc", ""},
      {"00000000000000000000000000000000000000003\r\nabc\r\n0\r\n\r\n", "abc", ""},
      {"1\r\na\r\n2\r\nbc\r\n0A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n",
       "abc0123456789abcdefghij", ""},
      {"3\r\n\r\n\r\r\n0\r\n\r\n", "\r\n\r", ""},
      {"5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n", ""},
      /* extensions */
      {"3;a\r\nabc\r\n0\r\n\r\n", "abc", ""},
      {"3;a=b\r\nabc\r\n0;x\r\n\r\n", "abc", ""},
      {"3;a=\"b;c\"\r\nabc\r\n0;x=\"\"\r\n\r\n", "abc", ""},
      {"3;a=\"\\\"\\\\\\ \\\t\\\xe9 \t\xe9\"\r\nabc\r\n0\r\n\r\n", "abc", ""},
      {"3 ; a = b ;\tc\t=\t\"d\" ; e\r\nabc\r\n0\r\n\r\n", "abc", ""},
      {"3;a;b;c=d;e=\"f\";g\r\nabc\r\n0\r\n\r\n", "abc", ""},
      {"3\t ;a\r\nabc\r\n0\r\n\r\n", "abc", ""},
      {"3  ;\t\ta \t=  b\t\t;  c  ;  d  =  \"e\"  ;f\r\nabc\r\n0\r\n\r\n", "abc", ""},
      {"3;!#$%&'*+-.^_`|~09azAZ=!#$%&'*+-.^_`|~09azAZ\r\nabc\r\n0\r\n\r\n", "abc", ""},
      /* trailers */
      {"3\r\nabc\r\n0\r\nX: y\r\nHost: z\r\n\r\n", "abc", "X: y\r\nHost: z\r\n"},
      {"0\r\nX:\r\n\r\n", "", "X:\r\n"},
      {"0\r\nX:y \t\r\nX: \xc3\xa9\t~\r\n\r\n", "", "X:y \t\r\nX: \xc3\xa9\t~\r\n"},
      {"0;e=f\r\n0: 0\r\n\r\n", "", "0: 0\r\n"},
  };
  static const char next[] = "GET / HTTP/1.1\r\n";
  for (size_t i = 0; i < COUNT(rows); i++) {
    char input[256];
    int length = snprintf(input, sizeof input, "%s%s", rows[i].input, next);
    decode_every_way(input, (size_t)length, NULL);
    check_row(whole.result == WH_CHUNKED_DONE && whole.reason == 0, i, rows[i].input);
    check_row(whole.consumed == strlen(rows[i].input), i, rows[i].input);
    check_row(whole.body_length == strlen(rows[i].body), i, rows[i].input);
    check_row(memcmp(whole.body, rows[i].body, whole.body_length) == 0, i, rows[i].input);
    check_row(whole.trailers_length == strlen(rows[i].trailers), i, rows[i].input);
    check_row(memcmp(whole.trailers, rows[i].trailers, whole.trailers_length) == 0, i,
              rows[i].input);
    /* No beginning of it is complete. */
    for (size_t n = 0; n < strlen(rows[i].input); n++) {
      decode((const uint8_t *)input, n, NULL, NULL, 0, &whole);
      check_row(whole.result == WH_CHUNKED_MORE && whole.consumed == n, i, rows[i].input);
    }
  }
}

static void refuses_all_else(void **state) {
  (void)state;
  static const struct {
    const char *input;
    size_t length;
    uint8_t reason;
    size_t consumed; /* in front of the offending byte */
  } rows[] = {
#define REFUSED(reason, consumed, input) {input, sizeof(input) - 1, WH_CHUNKED_##reason, consumed}
      /* sizes */
      REFUSED(BAD_SIZE, 0, "\r\n"),
      REFUSED(BAD_SIZE, 0, "+3\r\nabc\r\n0\r\n\r\n"),
      REFUSED(BAD_SIZE, 0, "-3\r\n"),
      REFUSED(BAD_SIZE, 1, "0x3\r\nabc\r\n0\r\n\r\n"),
      REFUSED(BAD_SIZE, 0, " 3\r\n"),
      REFUSED(BAD_SIZE, 0, "g\r\n"),
      REFUSED(BAD_SIZE, 0, ";a\r\n"),
      REFUSED(BAD_SIZE, 1, "3,3\r\n"),
      REFUSED(BAD_SIZE, 1, "3\0\r\n"),
      REFUSED(BAD_SIZE, 0, "\xb3\r\n"),
      REFUSED(BAD_SIZE, 15, "80000000000000000\r\n"),
      REFUSED(BAD_SIZE, 16, "7FFFFFFFFFFFFFFFF\r\n"),
      REFUSED(BAD_SIZE, 15, "ffffffffffffffffffffffffffffffff\r\n"),
      /* line ends */
      REFUSED(BAD_SIZE, 1, "3\nabc\r\n0\r\n\r\n"),
      REFUSED(BAD_LINE_END, 2, "3\r\r\nabc\r\n"),
      REFUSED(BAD_LINE_END, 2, "3\rabc\r\n"),
      REFUSED(BAD_EXTENSION, 2, "3 \r\nabc\r\n0\r\n\r\n"),
      REFUSED(BAD_EXTENSION, 2, "3 3\r\n"),
      REFUSED(BAD_SUFFIX, 6, "3\r\nabc\n0\r\n\r\n"),
      REFUSED(BAD_SUFFIX, 6, "3\r\nabcd\r\n0\r\n\r\n"),
      REFUSED(BAD_SUFFIX, 6, "3\r\nabc0\r\n\r\n"),
      REFUSED(BAD_SUFFIX, 7, "3\r\nabc\r\r\n0\r\n\r\n"),
      REFUSED(BAD_SUFFIX, 7, "3\r\nabc\r0\r\n\r\n"),
      REFUSED(BAD_SIZE, 9, "3\r\nabc\r\n0\n\r\n"),
      REFUSED(BAD_SIZE, 8, "3\r\nabc\r\n\r\n0\r\n\r\n"),
      REFUSED(BAD_TRAILER, 3, "0\r\n\n"),
      REFUSED(BAD_LINE_END, 4, "0\r\n\r0"),
      REFUSED(BAD_LINE_END, 4, "0\r\n\r\r\n"),
      /* extensions */
      REFUSED(BAD_EXTENSION, 2, "3;\r\nabc\r\n"),
      REFUSED(BAD_EXTENSION, 3, "3; \r\nabc\r\n"),
      REFUSED(BAD_EXTENSION, 2, "3;;a\r\n"),
      REFUSED(BAD_EXTENSION, 2, "3;=a\r\n"),
      REFUSED(BAD_EXTENSION, 3, "3;a\nabc\r\n0\r\n\r\n"),
      REFUSED(BAD_LINE_END, 4, "3;a\rb\r\nabc\r\n0\r\n\r\n"),
      REFUSED(BAD_EXTENSION, 4, "3;a=\r\n"),
      REFUSED(BAD_EXTENSION, 4, "3;a=;b\r\n"),
      REFUSED(BAD_EXTENSION, 4, "3;a \r\n"),
      REFUSED(BAD_EXTENSION, 4, "3;a b\r\n"),
      REFUSED(BAD_EXTENSION, 6, "3;a=b \r\n"),
      REFUSED(BAD_EXTENSION, 6, "3;a=b c\r\n"),
      REFUSED(BAD_EXTENSION, 5, "3;a=b=c\r\n"),
      REFUSED(BAD_EXTENSION, 5, "3;a=b\"c\"\r\n"),
      REFUSED(BAD_EXTENSION, 7, "3;a=\"b\"c\r\n"),
      REFUSED(BAD_EXTENSION, 6, "3;a=\"b\r\n"),
      REFUSED(BAD_EXTENSION, 6, "3;a=\"b\n\"\r\n"),
      REFUSED(BAD_EXTENSION, 6, "3;a=\"\\\r\n\"\r\n"),
      REFUSED(BAD_EXTENSION, 5, "3;a=\"\x01\"\r\n"),
      REFUSED(BAD_EXTENSION, 5, "3;a=\"\x7f\"\r\n"),
      REFUSED(BAD_EXTENSION, 5, "3;a=\"\0\"\r\n"),
      REFUSED(BAD_EXTENSION, 7, "3; a = \x01\r\nabc\r\n0\r\n\r\n"),
      REFUSED(BAD_EXTENSION, 2, "3;\x80\r\n"),
      REFUSED(BAD_EXTENSION, 3, "3;a\0\r\n"),
      REFUSED(BAD_EXTENSION, 3, "3;a(b)\r\n"),
      REFUSED(BAD_EXTENSION, 3, "0;a\n\r\n"),
      /* trailers */
      REFUSED(BAD_TRAILER, 4, "0\r\nX : y\r\n\r\n"),
      REFUSED(BAD_TRAILER, 3, "0\r\n: y\r\n\r\n"),
      REFUSED(BAD_TRAILER, 3, "0\r\n X: y\r\n\r\n"),
      REFUSED(BAD_TRAILER, 9, "0\r\nX: y\r\n z\r\n\r\n"),
      REFUSED(BAD_TRAILER, 4, "0\r\nX\r\n\r\n"),
      REFUSED(BAD_TRAILER, 7, "0\r\nX: y\n\r\n"),
      REFUSED(BAD_LINE_END, 8, "0\r\nX: y\rz\r\n\r\n"),
      REFUSED(BAD_TRAILER, 6, "0\r\nX: \0\r\n\r\n"),
      REFUSED(BAD_TRAILER, 6, "0\r\nX: \x01\r\n\r\n"),
      REFUSED(BAD_TRAILER, 6, "0\r\nX: \x7f\r\n\r\n"),
      REFUSED(BAD_TRAILER, 4, "0\r\nX\x80: y\r\n\r\n"),
      REFUSED(BAD_TRAILER, 4, "0\r\nX(: y\r\n\r\n"),
      REFUSED(BAD_TRAILER, 6, "0\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    decode_every_way(rows[i].input, rows[i].length, NULL);
    check_row(whole.result == -400, i, rows[i].input);
    check_row(whole.reason == rows[i].reason, i, rows[i].input);
    check_row(whole.consumed == rows[i].consumed, i, rows[i].input);
  }
}

static void takes_sizes_up_to_63_bits(void **state) {
  (void)state;
  wh_chunked chunked;
  size_t consumed;
  size_t length;
  const uint8_t *span;
  wh_chunked_init(&chunked, NULL);
  assert_int_equal(
      wh_chunked_feed(&chunked, BYTES("0007fffFFFFffffffff\r\nab"), &consumed, &span, &length),
      WH_CHUNKED_BODY);
  assert_int_equal(consumed, 23);
  assert_int_equal(length, 2);
  assert_true(chunked.total == (uint64_t)INT64_MAX);
  assert_true(chunked.remaining == (uint64_t)INT64_MAX - 2);
}

static void refuses_a_body_over_its_limit_before_the_data(void **state) {
  (void)state;
  wh_chunked_limits limits = {10, 1024, 16384, 32768, 100, 0};
  decode_every_way(BYTES("4\r\nabcd\r\n6\r\nefghij\r\n0\r\n\r\n"), &limits);
  assert_int_equal(whole.result, WH_CHUNKED_DONE);
  assert_int_equal(whole.body_length, 10);
  decode_every_way(BYTES("4\r\nabcd\r\n7\r\nefghijk\r\n0\r\n\r\n"), &limits);
  assert_int_equal(whole.result, -413);
  assert_int_equal(whole.reason, WH_CHUNKED_BODY_TOO_LARGE);
  assert_int_equal(whole.body_length, 4);
  assert_int_equal(whole.consumed, 11);
  decode_every_way(BYTES("7fffffffffffffff\r\n"), &limits);
  assert_int_equal(whole.result, -413);
  limits.body = 0;
  decode_every_way(BYTES("0\r\n\r\n"), &limits);
  assert_int_equal(whole.result, WH_CHUNKED_DONE);
  decode_every_way(BYTES("1\r\na"), &limits);
  assert_int_equal(whole.result, -413);
}

/* A line's end and its length count too: exactly the limit passes, one more byte does not. */
static void bounds_the_line_of_a_chunk_size(void **state) {
  (void)state;
  const wh_chunked_limits limits = {UINT64_MAX, 16, 16384, 32768, 100, 0};
  static const char *const passing[] = {"3;aaaaaaaaaaaa\r\nabc\r\n0\r\n\r\n",
                                        "00000000000003\r\nabc\r\n0\r\n\r\n"};
  static const char *const failing[] = {"3;aaaaaaaaaaaaa\r\nabc\r\n0\r\n\r\n",
                                        "000000000000003\r\nabc\r\n0\r\n\r\n",
                                        "3 ; a = \"bbbbbbbbbbbbbbbbbbb"};
  for (size_t i = 0; i < COUNT(passing); i++) {
    decode_every_way(passing[i], strlen(passing[i]), &limits);
    check_row(whole.result == WH_CHUNKED_DONE, i, passing[i]);
  }
  for (size_t i = 0; i < COUNT(failing); i++) {
    decode_every_way(failing[i], strlen(failing[i]), &limits);
    check_row(whole.result == -400 && whole.reason == WH_CHUNKED_LINE_TOO_LONG, i, failing[i]);
    check_row(whole.consumed == 16, i, failing[i]);
  }
}

static void bounds_extensions_and_leading_zeros_over_a_body(void **state) {
  (void)state;
  const wh_chunked_limits limits = {UINT64_MAX, 1024, 8, 32768, 100, 0};
  decode_every_way(BYTES("1;ab\r\na\r\n001;a\r\nb\r\n00\r\n\r\n"), &limits);
  assert_int_equal(whole.result, WH_CHUNKED_DONE); /* 3 + 2 + 2 + 1 */
  decode_every_way(BYTES("1;ab\r\na\r\n001;a\r\nb\r\n000\r\n\r\n"), &limits);
  assert_int_equal(whole.result, -413);
  assert_int_equal(whole.reason, WH_CHUNKED_EXTENSIONS_TOO_LARGE);
  assert_int_equal(whole.body_length, 2);
  decode_every_way(BYTES("1;ab\r\na\r\n001;a\r\nb\r\n0;a\r\n\r\n"), &limits);
  assert_int_equal(whole.result, -413);
  decode_every_way(BYTES("1;ab\r\na\r\n1;ab\r\nb\r\n0;a\r\n\r\n"), &limits);
  assert_int_equal(whole.result, WH_CHUNKED_DONE);
}

static void an_endless_body_of_extensions_ends_by_the_default_limit(void **state) {
  (void)state;
  wh_chunked chunked;
  wh_chunked_init(&chunked, NULL);
  size_t sent = 0;
  int result = WH_CHUNKED_MORE;
  while (result >= 0 && sent < 1000000) {
    static const char chunk[] = "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nb\r\n";
    for (size_t offset = 0; result >= 0 && offset < sizeof chunk - 1;) {
      size_t consumed;
      size_t length;
      const uint8_t *span;
      result = wh_chunked_feed(&chunked, (const uint8_t *)chunk + offset, sizeof chunk - 1 - offset,
                               &consumed, &span, &length);
      offset += consumed;
      sent += consumed;
    }
  }
  assert_int_equal(result, -413);
  assert_in_range(sent, WH_CHUNKED_EXTENSION_LIMIT, WH_CHUNKED_EXTENSION_LIMIT * 5 / 4);
}

static void bounds_the_trailer_section(void **state) {
  (void)state;
  wh_chunked_limits limits = {UINT64_MAX, 1024, 16384, 12, 2, 0};
  decode_every_way(BYTES("0\r\na: b\r\nc: d\r\n\r\n"), &limits);
  assert_int_equal(whole.result, WH_CHUNKED_DONE);
  assert_int_equal(whole.trailers_length, 12);
  decode_every_way(BYTES("0\r\na: b\r\nc: dd\r\n\r\n"), &limits);
  assert_int_equal(whole.result, -431);
  assert_int_equal(whole.reason, WH_CHUNKED_TRAILERS_TOO_LARGE);
  assert_int_equal(whole.consumed, 3 + 12);
  decode_every_way(BYTES("0\r\na: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\x01"), &limits);
  assert_int_equal(whole.result, -431); /* reached before the control */
  assert_int_equal(whole.consumed, 3 + 12);
  limits.trailers = 1000;
  decode_every_way(BYTES("0\r\na: b\r\nc: d\r\ne: f\r\n\r\n"), &limits);
  assert_int_equal(whole.result, -431);
  assert_int_equal(whole.reason, WH_CHUNKED_TOO_MANY_TRAILERS);
  limits.trailers = 0;
  decode_every_way(BYTES("0\r\n\r\n"), &limits);
  assert_int_equal(whole.result, WH_CHUNKED_DONE);
  decode_every_way(BYTES("0\r\na"), &limits);
  assert_int_equal(whole.result, -431);
}

static void takes_bare_line_feeds_in_trailers_where_told_to(void **state) {
  (void)state;
  const wh_chunked_limits limits = {UINT64_MAX, 1024, 16384, 32768, 100, 1};
  static const char *const good[] = {"0\r\n\n", "0\r\n\r\n", "0\r\nX: y\n\n",
                                     "0\r\nX:\nZ: z\r\n\n"};
  static const char *const bad[] = {"0\n\n",      "3\nabc\r\n",        "3\r\nabc\n",
                                    "0\r\nX\n\n", "0\r\nX: y\n b\n\n", "0\r\nX: y\rZ"};
  for (size_t i = 0; i < COUNT(good); i++) {
    decode_every_way(good[i], strlen(good[i]), &limits);
    check_row(whole.result == WH_CHUNKED_DONE && whole.consumed == strlen(good[i]), i, good[i]);
    size_t offset = 0;
    wh_trailer_field field;
    while (wh_trailer_next(whole.trailers, whole.trailers_length, &offset, &field)) {
      check_row(field.name_length == 1 && field.value_length <= 1, i, good[i]);
    }
    check_row(offset == whole.trailers_length, i, good[i]);
  }
  for (size_t i = 0; i < COUNT(bad); i++) {
    decode_every_way(bad[i], strlen(bad[i]), &limits);
    check_row(whole.result == -400, i, bad[i]);
  }
}

static void hands_out_large_chunks_in_place(void **state) {
  (void)state;
  enum { SIZE = 65536 };
  static uint8_t input[SIZE + 64];
  size_t head = (size_t)snprintf((char *)input, 16, "%x\r\n", SIZE);
  for (size_t i = 0; i < SIZE; i++) input[head + i] = (uint8_t)(i * 7);
  memcpy(input + head + SIZE, "\r\n0\r\n\r\n", 7);
  wh_chunked chunked;
  size_t consumed;
  size_t length;
  const uint8_t *span;
  wh_chunked_init(&chunked, NULL);
  assert_int_equal(wh_chunked_feed(&chunked, input, head + SIZE + 7, &consumed, &span, &length),
                   WH_CHUNKED_BODY);
  assert_ptr_equal(span, input + head);
  assert_int_equal(length, SIZE);
  assert_int_equal(wh_chunked_feed(&chunked, input + consumed, 7, &consumed, &span, &length),
                   WH_CHUNKED_DONE);
  assert_int_equal(consumed, 7);
  /* Cuts at odd places give the same bytes. */
  size_t cuts[] = {1, 6, 7, 8, 100, 4097, 30000, SIZE + 6, SIZE + 7, SIZE + 8, SIZE + 10};
  decode(input, head + SIZE + 7, NULL, cuts, COUNT(cuts), &whole);
  assert_int_equal(whole.result, WH_CHUNKED_DONE);
  assert_int_equal(whole.body_length, SIZE);
  assert_memory_equal(whole.body, input + head, SIZE);
}

static void walks_through_a_trailer_section(void **state) {
  (void)state;
  static const char section[] = "X: y\r\nEmpty:\r\nBlank: \t \r\nA-B:\t c d \t\r\nE:a:b\r\n";
  static const struct {
    const char *name, *value;
  } fields[] = {{"X", "y"}, {"Empty", ""}, {"Blank", ""}, {"A-B", "c d"}, {"E", "a:b"}};
  uint8_t *copy = exact_copy(section, sizeof section - 1);
  size_t offset = 0;
  wh_trailer_field field;
  for (size_t i = 0; i < COUNT(fields); i++) {
    check_row(wh_trailer_next(copy, sizeof section - 1, &offset, &field), i, fields[i].name);
    check_row(field.name_length == strlen(fields[i].name), i, fields[i].name);
    check_row(memcmp(field.name, fields[i].name, field.name_length) == 0, i, fields[i].name);
    check_row(field.value_length == strlen(fields[i].value), i, fields[i].name);
    check_row(memcmp(field.value, fields[i].value, field.value_length) == 0, i, fields[i].name);
  }
  assert_int_equal(wh_trailer_next(copy, sizeof section - 1, &offset, &field), 0);
  offset = 0;
  assert_int_equal(wh_trailer_next(copy, 0, &offset, &field), 0);
  free(copy);
}

/* The decoder hands out no such section; a caller's mistake must not be read as a field. */
static void finds_no_field_in_what_is_no_section(void **state) {
  (void)state;
  static const char *const rows[] = {"X",  "X: y", "X: y\r", "X\r\n", "X\r\nY: z\r\n",
                                     "\n", ":",    "\nX:"};
  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t n = strlen(rows[i]);
    uint8_t *copy = exact_copy(rows[i], n);
    size_t offset = 0;
    wh_trailer_field field;
    check_row(wh_trailer_next(copy, n, &offset, &field) == 0 && offset == 0, i, rows[i]);
    free(copy);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decodes_bodies_of_the_grammar),
      cmocka_unit_test(refuses_all_else),
      cmocka_unit_test(takes_sizes_up_to_63_bits),
      cmocka_unit_test(refuses_a_body_over_its_limit_before_the_data),
      cmocka_unit_test(bounds_the_line_of_a_chunk_size),
      cmocka_unit_test(bounds_extensions_and_leading_zeros_over_a_body),
      cmocka_unit_test(an_endless_body_of_extensions_ends_by_the_default_limit),
      cmocka_unit_test(bounds_the_trailer_section),
      cmocka_unit_test(takes_bare_line_feeds_in_trailers_where_told_to),
      cmocka_unit_test(hands_out_large_chunks_in_place),
      cmocka_unit_test(walks_through_a_trailer_section),
      cmocka_unit_test(finds_no_field_in_what_is_no_section),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
