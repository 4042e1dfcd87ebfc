/*
 * The loop on Linux: epoll, with an eventfd for wake-ups.
 *
 * Streams are watched edge-triggered: a level-triggered stream is asked a second time, at the next
 * wait, whether there is more. A read that did not fill its buffer has taken all there was, and a
 * write that was not taken whole has filled the system's, so what comes after them is a new edge; a
 * read that did fill its buffer asks for one by arming the stream anew.
 *
 * A turn fetches what is ready once and then serves it handle by handle; it can be left in the middle
 * (wh_loop_pause) when a batch is full, and goes on from there at the next call. A handle that is
 * closed meanwhile is struck from what is left, so its memory may be freed at once.
 */
#include "io/io.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

enum { KIND_STREAM = 1, KIND_LISTENER, KIND_WAKE };

#define EVENTS_PER_POLL 256 /* handles fetched at once */
#define ACCEPTS_PER_TURN 64 /* connections taken from one listener before others have their turn */
#define READ_SIZE (64U * 1024)    /* at most this much from one stream in one turn */
#define DISCARD_SIZE (1U << 20)   /* bytes thrown away in one call */
#define READ_MINIMUM (48U * 1024) /* with less than this left in the arena, the turn ends */
#define ACCEPT_RETRY_MS 100       /* pause after the process ran out of descriptors */

struct wh_loop {
  int epoll;
  wh_handle wake;
  uint8_t *arena;
  size_t arena_size;
  size_t arena_used; /* kept bytes; reads go behind them */
  uint64_t now;
  bool paused;
  int next; /* first unserved event */
  int count;
  wh_timers timers;
  struct epoll_event events[EVENTS_PER_POLL];
};

static uint64_t monotonic_ms(void) {
  struct timespec time;
  /* The coarse clock (about 4 ms) costs a third of the exact one, and timeouts want no more. */
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

int wh_loop_create(uint8_t *arena, size_t arena_size, wh_loop **out) {
  if (arena == NULL || arena_size < WH_ARENA_MINIMUM) return WH_ERR_INVALID_ARGUMENT;
  wh_loop *loop = wh_zalloc(sizeof *loop);
  if (loop == NULL) return WH_ERR_NO_MEMORY;
  loop->arena = arena;
  loop->arena_size = arena_size;
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  loop->wake.kind = KIND_WAKE;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &loop->wake};
  if (loop->epoll < 0 || loop->wake.fd < 0 ||
      epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake.fd, &event) != 0) {
    int error = wh_error_from_errno(errno);
    wh_loop_destroy(loop);
    return error;
  }
  loop->now = monotonic_ms();
  wh_timers_init(&loop->timers, loop->now);
  *out = loop;
  return WH_OK;
}

void wh_loop_destroy(wh_loop *loop) {
  if (loop == NULL) return;
  if (loop->wake.fd >= 0) close(loop->wake.fd);
  if (loop->epoll >= 0) close(loop->epoll);
  wh_free(loop);
}

int wh_loop_descriptor(const wh_loop *loop) { return loop->epoll; }

uint64_t wh_loop_now(const wh_loop *loop) { return loop->now; }

void wh_loop_touch(wh_loop *loop) { loop->now = monotonic_ms(); }

wh_timers *wh_loop_timers(wh_loop *loop) { return &loop->timers; }

int wh_loop_timeout(wh_loop *loop) { return wh_timers_timeout(&loop->timers, monotonic_ms()); }

void wh_loop_pause(wh_loop *loop) { loop->paused = true; }

int wh_loop_has_rest(const wh_loop *loop) { return loop->next < loop->count; }

void wh_loop_wake(wh_loop *loop) {
  uint64_t one = 1;
  /* The only failure is a counter that is full, and then the loop is awake already. */
  ssize_t written = write(loop->wake.fd, &one, sizeof one);
  (void)written;
}

void wh_loop_keep(wh_loop *loop, const uint8_t *end) {
  size_t used = (size_t)(end - loop->arena);
  used = (used + 63) & ~(size_t)63; /* the next read starts on a cache line of its own */
  if (used > loop->arena_size) used = loop->arena_size;
  if (used > loop->arena_used) loop->arena_used = used;
}

uint8_t *wh_loop_lend(wh_loop *loop, size_t length) {
  if (loop->arena_size - loop->arena_used < length) return NULL;
  uint8_t *lent = loop->arena + loop->arena_used;
  wh_loop_keep(loop, lent + length);
  return lent;
}

