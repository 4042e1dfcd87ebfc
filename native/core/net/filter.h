/*
 * What stands between a connection and its wire: TLS. net/ knows it by this table only, and a
 * connection without one pays a comparison for it.
 *
 *   in    what came from the wire is turned into plain bytes, which go on to the connection's owner
 *   out   plain bytes are sealed into the outbox's wire buffer, which the connection sends; what the
 *         system does not take is kept with the filter, and nothing more is sealed until it has gone
 *
 * One thread: the loop's.
 */
#ifndef WH_NET_FILTER_H
#define WH_NET_FILTER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "io/io.h"

typedef struct wh_connection wh_connection;
typedef struct wh_filter wh_filter;

/* Bytes for the wire, one buffer for all connections of an outbox: empty between sends. */
typedef struct wh_wire {
  uint8_t *bytes;
  size_t used, size;
} wh_wire;

/* Room for `size` more bytes behind those used; the caller adds to `used`. NULL: no memory. */
uint8_t *wh_wire_reserve(wh_wire *wire, size_t size);

/* Room that a loop leaves behind what it reads for a filter, beyond as much again: one TLS record. */
#define WH_FILTER_SPARE WH_READ_SPARE

typedef struct wh_filter_type {
  /*
   * Bytes came from the wire, in the arena; length 0: the peer will send no more. Plain bytes are
   * written behind them, where there is room for `length` + WH_FILTER_SPARE, and handed on by
   * wh_connection_plain. Bytes to be sent (a handshake's) go to wh_connection_wire, and then
   * wh_connection_send_wire. May close the connection.
   */
  void (*receive)(wh_filter *filter, wh_connection *connection, uint8_t *data, size_t length);
  /*
   * Seals plain bytes into the wire buffer. How many were taken, at least one where there are any;
   * 0: none can be sealed now (wh_connection_flush goes on); WH_ERR_CLOSED or WH_ERR_NO_MEMORY.
   */
  ssize_t (*seal)(wh_filter *filter, const uint8_t *data, size_t length, wh_wire *wire);
  /* Our side ends: what says so goes to the wire buffer. Nothing is sealed after it. */
  void (*end)(wh_filter *filter, wh_wire *wire);
  /* The connection is gone. */
  void (*free)(wh_filter *filter);
} wh_filter_type;

/* The start of every filter. */
struct wh_filter {
  const wh_filter_type *type;
  /* Sealed and not yet taken by the system: the connection's. */
  uint8_t *unsent;
  size_t unsent_offset, unsent_length;
};

/* Puts a filter before a connection that has read and written nothing yet, and belongs to it now. */
void wh_connection_filter(wh_connection *connection, wh_filter *filter);
/* Plain bytes for the owner of the connection, in the arena; length 0: their end. */
void wh_connection_plain(wh_connection *connection, uint8_t *data, size_t length);
/* The wire buffer of the connection's outbox; and sends what is in it. It may close the connection. */
wh_wire *wh_connection_wire(wh_connection *connection);
void wh_connection_send_wire(wh_connection *connection);

#endif
