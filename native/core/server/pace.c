#include "server/pace.h"

#include "base/memory.h"
#include "server/server_internal.h"

/* One direction. Not measured while `end` is 0. */
typedef struct meter {
  uint64_t end;    /* of the window, ms */
  uint64_t bytes;  /* so far in this window, or where the count stood at its start */
  uint64_t paused; /* ms that the window still had when reading paused; 0 = it did not */
  uint8_t excused; /* this is another window, because the last one's end was noticed late */
} meter;

typedef struct wh_pace {
  wh_connection *connection;
  wh_timer timer;
  meter request, response;
  wh_data_rate request_rate, response_rate; /* grace 0: the server's */
} wh_pace;

static wh_data_rate rate_of(const wh_connection *connection, int of_response) {
  const wh_pace *pace = connection->pace;
  if (pace != NULL) {
    wh_data_rate own = of_response ? pace->response_rate : pace->request_rate;
    if (own.grace != 0) return own;
  }
  const wh_limits *l = &wh_server_of(connection)->limits;
  return of_response ? (wh_data_rate){l->min_response_rate, l->min_response_rate_grace}
                     : (wh_data_rate){l->min_request_rate, l->min_request_rate_grace};
}

static uint64_t now_of(const wh_connection *connection) {
  return wh_loop_now(wh_server_of(connection)->loop);
}

/* The timer runs at the end of the window that ends first. */
static void set_timer(wh_pace *pace) {
  wh_timers *timers = wh_loop_timers(wh_server_of(pace->connection)->loop);
  uint64_t first = pace->request.end;
  if (first == 0 || (pace->response.end != 0 && pace->response.end < first)) {
    first = pace->response.end;
  }
  if (first == 0)
    wh_timer_cancel(timers, &pace->timer);
  else
    wh_timer_set(timers, &pace->timer, first);
}

/* Bytes that the client has acknowledged, counted from any fixed point. */
static uint64_t acknowledged(const wh_connection *connection) {
  return connection->sent - wh_stream_unacknowledged(&connection->stream);
}

/*
 * Bytes that count for a client that takes answers. Where it is HTTP/2's windows that are closed, only those
 * of DATA frames: what answers PINGs shows no wish to read the rest.
 */
static uint64_t taken_of(const wh_connection *connection) {
  if (connection->owner_protocol == WH_PROTOCOL_HTTP2 && !connection->blocked &&
      connection->session != NULL) {
    return wh_http2_data_bytes(connection->session);
  }
  return acknowledged(connection);
}

/* How late the timer may be (ms): a server that was busy elsewhere for longer has not listened to the client. */
#define LATE_MOST 500U

/*
 * Whether the window's end was noticed in time; if not it gets a new one. Not twice in a row: who keeps the
 * server busy must not be let off for ever.
 */
static int is_in_time(meter *m, uint64_t now, wh_data_rate rate, uint64_t bytes) {
  if (now <= m->end + LATE_MOST || m->excused) {
    m->excused = 0;
    return 1;
  }
  m->excused = 1;
  m->bytes = bytes;
  m->end = now + (uint64_t)rate.grace;
  return 0;
}

/* Whether so many bytes are enough for the window, which may have become longer than it should. */
static int keeps(const meter *m, wh_data_rate rate, uint64_t now, int64_t bytes) {
  int64_t length = (int64_t)(now - m->end) + rate.grace;
  return rate.bytes_per_second == WH_UNLIMITED || bytes >= rate.bytes_per_second * length / 1000;
}

static void judge_request(wh_pace *pace, uint64_t now) {
  wh_connection *connection = pace->connection;
  wh_data_rate rate = rate_of(connection, 0);
  meter *m = &pace->request;
  if (m->end == 0 || now < m->end || !is_in_time(m, now, rate, 0)) return;
  if (keeps(m, rate, now, (int64_t)m->bytes)) {
    m->bytes = 0;
    m->end = now + (uint64_t)rate.grace;
    return;
  }
  m->end = 0;
  wh_server_of(connection)->timeouts[WH_TIMEOUT_REQUEST_RATE]++;
  wh_visitor_note(connection, WH_CLOSE_REASON_MIN_REQUEST_BODY_DATA_RATE);
  if (connection->session == NULL) return;
  if (connection->owner_protocol == WH_PROTOCOL_HTTP2)
    wh_http2_body_timeout(connection->session);
  else
    wh_http1_body_timeout(connection->session);
}

