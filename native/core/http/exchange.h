/*
 * An exchange: one request and its answer, whatever protocol carries them.
 *
 * It has a slot, memory that the application sees too (generated/shared_layout.h says what stands
 * where): the protocol writes the request's head there, the application reads from it what it wants,
 * when it wants. The slot lives as long as the exchange: until the answer is out and the application
 * has released it. Its generation number then changes, so a command for an exchange that is over is
 * recognised and dropped.
 *
 * Slots of one size come in slabs of 64; a head that needs more gets a slab of its own. Slabs are
 * allocated by whoever shares the memory with the application (wh_slab_source).
 *
 * One thread: the loop's.
 */
#ifndef WH_HTTP_EXCHANGE_H
#define WH_HTTP_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "generated/shared_layout.h"

typedef struct wh_exchange wh_exchange;
typedef struct wh_exchange_pool wh_exchange_pool;
typedef struct wh_pending wh_pending;

/* An answer, or the head of one, as the application ordered it. Pointers are valid for the call. */
typedef struct wh_answer {
  unsigned status;     /* 100 to 599 */
  unsigned flags;      /* WH_COMMAND_FLAG_... */
  const uint8_t *head; /* header lines, each with its CRLF */
  size_t head_length;
  const uint8_t *body; /* NULL where it is pinned */
  size_t body_length;
  uint32_t pinned_id;      /* with WH_COMMAND_FLAG_PINNED */
  uint64_t content_length; /* of a START with WH_COMMAND_FLAG_HAS_LENGTH; of a FILE: its bytes */
  uint64_t file_offset;    /* of a FILE: where in the file they begin */
  int file;                /* of a FILE: the descriptor, whose owner the callee becomes */
} wh_answer;

/* The code of an abort that names none: INTERNAL_ERROR. */
#define WH_ABORT_DEFAULT 2U

/* What a protocol does for the application. Each is called with an exchange that is not over. */
typedef struct wh_protocol {
  void (*respond)(wh_exchange *exchange, const wh_answer *answer); /* head, body and end */
  void (*start)(wh_exchange *exchange, const wh_answer *answer);   /* the head */
  void (*write)(wh_exchange *exchange, const wh_answer *answer);   /* some body */
  void (*file)(wh_exchange *exchange, const wh_answer *answer);    /* some body, out of a file */
  void (*end)(wh_exchange *exchange);                              /* the end of the body */
  /* The end of the body, with trailer lines (answer->head), for which there may be no place. */
  void (*trailers)(wh_exchange *exchange, const wh_answer *answer);
  void (*inform)(wh_exchange *exchange, const wh_answer *answer); /* 1xx */
  /* A tunnel from here on. NULL: there is no such thing. */
  void (*upgrade)(wh_exchange *exchange, const wh_answer *answer);
  void (*read)(wh_exchange *exchange, int on); /* wants the body, or enough of it */
  /* The most bytes of body that the application takes; called before the first read, if at all. */
  void (*limit_body)(wh_exchange *exchange, uint64_t most);
  void (*notify_room)(wh_exchange *exchange); /* report when there is room */
  /* Another least data rate, of its body or of its answer: bytes per second, 0 = none; window, ms. */
  void (*rate)(wh_exchange *exchange, int of_response, uint32_t bytes, uint32_t grace_ms);
  /* The connection ends now; of HTTP/2 the stream, with this error code (RFC 9113 section 7). */
  void (*abort)(wh_exchange *exchange, unsigned code);
  void (*released)(wh_exchange *exchange); /* the application is done with it */
  void *(*connection)(const wh_exchange *exchange);
} wh_protocol;

