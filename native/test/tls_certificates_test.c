/* Certificates of servers in all their forms, and of clients. */
#include "tls_world.h"

static credential root, middle, leaf, rsa, other;
static SSL_CTX *context;

static int set_up(void **state) {
  (void)state;
  root = make_credential("root", NULL, CA);
  middle = make_credential("middle", &root, CA);
  leaf = make_credential("leaf", &middle, 0);
  rsa = make_credential("rsa", &root, RSA_KEY);
  other = make_credential("other", NULL, 0);
  context = client_context();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  free_credential(&root);
  free_credential(&middle);
  free_credential(&leaf);
  free_credential(&rsa);
  free_credential(&other);
  SSL_CTX_free(context);
  end_world();
  return 0;
}

static wh_tls_settings settings_of(wh_tls_host *host, const wh_tls_identity *identities,
                                   size_t count) {
  host->name = "*";
  host->identities = identities;
  host->identity_count = count;
  return (wh_tls_settings){.hosts = host, .host_count = 1, .protocols = 3, .tickets = 1};
}

/* An endpoint with this identity shows leaf and `above` certificates after it. */
static void assert_shows(const wh_tls_identity *identity, const credential *expected, int above) {
  wh_tls_host host = {0};
  wh_tls_settings settings = settings_of(&host, identity, 1);
  wh_tls *tls = make_tls(&settings);
  endpoint *e = connect_to(tls, context);
  assert_true(shake_hands(e, 0));
  assert_talks(e);
  X509 *shown = SSL_get1_peer_certificate(e->client);
  assert_int_equal(X509_cmp(shown, expected->certificate), 0);
  X509_free(shown);
  assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(e->client)), 1 + above);
  if (above > 0) {
    assert_int_equal(
        X509_cmp(sk_X509_value(SSL_get_peer_cert_chain(e->client), 1), middle.certificate), 0);
  }
  disconnect(e);
  wh_tls_release(tls);
}

static void assert_refused(const wh_tls_identity *identity, const char *expected) {
  wh_tls_host host = {0};
  wh_tls_settings settings = settings_of(&host, identity, 1);
  const char *message = refusal_of(&settings, WH_ERR_INVALID_ARGUMENT);
  if (strstr(message, expected) == NULL || strncmp(message, "host *: ", 8) != 0) {
    fail_msg("\"%s\" is not about \"%s\"", message, expected);
  }
}

static wh_tls_identity pair_of(const text *certificate, const text *key, const char *passphrase) {
  return (wh_tls_identity){.certificate = certificate->bytes,
                           .certificate_length = certificate->length,
                           .key = key == NULL ? NULL : key->bytes,
                           .key_length = key == NULL ? 0 : key->length,
                           .passphrase = passphrase};
}

static text joined(const char *before, const text *a, const text *b) {
  BIO *bio = BIO_new(BIO_s_mem());
  BIO_puts(bio, before);
  BIO_write(bio, a->bytes, (int)a->length);
  if (b != NULL) BIO_write(bio, b->bytes, (int)b->length);
  return text_of(bio);
}

