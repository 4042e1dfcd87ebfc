/* Handshakes: versions, ciphers, ALPN, names, resumption, and what is refused. */
#include "tls_world.h"

static credential ec, ec_other;
static text ec_pem, ec_other_pem;

static int set_up(void **state) {
  (void)state;
  ec = make_credential("a.example", NULL, 0);
  ec_other = make_credential("other", NULL, 0);
  ec_pem = pem_of(&ec, NULL, ec.key, NULL);
  ec_other_pem = pem_of(&ec_other, NULL, ec_other.key, NULL);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  free_credential(&ec);
  free_credential(&ec_other);
  free(ec_pem.bytes);
  free(ec_other_pem.bytes);
  end_world();
  return 0;
}

/* An endpoint of one site, "*". */
static wh_tls *simple(unsigned protocols, int tickets) {
  wh_tls_identity identity = identity_of(&ec_pem);
  wh_tls_host host = {.name = "*", .identities = &identity, .identity_count = 1};
  wh_tls_settings settings = {
      .hosts = &host, .host_count = 1, .protocols = protocols, .tickets = tickets};
  return make_tls(&settings);
}

static void offer(SSL *client, const char *protocols) {
  uint8_t list[256];
  size_t at = 0;
  while (*protocols != '\0') {
    size_t length = strcspn(protocols, " ");
    list[at++] = (uint8_t)length;
    memcpy(list + at, protocols, length);
    at += length;
    protocols += length + (protocols[length] == ' ');
  }
  assert_int_equal(SSL_set_alpn_protos(client, list, (unsigned)at), 0);
}

static void versions(void **state) {
  (void)state;
  static const int all[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
  wh_tls *tls = simple(WH_PROTOCOL_HTTP1, 1);
  for (size_t i = 0; i < 4; i++) {
    SSL_CTX *context = client_context();
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, all[i]);
    SSL_CTX_set_max_proto_version(context, all[i]);
    SSL_CTX_set_info_callback(context, note_alert);
    last_alert = -1;
    endpoint *e = connect_to(tls, context);
    int good = shake_hands(e, 0);
    assert_int_equal(good, i >= 2);
    if (good) {
      assert_talks(e);
      wh_tls_facts known = facts(e);
      assert_string_equal(known.protocol, i == 2 ? "TLSv1.2" : "TLSv1.3");
      assert_string_equal(known.cipher,
                          i == 2 ? "ECDHE-ECDSA-AES128-GCM-SHA256" : "TLS_AES_128_GCM_SHA256");
      assert_int_equal(known.cipher_bits, 128);
      assert_string_equal(known.host_name, "");
      assert_string_equal(known.alpn, "");
      assert_string_equal(known.group, "x25519");
      assert_int_equal(known.resumed, 0);
      assert_int_equal(known.verified, -1);
      uint8_t ours[32], theirs[32];
      assert_int_equal(wh_tls_channel_binding(e->filter, ours), WH_OK);
      SSL_export_keying_material(e->client, theirs, 32, "EXPORTER-Channel-Binding", 24,
                                 (const unsigned char *)"", 0, 1);
      assert_memory_equal(ours, theirs, 32);
    } else {
      assert_int_equal(last_alert, SSL_AD_PROTOCOL_VERSION);
      assert_int_equal(e->fails, 1);
      assert_true(e->connection.closed);
    }
    disconnect(e);
    SSL_CTX_free(context);
  }
  wh_tls_release(tls);
}

static void protocols(void **state) {
  (void)state;
  static const struct {
    unsigned endpoint;
    const char *offered; /* NULL: no ALPN */
    unsigned expected;
    const char *name;
  } cases[] = {
      {3, "h2 http/1.1", WH_PROTOCOL_HTTP2, "h2"},
      {3, "http/1.1 h2", WH_PROTOCOL_HTTP2, "h2"},
      {3, "http/1.1", WH_PROTOCOL_HTTP1, "http/1.1"},
      {3, "spdy/3 http/1.1", WH_PROTOCOL_HTTP1, "http/1.1"},
      {3, NULL, WH_PROTOCOL_HTTP1, ""},
      {3, "spdy/3", 0, ""},
      {1, "h2 http/1.1", WH_PROTOCOL_HTTP1, "http/1.1"},
      {1, "h2", 0, ""},
      {1, NULL, WH_PROTOCOL_HTTP1, ""},
      {2, "h2", WH_PROTOCOL_HTTP2, "h2"},
      {2, "http/1.1", 0, ""},
      {2, NULL, 0, ""},
  };
  for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
    size_t n = i / 2;
    wh_tls *tls = simple(cases[n].endpoint, 1);
    SSL_CTX *context = client_context();
    if (i % 2) SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_info_callback(context, note_alert);
    last_alert = -1;
    endpoint *e = connect_to(tls, context);
    if (cases[n].offered != NULL) offer(e->client, cases[n].offered);
    assert_int_equal(shake_hands(e, 0), cases[n].expected != 0);
    assert_int_equal(e->protocol, cases[n].expected);
    if (cases[n].expected != 0) {
      assert_string_equal(facts(e).alpn, cases[n].name);
      assert_talks(e);
    } else {
      assert_int_equal(last_alert, SSL_AD_NO_APPLICATION_PROTOCOL);
      assert_string_equal(e->reason, "no application protocol");
    }
    disconnect(e);
    SSL_CTX_free(context);
    wh_tls_release(tls);
  }
}

