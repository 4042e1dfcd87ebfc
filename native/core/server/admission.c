/*
 * The door: the limit on connections, the pause when the system has no descriptors, and where an
 * accepted connection goes from there.
 */
#include "server/admission.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "server/server_internal.h"
#include "server/visitors.h"

/* How long a rejected client may take to read its 503 and close. */
#define REJECTED_LINGER_MS 2000

#define ANSWER_SIZE 160

void wh_admission_init(wh_server *server) {
  wh_admission *admission = &server->admission;
  const wh_limits *limits = &server->limits;
  admission->most = SIZE_MAX;
  server->outbox.tap = wh_visitor_tap;
  if (limits->max_concurrent_connections == WH_UNLIMITED) return;
  admission->most = (size_t)limits->max_concurrent_connections;
  if (limits->close_over_limit) return;
  /* Where there is no memory for it they are closed, which is as good an answer then. */
  admission->answer = wh_alloc(ANSWER_SIZE);
  if (admission->answer == NULL) return;
  int length = snprintf((char *)admission->answer, ANSWER_SIZE,
                        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                        "Connection: close\r\nRetry-After: %lld\r\n",
                        (long long)limits->connection_limit_retry_after);
  admission->answer_length = (size_t)length;
}

void wh_admission_free(wh_server *server) {
  wh_admission *admission = &server->admission;
  wh_free(admission->answer);
  for (size_t i = 0; i < admission->visitor_room; i++) {
    if (admission->visitors[i] != NULL) wh_free(admission->visitors[i]->held);
    wh_free(admission->visitors[i]);
  }
  wh_free(admission->visitors);
  for (wh_bytes *bytes; (bytes = wh_server_next_bytes(server)) != NULL;) wh_bytes_free(bytes);
}

void wh_gate_free(wh_gate *gate) {
  wh_networks_free(&gate->proxies);
  wh_networks_free(&gate->allow);
  wh_networks_free(&gate->deny);
}

/* --- over the limit --- */

static void rejected_data(wh_connection *connection, uint8_t *data, size_t length) {
  (void)connection; /* it lingers: nothing comes here */
  (void)data;
  (void)length;
}

static void rejected_quiet(wh_connection *connection) { (void)connection; }

static void rejected_blocked(wh_connection *connection, int blocked) {
  (void)connection; /* the timer is running */
  (void)blocked;
}

static void rejected_closed(wh_connection *connection) {
  wh_server_of(connection)->admission.rejecting--;
}

static const wh_connection_events rejected_events = {
    .on_data = rejected_data,
    .on_room = rejected_quiet,
    .on_blocked = rejected_blocked,
    .on_lingering = rejected_quiet,
    .on_closed = rejected_closed,
};

static void rejected_too_long(wh_timer *timer) {
  wh_connection_close((wh_connection *)((char *)timer - offsetof(wh_connection, timer)), 1);
}

/* Connections that count: upgraded ones have a limit of their own, as Kestrel has it. */
static size_t count(const wh_server *server) {
  return server->outbox.count - server->admission.rejecting - (size_t)server->service.upgraded;
}

/* Whether there is no room for one more, after those that have just ended are gone. */
static int is_full(wh_server *server) {
  if (count(server) < server->admission.most) return 0;
  wh_outbox_settle(&server->outbox);
  return count(server) >= server->admission.most;
}

static void reject(wh_server *server, const wh_server_endpoint *endpoint, int fd,
                   const wh_address *peer) {
  wh_admission *admission = &server->admission;
  admission->rejected++;
  /* Who speaks TLS could not read it. */
  if (admission->answer == NULL || endpoint->https || admission->rejecting >= WH_REJECTED_MOST) {
    close(fd);
    return;
  }
  wh_connection *connection = wh_connection_open(&server->outbox, fd, peer, &rejected_events);
  if (connection == NULL) return;
  admission->rejecting++;
  wh_timer_init(&connection->timer, rejected_too_long);
  wh_timer_set(wh_loop_timers(server->loop), &connection->timer,
               wh_loop_now(server->loop) + REJECTED_LINGER_MS);
  wh_server_freshen(server); /* the date */
  wh_connection_append(connection, admission->answer, admission->answer_length);
  wh_connection_append(connection, server->service.date_block, server->service.date_block_length);
  wh_connection_append(connection, "\r\n", 2);
  wh_connection_finish(connection, 1);
}

/* --- accepting --- */

void wh_server_accept_failed(wh_listener *listener, int system_error) {
  const wh_server_endpoint *endpoint = (wh_server_endpoint *)listener->owner;
  wh_server *server = endpoint->server;
  wh_admission *admission = &server->admission;
  if (admission->paused) return;
  admission->paused = 1;
  admission->paused_at = wh_loop_now(server->loop);
  admission->pauses++;
  wh_server_push(server, WH_EVENT_CONNECTION | WH_CONNECTION_NEWS_ACCEPT_PAUSED << 8, 0,
                 (uint32_t)system_error, endpoint->index);
}

static void resume(wh_server *server) {
  wh_admission *admission = &server->admission;
  admission->paused = 0;
  wh_server_push(server, WH_EVENT_CONNECTION | WH_CONNECTION_NEWS_ACCEPT_RESUMED << 8, 0,
                 (uint32_t)(wh_loop_now(server->loop) - admission->paused_at), 0);
}

void wh_server_accepted(wh_listener *listener, int fd, const struct sockaddr *peer, size_t length) {
  wh_server_endpoint *endpoint = (wh_server_endpoint *)listener->owner;
  wh_server *server = endpoint->server;
  wh_address address;
  wh_address_from_sockaddr(&address, peer, (socklen_t)length);
  if (server->admission.paused) resume(server);
  if (server->outbox.count >= server->admission.most && is_full(server))
    reject(server, endpoint, fd, &address);
  else if (endpoint->is_gated)
    wh_visitor_arrives(endpoint, fd, &address);
  else
    wh_server_open(endpoint, fd, &address);
}
