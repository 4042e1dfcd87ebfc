#include <string.h>

#include "base/memory.h"
#include "server/server_internal.h"

#define SERVER_NAME "windhover"
/* Polls in one turn when more is ready than one poll fetches; then the host has its turn. */
#define POLLS_PER_TURN 4
/* Rounds in one turn for what answers set free (pipelined requests that waited, room for writes). */
#define ROUNDS_PER_TURN 8

/* --- the host's functions, as the layers below want them --- */

static uint8_t *allocate_slab(void *user, uint32_t number, size_t size, size_t slot_size) {
  wh_server *server = user;
  return server->host->allocate_slab(server->user, number, size, slot_size);
}

static void free_slab(void *user, uint32_t number, uint8_t *memory) {
  wh_server *server = user;
  server->host->free_slab(server->user, number, memory);
}

static const wh_slab_source slab_source = {.allocate = allocate_slab, .free = free_slab};

static int locate_pinned(void *user, uint32_t id, const uint8_t **data, size_t *length) {
  wh_server *server = user;
  return server->host->locate_pinned(server->user, id, data, length);
}

static void release_pinned(void *user, uint32_t id) {
  wh_server *server = user;
  server->host->release_pinned(server->user, id);
}

static const wh_pinned_source pinned_source = {.locate = locate_pinned, .release = release_pinned};

/* --- life --- */

static int is_usable(const wh_memory *memory) {
  return memory->arena != NULL && memory->arena_size >= WH_ARENA_MINIMUM &&
         memory->events != NULL && memory->event_room >= 1024 && memory->commands != NULL &&
         memory->command_size >= 4096 && memory->control != NULL;
}

static uint32_t or_none(int64_t limit) { return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit; }

static wh_http2_limits http2_limits(const wh_limits *limits) {
  return (wh_http2_limits){
      .streams = (uint32_t)limits->http2_streams,
      .header_table = (uint32_t)limits->http2_header_table,
      .frame_size = (uint32_t)limits->http2_frame_size,
      .field_size = (uint32_t)limits->http2_field_size,
      .stream_window = (uint32_t)limits->http2_stream_window,
      .connection_window = (uint32_t)limits->http2_connection_window,
      .settings_timeout = or_none(limits->http2_settings_timeout),
      .floods =
          {
              [WH_HTTP2_FLOOD_RESETS] = or_none(limits->http2_resets),
              [WH_HTTP2_FLOOD_PINGS] = or_none(limits->http2_pings),
              [WH_HTTP2_FLOOD_SETTINGS] = or_none(limits->http2_settings),
              [WH_HTTP2_FLOOD_PRIORITIES] = or_none(limits->http2_priorities),
              [WH_HTTP2_FLOOD_EMPTY_FRAMES] = or_none(limits->http2_empty),
              [WH_HTTP2_FLOOD_WINDOW_UPDATES] = or_none(limits->http2_updates),
              [WH_HTTP2_FLOOD_UNKNOWN_FRAMES] = or_none(limits->http2_unknown),
              [WH_HTTP2_FLOOD_HEADER_BLOCKS] = UINT32_MAX, /* these two are not counted */
              [WH_HTTP2_FLOOD_UNACKNOWLEDGED] = UINT32_MAX,
          },
  };
}

