/*
 * A TLS endpoint without a network: the filter is real, the connection around it is a fake, and the client
 * is OpenSSL in memory. Included by one file of each program.
 */
#ifndef TLS_WORLD_H
#define TLS_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef TLS_WORLD_FUZZ
#define assert_true(condition) ((condition) ? (void)0 : abort())
#define assert_false(condition) assert_true(!(condition))
#define assert_int_equal(a, b) assert_true((a) == (b))
#define assert_int_not_equal(a, b) assert_true((a) != (b))
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_null(pointer) assert_true((pointer) == NULL)
#define assert_memory_equal(a, b, size) assert_true(memcmp(a, b, size) == 0)
#define fail_msg(...) abort()
#else
#include <setjmp.h>
#include <cmocka.h>
#endif

#include "base/memory.h"
#include "net/connection.h"
#include "tls/openssl.h"
#include "tls/tls.h"
#include "tls_credentials.h"

/* --- the connection that is not there --- */

typedef struct endpoint {
  wh_connection connection;
  wh_tls *tls;
  wh_filter *filter;
  SSL *client;
  BIO *to_client, *from_client; /* the client's */
  uint8_t *plain;
  size_t plain_length, pieces;
  int ends, due, sends, fails, reset, reading_changed, flushes;
  unsigned protocol; /* 0 until the handshake is done */
  const char *reason;
  uint64_t wire_bytes;                  /* that were sent to the client */
  void (*on_plain)(struct endpoint *e); /* called for every piece and the end */
} endpoint;

static wh_wire world_wire;
static int in_server;                            /* the code under test runs, not the client */
static size_t wire_most __attribute__((unused)); /* the largest that the wire buffer was */
static int wire_has_no_room __attribute__((unused));

uint8_t *wh_wire_reserve(wh_wire *wire, size_t size) {
  if (wire_has_no_room) return NULL;
  /* Of exactly this size, so that the sanitizer sees what goes beyond. */
  if (wire->size < wire->used + size) {
    uint8_t *larger = wh_realloc(wire->bytes, wire->used + size);
    if (larger == NULL) return NULL;
    wire->bytes = larger;
    wire->size = wire->used + size;
  }
  return wire->bytes + wire->used;
}

wh_wire *wh_connection_wire(wh_connection *connection) {
  (void)connection;
  return &world_wire;
}

void wh_connection_send_wire(wh_connection *connection) {
  endpoint *e = (endpoint *)connection;
  if (world_wire.used > wire_most) wire_most = world_wire.used;
  if (world_wire.used > 0) {
    e->sends++;
    e->wire_bytes += world_wire.used;
    int was = in_server;
    in_server = 0;
    if (e->to_client != NULL) BIO_write(e->to_client, world_wire.bytes, (int)world_wire.used);
    in_server = was;
  }
  world_wire.used = 0;
}

void wh_connection_plain(wh_connection *connection, uint8_t *data, size_t length) {
  endpoint *e = (endpoint *)connection;
  assert_false(connection->closed);
  assert_int_equal(e->ends, 0);
  assert_int_equal(world_wire.used, 0); /* the owner may write at once */
  if (length == 0) {
    e->ends++;
  } else {
    e->plain = realloc(e->plain, e->plain_length + length);
    memcpy(e->plain + e->plain_length, data, length);
    memset(data, 0xee, length); /* the owner's */
    e->plain_length += length;
    e->pieces++;
  }
  if (e->on_plain != NULL) e->on_plain(e);
}

void wh_connection_close(wh_connection *connection, int reset) {
  if (connection->closed) return;
  connection->closed = 1;
  ((endpoint *)connection)->reset = reset;
}

void wh_connection_read(wh_connection *connection, int on) {
  connection->reading = on != 0;
  ((endpoint *)connection)->reading_changed++;
}

void wh_connection_flush(wh_connection *connection) { ((endpoint *)connection)->flushes++; }

static void handshake_due(wh_connection *connection) {
  endpoint *e = (endpoint *)connection;
  assert_false(e->due);
  e->due = 1;
}

static void handshaken(wh_connection *connection, unsigned protocol) {
  endpoint *e = (endpoint *)connection;
  assert_int_equal(e->protocol, 0);
  assert_int_equal(world_wire.used, 0);
  e->protocol = protocol;
}

static void failed(wh_connection *connection, const char *reason) {
  endpoint *e = (endpoint *)connection;
  assert_int_equal(e->protocol, 0);
  assert_non_null(reason);
  e->fails++;
  e->reason = reason;
}

static const wh_tls_events tls_events = {handshake_due, handshaken, failed};

/* --- client and server --- */

/* The client of no session, no name, no ALPN, that trusts everybody. */
static inline SSL_CTX *client_context(void) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  assert_non_null(context);
  return context;
}

static endpoint *connect_to(wh_tls *tls, SSL_CTX *context) {
  endpoint *e = calloc(1, sizeof *e);
  e->tls = tls;
  e->connection.reading = 1;
  in_server++;
  e->filter = wh_tls_open(tls, &tls_events);
  in_server--;
  if (e->filter == NULL) return e;
  if (context == NULL) return e;
  e->client = SSL_new(context);
  e->to_client = BIO_new(BIO_s_mem());
  e->from_client = BIO_new(BIO_s_mem());
  SSL_set_bio(e->client, e->to_client, e->from_client);
  SSL_set_connect_state(e->client);
  return e;
}

