#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "support_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE 65536
#define MOST_SHOWN 300 /* bytes, in a message */

client *client_over(app *a, int fd) {
  client *c = calloc(1, sizeof *c);
  assert_non_null(c);
  assert_true(fd >= 0);
  assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
  c->app = a;
  c->fd = fd;
  c->next = a->clients;
  a->clients = c;
  return c;
}

client *client_open(app *a) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(a->port)};
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
  return client_over(a, fd);
}

client *client_open_unix(app *a, const char *path) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  assert_true(strlen(path) < sizeof name.sun_path);
  memcpy(name.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
  return client_over(a, fd);
}

void client_send(client *c, const void *bytes, size_t length) {
  assert_true(c->fd >= 0 && !c->half_close);
  c->out = realloc(c->out, c->out_length + length);
  assert_non_null(c->out);
  memcpy(c->out + c->out_length, bytes, length);
  c->out_length += length;
  client_pump(c);
}

void client_text(client *c, const char *text) { client_send(c, text, strlen(text)); }

void client_half_close(client *c) {
  c->half_close = 1;
  client_pump(c);
}

void client_close(client *c) {
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
  c->ended = 1;
  c->out_length = c->sent = 0;
}

void client_reset(client *c) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
  client_close(c);
}

void client_free_all(app *a) {
  while (a->clients != NULL) {
    client *c = a->clients;
    a->clients = c->next;
    client_close(c);
    free(c->in);
    free(c->out);
    free(c);
  }
}

static int pump_out(client *c) {
  int happened = 0;
  while (c->fd >= 0 && c->sent < c->out_length) {
    ssize_t sent = send(c->fd, c->out + c->sent, c->out_length - c->sent, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return happened;
    happened = 1;
    if (sent < 0) {
      c->sent = c->out_length; /* the server wants no more: what it said can still be read */
    } else {
      c->sent += (size_t)sent;
    }
  }
  if (c->half_close == 1 && c->fd >= 0) {
    c->half_close = 2;
    shutdown(c->fd, SHUT_WR);
    happened = 1;
  }
  return happened;
}

int client_pump(client *c) {
  int happened = pump_out(c);
  while (c->fd >= 0 && !c->deaf && !c->ended) {
    if (c->in_room - c->in_length < READ_SIZE) {
      c->in_room = c->in_room * 2 + READ_SIZE;
      c->in = realloc(c->in, c->in_room);
      assert_non_null(c->in);
    }
    ssize_t length = recv(c->fd, c->in + c->in_length, READ_SIZE, 0);
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    happened = 1;
    if (length <= 0) {
      c->ended = 1;
      c->reset = length < 0;
    } else {
      c->in_length += (size_t)length;
    }
  }
  return happened;
}

size_t client_waiting(const client *c) { return c->in_length - c->taken; }

/* --- answers --- */

/* The value of a field in a head; NULL where there is none. Fails where there are two. */
static const char *field_of(const char *head, const char *name) {
  const char *found = NULL;
  size_t length = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, name, length) != 0 || line[length] != ':') continue;
    assert_null(found);
    found = line + length + 1;
    while (*found == ' ') found++;
  }
  return found;
}

static int value_is(const char *value, const char *expected) {
  size_t length = strlen(expected);
  return value != NULL && strncmp(value, expected, length) == 0 &&
         strncmp(value + length, "\r\n", 2) == 0;
}

/* The length of a chunked body on the wire, decoded in place at `out`; -1 where it is incomplete. */
static ssize_t take_chunks(const uint8_t *in, size_t length, uint8_t *out, size_t *out_length) {
  size_t at = 0;
  *out_length = 0;
  for (;;) {
    const uint8_t *line = in + at;
    const uint8_t *end = memmem(line, length - at, "\r\n", 2);
    if (end == NULL) return -1;
    assert_in_range(end - line, 1, 8);
    size_t size = 0;
    for (const uint8_t *p = line; p < end; p++) {
      const char *digit = strchr("0123456789abcdef", *p);
      assert_true(digit != NULL && *digit != '\0');
      size = size * 16 + (size_t)(digit - "0123456789abcdef");
    }
    at = (size_t)(end - in) + 2;
    if (length - at < size + 2) return -1;
    if (size > 0) memcpy(out + *out_length, in + at, size);
    *out_length += size;
    assert_memory_equal(in + at + size, "\r\n", 2);
    at += size + 2;
    if (size == 0) return (ssize_t)at;
  }
}