static void pem(void **state) {
  (void)state;
  text chain = pem_of(&leaf, &middle, NULL, NULL), all = pem_of(&leaf, &middle, leaf.key, NULL);
  text key = pem_of(NULL, NULL, leaf.key, NULL), locked = pem_of(NULL, NULL, leaf.key, "secret");
  text key_first = joined("prose\xef\xbb\xbf\r\n", &key, &chain);
  text all_locked = pem_of(&leaf, &middle, leaf.key, "secret");
  text wrong = pem_of(NULL, NULL, other.key, NULL);
  text upside_down = pem_of(&middle, &leaf, leaf.key, NULL);
  text cut = {all.bytes, 300}, nothing = {(uint8_t *)"", 0};
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey_traditional(bio, leaf.key, EVP_aes_128_cbc(), NULL, 0, NULL, "secret");
  text old = text_of(bio);
  wh_tls_identity identity;

  identity = pair_of(&all, NULL, NULL), assert_shows(&identity, &leaf, 1);
  identity = pair_of(&chain, &key, NULL), assert_shows(&identity, &leaf, 1);
  identity = pair_of(&chain, &key, "needless"), assert_shows(&identity, &leaf, 1);
  identity = pair_of(&key_first, NULL, NULL), assert_shows(&identity, &leaf, 1);
  identity = pair_of(&chain, &all, NULL), assert_shows(&identity, &leaf, 1);
  identity = pair_of(&chain, &locked, "secret"), assert_shows(&identity, &leaf, 1);
  identity = pair_of(&chain, &old, "secret"), assert_shows(&identity, &leaf, 1);
  identity = pair_of(&all_locked, NULL, "secret"), assert_shows(&identity, &leaf, 1);

  identity = pair_of(&chain, &locked, NULL), assert_refused(&identity, "there is no passphrase");
  identity = pair_of(&chain, &locked, "Secret"),
  assert_refused(&identity, "is the passphrase wrong?");
  identity = pair_of(&chain, &old, NULL), assert_refused(&identity, "there is no passphrase");
  identity = pair_of(&chain, &old, ""), assert_refused(&identity, "is the passphrase wrong?");
  identity = pair_of(&all_locked, NULL, NULL), assert_refused(&identity, "there is no passphrase");
  identity = pair_of(&chain, NULL, NULL),
  assert_refused(&identity, "there is no private key in the PEM");
  identity = pair_of(&chain, &wrong, NULL),
  assert_refused(&identity, "not that of the certificate");
  identity = pair_of(&upside_down, NULL, NULL),
  assert_refused(&identity, "not that of the certificate");
  identity = pair_of(&key, NULL, NULL),
  assert_refused(&identity, "there is no certificate in the PEM");
  identity = pair_of(&cut, &key, NULL), assert_refused(&identity, "the certificate cannot be read");
  identity = pair_of(&nothing, &key, NULL), assert_refused(&identity, "neither PEM nor DER");
  identity = pair_of(&chain, &nothing, NULL), assert_refused(&identity, "neither PEM nor DER");

  text *made[] = {&chain, &all, &key, &locked, &key_first, &all_locked, &wrong, &upside_down, &old};
  for (size_t i = 0; i < sizeof made / sizeof *made; i++) free(made[i]->bytes);
}

static void der(void **state) {
  (void)state;
  BIO *bio = BIO_new(BIO_s_mem());
  i2d_X509_bio(bio, leaf.certificate);
  text certificate = text_of(bio);
  text keys[4];
  for (int i = 0; i < 4; i++) {
    bio = BIO_new(BIO_s_mem());
    if (i == 0) i2d_PrivateKey_bio(bio, leaf.key);
    if (i == 1) i2d_PKCS8PrivateKey_bio(bio, leaf.key, NULL, NULL, 0, NULL, NULL);
    if (i == 2) i2d_PKCS8PrivateKey_bio(bio, leaf.key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL);
    if (i == 3) PEM_write_bio_PrivateKey(bio, leaf.key, NULL, NULL, 0, NULL, NULL);
    keys[i] = text_of(bio);
    wh_tls_identity identity = pair_of(&certificate, &keys[i], i == 2 ? "secret" : NULL);
    assert_shows(&identity, &leaf, 0);
  }
  wh_tls_identity identity = pair_of(&certificate, &keys[2], NULL);
  assert_refused(&identity, "there is no passphrase");
  identity = pair_of(&certificate, &keys[2], "wrong"),
  assert_refused(&identity, "is the passphrase wrong?");
  identity = pair_of(&certificate, NULL, NULL), assert_refused(&identity, "neither PEM nor DER");
  for (size_t i = 0; i < certificate.length; i += 7) {
    text cut = {certificate.bytes, i};
    identity = pair_of(&cut, &keys[0], NULL), assert_refused(&identity, "neither PEM nor DER");
  }
  free(certificate.bytes);
  for (int i = 0; i < 4; i++) free(keys[i].bytes);
}

