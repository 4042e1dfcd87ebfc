/* Refused requests, and connections that a flood ends, told one by one to an application that wants to know. */
#include <string.h>

#include "net/address.h"
#include "server/server_internal.h"

/* How often the application hears of a refusal that wants to hear only whether there are any (µs). */
#define SAMPLE_US 1000000U

enum { TELL_NONE, TELL_ALL, TELL_SAMPLES }; /* the control word REFUSALS */

static int is_wanted(const wh_server *server) {
  switch (server->memory.control[WH_CONTROL_REFUSALS]) {
  case TELL_ALL: return 1;
  case TELL_SAMPLES:
    return server->refusal_told_us == 0 ||
           server->service.now_us - server->refusal_told_us >= SAMPLE_US;
  default: return 0;
  }
}

static void set16(uint8_t *at, uint16_t value) { memcpy(at, &value, sizeof value); }
static void set32(uint8_t *at, uint32_t value) { memcpy(at, &value, sizeof value); }

/* Pushes an event with a record of the connection and of what it sent. */
static void tell(wh_server *server, unsigned event, unsigned code, const wh_connection *connection,
                 const wh_refused_request *request) {
  char address[WH_ADDRESS_TEXT_SIZE];
  size_t address_length = wh_address_format(&connection->peer, address, sizeof address);
  /* What is being parsed stands in the arena, perhaps where the next loan would be. */
  if (request->end != NULL) wh_loop_keep(server->loop, request->end);
  size_t size = WH_REFUSAL_RECORD_SIZE + address_length + request->length;
  uint8_t *record = wh_loop_lend(server->loop, size);
  if (record == NULL) {
    (void)wh_server_push(server, event, code, 0, 0);
    return;
  }
  uint64_t duration = server->service.now_us - request->since_us;
  set32(record + WH_REFUSAL_RECORD_CONNECTION_LOW, (uint32_t)connection->number);
  set32(record + WH_REFUSAL_RECORD_CONNECTION_HIGH, (uint32_t)(connection->number >> 32));
  set32(record + WH_REFUSAL_RECORD_DURATION,
        duration < UINT32_MAX ? (uint32_t)duration : UINT32_MAX);
  set16(record + WH_REFUSAL_RECORD_PORT, connection->peer.port);
  record[WH_REFUSAL_RECORD_ADDRESS_LENGTH] = (uint8_t)address_length;
  record[WH_REFUSAL_RECORD_INPUT_LENGTH] = (uint8_t)request->length;
  record[WH_REFUSAL_RECORD_DISPATCHED] = (uint8_t)request->dispatched;
  memcpy(record + WH_REFUSAL_RECORD_SIZE, address, address_length);
  if (request->length > 0) {
    memcpy(record + WH_REFUSAL_RECORD_SIZE + address_length, request->bytes, request->length);
  }
  (void)wh_server_push(server, event, code, (uint32_t)(record - server->memory.arena),
                       (uint32_t)size);
}

void wh_server_refused(void *user, const wh_refuser *refuser, wh_refusal reason) {
  wh_server *server = user;
  if (!is_wanted(server) || server->destroying) return;
  server->refusal_told_us = server->service.now_us;
  wh_refused_request request;
  refuser->describe(refuser->session, reason, WH_REFUSAL_RECORD_INPUT_MOST, &request);
  tell(server, WH_EVENT_REFUSED, (unsigned)reason, refuser->connection, &request);
}

void wh_server_flooded(void *user, void *connection, unsigned kind, const uint8_t *end) {
  wh_server *server = user;
  if (!is_wanted(server) || server->destroying) return;
  server->refusal_told_us = server->service.now_us;
  wh_refused_request nothing = {.end = end, .since_us = server->service.now_us};
  tell(server, WH_EVENT_FLOODED, kind, connection, &nothing);
}
