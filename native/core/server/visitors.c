/*
 * Visitors: what a connection goes through at a gate before it may speak HTTP, and what the host is
 * told of it.
 *
 *   accept -> [PROXY header] -> [allow, deny] -> [OPENED] -> [the application's word] -> HTTP -> [CLOSED]
 *
 * Bytes behind a PROXY header, and those that come while the application thinks, are held here and
 * handed on in order: nothing is lost, and nothing is read of a connection that is not let in.
 */
#include "server/visitors.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "net/proxy_protocol.h"

enum {
  VISITOR_HEADER, /* its PROXY header is not complete */
  VISITOR_ASKED,  /* the application is asked */
  VISITOR_READY,  /* may come in, once there is room for what was held */
  VISITOR_IN,     /* speaks HTTP */
  VISITOR_GONE    /* closed; kept until the host forgets it */
};

/* Held at most while the application thinks: what one read and what was behind it can bring. */
#define HELD_MOST (256U * 1024)

static const wh_connection_events visitor_events;

static void push_news(wh_server *server, unsigned news, const wh_visitor *visitor, uint32_t a,
                      uint32_t b) {
  wh_server_push(server, WH_EVENT_CONNECTION | news << 8, visitor->handle, a, b);
}

/* --- handles --- */

/* Gives a visitor its handle. 0 or WH_ERR_NO_MEMORY. */
static int watch(wh_server *server, wh_visitor *visitor) {
  wh_admission *admission = &server->admission;
  if (admission->visitor_count == admission->visitor_room) {
    size_t old = admission->visitor_room, room = old == 0 ? 64 : old * 2;
    wh_visitor **larger = wh_realloc(admission->visitors, room * sizeof(wh_visitor *));
    if (larger == NULL) return WH_ERR_NO_MEMORY;
    memset(larger + old, 0, (room - old) * sizeof(wh_visitor *));
    admission->visitors = larger;
    admission->visitor_room = room;
    admission->next_handle = old;
  }
  size_t handle = admission->next_handle;
  while (admission->visitors[handle] != NULL) handle = (handle + 1) % admission->visitor_room;
  admission->visitors[handle] = visitor;
  admission->visitor_count++;
  admission->next_handle = (handle + 1) % admission->visitor_room;
  visitor->handle = (uint32_t)handle;
  visitor->watched = 1;
  return WH_OK;
}

static wh_visitor *find(const wh_server *server, uint32_t handle) {
  const wh_admission *admission = &server->admission;
  return handle < admission->visitor_room ? admission->visitors[handle] : NULL;
}

static void unwatch(wh_server *server, wh_visitor *visitor) {
  if (!visitor->watched) return;
  visitor->watched = 0;
  server->admission.visitors[visitor->handle] = NULL;
  server->admission.visitor_count--;
}

static void free_visitor(wh_server *server, wh_visitor *visitor) {
  unwatch(server, visitor);
  wh_free(visitor->held);
  wh_free(visitor);
}

/* --- the way in --- */

static int may_enter(const wh_gate *gate, const wh_address *client) {
  if (wh_networks_contain(&gate->deny, client)) return 0;
  return !gate->has_allow || wh_networks_contain(&gate->allow, client);
}

static void refuse(wh_connection *connection, unsigned reason) {
  wh_server_of(connection)->admission.refused++;
  wh_visitor_note(connection, reason);
  wh_connection_close(connection, 0);
}

/* Holds bytes behind those held already. 0 or WH_ERR_NO_MEMORY. */
static int hold(wh_visitor *visitor, const uint8_t *data, size_t length) {
  if (length == 0) return WH_OK;
  if (length > HELD_MOST - visitor->held_length) return WH_ERR_NO_MEMORY;
  uint8_t *larger = wh_realloc(visitor->held, visitor->held_length + length);
  if (larger == NULL) return WH_ERR_NO_MEMORY;
  memcpy(larger + visitor->held_length, data, length);
  visitor->held = larger;
  visitor->held_length += length;
  return WH_OK;
}

static void hand_on(wh_connection *connection, uint8_t *data, size_t length) {
  if (connection->closed || connection->finishing || connection->lingering) return;
  if (connection->filter != NULL)
    connection->filter->type->receive(connection->filter, connection, data, length);
  else
    connection->events->on_data(connection, data, length);
}

