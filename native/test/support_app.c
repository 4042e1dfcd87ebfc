#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "support_app.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "server/server_internal.h"
#include "support_client.h"
#include "support_clock.h"

#define PATIENCE_MS 20000
/* Rounds in which something happens all the time: nothing here needs so many. */
#define MOST_ROUNDS 200000

static void *must(void *memory) {
  assert_non_null(memory);
  return memory;
}

/* --- what the core asks of its host --- */

static void grow(void *array, size_t *room, size_t needed, size_t element) {
  void **memory = array;
  if (needed <= *room) return;
  size_t larger = *room == 0 ? 16 : *room * 2;
  while (larger < needed) larger *= 2;
  *memory = must(realloc(*memory, larger * element));
  memset((char *)*memory + *room * element, 0, (larger - *room) * element);
  *room = larger;
}

static uint8_t *allocate_slab(void *user, uint32_t number, size_t size, size_t slot_size) {
  app *a = user;
  if (a->slabs_fail || (a->slab_fails_at > 0 && --a->slab_fails_at == 0)) return NULL;
  grow(&a->slabs, &a->slab_count, (size_t)number + 1, sizeof *a->slabs);
  assert_null(a->slabs[number].memory);
  assert_true(slot_size == WH_SLAB_SMALL_SIZE || size == slot_size);
  a->slabs[number] = (app_slab){must(calloc(1, size)), size, slot_size};
  a->slabs_alive++;
  if (size == slot_size && ++a->large_slabs_alive > a->most_large_slabs) {
    a->most_large_slabs = a->large_slabs_alive;
  }
  return a->slabs[number].memory;
}

static void free_slab(void *user, uint32_t number, uint8_t *memory) {
  app *a = user;
  app_slab *slab = &a->slabs[number];
  assert_ptr_equal(slab->memory, memory);
  if (slab->size == slab->slot_size) a->large_slabs_alive--;
  free(slab->memory);
  *slab = (app_slab){0};
  a->slabs_alive--;
}

static app_pin *pin_of(app *a, uint32_t id) {
  assert_in_range(id, 1, a->pin_count);
  return &a->pins[id - 1];
}

static int locate_pinned(void *user, uint32_t id, const uint8_t **data, size_t *length) {
  const app *a = user;
  if (a->garbage && (id == 0 || id > a->pin_count)) return -1;
  app_pin *pin = pin_of(user, id);
  assert_int_equal(pin->released, 0);
  pin->located++;
  if (pin->gone) return -1;
  *data = pin->data;
  *length = pin->length;
  return 0;
}

static void release_pinned(void *user, uint32_t id) {
  const app *a = user;
  if (a->garbage && (id == 0 || id > a->pin_count)) return;
  app_pin *pin = pin_of(user, id);
  assert_int_equal(pin->released, 0);
  pin->released++;
  free(pin->data);
  pin->data = NULL;
}

static int take_file(void *user, uint32_t id) {
  app *a = user;
  if (id == 0 || id > a->file_count) {
    assert_true(a->garbage);
    return -1;
  }
  int descriptor = a->files[id - 1];
  assert_true(descriptor >= 0 || a->garbage);
  a->files[id - 1] = -1;
  return descriptor;
}

/* --- events --- */

static char *slot_text(const uint8_t *slot, size_t place) {
  uint32_t words[2];
  uint32_t size;
  memcpy(words, slot + place, sizeof words);
  memcpy(&size, slot + WH_SLOT_SIZE, sizeof size);
  assert_true(words[0] <= size && words[1] <= size - words[0]);
  char *text = must(malloc(words[1] + 1));
  memcpy(text, slot + words[0], words[1]);
  text[words[1]] = '\0';
  return text;
}

static uint32_t slot_word(const uint8_t *slot, size_t place) {
  uint32_t word;
  memcpy(&word, slot + place, sizeof word);
  return word;
}

static void add_body(app_request *r, const uint8_t *data, size_t length) {
  assert_int_equal(r->body_complete, 0);
  assert_int_equal(r->aborted, 0);
  r->body = must(realloc(r->body, r->body_length + length + 1));
  memcpy(r->body + r->body_length, data, length);
  r->body_length += length;
  r->body[r->body_length] = '\0';
}

