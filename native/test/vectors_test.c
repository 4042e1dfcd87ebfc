/*
 * Every case of test/vectors/http1.txt through the HTTP/1 sessions of the core alone: below them a fake
 * transport, above them a fake application; no server, no socket. Each case whole, split in two at every
 * byte (very long ones at fewer), and byte by byte; wherever it is split, the outcome is the same.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdio.h>

#include "http/http1_session.h"
#include "http/http2.h"
#include "http_pieces.h"
#include "server/limits.h"
#include "support_vectors.h"

#define VECTORS "../../test/vectors/http1.txt"
#define MOST_SLABS 64
#define MOST_OPEN 16
#define RELAXED_SETS 8
#define MOST_SPLITS 500 /* of one case */

/* --- one run of one case --- */

typedef struct seen {
  vector_bytes method, target, path, query, body, fields, trailers, authority;
  uint32_t index, generation;
  unsigned flags, version, status; /* why its body failed */
  int form, complete, aborted, answered;
} seen;

/* A service for each set of what is relaxed: one that is used for all would remember heads of others. */
static struct world {
  wh_http_service service;
  wh_exchange_pool *pool;
  uint8_t *slabs[MOST_SLABS];
  size_t slab_sizes[MOST_SLABS], slot_sizes[MOST_SLABS];
} worlds[RELAXED_SETS], *world;

static const vector_case *now; /* the case that is run, for messages */
static char how[80];           /* ... and how it is split */
static wh_http1 *session;
static uint32_t requests;
static uint8_t head_hint;
static uint8_t *arena; /* what bytes' places are counted from */
static int finished, closed;
static vector_bytes out;
static uint8_t *reserved;
static seen seens[MOST_OPEN];
static size_t seen_count;

#define fail_case(...)                        \
  do {                                        \
    print_error("%s (%s): ", now->name, how); \
    print_error(__VA_ARGS__);                 \
    fail();                                   \
    abort(); /* never comes to it */          \
  } while (0)

static void add(vector_bytes *to, const void *data, size_t length) {
  to->data = realloc(to->data, to->length + length + 1);
  assert_non_null(to->data);
  if (length > 0) memcpy(to->data + to->length, data, length);
  to->length += length;
  to->data[to->length] = '\0';
}

/* --- below --- */

static uint8_t *fake_reserve(void *connection, size_t size) {
  (void)connection;
  reserved = malloc(size == 0 ? 1 : size);
  assert_non_null(reserved);
  return reserved;
}

static void fake_commit(void *connection, size_t size) {
  (void)connection;
  assert_false(finished || closed);
  add(&out, reserved, size);
  free(reserved);
  reserved = NULL;
}

static void fake_append(void *connection, const void *data, size_t length) {
  (void)connection;
  assert_false(finished || closed);
  add(&out, data, length);
}

static void fake_append_pinned(void *connection, uint32_t id, size_t length) {
  (void)connection;
  (void)id;
  (void)length;
  fail_case("nobody pinned anything\n");
}

static void ignore(void *connection) { (void)connection; }

static int fake_is_full(const void *connection) {
  (void)connection;
  return 0;
}

static void ignore_switch(void *connection, int on) {
  (void)connection;
  (void)on;
}

static void fake_finish(void *connection, int linger) {
  (void)connection;
  (void)linger;
  finished = 1;
}

static void fake_close(void *connection, int reset) {
  (void)connection;
  (void)reset;
  closed = 1;
}

static int fake_is_secure(const void *connection) {
  (void)connection;
  return 0;
}

static const wh_transport transport = {
    .reserve = fake_reserve,
    .commit = fake_commit,
    .append = fake_append,
    .append_pinned = fake_append_pinned,
    .notify_room = ignore,
    .is_full = fake_is_full,
    .hold = ignore_switch,
    .read = ignore_switch,
    .finish = fake_finish,
    .close = fake_close,
    .is_secure = fake_is_secure,
};

/* --- above --- */

static vector_bytes slot_piece(const wh_exchange *exchange, size_t place) {
  vector_bytes piece = {0};
  uint32_t offset = wh_slot_get32(exchange, place);
  uint32_t length = wh_slot_get32(exchange, place + 4);
  assert_true(offset <= exchange->slot_size && length <= exchange->slot_size - offset);
  add(&piece, exchange->slot + offset, length);
  return piece;
}

