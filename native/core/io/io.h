/*
 * The event loop: one header, one file per backend (epoll.c now; kqueue.c and iocp.c fit behind it).
 *
 * The interface is completion-flavoured. Nobody is told "you may read now": the loop itself takes the
 * bytes into its arena and hands them over, takes connections and hands them over, and calls back when
 * a stream whose writes were refused has room again. That is what makes one shared receive buffer per
 * loop possible, and it is a contract that every backend can keep:
 *
 *   read     epoll: EPOLLIN, then one recv. kqueue: EVFILT_READ, the same. IOCP: a
 *            WSARecv of zero bytes completes when there is something to read, then the same recv.
 *   write    wh_stream_write takes what the system takes now. What it did not take stays with the
 *            caller, who asks for WH_WRITE and gets on_room. epoll: EPOLLOUT. kqueue: EVFILT_WRITE.
 *            IOCP: a WSASend of zero bytes completes when there is room.
 *   files    wh_stream_send_file copies from file to socket inside the system. epoll: sendfile(2).
 *            kqueue: BSD's sendfile. IOCP: TransmitFile. Where a file system cannot, it says so.
 *   accept   epoll, kqueue: the listener is readable, then accept until there is none. IOCP: AcceptEx
 *            posted in advance.
 *   timer    io/timer.h, the same on all: the host asks wh_loop_timeout how long it may sleep.
 *   wake-up  epoll: an eventfd. kqueue: EVFILT_USER. IOCP: PostQueuedCompletionStatus.
 *
 * A loop belongs to one thread, which makes all calls but wh_loop_wake. Callbacks run inside
 * wh_loop_poll only. It knows nothing of what the bytes mean.
 */
#ifndef WH_IO_IO_H
#define WH_IO_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "io/timer.h"

struct iovec;
struct sockaddr;

typedef struct wh_loop wh_loop;
typedef struct wh_stream wh_stream;
typedef struct wh_listener wh_listener;

/* What a stream waits for. Closing and errors of the system are always reported. */
#define WH_READ 1U
#define WH_WRITE 2U

/* What a stream's owner is told. One constant table for each kind of owner. */
typedef struct wh_stream_events {
  /*
   * Bytes have come, in the loop's arena. They stay there until the callback returns, or until
   * wh_loop_forget where the callback called wh_loop_keep. length 0: the peer will send no more.
   */
  void (*on_read)(wh_stream *stream, uint8_t *data, size_t length);
  /* There is room for writes again; only after WH_WRITE was asked for. */
  void (*on_room)(wh_stream *stream);
  /* The connection is broken (reset, timed out). The owner closes the stream. */
  void (*on_broken)(wh_stream *stream, int error);
} wh_stream_events;

/* The start of every handle: what the backend finds at the end of its pointer. */
typedef struct wh_handle {
  int fd;           /* -1 once closed */
  uint8_t kind;     /* private to the loop */
  uint8_t interest; /* WH_READ | WH_WRITE as the system knows it */
  uint8_t known;    /* the system has it */
  uint8_t eof;      /* the peer has ended its side */
  uint8_t discards; /* private to the loop: what comes is thrown away, uncopied */
  uint8_t spares;   /* private to the loop: see wh_stream_leave_spare */
} wh_handle;

struct wh_stream {
  wh_handle handle;
  wh_loop *loop;
  const wh_stream_events *events;
};

struct wh_listener {
  wh_handle handle;
  wh_loop *loop;
  /* A connection was accepted; the callback owns the descriptor (non-blocking, close-on-exec). */
  void (*on_accept)(wh_listener *listener, int fd, const struct sockaddr *peer, size_t peer_length);
  /* Accepting failed for want of descriptors or memory; the listener pauses for a moment. */
  void (*on_refused)(wh_listener *listener, int system_error);
  void *owner; /* the owner's */
  wh_timer retry;
};

/*
 * Makes a loop with the caller's arena, memory of at least WH_ARENA_MINIMUM bytes that outlives the
 * loop. 0, WH_ERR_NO_MEMORY or WH_ERR_SYSTEM.
 */
#define WH_ARENA_MINIMUM 65536U
int wh_loop_create(uint8_t *arena, size_t arena_size, wh_loop **out);
/* Ends the loop. All streams and listeners must be closed. NULL is fine. */
void wh_loop_destroy(wh_loop *loop);

/* The descriptor that becomes readable when wh_loop_poll has something to do (not on IOCP: -1). */
int wh_loop_descriptor(const wh_loop *loop);
/* Milliseconds until the next timer is due: 0 = now, -1 = there is none. */
int wh_loop_timeout(wh_loop *loop);
/* The time of the current turn, ms, monotonic. */
uint64_t wh_loop_now(const wh_loop *loop);
/* Brings that up to date: for what happens between turns. */
void wh_loop_touch(wh_loop *loop);
wh_timers *wh_loop_timers(wh_loop *loop);

