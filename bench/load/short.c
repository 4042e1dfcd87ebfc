/*
 * Load of short connections: a number of connections at a time, each of which connects, sends one
 * request, reads the answer to the end of the connection, and is followed by the next. wrk cannot
 * make this load evenly: where an answer does not announce the end, or ends with the connection, it
 * sends a second request into a closed connection, or opens a second connection for nothing.
 *
 * Arguments: port, connections, seconds, expected status, file with the bytes of the request.
 * It prints one line of JSON. Built by short.mjs beside it.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
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

struct slot {
  int fd; /* -1 when there is no connection */
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
static uint64_t answers, wrong, failures;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static void fatal(const char *what) {
  perror(what);
  exit(1);
}

static void open_slot(int poll, struct slot *slot) {
  slot->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (slot->fd < 0) fatal("socket");
  int yes = 1;
  setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  slot->sent = 0;
  slot->received = 0;
  slot->started = now();
  if (connect(slot->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) {
    fatal("connect");
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = slot};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, slot->fd, &event) != 0) fatal("epoll_ctl");
}

static void close_slot(struct slot *slot) {
  close(slot->fd);
  slot->fd = -1;
}

/* The connection has ended: counts what it brought. */
static void count(struct slot *slot) {
  if (slot->received < STATUS_BYTES) {
    failures++;
    return;
  }
  answers++;
  if (memcmp(slot->status, expected, STATUS_BYTES) != 0) wrong++;
  uint64_t latency = now() - slot->started;
  latencies[latency < LATENCY_SLOTS ? latency : LATENCY_SLOTS - 1]++;
}

/* Returns 1 when the connection has ended. */
static int advance(struct slot *slot) {
  if (!slot->sent) {
    ssize_t written = send(slot->fd, request, request_length, MSG_NOSIGNAL);
    if (written < 0 && (errno == EAGAIN || errno == ENOTCONN)) return 0;
    /* A server may refuse the request before it has read all of it, so this is no failure yet. */
    slot->sent = 1;
  }
  for (;;) {
    char buffer[16384];
    ssize_t length = recv(slot->fd, buffer, sizeof buffer, 0);
    if (length < 0 && errno == EAGAIN) return 0;
    if (length <= 0) return 1;
    for (ssize_t i = 0; i < length && slot->received + (size_t)i < STATUS_BYTES; i++) {
      slot->status[slot->received + (size_t)i] = buffer[i];
    }
    slot->received += (size_t)length;
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

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "short PORT CONNECTIONS SECONDS STATUS FILE\n");
    return 2;
  }
  size_t connections = strtoul(argv[2], NULL, 10);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  snprintf(expected, sizeof expected, "HTTP/1.1 %.3s", argv[4]);
  read_request(argv[5]);

  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct slot *slots = calloc(connections, sizeof *slots);
  if (poll < 0 || slots == NULL) fatal("start");
  uint64_t started = now(), end = started + strtoul(argv[3], NULL, 10) * 1000000;
  for (size_t i = 0; i < connections; i++) open_slot(poll, &slots[i]);

  struct epoll_event events[MOST_EVENTS];
  while (now() < end) {
    int ready = epoll_wait(poll, events, MOST_EVENTS, 100);
    if (ready < 0 && errno != EINTR) fatal("epoll_wait");
    for (int i = 0; i < ready; i++) {
      struct slot *slot = events[i].data.ptr;
      if (!advance(slot)) continue;
      count(slot);
      close_slot(slot);
      open_slot(poll, slot);
    }
  }
  printf("RESULT {\"requests\":%llu,\"microseconds\":%llu,\"p50\":%llu,\"p99\":%llu,"
         "\"wrong\":%llu,\"failures\":%llu}\n",
         (unsigned long long)answers, (unsigned long long)(now() - started),
         (unsigned long long)percentile(50), (unsigned long long)percentile(99),
         (unsigned long long)wrong, (unsigned long long)failures);
  free(slots);
  return 0;
}
