/*
 * The filter of a connection: its handshake, and its records both ways.
 *
 * In. Ciphertext is read where the loop put it, and decrypted behind it in the arena; all records of one
 * read become one piece of plain bytes. Out. Records go straight into the outbox's wire buffer. Records of
 * TLS 1.3 are direct.c's; for others OpenSSL's record buffers are between, and freed when they are empty.
 *
 * Errors. OpenSSL's queue of errors belongs to the thread, and node's crypto reads it too: it is empty
 * before a handshake's step and after whatever failed. Records that are read and written well leave
 * nothing there, and cost no call for it. Whether a read wants more bytes is known without the queue:
 * the wire was asked and had none (`starved`), and reading is what OpenSSL waits for.
 *
 * The system's kernel could seal records (kTLS), but node's OpenSSL is built without it.
 */
#include <string.h>

#include "base/memory.h"
#include "net/connection.h"
#include "tls/tls_internal.h"

#define FIRST_BYTE 0x16 /* of a handshake's record: RFC 8446, section 5.1 */
#define RECORD_HEADER 5U
#define RECORD_MOST 16384U
/* What a record adds to its data at most, for the ciphers of TLS 1.2 that an own list may bring. */
#define RECORD_EXTRA 128U
/* Bytes sealed in one call: others have their turn, and the wire buffer keeps its size. */
#define SEAL_MOST 65536U
/* Waiting bytes of a handshake: with more than these the connection reads nothing until its turn. */
#define HELD_MOST 65536U
/* Unsent bytes above which a peer that makes us answer (key updates) and reads nothing is a nuisance. */
#define UNSENT_MOST (4 * SEAL_MOST)
/* Bytes of a handshake from the client: its hello (OpenSSL: 131 kB at most) and certificates (100 kB). */
#define HANDSHAKE_MOST 262144U

static tls_filter *filter_of(wh_filter *filter) { return (tls_filter *)filter; }

/* --- the end --- */

static void drop_held(tls_filter *filter) {
  wh_free(filter->held);
  filter->held = NULL;
  filter->held_length = filter->held_size = 0;
}

/* Sends what OpenSSL wrote. Whether the connection is still there. */
static int send_wire(wh_connection *connection, const wh_wire *wire) {
  if (wire->used > 0) wh_connection_send_wire(connection);
  return !connection->closed;
}

static const char *reason_of(const tls_filter *filter) {
  if (filter->violation != NULL) return filter->violation;
  if (filter->no_memory) return "out of memory";
  unsigned long error = wh_openssl.ERR_peek_last_error();
  if (filter->ssl != NULL && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    return wh_openssl.X509_verify_cert_error_string(wh_openssl.SSL_get_verify_result(filter->ssl));
  }
  const char *reason = wh_openssl.ERR_reason_error_string(error);
  return reason == NULL ? "broken handshake" : reason;
}

static void fail_handshake(tls_filter *filter, wh_connection *connection, const char *reason) {
  filter->phase = TLS_OVER;
  wh_openssl.ERR_clear_error();
  drop_held(filter);
  if (filter->ssl != NULL) send_wire(connection, wh_connection_wire(connection));
  filter->events->failed(connection, reason);
  wh_connection_close(connection, 0);
}

/* The owner is told once that no more comes. */
static void tell_end(tls_filter *filter, wh_connection *connection, uint8_t *data) {
  if (filter->peer_ended) return;
  filter->peer_ended = 1;
  wh_connection_plain(connection, data, 0);
}

/* --- records in --- */

/* Whether OpenSSL only waits for bytes that have not come. */
static int wants_bytes(const tls_filter *filter) {
  return filter->starved && filter->violation == NULL && !filter->no_memory &&
         wh_openssl.SSL_want(filter->ssl) == SSL_READING;
}

static void go_on_sealing(tls_filter *filter, wh_connection *connection) {
  if (!filter->seal_waits) return;
  filter->seal_waits = 0;
  wh_connection_flush(connection);
}

/* Opens the records of the source by OpenSSL's record layer into `plain`, where there is room for all. */
static enum tls_result open_by_openssl(tls_filter *filter, uint8_t *plain, size_t room,
                                       size_t *used) {
  SSL *ssl = filter->ssl;
  filter->starved = 0;
  while (*used < room) {
    size_t got = 0;
    if (!wh_openssl.SSL_read_ex(ssl, plain + *used, room - *used, &got)) {
      if (wants_bytes(filter)) break;
      return filter->notified && filter->violation == NULL && !filter->no_memory ? TLS_ENDED
                                                                                 : TLS_BROKEN;
    }
    *used += got;
    filter->controls = 0;
    if (filter->source_length == 0 && !wh_openssl.SSL_has_pending(ssl)) break;
  }
  return TLS_GOING_ON;
}

