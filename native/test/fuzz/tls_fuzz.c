/*
 * A libFuzzer target over TLS: the filter and OpenSSL are real, the connection is a fake, the client is
 * OpenSSL in memory or the input itself.
 *
 * input:  options, then steps: what (enum step), length, bytes
 *
 * Besides memory errors it looks for broken promises: bytes after the end or a close, two ends, errors left
 * in OpenSSL's queue, bytes lost or changed that an honest client sent, a wire buffer that is not sent.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define TLS_WORLD_FUZZ

#include <strings.h>

#include "../tls_world.h"

enum option {
  OPTION_FRESH = 1, /* the input is the client: no handshake is made before it */
  OPTION_TLS12 = 2,
  OPTION_CLIENT_CERTIFICATE = 4,
  OPTION_CLOSE = 8, /* the owner closes the connection at its first bytes */
  OPTION_ANSWER = 16,
};

enum step {
  STEP_WIRE,      /* bytes as they are */
  STEP_HELD,      /* the same, and the handshake's turn comes later */
  STEP_WRITE,     /* the client's data */
  STEP_WRITE_CUT, /* the same, in pieces of so many bytes as the first byte says */
  STEP_SPOIL,     /* the client's data, one byte of which is changed */
  STEP_UPDATE,    /* a key update */
  STEP_RENEGOTIATE,
  STEP_SHUT,
  STEP_END_WIRE,
  STEP_SEAL,
  STEP_END,
  STEP_COUNT
};

static wh_tls *endpoints[2];
static SSL_CTX *clients[2];
static credential server_credential, client_credential;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void prepare(void) {
  server_credential = make_credential("a.example", NULL, 0);
  client_credential = make_credential("client", NULL, CA);
  text both = pem_of(&server_credential, NULL, server_credential.key, NULL);
  text authority = pem_of(&client_credential, NULL, NULL, NULL);
  wh_tls_identity identity = identity_of(&both);
  wh_tls_host hosts[] = {
      {.name = "*", .identities = &identity, .identity_count = 1},
      {.name = "*.b", .identities = &identity, .identity_count = 1, .protocols = WH_PROTOCOL_HTTP2},
  };
  wh_tls_settings settings = {.hosts = hosts, .host_count = 2, .protocols = 3, .tickets = 1};
  for (int i = 0; i < 2; i++) {
    hosts[0].client_mode = i ? WH_TLS_CLIENT_REQUIRE : WH_TLS_CLIENT_NONE;
    hosts[0].authorities = authority.bytes;
    hosts[0].authorities_length = authority.length;
    endpoints[i] = make_tls(&settings);
    clients[i] = client_context();
    SSL_CTX_use_certificate(clients[i], client_credential.certificate);
    SSL_CTX_use_PrivateKey(clients[i], client_credential.key);
  }
  SSL_CTX_set_max_proto_version(clients[1], TLS1_2_VERSION);
  free(both.bytes);
  free(authority.bytes);
}

static void close_it(endpoint *e) { wh_connection_close(&e->connection, 0); }

static ssize_t seal_some(endpoint *e, const uint8_t *bytes, size_t length) {
  if (e->connection.closed) return WH_ERR_CLOSED;
  ssize_t taken = e->filter->type->seal(e->filter, bytes, length, &world_wire);
  assert_true(taken <= (ssize_t)length);
  wh_connection_send_wire(&e->connection);
  return taken;
}

static void answer_it(endpoint *e) {
  if (e->ends == 0) seal_some(e, (const uint8_t *)"answer", 6);
}

/* What the client has written and not sent yet. */
static size_t pending(endpoint *e, uint8_t **out) {
  return (size_t)BIO_get_mem_data(e->from_client, out);
}

static void write_as_client(endpoint *e, const uint8_t *bytes, size_t length) {
  size_t written = 0;
  if (length > 0) SSL_write_ex(e->client, bytes, length, &written);
  ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0 || size > 8192) return 0;
  if (endpoints[0] == NULL) prepare();
  unsigned options = data[0];
  int version = (options & OPTION_TLS12) != 0;
  endpoint *e = connect_to(endpoints[(options & OPTION_CLIENT_CERTIFICATE) != 0], clients[version]);
  int honest = !(options & (OPTION_FRESH | OPTION_CLOSE));
  if (!(options & OPTION_FRESH)) assert_true(shake_hands(e, 0));
  if (options & OPTION_CLOSE) e->on_plain = close_it;
  if (options & OPTION_ANSWER && !(options & OPTION_CLOSE)) e->on_plain = answer_it;
  uint8_t *said = malloc(2 * 8192);
  size_t said_length = 0;
  for (size_t at = 1; at + 2 <= size;) {
    unsigned step = data[at] % STEP_COUNT;
    size_t length = data[at + 1];
    /* Long pieces are rare: sixteen times as much. */
    if (data[at] >= 128) length *= 16;
    at += 2;
    if (length > size - at) length = size - at;
    const uint8_t *bytes = data + at;
    at += length;
    uint8_t *made;
    switch (step) {
    case STEP_WIRE:
    case STEP_HELD:
      if (length > 0) honest = 0;
      if (length > 0) wire_brings(e, bytes, length);
      if (step == STEP_WIRE) handshake_if_due(e);
      break;
    case STEP_WRITE:
    case STEP_WRITE_CUT:
      if (options & OPTION_FRESH) break;
      if (SSL_get_shutdown(e->client) & SSL_SENT_SHUTDOWN) honest = 0;
      write_as_client(e, bytes, length);
      if (honest) memcpy(said + said_length, bytes, length);
      if (honest) said_length += length;
      deliver(e, step == STEP_WRITE || length == 0 ? 0 : bytes[0]);
      break;
    case STEP_SPOIL:
      if (options & OPTION_FRESH || length < 2) break;
      honest = 0;
      write_as_client(e, bytes, length);
      if (pending(e, &made) > bytes[0]) made[bytes[0]] ^= bytes[1];
      deliver(e, 0);
      break;
    case STEP_UPDATE:
      if (options & OPTION_FRESH) break;
      SSL_key_update(e->client, length & 1);
      SSL_do_handshake(e->client);
      ERR_clear_error();
      deliver(e, length & 2);
      break;
    case STEP_RENEGOTIATE:
      if (options & OPTION_FRESH || !version) break;
      honest = 0;
      SSL_renegotiate(e->client);
      SSL_do_handshake(e->client);
      ERR_clear_error();
      deliver(e, 0);
      break;
    case STEP_SHUT:
      if (options & OPTION_FRESH) break;
      SSL_shutdown(e->client);
      ERR_clear_error();
      deliver(e, 0);
      break;
    case STEP_END_WIRE:
      honest = 0;
      wire_brings(e, NULL, 0);
      handshake_if_due(e);
      break;
    case STEP_SEAL: seal_some(e, bytes, length); break;
    default:
      if (!e->connection.closed) server_ends(e);
      break;
    }
    if (e->connection.closed) break;
  }
  handshake_if_due(e);
  /* Key updates without end close a connection; nothing else that an honest client does. */
  if (honest && !e->connection.closed) {
    assert_int_equal(e->plain_length, said_length);
    assert_memory_equal(e->plain == NULL ? (uint8_t *)"" : e->plain, said, said_length);
  }
  free(said);
  disconnect(e);
  return 0;
}