/* Counts what came with the PROXY header, or before it was clear that there is none. */
static void tap_early(wh_connection *connection, uint8_t *data, size_t length) {
  struct iovec part = {.iov_base = data, .iov_len = length};
  wh_visitor_tap(connection, 0, &part, length);
}

/*
 * The client's address is known. `start` came before and is too short to be more than the start of a
 * request line; `data` stands in the arena.
 */
static void enter(wh_connection *connection, uint8_t *start, size_t start_length, uint8_t *data,
                  size_t length) {
  wh_server *server = wh_server_of(connection);
  wh_visitor *visitor = connection->rare;
  const wh_gate *gate = &visitor->endpoint->gate;
  if (!may_enter(gate, &connection->peer)) {
    refuse(connection, WH_CLOSE_REASON_REJECTED);
    return;
  }
  if (gate->watched) {
    if (watch(server, visitor) != WH_OK) {
      wh_connection_close(connection, 1);
      return;
    }
    visitor->peer = connection->peer;
    push_news(server, WH_CONNECTION_NEWS_OPENED, visitor, gate->asks, 0);
    connection->tapped = 1;
    tap_early(connection, start, start_length);
    tap_early(connection, data, length);
  }
  if (gate->asks) {
    visitor->state = VISITOR_ASKED;
    if (hold(visitor, start, start_length) != WH_OK || hold(visitor, data, length) != WH_OK) {
      wh_connection_close(connection, 1);
      return;
    }
    wh_connection_read(connection, 0);
    wh_server_start_timer(connection, server->limits.keep_alive_timeout);
    return;
  }
  visitor->state = VISITOR_IN;
  wh_server_admit(connection, visitor->endpoint);
  if (start_length > 0) hand_on(connection, start, start_length);
  if (length > 0) hand_on(connection, data, length);
}

/* Reads the PROXY header as far as it has come. */
static void read_header(wh_connection *connection, uint8_t *data, size_t length) {
  wh_visitor *visitor = connection->rare;
  uint8_t *start = visitor->held;
  size_t start_length = visitor->held_length;
  const uint8_t *all = data;
  size_t known = length;
  if (start_length > 0) {
    /* No header is longer than WH_PROXY_MOST, and what is behind it need not be held for parsing. */
    size_t taken = length < WH_PROXY_MOST - start_length ? length : WH_PROXY_MOST - start_length;
    if (hold(visitor, data, taken) != WH_OK) {
      wh_connection_close(connection, 1);
      return;
    }
    all = start = visitor->held;
    known = visitor->held_length;
  }
  wh_proxy_header header;
  switch (wh_proxy_parse(all, known, &header)) {
  case WH_PROXY_MORE:
    if (start_length == 0 && hold(visitor, data, length) != WH_OK)
      wh_connection_close(connection, 1);
    return;
  case WH_PROXY_BAD: refuse(connection, WH_CLOSE_REASON_REJECTED); return;
  case WH_PROXY_NONE:
    if (visitor->endpoint->gate.requires_proxy) {
      refuse(connection, WH_CLOSE_REASON_REJECTED);
      return;
    }
    break;
  case WH_PROXY_HEADER:
    if (header.has_addresses) {
      connection->peer = header.source;
      visitor->local = header.destination;
    }
    /* The header ends in these bytes: without them it was not complete. */
    data += header.length - start_length;
    length -= header.length - start_length;
    start_length = 0;
    break;
  }
  visitor->held = NULL;
  visitor->held_length = 0;
  enter(connection, start, start_length, data, length);
  wh_free(start);
}

static void on_data(wh_connection *connection, uint8_t *data, size_t length) {
  wh_visitor *visitor = connection->rare;
  wh_server_freshen(wh_server_of(connection));
  if (visitor->state == VISITOR_HEADER) {
    if (length == 0)
      refuse(connection, WH_CLOSE_REASON_CLIENT_CLOSED);
    else
      read_header(connection, data, length);
    return;
  }
  /* Bytes that were on their way when reading was turned off. */
  if (length == 0)
    visitor->eof = 1;
  else if (hold(visitor, data, length) != WH_OK)
    wh_connection_close(connection, 1);
}

static void on_quiet(wh_connection *connection) { (void)connection; }

static void on_blocked(wh_connection *connection, int blocked) {
  (void)connection; /* nothing is written to it yet */
  (void)blocked;
}

