/*
 * A fake application over a real wh_server: shared memory from malloc, events noted per request,
 * commands written as the binding would. With clients (support_client.h) it is a whole small world in
 * one thread, which turns while a test waits for something: RUN_UNTIL(app, condition).
 *
 * What holds in every test is checked here: a slot is given to one request at a time, events only
 * concern requests that are open, bodies arrive in order and complete, ABORTED comes once, a pinned
 * buffer is released once and not touched after; at the end no connection and no exchange is left.
 */
#ifndef WH_TEST_SUPPORT_APP_H
#define WH_TEST_SUPPORT_APP_H

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "windhover.h"

/* A literal, which may hold NUL, as pointer and length. */
#define BYTES(literal) (literal), sizeof(literal) - 1
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

typedef struct app app;
typedef struct app_request app_request;
typedef struct client client;

/* One request as the application sees it. Kept until the test ends. */
struct app_request {
  app *app;
  size_t number; /* from 0, in the order of the REQUEST events */
  uint32_t slot, generation;
  unsigned flags; /* WH_REQUEST_FLAG_... */
  unsigned version;
  uint32_t field_count;
  char *method, *target, *path, *query;
  const uint8_t *memory; /* its slot, while it is open */
  int open;              /* not released */
  uint8_t *body;
  size_t body_length;
  char *trailers; /* the trailer section; NULL where there was none */
  size_t trailers_length;
  int body_complete; /* with the head, or BODY_END came */
  int aborted;       /* ABORTED events */
  unsigned aborted_status;
  int rooms, ended; /* ROOM and ENDED events */
  int file_done;    /* FILE_DONE events */
  unsigned file_result;
  int step; /* the handler's own */
};

typedef void (*app_handler)(app *app, app_request *request);

/* A buffer that the core sends from its place. */
typedef struct app_pin {
  uint8_t *data; /* freed when it is released, so that a later use is seen */
  size_t length; /* what locate says */
  int gone;      /* locate fails */
  int released;
  size_t located;
} app_pin;

/* Files that the application has registered at once. */
#define APP_FILES 64

typedef struct app_slab {
  uint8_t *memory;
  size_t size, slot_size;
} app_slab;

struct app {
  wh_server *server;
  wh_memory memory;
  wh_limits limits;
  app_handler on_request;     /* NULL: the request stays open, unanswered */
  app_handler on_body;        /* after each BODY, BODY_END, ABORTED, ROOM event */
  void (*on_batch)(app *app); /* after each batch */
  void (*on_refused)(app *app, const uint32_t *event); /* NULL: the event must not come */
  /* CONNECTION events: WH_CONNECTION_NEWS_... */
  void (*on_news)(app *app, unsigned news, uint32_t handle, uint32_t a);
  app_request **requests;
  size_t request_count, request_room;
  app_request **by_slot; /* open requests */
  size_t slot_room;
  app_pin *pins;
  size_t pin_count, pin_room;
  int files[APP_FILES]; /* descriptors, by number from 1; -1 once the core has taken them */
  size_t file_count;
  app_slab *slabs;
  size_t slab_count, slabs_alive, large_slabs_alive, most_large_slabs;
  size_t batches, events, most_events;
  int slabs_fail;       /* allocate_slab gives NULL */
  size_t slab_fails_at; /* ... the nth time from now; 0 = never */
  int garbage; /* commands are nonsense on purpose: they may name pinned buffers that never were */
  int dispatching;
  client *clients;
  unsigned protocols; /* of the endpoints that are opened from now on; 0 = HTTP/1 */
  wh_tls *tls;        /* likewise; the test's */
  uint16_t port;
};

/* What a test may want otherwise. Zero means the usual. */
typedef struct app_options {
  size_t arena_size, event_room, command_size;
  int no_listen;
} app_options;

/* cmocka's set-up and tear-down for one test; *state is the app, which listens on 127.0.0.1. */
int app_setup(void **state);
int app_teardown(void **state);
#define APP_TEST(name) cmocka_unit_test_setup_teardown(name, app_setup, app_teardown)

