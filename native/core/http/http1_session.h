/* What the http1*.c share: the session and its parts. Private to them. */
#ifndef WH_HTTP_HTTP1_SESSION_H
#define WH_HTTP_HTTP1_SESSION_H

#include <llhttp.h>
#include <stdint.h>

#include "http/chunked.h"
#include "http/head_cache.h"
#include "http/http1.h"

/* What all sessions of a service start from. */
struct wh_http1_shared {
  llhttp_settings_t settings;
  llhttp_t states[2]; /* the parser behind the request line, for HTTP/1.0 and 1.1 */
  wh_head_cache heads;
  wh_protocol connect; /* of CONNECT requests; see http1_upgrade.c */
};

typedef enum wh_http1_state {
  STATE_LINE,    /* before or in a request line */
  STATE_FIELDS,  /* in the header lines */
  STATE_WAIT,    /* a parsed request, or the next bytes, wait for earlier requests to be answered */
  STATE_LENGTH,  /* in a body with Content-Length */
  STATE_CHUNKED, /* in a chunked body */
  STATE_TUNNEL,  /* upgraded: the bytes are the application's */
  STATE_CLOSED   /* nothing more is read */
} wh_http1_state;

struct wh_http1 {
  wh_http_service *service;
  void *connection;
  uint64_t number;
  uint32_t *requests;
  uint8_t *head_hint;        /* the connection's: see http1_head.c, and head_cache.h */
  wh_exchange *first, *last; /* dispatched and not answered, in order */
  wh_exchange *parsing;      /* whose head or body is being received */
  size_t running;            /* exchanges from first to last */
  uint8_t *rest;             /* received, not parsed yet */
  size_t rest_length;
  uint64_t body_left;               /* of STATE_LENGTH; of a held chunked body its size so far */
  uint64_t body_limit;              /* the most bytes of the body being received */
  uint64_t drained;                 /* bytes of an unwanted body thrown away */
  const uint8_t *input, *input_end; /* what is being parsed; NULL outside of that */
  const uint8_t *chunk_start;       /* while parsing fields: the bytes of this round ... */
  size_t raw_used;                  /* ... go behind these, which are in the slot already */
  size_t fields_start; /* raw bytes of blank lines and request line, before the fields */
  uint32_t fields;     /* field lines so far */
  uint8_t state;
  uint8_t refusal;          /* wh_refusal that waits for earlier answers */
  uint8_t waiting_head : 1; /* STATE_WAIT: `parsing` is to be dispatched */
  uint8_t waiting_room : 1; /* `rest` is read once the client has taken earlier answers */
  uint8_t keep_alive : 1;   /* of the request being parsed */
  uint8_t draining : 1;     /* the body being received belongs to nobody any more */
  uint8_t eof : 1;          /* the peer has ended its side */
  uint8_t over : 1;         /* the connection ends; nothing more is written */
  uint8_t tunnel : 1;       /* counted among the upgraded */
  uint8_t tunnel_ended : 1; /* our side of the tunnel is ended */
  uint8_t in_value : 1;     /* the last span was of a value */
  uint8_t refused_head : 1; /* the refused request was HEAD: no body */
  uint8_t allow_options : 1, allow_connect : 1; /* which Allow a 405 carries */
  uint8_t secure : 1;                           /* over TLS */
  uint8_t preface : 1;     /* the request line that is refused begins an HTTP/2 connection */
  uint8_t body_opened : 1; /* the application has begun to read the body: its limit is settled */
  uint8_t body_held : 1;   /* the body exceeds its limit, which the application may yet raise */
  uint8_t sequence_length; /* of `sequence`: the start of a UTF-8 sequence in a trailer section */
  uint8_t sequence[4];
  llhttp_t parser;
  wh_chunked chunked;
};

extern const wh_protocol wh_http1_protocol;
/* http1_answer.c: the connection of an exchange that is not over. */
void *wh_http1_connection_of(const wh_exchange *exchange);

/* http1_head.c: takes bytes of a request line, of header lines; returns how many it took. */
size_t wh_http1_receive_line(wh_http1 *session, const uint8_t *data, size_t length);
size_t wh_http1_receive_fields(wh_http1 *session, const uint8_t *data, size_t length);

