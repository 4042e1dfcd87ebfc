/*
 * The border to the application: what the protocols report becomes events in shared memory, handed
 * over in one call per batch; what the application orders comes as commands.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "server/server_internal.h"

/* Below this many free events a batch is handed over before more is read. */
#define EVENT_RESERVE 512

/* --- events --- */

static void write_event(uint32_t *at, uint32_t kind, uint32_t slot, uint32_t a, uint32_t b) {
  at[0] = kind;
  at[1] = slot;
  at[2] = a;
  at[3] = b;
}

static int push_overflow(wh_server *server, uint32_t kind, uint32_t slot, uint32_t a, uint32_t b) {
  if (server->overflow_count == server->overflow_room) {
    size_t room = server->overflow_room == 0 ? 1024 : server->overflow_room * 2;
    uint32_t *larger = wh_realloc(server->overflow, room * WH_EVENT_WORDS * sizeof *larger);
    if (larger == NULL) return WH_ERR_NO_MEMORY; /* the event is lost */
    server->overflow = larger;
    server->overflow_room = room;
  }
  write_event(server->overflow + server->overflow_count++ * WH_EVENT_WORDS, kind, slot, a, b);
  return WH_OK;
}

int wh_server_push(wh_server *server, uint32_t kind, uint32_t slot, uint32_t a, uint32_t b) {
  if (server->destroying) return WH_OK;
  if (server->overflow_count > 0 || server->event_count == server->memory.event_room) {
    return push_overflow(server, kind, slot, a, b);
  }
  uint32_t *at = server->memory.events + (size_t)server->event_count++ * WH_EVENT_WORDS;
  write_event(at, kind, slot, a, b);
  if (server->event_count + EVENT_RESERVE > server->memory.event_room) wh_loop_pause(server->loop);
  return WH_OK;
}

static int push(wh_server *server, uint32_t kind, const wh_exchange *exchange, uint32_t a,
                uint32_t b) {
  return wh_server_push(server, kind, exchange->index, a, b);
}

static void on_request(void *user, wh_exchange *exchange) {
  wh_server *server = user;
  if (push(server, WH_EVENT_REQUEST, exchange, 0, 0) != WH_OK) {
    /* The application will never hear of it: as if it had released it without an answer. */
    exchange->released = 1;
    exchange->protocol->released(exchange);
    return;
  }
  if (++server->batch_requests >= WH_BATCH_REQUESTS) wh_loop_pause(server->loop);
}

static uint32_t arena_offset(void *user, const uint8_t *data) {
  const wh_server *server = user;
  return (uint32_t)(data - server->memory.arena);
}

static void keep(void *user, const uint8_t *end) {
  wh_server *server = user;
  wh_loop_keep(server->loop, end);
}

static void on_body(void *user, wh_exchange *exchange, const uint8_t *data, size_t length) {
  wh_server *server = user;
  uint32_t offset = arena_offset(server, data);
  /* The pieces of a chunked body that came in one read become one: the framing between them is
     overwritten. */
  if (server->event_count > 0 && server->overflow_count == 0) {
    uint32_t *last = server->memory.events + (size_t)(server->event_count - 1) * WH_EVENT_WORDS;
    if (last[0] == WH_EVENT_BODY && last[1] == exchange->index && last[2] + last[3] <= offset &&
        offset - (last[2] + last[3]) < 1100 && !server->dispatching) {
      memmove(server->memory.arena + last[2] + last[3], data, length);
      last[3] += (uint32_t)length;
      return;
    }
  }
  push(server, WH_EVENT_BODY, exchange, offset, (uint32_t)length);
}

static void on_trailers(void *user, wh_exchange *exchange, const uint8_t *data, size_t length) {
  push(user, WH_EVENT_BODY | WH_EVENT_FLAG_TRAILERS << 8, exchange, arena_offset(user, data),
       (uint32_t)length);
}

static void on_body_end(void *user, wh_exchange *exchange) {
  push(user, WH_EVENT_BODY_END, exchange, 0, 0);
}

static void on_aborted(void *user, wh_exchange *exchange, unsigned status) {
  push(user, WH_EVENT_ABORTED, exchange, status, 0);
}

static void on_room(void *user, wh_exchange *exchange) {
  push(user, WH_EVENT_ROOM, exchange, 0, 0);
}

static void on_ended(void *user, wh_exchange *exchange) {
  push(user, WH_EVENT_ENDED, exchange, 0, 0);
}

static void on_file_sent(void *user, wh_exchange *exchange, int result) {
  uint32_t told = result == WH_OK                   ? WH_FILE_RESULT_SENT
                  : result == WH_ERR_FILE_TRUNCATED ? WH_FILE_RESULT_TRUNCATED
                                                    : WH_FILE_RESULT_UNREADABLE;
  push(user, WH_EVENT_FILE_DONE, exchange, told, 0);
}

