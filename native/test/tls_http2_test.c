/*
 * HTTP/2 and HTTP/1.1 over TLS, end to end: a real server on a socket, OpenSSL as client in a thread of its
 * own, which relays plain bytes to the test's client.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "support_http2.h"
#include "tls_credentials.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELEASE WH_COMMAND_FLAG_RELEASE

/* --- the client's side of TLS --- */

typedef struct relay {
  pthread_t thread;
  uint16_t port;
  int plain; /* its end of a pair: the other one is the test's client */
  char protocol[16];
  const char *offer; /* ALPN */
} relay;

static int write_all(int fd, const uint8_t *bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
    if (sent <= 0) return -1;
    bytes += sent;
    length -= (size_t)sent;
  }
  return 0;
}

/* Moves bytes until one side ends. */
static void relay_bytes(const relay *r, SSL *ssl, int fd) {
  static _Thread_local uint8_t buffer[20000];
  for (;;) {
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = r->plain, .events = POLLIN}};
    if (SSL_pending(ssl) > 0)
      fds[0].revents = POLLIN;
    else if (poll(fds, 2, -1) < 0)
      return;
    if (fds[0].revents != 0) {
      int got = SSL_read(ssl, buffer, sizeof buffer);
      if (got <= 0 || write_all(r->plain, buffer, (size_t)got) != 0) return;
    }
    if (fds[1].revents != 0) {
      ssize_t got = recv(r->plain, buffer, sizeof buffer, 0);
      if (got <= 0 || SSL_write(ssl, buffer, (int)got) <= 0) return;
    }
  }
}

static void *run_relay(void *user) {
  relay *r = user;
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(r->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL *ssl = SSL_new(context);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SSL_set_fd(ssl, fd);
  SSL_set_alpn_protos(ssl, (const unsigned char *)r->offer, (unsigned)strlen(r->offer));
  if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && SSL_connect(ssl) == 1) {
    const unsigned char *chosen;
    unsigned length;
    SSL_get0_alpn_selected(ssl, &chosen, &length);
    memcpy(r->protocol, chosen, length < sizeof r->protocol ? length : 0);
    relay_bytes(r, ssl, fd);
    SSL_shutdown(ssl);
  }
  shutdown(r->plain, SHUT_RDWR);
  SSL_free(ssl);
  SSL_CTX_free(context);
  close(fd);
  return NULL;
}

static client *open_tls(app *a, relay *r, const char *offer) {
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  memset(r, 0, sizeof *r);
  r->port = a->port;
  r->plain = pair[1];
  r->offer = offer;
  assert_int_equal(pthread_create(&r->thread, NULL, run_relay, r), 0);
  return client_over(a, pair[0]);
}

static void close_tls(relay *r, client *c) {
  client_close(c);
  pthread_join(r->thread, NULL);
  close(r->plain);
}

/* --- the server's side --- */

static wh_tls *server_tls(void) {
  credential made = make_credential("h", NULL, 0);
  text pem = pem_of(&made, NULL, made.key, NULL);
  wh_tls_identity identity = identity_of(&pem);
  wh_tls_host host = {.name = "*", .identities = &identity, .identity_count = 1};
  wh_tls_settings settings = {.hosts = &host,
                              .host_count = 1,
                              .protocols = WH_PROTOCOL_HTTP1 | WH_PROTOCOL_HTTP2,
                              .tickets = 1};
  wh_tls *tls;
  char message[200] = "";
  if (wh_tls_create(&settings, &tls, message, sizeof message) != WH_OK) fail_msg("%s", message);
  free(pem.bytes);
  free_credential(&made);
  return tls;
}

static app *open_app(void) {
  static const app_options options = {.no_listen = 1};
  app *a = app_new(&options, NULL);
  a->protocols = WH_PROTOCOL_HTTP1 | WH_PROTOCOL_HTTP2;
  a->tls = server_tls();
  assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_OK);
  return a;
}

static void close_app(app *a) {
  wh_tls *tls = a->tls;
  app_free(a);
  wh_tls_release(tls);
}

static uint32_t ask(h2 *h, const char *method, int end_stream) {
  uint32_t id = h->next_id;
  char head[100];
  h->next_id += 2;
  strcpy(head, ":method: ");
  strcat(head, method);
  strcat(head, "\n:scheme: https\n:path: /\n:authority: h\n");
  h2_headers(h, id, head, end_stream);
  return id;
}

