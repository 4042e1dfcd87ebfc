/*
 * A libFuzzer target over a whole HTTP/1 connection: parser, exchanges, answers and the border to the
 * application, all of it real; only the sockets below are fake. The input says what the client sends, in
 * which pieces, and what the application does: answer now, late, in pieces, twice, never.
 *
 * input:  options, length of the script, script, the client's bytes
 * script: two bytes a step, see enum step
 *
 * Besides memory errors it looks for broken promises: requests answered twice or out of order, bytes after
 * the end, answers that are no HTTP, events that make no sense, pinned buffers and slots that are not given
 * back, connections that hang; and with OPTION_COMPARE for results that depend on how the input is cut.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "http1_output.h"
#include "http1_world.h"

enum step {
  STEP_DELIVER,      /* so many bytes, and a batch */
  STEP_DELIVER_MORE, /* so many bytes, the batch comes later */
  STEP_DELIVER_ALL,
  STEP_RESPOND, /* the rest: to one of the open requests */
  STEP_RESPOND_PINNED,
  STEP_START,
  STEP_WRITE,
  STEP_WRITE_PINNED,
  STEP_END,
  STEP_RELEASE,
  STEP_READ,
  STEP_INFORM,
  STEP_ABORT,
  STEP_RARE, /* by its argument: see rare() */
  STEP_COUNT
};

/* --- the script --- */

static uint32_t new_pin(void) {
  if (pin_count == MOST_PINS) return 0;
  pins[pin_count++] = 1;
  return (uint32_t)pin_count;
}

static request *pick(uint8_t which) {
  size_t open = 0;
  for (size_t i = 0; i < request_count; i++) open += requests[i].open != 0;
  if (open == 0) return NULL;
  size_t wanted = which % open;
  for (size_t i = 0; i < request_count; i++) {
    if (requests[i].open && wanted-- == 0) return &requests[i];
  }
  return NULL;
}

static void rare(uint8_t argument, unsigned options) {
  switch (argument & 15) {
  case 0: deliver_end(options); break;
  case 1:
    /* The drain window begins, or is over. */
    server->service.stopping = server->stopping =
        argument & 16 && !server->stopping ? WH_STOPPING_WINDOW : WH_STOPPING_LATE;
    if (server->stopping == WH_STOPPING_WINDOW) break;
    if (session != NULL)
      wh_http1_stop(session);
    else
      finished = 1;
    break;
  case 2:
    settle(options);
    if (session != NULL && !closed && wh_http1_phase_of(session) == WH_HTTP1_HEAD) {
      wh_http1_head_timeout(session);
    }
    break;
  case 3: full = 1; break;
  case 4: full = 0; break;
  case 5: reserve_fails = 1; break;
  case 6: closed = 1; break; /* the client is gone */
  case 7: wh_server_commit(server); break;
  case 8:
  case 9: {
    request *r = pick(argument >> 4);
    if (r != NULL) upgrade(r, argument & 1 ? 200 : 101);
    break;
  }
  default: settle(options); break;
  }
}