static void add_trailers(app_request *r, const uint8_t *data, size_t length) {
  assert_int_equal(r->aborted, 0);
  r->trailers = must(realloc(r->trailers, r->trailers_length + length + 1));
  memcpy(r->trailers + r->trailers_length, data, length);
  r->trailers_length += length;
  r->trailers[r->trailers_length] = '\0';
}

static const uint8_t *arena_at(const app *a, uint32_t offset, uint32_t length) {
  assert_true(offset <= a->memory.arena_size && length <= a->memory.arena_size - offset);
  return a->memory.arena + offset;
}

static void check_length(const app_request *r) {
  if (r->memory[WH_SLOT_UPGRADE_RESULT] == WH_UPGRADE_RESULT_DONE) return; /* a tunnel */
  uint64_t declared = slot_word(r->memory, WH_SLOT_CONTENT_LENGTH_LOW) |
                      (uint64_t)slot_word(r->memory, WH_SLOT_CONTENT_LENGTH_HIGH) << 32;
  if (!(r->flags & WH_REQUEST_FLAG_CHUNKED)) assert_int_equal(r->body_length, declared);
}

static void take_request(app *a, uint32_t slot) {
  grow(&a->by_slot, &a->slot_room, (size_t)slot + 1, sizeof(app_request *));
  assert_null(a->by_slot[slot]);
  const app_slab *slab = &a->slabs[slot >> WH_SLAB_SHIFT];
  size_t offset = (slot & ((1U << WH_SLAB_SHIFT) - 1)) * slab->slot_size;
  assert_non_null(slab->memory);
  assert_true(offset + slab->slot_size <= slab->size);
  app_request *r = must(calloc(1, sizeof *r));
  r->app = a;
  r->number = a->request_count;
  r->slot = slot;
  r->memory = slab->memory + offset;
  r->generation = slot_word(r->memory, WH_SLOT_GENERATION);
  assert_int_equal(slot_word(r->memory, WH_SLOT_SIZE), slab->slot_size);
  uint16_t flags;
  memcpy(&flags, r->memory + WH_SLOT_FLAGS, sizeof flags);
  r->flags = flags;
  r->version = r->memory[WH_SLOT_VERSION];
  r->field_count = slot_word(r->memory, WH_SLOT_HEADER_COUNT);
  r->method = slot_text(r->memory, WH_SLOT_METHOD_OFFSET);
  r->target = slot_text(r->memory, WH_SLOT_TARGET_OFFSET);
  r->path = slot_text(r->memory, WH_SLOT_PATH_OFFSET);
  r->query = slot_text(r->memory, WH_SLOT_QUERY_OFFSET);
  r->open = 1;
  a->by_slot[slot] = r;
  grow(&a->requests, &a->request_room, a->request_count + 1, sizeof(app_request *));
  a->requests[a->request_count++] = r;
  if (r->flags & WH_REQUEST_FLAG_BODY_COMPLETE) {
    uint32_t length = slot_word(r->memory, WH_SLOT_BODY_LENGTH);
    add_body(r, arena_at(a, slot_word(r->memory, WH_SLOT_BODY_OFFSET), length), length);
    check_length(r);
  }
  if ((r->flags & WH_REQUEST_FLAG_BODY_COMPLETE) || !(r->flags & WH_REQUEST_FLAG_HAS_BODY)) {
    r->body_complete = 1;
  }
  if (a->on_request != NULL) a->on_request(a, r);
}

static void take_event(app *a, const uint32_t *event) {
  uint32_t slot = event[1];
  uint32_t kind = event[0] & 0xFF;
  if (kind == WH_EVENT_CONNECTION) {
    if (a->on_news != NULL) a->on_news(a, event[0] >> 8, slot, event[2]);
    return;
  }
  if (kind == WH_EVENT_REFUSED && a->on_refused != NULL) {
    a->on_refused(a, event);
    return;
  }
  assert_in_range(kind, WH_EVENT_REQUEST, WH_EVENT_FILE_DONE);
  if (event[0] == WH_EVENT_REQUEST) {
    take_request(a, slot);
    return;
  }
  app_request *r = slot < a->slot_room ? a->by_slot[slot] : NULL;
  if (r == NULL) return; /* released meanwhile */
  if (event[0] == (WH_EVENT_BODY | WH_EVENT_FLAG_TRAILERS << 8)) {
    assert_int_equal(r->body_complete, 0);
    add_trailers(r, arena_at(a, event[2], event[3]), event[3]);
    return;
  }
  switch (event[0]) {
  case WH_EVENT_BODY: add_body(r, arena_at(a, event[2], event[3]), event[3]); break;
  case WH_EVENT_BODY_END:
    assert_int_equal(r->body_complete, 0);
    assert_int_equal(r->aborted, 0);
    r->body_complete = 1;
    check_length(r);
    break;
  case WH_EVENT_ABORTED:
    assert_int_equal(r->aborted, 0);
    r->aborted++;
    r->aborted_status = event[2];
    break;
  case WH_EVENT_ROOM: r->rooms++; break;
  case WH_EVENT_FILE_DONE:
    r->file_done++;
    r->file_result = event[2];
    break;
  case WH_EVENT_ENDED:
    assert_int_equal(r->ended, 0);
    r->ended++;
    break;
  default: fail_msg("event of kind %u", event[0]);
  }
  if (a->on_body != NULL) a->on_body(a, r);
}

