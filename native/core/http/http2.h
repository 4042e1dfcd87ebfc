/*
 * HTTP/2 on one connection (RFC 9113). HPACK and the grammar of priorities are nghttp2's; frames,
 * streams, windows and what a request may look like are ours: a session of nghttp2 costs more for each
 * request than everything else here together.
 *
 * A session lives as long as its connection. Each stream with a request has an exchange, like the
 * requests of HTTP/1. Bodies are taken from the client as the application reads them: what it does not
 * want yet is kept, bounded by the windows that the client was given, which open as it reads.
 *
 * One thread: the loop's.
 */
#ifndef WH_HTTP_HTTP2_H
#define WH_HTTP_HTTP2_H

#include <stddef.h>
#include <stdint.h>

#include "http/service.h"

typedef struct wh_http2 wh_http2;

/* What every client begins with (RFC 9113 section 3.4). */
#define WH_HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define WH_HTTP2_PREFACE_LENGTH (sizeof WH_HTTP2_PREFACE - 1)

/* What a session is doing, for the server's timers. */
typedef enum wh_http2_phase {
  WH_HTTP2_IDLE,  /* no stream is open */
  WH_HTTP2_HEAD,  /* a header block is incomplete */
  WH_HTTP2_BUSY,  /* streams are open */
  WH_HTTP2_DRAIN, /* all open streams are answered, and their requests are not at an end */
  WH_HTTP2_OVER   /* the connection is ending */
} wh_http2_phase;

/* What a client must not do for ever, for nothing: X(constant, name in metrics) */
#define WH_HTTP2_FLOODS(X)                                                                     \
  X(RESETS, "resets")                         /* streams that it resets, or has us reset */    \
  X(PINGS, "pings")                           /* PING frames */                                \
  X(SETTINGS, "settings")                     /* SETTINGS frames */                            \
  X(PRIORITIES, "priorities")                 /* PRIORITY and PRIORITY_UPDATE frames */        \
  X(EMPTY_FRAMES, "emptyFrames")              /* DATA and CONTINUATION with next to nothing */ \
  X(WINDOW_UPDATES, "windowUpdates")          /* beyond what our DATA calls for */             \
  X(UNKNOWN_FRAMES, "unknownFrames")          /* of types that nobody knows, and GOAWAY */     \
  X(HEADER_BLOCKS, "headerBlocks")            /* header sections of twice what is allowed */   \
  X(UNACKNOWLEDGED, "unacknowledgedSettings") /* our SETTINGS, for too long */

typedef enum wh_http2_flood {
#define WH_HTTP2_FLOOD_CONSTANT(constant, name) WH_HTTP2_FLOOD_##constant,
  WH_HTTP2_FLOODS(WH_HTTP2_FLOOD_CONSTANT)
#undef WH_HTTP2_FLOOD_CONSTANT
      WH_HTTP2_FLOOD_COUNT
} wh_http2_flood;

/* Their names. WH_HTTP2_FLOOD_COUNT rows. */
extern const char *const wh_http2_flood_names[];

/* The time in which frames of a kind are counted (ms). */
#define WH_HTTP2_FLOOD_WINDOW 10000U

/* UINT32_MAX = no limit. */
typedef struct wh_http2_limits {
  uint32_t streams;                      /* open at once: http2.maxStreamsPerConnection */
  uint32_t header_table;                 /* bytes: http2.headerTableSize */
  uint32_t frame_size;                   /* bytes: http2.maxFrameSize */
  uint32_t field_size;                   /* bytes of a field: http2.maxRequestHeaderFieldSize */
  uint32_t stream_window;                /* bytes: http2.initialStreamWindowSize */
  uint32_t connection_window;            /* bytes: http2.initialConnectionWindowSize */
  uint32_t settings_timeout;             /* ms: http2.settingsTimeout */
  uint32_t floods[WH_HTTP2_FLOOD_COUNT]; /* frames in WH_HTTP2_FLOOD_WINDOW */
} wh_http2_limits;

/* Once per service, before its first session. 0 or an error. */
int wh_http2_prepare(wh_http_service *service, const wh_http2_limits *limits);
/* Frees what they share. All connections must be gone. */
void wh_http2_unprepare(wh_http_service *service);
/* Connections ended because of a flood, by kind: WH_HTTP2_FLOOD_COUNT counters. */
const uint64_t *wh_http2_floods(const wh_http_service *service);

/* A session for a connection, and our SETTINGS to its client. NULL: no memory. */
wh_http2 *wh_http2_open(wh_http_service *service, void *connection, uint64_t number,
                        uint32_t *requests);
/* The connection is gone: exchanges that still run are told and cut loose. */
void wh_http2_close(wh_http2 *session);
/* Takes bytes, from the preface on, which stand in the arena. length 0: the peer will send no more. */
void wh_http2_receive(wh_http2 *session, uint8_t *data, size_t length);
/* Looks after what waited for the end of a batch, as it asked for by transport->look. */
void wh_http2_look(wh_http2 *session);
/* There is room in the connection's queue again. */
void wh_http2_room(wh_http2 *session);
/* Bodies come too slowly: 408 on their streams. */
void wh_http2_body_timeout(wh_http2 *session);
/* A header block does not end, or answers are not taken: GOAWAY, and the connection ends. */
void wh_http2_end_slow(wh_http2 *session);
/* The rest of requests that are answered is not waited for any longer: their streams are reset. */
void wh_http2_end_drain(wh_http2 *session);
/* Nothing runs, and nothing is to come: GOAWAY, and the connection ends. */
void wh_http2_end_idle(wh_http2 *session);
/*
 * The server stops: the client is told to open no more streams (the first GOAWAY of the pair); late:
 * those that it opens now are refused, and the connection ends with the last answer.
 */
void wh_http2_stop(wh_http2 *session, int late);
/* Sends a PING; whether its answer is still awaited. */
void wh_http2_ping(wh_http2 *session);
int wh_http2_ping_awaited(const wh_http2 *session);

wh_http2_phase wh_http2_phase_of(const wh_http2 *session);
/* Whether answers wait for the client to open its windows. */
int wh_http2_is_stalled(const wh_http2 *session);
/* Whether requests are under way. */
int wh_http2_has_requests(const wh_http2 *session);
/* How long the header block that is being received has taken so far (µs). */
uint64_t wh_http2_block_age(const wh_http2 *session);
/* Bytes of bodies received so far. */
uint64_t wh_http2_body_bytes(const wh_http2 *session);
/* Bytes of DATA frames handed to the connection so far. */
uint64_t wh_http2_data_bytes(const wh_http2 *session);

#endif
