/* What connection.c and filtered.c share: the queue of a connection. Private to them. */
#ifndef WH_NET_CONNECTION_PRIVATE_H
#define WH_NET_CONNECTION_PRIVATE_H

#include <sys/uio.h>

#include "net/connection.h"

/* Bytes of files that a connection sends before others have their turn. */
#define WH_FILE_TURN (512U << 10)
/* Bytes that are read of a file and written at once where the system cannot send it. */
#define WH_GATHERED_SIZE 65536U

typedef enum wh_segment_kind {
  WH_SEGMENT_BYTES,
  WH_SEGMENT_PINNED,
  WH_SEGMENT_FILE
} wh_segment_kind;

/* A piece of the queue: own bytes behind the struct, a pinned buffer, or a part of a file. */
struct wh_segment {
  wh_segment *next;
  uint64_t offset; /* bytes already sent */
  uint64_t length;
  union {
    uint32_t pinned_id;
    struct {
      uint64_t start; /* where in the file the segment begins */
      uint64_t token;
      int descriptor;
      uint8_t by_hand; /* the system cannot send it */
    } file;
  };
  uint8_t kind;
  uint8_t bytes[];
};

/* Puts bytes behind what is queued, copied. 0 or WH_ERR_NO_MEMORY. */
int wh_queue_bytes(wh_connection *connection, const uint8_t *data, size_t length);
/* Takes bytes that were sent off the front of the queue. */
void wh_queue_advance(wh_connection *connection, uint64_t sent);
/* Where a segment's unsent bytes stand; -1 if its pinned buffer is gone. */
int wh_queue_locate(wh_connection *connection, const wh_segment *segment, struct iovec *part);
/* The outbox's buffer for gathering bytes, WH_GATHERED_SIZE of them; NULL: no memory. */
uint8_t *wh_outbox_gathered(wh_outbox *outbox);
/* Reads of the file of a segment into it, `length` bytes at most. How many, or WH_ERR_FILE_.... */
ssize_t wh_segment_read(wh_outbox *outbox, const wh_segment *segment, size_t length);
/* Nothing is queued or composed any more: ends our side, or the connection, if that was asked for. */
void wh_connection_all_sent(wh_connection *connection);
/* Has the end of the turn look after the connection. */
void wh_connection_todo(wh_connection *connection);

/* filtered.c: as wh_connection_flush, of a connection with a filter. */
void wh_filtered_flush(wh_connection *connection);
/* filtered.c: whether what ends our side has gone out; if not, it is sent when there is room. */
int wh_filtered_end(wh_connection *connection);

/* Whether something waits that the system has not taken. */
static inline int wh_connection_waits(const wh_connection *connection) {
  return connection->first != NULL ||
         (connection->filter != NULL && connection->filter->unsent_length > 0);
}

#endif