int wh_server_create(const wh_memory *memory, const wh_limits *limits, const wh_host *host,
                     void *user, wh_server **out) {
  if (!is_usable(memory)) return WH_ERR_INVALID_ARGUMENT;
  wh_server *server = wh_zalloc(sizeof *server);
  if (server == NULL) return WH_ERR_NO_MEMORY;
  server->memory = *memory;
  server->limits = *limits;
  server->host = host;
  server->user = user;
  server->eager_reads = 4;
  wh_http_service *service = &server->service;
  service->transport = &wh_server_transport;
  service->receiver = &wh_server_receiver;
  service->user = server;
  uint64_t most_body = limits->max_request_body_size == WH_UNLIMITED
                           ? UINT64_MAX
                           : (uint64_t)limits->max_request_body_size;
  service->server_name = limits->add_server_header ? SERVER_NAME : NULL;
  service->limits = (wh_http_limits){
      .request_line_size = (uint32_t)limits->max_request_line_size,
      .headers_total_size = (uint32_t)limits->max_request_headers_total_size,
      .header_count = (uint32_t)limits->max_request_header_count,
      .pipelined = (uint32_t)limits->max_pipelined_requests,
      .request_body_size = most_body,
      .upgraded = limits->max_concurrent_upgraded_connections == WH_UNLIMITED
                      ? UINT64_MAX
                      : (uint64_t)limits->max_concurrent_upgraded_connections,
      .response_high = limits->max_response_buffer_size == WH_UNLIMITED
                           ? UINT64_MAX
                           : (uint64_t)limits->max_response_buffer_size,
      .response_low = limits->max_response_buffer_size == WH_UNLIMITED
                          ? UINT64_MAX
                          : (uint64_t)limits->max_response_buffer_size / 4,
      .relaxed = (limits->allow_raw_query_characters ? WH_RELAXED_RAW_QUERY : 0U) |
                 (limits->allow_bare_line_feed ? WH_RELAXED_LINE_FEED : 0U) |
                 (limits->allow_host_header_override ? WH_RELAXED_HOST_OVERRIDE : 0U),
  };
  int error = wh_loop_create(memory->arena, memory->arena_size, &server->loop);
  if (error == WH_OK) error = wh_outbox_init(&server->outbox, server->loop, &pinned_source, server);
  if (error == WH_OK) {
    int64_t high = limits->max_response_buffer_size;
    wh_outbox_set_high(&server->outbox, high == WH_UNLIMITED ? UINT64_MAX : (uint64_t)high);
  }
  if (error == WH_OK) error = wh_exchange_pool_create(&slab_source, server, &server->pool);
  if (error == WH_OK) error = wh_http1_prepare(service);
  if (error == WH_OK) {
    wh_http2_limits http2 = http2_limits(limits);
    error = wh_http2_prepare(service, &http2);
  }
  if (error == WH_OK) error = wh_server_init_refusals(server);
  if (error != WH_OK) {
    wh_server_destroy(server);
    return error;
  }
  service->pool = server->pool;
  wh_admission_init(server);
  wh_server_tick(server);
  *out = server;
  return WH_OK;
}

void wh_server_destroy(wh_server *server) {
  if (server == NULL) return;
  server->destroying = 1;
  if (server->loop != NULL) {
    wh_server_close_listeners(server);
    wh_server_abort(server);
  }
  while (server->endpoints != NULL) {
    wh_server_endpoint *endpoint = server->endpoints;
    server->endpoints = endpoint->next;
    wh_gate_free(&endpoint->gate);
    wh_tls_release(endpoint->tls);
    wh_free(endpoint);
  }
  wh_admission_free(server);
  wh_http1_unprepare(&server->service);
  wh_http2_unprepare(&server->service);
  wh_server_free_refusals(server);
  wh_exchange_pool_destroy(server->pool);
  wh_outbox_free(&server->outbox);
  wh_loop_destroy(server->loop);
  wh_free(server->overflow);
  wh_free(server);
}

/* --- listening --- */

int wh_server_listen(wh_server *server, const wh_endpoint *endpoint,
                     const wh_listen_options *options, char *message, size_t message_size) {
  static const wh_listen_options none;
  if (options == NULL) options = &none;
  if (server->listening_stopped) return WH_ERR_STATE;
  wh_server_endpoint *entry = wh_zalloc(sizeof *entry);
  if (entry == NULL) return WH_ERR_NO_MEMORY;
  int error = wh_listen(endpoint, &entry->listening, message, message_size);
  entry->server = server;
  entry->https = options->tls != NULL;
  entry->protocols = options->protocols == 0 ? WH_PROTOCOL_HTTP1 : options->protocols;
  size_t opened = 0;
  while (error == WH_OK && opened < entry->listening.count) {
    wh_listener *listener = &entry->listeners[opened];
    listener->owner = entry;
    listener->on_accept = wh_server_accepted;
    listener->on_refused = wh_server_accept_failed;
    error = wh_listener_open(listener, server->loop, entry->listening.fds[opened]);
    if (error == WH_OK) opened++;
  }
  if (error != WH_OK) {
    while (opened > 0) wh_listener_close(&entry->listeners[--opened]);
    wh_listening_close(&entry->listening);
    wh_free(entry);
    return error;
  }
  if (options->gate != NULL) {
    entry->is_gated = 1;
    entry->gate = *options->gate;
  }
  entry->tls = options->tls;
  if (entry->tls != NULL) wh_tls_retain(entry->tls);
  wh_server_endpoint **link = &server->endpoints;
  for (; *link != NULL; link = &(*link)->next) entry->index++;
  *link = entry;
  return WH_OK;
}

int wh_server_set_tls(wh_server *server, uint32_t number, wh_tls *tls) {
  for (wh_server_endpoint *e = server->endpoints; e != NULL; e = e->next) {
    if (e->index != number || e->tls == NULL) continue;
    wh_tls_retain(tls);
    wh_tls_release(e->tls);
    e->tls = tls;
    return WH_OK;
  }
  return WH_ERR_INVALID_ARGUMENT;
}