/* Field lines from number `first` on, as NAME NUL VALUE NUL; no name and no value holds a NUL. */
static vector_bytes field_lines(const wh_exchange *exchange, uint32_t first, uint32_t count) {
  vector_bytes lines = {0};
  add(&lines, "", 0);
  for (uint32_t i = first; i < first + count; i++) {
    const uint8_t *entry = wh_slot_field(exchange, i);
    uint32_t words[3];
    uint16_t name_length;
    memcpy(words, entry, sizeof words);
    memcpy(&name_length, entry + WH_FIELD_NAME_LENGTH, sizeof name_length);
    add(&lines, exchange->slot + words[0], name_length);
    add(&lines, "", 1);
    add(&lines, exchange->slot + words[1], words[2]);
    add(&lines, "", 1);
  }
  return lines;
}

static void on_request(void *user, wh_exchange *exchange) {
  (void)user;
  if (seen_count == MOST_OPEN) fail_case("too many requests\n");
  seen *s = &seens[seen_count++];
  *s = (seen){
      .method = slot_piece(exchange, WH_SLOT_METHOD_OFFSET),
      .target = slot_piece(exchange, WH_SLOT_TARGET_OFFSET),
      .path = slot_piece(exchange, WH_SLOT_PATH_OFFSET),
      .query = slot_piece(exchange, WH_SLOT_QUERY_OFFSET),
      .authority = slot_piece(exchange, WH_SLOT_AUTHORITY_OFFSET),
      .fields = field_lines(exchange, 0, wh_slot_get32(exchange, WH_SLOT_HEADER_COUNT)),
      .index = exchange->index,
      .generation = exchange->generation,
      .flags = wh_slot_get16(exchange, WH_SLOT_FLAGS),
      .version = exchange->slot[WH_SLOT_VERSION],
      .form = exchange->slot[WH_SLOT_TARGET_FORM],
  };
  add(&s->body, "", 0);
  add(&s->trailers, "", 0);
  if (s->flags & WH_REQUEST_FLAG_BODY_COMPLETE) {
    add(&s->body, arena + wh_slot_get32(exchange, WH_SLOT_BODY_OFFSET),
        wh_slot_get32(exchange, WH_SLOT_BODY_LENGTH));
    s->complete = 1;
  }
  if (!(s->flags & WH_REQUEST_FLAG_HAS_BODY)) s->complete = 1;
}

static seen *seen_of(const wh_exchange *exchange) {
  for (size_t i = seen_count; i-- > 0;) {
    if (seens[i].index == exchange->index && seens[i].generation == exchange->generation) {
      return &seens[i];
    }
  }
  fail_case("an event for no request\n");
  return NULL;
}

static void on_body(void *user, wh_exchange *exchange, const uint8_t *data, size_t length) {
  (void)user;
  add(&seen_of(exchange)->body, data, length);
}

static void on_body_end(void *user, wh_exchange *exchange) {
  (void)user;
  seen *s = seen_of(exchange);
  assert_false(s->complete || s->aborted);
  s->complete = 1;
}

/* Kept as it comes; taken apart when the case is judged. */
static void on_trailers(void *user, wh_exchange *exchange, const uint8_t *data, size_t length) {
  (void)user;
  seen *s = seen_of(exchange);
  assert_false(s->complete || s->aborted);
  add(&s->trailers, data, length);
}

static void on_aborted(void *user, wh_exchange *exchange, unsigned status) {
  (void)user;
  seen *s = seen_of(exchange);
  assert_false(s->aborted);
  s->aborted = 1;
  s->status = status;
}

static void on_exchange(void *user, wh_exchange *exchange) {
  (void)user;
  (void)exchange;
}

static void on_refused(void *user, const wh_refuser *refused, wh_refusal reason) {
  (void)user;
  (void)refused;
  assert_in_range(reason, 1, WH_REFUSAL_COUNT - 1);
}

static void on_flooded(void *user, void *connection, unsigned kind, const uint8_t *end) {
  (void)user;
  (void)connection;
  (void)end;
  assert_in_range(kind, 0, WH_HTTP2_FLOOD_COUNT - 1);
}

static void release_pinned(void *user, uint32_t id) {
  (void)user;
  (void)id;
}

