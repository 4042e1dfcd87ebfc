/*
 * TLS without memory: each allocation of ours and of OpenSSL's on the server's side fails in turn. Whatever
 * the client then gets, nothing crashes or leaks, and OpenSSL's queue of errors is empty.
 */
#include "tls_world.h"

/* --- OpenSSL's allocations --- */

static long countdown; /* the nth from now on fails, and only that one; 0 = off */
static int has_failed;

static int must_fail(void) {
  if (!in_server || countdown == 0 || --countdown != 0) return 0;
  has_failed = 1;
  return 1;
}

static void *take(size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  return must_fail() ? NULL : malloc(size);
}

static void *take_again(void *memory, size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  return must_fail() ? NULL : realloc(memory, size);
}

static void give_back(void *memory, const char *file, int line) {
  (void)file;
  (void)line;
  free(memory);
}

/* Whose allocation fails next. */
typedef enum owner { OURS, OPENSSLS } owner;

static void fail_at(owner whose, size_t nth) {
  if (whose == OURS) {
    wh_memory_fail_at(nth);
  } else {
    countdown = (long)nth;
    has_failed = 0;
  }
}

static int failed_yet(owner whose) { return whose == OURS ? wh_memory_has_failed() : has_failed; }

/* --- scenarios --- */

static credential root, leaf, client_of_it;
static text chain, authority, locked;
static uint8_t *pfx_bytes;
static size_t pfx_length;

static wh_tls_identity identities[1];
static wh_tls_host hosts[2];
static wh_tls_settings settings;

static int create(owner whose, size_t nth) {
  wh_tls *tls = NULL;
  char message[256];
  end_world();
  fail_at(whose, nth);
  in_server = 1;
  int result = wh_tls_create(&settings, &tls, message, sizeof message);
  in_server = 0;
  int done = !failed_yet(whose);
  fail_at(whose, 0);
  if (result == WH_OK) {
    wh_tls_release(tls);
  } else {
    assert_null(tls);
    assert_int_not_equal(message[0], '\0');
    if (whose == OURS) assert_int_equal(result, WH_ERR_NO_MEMORY);
  }
  if (done) assert_int_equal(result, WH_OK);
  assert_int_equal(ERR_peek_error(), 0);
  return done;
}

/* Fails each allocation of creating in turn. */
static void create_all(const wh_tls_identity *identity, size_t stride) {
  identities[0] = *identity;
  static const uint8_t response[] = {0x30, 0};
  identities[0].ocsp = response;
  identities[0].ocsp_length = 2;
  memset(hosts, 0, sizeof hosts);
  hosts[0] = (wh_tls_host){.name = "*", .identities = identities, .identity_count = 1};
  hosts[1] = hosts[0];
  hosts[1].name = "*.example";
  hosts[1].client_mode = WH_TLS_CLIENT_ALLOW;
  hosts[1].authorities = authority.bytes;
  hosts[1].authorities_length = authority.length;
  settings = (wh_tls_settings){.hosts = hosts, .host_count = 2, .protocols = 3, .tickets = 1};
  for (owner whose = OURS; whose <= OPENSSLS; whose++) {
    size_t nth = 1;
    size_t step = 1;
    while (!create(whose, nth)) {
      /* OpenSSL makes thousands, most of them alike. */
      if (whose == OPENSSLS && nth > 60) step = stride;
      nth += step;
    }
    assert_true(nth > 5);
  }
}

static void creating(void **state) {
  (void)state;
  wh_tls_identity identity = identity_of(&chain);
  create_all(&identity, 97);
}

static void creating_locked(void **state) {
  (void)state;
  wh_tls_identity identity = identity_of(&locked);
  identity.passphrase = "secret";
  create_all(&identity, 301); /* thousands of rounds of hashing, each time */
}

static void creating_from_pfx(void **state) {
  (void)state;
  wh_tls_identity identity = {.pfx = pfx_bytes, .pfx_length = pfx_length, .passphrase = "secret"};
  create_all(&identity, 131);
}

