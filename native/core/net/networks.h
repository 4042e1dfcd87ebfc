/*
 * Lists of networks: which addresses are trusted, let in or kept out.
 *
 * An entry is an IP address, a network in CIDR notation (10.0.0.0/8, fd00::/8; RFC 4632, RFC 4291
 * section 2.3), or the word `unix` for peers on a Unix socket. An IPv4-mapped IPv6 address counts as
 * IPv4, as everywhere in net/.
 */
#ifndef WH_NET_NETWORKS_H
#define WH_NET_NETWORKS_H

#include <stddef.h>

#include "net/address.h"

/* One network: the addresses whose first `bits` bits are these. */
typedef struct wh_network {
  wh_address address; /* with all bits behind the prefix 0; WH_ADDRESS_UNIX: every Unix peer */
  unsigned bits;
} wh_network;

/* A list. All zero is an empty one. Owned by whoever filled it. */
typedef struct wh_networks {
  wh_network *items;
  size_t count;
} wh_networks;

/*
 * Reads one entry. 0, or WH_ERR_ADDRESS_INVALID with a reason in *why (a constant): no address, a
 * prefix that is no number or too long, bits set behind the prefix (10.0.0.1/8, which is a mistake
 * as often as not).
 */
int wh_network_parse(const char *text, size_t length, wh_network *out, const char **why);

/*
 * Reads entries that are divided by single blanks, in place of what *out had; no text is an empty
 * list. On failure *out is empty, and *bad, *bad_length say which entry it was, *why the reason:
 * WH_ERR_ADDRESS_INVALID, or WH_ERR_NO_MEMORY.
 */
int wh_networks_parse(const char *text, size_t length, wh_networks *out, const char **bad,
                      size_t *bad_length, const char **why);

/* Frees the entries; the list is then empty. */
void wh_networks_free(wh_networks *networks);

/* Whether the address is in one of them. An address of no family is in none. */
int wh_networks_contain(const wh_networks *networks, const wh_address *address);

#endif
