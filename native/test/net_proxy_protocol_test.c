/* The PROXY protocol: headers that are taken, those that are not, and each cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/proxy_protocol.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* What the bytes come to, as they arrive one by one: nothing may be decided otherwise later. */
static wh_proxy_result parse(const void *bytes, size_t length, wh_proxy_header *out) {
  wh_proxy_result whole = wh_proxy_parse(bytes, length, out);
  for (size_t i = 0; i <= length; i++) {
    /* A copy of just these bytes: what reads past them is seen by AddressSanitizer. */
    uint8_t *part = malloc(i > 0 ? i : 1);
    assert_non_null(part);
    memcpy(part, bytes, i);
    wh_proxy_header header;
    wh_proxy_result result = wh_proxy_parse(part, i, &header);
    free(part);
    if (result == WH_PROXY_MORE) continue;
    assert_int_equal(result, whole);
    if (result == WH_PROXY_HEADER) {
      assert_int_equal(header.length, i);
      assert_memory_equal(&header, out, sizeof header);
    }
    return whole;
  }
  assert_int_equal(whole, WH_PROXY_MORE);
  return whole;
}

static void expect_ends(const wh_proxy_header *header, const char *source, unsigned source_port,
                        const char *destination, unsigned destination_port) {
  char text[WH_ADDRESS_TEXT_SIZE];
  assert_int_equal(header->has_addresses, 1);
  wh_address_format(&header->source, text, sizeof text);
  assert_string_equal(text, source);
  wh_address_format(&header->destination, text, sizeof text);
  assert_string_equal(text, destination);
  assert_int_equal(header->source.port, source_port);
  assert_int_equal(header->destination.port, destination_port);
}

/* --- version 1 --- */

static wh_proxy_result parse_line(const char *line, wh_proxy_header *out) {
  return parse(line, strlen(line), out);
}

static void version_1_tells_both_ends(void **state) {
  (void)state;
  wh_proxy_header header;
  const char *line = "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n";
  assert_int_equal(parse_line(line, &header), WH_PROXY_HEADER);
  expect_ends(&header, "192.168.0.1", 56324, "192.168.0.11", 443);
  assert_int_equal(header.length, strlen(line));
  assert_int_equal(header.version, 1);
  assert_int_equal(parse_line("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", &header), WH_PROXY_HEADER);
  expect_ends(&header, "2001:db8::1", 0, "::1", 65535);
  assert_int_equal(parse_line("PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n", &header), WH_PROXY_HEADER);
  expect_ends(&header, "10.0.0.1", 1, "::1", 2);
  /* The longest that there is, 107 bytes less what the blank of UNKNOWN would need. */
  assert_int_equal(parse_line("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n",
                              &header),
                   WH_PROXY_HEADER);
  expect_ends(&header, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 65535);
}

static void version_1_may_tell_nothing(void **state) {
  (void)state;
  static const char *const lines[] = {
      "PROXY UNKNOWN\r\n",
      "PROXY UNKNOWN \r\n",
      "PROXY UNKNOWN ffff::1 what ever 1 2\r\n",
  };
  for (size_t i = 0; i < COUNT(lines); i++) {
    wh_proxy_header header;
    assert_int_equal(parse_line(lines[i], &header), WH_PROXY_HEADER);
    assert_int_equal(header.has_addresses, 0);
    assert_int_equal(header.length, strlen(lines[i]));
  }
  /* 107 bytes are allowed, 108 are not. */
  char longest[120];
  wh_proxy_header header;
  memset(longest, 'x', sizeof longest);
  memcpy(longest, "PROXY UNKNOWN ", 14);
  memcpy(longest + 105, "\r\n", 2);
  assert_int_equal(parse(longest, 107, &header), WH_PROXY_HEADER);
  memcpy(longest + 105, "x\r\n", 3);
  assert_int_equal(parse(longest, 108, &header), WH_PROXY_BAD);
}

static void version_1_is_taken_to_the_letter(void **state) {
  (void)state;
  static const char *const lines[] = {
      "PROXY \r\n",
      "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8\r\n",
      "PROXY TCP4 1.2.3.4\r\n",
      "PROXY TCP4 \r\n",
      "PROXY TCP4\r\n",
      "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY UNKNOWNX\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 100000 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 a\r\n",
      "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
      "PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n",
      "PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n",
      "PROXY TCP4 ::1 ::2 1 2\r\n",
      "PROXY TCP4 ::ffff:1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY TCP6 [::1] ::2 1 2\r\n",
      "PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n",
      "PROXY TCP4 example.com 5.6.7.8 1 2\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r \n",
      "PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n",
      "PROXY UNKNOWN \x80\r\n",
      "PROXY UNKNOWN \x7f\r\n",
  };
  for (size_t i = 0; i < COUNT(lines); i++) {
    wh_proxy_header header;
    if (parse_line(lines[i], &header) != WH_PROXY_BAD) fail_msg("taken: %s", lines[i]);
  }
}