/* http1_body.c: the head is complete and valid: sees to the body, and whether it may run now. */
void wh_http1_start_exchange(wh_http1 *session);
/* Hands the request over, if that has not happened, because its body is about to come. */
void wh_http1_dispatch_before_body(wh_http1 *session);
/* Takes bytes of a body by Content-Length, of a chunked one; returns how many it took. */
size_t wh_http1_receive_length(wh_http1 *session, const uint8_t *data, size_t length);
size_t wh_http1_receive_chunked(wh_http1 *session, const uint8_t *data, size_t length);

/* The first read: what is held because of its size goes on, or is refused. 0: it is refused. */
int wh_http1_open_body(wh_http1 *session);
/* The application sets the limit of the body of `exchange`, the first, which it has not read yet. */
void wh_http1_limit_body(wh_http1 *session, wh_exchange *exchange, uint64_t most);
/*
 * Whether too much of the body of `exchange`, which is being received, is still to come to be read for
 * nothing once that is answered.
 */
int wh_http1_leaves_body(const wh_http1 *session, const wh_exchange *exchange);
/* http1_upgrade.c: makes ready what CONNECT needs; once per service. */
void wh_http1_prepare_upgrade(wh_http1_shared *shared);
/* A request that may become a tunnel was dispatched: what comes behind it waits. */
void wh_http1_offer_upgrade(wh_http1 *session);
/* Bytes for the tunnel, and their end. */
void wh_http1_receive_tunnel(wh_http1 *session, const uint8_t *data, size_t length);
void wh_http1_end_of_tunnel(wh_http1 *session);
/* The protocol's UPGRADE: the answer's head, and from then on a tunnel. */
void wh_http1_upgrade(wh_exchange *exchange, const wh_answer *answer);
/* http1_file.c: sends a part of a file as body; the exchange is the first of its session. */
void wh_http1_send_file(wh_http1 *session, wh_exchange *exchange, const wh_answer *answer);

/* http1_refused.c: tells the receiver of a refusal, before it does anything. */
void wh_http1_tell_refused(wh_http1 *session, wh_refusal reason);
/* http1_refusal.c: the request that is being received is refused. */
void wh_http1_refuse(wh_http1 *session, wh_refusal reason);
/* Writes the refusal that is noted, once no earlier answer is due; the connection ends after it. */
void wh_http1_write_refusal(wh_http1 *session);

/* Gives an exchange back to the pool. */
static inline void wh_http1_give(wh_http1 *session, wh_exchange *exchange) {
  wh_exchange_give(session->service->pool, exchange);
}

/* http1_answer.c. The answer of `exchange`, which is the first of its session, is out. May end the connection. */
void wh_http1_answered(wh_http1 *session, wh_exchange *exchange);
/* How the end of an answer's body will be known (RFC 9112 section 6). */
typedef enum wh_framing {
  WH_FRAMING_LENGTH,
  WH_FRAMING_CHUNKED,
  WH_FRAMING_CLOSE,
  WH_FRAMING_NONE
} wh_framing;
/* More than status line, Date, Server, Content-Type, framing and Connection take together. */
#define WH_HEAD_OVERHEAD 512U
/* Writes a head with its empty line to `out`, which has room for WH_HEAD_OVERHEAD and answer->head. */
uint8_t *wh_http1_put_head(uint8_t *out, wh_http1 *session, wh_exchange *exchange,
                           const wh_answer *answer, wh_framing how, uint64_t content_length);
/* Ends the connection once everything is sent; what is still being received is thrown away. */
void wh_http1_end_connection(wh_http1 *session);
/* Forgets answers that were ordered before their turn. */
void wh_http1_drop_pending(wh_http_service *service, wh_exchange *exchange);
/* Sends what was ordered before its turn; the exchange is the first now. */
void wh_http1_send_pending(wh_http1 *session, wh_exchange *exchange);
/* 100 Continue, if the client waits for it. */
void wh_http1_send_continue(wh_http1 *session, wh_exchange *exchange);

#endif
