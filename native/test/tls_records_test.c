/* Records after the handshake: data both ways in all pieces, ends, and what a peer does wrong. */
#include "tls_world.h"
#include "tls/tls_internal.h"

static credential ec;
static text ec_pem;
static wh_tls *tls;
/* TLS 1.2 and 1.3 by OpenSSL's record layer, and TLS 1.3 by our own with each cipher. */
enum { TLS12, TLS13, DIRECT, DIRECT_256, DIRECT_CHACHA, KINDS };
static const char *const suites[KINDS] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256",
                                          "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                          "TLS_CHACHA20_POLY1305_SHA256"};
static SSL_CTX *contexts[KINDS];

static int set_up(void **state) {
  (void)state;
  ec = make_credential("a.example", NULL, 0);
  ec_pem = pem_of(&ec, NULL, ec.key, NULL);
  wh_tls_identity identity = identity_of(&ec_pem);
  wh_tls_host host = {.name = "*", .identities = &identity, .identity_count = 1};
  wh_tls_settings settings = {.hosts = &host,
                              .host_count = 1,
                              .protocols = 3,
                              .tickets = 1,
                              .cipher_suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_"
                                               "CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256"};
  tls = make_tls(&settings);
  for (int i = 0; i < KINDS; i++) {
    contexts[i] = client_context();
    SSL_CTX_set_max_proto_version(contexts[i], i == TLS12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    assert_int_equal(SSL_CTX_set_ciphersuites(contexts[i], suites[i]), 1);
    SSL_CTX_set_info_callback(contexts[i], note_alert);
  }
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  free_credential(&ec);
  free(ec_pem.bytes);
  wh_tls_release(tls);
  for (int i = 0; i < KINDS; i++) SSL_CTX_free(contexts[i]);
  end_world();
  return 0;
}

static endpoint *open_endpoint(int version) {
  endpoint *e = connect_to(tls, contexts[version]);
  last_alert = -1;
  assert_true(shake_hands(e, 0));
  return e;
}

static uint8_t *make_bytes(size_t length) {
  uint8_t *made = malloc(length);
  for (size_t i = 0; i < length; i++) made[i] = (uint8_t)(i * 13 + i / 257);
  return made;
}

static void forget(endpoint *e) {
  free(e->plain);
  e->plain = NULL;
  e->plain_length = e->pieces = 0;
}

static void data_in(void **state) {
  (void)state;
  static const size_t lengths[] = {1, 2, 100, 16383, 16384, 16385, 50000, 300000};
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
      uint8_t *bytes = make_bytes(lengths[i]);
      static const size_t pieces[] = {0, 1, 4, 5, 6, 21, 1000, 16384, 16406, 40000};
      for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        if (lengths[i] > 50000 && pieces[p] > 0 && pieces[p] < 1000) continue;
        assert_int_equal(SSL_write(e->client, bytes, (int)lengths[i]), lengths[i]);
        deliver(e, pieces[p]);
        assert_int_equal(e->plain_length, lengths[i]);
        assert_memory_equal(e->plain, bytes, lengths[i]);
        /* What one read brings is one piece, however many records it has. */
        if (pieces[p] == 0) assert_int_equal(e->pieces, 1);
        forget(e);
      }
      free(bytes);
    }
    assert_talks(e);
    disconnect(e);
  }
}

/* Our own record layer does what it can do: else the tests of it would be of OpenSSL's. */
static void takes_over(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    assert_int_equal(((tls_filter *)e->filter)->direct != NULL, version >= DIRECT);
    disconnect(e);
  }
}

/* Many small records, cut at every byte. */
static void records_cut(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    size_t total = 1;
    for (size_t cut = 1; cut < total; cut++) {
      for (int i = 0; i < 5; i++)
        assert_int_equal(SSL_write(e->client, "abc", i % 3 + 1), i % 3 + 1);
      char *data;
      total = (size_t)BIO_get_mem_data(e->from_client, &data);
      char *copy = malloc(total);
      memcpy(copy, data, total);
      BIO_reset(e->from_client);
      wire_brings(e, copy, cut);
      wire_brings(e, copy + cut, total - cut);
      free(copy);
      assert_int_equal(e->plain_length, 9);
      assert_memory_equal(e->plain, "aababcaab", 9);
      assert_true(e->pieces <= 2);
      forget(e);
    }
    disconnect(e);
  }
}