/* Opens the records of the source and hands on what is in them, in one piece. */
static void open_records(tls_filter *filter, wh_connection *connection, uint8_t *plain,
                         size_t room) {
  wh_wire *wire = wh_connection_wire(connection);
  size_t used = 0;
  enum tls_result result;
  filter->wire = wire;
  if (filter->direct != NULL)
    result = tls_direct_open(filter, filter->source, filter->source_length, plain, &used);
  else
    result = open_by_openssl(filter, plain, room, &used);
  filter->source_length = 0;
  filter->wire = NULL;
  if (wire->used > 0 && filter->base.unsent_length > UNSENT_MOST) result = TLS_BROKEN;
  if (result != TLS_GOING_ON) {
    if (result == TLS_BROKEN) filter->phase = TLS_OVER;
    wh_openssl.ERR_clear_error();
  }
  /* An alert, an answer to a key update: before the wire buffer serves somebody else. */
  if (!send_wire(connection, wire)) return;
  if (used > 0) {
    wh_connection_plain(connection, plain, used);
    if (connection->closed) return;
  }
  if (result == TLS_ENDED)
    tell_end(filter, connection, plain);
  else if (result == TLS_BROKEN)
    wh_connection_close(connection, 1);
  else
    go_on_sealing(filter, connection);
}

/* --- the handshake --- */

/* Whether the bytes held begin with a whole record, or one that OpenSSL shall refuse. */
static int has_record(const tls_filter *filter) {
  if (filter->held_length < RECORD_HEADER) return 0;
  size_t length = (size_t)(filter->held[3] << 8 | filter->held[4]);
  return length > RECORD_MOST || filter->held_length >= RECORD_HEADER + length;
}

static int hold(tls_filter *filter, const uint8_t *data, size_t length) {
  size_t needed = filter->held_length + length;
  if (needed > filter->held_size) {
    size_t size = needed < 2048                    ? 2048
                  : needed < 2 * filter->held_size ? 2 * filter->held_size
                                                   : needed;
    uint8_t *larger = wh_realloc(filter->held, size);
    if (larger == NULL) return -1;
    filter->held = larger;
    filter->held_size = size;
  }
  memcpy(filter->held + filter->held_length, data, length);
  filter->held_length = needed;
  return 0;
}

/* The first bytes: what is no TLS is closed without a byte (Kestrel does so). */
static const char *refuse_first(const uint8_t *data) {
  if (data[0] == FIRST_BYTE) return NULL;
  return (data[0] >= 'A' && data[0] <= 'Z') || data[0] == '\r' || data[0] == '\n' ? "http request"
                                                                                  : "not TLS";
}

static void receive_handshake(tls_filter *filter, wh_connection *connection, const uint8_t *data,
                              size_t length) {
  if (filter->ssl == NULL && filter->held_length == 0) {
    const char *refused = refuse_first(data);
    if (refused != NULL) {
      fail_handshake(filter, connection, refused);
      return;
    }
  }
  if (hold(filter, data, length) != 0) {
    fail_handshake(filter, connection, "out of memory");
    return;
  }
  if (filter->held_length >= HELD_MOST && !filter->paused) {
    filter->paused = 1;
    wh_connection_read(connection, 0);
  }
  if (filter->due || (filter->ssl == NULL && !has_record(filter))) return;
  filter->due = 1;
  filter->events->handshake_due(connection);
}

static void go_on_reading(tls_filter *filter, wh_connection *connection) {
  if (!filter->paused) return;
  filter->paused = 0;
  wh_connection_read(connection, 1);
}

static unsigned protocol_of(const tls_filter *filter) {
  const unsigned char *name;
  unsigned length;
  wh_openssl.SSL_get0_alpn_selected(filter->ssl, &name, &length);
  return length == 2 ? WH_PROTOCOL_HTTP2 : WH_PROTOCOL_HTTP1;
}

static void finish_handshake(tls_filter *filter, wh_connection *connection, uint8_t *scratch,
                             size_t room) {
  filter->phase = TLS_OPEN;
  filter->ticket_due =
      filter->tls->tickets && wh_openssl.SSL_version(filter->ssl) == TLS1_3_VERSION;
  /* OpenSSL has read nothing behind its handshake; now it asks the wire once for all that there is. */
  if (!tls_direct_start(filter)) wh_openssl.SSL_set_read_ahead(filter->ssl, 1);
  filter->events->handshaken(connection, protocol_of(filter));
  if (connection->closed) return;
  if (filter->source_length > 0) {
    open_records(filter, connection, scratch, room);
  } else {
    go_on_sealing(filter, connection);
  }
  if (connection->closed) return;
  if (filter->wire_ended) tell_end(filter, connection, scratch);
}

size_t wh_tls_waiting(const wh_filter *filter) { return ((const tls_filter *)filter)->held_length; }

