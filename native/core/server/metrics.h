/*
 * What a server counts, as a host reads it: see wh_server_metrics in windhover.h. The counters live where
 * they are counted (the service, the outbox, the server); reading copies them, and stops nobody.
 */
#ifndef WH_SERVER_METRICS_H
#define WH_SERVER_METRICS_H

#include <stdint.h>

#include "http/histogram.h"
#include "http/http2.h"
#include "http/refusal.h"
#include "http/status.h"

/* X(name of the constant, name in metrics): what ends by a timer of the server. */
#define WH_TIMEOUTS(X)                                                                        \
  X(KEEP_ALIVE, "keepAlive")             /* a connection without a request was closed */      \
  X(REQUEST_HEADERS, "requestHeaders")   /* a head that did not come in time: 408 */          \
  X(REQUEST_RATE, "requestBodyDataRate") /* a body that came too slowly: 408 */               \
  X(RESPONSE_RATE, "responseDataRate")   /* a client that took its answer too slowly */       \
  X(BODY_DRAIN, "bodyDrain")             /* the rest of an unread body did not come */        \
  X(LINGER, "linger")                    /* the client did not close after our last answer */ \
  X(HANDSHAKE, "handshake")              /* TLS was not agreed upon in time */                \
  X(PING, "http2KeepAlivePing")          /* a PING of ours was not answered */

typedef enum wh_timeout {
#define WH_TIMEOUT_CONSTANT(constant, name) WH_TIMEOUT_##constant,
  WH_TIMEOUTS(WH_TIMEOUT_CONSTANT)
#undef WH_TIMEOUT_CONSTANT
      WH_TIMEOUT_COUNT
} wh_timeout;

/* Their names. WH_TIMEOUT_COUNT rows. */
extern const char *const wh_timeout_names[];

/* Of TLS. */
typedef struct wh_tls_metrics {
  uint64_t handshakes, resumed, failed; /* done; of those by a session of before; ended without */
  uint64_t active;                      /* under way */
  wh_histogram duration;                /* of those done, from the accept */
} wh_tls_metrics;

/* Counters since the server was made, and what there is now. */
typedef struct wh_metrics {
  uint64_t connections, total_connections;
  uint64_t rejected_connections; /* over maxConcurrentConnections */
  uint64_t refused_connections;  /* by a gate: its lists, its PROXY header, the application */
  uint64_t accept_pauses; /* times that accepting stopped for want of descriptors or memory */
  uint64_t upgraded_connections; /* of the open ones, those that are tunnels now */
  uint64_t requests, active_requests, answers, refused;
  uint64_t bytes_received, bytes_sent, batches;
  uint64_t refusals[WH_REFUSAL_COUNT]; /* by reason: wh_refusal_table has names and statuses */
  uint64_t statuses[WH_STATUS_LIMIT];  /* heads of answers written, 1xx and refusals too */
  uint64_t timeouts[WH_TIMEOUT_COUNT]; /* by wh_timeout */
  uint64_t http2_connections;          /* since the server was made */
  uint64_t http2_floods[WH_HTTP2_FLOOD_COUNT]; /* connections that a flood ended */
  wh_tls_metrics tls;
  wh_histogram receiving; /* requests by time from the first byte of the head to the dispatch */
  wh_histogram queueing;  /* requests by time from the turn's start to their batch's */
  wh_histogram latency;   /* answers by time from the dispatch to the end of the answer */
} wh_metrics;

#endif