static void data_out(void **state) {
  (void)state;
  static const size_t lengths[] = {1, 100, 16383, 16384, 16385, 65536, 300000};
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
      uint8_t *bytes = make_bytes(lengths[i]), *got = malloc(lengths[i] + 1);
      server_says(e, bytes, lengths[i]);
      size_t have = 0;
      int n;
      while ((n = SSL_read(e->client, got + have, (int)(lengths[i] + 1 - have))) > 0)
        have += (size_t)n;
      ERR_clear_error();
      assert_int_equal(have, lengths[i]);
      assert_memory_equal(got, bytes, have);
      free(bytes);
      free(got);
    }
    assert_int_equal(e->filter->type->seal(e->filter, (const uint8_t *)"", 0, &world_wire), 0);
    disconnect(e);
  }
}

/* A ticket leaves with the first data, and costs no send of its own. */
static void sends(void **state) {
  (void)state;
  for (int version = TLS13; version < KINDS; version++) {
    endpoint *e = connect_to(tls, contexts[version]);
    assert_true(shake_hands(e, 0));
    assert_int_equal(e->sends, 1);
    assert_talks(e);
    assert_int_equal(e->sends, 2);
    disconnect(e);
  }
  endpoint *e = connect_to(tls, contexts[TLS12]);
  assert_true(shake_hands(e, 0));
  assert_int_equal(e->sends, 2);
  assert_talks(e);
  assert_int_equal(e->sends, 3);
  disconnect(e);
}

static void clients_end(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    SSL_write(e->client, "last", 4);
    SSL_shutdown(e->client);
    deliver(e, 0);
    assert_int_equal(e->plain_length, 4);
    assert_int_equal(e->ends, 1);
    assert_false(e->connection.closed);
    /* Nothing more is handed on, and the end is told once; we may go on. */
    wire_brings(e, "\x17\x03\x03\x00\x01x", 6);
    wire_brings(e, NULL, 0);
    wire_brings(e, NULL, 0);
    assert_int_equal(e->plain_length, 4);
    server_says(e, "answer", 6);
    server_ends(e);
    char got[16];
    assert_int_equal(SSL_read(e->client, got, sizeof got), 6);
    assert_int_equal(SSL_read(e->client, got, sizeof got), 0);
    assert_int_equal(SSL_get_error(e->client, 0), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(e->filter->type->seal(e->filter, (const uint8_t *)"x", 1, &world_wire),
                     WH_ERR_CLOSED);
    disconnect(e);
  }
}

static void wires_end(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    SSL_write(e->client, "half", 4);
    char *data;
    long length = BIO_get_mem_data(e->from_client, &data);
    wire_brings(e, data, (size_t)length - 1);
    BIO_reset(e->from_client);
    wire_brings(e, NULL, 0);
    assert_int_equal(e->ends, 1);
    assert_int_equal(e->plain_length, 0);
    disconnect(e);
  }
}

/* Our end first; the client goes on. */
static void our_end(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    server_ends(e);
    uint64_t sent = e->wire_bytes;
    server_ends(e);
    assert_int_equal(e->wire_bytes, sent);
    SSL_write(e->client, "more", 4);
    deliver(e, 0);
    assert_int_equal(e->plain_length, 4);
    SSL_shutdown(e->client);
    deliver(e, 0);
    assert_int_equal(e->ends, 1);
    disconnect(e);
  }
}

static void close_at_once(endpoint *e) { wh_connection_close(&e->connection, 0); }

/* The owner closes the connection when it gets its bytes. */
static void owner_closes(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    e->on_plain = close_at_once;
    SSL_write(e->client, "last", 4);
    SSL_shutdown(e->client);
    deliver(e, 0);
    assert_int_equal(e->plain_length, 4);
    assert_int_equal(e->ends, 0);
    disconnect(e);
  }
}

static void answer_at_once(endpoint *e) {
  if (e->ends == 0) server_says(e, "yes", 3);
}

static void owner_answers(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    e->on_plain = answer_at_once;
    char got[8];
    for (int i = 0; i < 3; i++) {
      SSL_write(e->client, "?", 1);
      deliver(e, i == 1 ? 1 : 0);
      assert_int_equal(SSL_read(e->client, got, sizeof got), 3);
    }
    disconnect(e);
  }
}