static void expect_pattern(const h2_stream *s, size_t length) {
  assert_int_equal(s->length, length);
  for (size_t i = 0; i < length; i++) assert_int_equal(s->body[i], pattern_byte(i));
}

/* --- tests --- */

static void http2_by_alpn(void **state) {
  (void)state;
  app *a = open_app();
  relay r;
  client *c = open_tls(a, &r, "\2h2\10http/1.1");
  h2 *h = h2_over(c);
  client_send(c, BYTES(H2_PREFACE));
  h2_frame(h, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
  a->on_request = app_answer_target;
  uint32_t ids[40];
  for (int i = 0; i < 40; i++) ids[i] = ask(h, "GET", 1);
  for (int i = 0; i < 40; i++) h2_expect(h, ids[i], 200, "GET /");
  assert_string_equal(r.protocol, "h2");
  assert_true(a->requests[0]->flags & WH_REQUEST_FLAG_TLS);

  /* A large answer, pinned; the windows open as it is read. */
  a->on_request = NULL;
  size_t number = a->request_count;
  uint32_t id = ask(h, "GET", 1);
  RUN_UNTIL_REQUESTS(a, number + 1);
  app_respond_pinned(app_request_at(a, number), RELEASE, app_pin_bytes(a, NULL, 300000));
  for (size_t got = 0; got < 300000;) {
    RUN_UNTIL(a, h2_seen(h, id)->length > got);
    size_t more = h2_seen(h, id)->length - got;
    got += more;
    h2_window(h, 0, (uint32_t)more);
    if (got < 300000) h2_window(h, id, (uint32_t)more);
  }
  h2_expect(h, id, 200, NULL);
  expect_pattern(h2_seen(h, id), 300000);

  /* An upload, and trailers both ways. */
  uint8_t *body = pattern_bytes(200000);
  id = ask(h, "POST", 0);
  h2_data(h, id, body, 200000, 0);
  h2_headers(h, id, "x-in: 1\n", 1);
  RUN_UNTIL_REQUESTS(a, number + 2);
  app_request *p = app_request_at(a, number + 1);
  app_read(p, 1);
  RUN_UNTIL(a, p->body_complete);
  assert_int_equal(p->body_length, 200000);
  assert_memory_equal(p->body, body, 200000);
  assert_non_null(strstr(p->trailers, "x-in: 1"));
  app_start(p, 200, 0, NULL, -1);
  app_write(p, 0, BYTES("taken"));
  app_trailers(p, RELEASE, "X-Out: 2\r\n");
  h2_expect(h, id, 200, "taken");
  assert_string_equal(h2_seen(h, id)->trailers, "x-out: 2\n");
  free(body);

  wh_server_stop_listening(a->server);
  wh_server_stop(a->server, 0);
  h2_expect_goaway(h, NGHTTP2_NO_ERROR);
  close_tls(&r, c);
  h2_free(h);
  close_app(a);
}

static void http1_by_alpn(void **state) {
  (void)state;
  app *a = open_app();
  a->on_request = app_answer_target;
  relay r;
  client *c = open_tls(a, &r, "\10http/1.1");
  client_get(c, "/one");
  client_expect(c, 200, "GET /one");
  client_get(c, "/two");
  client_expect(c, 200, "GET /two");
  assert_string_equal(r.protocol, "http/1.1");
  close_tls(&r, c);
  close_app(a);
}

static void many_connections_at_once(void **state) {
  (void)state;
  app *a = open_app();
  a->on_request = app_answer_target;
  relay r[8];
  client *c[8];
  h2 *h[8];
  for (int i = 0; i < 8; i++) {
    c[i] = open_tls(a, &r[i], "\2h2");
    h[i] = h2_over(c[i]);
    client_send(c[i], BYTES(H2_PREFACE));
    h2_frame(h[i], NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    for (int n = 0; n < 10; n++) ask(h[i], "GET", 1);
  }
  for (int i = 0; i < 8; i++) {
    for (uint32_t id = 1; id < 21; id += 2) h2_expect(h[i], id, 200, "GET /");
  }
  for (int i = 0; i < 8; i++) {
    if (i % 2) {
      ask(h[i], "GET", 1); /* and goes before it is answered */
      app_step(a, 0);
    }
    close_tls(&r[i], c[i]);
    h2_free(h[i]);
  }
  close_app(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(http2_by_alpn),
      cmocka_unit_test(http1_by_alpn),
      cmocka_unit_test(many_connections_at_once),
  };
  return cmocka_run_group_tests_name("HTTP/2 over TLS", tests, NULL, NULL);
}