struct wh_exchange {
  uint8_t *slot;
  uint32_t slot_size;
  uint32_t index;      /* as the application knows it: slab << WH_SLAB_SHIFT | place */
  uint32_t generation; /* also in the slot */
  const wh_protocol *protocol;
  void *owner;       /* the protocol's connection or stream; NULL once that is gone */
  wh_exchange *next; /* free list, or the protocol's queue */
  wh_pending *pending_first, *pending_last; /* answered before its turn: the protocol's */
  uint64_t started_us;                      /* when it was dispatched, by the server's clock */
  uint64_t response_left;                   /* bytes of a declared Content-Length still to come */
  uint8_t dispatched : 1;                   /* the application has it */
  uint8_t released : 1;                     /* the application is done with it */
  uint8_t started : 1;       /* the head of the answer is out, or waits for its turn */
  uint8_t ended : 1;         /* the answer is complete */
  uint8_t end_ordered : 1;   /* the application has ordered the end of the answer */
  uint8_t chunked : 1;       /* the answer is chunked */
  uint8_t has_length : 1;    /* the answer has a declared length */
  uint8_t close : 1;         /* the connection ends after this answer */
  uint8_t aborted : 1;       /* the application was told that the client is gone */
  uint8_t wants_ended : 1;   /* the application wants WH_EVENT_ENDED */
  uint8_t body_wanted : 1;   /* the application reads the body */
  uint8_t body_done : 1;     /* the request's body is complete, or there is none */
  uint8_t continue_due : 1;  /* the client waits for 100 Continue */
  uint8_t room_wanted : 1;   /* the application waits for room to write */
  uint8_t head_only : 1;     /* HEAD: no body is sent */
  uint8_t connect : 1;       /* CONNECT: a 2xx has no body, and what follows is no HTTP */
  uint8_t no_body : 1;       /* the status forbids a body */
  uint8_t minor_version : 1; /* HTTP/1.minor */
};

/* Where slabs come from. */
typedef struct wh_slab_source {
  /* Memory for slab number `number`, 16-byte aligned and zeroed; NULL if there is none. */
  uint8_t *(*allocate)(void *user, uint32_t number, size_t size, size_t slot_size);
  /* The slab is no longer used. Only for slabs of one large slot, and at the end. */
  void (*free)(void *user, uint32_t number, uint8_t *memory);
} wh_slab_source;

/* A pool. 0 or WH_ERR_NO_MEMORY. */
int wh_exchange_pool_create(const wh_slab_source *source, void *user, wh_exchange_pool **out);
/* Frees the slabs too. NULL is fine. */
void wh_exchange_pool_destroy(wh_exchange_pool *pool);
/* A fresh exchange with a small slot; NULL where there is no memory. */
wh_exchange *wh_exchange_take(wh_exchange_pool *pool);
/*
 * Moves an exchange that is not dispatched into a slot of at least `size` bytes: what stands in the
 * first `used` bytes and in the table of `fields` entries moves along. NULL where there is no memory:
 * the old one is then still as it was.
 */
wh_exchange *wh_exchange_grow(wh_exchange_pool *pool, wh_exchange *exchange, size_t size,
                              size_t used, size_t fields);
/* Gives it back. */
void wh_exchange_give(wh_exchange_pool *pool, wh_exchange *exchange);
/* The exchange that the application means; NULL if it is over or was never dispatched. */
wh_exchange *wh_exchange_find(wh_exchange_pool *pool, uint32_t index, uint32_t generation);
/* Exchanges that are taken. */
size_t wh_exchange_pool_in_use(const wh_exchange_pool *pool);

static inline void wh_slot_set32(const wh_exchange *exchange, size_t offset, uint32_t value) {
  memcpy(exchange->slot + offset, &value, sizeof value);
}

static inline uint32_t wh_slot_get32(const wh_exchange *exchange, size_t offset) {
  uint32_t value;
  memcpy(&value, exchange->slot + offset, sizeof value);
  return value;
}

static inline void wh_slot_set16(const wh_exchange *exchange, size_t offset, uint16_t value) {
  memcpy(exchange->slot + offset, &value, sizeof value);
}

static inline uint16_t wh_slot_get16(const wh_exchange *exchange, size_t offset) {
  uint16_t value;
  memcpy(&value, exchange->slot + offset, sizeof value);
  return value;
}

/* The entry of field line `i` in the table. */
static inline uint8_t *wh_slot_field(const wh_exchange *exchange, size_t i) {
  return exchange->slot + exchange->slot_size - WH_FIELD_SIZE * (i + 1);
}

#endif