/* Every byte of a record, wrong in turn. */
static void records_spoilt(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    size_t total = 1;
    for (size_t i = 0; i < total; i++) {
      endpoint *e = open_endpoint(version);
      SSL_write(e->client, "first", 5);
      deliver(e, 0);
      SSL_write(e->client, "second", 6);
      uint8_t *data;
      total = (size_t)BIO_get_mem_data(e->from_client, &data);
      data[i] ^= 0x11;
      deliver(e, 0);
      wire_brings(e, NULL, 0);
      /* A longer length waits for bytes that never come. */
      assert_true(e->connection.closed || (e->ends == 1 && (i == 3 || i == 4)));
      assert_int_equal(e->plain_length, 5);
      if (e->connection.closed) {
        char got[8];
        assert_true(SSL_read(e->client, got, sizeof got) <= 0);
        ERR_clear_error();
        assert_int_not_equal(last_alert, -1);
        assert_int_equal(e->filter->type->seal(e->filter, (const uint8_t *)"x", 1, &world_wire),
                         WH_ERR_CLOSED);
        server_ends(e);
      }
      assert_int_equal(e->fails, 0);
      disconnect(e);
    }
  }
}

/* Good data before what is wrong is handed on. */
static void garbage_behind_data(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    SSL_write(e->client, "good", 4);
    char *data;
    size_t length = (size_t)BIO_get_mem_data(e->from_client, &data);
    uint8_t *both = malloc(length + 100);
    memcpy(both, data, length);
    memset(both + length, 0x17, 100);
    BIO_reset(e->from_client);
    wire_brings(e, both, length + 100);
    free(both);
    assert_int_equal(e->plain_length, 4);
    assert_true(e->connection.closed);
    assert_int_equal(e->reset, 1);
    assert_int_equal(e->ends, 0);
    disconnect(e);
  }
}

/* A client that gives up says so. */
static void fatal_alert(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    /* Whatever the server says, the client cannot read it. */
    static const uint8_t nonsense[] = "\x17\x03\x03\x00\x20"
                                      "12345678901234567890123456789012";
    BIO_write(e->to_client, nonsense, sizeof nonsense - 1);
    char got[8];
    assert_int_equal(SSL_read(e->client, got, sizeof got), -1);
    ERR_clear_error();
    assert_true(deliver(e, 0));
    assert_true(e->connection.closed);
    assert_int_equal(e->ends, 0);
    disconnect(e);
  }
}

static void update_keys(int version) {
  endpoint *e = open_endpoint(version);
  for (int i = 0; i < 500; i++) {
    assert_true(
        SSL_key_update(e->client, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED));
    assert_talks(e);
  }
  disconnect(e);
  /* With no data between, asked for an answer or not: ended. */
  for (int asks = 0; asks < 2; asks++) {
    for (int at_once = 0; at_once < 2; at_once++) {
      e = open_endpoint(version);
      uint64_t before = e->wire_bytes;
      int count = 0;
      for (; count < 5000 && !e->connection.closed; count++) {
        SSL_key_update(e->client, asks ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
        SSL_do_handshake(e->client);
        ERR_clear_error();
        if (!at_once) deliver(e, 0);
      }
      deliver(e, 0);
      assert_true(e->connection.closed);
      assert_true(at_once || count < 200);
      assert_true(e->wire_bytes - before < 10000);
      disconnect(e);
    }
  }
}

static void key_updates(void **state) {
  (void)state;
  for (int version = TLS13; version < KINDS; version++) update_keys(version);
}

/* Half a key update: what the server wants to write waits for the other half. */
static void half_a_key_update(void **state) {
  (void)state;
  for (int version = TLS13; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    /* Records of one byte cut the message. */
    SSL_set_split_send_fragment(e->client, 512);
    SSL_set_max_send_fragment(e->client, 512);
    SSL_key_update(e->client, SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(e->client);
    char *data;
    size_t length = (size_t)BIO_get_mem_data(e->from_client, &data);
    char *copy = malloc(length);
    memcpy(copy, data, length);
    BIO_reset(e->from_client);
    wire_brings(e, copy, length - 3);
    server_says(e, "one", 3);
    wire_brings(e, copy + length - 3, 3);
    free(copy);
    server_says(e, "two", 3);
    char got[8];
    assert_int_equal(SSL_read(e->client, got, 3), 3);
    assert_int_equal(SSL_read(e->client, got, 3), 3);
    assert_talks(e);
    disconnect(e);
  }
}

static void renegotiation(void **state) {
  (void)state;
  endpoint *e = open_endpoint(0);
  SSL_CTX_set_options(contexts[0], SSL_OP_LEGACY_SERVER_CONNECT);
  SSL_clear_options(e->client, SSL_OP_NO_RENEGOTIATION);
  assert_int_equal(SSL_renegotiate(e->client), 1);
  SSL_do_handshake(e->client);
  ERR_clear_error();
  assert_true(deliver(e, 0));
  assert_true(e->connection.closed);
  disconnect(e);
}

/* Warnings and empty records: OpenSSL allows few of them, and they cost no memory. */
static void empty_records(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    uint64_t before = e->wire_bytes;
    int count = 0;
    for (; count < 1000 && !e->connection.closed; count++) {
      size_t written;
      SSL_set_mode(e->client, SSL_MODE_ENABLE_PARTIAL_WRITE);
      SSL_write_ex(e->client, "", 0, &written);
      ERR_clear_error();
      deliver(e, 0);
    }
    assert_true(e->wire_bytes - before < 1000);
    disconnect(e);
  }
}

/* A peer that makes us answer and never reads: the connection keeps what is unsent, and that is bounded. */
static void unread_answers(void **state) {
  (void)state;
  endpoint *e = open_endpoint(TLS13);
  for (int i = 0; i < 3; i++) {
    assert_false(e->connection.closed);
    SSL_key_update(e->client, SSL_KEY_UPDATE_REQUESTED);
    SSL_write(e->client, "x", 1);
    deliver(e, 0);
    /* As the connection would have it. OpenSSL answers an update when there is data, or the next one. */
    e->filter->unsent_length += 200000;
  }
  assert_true(e->connection.closed);
  disconnect(e);
}

static void no_wire(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = open_endpoint(version);
    wire_has_no_room = 1;
    assert_int_equal(e->filter->type->seal(e->filter, (const uint8_t *)"x", 1, &world_wire),
                     WH_ERR_NO_MEMORY);
    e->filter->type->end(e->filter, &world_wire);
    wire_has_no_room = 0;
    disconnect(e);
    e = open_endpoint(version);
    wire_has_no_room = 1;
    wire_brings(e, "\x17\x03\x03\x00\x18 123456789 123456789 123", 29);
    wire_has_no_room = 0;
    assert_true(e->connection.closed);
    disconnect(e);
  }
}