void wh_loop_forget(wh_loop *loop) { loop->arena_used = 0; }

static bool arena_is_full(const wh_loop *loop) {
  return loop->arena_size - loop->arena_used < READ_MINIMUM;
}

/* Strikes a handle from the events not yet served. */
static void strike(wh_loop *loop, const wh_handle *handle) {
  for (int i = loop->next; i < loop->count; i++) {
    if (loop->events[i].data.ptr == handle) loop->events[i].data.ptr = NULL;
  }
}

/* Tells the system, which reports at once what is ready already. */
static int arm(wh_loop *loop, wh_handle *handle, unsigned interest) {
  struct epoll_event event = {
      .events = (interest & WH_READ ? EPOLLIN | EPOLLRDHUP : 0U) |
                (interest & WH_WRITE ? EPOLLOUT : 0U) |
                (handle->kind == KIND_STREAM ? EPOLLET : 0U),
      .data.ptr = handle,
  };
  int operation = handle->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(loop->epoll, operation, handle->fd, &event) != 0) return wh_error_from_errno(errno);
  handle->known = 1;
  handle->interest = (uint8_t)interest;
  return WH_OK;
}

static int set_interest(wh_loop *loop, wh_handle *handle, unsigned interest) {
  return handle->known && handle->interest == interest ? WH_OK : arm(loop, handle, interest);
}

/*
 * recv and send without libc's wrappers: those are points of cancellation, and in a process with
 * threads see to that before and after each call, about 1 % of a request.
 */
static ssize_t wh_recv(int fd, void *data, size_t length) {
  return syscall(SYS_recvfrom, fd, data, length, 0, NULL, NULL);
}

static ssize_t wh_send(int fd, const void *data, size_t length) {
  return syscall(SYS_sendto, fd, data, length, MSG_NOSIGNAL, NULL, 0);
}

/* --- streams --- */

void wh_stream_open(wh_stream *stream, wh_loop *loop, int fd, const wh_stream_events *events) {
  memset(&stream->handle, 0, sizeof stream->handle);
  stream->handle.fd = fd;
  stream->handle.kind = KIND_STREAM;
  stream->loop = loop;
  stream->events = events;
}

int wh_stream_want(wh_stream *stream, unsigned interest) {
  if (stream->handle.fd < 0) return WH_ERR_CLOSED;
  /* After the peer's end of file a level-triggered EPOLLIN would fire for ever. */
  if (stream->handle.eof) interest &= ~WH_READ;
  return set_interest(stream->loop, &stream->handle, interest);
}

enum { READ_NOTHING, READ_ALL, READ_FULL };

/*
 * READ_ALL: bytes or an end of file were handed over. READ_FULL: likewise, and there may be more, which
 * the next poll reports. READ_NOTHING: nothing there, or broken.
 */
static int read_once(wh_stream *stream) {
  wh_loop *loop = stream->loop;
  uint8_t *data = loop->arena + loop->arena_used;
  size_t room = loop->arena_size - loop->arena_used;
  if (stream->handle.spares) room = (room - WH_READ_SPARE) / 2; /* no turn begins with less */
  if (room > READ_SIZE) room = READ_SIZE;
  if (stream->handle.discards) room = DISCARD_SIZE;
  ssize_t length;
  do {
    length = stream->handle.discards ? recv(stream->handle.fd, NULL, room, MSG_TRUNC)
                                     : wh_recv(stream->handle.fd, data, room);
  } while (length < 0 && errno == EINTR);
  if (length < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return READ_NOTHING;
    stream->events->on_broken(stream, wh_error_from_errno(errno));
    return READ_NOTHING;
  }
  if (length == 0) {
    stream->handle.eof = 1;
    if (stream->handle.known) {
      int error = set_interest(loop, &stream->handle, stream->handle.interest & ~WH_READ);
      if (error != WH_OK) {
        stream->events->on_broken(stream, error);
        return READ_NOTHING;
      }
    }
  }
  int full = (size_t)length == room;
  if (full && stream->handle.known) {
    /* What is left is no new edge. */
    int error = arm(loop, &stream->handle, stream->handle.interest);
    if (error != WH_OK) {
      stream->events->on_broken(stream, error);
      return READ_NOTHING;
    }
  }
  stream->events->on_read(stream, data, (size_t)length);
  return full ? READ_FULL : READ_ALL;
}

