/*
 * What the HTTP protocols are given by the server that runs them: limits, a transport below (bytes
 * out), a receiver above (requests in), and what all connections share. HTTP knows neither sockets
 * nor applications; it knows this.
 */
#ifndef WH_HTTP_SERVICE_H
#define WH_HTTP_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include "http/exchange.h"
#include "http/histogram.h"
#include "http/path_cache.h"
#include "http/refusal.h"
#include "http/status.h"

/* The connection below, as far as a protocol needs it. `connection` is opaque. See net/connection.h. */
typedef struct wh_transport {
  uint8_t *(*reserve)(void *connection, size_t size);
  void (*commit)(void *connection, size_t size);
  void (*append)(void *connection, const void *data, size_t length);
  void (*append_pinned)(void *connection, uint32_t id, size_t length);
  void (*append_file)(void *connection, int file, uint64_t offset, uint64_t length, uint64_t token);
  void (*notify_room)(void *connection); /* the session's room is called once there is room */
  /* Whether the client has sent bytes that nobody has read yet. Asks the system: not for every day. */
  int (*has_more)(const void *connection);
  int (*is_full)(
      const void *connection); /* so much waits for the client that no more should come */
  void (*hold)(void *connection, int on); /* more answers are expected in this turn */
  void (*read)(void *connection, int on);
  /* Least bytes per second (INT64_MAX: none) over windows of so many ms, for the running request. */
  void (*rate)(void *connection, int of_response, int64_t bytes, int64_t grace_ms);
  void (*finish)(void *connection, int linger);
  void (*end)(void *connection); /* our side, after what is written; the peer's goes on */
  void (*close)(void *connection, int reset);
  int (*is_secure)(const void *connection); /* TLS */
  /* Room in the arena for bytes to be handed to the application; NULL: not before the batch is over. */
  uint8_t *(*lend)(void *connection, size_t length);
  /* The session wants to be looked at when the commands of the batch are done. */
  void (*look)(void *connection);
  /*
   * Bodies are awaited on this connection (1), or none is for now (0), or those that were are over (-1):
   * their data rate is measured.
   */
  void (*awaits)(void *connection, int on);
  /* Answers wait for the client to open its windows (1), or do no longer (0). */
  void (*stalled)(void *connection, int on);
} wh_transport;

typedef struct wh_http1 wh_http1;
typedef struct wh_http1_shared wh_http1_shared;
typedef struct wh_http2_shared wh_http2_shared;

/* What is known of a request that is being refused. */
typedef struct wh_refused_request {
  const uint8_t *bytes; /* what is at fault, or the request line, as received */
  size_t length;        /* 0 where there is nothing to show */
  const uint8_t *end;   /* where what is being parsed ends in the arena; NULL where nothing is */
  uint64_t since_us;    /* when its first byte came, by the service's clock */
  int dispatched;       /* the application has it */
} wh_refused_request;

/* Who refuses, and how to learn what is at fault: asked only where somebody wants to know. */
typedef struct wh_refuser {
  void *connection;
  const void *session;
  /* At most `most` bytes are shown; valid during the call of wh_receiver.refused. */
  void (*describe)(const void *session, wh_refusal reason, size_t most, wh_refused_request *out);
} wh_refuser;

/* The server above. `data` stands in the loop's arena. */
typedef struct wh_receiver {
  void (*request)(void *user, wh_exchange *exchange);
  void (*body)(void *user, wh_exchange *exchange, const uint8_t *data, size_t length);
  /* Bytes of its trailer section, to be put together; they count once body_end has come. */
  void (*trailers)(void *user, wh_exchange *exchange, const uint8_t *data, size_t length);
  void (*body_end)(void *user, wh_exchange *exchange);
  /* The client is gone (status 0) or its body was refused; nothing that is answered arrives. */
  void (*aborted)(void *user, wh_exchange *exchange, unsigned status);
  void (*room)(void *user, wh_exchange *exchange);
  void (*ended)(void *user, wh_exchange *exchange);
  /* Before the refusal does anything: what is at fault is still in the session. */
  void (*refused)(void *user, const wh_refuser *refuser, wh_refusal reason);
  /*
   * A flood of HTTP/2 frames (wh_http2_flood) ends the connection. `end`: where what is being parsed ends
   * in the arena, or NULL.
   */
  void (*flooded)(void *user, void *connection, unsigned kind, const uint8_t *end);
  /* A pinned buffer that will not be sent is no longer needed. */
  void (*release_pinned)(void *user, uint32_t id);
  /* Where the pinned buffer stands now; -1 where it is gone. See wh_pinned_source in net/connection.h. */
  int (*locate_pinned)(void *user, uint32_t id, const uint8_t **data, size_t *length);
  /* A file of the exchange is sent, or nobody wants it (WH_OK); or it cannot be (WH_ERR_FILE_...). */
  void (*file_sent)(void *user, wh_exchange *exchange, int result);
  /* A descriptor that will not be appended is closed. */
  void (*drop_file)(void *user, int file);
  /* Where in the arena data stands, as an offset. */
  uint32_t (*arena_offset)(void *user, const uint8_t *data);
  /* The bytes up to `end` must stay in the arena until the batch is over. */
  void (*keep)(void *user, const uint8_t *end);
} wh_receiver;

