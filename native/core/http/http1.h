/*
 * HTTP/1.0 and 1.1 on one connection (RFC 9112).
 *
 * A session is what a connection needs only while it has something to do: a connection that idles
 * between requests gives its session back to the service.
 *
 * Requests are read as bytes come. Those with safe methods run together (pipelining) and are answered
 * in order; one with an unsafe method waits for what came before it and holds what comes after.
 *
 * One thread: the loop's.
 */
#ifndef WH_HTTP_HTTP1_H
#define WH_HTTP_HTTP1_H

#include <stddef.h>
#include <stdint.h>

#include "http/service.h"

/* What a session is doing, for the server's timers. */
typedef enum wh_http1_phase {
  WH_HTTP1_IDLE,   /* nothing: the session can be given back */
  WH_HTTP1_HEAD,   /* a head is incomplete */
  WH_HTTP1_BODY,   /* a body is incomplete */
  WH_HTTP1_DRAIN,  /* the rest of a body that nobody wants */
  WH_HTTP1_BUSY,   /* the application has the word */
  WH_HTTP1_OVER,   /* the connection is ending */
  WH_HTTP1_LEAVING /* likewise, of a tunnel: what is left is sent, but not for ever */
} wh_http1_phase;

/* Once per service, before its first session: makes the parser's starting states. 0 or an error. */
int wh_http1_prepare(wh_http_service *service);
/* Frees them, and the sessions that the service keeps. All connections must be gone. */
void wh_http1_unprepare(wh_http_service *service);

/* A session for a connection; `number`, `*requests` and `*head_hint` are its. NULL: no memory. */
wh_http1 *wh_http1_open(wh_http_service *service, void *connection, uint64_t number,
                        uint32_t *requests, uint8_t *head_hint);
/* The connection is gone, or the session idle: exchanges that still run are told and cut loose. */
void wh_http1_close(wh_http1 *session);

/* Takes bytes, which stand in the arena; all of them. length 0: the peer will send no more. */
void wh_http1_receive(wh_http1 *session, uint8_t *data, size_t length);
/* Whether bytes wait that were received earlier and can be parsed now. */
int wh_http1_can_resume(const wh_http1 *session);
/*
 * Parses such bytes. `scratch` is memory in the arena for at least wh_http1_rest(session) bytes.
 */
size_t wh_http1_rest(const wh_http1 *session);
void wh_http1_resume(wh_http1 *session, uint8_t *scratch);
/* There is room in the connection's queue again. */
void wh_http1_room(wh_http1 *session);
/* The body that the application reads comes too slowly: 408, or the answer is cut. */
void wh_http1_body_timeout(wh_http1 *session);
/* The headers did not come in time: 408. */
void wh_http1_head_timeout(wh_http1 *session);
/*
 * The server has stopped, and its drain window is over: closes if idle, else after the last answer to
 * what was received. To be called again after bytes came and answers went.
 */
void wh_http1_stop(wh_http1 *session);

wh_http1_phase wh_http1_phase_of(const wh_http1 *session);
/* Whether the connection is upgraded: no rate of HTTP holds. */
int wh_http1_is_tunnel(const wh_http1 *session);

#endif