/* A connection from its beginning to its end; whether it went well. */
static int serve(wh_tls *tls, SSL_CTX *context, SSL_SESSION **session) {
  endpoint *e = connect_to(tls, context);
  int good = 0;
  char got[64];
  if (e->filter == NULL) {
    disconnect(e);
    return 0;
  }
  SSL_set_tlsext_host_name(e->client, "a.example");
  SSL_set_tlsext_status_type(e->client, TLSEXT_STATUSTYPE_ocsp);
  if (*session != NULL) SSL_set_session(e->client, *session);
  if (shake_hands(e, 50)) {
    SSL_key_update(e->client, SSL_KEY_UPDATE_REQUESTED);
    ERR_clear_error();
    SSL_write(e->client, "hello", 5);
    deliver(e, 7);
    in_server++;
    wh_tls_facts known;
    wh_tls_get_facts(e->filter, &known);
    uint8_t binding[32];
    int bound = wh_tls_channel_binding(e->filter, binding);
    ssize_t sealed = e->connection.closed
                         ? WH_ERR_CLOSED
                         : e->filter->type->seal(e->filter, (const uint8_t *)"yes", 3, &world_wire);
    in_server--;
    wh_connection_send_wire(&e->connection);
    int n = SSL_read(e->client, got, sizeof got);
    ERR_clear_error();
    in_server++;
    e->filter->type->end(e->filter, &world_wire);
    in_server--;
    wh_connection_send_wire(&e->connection);
    good = bound == WH_OK && sealed == 3 && n == 3 && e->plain_length == 5;
    if (*session == NULL) *session = SSL_get1_session(e->client);
  } else {
    assert_true(e->connection.closed || e->fails == 0);
  }
  world_wire.used = 0;
  disconnect(e);
  return good;
}

static void serving(void **state) {
  (void)state;
  wh_tls_identity identity = identity_of(&chain);
  memset(hosts, 0, sizeof hosts);
  hosts[0] = (wh_tls_host){.name = "*", .identities = &identity, .identity_count = 1};
  hosts[1] = hosts[0];
  hosts[1].name = "a.example";
  hosts[1].client_mode = WH_TLS_CLIENT_ALLOW;
  hosts[1].authorities = authority.bytes;
  hosts[1].authorities_length = authority.length;
  settings = (wh_tls_settings){.hosts = hosts, .host_count = 2, .protocols = 3, .tickets = 1};
  wh_tls *tls = make_tls(&settings);
  for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
    SSL_CTX *context = client_context();
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_use_certificate(context, client_of_it.certificate);
    SSL_CTX_use_PrivateKey(context, client_of_it.key);
    SSL_SESSION *session = NULL, *none = NULL;
    assert_true(serve(tls, context, &session));
    for (int resumed = 0; resumed < 2; resumed++) {
      for (owner whose = OURS; whose <= OPENSSLS; whose++) {
        size_t nth = 1;
        for (;; nth += nth < 60 || whose == OURS ? 1 : 29) {
          end_world();
          fail_at(whose, nth);
          int good = serve(tls, context, resumed ? &session : &none);
          int done = !failed_yet(whose);
          fail_at(whose, 0);
          if (!resumed) SSL_SESSION_free(none);
          none = NULL;
          if (!done) continue;
          assert_true(good);
          break;
        }
        assert_true(nth > 3);
        /* The next one is served. */
        assert_true(serve(tls, context, &session));
      }
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
  }
  in_server = 1;
  wh_memory_fail_at(1);
  assert_int_equal(wh_tls_set_ticket_keys(tls, NULL, 0), WH_ERR_NO_MEMORY);
  wh_memory_fail_at(0);
  in_server = 0;
  wh_tls_release(tls);
}

static int set_up(void **state) {
  (void)state;
  root = make_credential("root", NULL, CA);
  leaf = make_credential("leaf", &root, 0);
  client_of_it = make_credential("client", &root, 0);
  chain = pem_of(&leaf, &root, leaf.key, NULL);
  locked = pem_of(&leaf, &root, leaf.key, "secret");
  authority = pem_of(&root, NULL, NULL, NULL);
  STACK_OF(X509) *others = sk_X509_new_null();
  sk_X509_push(others, root.certificate);
  PKCS12 *pfx = PKCS12_create("secret", NULL, leaf.key, leaf.certificate, others, 0, 0, 1, 1, 0);
  sk_X509_free(others);
  int length = i2d_PKCS12(pfx, &pfx_bytes);
  pfx_length = (size_t)length;
  PKCS12_free(pfx);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  free_credential(&root);
  free_credential(&leaf);
  free_credential(&client_of_it);
  free(chain.bytes);
  free(locked.bytes);
  free(authority.bytes);
  OPENSSL_free(pfx_bytes);
  end_world();
  return 0;
}

int main(void) {
  assert_int_equal(CRYPTO_set_mem_functions(take, take_again, give_back), 1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(creating),
      cmocka_unit_test(creating_locked),
      cmocka_unit_test(creating_from_pfx),
      cmocka_unit_test(serving),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
