/*
 * A connection: a stream of bytes with a peer, with a queue for what the system would not take yet.
 *
 * Writing. All connections of a loop share one outbox. What is written for a connection is composed
 * there in place (reserve, commit) and leaves in one send when another connection takes the outbox
 * over or the turn ends; a connection that still expects answers in this turn ("hold") is set aside
 * instead, so that there is at most one send per connection per turn. Only what the system refuses
 * costs memory of the connection's own: an idle connection holds none.
 *
 * Files stand in the queue like other bytes, as a descriptor, and are sent by the system itself
 * when their turn comes: at most FILE_TURN bytes a turn, so that others get theirs.
 *
 * Life. A connection that is closed, or found broken, is not freed where that happens but at the end
 * of the turn (wh_outbox_settle), after its owner was told by on_closed. So no callback ever returns
 * into a connection that is gone; what is written to it meanwhile is thrown away.
 *
 * One thread: the loop's.
 */
#ifndef WH_NET_CONNECTION_H
#define WH_NET_CONNECTION_H

#include <stddef.h>
#include <stdint.h>

#include "io/io.h"
#include "net/address.h"
#include "net/filter.h"

struct iovec;

typedef struct wh_segment wh_segment;
typedef struct wh_outbox wh_outbox;

/* What the owner of a connection is told. */
typedef struct wh_connection_events {
  /* Bytes from the peer, in the loop's arena (see io.h); length 0: the peer will send no more. */
  void (*on_data)(wh_connection *connection, uint8_t *data, size_t length);
  /* The queue has fallen below the low mark after wh_connection_notify_room. */
  void (*on_room)(wh_connection *connection);
  /* The system takes no more for now (1), or all that waited has gone (0). */
  void (*on_blocked)(wh_connection *connection, int blocked);
  /*
   * The file that was appended with this token has been taken by the system (WH_OK), or cannot be sent
   * (WH_ERR_FILE_...; the connection is reset). Not called for files that a closed connection drops.
   */
  void (*on_file)(wh_connection *connection, uint64_t token, int result);
  /* All is sent, and wh_connection_finish waits for the peer's end: the owner limits how long. */
  void (*on_lingering)(wh_connection *connection);
  /* The connection is gone, for whatever reason; its memory goes when this returns. */
  void (*on_closed)(wh_connection *connection);
} wh_connection_events;

/*
 * Above HIGH the writer should wait; below LOW it may go on. These are the marks of an outbox that was
 * not told otherwise. Source: Kestrel's MaxResponseBufferSize.
 */
#define WH_QUEUE_HIGH 65536U
#define WH_QUEUE_LOW 16384U

/* Memory that belongs to somebody else and is sent without being copied. */
typedef struct wh_pinned_source {
  /*
   * Where the buffer stands now. 0, or -1 if it is gone or shorter than it was: then the connection is
   * reset, because its answer cannot be completed. Asked anew before each send.
   */
  int (*locate)(void *user, uint32_t id, const uint8_t **data, size_t *length);
  /* The buffer is no longer needed. Called once for each buffer that was appended. */
  void (*release)(void *user, uint32_t id);
} wh_pinned_source;

struct wh_connection {
  wh_stream stream;
  wh_outbox *outbox;
  const wh_connection_events *events;
  wh_segment *first, *last; /* what the system has not taken yet */
  uint64_t queued;          /* bytes in them, what is left of files included */
  uint64_t sent;            /* bytes of queues that the system has taken */
  wh_connection *todo_next; /* the outbox's list of those to look after at the end of the turn */
  wh_connection *previous, *next; /* all connections of the outbox */
  void *session;                  /* the owner's */
  wh_connection *owner_next;      /* the owner's list */
  wh_timer timer;                 /* the owner's */
  wh_filter *filter;              /* between it and the wire; NULL = nothing is */
  void *pace;                     /* the owner's */
  void *rare;                     /* the owner's, for what few connections have */
  uint64_t number;                /* unique in the outbox */
  uint32_t requests;              /* the owner's count */
  wh_address peer;
  uint8_t owner_hint;       /* the owner's */
  uint8_t owner_phase;      /* the owner's */
  uint8_t owner_protocol;   /* the owner's */
  uint8_t owner_listed : 1; /* is on the owner's list */
  uint8_t todo : 1;         /* is on the list */
  uint8_t hold : 1;         /* more will be written in this turn: set by the owner */
  uint8_t blocked : 1;      /* on_blocked said so */
  uint8_t closed : 1;       /* closed or broken; on_closed comes at the end of the turn */
  uint8_t reset : 1;        /* how to close */
  uint8_t reading : 1;      /* bytes are wanted */
  uint8_t notify : 1;       /* on_room is wanted */
  uint8_t finishing : 1;    /* close once everything is sent */
  uint8_t linger : 1;       /* ... but let the peer read it first */
  uint8_t lingering : 1;    /* our side is ended; what comes is thrown away */
  uint8_t eof : 1;          /* the peer has ended its side */
  uint8_t local : 1;        /* a Unix socket */
  uint8_t ending : 1;       /* end our side once everything is sent; go on reading */
  uint8_t ended : 1;        /* ... which has happened */
  uint8_t waiting : 1;    /* the system is full, or others have their turn: room will be told of */
  uint8_t broken : 1;     /* the system found it broken */
  uint8_t tapped : 1;     /* the outbox's tap is told of every byte: set by the owner */
  uint8_t sealed_end : 1; /* the filter has ended our side */
};