static void judge_response(wh_pace *pace, uint64_t now) {
  wh_connection *connection = pace->connection;
  wh_data_rate rate = rate_of(connection, 1);
  meter *m = &pace->response;
  uint64_t taken = taken_of(connection);
  if (m->end == 0 || now < m->end || !is_in_time(m, now, rate, taken)) return;
  if (keeps(m, rate, now, (int64_t)(taken - m->bytes))) {
    m->bytes = taken;
    m->end = now + (uint64_t)rate.grace;
    return;
  }
  m->end = 0;
  wh_server_of(connection)->timeouts[WH_TIMEOUT_RESPONSE_RATE]++;
  wh_visitor_note(connection, WH_CLOSE_REASON_MIN_RESPONSE_DATA_RATE);
  /* Who reads nothing at all will not read a GOAWAY either. */
  if (connection->owner_protocol == WH_PROTOCOL_HTTP2 && !connection->blocked)
    wh_http2_end_slow(connection->session);
  else
    wh_connection_close(connection, 1);
}

static void on_timer(wh_timer *timer) {
  wh_pace *pace = (wh_pace *)((char *)timer - offsetof(wh_pace, timer));
  wh_connection *connection = pace->connection;
  if (connection->closed) return;
  wh_server_freshen(wh_server_of(connection));
  uint64_t now = now_of(connection);
  judge_request(pace, now);
  if (!connection->closed) judge_response(pace, now);
  if (!connection->closed) set_timer(pace);
}

/* NULL where there is no memory: the connection, whose pace nobody could watch, is closed. */
static wh_pace *pace_of(wh_connection *connection) {
  if (connection->pace != NULL) return connection->pace;
  wh_pace *pace = wh_zalloc(sizeof *pace);
  if (pace == NULL) {
    wh_connection_close(connection, 1);
    return NULL;
  }
  pace->connection = connection;
  wh_timer_init(&pace->timer, on_timer);
  connection->pace = pace;
  return pace;
}

void wh_pace_request(wh_connection *connection, int reading) {
  wh_data_rate rate = rate_of(connection, 0);
  if (connection->closed || (connection->pace == NULL && !reading)) return;
  wh_pace *pace = pace_of(connection);
  if (pace == NULL) return;
  meter *m = &pace->request;
  if (reading == (m->end != 0)) return;
  uint64_t now = now_of(connection);
  if (reading) {
    if (m->paused == 0) m->bytes = 0;
    m->end = now + (m->paused != 0 ? m->paused : (uint64_t)rate.grace);
    m->paused = 0;
  } else {
    m->paused = m->end > now ? m->end - now : 1;
    m->end = 0;
  }
  set_timer(pace);
}

void wh_pace_body_ended(wh_connection *connection) {
  wh_pace *pace = connection->pace;
  pace->request = (meter){0};
  pace->request_rate = (wh_data_rate){0};
  set_timer(pace);
}

void wh_pace_set_rate(wh_connection *connection, int of_response, wh_data_rate rate) {
  wh_pace *pace = pace_of(connection);
  if (pace == NULL) return;
  meter *m = of_response ? &pace->response : &pace->request;
  if (of_response)
    pace->response_rate = rate;
  else
    pace->request_rate = rate;
  if (m->end == 0) return;
  /* What is being measured starts anew under the new rate. */
  m->end = now_of(connection) + (uint64_t)rate.grace;
  m->bytes = of_response ? taken_of(connection) : 0;
  set_timer(pace);
}

void wh_pace_answered(wh_connection *connection) {
  wh_pace *pace = connection->pace;
  if (!connection->blocked) pace->response_rate = (wh_data_rate){0};
}

void wh_pace_received(wh_connection *connection, size_t length) {
  ((wh_pace *)connection->pace)->request.bytes += length;
}

void wh_pace_response(wh_connection *connection, int blocked) {
  wh_pace *pace = pace_of(connection);
  if (pace == NULL) return;
  pace->response.end = 0;
  if (blocked) {
    pace->response.bytes = taken_of(connection);
    pace->response.end = now_of(connection) + (uint64_t)rate_of(connection, 1).grace;
  }
  set_timer(pace);
}

void wh_pace_end(wh_connection *connection) {
  wh_pace *pace = connection->pace;
  if (pace == NULL) return;
  wh_timer_cancel(wh_loop_timers(wh_server_of(connection)->loop), &pace->timer);
  connection->pace = NULL;
  wh_free(pace);
}