static void dispatch(void *user, uint32_t first, uint32_t count) {
  app *a = user;
  assert_int_equal(a->dispatching, 0);
  assert_true(count > 0 && first + count <= a->memory.event_room);
  assert_int_equal(a->memory.control[WH_CONTROL_OPEN_BATCH], 1);
  a->dispatching = 1;
  a->batches++;
  a->events += count;
  if (count > a->most_events) a->most_events = count;
  for (uint32_t i = first; i < first + count; i++) {
    take_event(a, a->memory.events + (size_t)i * WH_EVENT_WORDS);
  }
  if (a->on_batch != NULL) a->on_batch(a);
  a->dispatching = 0;
}

static const wh_host host = {
    .dispatch = dispatch,
    .allocate_slab = allocate_slab,
    .free_slab = free_slab,
    .locate_pinned = locate_pinned,
    .release_pinned = release_pinned,
    .take_file = take_file,
};

/* --- life --- */

static void free_memory(app *a) {
  for (size_t i = 0; i < a->request_count; i++) {
    app_request *r = a->requests[i];
    free(r->method);
    free(r->target);
    free(r->path);
    free(r->query);
    free(r->body);
    free(r->trailers);
    free(r);
  }
  free(a->requests);
  free(a->by_slot);
  for (size_t i = 0; i < a->pin_count; i++) free(a->pins[i].data);
  free(a->pins);
  for (size_t i = 0; i < a->file_count; i++) {
    if (a->files[i] >= 0) close(a->files[i]);
  }
  for (size_t i = 0; i < a->slab_count; i++) free(a->slabs[i].memory);
  free(a->slabs);
  free(a->memory.arena);
  free(a->memory.events);
  free(a->memory.commands);
  free(a->memory.control);
  free(a);
}

app *app_new(const app_options *options, const wh_limits *limits) {
  static const app_options usual;
  if (options == NULL) options = &usual;
  app *a = must(calloc(1, sizeof *a));
  signal(SIGPIPE, SIG_IGN); /* see wh_host.take_file */
  wh_memory *m = &a->memory;
  m->arena_size = options->arena_size ? options->arena_size : 65536;
  m->event_room = options->event_room ? options->event_room : 1024;
  m->command_size = options->command_size ? options->command_size : 262144;
  m->arena = must(malloc(m->arena_size));
  m->events = must(malloc(m->event_room * WH_EVENT_WORDS * sizeof *m->events));
  m->commands = must(malloc(m->command_size));
  m->control = must(calloc(WH_CONTROL_WORDS, sizeof *m->control));
  if (limits != NULL)
    a->limits = *limits;
  else
    wh_limits_init(&a->limits);
  if (wh_server_create(m, &a->limits, &host, a, &a->server) != WH_OK) {
    assert_true(options->no_listen);
    free_memory(a);
    return NULL;
  }
  if (!options->no_listen) assert_int_equal(app_listen(a, "http://127.0.0.1:0"), WH_OK);
  return a;
}

int app_listen(app *a, const char *url) { return app_listen_gated(a, url, NULL); }