size_t wh_server_url(const wh_server *server, size_t index, char *out, size_t size) {
  for (const wh_server_endpoint *e = server->endpoints; e != NULL; e = e->next) {
    for (size_t i = 0;; i++) {
      size_t length = wh_listening_url(&e->listening, i, e->https, out, size);
      if (length == 0) break;
      if (index-- == 0) return length;
    }
  }
  return 0;
}

/* --- turns --- */

int wh_server_descriptor(const wh_server *server) { return wh_loop_descriptor(server->loop); }

/* Whether something waits that needs no event of the system. */
static int has_work(const wh_server *server) {
  return server->event_count > 0 || server->look_at != NULL || server->handshake_first != NULL ||
         server->outbox.todo != NULL || server->outbox.owner != NULL;
}

int wh_server_timeout(wh_server *server) {
  if (wh_loop_has_rest(server->loop) || has_work(server)) return 0;
  return wh_loop_timeout(server->loop);
}

/* Hands over what has come, takes the answers, and what those set free, until all is quiet. */
static void round_off(wh_server *server) {
  for (int i = 0; i < ROUNDS_PER_TURN; i++) {
    if (server->look_at != NULL) wh_server_look(server);
    if (server->event_count > 0) {
      wh_server_dispatch(server);
      wh_loop_forget(server->loop); /* the application has copied what it wants of it */
      if (server->look_at != NULL) wh_server_look(server);
    }
    wh_outbox_settle(&server->outbox);
    if (server->event_count > 0) continue;
    if (server->look_at == NULL || server->resumed >= WH_RESUMED_PER_TURN) break;
  }
  if (server->event_count == 0) wh_loop_forget(server->loop);
}

int wh_server_turn(wh_server *server, int timeout_ms) {
  uint64_t before = server->service.requests;
  server->resumed = 0;
  for (int i = 0; i < POLLS_PER_TURN; i++) {
    server->fresh = 0;
    int served = wh_loop_poll(server->loop, timeout_ms);
    if (served < 0) return served;
    /* Nothing there: a host that polls wants to know that quickly. Timers may have done something. */
    if (served > 0) wh_server_freshen(server);
    if (served > 0 || has_work(server)) round_off(server);
    if (server->handshake_first != NULL) {
      wh_server_handshake(server);
      round_off(server);
    }
    if (!wh_loop_has_rest(server->loop)) break;
    timeout_ms = 0;
  }
  return (int)(server->service.requests - before);
}

void wh_server_flush(wh_server *server) {
  if (server->dispatching) return;
  /* Much time may have passed since the last turn. */
  wh_loop_touch(server->loop);
  wh_server_tick(server);
  wh_server_commit(server);
  server->resumed = 0;
  round_off(server);
}

/* --- facts --- */

size_t wh_server_connections(const wh_server *server) { return server->outbox.count; }

const wh_filter *wh_server_exchange_filter(wh_server *server, uint32_t slot, uint32_t generation) {
  const wh_exchange *exchange = wh_exchange_find(server->pool, slot, generation);
  if (exchange == NULL || exchange->owner == NULL) return NULL;
  const wh_connection *connection = exchange->protocol->connection(exchange);
  return connection->closed ? NULL : connection->filter;
}

int wh_server_exchange_addresses(wh_server *server, uint32_t slot, uint32_t generation,
                                 wh_address *peer, wh_address *local) {
  const wh_exchange *exchange = wh_exchange_find(server->pool, slot, generation);
  if (exchange == NULL || exchange->owner == NULL) return WH_ERR_CLOSED;
  const wh_connection *connection = exchange->protocol->connection(exchange);
  if (connection->closed) return WH_ERR_CLOSED;
  *peer = connection->peer;
  if (wh_visitor_local(connection, local)) return WH_OK;
  return wh_address_local(connection->stream.handle.fd, local);
}

int wh_server_exchange_transport(wh_server *server, uint32_t slot, uint32_t generation,
                                 wh_address *peer, wh_address *local) {
  const wh_exchange *exchange = wh_exchange_find(server->pool, slot, generation);
  if (exchange == NULL || exchange->owner == NULL) return WH_ERR_CLOSED;
  const wh_connection *connection = exchange->protocol->connection(exchange);
  if (connection->closed) return WH_ERR_CLOSED;
  wh_visitor_peer(connection, peer);
  return wh_address_local(connection->stream.handle.fd, local);
}