static void go_on_shaking(tls_filter *filter, wh_connection *connection, uint8_t *scratch) {
  filter->due = 0;
  if (filter->phase != TLS_HANDSHAKING || connection->closed) return;
  wh_openssl.ERR_clear_error();
  if (filter->ssl == NULL && tls_wire_open(filter) != WH_OK) {
    fail_handshake(filter, connection, "out of memory");
    return;
  }
  size_t waiting = filter->held_length;
  uint8_t *held = filter->held;
  wh_wire *wire = wh_connection_wire(connection);
  filter->held = NULL;
  filter->held_length = filter->held_size = 0;
  filter->source = held;
  filter->source_length = waiting;
  filter->wire = wire;
  filter->starved = 0;
  tls_log_keys(filter);
  int done = wh_openssl.SSL_do_handshake(filter->ssl) == 1;
  filter->wire = NULL;
  filter->handshake_bytes += (uint32_t)(waiting - filter->source_length);
  const char *reason = NULL;
  if (!done && !wants_bytes(filter))
    reason = reason_of(filter);
  else if (!done && filter->wire_ended)
    reason = "closed by the client";
  else if (!done && filter->handshake_bytes > HANDSHAKE_MOST)
    reason = "too large";
  wh_openssl.ERR_clear_error();
  if (reason != NULL) {
    fail_handshake(filter, connection, reason);
  } else if (send_wire(connection, wire)) {
    go_on_reading(filter, connection);
    if (done) finish_handshake(filter, connection, scratch, waiting + WH_FILTER_SPARE);
  }
  filter->source_length = 0;
  wh_free(held);
}

void wh_tls_handshake(wh_filter *filter, wh_connection *connection, uint8_t *scratch) {
  go_on_shaking(filter_of(filter), connection, scratch);
}

/* --- the filter --- */

static void filter_receive(wh_filter *base, wh_connection *connection, uint8_t *data,
                           size_t length) {
  tls_filter *filter = filter_of(base);
  if (filter->phase == TLS_OPEN) {
    if (filter->peer_ended) return;
    if (length == 0) {
      tell_end(filter, connection, data);
      return;
    }
    filter->source = data;
    filter->source_length = length;
    open_records(filter, connection, data + length, length + WH_FILTER_SPARE);
  } else if (filter->phase == TLS_HANDSHAKING) {
    if (length > 0)
      receive_handshake(filter, connection, data, length);
    else if (filter->due)
      filter->wire_ended = 1;
    else
      fail_handshake(filter, connection, "closed by the client");
  }
}

/* Nothing can be sealed any more. */
static ssize_t give_up(tls_filter *filter) {
  filter->phase = TLS_OVER;
  wh_openssl.ERR_clear_error();
  return filter->no_memory ? WH_ERR_NO_MEMORY : WH_ERR_CLOSED;
}

static ssize_t filter_seal(wh_filter *base, const uint8_t *data, size_t length, wh_wire *wire) {
  tls_filter *filter = filter_of(base);
  if (filter->phase == TLS_OVER || filter->ended) return WH_ERR_CLOSED;
  if (filter->phase == TLS_HANDSHAKING || length == 0) {
    filter->seal_waits = 1;
    return 0;
  }
  if (length > SEAL_MOST) length = SEAL_MOST;
  if (filter->direct != NULL) {
    ssize_t sealed = tls_direct_seal(filter, data, length, wire);
    return sealed < 0 ? give_up(filter) : sealed;
  }
  /* Once for all records: each of them then finds its room. */
  if (wh_wire_reserve(wire, length + (length / RECORD_MOST + 1) * RECORD_EXTRA) == NULL) {
    return WH_ERR_NO_MEMORY;
  }
  filter->wire = wire;
  filter->starved = 0;
  if (filter->ticket_due) {
    filter->ticket_due = 0;
    wh_openssl.SSL_new_session_ticket(filter->ssl);
  }
  size_t written = 0;
  int done = wh_openssl.SSL_write_ex(filter->ssl, data, length, &written);
  filter->wire = NULL;
  if (done) return (ssize_t)written;
  int waits = wants_bytes(filter);
  wh_openssl.ERR_clear_error();
  /* The peer has sent half a message that OpenSSL wants to answer first. */
  if (waits) {
    filter->seal_waits = 1;
    return 0;
  }
  return give_up(filter);
}

static void filter_end(wh_filter *base, wh_wire *wire) {
  tls_filter *filter = filter_of(base);
  if (filter->phase != TLS_OPEN || filter->ended) return;
  filter->ended = 1;
  if (filter->direct != NULL) {
    tls_direct_end(filter, wire);
  } else {
    filter->wire = wire;
    wh_openssl.SSL_shutdown(filter->ssl);
    filter->wire = NULL;
  }
  wh_openssl.ERR_clear_error();
}

static void filter_free(wh_filter *base) {
  tls_filter *filter = filter_of(base);
  tls_direct_free(filter);
  wh_openssl.SSL_free(filter->ssl);
  wh_free(filter->held);
  wh_free(filter->server_name);
  wh_tls_release(filter->tls);
  wh_free(filter);
}

static const wh_filter_type filter_type = {
    .receive = filter_receive,
    .seal = filter_seal,
    .end = filter_end,
    .free = filter_free,
};

wh_filter *wh_tls_open(wh_tls *tls, const wh_tls_events *events) {
  tls_filter *filter = wh_zalloc(sizeof *filter);
  if (filter == NULL) return NULL;
  filter->base.type = &filter_type;
  filter->tls = tls;
  filter->events = events;
  wh_tls_retain(tls);
  return &filter->base;
}