static void on_closed(wh_connection *connection) {
  wh_visitor_closed(connection);
  wh_server_unlist(connection);
}

static const wh_connection_events visitor_events = {
    .on_data = on_data,
    .on_room = on_quiet,
    .on_blocked = on_blocked,
    .on_lingering = on_quiet,
    .on_closed = on_closed,
};

static void on_timer(wh_timer *timer) {
  wh_connection *connection = (wh_connection *)((char *)timer - offsetof(wh_connection, timer));
  const wh_visitor *visitor = connection->rare;
  if (connection->closed) return;
  refuse(connection, visitor->state == VISITOR_HEADER ? WH_CLOSE_REASON_REQUEST_HEADERS_TIMEOUT
                                                      : WH_CLOSE_REASON_KEEP_ALIVE_TIMEOUT);
}

void wh_visitor_arrives(wh_server_endpoint *endpoint, int fd, const wh_address *peer) {
  wh_server *server = endpoint->server;
  const wh_gate *gate = &endpoint->gate;
  int trusted = gate->reads_proxy && wh_networks_contain(&gate->proxies, peer);
  if (!trusted && ((gate->reads_proxy && gate->requires_proxy) || !may_enter(gate, peer))) {
    server->admission.refused++;
    close(fd);
    return;
  }
  if (!trusted && !gate->watched) {
    wh_server_open(endpoint, fd, peer);
    return;
  }
  wh_visitor *visitor = wh_zalloc(sizeof *visitor);
  if (visitor == NULL) {
    close(fd);
    return;
  }
  wh_connection *connection = wh_connection_open(&server->outbox, fd, peer, &visitor_events);
  if (connection == NULL) {
    wh_free(visitor);
    return;
  }
  server->total_connections++;
  connection->rare = visitor;
  wh_timer_init(&connection->timer, on_timer);
  visitor->connection = connection;
  visitor->endpoint = endpoint;
  visitor->socket_peer = *peer;
  visitor->number = connection->number;
  visitor->opened_ms = wh_loop_now(server->loop);
  if (gate->watched) (void)wh_address_local(fd, &visitor->socket_local);
  if (trusted)
    wh_server_start_timer(connection, server->limits.request_headers_timeout);
  else
    enter(connection, NULL, 0, NULL, 0);
}

/* --- the application's word --- */

void wh_visitor_look(wh_connection *connection) {
  wh_server *server = wh_server_of(connection);
  wh_visitor *visitor = connection->rare;
  if (visitor->state != VISITOR_READY) return;
  size_t length = visitor->held_length;
  uint8_t *data = NULL;
  if (length > 0) {
    data = wh_loop_lend(server->loop, length);
    if (data == NULL) {
      wh_server_list(connection); /* when the batch has been handled and the arena is free again */
      return;
    }
    memcpy(data, visitor->held, length);
    wh_free(visitor->held);
    visitor->held = NULL;
    visitor->held_length = 0;
  }
  visitor->state = VISITOR_IN;
  wh_connection_read(connection, 1);
  wh_server_admit(connection, visitor->endpoint);
  if (length > 0) hand_on(connection, data, length);
  if (visitor->eof) hand_on(connection, data, 0);
}

void wh_server_decide(wh_server *server, uint32_t handle, int admit) {
  wh_visitor *visitor = find(server, handle);
  if (visitor == NULL || visitor->state != VISITOR_ASKED || visitor->connection->closed) return;
  if (!admit) {
    refuse(visitor->connection, WH_CLOSE_REASON_REJECTED);
    return;
  }
  visitor->state = VISITOR_READY;
  wh_server_list(visitor->connection);
}

/* --- what the host is told --- */

static unsigned reason_of(const wh_server *server, const wh_connection *connection) {
  if (connection->broken) return WH_CLOSE_REASON_CONNECTION_RESET;
  if (connection->eof && !connection->linger) return WH_CLOSE_REASON_CLIENT_CLOSED;
  return server->stopping ? WH_CLOSE_REASON_SERVER_STOPPED : WH_CLOSE_REASON_SERVER_CLOSED;
}