/* Errors that others left in the thread's queue are not taken for ours. */
static void others_errors(void **state) {
  (void)state;
  for (int version = 0; version < KINDS; version++) {
    endpoint *e = connect_to(tls, contexts[version]);
    SSL_do_handshake(e->client);
    char *data;
    for (int i = 0; i < 3; i++) {
      size_t length = (size_t)BIO_get_mem_data(e->from_client, &data);
      char *copy = malloc(length);
      BIO_read(e->from_client, copy, (int)length);
      ERR_raise(ERR_LIB_X509, X509_R_INVALID_DIRECTORY);
      e->filter->type->receive(e->filter, &e->connection, (uint8_t *)copy, length);
      free(copy);
      handshake_if_due(e);
      if (SSL_do_handshake(e->client) == 1 && e->protocol != 0) break;
      ERR_clear_error();
    }
    assert_int_not_equal(e->protocol, 0);
    for (size_t cut = 1; cut < 20; cut++) {
      SSL_write(e->client, "x", 1);
      uint8_t *arena = malloc(1000 + WH_FILTER_SPARE);
      size_t length = (size_t)BIO_read(e->from_client, arena, 500), rest = length - cut;
      uint8_t copy[500];
      memcpy(copy, arena + cut, rest);
      ERR_raise(ERR_LIB_X509, X509_R_INVALID_DIRECTORY);
      e->filter->type->receive(e->filter, &e->connection, arena, cut);
      memcpy(arena, copy, rest);
      ERR_raise(ERR_LIB_X509, X509_R_INVALID_DIRECTORY);
      e->filter->type->receive(e->filter, &e->connection, arena, rest);
      free(arena);
      assert_false(e->connection.closed);
      assert_int_equal(e->plain_length, cut);
    }
    ERR_clear_error();
    disconnect(e);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_over),
      cmocka_unit_test(data_in),
      cmocka_unit_test(records_cut),
      cmocka_unit_test(data_out),
      cmocka_unit_test(sends),
      cmocka_unit_test(clients_end),
      cmocka_unit_test(wires_end),
      cmocka_unit_test(our_end),
      cmocka_unit_test(owner_closes),
      cmocka_unit_test(owner_answers),
      cmocka_unit_test(records_spoilt),
      cmocka_unit_test(garbage_behind_data),
      cmocka_unit_test(fatal_alert),
      cmocka_unit_test(key_updates),
      cmocka_unit_test(half_a_key_update),
      cmocka_unit_test(renegotiation),
      cmocka_unit_test(empty_records),
      cmocka_unit_test(unread_answers),
      cmocka_unit_test(no_wire),
      cmocka_unit_test(others_errors),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