static void other_bytes_are_no_header(void **state) {
  (void)state;
  static const char *const starts[] = {
      "GET / HTTP/1.1\r\n", "P",  "PROX",     "POST",    "PROXYX", "PROXY\t",
      "proxy TCP4",         "\r", "\r\n\r\n", "\r\nGET", "\n"};
  static const wh_proxy_result expected[] = {
      WH_PROXY_NONE, WH_PROXY_MORE, WH_PROXY_MORE, WH_PROXY_NONE, WH_PROXY_NONE, WH_PROXY_NONE,
      WH_PROXY_NONE, WH_PROXY_MORE, WH_PROXY_MORE, WH_PROXY_NONE, WH_PROXY_NONE};
  for (size_t i = 0; i < COUNT(starts); i++) {
    wh_proxy_header header;
    assert_int_equal(parse_line(starts[i], &header), expected[i]);
  }
}

/* --- version 2 --- */

/* Builds a header; returns its length. */
static size_t build(uint8_t *out, unsigned command, unsigned family, const void *rest,
                    size_t size) {
  memcpy(out, SIGNATURE, 12);
  out[12] = (uint8_t)command;
  out[13] = (uint8_t)family;
  out[14] = (uint8_t)(size >> 8);
  out[15] = (uint8_t)size;
  if (size > 0) memcpy(out + 16, rest, size);
  return 16 + size;
}

#define V4 "\x0a\0\0\x01\xc0\xa8\0\x02\xdc\x04\x01\xbb"

static void version_2_tells_both_ends(void **state) {
  (void)state;
  uint8_t bytes[400], rest[216] = {0};
  wh_proxy_header header;
  size_t length = build(bytes, 0x21, 0x11, V4, 12);
  assert_int_equal(parse(bytes, length, &header), WH_PROXY_HEADER);
  expect_ends(&header, "10.0.0.1", 56324, "192.168.0.2", 443);
  assert_int_equal(header.version, 2);
  assert_int_equal(header.length, 28);

  rest[0] = 0x20;
  rest[15] = 1;
  rest[16] = 0xfd;
  rest[31] = 2;
  memcpy(rest + 32, "\0\x50\x1f\x90", 4);
  length = build(bytes, 0x21, 0x21, rest, 36);
  assert_int_equal(parse(bytes, length, &header), WH_PROXY_HEADER);
  expect_ends(&header, "2000::1", 80, "fd00::2", 8080);

  length = build(bytes, 0x21, 0x31, rest, 216);
  assert_int_equal(parse(bytes, length, &header), WH_PROXY_HEADER);
  assert_int_equal(header.source.family, WH_ADDRESS_UNIX);
  assert_int_equal(header.has_addresses, 1);
}

static void version_2_may_tell_nothing(void **state) {
  (void)state;
  uint8_t bytes[400];
  wh_proxy_header header;
  static const struct {
    unsigned command, family;
    const char *rest;
    size_t size;
  } cases[] = {
      {0x20, 0x00, "", 0},     /* LOCAL, as health checks send it */
      {0x20, 0x11, V4, 12},    /* its addresses do not count */
      {0x20, 0x11, "abc", 3},  /* ... and are not looked at */
      {0x20, 0xff, "\1", 1},   /* ... nor is the family */
      {0x21, 0x00, "", 0},     /* PROXY UNSPEC */
      {0x21, 0x00, "\4\0", 2}, /* ... whose rest is to be ignored */
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    size_t length = build(bytes, cases[i].command, cases[i].family, cases[i].rest, cases[i].size);
    assert_int_equal(parse(bytes, length, &header), WH_PROXY_HEADER);
    assert_int_equal(header.has_addresses, 0);
    assert_int_equal(header.length, length);
  }
}

static void version_2_is_taken_to_the_letter(void **state) {
  (void)state;
  uint8_t bytes[6000], rest[5000] = {0};
  wh_proxy_header header;
  static const struct {
    unsigned command, family;
    size_t size;
  } cases[] = {
      {0x11, 0x11, 12}, /* version 1 in the signature of 2 */
      {0x31, 0x11, 12},   {0x22, 0x11, 12}, {0x2f, 0x11, 12},
      {0x01, 0x11, 12},   {0x21, 0x11, 11}, {0x21, 0x21, 35},
      {0x21, 0x31, 215},                                       /* too short for the family */
      {0x21, 0x12, 12},   {0x21, 0x22, 36}, {0x21, 0x32, 216}, /* datagrams */
      {0x21, 0x10, 12},   {0x21, 0x41, 12}, {0x21, 0x01, 12},
      {0x21, 0x11, 4097}, /* longer than we read */
      {0x20, 0x00, 4097},
  };
  memcpy(rest, V4, 12);
  for (size_t i = 0; i < COUNT(cases); i++) {
    size_t length = build(bytes, cases[i].command, cases[i].family, rest, cases[i].size);
    if (parse(bytes, length, &header) != WH_PROXY_BAD) fail_msg("case %zu was taken", i);
  }
  /* TLVs of type 0 that fill the header to the longest that we read. */
  size_t length = build(bytes, 0x21, 0x11, rest, 12 + 3 * 1361);
  assert_int_equal(parse(bytes, length, &header), WH_PROXY_HEADER);
}