static void disconnect(endpoint *e) {
  if (e->filter != NULL) e->filter->type->free(e->filter);
  /* Or OpenSSL's client would not resume the session. */
  if (e->client != NULL) SSL_set_shutdown(e->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(e->client);
  free(e->plain);
  free(e);
  assert_int_equal(world_wire.used, 0);
  assert_int_equal(ERR_peek_error(), 0);
}

static void handshake_if_due(endpoint *e) {
  if (!e->due || e->connection.closed) return;
  e->due = 0;
  uint8_t *scratch = malloc(wh_tls_waiting(e->filter) + WH_FILTER_SPARE);
  in_server++;
  wh_tls_handshake(e->filter, &e->connection, scratch);
  in_server--;
  free(scratch);
  assert_int_equal(ERR_peek_error(), 0);
}

/* What the wire brings, in an arena of its own; length 0 = the end. */
static void wire_brings(endpoint *e, const void *data, size_t length) {
  if (e->connection.closed) return;
  uint8_t *arena = malloc(2 * length + WH_FILTER_SPARE);
  if (length > 0) memcpy(arena, data, length);
  in_server++;
  e->filter->type->receive(e->filter, &e->connection, arena, length);
  in_server--;
  free(arena);
  assert_int_equal(ERR_peek_error(), 0);
}

/* All that the client wrote goes to the server, `piece` bytes at a time (0: at once). Whether there was any. */
static int deliver(endpoint *e, size_t piece) {
  char *data;
  size_t length = (size_t)BIO_get_mem_data(e->from_client, &data);
  if (length == 0) return 0;
  char *copy = malloc(length);
  BIO_read(e->from_client, copy, (int)length);
  for (size_t at = 0; at < length;) {
    size_t size = piece == 0 || piece > length - at ? length - at : piece;
    wire_brings(e, copy + at, size);
    handshake_if_due(e);
    at += size;
  }
  free(copy);
  return 1;
}

/* The handshake to its end, good or bad. Whether both sides say that it is done. */
static inline int shake_hands(endpoint *e, size_t piece) {
  int client_done = 0;
  for (int i = 0; i < 20; i++) {
    if (SSL_do_handshake(e->client) == 1) client_done = 1;
    ERR_clear_error();
    if (!deliver(e, piece) && client_done) break;
    if (e->connection.closed) {
      if (SSL_do_handshake(e->client) != 1) client_done = 0;
      break;
    }
  }
  ERR_clear_error();
  return client_done && e->protocol != 0;
}

/* Seals and sends. */
static void server_says(endpoint *e, const void *data, size_t length) {
  const uint8_t *at = data;
  while (length > 0) {
    ssize_t taken = e->filter->type->seal(e->filter, at, length, &world_wire);
    assert_true(taken > 0);
    at += taken;
    length -= (size_t)taken;
    wh_connection_send_wire(&e->connection);
  }
}

static inline void server_ends(endpoint *e) {
  e->filter->type->end(e->filter, &world_wire);
  wh_connection_send_wire(&e->connection);
}

/* Both sides say something, and the other one gets it. */
static inline void assert_talks(endpoint *e) {
  char got[64];
  size_t before = e->plain_length;
  assert_int_equal(SSL_write(e->client, "hello", 5), 5);
  deliver(e, 0);
  assert_int_equal(e->plain_length, before + 5);
  assert_memory_equal(e->plain + before, "hello", 5);
  server_says(e, "good day", 8);
  assert_int_equal(SSL_read(e->client, got, sizeof got), 8);
  assert_memory_equal(got, "good day", 8);
  ERR_clear_error();
}

static inline wh_tls_facts facts(const endpoint *e) {
  wh_tls_facts known;
  wh_tls_get_facts(e->filter, &known);
  return known;
}

/* The description of the fatal alert that the client got; -1: none. Call after shake_hands. */
static int last_alert __attribute__((unused)) = -1;
static inline void note_alert(const SSL *ssl, int where, int value) {
  (void)ssl;
  if (where == SSL_CB_READ_ALERT && value >> 8 == 2) last_alert = value & 0xff;
}

/* --- settings --- */

static wh_tls *make_tls(const wh_tls_settings *settings) {
  wh_tls *tls;
  char message[256];
  in_server++;
  int result = wh_tls_create(settings, &tls, message, sizeof message);
  in_server--;
  if (result != WH_OK) fail_msg("wh_tls_create: %d %s", result, message);
  assert_int_equal(ERR_peek_error(), 0);
  return tls;
}

/* Why settings are refused. */
static inline const char *refusal_of(const wh_tls_settings *settings, int expected) {
  static char message[256];
  wh_tls *tls;
  assert_int_equal(wh_tls_create(settings, &tls, message, sizeof message), expected);
  assert_null(tls);
  assert_int_equal(ERR_peek_error(), 0);
  return message;
}

static inline void end_world(void) {
  wh_free(world_wire.bytes);
  memset(&world_wire, 0, sizeof world_wire);
}

#endif
