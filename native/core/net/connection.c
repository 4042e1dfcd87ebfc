#include "net/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "net/connection_private.h"

#define OUTBOX_SIZE 65536U
#define PARTS_PER_SEND 16

static const wh_stream_events stream_events;

void wh_connection_todo(wh_connection *connection) {
  if (connection->todo) return;
  connection->todo = 1;
  connection->todo_next = connection->outbox->todo;
  connection->outbox->todo = connection;
}

int wh_outbox_init(wh_outbox *outbox, wh_loop *loop, const wh_pinned_source *pinned, void *user) {
  memset(outbox, 0, sizeof *outbox);
  outbox->loop = loop;
  outbox->pinned = pinned;
  outbox->pinned_user = user;
  outbox->buffer = wh_alloc(OUTBOX_SIZE);
  if (outbox->buffer == NULL) return WH_ERR_NO_MEMORY;
  outbox->size = OUTBOX_SIZE;
  wh_outbox_set_high(outbox, WH_QUEUE_HIGH);
  return WH_OK;
}

void wh_outbox_set_high(wh_outbox *outbox, uint64_t high) {
  outbox->queue_full = high == UINT64_MAX ? WH_QUEUE_HIGH : high == 0 ? 1 : high;
  outbox->queue_low = high / (WH_QUEUE_HIGH / WH_QUEUE_LOW);
}

void wh_outbox_free(wh_outbox *outbox) {
  wh_free(outbox->buffer);
  outbox->buffer = NULL;
  wh_free(outbox->gathered);
  outbox->gathered = NULL;
  wh_free(outbox->wire.bytes);
  outbox->wire = (wh_wire){0};
}

wh_connection *wh_connection_open(wh_outbox *outbox, int fd, const wh_address *peer,
                                  const wh_connection_events *events) {
  wh_connection *connection = wh_zalloc(sizeof *connection);
  if (connection == NULL) {
    close(fd);
    return NULL;
  }
  wh_stream_open(&connection->stream, outbox->loop, fd, &stream_events);
  connection->outbox = outbox;
  connection->events = events;
  connection->peer = *peer;
  connection->number = ++outbox->next_number;
  connection->reading = 1;
  connection->next = outbox->connections;
  if (connection->next != NULL) connection->next->previous = connection;
  outbox->connections = connection;
  outbox->count++;
  /* The system learns of it at the end of the turn: a connection that is served and closed within
     the turn never costs that call. */
  wh_connection_todo(connection);
  return connection;
}

/* --- the queue --- */

static void drop_segment(wh_connection *connection, wh_segment *segment) {
  wh_outbox *outbox = connection->outbox;
  if (segment->kind == WH_SEGMENT_PINNED) {
    outbox->pinned->release(outbox->pinned_user, segment->pinned_id);
  } else if (segment->kind == WH_SEGMENT_FILE) {
    close(segment->file.descriptor);
  }
  wh_free(segment);
}

static void drop_queue(wh_connection *connection) {
  wh_segment *segment = connection->first;
  connection->first = connection->last = NULL;
  connection->queued = 0;
  while (segment != NULL) {
    wh_segment *next = segment->next;
    drop_segment(connection, segment);
    segment = next;
  }
}

static void link_segment(wh_connection *connection, wh_segment *segment) {
  segment->next = NULL;
  if (connection->last != NULL)
    connection->last->next = segment;
  else
    connection->first = segment;
  connection->last = segment;
  connection->queued += segment->length - segment->offset;
}

int wh_queue_bytes(wh_connection *connection, const uint8_t *data, size_t length) {
  if (length == 0) return WH_OK;
  wh_segment *segment = wh_alloc(sizeof *segment + length);
  if (segment == NULL) return WH_ERR_NO_MEMORY;
  segment->offset = 0;
  segment->length = length;
  segment->kind = WH_SEGMENT_BYTES;
  memcpy(segment->bytes, data, length);
  link_segment(connection, segment);
  return WH_OK;
}

static void update_interest(wh_connection *connection) {
  unsigned interest = (connection->reading || connection->lingering ? WH_READ : 0) |
                      (wh_connection_waits(connection) ? WH_WRITE : 0);
  if (wh_stream_want(&connection->stream, interest) != WH_OK) wh_connection_close(connection, 1);
}

void wh_queue_advance(wh_connection *connection, uint64_t sent) {
  connection->queued -= sent;
  while (connection->first != NULL) {
    wh_segment *segment = connection->first;
    uint64_t rest = segment->length - segment->offset;
    if (sent < rest) {
      segment->offset += sent;
      return;
    }
    sent -= rest;
    connection->first = segment->next;
    if (connection->first == NULL) connection->last = NULL;
    drop_segment(connection, segment);
  }
}