/* The same by hand, for tests that need a server of their own. limits NULL: the defaults. */
app *app_new(const app_options *options, const wh_limits *limits);
/* Checks that nothing is left, having closed all clients and released all requests; and frees. */
void app_free(app *app);
/* Frees as it is: wh_server_destroy with everything in flight. */
void app_destroy(app *app);
/* Frees after a failure: checks nothing. */
void app_discard(app *app);
/* NULL or the error. Without port the test listens itself. */
int app_listen(app *app, const char *url);
/* The same with a gate before it (NULL = none), whose lists become the server's. */
int app_listen_gated(app *app, const char *url, const wh_gate *gate);

/* --- requests --- */

/* Number i; fails where it has not come. */
app_request *app_request_at(app *app, size_t i);
/* The field's value as text, of the n-th line with that name; NULL where there is none. Free it. */
char *app_field(const app_request *request, const char *name, size_t n);
size_t app_open_requests(const app *app);

/* --- commands --- */

void app_command(app *app, unsigned kind, unsigned flags, uint32_t slot, uint32_t generation,
                 unsigned status, const char *head, const void *body, size_t body_length,
                 uint32_t w4, uint32_t w5);
/* Bytes as they are, behind the commands that are there. */
void app_raw_commands(app *app, const void *bytes, size_t length);

void app_respond(app_request *request, unsigned status, unsigned flags, const char *head,
                 const void *body, size_t length);
/* 200 with a text, released. */
void app_respond_text(app_request *request, const char *text);
/* content_length below 0: not known. */
void app_start(app_request *request, unsigned status, unsigned flags, const char *head,
               int64_t content_length);
void app_write(app_request *request, unsigned flags, const void *data, size_t length);
void app_end(app_request *request, unsigned flags);
void app_inform(app_request *request, unsigned status, const char *head);
void app_abort(app_request *request);
void app_release(app_request *request);
void app_read(app_request *request, int on);
void app_trailers(app_request *request, unsigned flags, const char *lines);
/* most below 0: no limit */
void app_limit_body(app_request *request, int64_t most);

/* A pinned buffer with these bytes (NULL: a pattern); its number. */
uint32_t app_pin_bytes(app *app, const void *bytes, size_t length);
void app_respond_pinned(app_request *request, unsigned flags, uint32_t pin);
void app_write_pinned(app_request *request, unsigned flags, uint32_t pin);
size_t app_pins_held(const app *app);
/* Orders a part of the file; the descriptor becomes the app's, and then the core's. */
void app_file(app_request *request, unsigned flags, int descriptor, uint64_t offset,
              uint64_t count);
/* The byte of every pattern at place i. */
uint8_t pattern_byte(size_t i);
uint8_t *pattern_bytes(size_t length);

/* --- handlers --- */

/* Answers with the method, a blank and the target. */
void app_answer_target(app *app, app_request *request);
/* Reads the body and answers with it when it is complete; also on_body. */
void app_echo(app *app, app_request *request);

/* --- time --- */

/* One step of everything. Returns whether something happened; waits at most wait_ms for that. */
int app_step(app *app, int wait_ms);
/* Goes on until nothing happens any more. */
void app_quiet(app *app);
/* Fails the test when patience (10 s) is over. */
uint64_t app_patience(void);
void app_wait(app *app, uint64_t patience, const char *file, int line, const char *condition);
#define RUN_UNTIL(app, condition)                                                    \
  do {                                                                               \
    uint64_t patience_ = app_patience();                                             \
    while (!(condition)) app_wait((app), patience_, __FILE__, __LINE__, #condition); \
  } while (0)
#define RUN_UNTIL_REQUESTS(app, n) RUN_UNTIL(app, (app)->request_count >= (size_t)(n))

size_t app_connections(const app *app);
size_t app_in_use(const app *app);

#endif