void wh_server_file_done(wh_server *server, uint64_t token, int result) {
  wh_exchange *exchange = wh_exchange_find(server->pool, (uint32_t)token, (uint32_t)(token >> 32));
  if (exchange != NULL) on_file_sent(server, exchange, result); /* else it did not wait */
}

static int locate_pinned(void *user, uint32_t id, const uint8_t **data, size_t *length) {
  const wh_server *server = user;
  return server->host->locate_pinned(server->user, id, data, length);
}

static void drop_file(void *user, int file) {
  (void)user;
  close(file);
}

static void release_pinned(void *user, uint32_t id) {
  wh_server *server = user;
  server->host->release_pinned(server->user, id);
}

const wh_receiver wh_server_receiver = {
    .request = on_request,
    .body = on_body,
    .trailers = on_trailers,
    .body_end = on_body_end,
    .aborted = on_aborted,
    .room = on_room,
    .ended = on_ended,
    .refused = wh_server_refused,
    .flooded = wh_server_flooded,
    .locate_pinned = locate_pinned,
    .file_sent = on_file_sent,
    .drop_file = drop_file,
    .release_pinned = release_pinned,
    .arena_offset = arena_offset,
    .keep = keep,
};

/* Brings events that had no room into shared memory. */
static void refill(wh_server *server) {
  size_t count = server->overflow_count;
  if (count > server->memory.event_room) count = server->memory.event_room;
  if (count == 0) return;
  size_t size = count * WH_EVENT_WORDS * sizeof *server->overflow;
  memcpy(server->memory.events, server->overflow, size);
  server->event_count = (uint32_t)count;
  server->overflow_count -= count;
  memmove(server->overflow, server->overflow + count * WH_EVENT_WORDS,
          server->overflow_count * WH_EVENT_WORDS * sizeof *server->overflow);
}

uint64_t wh_server_now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* All requests of a batch have waited since the clock was last looked at: one look serves them all. */
static void note_queueing(wh_server *server) {
  if (server->batch_requests == 0) return;
  uint64_t waited = wh_server_now_us() - server->service.now_us;
  wh_histogram_add(&server->queueing, waited, server->batch_requests);
  server->batch_requests = 0;
}

void wh_server_dispatch(wh_server *server) {
  uint32_t first = 0;
  server->dispatching = 1;
  while (first < server->event_count) {
    uint32_t count = server->event_count - first;
    server->batches++;
    note_queueing(server);
    server->memory.control[WH_CONTROL_OPEN_BATCH] = 1;
    server->host->dispatch(server->user, first, count);
    server->memory.control[WH_CONTROL_OPEN_BATCH] = 0;
    wh_server_commit(server);
    first += count;
    if (first == server->event_count) {
      first = server->event_count = 0;
      refill(server);
    }
  }
  server->event_count = 0;
  server->dispatching = 0;
}

/* --- commands --- */

static void release(wh_server *server, wh_exchange *exchange) {
  if (exchange->released) return;
  exchange->released = 1;
  if (exchange->owner != NULL)
    exchange->protocol->released(exchange);
  else
    wh_exchange_give(server->pool, exchange);
}

/* FILE: offset and count in the command's bytes, the file's number in w5. */
static void run_file(wh_server *server, wh_exchange *exchange, wh_answer *answer) {
  uint32_t part[4];
  answer->file = server->host->take_file(server->user, answer->pinned_id);
  if (answer->file < 0) return; /* not ours */
  if (exchange == NULL || !exchange->started || answer->body == NULL ||
      answer->body_length != sizeof part) {
    close(answer->file);
    return;
  }
  memcpy(part, answer->body, sizeof part);
  answer->file_offset = (uint64_t)part[1] << 32 | part[0];
  answer->content_length = (uint64_t)part[3] << 32 | part[2];
  answer->flags = 0;
  answer->body = NULL;
  answer->body_length = 0;
  exchange->protocol->file(exchange, answer);
}

typedef struct command {
  uint32_t kind, flags, slot, generation, status;
  const uint8_t *head, *body;
  size_t head_length, body_length;
  uint32_t w4, w5;
} command;

