/*
 * A gate before an endpoint: who may come in, whose PROXY header counts, and what the host is told of
 * connections. An endpoint without a gate costs its connections nothing of this.
 */
#ifndef WH_SERVER_GATE_H
#define WH_SERVER_GATE_H

#include <stddef.h>
#include <stdint.h>

#include "net/networks.h"

typedef struct wh_gate {
  /*
   * Peers that may send a PROXY header. Such a connection must begin with one where it is required;
   * else it may. One from anybody else is closed where it is required, and else served as it is: a
   * header from there is no header but a bad request.
   */
  wh_networks proxies;
  /* Clients, by the address that the PROXY header told where there is one. `deny` wins. */
  wh_networks allow, deny;
  uint8_t reads_proxy; /* there is such a list */
  uint8_t requires_proxy;
  uint8_t has_allow; /* only those of `allow` */
  uint8_t watched;   /* OPENED and CLOSED events; implied by the next two */
  uint8_t asks;      /* a connection waits, unread, for wh_server_decide */
  uint8_t bytes;     /* BYTES events */
} wh_gate;

/* Frees its lists. All zero is fine. */
void wh_gate_free(wh_gate *gate);

/* What is known of a watched connection. */
typedef struct wh_connection_facts {
  uint64_t number;                      /* as in WH_SLOT_CONNECTION_LOW and _HIGH */
  uint32_t endpoint;                    /* in the order of wh_server_listen, from 0 */
  wh_address peer, local;               /* as applications see them */
  wh_address socket_peer, socket_local; /* of the socket itself */
  uint64_t duration_ms;                 /* from accept until now, or its end */
  uint64_t bytes_received, bytes_sent;
  uint32_t requests;
  int is_open;
  unsigned reason; /* WH_CLOSE_REASON_..., once it is gone */
} wh_connection_facts;

/* Bytes that came or went. */
typedef struct wh_bytes wh_bytes;
struct wh_bytes {
  wh_bytes *next; /* private */
  uint32_t handle;
  int sent;
  size_t length;
  uint8_t data[];
};

#endif