/* What is let through that RFC 9112 or this server refuses by default. */
enum wh_relaxed {
  WH_RELAXED_RAW_QUERY = 1, /* allowRawQueryCharacters: see WH_REQUEST_LINE_RAW_QUERY */
  WH_RELAXED_LINE_FEED = 2, /* allowBareLineFeed: LF ends a line, but for chunks (RFC 9112 2.2) */
  WH_RELAXED_HOST_OVERRIDE = 4 /* allowHostHeaderOverride: an absolute target's authority is Host */
};

typedef struct wh_http_limits {
  uint32_t request_line_size;  /* bytes, with CRLF: maxRequestLineSize */
  uint32_t headers_total_size; /* bytes of all header lines: maxRequestHeadersTotalSize */
  uint32_t header_count;       /* maxRequestHeaderCount */
  uint32_t pipelined;          /* requests of one connection that run at once */
  uint32_t relaxed;            /* WH_RELAXED_... */
  uint64_t request_body_size;  /* UINT64_MAX = none: maxRequestBodySize */
  uint64_t upgraded;           /* UINT64_MAX = none: maxConcurrentUpgradedConnections */
  uint64_t response_high;      /* queued bytes of a stream above which its writer waits */
  uint64_t response_low;       /* ... and below which it goes on */
} wh_http_limits;

/* While the server stops. */
#define WH_STOPPING_WINDOW 1 /* what comes, and has begun to come, is served */
#define WH_STOPPING_LATE 2   /* only what has come is */

#define WH_DATE_BLOCK_SIZE 128

typedef struct wh_http_service {
  wh_exchange_pool *pool;
  const wh_transport *transport;
  const wh_receiver *receiver;
  void *user; /* of both */
  wh_http_limits limits;
  /* Ready-made header lines that every answer gets: Date, and Server unless turned off. */
  uint8_t date_block[WH_DATE_BLOCK_SIZE];
  size_t date_length, date_block_length;
  int64_t date_second;
  const char *server_name; /* value of Server; NULL = no such field */
  uint8_t stopping;        /* 0 or WH_STOPPING_...: the last answer that is due says close */
  wh_http1_shared *http1;  /* what HTTP/1 sessions start from */
  wh_http1 *free_http1;    /* sessions that wait for a connection with something to do */
  size_t free_http1_count;
  wh_http2_shared *http2; /* what HTTP/2 sessions share */
  wh_path_cache paths;
  uint32_t head_numbers; /* given to header sections by the caches of both; see head_cache.h */
  const wh_refusal_answer *refusal_answers; /* WH_REFUSAL_COUNT, by reason */
  uint64_t now_us;   /* the server's clock, as of this turn's last look at it */
  uint64_t upgraded; /* connections that are tunnels now */
  uint64_t requests, answers, refusals[WH_REFUSAL_COUNT];
  uint64_t statuses[WH_STATUS_LIMIT]; /* heads of answers */
  wh_histogram receiving;             /* from the first byte of a head to the dispatch */
  wh_histogram latency;               /* from the dispatch to the end of the answer */
} wh_http_service;

/* Brings the Date up to `unix_seconds`; costs a comparison while the second is the same. */
void wh_http_service_tick(wh_http_service *service, int64_t unix_seconds);

/* Counts the head of an answer. */
static inline void wh_http_service_headed(wh_http_service *service, unsigned status) {
  service->statuses[status < WH_STATUS_LIMIT ? status : 0]++;
}

/* Counts an answer that is complete. */
static inline void wh_http_service_answered(wh_http_service *service, const wh_exchange *exchange) {
  service->answers++;
  wh_histogram_add(&service->latency, service->now_us - exchange->started_us, 1);
}

#endif