/*
 * One turn: runs timers that are due, then handles what is ready, waiting for it at most timeout_ms
 * (-1: for ever). Returns the number of handles served, or a negative error. It returns early when
 * somebody called wh_loop_pause or the arena is full; the rest waits for the next call.
 */
int wh_loop_poll(wh_loop *loop, int timeout_ms);
/* From a callback: makes wh_loop_poll return as soon as this callback is done. */
void wh_loop_pause(wh_loop *loop);
/* Whether the last poll left something unserved. */
int wh_loop_has_rest(const wh_loop *loop);
/* From any thread: makes a waiting wh_loop_poll return. */
void wh_loop_wake(wh_loop *loop);

/* From on_read: the arena's bytes before `end` stay as they are until wh_loop_forget. */
void wh_loop_keep(wh_loop *loop, const uint8_t *end);
/* Room in the arena, as if so many bytes had been read and kept; NULL where there is not enough. */
uint8_t *wh_loop_lend(wh_loop *loop, size_t length);
/* The kept bytes are no longer needed. */
void wh_loop_forget(wh_loop *loop);

/* Takes an open non-blocking descriptor. Nothing is asked of the system before wh_stream_want. */
void wh_stream_open(wh_stream *stream, wh_loop *loop, int fd, const wh_stream_events *events);
/* Says what the stream waits for from now on. 0 or an error. */
int wh_stream_want(wh_stream *stream, unsigned interest);
/*
 * Reads once, now, without being told to: for a connection just accepted, whose first bytes are
 * often there already. Calls on_read as a poll would. 1 if something came, 0 if not.
 */
int wh_stream_try_read(wh_stream *stream);
/*
 * From now on each read leaves room behind itself in the arena, for as many bytes again and
 * WH_READ_SPARE more: for an owner who turns what it reads into something else.
 */
#define WH_READ_SPARE 16640U
void wh_stream_leave_spare(wh_stream *stream);
/* Bytes that the system holds for us, unread. */
size_t wh_stream_waiting(const wh_stream *stream);
/* Bytes taken by the system (0 if it has no room), or WH_ERR_CLOSED. */
ssize_t wh_stream_write(wh_stream *stream, const void *data, size_t length);
ssize_t wh_stream_writev(wh_stream *stream, const struct iovec *parts, int count);
/*
 * From now on what comes is thrown away, at the least cost that the system offers: on_read is told how
 * much came, and what stands in the arena means nothing.
 */
void wh_stream_discard(wh_stream *stream);
/* Bytes that the system has taken and the peer has not acknowledged; 0 where it cannot tell. */
size_t wh_stream_unacknowledged(const wh_stream *stream);
/* The same, and more follows at once: the system may wait for it before it sends a short packet. */
ssize_t wh_stream_writev_more(wh_stream *stream, const struct iovec *parts, int count);
/*
 * Sends bytes of a file without bringing them into the process. Bytes taken (0: the system has no
 * room), WH_ERR_CLOSED, WH_ERR_FILE_TRUNCATED where the file ends at or before `offset`,
 * WH_ERR_FILE_UNREADABLE, or WH_ERR_NOT_SUPPORTED where this file has to be read and written. Reading
 * from a slow disk blocks. The process ignores SIGPIPE: sendfile(2) cannot be told to spare it.
 */
ssize_t wh_stream_send_file(wh_stream *stream, int file, uint64_t offset, size_t length);
/* Has on_room called at the next poll if there is room still, others having had their turn. 0 or an error. */
int wh_stream_go_on(wh_stream *stream);
/* Ends our side: the peer reads an end of file after what was written. */
void wh_stream_finish(wh_stream *stream);
/* The error that the system holds for the stream, which is then taken; 0 where there is none. */
int wh_stream_error(wh_stream *stream);
/* Closes; reset: the peer gets RST and what is unsent is thrown away. The memory is the owner's. */
void wh_stream_close(wh_stream *stream, int reset);

/* Accepts on a listening non-blocking descriptor, which stays the caller's. 0 or an error. */
int wh_listener_open(wh_listener *listener, wh_loop *loop, int fd);
/* Stops accepting. The descriptor is not closed. */
void wh_listener_close(wh_listener *listener);
/*
 * Accepts now, without being told to, at most as many as one turn takes. 1: more may wait; 0: nobody
 * does; WH_ERR_SYSTEM: the process is out of descriptors or memory, and somebody may wait.
 */
int wh_listener_take(wh_listener *listener);

#endif