static uint32_t arena_offset(void *user, const uint8_t *data) {
  (void)user;
  return (uint32_t)(data - arena);
}

static void keep(void *user, const uint8_t *end) {
  (void)user;
  (void)end;
}

static const wh_receiver receiver = {
    .request = on_request,
    .body = on_body,
    .body_end = on_body_end,
    .trailers = on_trailers,
    .aborted = on_aborted,
    .room = on_exchange,
    .ended = on_exchange,
    .refused = on_refused,
    .flooded = on_flooded,
    .release_pinned = release_pinned,
    .arena_offset = arena_offset,
    .keep = keep,
};

/* Answers what is complete, asks for bodies, lets go of what failed. Whether it did anything. */
static int attend(void) {
  static const uint8_t text[] = "ok";
  int did = 0;
  for (size_t i = 0; i < seen_count; i++) {
    seen *s = &seens[i];
    wh_exchange *exchange = wh_exchange_find(world->pool, s->index, s->generation);
    if (s->answered || exchange == NULL) continue;
    if (s->aborted || s->complete) {
      did = s->answered = 1;
      exchange->released = 1;
      if (s->aborted && exchange->owner == NULL) {
        wh_exchange_give(world->pool, exchange);
      } else if (s->aborted) {
        exchange->protocol->released(exchange);
      } else {
        int is_connect = strcmp((char *)s->method.data, "CONNECT") == 0;
        wh_answer answer = {.status = is_connect ? 501 : 200,
                            .flags = WH_COMMAND_FLAG_RELEASE,
                            .head = text,
                            .body = text,
                            .body_length = 2};
        exchange->protocol->respond(exchange, &answer);
      }
    } else if (!exchange->body_wanted) {
      did = 1;
      exchange->protocol->read(exchange, 1);
    }
  }
  return did;
}

static void let_go(void) {
  wh_http1 *old = session;
  session = NULL;
  if (old != NULL) wh_http1_close(old);
  while (attend()) {
  }
}

/* What the server does between two reads. */
static void settle(void) {
  for (;;) {
    if (attend()) continue;
    if (session == NULL || closed || finished || !wh_http1_can_resume(session)) break;
    size_t rest = wh_http1_rest(session);
    uint8_t *scratch = malloc(rest + 1), *before = arena;
    assert_non_null(scratch);
    arena = scratch;
    wh_http1_resume(session, scratch);
    free(scratch);
    arena = before;
  }
  if (session == NULL) return;
  if (closed || finished || wh_http1_phase_of(session) == WH_HTTP1_IDLE) let_go();
}

/* Bytes come, in a block of their exact size. */
static void deliver(const uint8_t *bytes, size_t length) {
  if (closed || finished || length == 0) return;
  if (session == NULL) {
    session = wh_http1_open(&world->service, &session, 1, &requests, &head_hint);
    assert_non_null(session);
  }
  arena = exact_copy(bytes, length);
  wh_http1_receive(session, arena, length);
  free(arena);
  arena = NULL;
}

static void deliver_end(void) {
  if (closed || finished) return;
  if (session == NULL)
    finished = 1; /* as a server does with an idle connection */
  else
    wh_http1_receive(session, arena, 0);
  settle();
}

/* --- what came of it --- */

