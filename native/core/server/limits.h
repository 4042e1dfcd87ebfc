/*
 * Every limit and timeout of the server, in one table: its name in the options, its default, the range
 * that is allowed. Sources: kestrel.md A1, but where the comment says otherwise.
 */
#ifndef WH_SERVER_LIMITS_H
#define WH_SERVER_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* "No limit", for those that may be turned off. */
#define WH_UNLIMITED INT64_MAX

/*
 * X(member, option name, default, least, greatest allowed, can be unlimited, unit, what exceeds it)
 */
#define WH_LIMITS(X)                                                                                      \
  X(max_request_line_size, "maxRequestLineSize", 8192, 64, 1 << 20, 0, "bytes", "414")                    \
  X(max_request_headers_total_size, "maxRequestHeadersTotalSize", 32768, 64, 1 << 24, 0, "bytes",         \
    "431")                                                                                                \
  X(max_request_header_count, "maxRequestHeaderCount", 100, 1, 10000, 0, "lines", "431")                  \
  X(max_request_body_size, "maxRequestBodySize", 30000000, 0, WH_UNLIMITED, 1, "bytes", "413")            \
  X(max_request_buffer_size, "maxRequestBufferSize", 1048576, 64, WH_UNLIMITED, 1, "bytes",               \
    "the client waits")                                                                                   \
  X(max_response_buffer_size, "maxResponseBufferSize", 65536, 0, WH_UNLIMITED, 1, "bytes",                \
    "writes wait")                                                                                        \
  X(keep_alive_timeout, "keepAliveTimeout", 130000, 1, INT32_MAX, 1, "ms", "the connection ends")         \
  X(request_headers_timeout, "requestHeadersTimeout", 30000, 1, INT32_MAX, 1, "ms", "408")                \
  X(handshake_timeout, "handshakeTimeout", 10000, 1, INT32_MAX, 1, "ms", "the connection ends")           \
  /* A rate is that of each grace period on its own: a client that stops is found however fast it was. */ \
  X(min_request_rate, "minRequestBodyDataRate.bytesPerSecond", 240, 1, INT32_MAX, 1, "bytes",             \
    "408")                                                                                                \
  X(min_request_rate_grace, "minRequestBodyDataRate.gracePeriod", 5000, 1001, INT32_MAX, 0, "ms",         \
    "408")                                                                                                \
  X(min_response_rate, "minResponseDataRate.bytesPerSecond", 240, 1, INT32_MAX, 1, "bytes",               \
    "the connection is reset")                                                                            \
  X(min_response_rate_grace, "minResponseDataRate.gracePeriod", 5000, 1001, INT32_MAX, 0, "ms",           \
    "the connection is reset")                                                                            \
  /* Kestrel's constant RequestBodyDrainTimeout. */                                                       \
  X(request_body_drain_timeout, "requestBodyDrainTimeout", 5000, 1, INT32_MAX, 0, "ms",                   \
    "the connection ends")                                                                                \
  /* nginx's lingering_timeout: for the client to read the last answer and close. */                      \
  X(linger_timeout, "lingerTimeout", 5000, 1, INT32_MAX, 0, "ms", "the connection is reset")              \
  /* ASP.NET Core's RequestTimeoutPolicy; kept by the application's side. */                              \
  X(request_timeout, "requestTimeout", WH_UNLIMITED, 1, INT32_MAX, 1, "ms", "504")                        \
  /* Ours: nginx and h2o bound it too, by their buffers. */                                               \
  X(max_pipelined_requests, "maxPipelinedRequests", 64, 1, 1024, 0, "requests", "they wait")              \
  X(max_concurrent_upgraded_connections, "maxConcurrentUpgradedConnections", WH_UNLIMITED, 0,             \
    WH_UNLIMITED, 1, "connections", "the upgrade fails")                                                  \
  X(max_concurrent_connections, "maxConcurrentConnections", WH_UNLIMITED, 1, INT32_MAX, 1,                \
    "connections", "503, or the connection ends")                                                         \
  /* Ours: RFC 9110 section 10.2.3 leaves the number to the server. */                                    \
  X(connection_limit_retry_after, "connectionLimitRetryAfter", 5, 0, 86400, 0, "seconds",                 \
    "it is what the 503 says")                                                                            \
  X(http2_streams, "http2.maxStreamsPerConnection", 100, 1, INT32_MAX, 0, "streams",                      \
    "RST_STREAM REFUSED_STREAM")                                                                          \
  X(http2_header_table, "http2.headerTableSize", 4096, 0, 1 << 20, 0, "bytes",                            \
    "fields are forgotten")                                                                               \
  X(http2_frame_size, "http2.maxFrameSize", 16384, 16384, 16777215, 0, "bytes",                           \
    "GOAWAY FRAME_SIZE_ERROR")                                                                            \
  X(http2_field_size, "http2.maxRequestHeaderFieldSize", 32768, 1, 65536, 0, "bytes", "431")              \
  X(http2_connection_window, "http2.initialConnectionWindowSize", 1048576, 65535, INT32_MAX, 0,           \
    "bytes", "the client waits")                                                                          \
  X(http2_stream_window, "http2.initialStreamWindowSize", 786432, 65535, INT32_MAX, 0, "bytes",           \
    "the client waits")                                                                                   \
  X(http2_ping_delay, "http2.keepAlivePingDelay", WH_UNLIMITED, 1000, INT32_MAX, 1, "ms",                 \
    "a PING is sent")                                                                                     \
  X(http2_ping_timeout, "http2.keepAlivePingTimeout", 20000, 1000, INT32_MAX, 1, "ms",                    \
    "the connection ends")                                                                                \
  /* Ours: RFC 9113 section 6.5.3 leaves the time to the server. */                                       \
  X(http2_settings_timeout, "http2.settingsTimeout", 10000, 1000, INT32_MAX, 1, "ms",                     \
    "GOAWAY SETTINGS_TIMEOUT")                                                                            \
  /* Ours, each in ten seconds (http2.h): far above what clients need, and below what hurts. */           \
  X(http2_resets, "http2.maxResets", 1000, 1, INT32_MAX, 1, "streams", "GOAWAY ENHANCE_YOUR_CALM")        \
  X(http2_pings, "http2.maxPings", 1000, 1, INT32_MAX, 1, "frames", "GOAWAY ENHANCE_YOUR_CALM")           \
  X(http2_settings, "http2.maxSettings", 100, 1, INT32_MAX, 1, "frames",                                  \
    "GOAWAY ENHANCE_YOUR_CALM")                                                                           \
  X(http2_priorities, "http2.maxPriorities", 5000, 1, INT32_MAX, 1, "frames",                             \
    "GOAWAY ENHANCE_YOUR_CALM")                                                                           \
  X(http2_empty, "http2.maxEmptyFrames", 1000, 1, INT32_MAX, 1, "frames",                                 \
    "GOAWAY ENHANCE_YOUR_CALM")                                                                           \
  X(http2_updates, "http2.maxWindowUpdates", 20000, 1, INT32_MAX, 1, "frames",                            \
    "GOAWAY ENHANCE_YOUR_CALM")                                                                           \
  X(http2_unknown, "http2.maxUnknownFrames", 1000, 1, INT32_MAX, 1, "frames",                             \
    "GOAWAY ENHANCE_YOUR_CALM")

