/*
 * Load of TLS handshakes: a number of connections at a time, each of which connects, shakes hands,
 * sends one request, reads the answer to the end of the connection, and is followed by the next. The
 * request proves that the handshake was done on both sides: in TLS 1.3 a client is through before the
 * server has seen its last message.
 *
 * In mode "resumed" a connection offers the last ticket that a connection in its place was given; the
 * first in each place has none. What was resumed and what was not is counted, not believed.
 *
 * Arguments: port, connections, seconds, full or resumed, cipher suite of TLS 1.3, group, expected
 * status, file with the bytes of the request. It prints one line of JSON. Built by handshakes.mjs.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  STATUS_BYTES = 12,      /* "HTTP/1.1 200" */
  MOST_REQUEST = 1 << 16, /* bytes of a request */
  MOST_EVENTS = 256,
  LATENCY_SLOTS = 2000000, /* microseconds, longer ones count as the last */
};

struct place {
  int fd;
  SSL *ssl;
  SSL_SESSION *ticket; /* the last one given; NULL until then, and always in mode "full" */
  int sent;
  size_t received;
  char status[STATUS_BYTES];
  uint64_t started; /* microseconds */
};

static struct sockaddr_in address;
static char request[MOST_REQUEST];
static size_t request_length;
static char expected[STATUS_BYTES + 1];
static uint32_t latencies[LATENCY_SLOTS];
static uint64_t answers, full, resumed, wrong, failures;
static char agreed[128];    /* version and suite */
static char complaint[256]; /* the first failure of TLS */

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static void fatal(const char *what) {
  perror(what);
  exit(1);
}

static void fatal_tls(const char *what) {
  fprintf(stderr, "%s: %s\n", what, ERR_error_string(ERR_get_error(), NULL));
  exit(1);
}

/*
 * A server gave a ticket; the connection's place keeps a copy for its next connection. Not the ticket
 * itself: OpenSSL marks that as used up when the connection ends without a close_notify (Kestrel's do).
 */
static int keep_ticket(SSL *ssl, SSL_SESSION *ticket) {
  struct place *place = SSL_get_app_data(ssl);
  SSL_SESSION_free(place->ticket);
  place->ticket = SSL_SESSION_dup(ticket);
  if (place->ticket == NULL) fatal_tls("SSL_SESSION_dup");
  return 0; /* the ticket stays OpenSSL's */
}

/*
 * Offers a copy again: OpenSSL marks a ticket of TLS 1.3 as used up once it was taken, and a server that
 * gives no new one then (node, h2o) would get every second handshake without a ticket.
 */
static void offer_ticket(struct place *place) {
  SSL_SESSION *copy = SSL_SESSION_dup(place->ticket);
  if (copy == NULL || SSL_set_session(place->ssl, copy) != 1) fatal_tls("SSL_set_session");
  SSL_SESSION_free(copy);
}

static void open_place(SSL_CTX *context, int poll, struct place *place) {
  place->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (place->fd < 0) fatal("socket");
  int yes = 1;
  setsockopt(place->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  place->ssl = SSL_new(context);
  if (place->ssl == NULL || SSL_set_fd(place->ssl, place->fd) != 1) fatal_tls("SSL_new");
  SSL_set_app_data(place->ssl, place);
  if (SSL_set_tlsext_host_name(place->ssl, "localhost") != 1) fatal_tls("server name");
  if (place->ticket != NULL) offer_ticket(place);
  SSL_set_connect_state(place->ssl);
  place->sent = 0;
  place->received = 0;
  place->started = now();
  if (connect(place->fd, (struct sockaddr *)&address, sizeof address) != 0 &&
      errno != EINPROGRESS) {
    fatal("connect");
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = place};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, place->fd, &event) != 0) fatal("epoll_ctl");
}

static void close_place(struct place *place) {
  SSL_free(place->ssl);
  close(place->fd);
}

/* The connection has ended: counts what it brought. */
static void count(struct place *place) {
  if (place->received < STATUS_BYTES) {
    failures++;
    return;
  }
  answers++;
  if (SSL_session_reused(place->ssl)) {
    resumed++;
  } else {
    full++;
  }
  if (memcmp(place->status, expected, STATUS_BYTES) != 0) wrong++;
  if (agreed[0] == 0) {
    snprintf(agreed, sizeof agreed, "%s %s", SSL_get_version(place->ssl),
             SSL_CIPHER_standard_name(SSL_get_current_cipher(place->ssl)));
  }
  uint64_t latency = now() - place->started;
  latencies[latency < LATENCY_SLOTS ? latency : LATENCY_SLOTS - 1]++;
}