int wh_stream_try_read(wh_stream *stream) {
  if (stream->handle.fd < 0 || stream->handle.eof || arena_is_full(stream->loop)) return 0;
  return read_once(stream) != READ_NOTHING;
}

void wh_stream_leave_spare(wh_stream *stream) { stream->handle.spares = 1; }

size_t wh_stream_waiting(const wh_stream *stream) {
  int waiting = 0;
  if (stream->handle.fd < 0 || ioctl(stream->handle.fd, FIONREAD, &waiting) != 0) return 0;
  return waiting > 0 ? (size_t)waiting : 0;
}

static ssize_t written(ssize_t length) {
  if (length >= 0) return length;
  return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : WH_ERR_CLOSED;
}

ssize_t wh_stream_write(wh_stream *stream, const void *data, size_t length) {
  if (stream->handle.fd < 0) return WH_ERR_CLOSED;
  ssize_t sent;
  do {
    sent = wh_send(stream->handle.fd, data, length);
  } while (sent < 0 && errno == EINTR);
  return written(sent);
}

static ssize_t write_parts(wh_stream *stream, const struct iovec *parts, int count, int flags) {
  if (stream->handle.fd < 0) return WH_ERR_CLOSED;
  struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
  ssize_t sent;
  do {
    sent = sendmsg(stream->handle.fd, &message, MSG_NOSIGNAL | flags);
  } while (sent < 0 && errno == EINTR);
  return written(sent);
}