static void names(void **state) {
  (void)state;
  static const char *const hosts[] = {"a.example", "*.example", "*.b.example", "*.B.example.org",
                                      "x"};
  static const struct {
    const char *named;
    int site; /* index above; 5 = "*", where there is one, else refused */
  } cases[] = {
      {"a.example", 0},
      {"A.Example", 0},
      {"b.example", 1},
      {"c.a.example", 1},
      {"c.b.example", 2},
      {"d.C.B.eXample", 2},
      {"example", 5},
      {"y.b.example.org", 3},
      {"b.example.org", 5},
      {"x", 4},
      {"xx", 5},
      {NULL, 5},
      {"a.example.other", 5},
      {"longer.than.a.example", 1},
  };
  credential made[6];
  text pem[6];
  wh_tls_identity identities[6];
  wh_tls_host list[6];
  memset(list, 0, sizeof list);
  for (int i = 0; i < 6; i++) {
    made[i] = make_credential(i == 5 ? "*" : hosts[i], NULL, 0);
    pem[i] = pem_of(&made[i], NULL, made[i].key, NULL);
    identities[i] = identity_of(&pem[i]);
    list[i].name = i == 5 ? "*" : hosts[i];
    list[i].identities = &identities[i];
    list[i].identity_count = 1;
  }
  for (size_t with_default = 0; with_default < 2; with_default++) {
    wh_tls_settings settings = {.hosts = list, .host_count = 5 + with_default, .protocols = 1};
    wh_tls *tls = make_tls(&settings);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
      size_t n = i / 2;
      SSL_CTX *context = client_context();
      if (i % 2) SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
      SSL_CTX_set_info_callback(context, note_alert);
      last_alert = -1;
      endpoint *e = connect_to(tls, context);
      if (cases[n].named != NULL) SSL_set_tlsext_host_name(e->client, cases[n].named);
      int expected = cases[n].site < 5 || with_default;
      assert_int_equal(shake_hands(e, 0), expected);
      if (expected) {
        X509 *shown = SSL_get1_peer_certificate(e->client);
        assert_int_equal(X509_cmp(shown, made[cases[n].site].certificate), 0);
        X509_free(shown);
        const char *known = facts(e).host_name;
        assert_int_equal(strcasecmp(known, cases[n].named == NULL ? "" : cases[n].named), 0);
        for (const char *c = known; *c != '\0'; c++) assert_false(*c >= 'A' && *c <= 'Z');
        assert_talks(e);
      } else {
        assert_int_equal(last_alert, SSL_AD_UNRECOGNIZED_NAME);
        assert_string_equal(e->reason, "no certificate for this server name");
      }
      disconnect(e);
      SSL_CTX_free(context);
    }
    wh_tls_release(tls);
  }
  for (int i = 0; i < 6; i++) {
    free_credential(&made[i]);
    free(pem[i].bytes);
  }
}