void wh_visitor_closed(wh_connection *connection) {
  wh_server *server = wh_server_of(connection);
  wh_visitor *visitor = connection->rare;
  connection->rare = NULL;
  visitor->connection = NULL;
  if (!visitor->watched) {
    free_visitor(server, visitor);
    return;
  }
  wh_free(visitor->held);
  visitor->held = NULL;
  if (!visitor->noted) visitor->reason = (uint8_t)reason_of(server, connection);
  visitor->state = VISITOR_GONE;
  visitor->requests = connection->requests;
  visitor->closed_ms = wh_loop_now(server->loop);
  push_news(server, WH_CONNECTION_NEWS_CLOSED, visitor, 0, 0);
}

int wh_visitor_waits(const wh_connection *connection) {
  const wh_visitor *visitor = connection->rare;
  return visitor != NULL && visitor->state != VISITOR_IN;
}

int wh_visitor_local(const wh_connection *connection, wh_address *out) {
  const wh_visitor *visitor = connection->rare;
  if (visitor == NULL || visitor->local.family == WH_ADDRESS_NONE) return 0;
  *out = visitor->local;
  return 1;
}

void wh_visitor_peer(const wh_connection *connection, wh_address *out) {
  const wh_visitor *visitor = connection->rare;
  *out = visitor == NULL ? connection->peer : visitor->socket_peer;
}

int wh_server_connection(const wh_server *server, uint32_t handle, wh_connection_facts *out) {
  memset(out, 0, sizeof *out);
  const wh_visitor *visitor = find(server, handle);
  if (visitor == NULL) return WH_ERR_CLOSED;
  const wh_connection *connection = visitor->connection;
  out->number = visitor->number;
  out->endpoint = visitor->endpoint->index;
  out->socket_peer = visitor->socket_peer;
  out->socket_local = visitor->socket_local;
  out->local = visitor->local.family == WH_ADDRESS_NONE ? visitor->socket_local : visitor->local;
  out->is_open = connection != NULL;
  out->peer = visitor->peer;
  out->requests = connection != NULL ? connection->requests : visitor->requests;
  out->duration_ms =
      (connection != NULL ? wh_loop_now(server->loop) : visitor->closed_ms) - visitor->opened_ms;
  out->bytes_received = visitor->bytes_received;
  out->bytes_sent = visitor->bytes_sent;
  out->reason = visitor->reason;
  return WH_OK;
}

void wh_server_forget_connection(wh_server *server, uint32_t handle) {
  wh_visitor *visitor = find(server, handle);
  if (visitor == NULL) return;
  if (visitor->connection == NULL) {
    free_visitor(server, visitor);
    return;
  }
  visitor->connection->tapped = 0;
  if (visitor->state == VISITOR_ASKED) refuse(visitor->connection, WH_CLOSE_REASON_REJECTED);
  unwatch(server, visitor);
}

/* --- bytes --- */

void wh_visitor_tap(wh_connection *connection, int sent, const struct iovec *parts, size_t length) {
  wh_server *server = wh_server_of(connection);
  wh_admission *admission = &server->admission;
  wh_visitor *visitor = connection->rare;
  if (visitor == NULL || length == 0) return;
  if (sent)
    visitor->bytes_sent += length;
  else
    visitor->bytes_received += length;
  if (parts == NULL || !visitor->endpoint->gate.bytes || server->destroying) return;
  wh_bytes *bytes = wh_alloc(sizeof *bytes + length);
  if (bytes == NULL) return; /* a log with a gap is better than a connection lost */
  bytes->next = NULL;
  bytes->handle = visitor->handle;
  bytes->sent = sent;
  bytes->length = length;
  for (size_t at = 0; at < length; parts++) {
    size_t part = parts->iov_len < length - at ? parts->iov_len : length - at;
    memcpy(bytes->data + at, parts->iov_base, part);
    at += part;
  }
  if (admission->last_bytes != NULL)
    admission->last_bytes->next = bytes;
  else
    admission->first_bytes = bytes;
  admission->last_bytes = bytes;
  push_news(server, WH_CONNECTION_NEWS_BYTES, visitor, (uint32_t)sent, (uint32_t)length);
}

wh_bytes *wh_server_next_bytes(wh_server *server) {
  wh_admission *admission = &server->admission;
  wh_bytes *bytes = admission->first_bytes;
  if (bytes == NULL) return NULL;
  admission->first_bytes = bytes->next;
  if (bytes->next == NULL) admission->last_bytes = NULL;
  return bytes;
}

void wh_bytes_free(wh_bytes *bytes) { wh_free(bytes); }