static void run(wh_server *server, const command *c) {
  wh_exchange *exchange = wh_exchange_find(server->pool, c->slot, c->generation);
  int pinned = (c->flags & WH_COMMAND_FLAG_PINNED) != 0;
  int deaf = exchange == NULL || exchange->owner == NULL || exchange->end_ordered;
  if (deaf && pinned) server->host->release_pinned(server->user, c->w5);
  if (deaf && c->kind == WH_COMMAND_FILE) run_file(server, NULL, &(wh_answer){.pinned_id = c->w5});
  if (exchange == NULL) return;
  if (!deaf) {
    wh_answer answer = {
        .status = c->status,
        .flags = c->flags,
        .head = c->head,
        .head_length = c->head_length,
        .body = pinned ? NULL : c->body,
        .body_length = pinned ? c->w4 : c->body_length,
        .pinned_id = c->w5,
        .content_length = (uint64_t)c->w5 << 32 | c->w4,
    };
    const wh_protocol *protocol = exchange->protocol;
    /* Before the order: the order may end the exchange. */
    if (c->flags & WH_COMMAND_FLAG_WANT_ENDED) exchange->wants_ended = 1;
    if (c->flags & WH_COMMAND_FLAG_NOTIFY) protocol->notify_room(exchange);
    int fits = exchange->started == (c->kind == WH_COMMAND_WRITE || c->kind == WH_COMMAND_END ||
                                     c->kind == WH_COMMAND_TRAILERS);
    if (fits && c->flags & WH_COMMAND_FLAG_RELEASE &&
        (c->kind == WH_COMMAND_RESPOND || c->kind == WH_COMMAND_END ||
         c->kind == WH_COMMAND_TRAILERS)) {
      exchange->released = 1; /* with the order that ends the answer: as if it came right behind */
    }
    switch (c->kind) {
    case WH_COMMAND_RESPOND:
      if (fits) {
        protocol->respond(exchange, &answer);
        return; /* the exchange may be over */
      }
      if (pinned) server->host->release_pinned(server->user, c->w5);
      break;
    case WH_COMMAND_START:
      if (fits) protocol->start(exchange, &answer);
      break;
    case WH_COMMAND_WRITE:
      if (fits)
        protocol->write(exchange, &answer);
      else if (pinned)
        server->host->release_pinned(server->user, c->w5);
      break;
    case WH_COMMAND_FILE: run_file(server, exchange, &answer); break;
    case WH_COMMAND_END:
      if (fits) {
        protocol->end(exchange);
        return;
      }
      break;
    case WH_COMMAND_TRAILERS:
      if (fits) {
        protocol->trailers(exchange, &answer);
        return;
      }
      break;
    case WH_COMMAND_UPGRADE:
      if (fits && protocol->upgrade != NULL) protocol->upgrade(exchange, &answer);
      break;
    case WH_COMMAND_ABORT:
      protocol->abort(exchange, c->status == 0 ? WH_ABORT_DEFAULT : c->status - 1);
      break;
    case WH_COMMAND_READ: protocol->read(exchange, 1); break;
    case WH_COMMAND_PAUSE: protocol->read(exchange, 0); break;
    case WH_COMMAND_INFORM: protocol->inform(exchange, &answer); break;
    case WH_COMMAND_REQUEST_RATE:
    case WH_COMMAND_RESPONSE_RATE:
      protocol->rate(exchange, c->kind == WH_COMMAND_RESPONSE_RATE, c->w4, c->w5);
      break;
    case WH_COMMAND_BODY_LIMIT:
      protocol->limit_body(exchange, c->flags & WH_COMMAND_FLAG_HAS_LENGTH ? answer.content_length
                                                                           : UINT64_MAX);
      break;
    default: break;
    }
  }
  if (c->kind == WH_COMMAND_RELEASE || c->flags & WH_COMMAND_FLAG_RELEASE)
    release(server, exchange);
}

void wh_server_commit(wh_server *server) {
  uint32_t *control = server->memory.control;
  size_t end = control[WH_CONTROL_COMMAND_LENGTH];
  if (end == 0) return;
  if (end > server->memory.command_size) end = server->memory.command_size;
  server->service.now_us = wh_server_now_us();
  size_t at = 0;
  while (end - at >= WH_COMMAND_WORDS * sizeof(uint32_t)) {
    uint32_t words[WH_COMMAND_WORDS];
    memcpy(words, server->memory.commands + at, sizeof words);
    at += sizeof words;
    command c = {
        .kind = words[0] & 0xFF,
        .flags = words[0] >> 8,
        .slot = words[1],
        .generation = words[2],
        .status = words[3] >> 20,
        .head_length = words[3] & 0xFFFFF,
        .w4 = words[4],
        .w5 = words[5],
    };
    /* w4 is the length of the body's bytes, but where it has another meaning. */
    int has_bytes = !(c.flags & WH_COMMAND_FLAG_PINNED) && c.kind != WH_COMMAND_START &&
                    c.kind != WH_COMMAND_BODY_LIMIT && c.kind != WH_COMMAND_REQUEST_RATE &&
                    c.kind != WH_COMMAND_RESPONSE_RATE;
    c.body_length = has_bytes ? c.w4 : 0;
    if (c.head_length > end - at || c.body_length > end - at - c.head_length) break; /* not ours */
    c.head = server->memory.commands + at;
    c.body = c.head + c.head_length;
    at += (c.head_length + c.body_length + 3) & ~(size_t)3;
    run(server, &c);
    if (at > end) break;
  }
  control[WH_CONTROL_COMMAND_LENGTH] = 0;
  control[WH_CONTROL_EPOCH]++;
}

void wh_server_tick(wh_server *server) {
  server->service.now_us = wh_server_now_us();
  struct timespec time;
  clock_gettime(CLOCK_REALTIME_COARSE, &time);
  wh_http_service_tick(&server->service, (int64_t)time.tv_sec);
}
