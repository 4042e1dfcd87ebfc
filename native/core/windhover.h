/*
 * windhover's core, as a host sees it: the only header that the binding includes.
 *
 * A wh_server is one loop with its listeners, its connections and their requests. The host lends it
 * memory that it shares with the application (wh_memory), watches wh_server_descriptor or calls
 * wh_server_turn itself, and is called back through wh_host, once per batch of events.
 *
 *   turn:    sockets -> requests -> events in shared memory -> host->dispatch, once
 *   answers: the application writes commands to shared memory; the core takes them when dispatch
 *            returns, or when the host calls wh_server_commit
 *
 * What stands where in shared memory, and what events and commands say: generated/shared_layout.h.
 *
 * One thread makes all calls for a server, and gets all its callbacks. Functions that can fail return
 * 0 or a negative wh_error (base/error.h).
 */
#ifndef WH_WINDHOVER_H
#define WH_WINDHOVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "generated/shared_layout.h"
#include "http/refusal.h"
#include "net/address.h"
#include "server/gate.h"
#include "server/limits.h"
#include "server/metrics.h"
#include "tls/tls.h"

typedef struct wh_server wh_server;

/* Memory that the application sees too. The host owns it; it outlives the server. */
typedef struct wh_memory {
  uint8_t *arena; /* bytes as received: bodies are read from here; 64 KiB or more */
  size_t arena_size;
  uint32_t *events;  /* WH_EVENT_WORDS for each of event_room events */
  size_t event_room; /* 1,024 or more */
  uint8_t *commands; /* 4-byte aligned */
  size_t command_size;
  uint32_t *control; /* WH_CONTROL_WORDS words */
} wh_memory;

/* What the host does for the server. */
typedef struct wh_host {
  /*
   * Hands events first to first + count - 1 to the application. May call wh_server_commit, nothing
   * else of this header but the wh_server_exchange_* functions.
   */
  void (*dispatch)(void *user, uint32_t first, uint32_t count);
  /* Memory for slots, shared with the application; see wh_slab_source in http/exchange.h. */
  uint8_t *(*allocate_slab)(void *user, uint32_t number, size_t size, size_t slot_size);
  void (*free_slab)(void *user, uint32_t number, uint8_t *memory);
  /* Buffers of the application that are sent in place; see wh_pinned_source in net/connection.h. */
  int (*locate_pinned)(void *user, uint32_t id, const uint8_t **data, size_t *length);
  void (*release_pinned)(void *user, uint32_t id);
  /*
   * The descriptor of a file that the application has registered under this number; the core owns it
   * from now on. -1 where there is none. A process that sends files ignores SIGPIPE (Node does).
   */
  int (*take_file)(void *user, uint32_t id);
} wh_host;

/* Makes a server that listens nowhere yet. Limits are copied; the host table is not. */
int wh_server_create(const wh_memory *memory, const wh_limits *limits, const wh_host *host,
                     void *user, wh_server **out);
/* Closes everything at once and frees it. Nothing is dispatched. NULL is fine. */
void wh_server_destroy(wh_server *server);

/*
 * How requests refused for that reason are answered from now on: header lines with their CRLFs, which
 * must not be framing, Date, Server or Connection, and a body. Both are copied. WH_ERR_NO_MEMORY, or
 * WH_ERR_INVALID_ARGUMENT for a reason that there is not.
 */
int wh_server_set_refusal(wh_server *server, unsigned reason, const char *head, size_t head_length,
                          const char *body, size_t body_length);

/* Listens on an endpoint; see net/listen.h. On failure the message says what went wrong. */
int wh_server_listen(wh_server *server, const wh_endpoint *endpoint, char *message,
                     size_t message_size);
/*
 * The same with a gate before the endpoint (NULL = none), whose lists become the server's where this
 * succeeds and stay the caller's where not.
 */
int wh_server_listen_gated(wh_server *server, const wh_endpoint *endpoint, const wh_gate *gate,
                           char *message, size_t message_size);