/* Versions, protocols and client mode are the named host's, not those of the one that comes first. */
static void rules_of_a_site(void **state) {
  (void)state;
  wh_tls_identity identity = identity_of(&ec_pem);
  wh_tls_host hosts[] = {
      {.name = "*", .identities = &identity, .identity_count = 1, .any_client_certificate = 1},
      {.name = "old", .identities = &identity, .identity_count = 1, .greatest_version = 0x0303},
      {.name = "new", .identities = &identity, .identity_count = 1, .least_version = 0x0304},
      {.name = "two", .identities = &identity, .identity_count = 1, .protocols = WH_PROTOCOL_HTTP2},
      {.name = "closed",
       .identities = &identity,
       .identity_count = 1,
       .client_mode = WH_TLS_CLIENT_REQUIRE,
       .authorities = ec_other_pem.bytes,
       .authorities_length = ec_other_pem.length},
  };
  wh_tls_settings settings = {.hosts = hosts, .host_count = 5, .protocols = 3};
  wh_tls *tls = make_tls(&settings);
  static const struct {
    const char *name;
    int most; /* version of the client */
    const char *offered, *expected;
    int alert;
  } cases[] = {
      {"any", TLS1_3_VERSION, "h2 http/1.1", "TLSv1.3", 0},
      {"old", TLS1_3_VERSION, "h2", "TLSv1.2", 0},
      {"new", TLS1_3_VERSION, "h2", "TLSv1.3", 0},
      {"new", TLS1_2_VERSION, "h2", NULL, SSL_AD_PROTOCOL_VERSION},
      {"two", TLS1_3_VERSION, "http/1.1 h2", "TLSv1.3", 0},
      {"two", TLS1_3_VERSION, "http/1.1", NULL, SSL_AD_NO_APPLICATION_PROTOCOL},
      {"closed", TLS1_2_VERSION, "h2", NULL, SSL_AD_HANDSHAKE_FAILURE},
      {"closed", TLS1_3_VERSION, "h2", NULL, 116 /* certificate_required */},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    SSL_CTX *context = client_context();
    SSL_CTX_set_max_proto_version(context, cases[i].most);
    SSL_CTX_set_info_callback(context, note_alert);
    last_alert = -1;
    endpoint *e = connect_to(tls, context);
    SSL_set_tlsext_host_name(e->client, cases[i].name);
    offer(e->client, cases[i].offered);
    int good = shake_hands(e, 0);
    if (cases[i].expected != NULL) {
      assert_true(good);
      assert_string_equal(facts(e).protocol, cases[i].expected);
      assert_talks(e);
    } else {
      char ignored[8];
      assert_int_equal(e->fails, 1);
      SSL_read(e->client, ignored, sizeof ignored);
      ERR_clear_error();
      assert_int_equal(last_alert, cases[i].alert);
    }
    disconnect(e);
    SSL_CTX_free(context);
  }
  wh_tls_release(tls);
}

static void every_byte_alone(void **state) {
  (void)state;
  wh_tls *tls = simple(3, 1);
  for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
    SSL_CTX *context = client_context();
    SSL_CTX_set_max_proto_version(context, version);
    for (size_t piece = 1; piece < 8; piece++) {
      endpoint *e = connect_to(tls, context);
      assert_true(shake_hands(e, piece));
      assert_talks(e);
      disconnect(e);
    }
    SSL_CTX_free(context);
  }
  wh_tls_release(tls);
}

/* The client's last flight, its request and its end come in one read. */
static void data_behind_the_handshake(void **state) {
  (void)state;
  wh_tls *tls = simple(3, 1);
  for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
    for (int way = 0; way < 2; way++) {
      SSL_CTX *context = client_context();
      SSL_CTX_set_max_proto_version(context, version);
      endpoint *e = connect_to(tls, context);
      static char body[200000];
      for (size_t i = 0; i < sizeof body; i++) body[i] = (char)(i * 7 + i / 251);
      SSL_do_handshake(e->client);
      deliver(e, 0);
      SSL_do_handshake(e->client);
      if (version == TLS1_2_VERSION) {
        deliver(e, 0);
        SSL_do_handshake(e->client);
      }
      assert_true(SSL_is_init_finished(e->client));
      assert_int_equal(SSL_write(e->client, body, sizeof body), sizeof body);
      SSL_shutdown(e->client);
      /* All of it comes before the handshake has its turn. */
      char *data;
      size_t length = (size_t)BIO_get_mem_data(e->from_client, &data);
      if (way == 0) {
        wire_brings(e, data, length);
      } else {
        for (size_t at = 0; at < length; at += 10000) {
          wire_brings(e, data + at, length - at < 10000 ? length - at : 10000);
        }
      }
      BIO_reset(e->from_client);
      wire_brings(e, NULL, 0);
      if (version == TLS1_3_VERSION) {
        assert_false(e->connection.reading);
        assert_int_equal(e->plain_length, 0);
        handshake_if_due(e);
        assert_true(e->connection.reading);
        assert_int_equal(e->pieces, 1);
      }
      assert_int_equal(e->plain_length, sizeof body);
      assert_memory_equal(e->plain, body, sizeof body);
      assert_int_equal(e->ends, 1);
      server_says(e, "late", 4);
      server_ends(e);
      char got[8];
      assert_int_equal(SSL_read(e->client, got, sizeof got), 4);
      assert_int_equal(SSL_read(e->client, got, sizeof got), 0);
      assert_int_equal(SSL_get_shutdown(e->client) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
      disconnect(e);
      SSL_CTX_free(context);
    }
  }
  wh_tls_release(tls);
}

