/* Records of TLS 1.3 that no honest client sends: each is made by hand with the client's keys. */
#include "tls_world.h"
#include <openssl/hmac.h>

static credential ec;
static text ec_pem;
static wh_tls *tls;
static SSL_CTX *context;
static uint8_t secret[32]; /* the client's, of the last handshake */

static void keep_secret(const SSL *ssl, const char *line) {
  (void)ssl;
  if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) != 0) return;
  line = strrchr(line, ' ') + 1;
  for (size_t i = 0; i < sizeof secret; i++) {
    unsigned byte;
    assert_int_equal(sscanf(line + 2 * i, "%2x", &byte), 1);
    secret[i] = (uint8_t)byte;
  }
}

static int set_up(void **state) {
  (void)state;
  ec = make_credential("a.example", NULL, 0);
  ec_pem = pem_of(&ec, NULL, ec.key, NULL);
  wh_tls_identity identity = identity_of(&ec_pem);
  wh_tls_host host = {.name = "*", .identities = &identity, .identity_count = 1};
  wh_tls_settings settings = {.hosts = &host, .host_count = 1, .protocols = 3, .tickets = 1};
  tls = make_tls(&settings);
  context = client_context();
  SSL_CTX_set_keylog_callback(context, keep_secret);
  SSL_CTX_set_info_callback(context, note_alert);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  free_credential(&ec);
  free(ec_pem.bytes);
  wh_tls_release(tls);
  SSL_CTX_free(context);
  end_world();
  return 0;
}

static void expand(const char *label, uint8_t *out, size_t size) {
  uint8_t info[32] = {0, (uint8_t)size, (uint8_t)strlen(label)}, block[32];
  size_t length = strlen(label);
  memcpy(info + 3, label, length);
  info[4 + length] = 1;
  assert_non_null(HMAC(EVP_sha256(), secret, 32, info, 5 + length, block, NULL));
  memcpy(out, block, size);
}

/* A record of the client's: whatever stands inside, type and padding too. Its length. */
static size_t seal(uint8_t number, const void *inner, size_t length, uint8_t *out) {
  uint8_t key[16], iv[12];
  int n;
  expand("tls13 key", key, 16);
  expand("tls13 iv", iv, 12);
  iv[11] ^= number;
  out[0] = 0x17, out[1] = out[2] = 3;
  out[3] = (uint8_t)((length + 16) >> 8), out[4] = (uint8_t)(length + 16);
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
  assert_true(EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, key, iv));
  assert_true(EVP_EncryptUpdate(cipher, NULL, &n, out, 5));
  assert_true(EVP_EncryptUpdate(cipher, out + 5, &n, inner, (int)length));
  assert_true(EVP_EncryptFinal_ex(cipher, out + 5 + length, &n));
  assert_true(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, out + 5 + length));
  EVP_CIPHER_CTX_free(cipher);
  return 5 + length + 16;
}

static int alert_of(endpoint *e) {
  char got[8];
  last_alert = -1;
  SSL_read(e->client, got, sizeof got);
  ERR_clear_error();
  return last_alert;
}

#define INNER(literal) literal, sizeof(literal) - 1

static void records_by_hand(void **state) {
  (void)state;
  enum { OPEN, ENDED, CLOSED };
  static const struct {
    const char *first;
    size_t first_length;
    const char *second; /* NULL: there is one */
    size_t second_length;
    int after;
    size_t plain;
    int alert; /* -1: none */
  } cases[] = {
      {INNER("hi\x17"), NULL, 0, OPEN, 2, -1},
      {INNER("hi\x17\0\0\0\0\0\0"), INNER("ho\x17\0"), OPEN, 4, -1},
      {INNER("\x17"), INNER("ho\x17"), OPEN, 2, -1},
      {INNER("\0\0\0\0"), NULL, 0, CLOSED, 0, SSL_AD_UNEXPECTED_MESSAGE},
      {INNER("hi\x18"), NULL, 0, CLOSED, 0, SSL_AD_UNEXPECTED_MESSAGE},
      {INNER("\1\x14"), NULL, 0, CLOSED, 0, SSL_AD_UNEXPECTED_MESSAGE},
      {INNER("ok\x17"), INNER("no\x18"), CLOSED, 2, SSL_AD_UNEXPECTED_MESSAGE},
      {INNER("\x16"), NULL, 0, CLOSED, 0, SSL_AD_UNEXPECTED_MESSAGE},
      {INNER("\4\0\0\1x\x16"), NULL, 0, CLOSED, 0, SSL_AD_UNEXPECTED_MESSAGE},
      {INNER("\1\x16"), NULL, 0, CLOSED, 0, SSL_AD_UNEXPECTED_MESSAGE},
      {INNER("\x18\0\0\1\2\x16"), NULL, 0, CLOSED, 0, SSL_AD_ILLEGAL_PARAMETER},
      {INNER("\x18\0\0\1\0\x18\x16"), NULL, 0, CLOSED, 0, SSL_AD_UNEXPECTED_MESSAGE},
      {INNER("\x18\0\0\1\0\x16"), NULL, 0, OPEN, 0, -1},
      {INNER("\x18\0\0\x16"), INNER("\1\1\x16"), OPEN, 0, -1},
      {INNER("\x18\0\0\x16"), INNER("\1\3\x16"), CLOSED, 0, SSL_AD_ILLEGAL_PARAMETER},
      {INNER("\x18\0\0\x16"), INNER("hi\x17"), CLOSED, 0, SSL_AD_UNEXPECTED_MESSAGE},
      {INNER("\1\x15"), NULL, 0, CLOSED, 0, SSL_AD_DECODE_ERROR},
      {INNER("\2\x28\x15"), NULL, 0, CLOSED, 0, -1},
      {INNER("\1\x5a\x15"), INNER("hi\x17"), OPEN, 2, -1},
      {INNER("\1\0\x15"), INNER("hi\x17"), ENDED, 0, -1},
      {INNER("hi\x17"), INNER("\1\0\x15"), ENDED, 2, -1},
  };
  for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
    size_t n = i / 2;
    endpoint *e = connect_to(tls, context);
    assert_true(shake_hands(e, 0));
    uint8_t out[200];
    size_t length = seal(0, cases[n].first, cases[n].first_length, out);
    if (cases[n].second != NULL) {
      length += seal(1, cases[n].second, cases[n].second_length, out + length);
    }
    if (i % 2) {
      wire_brings(e, out, length);
    } else {
      for (size_t at = 0; at < length; at++) wire_brings(e, out + at, 1);
    }
    assert_int_equal(e->plain_length, cases[n].plain);
    assert_int_equal(e->connection.closed, cases[n].after == CLOSED);
    assert_int_equal(e->ends, cases[n].after == ENDED);
    assert_int_equal(alert_of(e), cases[n].alert);
    disconnect(e);
  }
}