static void order(unsigned step, uint8_t argument) {
  static const uint16_t statuses[] = {200, 204, 205, 304, 404, 500, 299, 200};
  static uint8_t body[MOST_PIECE];
  request *r = pick(argument & 7);
  if (r == NULL) return;
  uint8_t high = argument >> 3;
  unsigned flags =
      (high & 1 ? WH_COMMAND_FLAG_RELEASE : 0U) | (high & 2 ? WH_COMMAND_FLAG_NOTIFY : 0U);
  size_t length = high & 4 ? 20000 : high;
  if (step == STEP_RESPOND || step == STEP_RESPOND_PINNED || step == STEP_START) {
    if (high & 8) flags |= WH_COMMAND_FLAG_WANT_ENDED;
    if (high & 16 && (step != STEP_START || high & 2)) {
      flags |= WH_COMMAND_FLAG_CLOSE;
      r->may_close = 1;
    }
  }
  unsigned status = statuses[high & 7];
  uint32_t pinned = 0;
  if (step == STEP_RESPOND_PINNED || step == STEP_WRITE_PINNED) {
    pinned = new_pin();
    if (pinned == 0) return;
    flags |= WH_COMMAND_FLAG_PINNED;
  }
  if (flags & WH_COMMAND_FLAG_NOTIFY) r->room = 1;
  memset(body, 'b', sizeof body);
  switch (step) {
  case STEP_RESPOND:
    command(WH_COMMAND_RESPOND, flags, r, status, head_of(r), body, length, (uint32_t)length, 0);
    break;
  case STEP_RESPOND_PINNED:
    command(WH_COMMAND_RESPOND, flags, r, status, head_of(r), NULL, 0, (uint32_t)length, pinned);
    break;
  case STEP_START:
    if (high & 16) flags |= WH_COMMAND_FLAG_HAS_LENGTH;
    command(WH_COMMAND_START, flags, r, status, head_of(r), NULL, 0, (uint32_t)length, 0);
    break;
  case STEP_WRITE:
    command(WH_COMMAND_WRITE, flags, r, 0, NULL, body, length, (uint32_t)length, 0);
    break;
  case STEP_WRITE_PINNED:
    command(WH_COMMAND_WRITE, flags, r, 0, NULL, NULL, 0, (uint32_t)length, pinned);
    break;
  case STEP_END:
    command(high & 16 ? WH_COMMAND_TRAILERS : WH_COMMAND_END, flags, r, 0,
            high & 16 ? "X-T: y\r\n" : NULL, NULL, 0, 0, 0);
    break;
  case STEP_RELEASE:
    if (high < 24) return; /* that ends most runs */
    flags = 0;
    command(WH_COMMAND_RELEASE, 0, r, 0, NULL, NULL, 0, 0, 0);
    r->open = 0;
    break;
  case STEP_READ:
    if (high & 8) {
      command(WH_COMMAND_BODY_LIMIT, high & 4 ? 0 : WH_COMMAND_FLAG_HAS_LENGTH, r, 0, NULL, NULL, 0,
              (high & 3U) * 10, 0);
    }
    command(high & 16 ? WH_COMMAND_PAUSE : WH_COMMAND_READ, 0, r, 0, NULL, NULL, 0, 0, 0);
    flags = 0;
    break;
  case STEP_INFORM:
    command(WH_COMMAND_INFORM, flags, r, 103, "Link: <a>\r\n", NULL, 0, 0, 0);
    break;
  case STEP_ABORT:
    if (high < 24) return;
    command(WH_COMMAND_ABORT, 0, r, 0, NULL, NULL, 0, 0, 0);
    flags = 0;
    break;
  default: break;
  }
  if (flags & WH_COMMAND_FLAG_RELEASE) r->open = 0;
}

/* --- runs --- */

static void set_up(struct lane *l, int small) {
  l->arena = malloc(ARENA);
  l->events = calloc(1024 * WH_EVENT_WORDS, sizeof *l->events);
  l->commands = malloc(COMMAND_SIZE);
  MUST(l->arena != NULL && l->events != NULL && l->commands != NULL);
  wh_memory memory = {l->arena, ARENA, l->events, 1024, l->commands, COMMAND_SIZE, l->control};
  wh_limits limits;
  wh_limits_init(&limits);
  if (small) {
    limits.max_request_line_size = 64;
    limits.max_request_headers_total_size = 200;
    limits.max_request_header_count = 5;
    limits.max_pipelined_requests = 3;
    limits.max_request_body_size = 20;
  }
  MUST(wh_server_create(&memory, &limits, &host, l, &l->server) == WH_OK);
  l->server->service.transport = &transport;
}

static void begin(unsigned options) {
  lane = &lanes[(options & OPTION_SMALL) != 0];
  if (lane->server == NULL) set_up(lane, (options & OPTION_SMALL) != 0);
  server = lane->server;
  arena = lane->arena;
  events = lane->events;
  commands = lane->commands;
  control = lane->control;
  session = NULL;
  requests_of_connection = 0;
  head_hint = 0;
  finished = closed = full = room_asked = gone = reserve_fails = told_end = 0;
  sent_after_stop = refused_in_place = 0;
  out.length = trace.length = section.length = request_count = pin_count = tight_used = 0;
  auto_answer = 0;
  server->stopping = server->service.stopping = 0;
}

