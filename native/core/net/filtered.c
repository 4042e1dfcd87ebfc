/*
 * Sending through a filter. What is composed or queued is plain; it is sealed no earlier than it can
 * be sent, so that what waits for a slow client waits plain (and files as files), but for the last
 * piece, of which the system took a part.
 */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "net/connection_private.h"

/* Plain bytes sealed before they are sent: one send carries four records of TLS. */
#define SEALED_AT_ONCE 65536U
/* Smaller pieces are put together, so that they share a record. */
#define SMALL_PIECE 16384U

uint8_t *wh_wire_reserve(wh_wire *wire, size_t size) {
  if (wire->size - wire->used < size) {
    size_t larger = wire->size == 0 ? 80U * 1024 : wire->size * 2;
    while (larger - wire->used < size) larger *= 2;
    uint8_t *bytes = wh_realloc(wire->bytes, larger);
    if (bytes == NULL) return NULL;
    wire->bytes = bytes;
    wire->size = larger;
  }
  return wire->bytes + wire->used;
}

wh_wire *wh_connection_wire(wh_connection *connection) { return &connection->outbox->wire; }

static void count_sent(wh_connection *connection, size_t length) {
  connection->outbox->bytes_sent += length;
  connection->sent += length;
}

/* Sends what is sealed. Whether all of it has gone; if not, the system is full or the connection closed. */
static int send_unsent(wh_connection *connection) {
  wh_filter *filter = connection->filter;
  if (filter->unsent_length == 0) return 1;
  ssize_t sent = wh_stream_write(&connection->stream, filter->unsent + filter->unsent_offset,
                                 filter->unsent_length);
  if (sent < 0) {
    wh_connection_close(connection, 0);
    return 0;
  }
  count_sent(connection, (size_t)sent);
  connection->queued -= (uint64_t)sent;
  filter->unsent_offset += (size_t)sent;
  filter->unsent_length -= (size_t)sent;
  if (filter->unsent_length > 0) {
    connection->waiting = 1;
    return 0;
  }
  wh_free(filter->unsent);
  filter->unsent = NULL;
  filter->unsent_offset = 0;
  return 1;
}

/* Keeps what the system does not take now, behind what waits already. */
static int keep_unsent(wh_connection *connection, const uint8_t *data, size_t length) {
  wh_filter *filter = connection->filter;
  if (length == 0) return WH_OK;
  uint8_t *kept = wh_alloc(filter->unsent_length + length);
  if (kept == NULL) return WH_ERR_NO_MEMORY;
  if (filter->unsent_length > 0) {
    memcpy(kept, filter->unsent + filter->unsent_offset, filter->unsent_length);
  }
  memcpy(kept + filter->unsent_length, data, length);
  wh_free(filter->unsent);
  filter->unsent = kept;
  filter->unsent_offset = 0;
  filter->unsent_length += length;
  connection->queued += length;
  connection->waiting = 1;
  return WH_OK;
}

void wh_connection_send_wire(wh_connection *connection) {
  wh_wire *wire = &connection->outbox->wire;
  size_t length = wire->used;
  wire->used = 0;
  if (length == 0 || connection->closed) return;
  ssize_t sent = 0;
  if (send_unsent(connection)) {
    sent = wh_stream_write(&connection->stream, wire->bytes, length);
  }
  if (connection->closed) return;
  if (sent < 0) {
    wh_connection_close(connection, 0);
    return;
  }
  count_sent(connection, (size_t)sent);
  if (keep_unsent(connection, wire->bytes + sent, length - (size_t)sent) != WH_OK) {
    wh_connection_close(connection, 1);
    return;
  }
  if (connection->filter->unsent_length > 0) wh_connection_todo(connection);
}

/* Seals bytes into the wire buffer. How many; 0 where none can be now, or the connection is closed. */
static size_t seal(wh_connection *connection, const uint8_t *data, size_t length) {
  wh_filter *filter = connection->filter;
  size_t done = 0;
  while (done < length) {
    ssize_t taken =
        filter->type->seal(filter, data + done, length - done, &connection->outbox->wire);
    if (taken < 0) {
      connection->outbox->wire.used = 0;
      wh_connection_close(connection, 1);
      return 0;
    }
    if (taken == 0) break;
    done += (size_t)taken;
  }
  if (done > 0 && connection->tapped) {
    struct iovec part = {.iov_base = (void *)data, .iov_len = length};
    connection->outbox->tap(connection, 1, &part, done);
  }
  return done;
}

/* Puts small pieces from the front of the queue together. Their bytes; 0: the connection is closed. */
static size_t gather(wh_connection *connection, struct iovec *out) {
  uint8_t *buffer = wh_outbox_gathered(connection->outbox);
  size_t length = 0;
  if (buffer == NULL) return 0;
  for (wh_segment *s = connection->first; s != NULL && s->kind != WH_SEGMENT_FILE; s = s->next) {
    struct iovec part;
    if (wh_queue_locate(connection, s, &part) != 0) return 0;
    size_t piece = part.iov_len < SMALL_PIECE - length ? part.iov_len : SMALL_PIECE - length;
    memcpy(buffer + length, part.iov_base, piece);
    length += piece;
    if (length == SMALL_PIECE) break;
  }
  *out = (struct iovec){.iov_base = buffer, .iov_len = length};
  return length;
}