static void tlvs_must_fill_the_header(void **state) {
  (void)state;
  static const struct {
    const char *tlvs;
    size_t size;
    wh_proxy_result result;
  } cases[] = {
      {"\x04\0\0", 3, WH_PROXY_HEADER},                       /* NOOP */
      {"\x04\0\2ab\x01\0\2h2\x02\0\1x", 14, WH_PROXY_HEADER}, /* NOOP, ALPN, AUTHORITY */
      {"\xea\0\1x", 4, WH_PROXY_HEADER},                      /* somebody's own */
      {"\x04", 1, WH_PROXY_BAD},
      {"\x04\0", 2, WH_PROXY_BAD},
      {"\x04\0\1", 3, WH_PROXY_BAD},
      {"\x04\xff\xff", 3, WH_PROXY_BAD},
      {"\x04\0\0\x04\0", 5, WH_PROXY_BAD},
      {"\x03\0\3abc", 6, WH_PROXY_BAD},      /* a checksum of three bytes */
      {"\x03\0\4\0\0\0\0", 7, WH_PROXY_BAD}, /* a wrong one */
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    uint8_t bytes[100], rest[80];
    wh_proxy_header header;
    memcpy(rest, V4, 12);
    memcpy(rest + 12, cases[i].tlvs, cases[i].size);
    size_t length = build(bytes, 0x21, 0x11, rest, 12 + cases[i].size);
    if (parse(bytes, length, &header) != cases[i].result) fail_msg("case %zu", i);
  }
}

/* CRC-32C by a table, written down apart from the code under test. */
static uint32_t crc32c(const uint8_t *data, size_t length) {
  uint32_t crc = 0xFFFFFFFFU;
  for (size_t i = 0; i < length; i++) {
    uint32_t entry = (crc ^ data[i]) & 0xFF;
    for (int bit = 0; bit < 8; bit++)
      entry = (entry & 1) != 0 ? 0x82F63B78U ^ entry >> 1 : entry >> 1;
    crc = entry ^ crc >> 8;
  }
  return crc ^ 0xFFFFFFFFU;
}

static void a_checksum_must_be_right(void **state) {
  (void)state;
  assert_int_equal(crc32c((const uint8_t *)"123456789", 9), 0xE3069283U); /* the standard's check */
  uint8_t bytes[100], rest[40] = {0};
  wh_proxy_header header;
  memcpy(rest, V4, 12);
  memcpy(rest + 12, "\x04\0\1x\x03\0\4\0\0\0\0\x01\0\1y", 15);
  size_t length = build(bytes, 0x21, 0x11, rest, 27);
  uint32_t crc = crc32c(bytes, length);
  for (size_t i = 0; i < 4; i++) bytes[16 + 19 + i] = (uint8_t)(crc >> (24 - 8 * i));
  assert_int_equal(parse(bytes, length, &header), WH_PROXY_HEADER);
  expect_ends(&header, "10.0.0.1", 56324, "192.168.0.2", 443);
  /* Whichever bit behind the signature is wrong. */
  for (size_t bit = 16 * 8; bit < length * 8; bit++) {
    bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    wh_proxy_result result = wh_proxy_parse(bytes, length, &header);
    bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    /* Bits that turn the checksum's type into another leave a header without one. */
    if (bit / 8 != 16 + 16) assert_int_equal(result, WH_PROXY_BAD);
  }
  /* Two of them say nothing. */
  memcpy(rest + 12, "\x03\0\4\0\0\0\0\x03\0\4\0\0\0\0", 14);
  length = build(bytes, 0x21, 0x11, rest, 26);
  assert_int_equal(parse(bytes, length, &header), WH_PROXY_BAD);
}

static void what_follows_is_not_looked_at(void **state) {
  (void)state;
  wh_proxy_header header;
  static const char both[] = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nPROXY UNKNOWN\r\n";
  assert_int_equal(wh_proxy_parse((const uint8_t *)both, sizeof both - 1, &header),
                   WH_PROXY_HEADER);
  assert_int_equal(header.length, 32);
  uint8_t bytes[100];
  size_t length = build(bytes, 0x21, 0x11, V4, 12);
  memcpy(bytes + length, "GET /", 5);
  assert_int_equal(wh_proxy_parse(bytes, length + 5, &header), WH_PROXY_HEADER);
  assert_int_equal(header.length, length);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(version_1_tells_both_ends),
      cmocka_unit_test(version_1_may_tell_nothing),
      cmocka_unit_test(version_1_is_taken_to_the_letter),
      cmocka_unit_test(other_bytes_are_no_header),
      cmocka_unit_test(version_2_tells_both_ends),
      cmocka_unit_test(version_2_may_tell_nothing),
      cmocka_unit_test(version_2_is_taken_to_the_letter),
      cmocka_unit_test(tlvs_must_fill_the_header),
      cmocka_unit_test(a_checksum_must_be_right),
      cmocka_unit_test(what_follows_is_not_looked_at),
  };
  return cmocka_run_group_tests_name("net/proxy_protocol", tests, NULL, NULL);
}