static text pfx_of(const credential *of, STACK_OF(X509) * others, const char *passphrase,
                   int with_key) {
  PKCS12 *pfx = PKCS12_create(passphrase, NULL, with_key ? of->key : NULL, of->certificate, others,
                              0, 0, 0, 0, 0);
  assert_non_null(pfx);
  BIO *bio = BIO_new(BIO_s_mem());
  i2d_PKCS12_bio(bio, pfx);
  PKCS12_free(pfx);
  return text_of(bio);
}

static void pfx(void **state) {
  (void)state;
  STACK_OF(X509) *others = sk_X509_new_null();
  sk_X509_push(others, root.certificate); /* in no order, and one that has nothing to do with it */
  sk_X509_push(others, other.certificate);
  sk_X509_push(others, middle.certificate);
  text locked = pfx_of(&leaf, others, "secret", 1), open = pfx_of(&leaf, NULL, "", 1),
       bare = pfx_of(&leaf, NULL, NULL, 1), no_key = pfx_of(&leaf, NULL, "secret", 0);
  sk_X509_free(others);
  wh_tls_identity identity = {
      .pfx = locked.bytes, .pfx_length = locked.length, .passphrase = "secret"};
  assert_shows(&identity, &leaf, 2);
  identity.passphrase = "wrong", assert_refused(&identity, "the passphrase of the PFX is wrong");
  identity.passphrase = NULL, assert_refused(&identity, "the passphrase of the PFX is wrong");
  identity.pfx_length = 100, assert_refused(&identity, "the PFX cannot be read");
  identity.pfx_length = 0, assert_refused(&identity, "the PFX cannot be read");
  identity = (wh_tls_identity){.pfx = open.bytes, .pfx_length = open.length};
  assert_shows(&identity, &leaf, 0);
  identity.passphrase = "", assert_shows(&identity, &leaf, 0);
  identity = (wh_tls_identity){.pfx = bare.bytes, .pfx_length = bare.length};
  assert_shows(&identity, &leaf, 0);
  identity =
      (wh_tls_identity){.pfx = no_key.bytes, .pfx_length = no_key.length, .passphrase = "secret"};
  assert_refused(&identity, "there is no certificate with its private key");
  free(locked.bytes);
  free(open.bytes);
  free(bare.bytes);
  free(no_key.bytes);
}

static void purposes(void **state) {
  (void)state;
  static const int flags[] = {0, SERVER_ONLY, CLIENT_ONLY, EXPIRED};
  for (int i = 0; i < 4; i++) {
    credential made = make_credential("purpose", NULL, flags[i]);
    text both = pem_of(&made, NULL, made.key, NULL);
    wh_tls_identity identity = identity_of(&both);
    if (flags[i] == CLIENT_ONLY)
      assert_refused(&identity, "serverAuth");
    else
      assert_shows(&identity, &made, 0);
    free(both.bytes);
    free_credential(&made);
  }
}

