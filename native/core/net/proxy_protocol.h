/*
 * The PROXY protocol, versions 1 and 2: the header by which a proxy tells, before the first byte of a
 * connection, whose connection it passes on. Source: HAProxy's proxy-protocol.txt (2.0 and later).
 *
 * A pure parser: it looks at the bytes from the start of the connection on and keeps nothing. Whether
 * a peer may be believed is the caller's to decide, before the header is read.
 */
#ifndef WH_NET_PROXY_PROTOCOL_H
#define WH_NET_PROXY_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

/* The longest line of version 1 with its CRLF: proxy-protocol.txt, section 2.1. */
#define WH_PROXY_V1_MOST 107U
/* The fixed part of version 2, and the most that may follow it here; its own limit is 65,535. */
#define WH_PROXY_V2_START 16U
#define WH_PROXY_V2_REST_MOST 4096U
/* The longest header that is read. */
#define WH_PROXY_MOST (WH_PROXY_V2_START + WH_PROXY_V2_REST_MOST)

typedef enum wh_proxy_result {
  WH_PROXY_MORE,   /* it can still become a header: give all bytes again with the next ones */
  WH_PROXY_HEADER, /* a header, see wh_proxy_header */
  WH_PROXY_NONE,   /* the bytes do not start as a header does */
  WH_PROXY_BAD     /* they do, but it is none */
} wh_proxy_result;

typedef struct wh_proxy_header {
  size_t length;   /* of the header; what follows belongs to the connection */
  uint8_t version; /* 1 or 2 */
  /* 0: LOCAL, UNKNOWN or UNSPEC: the connection's own addresses count. */
  uint8_t has_addresses;
  wh_address source;      /* the client, with its port; WH_ADDRESS_UNIX has neither */
  wh_address destination; /* what the client connected to */
} wh_proxy_header;

/*
 * Reads a header from the first `length` bytes of a connection. *out is set where the result is
 * WH_PROXY_HEADER. MORE never comes for WH_PROXY_MOST bytes or more. NONE never comes once MORE came
 * for 11 bytes or more.
 *
 * Version 1 is taken to the letter: one blank between parts, addresses as inet_pton takes them, of
 * the family that the line names, ports of 0 to 65535 without leading zeros. Version 2: stream
 * sockets only (TCP4, TCP6, UNIX, UNSPEC); TLVs must fill the header exactly and are skipped, but
 * for the checksum (PP2_TYPE_CRC32C), which must be right where it is present.
 */
wh_proxy_result wh_proxy_parse(const uint8_t *data, size_t length, wh_proxy_header *out);

#endif
