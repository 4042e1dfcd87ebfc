/*
 * Everything at once, at random but repeatable: many clients that send, stop reading, end their side or
 * vanish as they please, and an application that answers now, later, in pieces, in any order. Every client
 * that stays gets every answer, in order and complete.
 */
#include <stdio.h>

#include "support_client.h"

#define H "Host: h\r\n"
#define RELEASE WH_COMMAND_FLAG_RELEASE

#define CLIENTS 24
#define STEPS 4000
#define MOST_SENT 40 /* requests of one client */

static uint32_t seed;

static uint32_t dice(uint32_t sides) {
  seed = seed * 1664525 + 1013904223;
  return (seed >> 8) % sides;
}

/* A client, and what it expects. */
typedef struct guest {
  client *client;
  size_t number, sent, answered;
  struct {
    int to_head;
    char start[80]; /* of the answer's body */
  } expected[MOST_SENT];
} guest;

static uint32_t hash_of(const uint8_t *bytes, size_t length) {
  uint32_t hash = 2166136261U;
  for (size_t i = 0; i < length; i++) hash = (hash ^ bytes[i]) * 16777619U;
  return hash;
}

/* --- the application --- */

/* What every answer starts with: it shows which request it is for, and that its body arrived. */
static size_t describe(const app_request *r, char *out, size_t size) {
  return (size_t)snprintf(out, size, "%s %s %zu %u\n", r->method, r->target, r->body_length,
                          hash_of(r->body, r->body_length));
}

static void answer_somehow(app *a, app_request *r) {
  char start[80];
  size_t length = describe(r, start, sizeof start);
  uint32_t way = dice(5);
  if (way < 2) {
    app_respond(r, 200, RELEASE, NULL, start, length);
  } else if (way == 2) {
    size_t more = dice(300000);
    uint8_t *body = pattern_bytes(length + more);
    memcpy(body, start, length);
    app_respond_pinned(r, RELEASE, app_pin_bytes(a, body, length + more));
    free(body);
  } else {
    /* The rest is written as there is room: see go_on. */
    app_start(r, 200, 0, NULL, -1);
    app_write(r, WH_COMMAND_FLAG_NOTIFY, start, length);
    r->step = 10 + (int)dice(6);
  }
}

/* A stream that waits for room, or a request whose client is gone. */
static void go_on(app *a, app_request *r) {
  static const uint8_t piece[20000];
  if (!r->open) return;
  if (r->aborted) {
    app_release(r);
  } else if (r->step > 10 && r->rooms > 0) {
    r->rooms = 0;
    r->step--;
    if (dice(2))
      app_write(r, WH_COMMAND_FLAG_NOTIFY, piece, sizeof piece);
    else
      app_write_pinned(r, WH_COMMAND_FLAG_NOTIFY, app_pin_bytes(a, piece, sizeof piece));
  } else if (r->step == 10 && r->rooms > 0) {
    app_end(r, RELEASE);
  } else if (r->step == 1 && r->body_complete) {
    answer_somehow(a, r);
  }
}

static void take_on(app *a, app_request *r) {
  if (!r->body_complete) {
    r->step = 1; /* answered when it is complete */
    app_read(r, 1);
  } else if (dice(3)) {
    answer_somehow(a, r);
  } /* else later: see answer_late */
}

static void answer_late(app *a, int all) {
  for (size_t i = 0; i < a->request_count; i++) {
    app_request *r = a->requests[i];
    if (!r->open || r->step != 0 || (!all && dice(4))) continue;
    if (r->aborted)
      app_release(r);
    else
      answer_somehow(a, r);
  }
}

/* --- the clients --- */