static SSL_SESSION *session_kept;
static int keep_session(SSL *ssl, SSL_SESSION *session) {
  (void)ssl;
  SSL_SESSION_free(session_kept);
  session_kept = session;
  return 1;
}

/* A connection with the session of the last one; whether it was resumed. */
static int resumes(wh_tls *tls, SSL_CTX *context, const char *name) {
  endpoint *e = connect_to(tls, context);
  if (name != NULL) SSL_set_tlsext_host_name(e->client, name);
  if (session_kept != NULL) SSL_set_session(e->client, session_kept);
  assert_true(shake_hands(e, 0));
  assert_talks(e);
  int resumed = facts(e).resumed;
  assert_int_equal(resumed, SSL_session_reused(e->client));
  /* A ticket renewed by TLS 1.2 is told by nobody. */
  if (resumed && SSL_version(e->client) == TLS1_2_VERSION) {
    keep_session(NULL, SSL_get1_session(e->client));
  }
  disconnect(e);
  return resumed;
}

static void resumption(void **state) {
  (void)state;
  for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
    SSL_CTX *context = client_context();
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    wh_tls *tls = simple(3, 1);
    assert_false(resumes(tls, context, NULL));
    assert_non_null(session_kept);
    assert_true(resumes(tls, context, NULL));
    assert_true(resumes(tls, context, NULL));
    /* A new key: the one before still opens, the one before that does not. */
    SSL_SESSION *first = SSL_SESSION_dup(session_kept);
    assert_int_equal(wh_tls_set_ticket_keys(tls, NULL, 0), WH_OK);
    assert_true(resumes(tls, context, NULL));
    assert_int_equal(wh_tls_set_ticket_keys(tls, NULL, 0), WH_OK);
    assert_true(resumes(tls, context, NULL));
    SSL_SESSION_free(session_kept);
    session_kept = first;
    assert_false(resumes(tls, context, NULL));
    /* Keys of one's own: what another process sealed with them opens here. */
    uint8_t keys[2 * WH_TLS_TICKET_KEY_SIZE];
    for (size_t i = 0; i < sizeof keys; i++) keys[i] = (uint8_t)(i * 31 + (size_t)version);
    wh_tls *second = simple(3, 1);
    assert_false(resumes(second, context, NULL));
    assert_int_equal(wh_tls_set_ticket_keys(tls, keys, 1), WH_OK);
    assert_int_equal(wh_tls_set_ticket_keys(second, keys, 1), WH_OK);
    assert_false(resumes(tls, context, NULL));
    assert_true(resumes(second, context, NULL));
    assert_int_equal(wh_tls_set_ticket_keys(tls, keys, 2), WH_OK);
    assert_true(resumes(tls, context, NULL));
    wh_tls_release(second);
    wh_tls_release(tls);
    /* Without tickets nothing is resumed. */
    SSL_SESSION_free(session_kept);
    session_kept = NULL;
    tls = simple(3, 0);
    assert_false(resumes(tls, context, NULL));
    assert_false(resumes(tls, context, NULL));
    wh_tls_release(tls);
    SSL_SESSION_free(session_kept);
    session_kept = NULL;
    SSL_CTX_free(context);
  }
}

/* A session of one site is none of another. */
static void resumption_by_name(void **state) {
  (void)state;
  wh_tls_identity identity = identity_of(&ec_pem);
  wh_tls_host hosts[] = {
      {.name = "*", .identities = &identity, .identity_count = 1},
      {.name = "other", .identities = &identity, .identity_count = 1},
  };
  wh_tls_settings settings = {.hosts = hosts, .host_count = 2, .protocols = 3, .tickets = 1};
  wh_tls *tls = make_tls(&settings);
  for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
    SSL_CTX *context = client_context();
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    assert_false(resumes(tls, context, "any"));
    assert_true(resumes(tls, context, "any"));
    assert_false(resumes(tls, context, "other"));
    assert_true(resumes(tls, context, "other"));
    assert_false(resumes(tls, context, "any"));
    SSL_SESSION_free(session_kept);
    session_kept = NULL;
    SSL_CTX_free(context);
  }
  wh_tls_release(tls);
}