static void types_of_keys(void **state) {
  (void)state;
  text first = pem_of(&rsa, NULL, rsa.key, NULL), second = pem_of(&leaf, &middle, leaf.key, NULL);
  wh_tls_identity identities[] = {identity_of(&first), identity_of(&second), identity_of(&second)};
  wh_tls_host host = {0};
  wh_tls_settings settings = settings_of(&host, identities, 2);
  wh_tls *tls = make_tls(&settings);
  static const struct {
    int most;
    const char *signatures;
    int is_rsa;
  } cases[] = {
      {TLS1_3_VERSION, NULL, 0},
      {TLS1_2_VERSION, NULL, 0},
      {TLS1_3_VERSION, "rsa_pss_rsae_sha256", 1},
      {TLS1_2_VERSION, "RSA+SHA256", 1},
      {TLS1_3_VERSION, "rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    endpoint *e = connect_to(tls, context);
    SSL_set_max_proto_version(e->client, cases[i].most);
    if (cases[i].signatures != NULL)
      assert_int_equal(SSL_set1_sigalgs_list(e->client, cases[i].signatures), 1);
    assert_true(shake_hands(e, 0));
    X509 *shown = SSL_get1_peer_certificate(e->client);
    assert_int_equal(X509_cmp(shown, cases[i].is_rsa ? rsa.certificate : leaf.certificate), 0);
    X509_free(shown);
    disconnect(e);
  }
  wh_tls_release(tls);
  host.identity_count = 3;
  assert_non_null(strstr(refusal_of(&settings, WH_ERR_INVALID_ARGUMENT), "the same type of key"));
  host.identity_count = 0;
  assert_non_null(
      strstr(refusal_of(&settings, WH_ERR_INVALID_ARGUMENT), "there is no certificate"));
  free(first.bytes);
  free(second.bytes);
}

static void settings_refused(void **state) {
  (void)state;
  text both = pem_of(&leaf, NULL, leaf.key, NULL), garbage = {(uint8_t *)"-----BEGIN ", 11};
  wh_tls_identity identity = identity_of(&both);
  wh_tls_host host = {0};
  wh_tls_settings settings = settings_of(&host, &identity, 1), good = settings;
#define REFUSED(change, expected)                                                 \
  do {                                                                            \
    change;                                                                       \
    const char *message = refusal_of(&settings, WH_ERR_INVALID_ARGUMENT);         \
    if (strstr(message, expected) == NULL) fail_msg("%s: %s", message, expected); \
    settings = good;                                                              \
    settings_of(&host, &identity, 1);                                             \
  } while (0)
  REFUSED(settings.host_count = 0, "there is no host");
  REFUSED(settings.protocols = 0, "there are no such protocols");
  REFUSED(settings.protocols = 4, "there are no such protocols");
  REFUSED(settings.ciphers = "NO-SUCH", "there is no cipher of TLS 1.2");
  REFUSED(settings.cipher_suites = "NO-SUCH", "the cipher suites of TLS 1.3");
  REFUSED(settings.groups = "NO-SUCH", "the groups are not known");
  static const char *const names[] = {"",         "*.", "*a.example", "a.*", "*.*.example",
                                      ".example", "**"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    REFUSED(host.name = names[i], "the name is neither");
  REFUSED(host.least_version = 0x0302, "the versions are");
  host.least_version = 0;
  REFUSED(host.greatest_version = 0x0305, "the versions are");
  host.least_version = 0x0304;
  REFUSED(host.greatest_version = 0x0303, "the versions are");
  host.least_version = host.greatest_version = 0;
  REFUSED(host.client_mode = 3, "there is no such client certificate mode");
  host.client_mode = WH_TLS_CLIENT_REQUIRE;
  host.authorities = garbage.bytes;
  REFUSED(host.authorities_length = garbage.length, "there is no certificate in the PEM text");
  host.client_mode = WH_TLS_CLIENT_NONE;
  host.authorities = NULL;
  wh_tls_host twice[] = {host, host};
  twice[0].name = "*.a.Example", twice[1].name = "*.A.example";
  REFUSED((settings.hosts = twice, settings.host_count = 2), "host *.a.example: there are two");
  wh_tls_release(make_tls(&settings));
  wh_tls_release(NULL);
  free(both.bytes);
}

/* --- clients --- */

enum { NOBODY, SIGNED, STRANGER, LATE, SERVERS };

static void clients(void **state) {
  (void)state;
  text both = pem_of(&leaf, &middle, leaf.key, NULL),
       authorities = pem_of(&root, &middle, NULL, NULL);
  credential shown[5] = {{NULL, NULL},
                         make_credential("client", &middle, CLIENT_ONLY),
                         make_credential("stranger", NULL, 0),
                         make_credential("late", &root, EXPIRED),
                         make_credential("server", &root, SERVER_ONLY)};
  static const struct {
    int mode, any, client;
    int good, verified;
    const char *reason;
  } cases[] = {
      {WH_TLS_CLIENT_NONE, 0, SIGNED, 1, -1, NULL},
      {WH_TLS_CLIENT_ALLOW, 0, NOBODY, 1, -1, NULL},
      {WH_TLS_CLIENT_ALLOW, 0, SIGNED, 1, 1, NULL},
      {WH_TLS_CLIENT_ALLOW, 0, STRANGER, 0, 0, "self-signed certificate"},
      {WH_TLS_CLIENT_ALLOW, 1, STRANGER, 1, 0, NULL},
      {WH_TLS_CLIENT_ALLOW, 1, NOBODY, 1, -1, NULL},
      {WH_TLS_CLIENT_REQUIRE, 0, NOBODY, 0, 0, "peer did not return a certificate"},
      {WH_TLS_CLIENT_REQUIRE, 0, SIGNED, 1, 1, NULL},
      {WH_TLS_CLIENT_REQUIRE, 0, STRANGER, 0, 0, "self-signed certificate"},
      {WH_TLS_CLIENT_REQUIRE, 0, LATE, 0, 0, "certificate has expired"},
      {WH_TLS_CLIENT_REQUIRE, 0, SERVERS, 0, 0, "unsuitable certificate purpose"},
      {WH_TLS_CLIENT_REQUIRE, 1, NOBODY, 0, 0, "peer did not return a certificate"},
      {WH_TLS_CLIENT_REQUIRE, 1, SIGNED, 1, 1, NULL},
      {WH_TLS_CLIENT_REQUIRE, 1, LATE, 1, 0, NULL},
  };
  for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
    size_t n = i / 2;
    wh_tls_identity identity = identity_of(&both);
    wh_tls_host host = {0};
    wh_tls_settings settings = settings_of(&host, &identity, 1);
    host.client_mode = cases[n].mode;
    host.any_client_certificate = cases[n].any;
    host.authorities = authorities.bytes;
    host.authorities_length = authorities.length;
    wh_tls *tls = make_tls(&settings);
    SSL_SESSION *session = NULL;
    for (int again = 0; again <= cases[n].good; again++) {
      endpoint *e = connect_to(tls, context);
      if (i % 2) SSL_set_max_proto_version(e->client, TLS1_2_VERSION);
      credential *client = &shown[cases[n].client];
      if (client->key != NULL) {
        assert_int_equal(SSL_use_certificate(e->client, client->certificate), 1);
        assert_int_equal(SSL_use_PrivateKey(e->client, client->key), 1);
      }
      if (session != NULL) SSL_set_session(e->client, session);
      int good = shake_hands(e, 0);
      if (!cases[n].good) {
        assert_int_equal(e->fails, 1);
        assert_string_equal(e->reason, cases[n].reason);
        disconnect(e);
        continue;
      }
      assert_true(good);
      assert_talks(e);
      assert_int_equal(facts(e).verified, cases[n].verified);
      assert_int_equal(facts(e).resumed, again);
      uint8_t der_bytes[2000];
      size_t length = wh_tls_peer_certificate(e->filter, 0, der_bytes, sizeof der_bytes);
      if (cases[n].verified < 0) {
        assert_int_equal(length, 0);
      } else {
        uint8_t *expected = NULL;
        assert_int_equal(i2d_X509(client->certificate, &expected), length);
        assert_memory_equal(der_bytes, expected, length);
        OPENSSL_free(expected);
        memset(der_bytes, 0, sizeof der_bytes);
        assert_int_equal(wh_tls_peer_certificate(e->filter, 0, der_bytes, length - 1), length);
        assert_int_equal(der_bytes[0], 0);
        assert_int_equal(wh_tls_peer_certificate(e->filter, 0, NULL, 0), length);
        /* Verified: those above it too, up to the root. A resumed session has the client's alone. */
        int above = cases[n].verified == 1 && !again ? 2 : 0;
        if (cases[n].client == LATE && !again) above = 1;
        if (cases[n].client == STRANGER) above = 0;
        for (int j = 1; j <= 3; j++) {
          assert_int_equal(wh_tls_peer_certificate(e->filter, (size_t)j, NULL, 0) > 0, j <= above);
        }
      }
      assert_int_equal(wh_tls_peer_certificate(e->filter, SIZE_MAX, NULL, 0), 0);
      if (cases[n].mode != WH_TLS_CLIENT_NONE && !again) {
        const STACK_OF(X509_NAME) *list = SSL_get0_peer_CA_list(e->client);
        assert_int_equal(sk_X509_NAME_num(list), 2);
        assert_int_equal(
            X509_NAME_cmp(sk_X509_NAME_value(list, 0), X509_get_subject_name(root.certificate)), 0);
      }
      SSL_SESSION_free(session);
      session = SSL_get1_session(e->client);
      disconnect(e);
    }
    SSL_SESSION_free(session);
    wh_tls_release(tls);
  }
  for (int i = 1; i < 5; i++) free_credential(&shown[i]);
  free(both.bytes);
  free(authorities.bytes);
}

/* Without a list the system's authorities judge: none of them knows this one. */
static void clients_of_the_system(void **state) {
  (void)state;
  text both = pem_of(&leaf, &middle, leaf.key, NULL);
  credential client = make_credential("client", &middle, 0);
  for (int any = 0; any < 2; any++) {
    wh_tls_identity identity = identity_of(&both);
    wh_tls_host host = {0};
    wh_tls_settings settings = settings_of(&host, &identity, 1);
    host.client_mode = WH_TLS_CLIENT_REQUIRE;
    host.any_client_certificate = any;
    wh_tls *tls = make_tls(&settings);
    endpoint *e = connect_to(tls, context);
    SSL_use_certificate(e->client, client.certificate);
    SSL_use_PrivateKey(e->client, client.key);
    assert_int_equal(shake_hands(e, 0), any);
    if (!any) assert_string_equal(e->reason, "unable to get local issuer certificate");
    disconnect(e);
    wh_tls_release(tls);
  }
  free_credential(&client);
  free(both.bytes);
}

static void stapling(void **state) {
  (void)state;
  text first = pem_of(&rsa, NULL, rsa.key, NULL), second = pem_of(&leaf, &middle, leaf.key, NULL);
  wh_tls_identity identities[] = {identity_of(&first), identity_of(&second)};
  static const uint8_t response[] = {0x30, 0x03, 0x0a, 0x01, 0x06};
  identities[0].ocsp = response;
  identities[0].ocsp_length = sizeof response;
  wh_tls_host host = {0};
  wh_tls_settings settings = settings_of(&host, identities, 2);
  wh_tls *tls = make_tls(&settings);
  for (int i = 0; i < 8; i++) {
    endpoint *e = connect_to(tls, context);
    if (i & 1) SSL_set_max_proto_version(e->client, TLS1_2_VERSION);
    if (i & 2) SSL_set1_sigalgs_list(e->client, "rsa_pss_rsae_sha256");
    if (i & 4) SSL_set_tlsext_status_type(e->client, TLSEXT_STATUSTYPE_ocsp);
    assert_true(shake_hands(e, 0));
    const uint8_t *got;
    long length = SSL_get_tlsext_status_ocsp_resp(e->client, &got);
    if ((i & 6) == 6) {
      assert_int_equal(length, sizeof response);
      assert_memory_equal(got, response, sizeof response);
    } else {
      assert_true(length <= 0);
    }
    disconnect(e);
  }
  wh_tls_release(tls);
  free(first.bytes);
  free(second.bytes);
}

/* --- where there is no OpenSSL --- */

static void *find_nothing(const char *name) {
  (void)name;
  return NULL;
}

static void *find_all_but_tickets(const char *name) {
  static int something;
  return strcmp(name, "SSL_CTX_set_tlsext_ticket_key_evp_cb") == 0 ? NULL : &something;
}

static void no_openssl(void **state) {
  (void)state;
  char message[256];
  wh_openssl_table table;
  assert_int_equal(wh_openssl_fill(&table, find_nothing, message, sizeof message),
                   WH_ERR_NOT_SUPPORTED);
  assert_non_null(strstr(
      message, "https endpoints need OpenSSL 3 exported by the runtime (SSL_CTX_new is missing)"));
  assert_int_equal(wh_openssl_fill(&table, find_all_but_tickets, message, sizeof message),
                   WH_ERR_NOT_SUPPORTED);
  assert_non_null(strstr(message, "(SSL_CTX_set_tlsext_ticket_key_evp_cb is missing)"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pem),           cmocka_unit_test(der),
      cmocka_unit_test(pfx),           cmocka_unit_test(purposes),
      cmocka_unit_test(types_of_keys), cmocka_unit_test(settings_refused),
      cmocka_unit_test(clients),       cmocka_unit_test(clients_of_the_system),
      cmocka_unit_test(stapling),      cmocka_unit_test(no_openssl),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