static int bytes_are(const vector_bytes *a, const vector_bytes *b) {
  return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

static void expect_bytes(const char *what, const vector_bytes *got, const vector_bytes *expected) {
  if (bytes_are(got, expected)) return;
  int shown = (int)(expected->length < 80 ? expected->length : 80);
  fail_case("%s is '%.80s' (%zu bytes), not '%.*s' (%zu)\n", what, (char *)got->data, got->length,
            shown, (char *)expected->data, expected->length);
}

/* The lines of a trailer section as field_lines gives those of a head. */
static vector_bytes trailer_lines(const vector_bytes *section) {
  vector_bytes lines = {0};
  wh_trailer_field field;
  size_t offset = 0;
  add(&lines, "", 0);
  while (wh_trailer_next(section->data, section->length, &offset, &field)) {
    add(&lines, field.name, field.name_length);
    add(&lines, "", 1);
    add(&lines, field.value, field.value_length);
    add(&lines, "", 1);
  }
  if (offset != section->length) fail_case("its trailers are no field lines\n");
  return lines;
}

/* The value of line number `nth` with a name among lines of field_lines. 0 where there is none. */
static int find_line(const vector_bytes *lines, const char *name, size_t nth, vector_bytes *value) {
  uint8_t *at = lines->data, *end = lines->data + lines->length;
  while (at < end) {
    char *found = (char *)at;
    value->data = at + strlen(found) + 1;
    value->length = strlen((char *)value->data);
    at = value->data + value->length + 1;
    if (strcasecmp(found, name) == 0 && nth-- == 0) return 1;
  }
  return 0;
}

static void expect_fields(const char *what, const vector_bytes *lines, const vector_field *fields,
                          size_t count) {
  for (size_t i = 0; i < count; i++) {
    vector_bytes value;
    size_t nth = 0;
    for (size_t k = 0; k < i; k++) nth += strcasecmp(fields[k].name, fields[i].name) == 0;
    if (!find_line(lines, fields[i].name, nth, &value)) {
      fail_case("there is no %s %s\n", what, fields[i].name);
    }
    expect_bytes(fields[i].name, &value, &fields[i].value);
  }
}

static void expect_request(const seen *s, const vector_request *expected) {
  vector_bytes method = {(uint8_t *)expected->method, strlen(expected->method)};
  expect_bytes("the method", &s->method, &method);
  expect_bytes("the path", &s->path, &expected->path);
  expect_bytes("the query", &s->query, &expected->query);
  expect_bytes("the target", &s->target, &expected->target);
  expect_bytes("the body", &s->body, &expected->body);
  if (s->version != 10U + (unsigned)expected->minor_version) fail_case("another version\n");
  if (!s->complete || s->aborted) fail_case("its body is not complete\n");
  expect_fields("field", &s->fields, expected->fields, expected->field_count);
  vector_bytes trailers = trailer_lines(&s->trailers);
  expect_fields("trailer", &trailers, expected->trailers, expected->trailer_count);
  free(trailers.data);
  if (expected->has_host) {
    vector_bytes host = {0};
    int has_host = find_line(&s->fields, "Host", 0, &host);
    expect_bytes("the host", has_host ? &host : &s->authority, &expected->host);
  }
}

/* Takes an answer off the output: its status line and fields, as a text to be freed. NULL: no more. */
static char *take_answer(size_t *at, int to_head) {
  static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
  size_t left = out.length - *at;
  while (left >= sizeof interim - 1 && memcmp(out.data + *at, interim, sizeof interim - 1) == 0) {
    *at += sizeof interim - 1;
    left = out.length - *at;
  }
  if (left == 0) return NULL;
  const uint8_t *end = memmem(out.data + *at, left, "\r\n\r\n", 4);
  if (end == NULL) {
    fail_case("not an answer: %s\n", (char *)out.data + *at);
    return NULL;
  }
  size_t length = (size_t)(end - (out.data + *at)) + 4;
  char *head = malloc(length + 1);
  assert_non_null(head);
  memcpy(head, out.data + *at, length);
  head[length] = '\0';
  *at += length;
  const char *declared = strcasestr(head, "\r\nContent-Length: ");
  size_t body = declared == NULL || to_head ? 0 : strtoul(declared + 18, NULL, 10);
  if (strcasestr(head, "\r\nTransfer-Encoding") != NULL || body > out.length - *at) {
    fail_case("its framing is odd: %s\n", head);
  }
  *at += body;
  return head;
}

static int has_line(const char *head, const char *line) {
  char whole[200];
  snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
  return strcasestr(head, whole) != NULL;
}

static void expect_status(const char *head, unsigned status) {
  char begin[20];
  snprintf(begin, sizeof begin, "HTTP/1.1 %u ", status);
  if (strncmp(head, begin, strlen(begin)) != 0) {
    fail_case("status %.3s, not %u\n", head + 9, status);
  }
}

static void expect_answer(size_t *at, const vector_request *request) {
  char *head = take_answer(at, strcmp(request->method, "HEAD") == 0);
  if (head == NULL) fail_case("an answer is missing\n");
  expect_status(head, strcmp(request->method, "CONNECT") == 0 ? 501 : 200);
  if (!now->half_close) {
    if (has_line(head, "Connection: close") != request->close) {
      fail_case("Connection: close is %s\n", request->close ? "missing" : "there");
    }
    if (has_line(head, "Connection: keep-alive") != request->keep_alive) {
      fail_case("Connection: keep-alive is %s\n", request->keep_alive ? "missing" : "there");
    }
  }
  free(head);
}

static void expect_refusal(size_t *at) {
  char line[100];
  char *head = take_answer(at, 0);
  if (head == NULL) fail_case("the refusal %u is missing\n", now->status);
  expect_status(head, now->status);
  if (!has_line(head, "Connection: close")) fail_case("it does not say close\n");
  snprintf(line, sizeof line, "Allow: %s", now->allow == NULL ? "" : now->allow);
  if (has_line(head, line) != (now->allow != NULL)) fail_case("another Allow: %s\n", head);
  free(head);
}

/* The connection has to take another request. */
static void expect_alive(size_t at) {
  static const char next[] = "GET /next HTTP/1.1\r\nHost: next\r\n\r\n";
  vector_request request = {.method = (char *)"GET"};
  size_t before = seen_count;
  if (finished || closed) fail_case("the connection has ended\n");
  deliver((const uint8_t *)next, sizeof next - 1);
  settle();
  if (seen_count != before + 1) fail_case("the next request does not come through\n");
  if (strcmp((char *)seens[before].path.data, "/next") != 0) fail_case("another next request\n");
  expect_answer(&at, &request);
  if (at != out.length) fail_case("more answers: %s\n", (char *)out.data + at);
}

static void judge(void) {
  size_t at = 0;
  int body_refused = now->ending == VECTOR_REFUSE_BODY;
  /* A body that never came to its end: the application was told. */
  int cut_short = now->ending == VECTOR_END && seen_count == now->request_count + 1 &&
                  seens[seen_count - 1].aborted && seens[seen_count - 1].status == 0;
  /* Of a request whose body is refused it may have heard or not: its length alone may be too large. */
  int is_told = body_refused && seen_count == now->request_count + 1;
  if (seen_count != now->request_count + (size_t)(is_told || cut_short)) {
    fail_case("%zu requests, not %zu; answers: %s\n", seen_count, now->request_count,
              (char *)out.data);
  }
  for (size_t i = 0; i < now->request_count; i++) {
    expect_request(&seens[i], &now->requests[i]);
    expect_answer(&at, &now->requests[i]);
  }
  if (is_told) {
    const seen *last = &seens[seen_count - 1];
    if (last->complete || last->status != now->status) fail_case("its body did not fail\n");
  }
  if (now->ending == VECTOR_REFUSE || body_refused) expect_refusal(&at);
  if (now->ending == VECTOR_RAW) {
    vector_bytes rest = {out.data + at, out.length - at};
    expect_bytes("what is sent", &rest, &now->raw);
    at = out.length;
  }
  if (at != out.length) fail_case("more answers: %s\n", (char *)out.data + at);
  if (now->ending == VECTOR_OPEN)
    expect_alive(at);
  else if (!finished && !(closed && now->ending == VECTOR_END))
    fail_case("the connection has not ended\n");
}

/* --- runs --- */

static void free_seen(void) {
  for (size_t i = 0; i < seen_count; i++) {
    vector_bytes *parts[] = {&seens[i].method,   &seens[i].target,   &seens[i].path,
                             &seens[i].query,    &seens[i].body,     &seens[i].fields,
                             &seens[i].trailers, &seens[i].authority};
    for (size_t k = 0; k < COUNT(parts); k++) free(parts[k]->data);
  }
  seen_count = 0;
}

/* Sends the case in pieces of so many bytes, the first of another size. `late`: it ends before any answer. */
static void run(size_t first, size_t piece, int late) {
  const vector_bytes *input = &now->input;
  world = &worlds[now->relaxed];
  free_seen();
  finished = closed = 0;
  requests = head_hint = 0;
  free(out.data);
  out = (vector_bytes){0};
  add(&out, "", 0);
  for (size_t at = 0; at < input->length;) {
    size_t size = at == 0 ? first : piece;
    if (size > input->length - at) size = input->length - at;
    deliver(input->data + at, size);
    if (!late) settle();
    at += size;
  }
  if (now->half_close) deliver_end();
  judge();
  let_go();
  free_seen();
  if (wh_exchange_pool_in_use(world->pool) != 0) fail_case("an exchange is left\n");
}

static vector_file vectors;

static void each_case_whole(void **state) {
  (void)state;
  snprintf(how, sizeof how, "whole");
  for (size_t i = 0; i < vectors.count; i++) {
    now = &vectors.cases[i];
    run(now->input.length, now->input.length, 0);
    if (now->half_close) run(now->input.length, now->input.length, 1);
  }
}

static void each_case_split_in_two(void **state) {
  (void)state;
  for (size_t i = 0; i < vectors.count; i++) {
    now = &vectors.cases[i];
    size_t length = now->input.length, step = length / MOST_SPLITS + 1;
    for (size_t split = 1; split < length;
         split += split < 100 || split + 100 > length ? 1 : step) {
      snprintf(how, sizeof how, "split at %zu", split);
      run(split, length, 0);
    }
  }
}

static void each_case_byte_by_byte(void **state) {
  (void)state;
  snprintf(how, sizeof how, "byte by byte");
  for (size_t i = 0; i < vectors.count; i++) {
    now = &vectors.cases[i];
    run(1, 1, 0);
  }
}

/* --- the file itself --- */

static int compare_names(const void *a, const void *b) {
  return strcmp(((const vector_case *)a)->name, ((const vector_case *)b)->name);
}

static void there_are_many_cases_and_no_name_comes_twice(void **state) {
  (void)state;
  assert_true(vectors.count > 400);
  vector_case *sorted = (vector_case *)exact_copy(vectors.cases, vectors.count * sizeof *sorted);
  qsort(sorted, vectors.count, sizeof *sorted, compare_names);
  for (size_t i = 1; i < vectors.count; i++) {
    check_row(strcmp(sorted[i - 1].name, sorted[i].name) != 0, i, sorted[i].name);
  }
  free(sorted);
}

/* --- life --- */

static uint8_t *allocate_slab(void *user, uint32_t number, size_t size, size_t slot_size) {
  struct world *w = user;
  assert_in_range(number, 0, MOST_SLABS - 1);
  assert_null(w->slabs[number]);
  w->slabs[number] = calloc(1, size);
  w->slab_sizes[number] = size;
  w->slot_sizes[number] = slot_size;
  return w->slabs[number];
}

static void free_slab(void *user, uint32_t number, uint8_t *memory) {
  struct world *w = user;
  assert_ptr_equal(w->slabs[number], memory);
  free(memory);
  w->slabs[number] = NULL;
}

static int set_up(void **state) {
  (void)state;
  static const wh_slab_source source = {allocate_slab, free_slab};
  static wh_refusal_answer answers[WH_REFUSAL_COUNT];
  wh_limits limits;
  wh_limits_init(&limits);
  for (size_t i = 0; i < COUNT(answers); i++) answers[i].head = answers[i].body = "";
  for (unsigned i = 0; i < RELAXED_SETS; i++) {
    struct world *w = &worlds[i];
    w->service.transport = &transport;
    w->service.receiver = &receiver;
    w->service.refusal_answers = answers;
    w->service.limits = (wh_http_limits){
        .request_line_size = (uint32_t)limits.max_request_line_size,
        .headers_total_size = (uint32_t)limits.max_request_headers_total_size,
        .header_count = (uint32_t)limits.max_request_header_count,
        .pipelined = (uint32_t)limits.max_pipelined_requests,
        .request_body_size = (uint64_t)limits.max_request_body_size,
        .relaxed = i,
    };
    if (wh_exchange_pool_create(&source, w, &w->pool) != 0) return -1;
    if (wh_http1_prepare(&w->service) != 0) return -1;
    w->service.pool = w->pool;
    wh_http_service_tick(&w->service, 1);
  }
  vectors = vectors_read(VECTORS);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  for (unsigned i = 0; i < RELAXED_SETS; i++) {
    wh_http1_unprepare(&worlds[i].service);
    wh_exchange_pool_destroy(worlds[i].pool);
  }
  free(out.data);
  out = (vector_bytes){0};
  vectors_free(&vectors);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(there_are_many_cases_and_no_name_comes_twice),
      cmocka_unit_test(each_case_whole),
      cmocka_unit_test(each_case_split_in_two),
      cmocka_unit_test(each_case_byte_by_byte),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