/* How an endpoint is listened on. */
typedef struct wh_listen_options {
  const wh_gate *gate; /* NULL = none */
  wh_tls *tls;         /* NULL = cleartext; the server takes a reference */
  unsigned protocols;  /* WH_PROTOCOL_..., 0 = HTTP/1 */
} wh_listen_options;
int wh_server_listen_with(wh_server *server, const wh_endpoint *endpoint,
                          const wh_listen_options *options, char *message, size_t message_size);
/* New connections of that endpoint see it; a reference is taken. */
int wh_server_set_tls(wh_server *server, uint32_t endpoint_index, wh_tls *tls);
/* The filter of the connection of an exchange. NULL: cleartext, or gone. */
const wh_filter *wh_server_exchange_filter(wh_server *server, uint32_t slot, uint32_t generation);
/* The URL of bound address number `index`, from 0; 0 when there is none. */
size_t wh_server_url(const wh_server *server, size_t index, char *out, size_t size);

/* Readable when wh_server_turn has something to do. */
int wh_server_descriptor(const wh_server *server);
/* Milliseconds until wh_server_turn has to be called at the latest; -1 = not needed, 0 = at once. */
int wh_server_timeout(wh_server *server);
/*
 * One turn: takes what is ready, waiting for it at most timeout_ms, dispatches it, and sends the
 * answers. Returns the number of requests dispatched, or a negative error of the system.
 */
int wh_server_turn(wh_server *server, int timeout_ms);
/* Takes the commands that the application has written. Does nothing where there are none. */
void wh_server_commit(wh_server *server);
/* As wh_server_commit, and dispatches what comes of it: for a host that is not within dispatch. */
void wh_server_flush(wh_server *server);

/*
 * No new connections; those that the system has taken for us, or is about to, are accepted still. The
 * listeners are closed when nobody is left, mostly before this returns (it takes a millisecond or
 * two), at the latest 1.25 s later. Idempotent.
 */
void wh_server_stop_listening(wh_server *server);
/* Whether a listener is open. */
int wh_server_is_listening(const wh_server *server);
/*
 * Ends connections with the next answer: it says Connection: close. After window_ms those that are
 * idle end without, half a head is answered 408, and nothing new is read of those that are busy.
 * Idempotent.
 */
void wh_server_stop(wh_server *server, uint32_t window_ms);
/* Connections that are open. */
size_t wh_server_connections(const wh_server *server);
/* Resets every connection. */
void wh_server_abort(wh_server *server);

/* The ends of the connection of an exchange. WH_ERR_CLOSED where it is over or its client gone. */
int wh_server_exchange_addresses(wh_server *server, uint32_t slot, uint32_t generation,
                                 wh_address *peer, wh_address *local);

/*
 * The ends of the socket itself, where a PROXY header told others. The same errors.
 */
int wh_server_exchange_transport(wh_server *server, uint32_t slot, uint32_t generation,
                                 wh_address *peer, wh_address *local);

/*
 * Watched connections (wh_gate.watched): CONNECTION events name them by a handle, which is theirs
 * until wh_server_forget_connection. An unknown handle is WH_ERR_CLOSED, or nothing happens.
 *
 * What is known of one, now or at its end.
 */
int wh_server_connection(const wh_server *server, uint32_t handle, wh_connection_facts *out);
/* Frees what is kept of a connection that is gone. Before that, the connection is watched no more. */
void wh_server_forget_connection(wh_server *server, uint32_t handle);
/* The application's word on a connection that waits for it (wh_gate.asks): admits or closes it. */
void wh_server_decide(wh_server *server, uint32_t handle, int admit);
/*
 * The next bytes that came or went on connections of a gate with `bytes`, in the order of the BYTES
 * events; NULL where there are none. Free them with wh_bytes_free.
 */
wh_bytes *wh_server_next_bytes(wh_server *server);
void wh_bytes_free(wh_bytes *bytes);

/* Copies what is counted (server/metrics.h): at any time, also from within dispatch. */
void wh_server_metrics(const wh_server *server, wh_metrics *out);

#endif