/* Reads an answer off what was received; the bytes that it takes, or 0 where it is incomplete. */
static size_t parse(const client *c, int to_head, client_answer *out) {
  const uint8_t *in = c->in + c->taken;
  size_t length = client_waiting(c);
  const uint8_t *end = length == 0 ? NULL : memmem(in, length, "\r\n\r\n", 4);
  memset(out, 0, sizeof *out);
  if (end == NULL) return 0;
  size_t head_length = (size_t)(end - in) + 4, taken = 0;
  out->head = malloc(head_length + 1);
  out->body = malloc(length + 1);
  if (out->head == NULL || out->body == NULL) abort();
  memcpy(out->head, in, head_length);
  out->head[head_length] = '\0';
  assert_memory_equal(out->head, "HTTP/1.1 ", 9);
  out->status = (int)strtol(out->head + 9, NULL, 10);
  assert_in_range(out->status, 100, 999);
  assert_int_equal(out->head[12], ' ');
  const char *declared = field_of(out->head, "Content-Length");
  const char *encoding = field_of(out->head, "Transfer-Encoding");
  out->close = value_is(field_of(out->head, "Connection"), "close");
  out->chunked = encoding != NULL;
  out->has_length = declared != NULL;
  if (declared != NULL) out->content_length = strtoul(declared, NULL, 10);
  assert_true(!out->chunked || (value_is(encoding, "chunked") && declared == NULL));
  if (out->status >= 200) assert_non_null(field_of(out->head, "Date"));
  if (to_head || out->status < 200 || out->status == 204 || out->status == 304) {
    taken = head_length;
  } else if (out->chunked) {
    ssize_t body = take_chunks(in + head_length, length - head_length, out->body, &out->length);
    taken = body < 0 ? 0 : head_length + (size_t)body;
  } else if (out->has_length) {
    if (length - head_length >= out->content_length) {
      out->length = out->content_length;
      memcpy(out->body, in + head_length, out->length);
      taken = head_length + out->length;
    }
  } else if (c->ended) {
    assert_true(out->close);
    out->length = length - head_length;
    memcpy(out->body, in + head_length, out->length);
    taken = length;
  }
  out->body[out->length] = '\0';
  if (taken == 0) client_answer_free(out);
  return taken;
}

int client_has_answer(const client *c, int to_head) {
  client_answer answer;
  size_t taken = parse(c, to_head, &answer);
  client_answer_free(&answer);
  return taken > 0;
}

client_answer client_take(client *c, int to_head) {
  client_answer answer = {0};
  size_t taken = 0;
  uint64_t patience = app_patience();
  while ((taken = parse(c, to_head, &answer)) == 0) {
    if (c->ended) {
      size_t shown = client_waiting(c) < MOST_SHOWN ? client_waiting(c) : MOST_SHOWN;
      fail_msg("the connection ended (%s) with %zu bytes: %.*s", c->reset ? "reset" : "closed",
               client_waiting(c), (int)shown, shown > 0 ? (const char *)c->in + c->taken : "");
    }
    app_wait(c->app, patience, __FILE__, __LINE__, "an answer");
  }
  c->taken += taken;
  if (c->taken == c->in_length) c->taken = c->in_length = 0;
  return answer;
}

void client_answer_free(client_answer *answer) {
  free(answer->head);
  free(answer->body);
  answer->head = NULL;
  answer->body = NULL;
}

void client_expect(client *c, int status, const char *body) {
  client_answer answer = client_take(c, 0);
  if (answer.status != status) print_error("%s", answer.head);
  assert_int_equal(answer.status, status);
  if (body != NULL) assert_string_equal((char *)answer.body, body);
  client_answer_free(&answer);
}

void client_expect_head(client *c, int status, long content_length) {
  client_answer answer = client_take(c, 1);
  assert_int_equal(answer.status, status);
  assert_int_equal(answer.has_length, content_length >= 0);
  assert_int_equal(answer.chunked, 0);
  if (content_length >= 0) assert_int_equal(answer.content_length, content_length);
  client_answer_free(&answer);
}

int client_answer_has(const client_answer *answer, const char *line) {
  char whole[256];
  snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
  return strstr(answer->head, whole) != NULL;
}

void client_expect_line(client *c, int status, const char *line) {
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.status, status);
  if (!client_answer_has(&answer, line)) fail_msg("no %s in:\n%s", line, answer.head);
  client_answer_free(&answer);
}

static void expect_no_more(const client *c) {
  size_t shown = client_waiting(c) < MOST_SHOWN ? client_waiting(c) : MOST_SHOWN;
  if (shown > 0) fail_msg("more: %.*s", (int)shown, (const char *)c->in + c->taken);
}

void client_expect_end(client *c) {
  RUN_UNTIL(c->app, c->ended);
  expect_no_more(c);
}

void client_expect_refusal(client *c, int status) {
  client_answer answer = client_take(c, 0);
  if (answer.status != status) print_error("%s", answer.head);
  assert_int_equal(answer.status, status);
  /* Only who speaks TLS to a cleartext port is told why. */
  if (answer.length > 0) assert_non_null(strstr((const char *)answer.body, "without TLS"));
  assert_int_equal(answer.has_length, 1);
  assert_int_equal(answer.close, 1);
  client_answer_free(&answer);
  client_expect_end(c);
  assert_int_equal(c->reset, 0);
}

void client_expect_nothing(client *c) {
  app_quiet(c->app);
  expect_no_more(c);
  assert_int_equal(c->ended, 0);
}

void client_get(client *c, const char *target) {
  char text[9000];
  int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
  assert_in_range(length, 1, sizeof text - 1);
  client_send(c, text, (size_t)length);
}