typedef struct wh_limits {
#define WH_LIMIT_MEMBER(member, name, initial, least, greatest, open, unit, effect) int64_t member;
  WH_LIMITS(WH_LIMIT_MEMBER)
#undef WH_LIMIT_MEMBER
  /* Not limits, but set with them: addServerHeader, and what http1 lets through (service.h). */
  uint8_t add_server_header;
  uint8_t allow_raw_query_characters, allow_bare_line_feed, allow_host_header_override;
  uint8_t close_over_limit; /* connectionLimitResponse: 'close' rather than '503' */
} wh_limits;

/* A row of the table, for those who set limits by name. */
typedef struct wh_limit_row {
  const char *name;
  const char *unit;
  const char *effect;
  size_t offset; /* of the int64_t in wh_limits */
  int64_t initial, least, greatest;
  int can_be_unlimited;
} wh_limit_row;

extern const wh_limit_row wh_limit_table[];
extern const size_t wh_limit_table_length;

/* All limits at their defaults. */
void wh_limits_init(wh_limits *limits);
/*
 * Sets the limit of that row. WH_ERR_INVALID_ARGUMENT where the value is out of its range; the
 * limits are then as they were.
 */
int wh_limits_set(wh_limits *limits, const wh_limit_row *row, int64_t value);
/*
 * Whether the limits go together: what must fit into the request buffer is not larger than it. 0, or
 * WH_ERR_INVALID_ARGUMENT with the rows of the two that do not.
 */
int wh_limits_check(const wh_limits *limits, const wh_limit_row **larger,
                    const wh_limit_row **smaller);
/* The value of that row's limit; WH_UNLIMITED where there is none. */
int64_t wh_limits_get(const wh_limits *limits, const wh_limit_row *row);
/* The row of an option's name; NULL where there is none. */
const wh_limit_row *wh_limit_find(const char *name);

#endif