int app_listen_gated(app *a, const char *url, const wh_gate *gate) {
  wh_endpoint endpoint;
  char message[WH_MESSAGE_SIZE] = "", bound[WH_ENDPOINT_TEXT_SIZE];
  int error = wh_endpoint_parse_url(url, strlen(url), &endpoint, message, sizeof message);
  if (error == WH_OK) {
    wh_listen_options options = {.gate = gate, .protocols = a->protocols, .tls = a->tls};
    error = wh_server_listen(a->server, &endpoint, &options, message, sizeof message);
  }
  if (error != WH_OK) return error;
  assert_true(wh_server_url(a->server, 0, bound, sizeof bound) > 0);
  const char *colon = strrchr(bound, ':');
  a->port = (uint16_t)strtoul(colon + 1, NULL, 10);
  return WH_OK;
}

void app_destroy(app *a) {
  wh_server_destroy(a->server);
  a->server = NULL;
  assert_int_equal(a->slabs_alive, 0);
  assert_int_equal(app_pins_held(a), 0);
  client_free_all(a);
  free_memory(a);
}

void app_discard(app *a) {
  client_free_all(a);
  a->on_request = a->on_body = NULL;
  a->on_batch = NULL;
  wh_server_destroy(a->server);
  free_memory(a);
}

void app_free(app *a) {
  client_free_all(a);
  a->on_request = a->on_body = NULL;
  a->on_batch = NULL;
  /* A request that comes only now is released too, in the next round. */
  uint64_t patience = app_patience();
  for (;;) {
    for (size_t i = 0; i < a->request_count; i++) {
      if (a->requests[i]->open) app_release(a->requests[i]);
    }
    if (a->memory.control[WH_CONTROL_COMMAND_LENGTH] == 0 && app_connections(a) == 0 &&
        app_open_requests(a) == 0) {
      break;
    }
    app_wait(a, patience, __FILE__, __LINE__, "no connection is left");
  }
  wh_metrics metrics;
  wh_server_metrics(a->server, &metrics);
  assert_int_equal(metrics.connections, 0);
  assert_int_equal(metrics.active_requests, 0);
  assert_int_equal(app_in_use(a), 0);
  assert_int_equal(app_pins_held(a), 0);
  assert_null(a->server->look_at);
  assert_null(a->server->outbox.todo);
  assert_int_equal(a->server->overflow_count, 0);
  app_destroy(a);
}

int app_setup(void **state) {
  *state = app_new(NULL, NULL);
  return 0;
}

int app_teardown(void **state) {
  app *a = *state;
  /* A check that failed within a batch has left the server in the middle of a turn. */
  if (a->dispatching) return -1;
  app_free(a);
  return 0;
}

/* --- requests --- */

app_request *app_request_at(app *a, size_t i) {
  assert_true(i < a->request_count);
  return a->requests[i];
}

char *app_field(const app_request *r, const char *name, size_t n) {
  assert_true(r->open);
  uint32_t size = slot_word(r->memory, WH_SLOT_SIZE);
  for (uint32_t i = 0; i < r->field_count; i++) {
    const uint8_t *entry = r->memory + size - WH_FIELD_SIZE * (i + 1);
    uint32_t words[3];
    uint16_t name_length;
    memcpy(words, entry, sizeof words);
    memcpy(&name_length, entry + WH_FIELD_NAME_LENGTH, sizeof name_length);
    assert_true(words[0] <= size && name_length <= size - words[0]);
    assert_true(words[2] == 0 || (words[1] <= size && words[2] <= size - words[1]));
    if (name_length != strlen(name) ||
        strncasecmp((const char *)r->memory + words[0], name, name_length) != 0 || n-- > 0) {
      continue;
    }
    char *value = must(malloc(words[2] + 1));
    memcpy(value, r->memory + words[1], words[2]);
    value[words[2]] = '\0';
    return value;
  }
  return NULL;
}

size_t app_open_requests(const app *a) {
  size_t count = 0;
  for (size_t i = 0; i < a->request_count; i++) count += a->requests[i]->open != 0;
  return count;
}

/* --- commands --- */

static uint8_t *room_for(app *a, size_t size) {
  uint32_t *used = &a->memory.control[WH_CONTROL_COMMAND_LENGTH];
  if (*used + size + 4 > a->memory.command_size) wh_server_commit(a->server);
  assert_true(*used + size + 4 <= a->memory.command_size);
  uint8_t *at = a->memory.commands + *used;
  *used += (uint32_t)((size + 3) & ~(size_t)3);
  return at;
}

void app_raw_commands(app *a, const void *bytes, size_t length) {
  memcpy(room_for(a, length), bytes, length);
}