/* The end of a run: answers all that is open, and looks whether everything is as it should be. */
static void end(unsigned options, int memory_failed) {
  reserve_fails = 0;
  for (int i = 0; i < MOST_REQUESTS; i++) {
    settle(options);
    if (session != NULL && full) {
      full = 0;
      room_asked = 1;
      continue;
    }
    request *r = pick(0);
    if (r == NULL) break;
    /* Whatever was ordered before, this ends it. */
    if (i % 2) command(WH_COMMAND_END, 0, r, 0, NULL, NULL, 0, 0, 0);
    answer(r);
  }
  MUST(pick(0) == NULL);
  deliver_end(options);
  settle(options);
  for (request *r; (r = pick(0)) != NULL;) {
    answer(r);
    settle(options);
  }
  /* All is answered and the client has ended its side: nothing is left to wait for. */
  MUST(finished || closed || memory_failed);
  gone = 1;
  let_go();
  batch();
  for (request *r; (r = pick(0)) != NULL;) {
    command(WH_COMMAND_RELEASE, 0, r, 0, NULL, NULL, 0, 0, 0);
    r->open = 0;
    batch();
  }
  check_output();
  MUST(wh_exchange_pool_in_use(server->pool) == 0);
  MUST(server->event_count == 0 && server->overflow_count == 0);
  for (size_t i = 0; i < pin_count; i++) MUST(pins[i] == 2);
}

/* Delivers all in pieces of so many bytes, answering at once, and gives back what the application saw. */
static output play(const uint8_t *bytes, size_t length, size_t piece, unsigned options) {
  begin(options);
  auto_answer = 1;
  for (size_t at = 0; at < length; at += piece) {
    deliver(bytes + at, length - at < piece ? length - at : piece, 0, options);
  }
  deliver_end(options);
  end(options, 0);
  output seen = {0};
  add(&seen, trace.bytes, trace.length);
  add(&seen, "\n", 1);
  /* Of the answers the statuses. Whether there is a 100 Continue depends on what has come; and which of
     two faults of one header line is found first, on the cut. */
  for (size_t i = 0; i + 12 < out.length; i++) {
    if (memcmp(out.bytes + i, "HTTP/1.1 ", 9) != 0 || out.bytes[i + 9] == '1') continue;
    add(&seen, memcmp(out.bytes + i + 9, "431", 3) == 0 ? (uint8_t *)"400" : out.bytes + i + 9, 3);
  }
  return seen;
}

static void compare(const uint8_t *bytes, size_t length, unsigned options) {
  output whole = play(bytes, length, MOST_PIECE, options);
  static const size_t pieces[] = {1, 7, 64};
  for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
    if (pieces[i] == 1 && length > 3000) continue;
    output cut = play(bytes, length, pieces[i], options);
    if (cut.length != whole.length || memcmp(cut.bytes, whole.bytes, whole.length) != 0) {
      fprintf(stderr, "in pieces of %zu:\n%.*s\nwhole:\n%.*s\n", pieces[i], (int)cut.length,
              (const char *)cut.bytes, (int)whole.length, (const char *)whole.bytes);
      abort();
    }
    free(cut.bytes);
  }
  free(whole.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || size > MOST_PIECE) return 0;
  unsigned options = data[0];
  size_t script_length = data[1] * 2U;
  data += 2;
  size -= 2;
  if (script_length > size) script_length = size & ~(size_t)1;
  const uint8_t *script = data, *bytes = data + script_length;
  size_t length = size - script_length;
  if (options & OPTION_COMPARE) {
    compare(bytes, length, options);
    return 0;
  }
  begin(options);
  if (options & OPTION_NO_MEMORY && script_length > 0) wh_memory_fail_at(script[1] % 16U + 1);
  for (size_t i = 0; i < script_length; i += 2) {
    unsigned step = script[i] % STEP_COUNT;
    uint8_t argument = script[i + 1];
    size_t piece = argument + 1U;
    if (step == STEP_DELIVER_ALL || piece > length) piece = length;
    switch (step) {
    case STEP_DELIVER:
    case STEP_DELIVER_MORE:
    case STEP_DELIVER_ALL:
      deliver(bytes, piece, step == STEP_DELIVER_MORE, options);
      bytes += piece;
      length -= piece;
      break;
    case STEP_RARE: rare(argument, options); break;
    default:
      order(step, argument);
      if (script[i] & 128) settle(options);
      break;
    }
  }
  settle(options);
  deliver(bytes, length, 0, options);
  end(options, options & OPTION_NO_MEMORY);
  wh_memory_fail_at(0);
  return 0;
}