int wh_queue_locate(wh_connection *connection, const wh_segment *segment, struct iovec *part) {
  const uint8_t *data = segment->bytes;
  size_t length = (size_t)segment->length;
  if (segment->kind == WH_SEGMENT_PINNED) {
    wh_outbox *outbox = connection->outbox;
    if (outbox->pinned->locate(outbox->pinned_user, segment->pinned_id, &data, &length) != 0 ||
        length < segment->length) {
      return -1;
    }
  }
  part->iov_base = (void *)(data + segment->offset);
  part->iov_len = (size_t)(segment->length - segment->offset);
  return 0;
}

void wh_connection_all_sent(wh_connection *connection) {
  if (!(connection->finishing | connection->ending) || connection->closed) return;
  if (connection->filter != NULL && !wh_filtered_end(connection)) return;
  if (connection->ending) {
    connection->ending = 0;
    connection->ended = 1;
    wh_stream_finish(&connection->stream);
  }
  if (!connection->finishing) return;
  if (!connection->linger || connection->eof) {
    wh_connection_close(connection, 0);
  } else if (!connection->lingering) {
    connection->lingering = 1;
    wh_stream_discard(&connection->stream);
    wh_stream_finish(&connection->stream);
    connection->events->on_lingering(connection);
  }
}

uint8_t *wh_outbox_gathered(wh_outbox *outbox) {
  if (outbox->gathered == NULL) outbox->gathered = wh_alloc(WH_GATHERED_SIZE);
  return outbox->gathered;
}