static void no_tls(void **state) {
  (void)state;
  static const struct {
    const char *bytes, *reason;
  } cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", "http request"},
      {"PRI * HTTP/2.0\r\n\r\n", "http request"},
      {"\r\nGET", "http request"},
      {"\x80\x2e\x01\x03\x01", "not TLS"},
      {"\x15\x03\x01", "not TLS"},
  };
  wh_tls *tls = simple(3, 1);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    endpoint *e = connect_to(tls, NULL);
    wire_brings(e, cases[i].bytes, strlen(cases[i].bytes));
    assert_int_equal(e->fails, 1);
    assert_string_equal(e->reason, cases[i].reason);
    assert_true(e->connection.closed);
    assert_int_equal(e->wire_bytes, 0);
    disconnect(e);
  }
  wh_tls_release(tls);
}

static void broken_handshakes(void **state) {
  (void)state;
  wh_tls *tls = simple(3, 1);
  SSL_CTX *context = client_context();
  /* Every byte of the client's hello, wrong in turn: refused or not, it ends. */
  endpoint *probe = connect_to(tls, context);
  SSL_do_handshake(probe->client);
  char *data;
  size_t length = (size_t)BIO_get_mem_data(probe->from_client, &data);
  uint8_t *hello = malloc(length);
  memcpy(hello, data, length);
  disconnect(probe);
  for (size_t i = 0; i < length; i++) {
    endpoint *e = connect_to(tls, NULL);
    hello[i] ^= 0x5a;
    wire_brings(e, hello, length);
    handshake_if_due(e);
    hello[i] ^= 0x5a;
    wire_brings(e, NULL, 0);
    handshake_if_due(e);
    assert_int_equal(e->fails, 1);
    assert_true(e->connection.closed);
    disconnect(e);
  }
  /* Cut off at every byte. */
  for (size_t i = 0; i <= length; i++) {
    endpoint *e = connect_to(tls, NULL);
    if (i > 0) wire_brings(e, hello, i);
    wire_brings(e, NULL, 0);
    handshake_if_due(e);
    assert_int_equal(e->fails, 1);
    assert_string_equal(e->reason, "closed by the client");
    disconnect(e);
  }
  /* A record that is too long, and one that never ends. */
  endpoint *e = connect_to(tls, NULL);
  wire_brings(e, "\x16\x03\x01\x7f\xff", 5);
  handshake_if_due(e);
  assert_int_equal(e->fails, 1);
  disconnect(e);
  e = connect_to(tls, NULL);
  wire_brings(e, "\x16\x03\x01\x40\x00\x01\x00\xff\xff", 9);
  uint8_t zeros[1000] = {0};
  for (int i = 0; i < 1000 && !e->connection.closed; i++) {
    wire_brings(e, zeros, sizeof zeros);
    handshake_if_due(e);
  }
  assert_int_equal(e->fails, 1);
  disconnect(e);
  free(hello);
  SSL_CTX_free(context);
  wh_tls_release(tls);
}

static void weak_clients(void **state) {
  (void)state;
  wh_tls *tls = simple(3, 1);
  static const char *const lists[] = {"AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA",
                                      "DHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA384"};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    SSL_CTX *context = client_context();
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    assert_true(SSL_CTX_set_cipher_list(context, lists[i]));
    endpoint *e = connect_to(tls, context);
    assert_false(shake_hands(e, 0));
    assert_int_equal(e->fails, 1);
    assert_string_equal(e->reason, "no shared cipher");
    disconnect(e);
    SSL_CTX_free(context);
  }
  wh_tls_release(tls);
  /* An own list that lets them in: HTTP/2 is not spoken over such a cipher (RFC 9113, 9.2.2). */
  wh_tls_identity identity = identity_of(&ec_pem);
  wh_tls_host host = {.name = "*", .identities = &identity, .identity_count = 1};
  wh_tls_settings settings = {
      .hosts = &host, .host_count = 1, .protocols = 3, .ciphers = "ECDHE-ECDSA-AES128-SHA"};
  tls = make_tls(&settings);
  SSL_CTX *context = client_context();
  SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  endpoint *e = connect_to(tls, context);
  offer(e->client, "h2 http/1.1");
  assert_true(shake_hands(e, 0));
  assert_int_equal(e->protocol, WH_PROTOCOL_HTTP1);
  assert_talks(e);
  disconnect(e);
  SSL_CTX_free(context);
  wh_tls_release(tls);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(versions),
      cmocka_unit_test(protocols),
      cmocka_unit_test(names),
      cmocka_unit_test(rules_of_a_site),
      cmocka_unit_test(every_byte_alone),
      cmocka_unit_test(data_behind_the_handshake),
      cmocka_unit_test(resumption),
      cmocka_unit_test(resumption_by_name),
      cmocka_unit_test(no_tls),
      cmocka_unit_test(broken_handshakes),
      cmocka_unit_test(weak_clients),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