/* Returns 1 when the connection has ended, 0 while it waits. */
static int wait_or_end(struct place *place, int result) {
  int error = SSL_get_error(place->ssl, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
  if (place->received == 0 && complaint[0] == 0) {
    unsigned long code = ERR_peek_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    snprintf(complaint, sizeof complaint, "%s", reason == NULL ? "connection ended" : reason);
  }
  return 1;
}

/* Returns 1 when the connection has ended. */
static int advance(struct place *place) {
  ERR_clear_error();
  if (!place->sent) {
    if (!SSL_is_init_finished(place->ssl)) {
      int result = SSL_do_handshake(place->ssl);
      if (result != 1) return wait_or_end(place, result);
    }
    int result = SSL_write(place->ssl, request, (int)request_length);
    if (result <= 0) return wait_or_end(place, result);
    place->sent = 1;
  }
  for (;;) {
    char buffer[16384];
    int length = SSL_read(place->ssl, buffer, sizeof buffer);
    if (length <= 0) return wait_or_end(place, length);
    for (int i = 0; i < length && place->received + (size_t)i < STATUS_BYTES; i++) {
      place->status[place->received + (size_t)i] = buffer[i];
    }
    place->received += (size_t)length;
  }
}

static uint64_t percentile(unsigned percent) {
  uint64_t rank = (answers * percent + 99) / 100, sum = 0;
  for (size_t i = 0; i < LATENCY_SLOTS; i++) {
    sum += latencies[i];
    if (sum >= rank && sum > 0) return i;
  }
  return 0;
}

static void read_request(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fatal(path);
  request_length = fread(request, 1, sizeof request, file);
  fclose(file);
}

static SSL_CTX *new_context(int resumes, const char *suite, const char *group) {
  static const unsigned char protocol[] = "\x08http/1.1";
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (context == NULL) fatal_tls("SSL_CTX_new");
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
  if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context, suite) != 1 ||
      SSL_CTX_set1_groups_list(context, group) != 1 ||
      SSL_CTX_set_alpn_protos(context, protocol, sizeof protocol - 1) != 0) {
    fatal_tls("settings of TLS");
  }
  if (resumes) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_ticket);
  }
  return context;
}

int main(int argc, char **argv) {
  if (argc != 9) {
    fprintf(stderr, "handshakes PORT CONNECTIONS SECONDS full|resumed SUITE GROUP STATUS FILE\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN); /* a write to a connection that the server closed */
  size_t connections = strtoul(argv[2], NULL, 10);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  snprintf(expected, sizeof expected, "HTTP/1.1 %.3s", argv[7]);
  read_request(argv[8]);
  SSL_CTX *context = new_context(strcmp(argv[4], "resumed") == 0, argv[5], argv[6]);

  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct place *places = calloc(connections, sizeof *places);
  if (poll < 0 || places == NULL) fatal("start");
  uint64_t started = now(), end = started + strtoul(argv[3], NULL, 10) * 1000000;
  for (size_t i = 0; i < connections; i++) open_place(context, poll, &places[i]);

  struct epoll_event events[MOST_EVENTS];
  while (now() < end) {
    int ready = epoll_wait(poll, events, MOST_EVENTS, 100);
    if (ready < 0 && errno != EINTR) fatal("epoll_wait");
    for (int i = 0; i < ready; i++) {
      struct place *place = events[i].data.ptr;
      if (!advance(place)) continue;
      count(place);
      close_place(place);
      open_place(context, poll, place);
    }
  }
  printf("RESULT {\"requests\":%llu,\"microseconds\":%llu,\"p50\":%llu,\"p99\":%llu,"
         "\"wrong\":%llu,\"failures\":%llu,\"full\":%llu,\"resumed\":%llu,"
         "\"agreed\":\"%s\",\"complaint\":\"%s\"}\n",
         (unsigned long long)answers, (unsigned long long)(now() - started),
         (unsigned long long)percentile(50), (unsigned long long)percentile(99),
         (unsigned long long)wrong, (unsigned long long)failures, (unsigned long long)full,
         (unsigned long long)resumed, agreed, complaint);
  for (size_t i = 0; i < connections; i++) {
    close_place(&places[i]);
    SSL_SESSION_free(places[i].ticket);
  }
  free(places);
  SSL_CTX_free(context);
  return 0;
}