static void lengths(void **state) {
  (void)state;
  static const struct {
    size_t data, padding;
    int closed;
  } cases[] = {{16384, 0, 0}, {16000, 384, 0}, {16384, 239, 0}, {16385, 0, 1}, {16384, 240, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    endpoint *e = connect_to(tls, context);
    assert_true(shake_hands(e, 0));
    size_t length = cases[i].data + 1 + cases[i].padding;
    uint8_t *inner = calloc(1, length), *out = malloc(length + 21);
    memset(inner, 'x', cases[i].data);
    inner[cases[i].data] = 0x17;
    size_t total = seal(0, inner, length, out);
    wire_brings(e, out, 100);
    wire_brings(e, out + 100, total - 100);
    free(inner);
    free(out);
    assert_int_equal(e->connection.closed, cases[i].closed);
    assert_int_equal(e->plain_length, cases[i].closed ? 0 : cases[i].data);
    assert_int_equal(alert_of(e), cases[i].closed ? SSL_AD_RECORD_OVERFLOW : -1);
    disconnect(e);
  }
}

static void headers(void **state) {
  (void)state;
  static const struct {
    const char *header;
    int alert;
  } cases[] = {
      {"\x14\3\3\0\1", SSL_AD_UNEXPECTED_MESSAGE}, {"\x15\3\3\0\2", SSL_AD_UNEXPECTED_MESSAGE},
      {"\x16\3\3\0\7", SSL_AD_UNEXPECTED_MESSAGE}, {"\x17\3\1\0\x20", SSL_AD_UNEXPECTED_MESSAGE},
      {"\x17\3\3\x41\1", SSL_AD_RECORD_OVERFLOW},  {"\x17\3\3\0\x10", SSL_AD_BAD_RECORD_MAC},
      {"\x17\3\3\0\0", SSL_AD_BAD_RECORD_MAC},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    endpoint *e = connect_to(tls, context);
    assert_true(shake_hands(e, 0));
    if (i % 2) wire_brings(e, cases[i].header, 2);
    wire_brings(e, cases[i].header + (i % 2 ? 2 : 0), i % 2 ? 3 : 5);
    assert_true(e->connection.closed);
    assert_int_equal(alert_of(e), cases[i].alert);
    disconnect(e);
  }
}

/* Records without data cost work and bring nothing: few of them are borne. */
static void nothing_in_them(void **state) {
  (void)state;
  static const char *const inner[] = {"\x17", "\1\x5a\x15"};
  for (int kind = 0; kind < 2; kind++) {
    endpoint *e = connect_to(tls, context);
    assert_true(shake_hands(e, 0));
    int count = 0;
    for (; count < 200 && !e->connection.closed; count++) {
      uint8_t out[100];
      wire_brings(e, out, seal((uint8_t)count, inner[kind], strlen(inner[kind]), out));
    }
    assert_int_equal(count, 33);
    disconnect(e);
  }
}

/* A ticket goes before the first data, and not before an end. */
static void an_end_at_once(void **state) {
  (void)state;
  endpoint *e = connect_to(tls, context);
  assert_true(shake_hands(e, 0));
  /* An end before any data: no ticket, and it can be read. */
  server_ends(e);
  char got[8];
  assert_int_equal(SSL_read(e->client, got, sizeof got), 0);
  assert_int_equal(SSL_get_error(e->client, 0), SSL_ERROR_ZERO_RETURN);
  disconnect(e);
}

/* After many records the keys are changed, and the client follows (in tests after 500). */
static void own_key_updates(void **state) {
  (void)state;
  endpoint *e = connect_to(tls, context);
  assert_true(shake_hands(e, 0));
  for (int i = 0; i < 2000; i++) {
    char got[8];
    server_says(e, "x", 1);
    assert_int_equal(SSL_read(e->client, got, sizeof got), 1);
  }
  assert_talks(e);
  server_ends(e);
  disconnect(e);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(records_by_hand), cmocka_unit_test(lengths),
      cmocka_unit_test(headers),         cmocka_unit_test(nothing_in_them),
      cmocka_unit_test(an_end_at_once),  cmocka_unit_test(own_key_updates),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