static void ask(guest *g) {
  client *c = g->client;
  char head[200];
  size_t size = dice(8) ? dice(2000) : dice(150000);
  uint32_t kind = dice(5);
  const char *method = kind == 0 ? "HEAD" : kind < 3 ? "GET" : "POST";
  uint8_t *body = pattern_bytes(size);
  if (kind < 3) size = 0;
  g->expected[g->sent].to_head = kind == 0;
  snprintf(g->expected[g->sent].start, sizeof g->expected[g->sent].start, "%s /%zu/%zu %zu %u\n",
           method, g->number, g->sent, size, hash_of(body, size));
  int n = snprintf(head, sizeof head, "%s /%zu/%zu HTTP/1.1\r\n" H "X-Number: %zu\r\n", method,
                   g->number, g->sent, g->sent);
  client_send(c, head, (size_t)n);
  if (kind < 3) {
    client_text(c, "\r\n");
  } else if (kind == 3) {
    client_send(c, head, (size_t)snprintf(head, sizeof head, "Content-Length: %zu\r\n\r\n", size));
    client_send(c, body, size);
  } else {
    client_text(c, "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0, piece; at < size; at += piece) {
      piece = 1 + dice(9000);
      if (piece > size - at) piece = size - at;
      client_send(c, head, (size_t)snprintf(head, sizeof head, "%zx\r\n", piece));
      client_send(c, body + at, piece);
      client_text(c, "\r\n");
    }
    client_text(c, "0\r\n\r\n");
  }
  free(body);
  g->sent++;
}

static void check_answers(guest *g) {
  while (g->answered < g->sent && client_has_answer(g->client, g->expected[g->answered].to_head)) {
    client_answer answer = client_take(g->client, g->expected[g->answered].to_head);
    const char *start = g->expected[g->answered].start;
    assert_int_equal(answer.status, 200);
    if (!g->expected[g->answered].to_head) {
      assert_true(answer.length >= strlen(start));
      assert_memory_equal(answer.body, start, strlen(start));
    }
    client_answer_free(&answer);
    g->answered++;
  }
}

static void leave_and_come_again(app *a, guest *g) {
  if (dice(2))
    client_reset(g->client);
  else
    client_close(g->client);
  size_t number = g->number;
  memset(g, 0, sizeof *g);
  g->number = number + CLIENTS;
  g->client = client_open(a);
}

static void finish(app *a, guest *g) {
  g->client->deaf = 0;
  uint64_t patience = app_patience();
  while (g->answered < g->sent) {
    answer_late(a, 1);
    app_wait(a, patience, __FILE__, __LINE__, "all answers");
    check_answers(g);
    assert_true(g->answered == g->sent || !g->client->ended);
  }
  if (g->client->half_close) client_expect_end(g->client);
}

static void play(uint32_t first_seed) {
  app *a = app_new(NULL, NULL);
  guest guests[CLIENTS];
  seed = first_seed;
  memset(guests, 0, sizeof guests);
  a->on_request = take_on;
  a->on_body = go_on;
  for (size_t i = 0; i < CLIENTS; i++) {
    guests[i].number = i;
    guests[i].client = client_open(a);
  }
  for (int step = 0; step < STEPS; step++) {
    guest *g = &guests[dice(CLIENTS)];
    uint32_t what = dice(20);
    if (what < 8 && g->sent < MOST_SENT && !g->client->half_close)
      ask(g);
    else if (what < 10)
      g->client->deaf = !g->client->deaf;
    else if (what == 10 && dice(10) == 0)
      client_half_close(g->client);
    else if (what == 11 && dice(10) == 0)
      leave_and_come_again(a, g);
    else if (what < 14)
      answer_late(a, 0);
    else
      app_step(a, 0);
    if (step % 16 == 0) check_answers(g);
  }
  for (size_t i = 0; i < CLIENTS; i++) finish(a, &guests[i]);
  /* Those who vanished have left requests behind. */
  answer_late(a, 1);
  app_quiet(a);
  app_free(a);
}

static void every_client_that_stays_gets_every_answer(void **state) {
  (void)state;
  for (uint32_t i = 1; i <= 4; i++) play(i * 7919);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_client_that_stays_gets_every_answer),
  };
  return cmocka_run_group_tests_name("server chaos", tests, NULL, NULL);
}