/* Reads the next piece of the file that is first in the queue. 1, or 0: the connection is closed. */
static int read_file(wh_connection *connection, size_t most, struct iovec *out) {
  const wh_segment *segment = connection->first;
  uint64_t rest = segment->length - segment->offset;
  ssize_t got = wh_segment_read(connection->outbox, segment, rest < most ? (size_t)rest : most);
  if (got < 0) {
    /* The answer cannot be completed, and the peer must see that. */
    connection->events->on_file(connection, segment->file.token, (int)got);
    wh_connection_close(connection, 1);
    return 0;
  }
  *out = (struct iovec){.iov_base = connection->outbox->gathered, .iov_len = (size_t)got};
  return 1;
}

/* The next plain bytes of the queue, `most` at most. 1, or 0: the connection is closed. */
static int next_piece(wh_connection *connection, size_t most, struct iovec *out) {
  wh_segment *first = connection->first;
  if (first->kind == WH_SEGMENT_FILE) return read_file(connection, most, out);
  int located = wh_queue_locate(connection, first, out) == 0;
  if (located && out->iov_len < SMALL_PIECE && first->next != NULL &&
      first->next->kind != WH_SEGMENT_FILE) {
    located = gather(connection, out) > 0;
  }
  if (!located) wh_connection_close(connection, 1);
  if (out->iov_len > most) out->iov_len = most;
  return located;
}

/* Takes sealed bytes off the front of the queue, and tells of a file that is done. */
static void advance(wh_connection *connection, size_t sealed) {
  const wh_segment *first = connection->first;
  uint64_t token = 0;
  int file_done = first->kind == WH_SEGMENT_FILE && first->length - first->offset == sealed;
  if (file_done) token = first->file.token;
  wh_queue_advance(connection, sealed);
  if (file_done) connection->events->on_file(connection, token, WH_OK);
}

/* Seals and sends of the queue until the system is full or the turn over. Whether it is empty. */
static int send_queue(wh_connection *connection) {
  size_t turn = WH_FILE_TURN, round = 0;
  while (connection->first != NULL) {
    struct iovec piece;
    int is_file = connection->first->kind == WH_SEGMENT_FILE;
    if (is_file && turn == 0) {
      connection->waiting = 1;
      /* The system may have room still, and that would be no new edge. */
      if (connection->stream.handle.interest & WH_WRITE &&
          wh_stream_go_on(&connection->stream) != WH_OK) {
        wh_connection_close(connection, 1);
      }
      wh_connection_todo(connection);
      return 0;
    }
    if (!next_piece(connection, SEALED_AT_ONCE - round, &piece)) return 0;
    size_t sealed = seal(connection, piece.iov_base, piece.iov_len);
    if (sealed == 0) return 0;
    if (is_file) turn -= sealed < turn ? sealed : turn;
    advance(connection, sealed);
    round += sealed;
    if (round < SEALED_AT_ONCE && connection->first != NULL) continue;
    round = 0;
    wh_connection_send_wire(connection);
    if (connection->closed || connection->filter->unsent_length > 0) return 0;
  }
  return 1;
}

/* Seals and sends what is composed, while nothing is queued; what is not sealed is queued. */
static void send_composed(wh_connection *connection) {
  wh_outbox *outbox = connection->outbox;
  size_t length = outbox->used;
  outbox->owner = NULL;
  outbox->used = 0;
  size_t sealed = seal(connection, outbox->buffer, length);
  if (connection->closed) return;
  if (sealed < length &&
      wh_queue_bytes(connection, outbox->buffer + sealed, length - sealed) != WH_OK) {
    wh_connection_close(connection, 1);
    return;
  }
  wh_connection_send_wire(connection);
}

void wh_filtered_flush(wh_connection *connection) {
  wh_outbox *outbox = connection->outbox;
  int composed = outbox->owner == connection && outbox->used > 0;
  if (outbox->owner == connection && !composed) outbox->owner = NULL;
  if (composed && wh_connection_waits(connection)) {
    size_t length = outbox->used;
    outbox->owner = NULL;
    outbox->used = 0;
    if (wh_queue_bytes(connection, outbox->buffer, length) != WH_OK) {
      wh_connection_close(connection, 1);
      return;
    }
  } else if (composed) {
    send_composed(connection);
  }
  if (connection->closed || connection->waiting) return;
  if (!send_unsent(connection)) return;
  int emptied = send_queue(connection);
  wh_connection_send_wire(
      connection); /* of a connection that was closed: forgets what was sealed */
  if (emptied && !connection->closed && !wh_connection_waits(connection))
    wh_connection_all_sent(connection);
}

int wh_filtered_end(wh_connection *connection) {
  if (!connection->sealed_end) {
    connection->sealed_end = 1;
    connection->filter->type->end(connection->filter, &connection->outbox->wire);
    wh_connection_send_wire(connection);
  }
  return !connection->closed && connection->filter->unsent_length == 0;
}