struct wh_outbox {
  wh_loop *loop;
  uint8_t *buffer;
  size_t size;
  size_t used;
  wh_connection *owner; /* whose bytes are in the buffer */
  wh_connection *todo;  /* connections to flush, register or bury at the end of the turn */
  wh_connection *connections;
  size_t count;
  uint64_t next_number;
  const wh_pinned_source *pinned;
  void *pinned_user;
  /*
   * Of connections that are tapped: the first `length` bytes of these parts came from the peer, or
   * (sent) were taken by the system, or by the filter. They are valid for the call. NULL: bytes of a file, unseen.
   */
  void (*tap)(wh_connection *connection, int sent, const struct iovec *parts, size_t length);
  uint64_t bytes_sent, bytes_received;
  uint64_t queue_full, queue_low; /* the marks; see wh_outbox_set_high */
  uint8_t *
      gathered; /* for files that the system cannot send by itself, and for filters; made when needed */
  wh_wire wire; /* of filters */
};

/* A buffer for composing, of OUTBOX_SIZE bytes. 0 or WH_ERR_NO_MEMORY. */
int wh_outbox_init(wh_outbox *outbox, wh_loop *loop, const wh_pinned_source *pinned, void *user);
/*
 * The high mark of its connections' queues, the low one being a quarter. 0: whatever is queued is too
 * much. UINT64_MAX: writers never wait; what a peer asks for without reading answers is bounded still.
 */
void wh_outbox_set_high(wh_outbox *outbox, uint64_t high);
/* Frees it. All connections must be gone. */
void wh_outbox_free(wh_outbox *outbox);
/* The end of a turn: sends what is composed, registers new connections, buries closed ones. */
void wh_outbox_settle(wh_outbox *outbox);

/*
 * A connection over an accepted descriptor, which belongs to it even if this fails (then it is
 * closed). NULL where there is no memory.
 */
wh_connection *wh_connection_open(wh_outbox *outbox, int fd, const wh_address *peer,
                                  const wh_connection_events *events);

/*
 * Room for `size` bytes to be written in place; NULL where there is no memory (the connection is then
 * closed). wh_connection_commit says how many of them are used. Nothing else may be called between.
 */
uint8_t *wh_connection_reserve(wh_connection *connection, size_t size);
void wh_connection_commit(wh_connection *connection, size_t size);
/* Copies bytes behind what is written. */
void wh_connection_append(wh_connection *connection, const void *data, size_t length);
/* Sends a pinned buffer behind what is written; its release is reported in any case. */
void wh_connection_append_pinned(wh_connection *connection, uint32_t id, size_t length);
/*
 * Sends bytes of a file behind what is written. The descriptor becomes the connection's, which closes
 * it in any case. `length` is above 0; `token` is for on_file.
 */
void wh_connection_append_file(wh_connection *connection, int file, uint64_t offset,
                               uint64_t length, uint64_t token);
/* Sends now what is composed for this connection. */
void wh_connection_flush(wh_connection *connection);
/* Bytes written and not yet taken by the system. */
uint64_t wh_connection_queued(const wh_connection *connection);
/* Whether so much is queued that no more should be written before the peer has taken some of it. */
static inline int wh_connection_is_full(const wh_connection *connection) {
  return connection->queued >= connection->outbox->queue_full;
}
/* Asks for on_room once the queue is below the low mark; at the end of the turn if it is now. */
void wh_connection_notify_room(wh_connection *connection);

/* Starts or stops reading from the peer. A new connection reads. */
void wh_connection_read(wh_connection *connection, int on);
/*
 * Closes after everything written is sent. linger: the peer may still be sending (a refused body);
 * so end our side, throw away what comes, and close when the peer does or the owner's timer says so:
 * otherwise the peer's system would throw our answer away at the reset.
 */
void wh_connection_finish(wh_connection *connection, int linger);
/*
 * Ends our side after everything written is sent: the peer reads an end of file, and may go on sending.
 * Nothing may be written after it. The connection lives until it is finished, closed or broken.
 */
void wh_connection_end(wh_connection *connection);
/* Closes at once; reset: the peer is told that the answer is incomplete. */
void wh_connection_close(wh_connection *connection, int reset);

#endif