void app_command(app *a, unsigned kind, unsigned flags, uint32_t slot, uint32_t generation,
                 unsigned status, const char *head, const void *body, size_t body_length,
                 uint32_t w4, uint32_t w5) {
  size_t head_length = head == NULL ? 0 : strlen(head);
  uint32_t words[WH_COMMAND_WORDS] = {
      kind | flags << 8, slot, generation, (uint32_t)(status << 20 | head_length), w4, w5};
  uint8_t *at = room_for(a, sizeof words + head_length + body_length);
  memcpy(at, words, sizeof words);
  if (head_length > 0) memcpy(at + sizeof words, head, head_length);
  if (body_length > 0) memcpy(at + sizeof words + head_length, body, body_length);
}

/* From the application's side the request is over. */
static void forget(app_request *r) {
  if (!r->open) return;
  r->open = 0;
  r->memory = NULL;
  r->app->by_slot[r->slot] = NULL;
}

static void command_of(app_request *r, unsigned kind, unsigned flags, unsigned status,
                       const char *head, const void *body, size_t body_length, uint32_t w4,
                       uint32_t w5) {
  app_command(r->app, kind, flags, r->slot, r->generation, status, head, body, body_length, w4, w5);
  if (kind == WH_COMMAND_RELEASE || flags & WH_COMMAND_FLAG_RELEASE) forget(r);
}

void app_respond(app_request *r, unsigned status, unsigned flags, const char *head,
                 const void *body, size_t length) {
  command_of(r, WH_COMMAND_RESPOND, flags, status, head, body, length, (uint32_t)length, 0);
}

void app_respond_text(app_request *r, const char *text) {
  app_respond(r, 200, WH_COMMAND_FLAG_RELEASE, NULL, text, strlen(text));
}

void app_start(app_request *r, unsigned status, unsigned flags, const char *head,
               int64_t content_length) {
  uint64_t length = content_length < 0 ? 0 : (uint64_t)content_length;
  if (content_length >= 0) flags |= WH_COMMAND_FLAG_HAS_LENGTH;
  command_of(r, WH_COMMAND_START, flags, status, head, NULL, 0, (uint32_t)length,
             (uint32_t)(length >> 32));
}

void app_write(app_request *r, unsigned flags, const void *data, size_t length) {
  command_of(r, WH_COMMAND_WRITE, flags, 0, NULL, data, length, (uint32_t)length, 0);
}

void app_end(app_request *r, unsigned flags) {
  command_of(r, WH_COMMAND_END, flags, 0, NULL, NULL, 0, 0, 0);
}

void app_inform(app_request *r, unsigned status, const char *head) {
  command_of(r, WH_COMMAND_INFORM, 0, status, head, NULL, 0, 0, 0);
}

void app_trailers(app_request *r, unsigned flags, const char *lines) {
  command_of(r, WH_COMMAND_TRAILERS, flags, 0, lines, NULL, 0, 0, 0);
}

void app_limit_body(app_request *r, int64_t most) {
  uint64_t value = most < 0 ? 0 : (uint64_t)most;
  command_of(r, WH_COMMAND_BODY_LIMIT, most < 0 ? 0 : WH_COMMAND_FLAG_HAS_LENGTH, 0, NULL, NULL, 0,
             (uint32_t)value, (uint32_t)(value >> 32));
}

void app_abort(app_request *r) { command_of(r, WH_COMMAND_ABORT, 0, 0, NULL, NULL, 0, 0, 0); }

void app_release(app_request *r) { command_of(r, WH_COMMAND_RELEASE, 0, 0, NULL, NULL, 0, 0, 0); }

void app_read(app_request *r, int on) {
  command_of(r, on ? WH_COMMAND_READ : WH_COMMAND_PAUSE, 0, 0, NULL, NULL, 0, 0, 0);
}

uint8_t pattern_byte(size_t i) { return (uint8_t)('a' + (i + i / 251) % 26); }

uint8_t *pattern_bytes(size_t length) {
  uint8_t *bytes = must(malloc(length + 1));
  for (size_t i = 0; i < length; i++) bytes[i] = pattern_byte(i);
  bytes[length] = '\0';
  return bytes;
}

uint32_t app_pin_bytes(app *a, const void *bytes, size_t length) {
  grow(&a->pins, &a->pin_room, a->pin_count + 1, sizeof *a->pins);
  app_pin *pin = &a->pins[a->pin_count++];
  pin->length = length;
  if (bytes == NULL) {
    pin->data = pattern_bytes(length);
  } else {
    pin->data = must(malloc(length + 1));
    memcpy(pin->data, bytes, length);
  }
  return (uint32_t)a->pin_count;
}

