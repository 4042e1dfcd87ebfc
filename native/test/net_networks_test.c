/* Lists of networks: what is read, what is refused, and which addresses are in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/memory.h"
#include "net/networks.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static wh_networks read_list(const char *text) {
  wh_networks networks;
  const char *bad, *why;
  size_t bad_length;
  assert_int_equal(wh_networks_parse(text, strlen(text), &networks, &bad, &bad_length, &why),
                   WH_OK);
  return networks;
}

static int contains(const wh_networks *networks, const char *text) {
  wh_address address;
  assert_int_equal(wh_address_parse(text, strlen(text), &address), WH_OK);
  return wh_networks_contain(networks, &address);
}

static void addresses_are_found_in_their_networks(void **state) {
  (void)state;
  static const struct {
    const char *list, *address;
    int inside;
  } cases[] = {
      {"127.0.0.1", "127.0.0.1", 1},
      {"127.0.0.1", "127.0.0.2", 0},
      {"10.0.0.0/8", "10.255.255.255", 1},
      {"10.0.0.0/8", "11.0.0.0", 0},
      {"192.168.128.0/17", "192.168.128.0", 1},
      {"192.168.128.0/17", "192.168.127.255", 0},
      {"0.0.0.0/0", "255.255.255.255", 1},
      {"0.0.0.0/0", "::1", 0},
      {"::/0", "::1", 1},
      {"::/0", "1.2.3.4", 0},
      {"fd00::/8", "fdff::1", 1},
      {"fd00::/8", "fe00::1", 0},
      {"2001:db8::/33", "2001:db8:7fff::1", 1},
      {"2001:db8::/33", "2001:db8:8000::1", 0},
      {"2001:db8::1", "2001:db8::1", 1},
      {"::ffff:10.0.0.0/104", "10.9.9.9", 1},
      {"::ffff:10.0.0.0/104", "11.9.9.9", 0},
      {"::ffff:10.0.0.1", "10.0.0.1", 1},
      {"::ffff:0.0.0.0/96", "1.2.3.4", 1},
      {"1.1.1.1 2.2.2.2 3.0.0.0/8", "2.2.2.2", 1},
      {"1.1.1.1 2.2.2.2 3.0.0.0/8", "3.4.5.6", 1},
      {"unix 1.1.1.1", "1.1.1.1", 1},
      {"unix", "1.1.1.1", 0},
      {"", "1.1.1.1", 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    wh_networks networks = read_list(cases[i].list);
    if (contains(&networks, cases[i].address) != cases[i].inside) {
      fail_msg("%s in %s", cases[i].address, cases[i].list);
    }
    wh_networks_free(&networks);
  }
}

static void unix_peers_are_named_as_such(void **state) {
  (void)state;
  wh_address none = {0}, local = {.family = WH_ADDRESS_UNIX};
  wh_networks networks = read_list("0.0.0.0/0 ::/0");
  assert_int_equal(wh_networks_contain(&networks, &local), 0);
  assert_int_equal(wh_networks_contain(&networks, &none), 0);
  wh_networks_free(&networks);
  networks = read_list("10.0.0.0/8 unix");
  assert_int_equal(wh_networks_contain(&networks, &local), 1);
  assert_int_equal(wh_networks_contain(&networks, &none), 0);
  wh_networks_free(&networks);
}

static void mistakes_are_refused_with_the_entry(void **state) {
  (void)state;
  static const char *const entries[] = {
      "10.0.0.1/8",
      "10.0.0.0/33",
      "10.0.0.0/",
      "10.0.0.0/08",
      "10.0.0.0/+8",
      "10.0.0.0/8x",
      "10.0.0.0/-1",
      "10.0.0.0//8",
      "10.0.0.0/999",
      "10.0.0/8",
      "10.0.0.256",
      "localhost",
      "example.com",
      "*",
      "",
      "Unix",
      "unix/8",
      "::/129",
      "::1/127",
      "fd00::/1000",
      "[::1]",
      "fe80::1%lo",
      "/8",
      "::ffff:0:0/95",
      "::ffff:10.0.0.1/104",
  };
  for (size_t i = 0; i < COUNT(entries); i++) {
    char list[100];
    wh_networks networks;
    const char *bad = NULL, *why = NULL;
    size_t bad_length = 0;
    snprintf(list, sizeof list, "127.0.0.1 %s", entries[i]);
    if (wh_networks_parse(list, strlen(list), &networks, &bad, &bad_length, &why) !=
        WH_ERR_ADDRESS_INVALID) {
      fail_msg("taken: %s", entries[i]);
    }
    assert_int_equal(networks.count, 0);
    assert_int_equal(bad_length, strlen(entries[i]));
    assert_memory_equal(bad, entries[i], bad_length);
    assert_non_null(why);
  }
}

static void no_memory_is_said(void **state) {
  (void)state;
  wh_networks networks;
  const char *bad, *why;
  size_t bad_length;
  wh_memory_fail_at(1);
  assert_int_equal(wh_networks_parse("::1", 3, &networks, &bad, &bad_length, &why),
                   WH_ERR_NO_MEMORY);
  wh_memory_fail_at(0);
  assert_int_equal(networks.count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_are_found_in_their_networks),
      cmocka_unit_test(unix_peers_are_named_as_such),
      cmocka_unit_test(mistakes_are_refused_with_the_entry),
      cmocka_unit_test(no_memory_is_said),
  };
  return cmocka_run_group_tests_name("net/networks", tests, NULL, NULL);
}