ssize_t wh_segment_read(wh_outbox *outbox, const wh_segment *segment, size_t length) {
  uint8_t *buffer = wh_outbox_gathered(outbox);
  if (buffer == NULL) return WH_ERR_FILE_UNREADABLE;
  if (length > WH_GATHERED_SIZE) length = WH_GATHERED_SIZE;
  off_t at = (off_t)(segment->file.start + segment->offset);
  ssize_t got;
  do {
    got = pread(segment->file.descriptor, buffer, length, at);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return WH_ERR_FILE_UNREADABLE;
  return got == 0 ? WH_ERR_FILE_TRUNCATED : got;
}

/* Reads some of a file and writes it; returns as wh_stream_send_file does. */
static ssize_t send_by_hand(wh_connection *connection, const wh_segment *segment, size_t length) {
  ssize_t got = wh_segment_read(connection->outbox, segment, length);
  if (got < 0) return got;
  return wh_stream_write(&connection->stream, connection->outbox->gathered, (size_t)got);
}

/*
 * Sends of the file that is first in the queue, `*turn` bytes at most. Whether it is all sent; if not,
 * the system is full, the turn is over, or the connection closed.
 */
static int send_file(wh_connection *connection, size_t *turn) {
  wh_segment *segment = connection->first;
  while (segment->offset < segment->length) {
    uint64_t rest = segment->length - segment->offset;
    if (*turn == 0) {
      connection->waiting = 1;
      /* The system may have room still, and that would be no new edge. */
      if (connection->stream.handle.interest & WH_WRITE &&
          wh_stream_go_on(&connection->stream) != WH_OK) {
        wh_connection_close(connection, 1);
      }
      return 0;
    }
    size_t piece = rest < *turn ? (size_t)rest : *turn;
    ssize_t sent = WH_ERR_NOT_SUPPORTED;
    if (!segment->file.by_hand) {
      sent = wh_stream_send_file(&connection->stream, segment->file.descriptor,
                                 segment->file.start + segment->offset, piece);
      if (sent == WH_ERR_NOT_SUPPORTED) segment->file.by_hand = 1;
    }
    if (segment->file.by_hand) sent = send_by_hand(connection, segment, piece);
    if (sent < 0) {
      /* The answer cannot be completed, and the peer must see that. */
      if (sent != WH_ERR_CLOSED) {
        connection->events->on_file(connection, segment->file.token, (int)sent);
      }
      wh_connection_close(connection, sent != WH_ERR_CLOSED);
      return 0;
    }
    if (sent == 0) {
      connection->waiting = 1;
      return 0;
    }
    *turn -= (size_t)sent;
    connection->outbox->bytes_sent += (uint64_t)sent;
    if (connection->tapped) connection->outbox->tap(connection, 1, NULL, (size_t)sent);
    connection->sent += (uint64_t)sent;
    connection->queued -= (uint64_t)sent;
    segment->offset += (uint64_t)sent;
  }
  uint64_t token = segment->file.token;
  wh_queue_advance(connection, 0);
  connection->events->on_file(connection, token, WH_OK);
  return 1;
}

static void send_queue(wh_connection *connection) {
  size_t turn = WH_FILE_TURN;
  while (connection->first != NULL) {
    if (connection->first->kind == WH_SEGMENT_FILE) {
      if (!send_file(connection, &turn)) return;
      continue;
    }
    struct iovec parts[PARTS_PER_SEND];
    int count = 0, file_follows = 0;
    size_t total = 0;
    for (wh_segment *s = connection->first; s != NULL && count < PARTS_PER_SEND; s = s->next) {
      if (s->kind == WH_SEGMENT_FILE) {
        file_follows = turn > 0;
        break;
      }
      if (wh_queue_locate(connection, s, &parts[count]) != 0) {
        wh_connection_close(connection, 1);
        return;
      }
      total += parts[count++].iov_len;
    }
    ssize_t sent = file_follows ? wh_stream_writev_more(&connection->stream, parts, count)
                                : wh_stream_writev(&connection->stream, parts, count);
    if (sent < 0) {
      wh_connection_close(connection, 0);
      return;
    }
    connection->outbox->bytes_sent += (uint64_t)sent;
    connection->sent += (uint64_t)sent;
    if (connection->tapped) connection->outbox->tap(connection, 1, parts, (size_t)sent);
    wh_queue_advance(connection, (size_t)sent);
    if ((size_t)sent < total) {
      connection->waiting = 1; /* the system is full: on_room goes on */
      break;
    }
  }
}

static void tap_bytes(wh_connection *connection, int sent, uint8_t *data, size_t length) {
  struct iovec part = {.iov_base = data, .iov_len = length};
  if (length > 0) connection->outbox->tap(connection, sent, &part, length);
}

/* Moves what is composed for the owner into its queue. */
static void queue_composed(wh_outbox *outbox) {
  wh_connection *owner = outbox->owner;
  size_t length = outbox->used;
  outbox->owner = NULL;
  outbox->used = 0;
  if (wh_queue_bytes(owner, outbox->buffer, length) != WH_OK) wh_connection_close(owner, 1);
}

void wh_connection_flush(wh_connection *connection) {
  wh_outbox *outbox = connection->outbox;
  if (connection->closed) {
    if (outbox->owner == connection) {
      outbox->owner = NULL;
      outbox->used = 0;
    }
    return;
  }
  if (connection->filter != NULL) {
    wh_filtered_flush(connection);
    return;
  }
  if (outbox->owner == connection && outbox->used > 0) {
    if (connection->first != NULL) {
      queue_composed(outbox);
    } else {
      size_t length = outbox->used;
      outbox->owner = NULL;
      outbox->used = 0;
      ssize_t sent = wh_stream_write(&connection->stream, outbox->buffer, length);
      if (sent < 0) {
        wh_connection_close(connection, 0);
        return;
      }
      outbox->bytes_sent += (uint64_t)sent;
      if (connection->tapped) tap_bytes(connection, 1, outbox->buffer, (size_t)sent);
      size_t rest = length - (size_t)sent;
      if (rest > 0) {
        if (wh_queue_bytes(connection, outbox->buffer + sent, rest) != WH_OK) {
          wh_connection_close(connection, 1);
          return;
        }
        connection->waiting = 1;
        update_interest(connection);
      } else {
        wh_connection_all_sent(connection);
      }
      return;
    }
  } else if (outbox->owner == connection) {
    outbox->owner = NULL;
  }
  if (connection->first != NULL && !connection->waiting) {
    send_queue(connection);
    if (connection->closed) return;
    if (connection->first != NULL) update_interest(connection);
  }
  if (connection->first == NULL) wh_connection_all_sent(connection);
}

/* Makes the outbox free for somebody else. */
static void yield_outbox(wh_outbox *outbox) {
  wh_connection *owner = outbox->owner;
  if (owner == NULL) return;
  if (owner->hold && !owner->closed) {
    queue_composed(outbox);
    wh_connection_todo(owner);
  } else {
    wh_connection_flush(owner);
  }
  outbox->owner = NULL;
  outbox->used = 0;
}

static uint8_t *reserve_slow(wh_connection *connection, size_t size) {
  wh_outbox *outbox = connection->outbox;
  if (outbox->owner != connection) {
    yield_outbox(outbox);
  } else {
    wh_connection_flush(connection); /* full */
  }
  outbox->used = 0;
  outbox->owner = connection;
  if (size > outbox->size) {
    uint8_t *larger = wh_realloc(outbox->buffer, size);
    if (larger == NULL) {
      wh_connection_close(connection, 1);
      return NULL;
    }
    outbox->buffer = larger;
    outbox->size = size;
  }
  return outbox->buffer;
}

uint8_t *wh_connection_reserve(wh_connection *connection, size_t size) {
  wh_outbox *outbox = connection->outbox;
  if (outbox->owner == connection && outbox->size - outbox->used >= size) {
    return outbox->buffer + outbox->used;
  }
  return reserve_slow(connection, size);
}

void wh_connection_commit(wh_connection *connection, size_t size) {
  connection->outbox->used += size;
}

void wh_connection_append(wh_connection *connection, const void *data, size_t length) {
  uint8_t *out = wh_connection_reserve(connection, length);
  if (out == NULL) return;
  memcpy(out, data, length);
  wh_connection_commit(connection, length);
}

void wh_connection_append_pinned(wh_connection *connection, uint32_t id, size_t length) {
  wh_outbox *outbox = connection->outbox;
  wh_segment *segment = connection->closed ? NULL : wh_alloc(sizeof *segment);
  if (segment == NULL) {
    if (!connection->closed) wh_connection_close(connection, 1);
    outbox->pinned->release(outbox->pinned_user, id);
    return;
  }
  segment->offset = 0;
  segment->length = length;
  segment->pinned_id = id;
  segment->kind = WH_SEGMENT_PINNED;
  if (outbox->owner == connection && outbox->used > 0 && connection->first == NULL &&
      connection->filter == NULL) {
    /* The usual case: head and body leave together, and only what is refused is copied. */
    struct iovec parts[2] = {{.iov_base = outbox->buffer, .iov_len = outbox->used}, {0}};
    size_t head = outbox->used;
    outbox->used = 0;
    outbox->owner = NULL;
    ssize_t sent = -1;
    if (wh_queue_locate(connection, segment, &parts[1]) == 0) {
      sent = wh_stream_writev(&connection->stream, parts, 2);
    }
    if (sent < 0) {
      drop_segment(connection, segment);
      wh_connection_close(connection, 1);
      return;
    }
    outbox->bytes_sent += (uint64_t)sent;
    if (connection->tapped) outbox->tap(connection, 1, parts, (size_t)sent);
    if ((size_t)sent < head) {
      if (wh_queue_bytes(connection, outbox->buffer + sent, head - (size_t)sent) != WH_OK) {
        drop_segment(connection, segment);
        wh_connection_close(connection, 1);
        return;
      }
    } else {
      segment->offset = (size_t)sent - head;
    }
    if (segment->offset == segment->length) {
      drop_segment(connection, segment);
    } else {
      link_segment(connection, segment);
      connection->waiting = 1;
      update_interest(connection);
    }
  } else {
    if (outbox->owner == connection && outbox->used > 0) queue_composed(outbox);
    link_segment(connection, segment);
  }
  wh_connection_todo(connection);
}

void wh_connection_append_file(wh_connection *connection, int file, uint64_t offset,
                               uint64_t length, uint64_t token) {
  wh_outbox *outbox = connection->outbox;
  wh_segment *segment = connection->closed ? NULL : wh_alloc(sizeof *segment);
  if (segment == NULL) {
    if (!connection->closed) wh_connection_close(connection, 1);
    close(file);
    return;
  }
  segment->offset = 0;
  segment->length = length;
  segment->kind = WH_SEGMENT_FILE;
  segment->file.start = offset;
  segment->file.token = token;
  segment->file.descriptor = file;
  segment->file.by_hand = 0;
  if (outbox->owner == connection && outbox->used > 0) queue_composed(outbox);
  link_segment(connection, segment);
  wh_connection_todo(connection);
}

uint64_t wh_connection_queued(const wh_connection *connection) {
  size_t composed = connection->outbox->owner == connection ? connection->outbox->used : 0;
  return connection->queued + composed;
}

void wh_connection_notify_room(wh_connection *connection) {
  connection->notify = 1;
  wh_connection_todo(connection);
}

void wh_connection_read(wh_connection *connection, int on) {
  if (connection->reading == (on != 0)) return;
  connection->reading = on != 0;
  wh_connection_todo(connection);
}

void wh_connection_finish(wh_connection *connection, int linger) {
  if (connection->closed || connection->finishing) return;
  connection->finishing = 1;
  connection->linger = linger != 0;
  wh_connection_todo(connection);
}

void wh_connection_end(wh_connection *connection) {
  if (connection->closed || connection->finishing || connection->ended) return;
  connection->ending = 1;
  wh_connection_todo(connection);
}

void wh_connection_close(wh_connection *connection, int reset) {
  if (connection->closed) return;
  connection->closed = 1;
  connection->reset = reset != 0;
  wh_connection_todo(connection);
}

/* --- the stream's side --- */

static void stream_read(wh_stream *stream, uint8_t *data, size_t length) {
  wh_connection *connection = (wh_connection *)stream;
  if (connection->closed) return;
  if (length == 0) {
    connection->eof = 1;
    if (connection->lingering) {
      wh_connection_close(connection, 0);
      return;
    }
  }
  connection->outbox->bytes_received += length;
  if (connection->filter != NULL) {
    if (connection->lingering || connection->finishing) return;
    connection->filter->type->receive(connection->filter, connection, data, length);
    return;
  }
  if (connection->tapped) tap_bytes(connection, 0, data, length);
  if (connection->lingering || connection->finishing) return;
  connection->events->on_data(connection, data, length);
}

void wh_connection_plain(wh_connection *connection, uint8_t *data, size_t length) {
  if (connection->closed) return;
  if (length == 0) connection->eof = 1;
  if (connection->tapped) tap_bytes(connection, 0, data, length);
  if (connection->lingering || connection->finishing) return;
  connection->events->on_data(connection, data, length);
}

void wh_connection_filter(wh_connection *connection, wh_filter *filter) {
  connection->filter = filter;
  wh_stream_leave_spare(&connection->stream);
}

static void stream_room(wh_stream *stream) {
  wh_connection *connection = (wh_connection *)stream;
  if (connection->closed) return;
  connection->waiting = 0;
  if (connection->filter != NULL) {
    wh_filtered_flush(connection);
  } else {
    send_queue(connection);
    if (connection->closed) return;
    if (connection->first == NULL) wh_connection_all_sent(connection);
  }
  if (!connection->closed) wh_connection_todo(connection);
}

static void stream_broken(wh_stream *stream, int error) {
  wh_connection *connection = (wh_connection *)stream;
  /* Both sides have ended, and the peer's last bytes wait until they are wanted: not broken yet. */
  if (error == WH_ERR_CLOSED && connection->ended && !connection->reading &&
      wh_stream_error(stream) == 0) {
    return;
  }
  connection->broken = 1;
  wh_connection_close(connection, 0);
}

static const wh_stream_events stream_events = {
    .on_read = stream_read,
    .on_room = stream_room,
    .on_broken = stream_broken,
};

/* --- the end of the turn --- */

static void bury(wh_connection *connection) {
  wh_outbox *outbox = connection->outbox;
  if (outbox->owner == connection) {
    outbox->owner = NULL;
    outbox->used = 0;
  }
  drop_queue(connection);
  wh_stream_close(&connection->stream, connection->reset);
  connection->events->on_closed(connection);
  if (connection->filter != NULL) {
    wh_free(connection->filter->unsent);
    connection->filter->type->free(connection->filter);
  }
  wh_timer_cancel(wh_loop_timers(outbox->loop), &connection->timer);
  if (connection->next != NULL) connection->next->previous = connection->previous;
  if (connection->previous != NULL)
    connection->previous->next = connection->next;
  else
    outbox->connections = connection->next;
  outbox->count--;
  wh_free(connection);
}

static int has_room(const wh_connection *connection) {
  return connection->queued == 0 || connection->queued < connection->outbox->queue_low;
}

void wh_outbox_settle(wh_outbox *outbox) {
  while (outbox->owner != NULL || outbox->todo != NULL) {
    if (outbox->owner != NULL) {
      outbox->owner->hold = 0;
      yield_outbox(outbox);
    }
    wh_connection *connection = outbox->todo;
    if (connection == NULL) break;
    outbox->todo = connection->todo_next;
    connection->todo = 0;
    if (!connection->closed) wh_connection_flush(connection);
    if (!connection->closed) update_interest(connection);
    if (connection->blocked != wh_connection_waits(connection) && !connection->closed) {
      connection->blocked = wh_connection_waits(connection) & 1;
      connection->events->on_blocked(connection, connection->blocked);
    }
    if (!connection->closed && connection->notify && has_room(connection)) {
      connection->notify = 0;
      connection->events->on_room(connection);
    }
    /* What closed it just now has put it on the list again, and the next round finds it there. */
    if (connection->closed && !connection->todo) {
      connection->todo = 1; /* nothing may list it any more */
      bury(connection);
    }
  }
}