void wh_stream_discard(wh_stream *stream) {
  int protocol = 0;
  socklen_t length = sizeof protocol;
  /* Only TCP counts without copying (MSG_TRUNC, tcp(7)); others are read as ever. */
  stream->handle.discards =
      getsockopt(stream->handle.fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 &&
      protocol == IPPROTO_TCP;
}

size_t wh_stream_unacknowledged(const wh_stream *stream) {
  int bytes = 0;
  if (stream->handle.fd < 0 || ioctl(stream->handle.fd, SIOCOUTQ, &bytes) != 0 || bytes < 0)
    return 0;
  return (size_t)bytes;
}

ssize_t wh_stream_writev(wh_stream *stream, const struct iovec *parts, int count) {
  return write_parts(stream, parts, count, 0);
}

ssize_t wh_stream_writev_more(wh_stream *stream, const struct iovec *parts, int count) {
  return write_parts(stream, parts, count, MSG_MORE);
}

ssize_t wh_stream_send_file(wh_stream *stream, int file, uint64_t offset, size_t length) {
  if (stream->handle.fd < 0) return WH_ERR_CLOSED;
  off_t at = (off_t)offset;
  ssize_t sent;
  do {
    sent = sendfile(stream->handle.fd, file, &at, length);
  } while (sent < 0 && errno == EINTR);
  if (sent > 0) return sent;
  if (sent == 0) return WH_ERR_FILE_TRUNCATED;
  switch (errno) {
  case EAGAIN: return 0;
  case EINVAL:
  case ENOSYS:
  case EOPNOTSUPP: return WH_ERR_NOT_SUPPORTED;
  case EACCES:
  case EBADF:
  case EIO:
  case EISDIR:
  case ENOMEM:
  case EOVERFLOW:
  case ESPIPE:
  case ESTALE: return WH_ERR_FILE_UNREADABLE;
  default: return WH_ERR_CLOSED;
  }
}

int wh_stream_go_on(wh_stream *stream) {
  if (stream->handle.fd < 0) return WH_ERR_CLOSED;
  return arm(stream->loop, &stream->handle, stream->handle.interest);
}

void wh_stream_finish(wh_stream *stream) {
  /* ENOTCONN is the only failure that can come, and says that the peer is gone already. */
  if (stream->handle.fd >= 0) shutdown(stream->handle.fd, SHUT_WR);
}

int wh_stream_error(wh_stream *stream) {
  int error = 0;
  socklen_t length = sizeof error;
  if (stream->handle.fd < 0) return WH_ERR_CLOSED;
  if (getsockopt(stream->handle.fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  return error == 0 ? 0 : wh_error_from_errno(error);
}

void wh_stream_close(wh_stream *stream, int reset) {
  if (stream->handle.fd < 0) return;
  if (reset) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(stream->handle.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  }
  close(stream->handle.fd); /* takes it out of epoll too: nobody else holds the descriptor */
  stream->handle.fd = -1;
  stream->handle.known = 0;
  strike(stream->loop, &stream->handle);
}

/* --- listeners --- */

static void retry_accept(wh_timer *timer) {
  wh_listener *listener = (wh_listener *)((char *)timer - offsetof(wh_listener, retry));
  if (listener->handle.fd >= 0) set_interest(listener->loop, &listener->handle, WH_READ);
}

int wh_listener_open(wh_listener *listener, wh_loop *loop, int fd) {
  memset(&listener->handle, 0, sizeof listener->handle);
  listener->handle.fd = fd;
  listener->handle.kind = KIND_LISTENER;
  listener->loop = loop;
  wh_timer_init(&listener->retry, retry_accept);
  int error = set_interest(loop, &listener->handle, WH_READ);
  if (error != WH_OK) listener->handle.fd = -1;
  return error;
}

void wh_listener_close(wh_listener *listener) {
  if (listener->handle.fd < 0) return;
  wh_timer_cancel(&listener->loop->timers, &listener->retry);
  epoll_ctl(listener->loop->epoll, EPOLL_CTL_DEL, listener->handle.fd, NULL);
  strike(listener->loop, &listener->handle);
  listener->handle.fd = -1;
}

int wh_listener_take(wh_listener *listener) {
  for (int i = 0; i < ACCEPTS_PER_TURN && listener->handle.fd >= 0; i++) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int fd = accept4(listener->handle.fd, (struct sockaddr *)&peer, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      listener->on_accept(listener, fd, (struct sockaddr *)&peer, length);
      if (listener->loop->paused) return 1;
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    /* EINVAL: a Unix socket that was told to take nobody any more, and nobody is left. */
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINVAL) return 0;
    /* EMFILE, ENFILE, ENOBUFS, ENOMEM: the connection stays in the queue and the listener stays
       readable, so go on at once would mean to spin. */
    int system_error = errno;
    set_interest(listener->loop, &listener->handle, 0);
    wh_timer_set(&listener->loop->timers, &listener->retry, listener->loop->now + ACCEPT_RETRY_MS);
    if (listener->on_refused != NULL) listener->on_refused(listener, system_error);
    return WH_ERR_SYSTEM;
  }
  return 1;
}

/* --- the turn --- */

static void serve(wh_loop *loop, const struct epoll_event *event) {
  wh_handle *handle = event->data.ptr;
  if (handle == NULL) return;
  if (handle->kind == KIND_STREAM) {
    wh_stream *stream = (wh_stream *)handle;
    uint32_t ready = event->events;
    if (ready & EPOLLOUT && handle->interest & WH_WRITE) {
      /* on_room may close and free the stream; whether it did is seen in the events array. */
      stream->events->on_room(stream);
      if (event->data.ptr == NULL || handle->fd < 0) return;
    }
    if (ready & EPOLLIN && handle->interest & WH_READ) {
      int result = read_once(stream);
      /* The end, or an error, that came along with the last bytes is no new edge either. Not after a
         full read: the owner may not want more than that in one turn. */
      while (result == READ_ALL && ready & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) &&
             event->data.ptr != NULL && !handle->eof && handle->fd >= 0 &&
             handle->interest & WH_READ) {
        if (arena_is_full(loop)) {
          if (arm(loop, handle, handle->interest) != WH_OK) {
            stream->events->on_broken(stream, WH_ERR_SYSTEM);
          }
          break;
        }
        result = read_once(stream);
      }
    } else if (ready & (EPOLLERR | EPOLLHUP)) {
      stream->events->on_broken(stream, WH_ERR_CLOSED);
    }
  } else if (handle->kind == KIND_LISTENER) {
    wh_listener_take((wh_listener *)handle);
  } else {
    uint64_t count;
    ssize_t length = read(loop->wake.fd, &count, sizeof count);
    (void)length;
  }
}

int wh_loop_poll(wh_loop *loop, int timeout_ms) {
  loop->paused = false;
  if (loop->next >= loop->count) {
    loop->next = loop->count = 0;
    int count = epoll_wait(loop->epoll, loop->events, EVENTS_PER_POLL, timeout_ms);
    if (count < 0) {
      if (errno != EINTR) return wh_error_from_errno(errno);
      count = 0;
    }
    loop->count = count;
    loop->now = monotonic_ms();
    wh_timers_advance(&loop->timers, loop->now);
  }
  int served = 0;
  while (loop->next < loop->count && !loop->paused) {
    if (arena_is_full(loop)) break;
    /* The event stays struck-able (strike looks from next on) until it has been served. */
    serve(loop, &loop->events[loop->next]);
    loop->next++;
    served++;
  }
  return served;
}