void app_respond_pinned(app_request *r, unsigned flags, uint32_t pin) {
  uint32_t length = (uint32_t)r->app->pins[pin - 1].length;
  command_of(r, WH_COMMAND_RESPOND, flags | WH_COMMAND_FLAG_PINNED, 200, NULL, NULL, 0, length,
             pin);
}

void app_write_pinned(app_request *r, unsigned flags, uint32_t pin) {
  uint32_t length = (uint32_t)r->app->pins[pin - 1].length;
  command_of(r, WH_COMMAND_WRITE, flags | WH_COMMAND_FLAG_PINNED, 0, NULL, NULL, 0, length, pin);
}

void app_file(app_request *r, unsigned flags, int descriptor, uint64_t offset, uint64_t count) {
  app *a = r->app;
  uint32_t part[4] = {(uint32_t)offset, (uint32_t)(offset >> 32), (uint32_t)count,
                      (uint32_t)(count >> 32)};
  assert_in_range(a->file_count, 0, APP_FILES - 1);
  a->files[a->file_count++] = descriptor;
  command_of(r, WH_COMMAND_FILE, flags, 0, NULL, part, sizeof part, sizeof part,
             (uint32_t)a->file_count);
}

size_t app_pins_held(const app *a) {
  size_t count = 0;
  for (size_t i = 0; i < a->pin_count; i++) count += a->pins[i].released == 0;
  return count;
}

/* --- handlers --- */

void app_answer_target(app *a, app_request *r) {
  (void)a;
  size_t method = strlen(r->method), target = strlen(r->target);
  char *text = must(malloc(method + target + 2));
  memcpy(text, r->method, method);
  text[method] = ' ';
  memcpy(text + method + 1, r->target, target + 1);
  app_respond_text(r, text);
  free(text);
}

void app_echo(app *a, app_request *r) {
  (void)a;
  if (r->aborted) {
    app_release(r);
  } else if (r->body_complete) {
    app_respond(r, 200, WH_COMMAND_FLAG_RELEASE, NULL, r->body, r->body_length);
  } else if (r->step == 0) {
    r->step = 1;
    app_read(r, 1);
  }
}

/* --- time --- */

int app_step(app *a, int wait_ms) {
  int happened = 0;
  size_t count = 1;
  for (client *c = a->clients; c != NULL; c = c->next) {
    happened |= client_pump(c);
    count++;
  }
  if (a->memory.control[WH_CONTROL_COMMAND_LENGTH] > 0) {
    wh_server_flush(a->server);
    happened = 1;
  }
  struct pollfd *fds = must(calloc(count, sizeof *fds));
  fds[0] = (struct pollfd){.fd = wh_server_descriptor(a->server), .events = POLLIN};
  count = 1;
  for (client *c = a->clients; c != NULL; c = c->next, count++) {
    int reads = !c->deaf && !c->ended, writes = c->sent < c->out_length;
    fds[count].fd = reads || writes ? c->fd : -1;
    fds[count].events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
  }
  int timeout = wh_server_timeout(a->server);
  int wait = happened ? 0 : wait_ms;
  int ready = poll(fds, count, timeout >= 0 && timeout < wait ? timeout : wait);
  assert_true(ready >= 0);
  happened |= ready > 0 || timeout == 0;
  int served = fds[0].revents != 0 || (timeout >= 0 && wh_server_timeout(a->server) == 0);
  free(fds);
  if (served) assert_true(wh_server_turn(a->server, 0) >= 0);
  return happened;
}

void app_quiet(app *a) {
  for (size_t i = 0; app_step(a, 3) || app_step(a, 3); i++) assert_true(i < MOST_ROUNDS);
}

uint64_t app_patience(void) { return clock_real_ms() + PATIENCE_MS; }

void app_wait(app *a, uint64_t patience, const char *file, int line, const char *condition) {
  app_step(a, 50);
  if (clock_real_ms() > patience) {
    print_error("%s:%d: waited in vain for: %s\n", file, line, condition);
    _fail(file, line);
  }
}

size_t app_connections(const app *a) { return wh_server_connections(a->server); }

size_t app_in_use(const app *a) { return wh_exchange_pool_in_use(a->server->pool); }
