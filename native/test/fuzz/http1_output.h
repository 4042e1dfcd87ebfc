/*
 * What the client of http1_fuzz got: reads the bytes as HTTP answers, and checks that each request was
 * answered once and in order. Only http1_fuzz.c includes this.
 */
#ifndef WH_TEST_FUZZ_HTTP1_OUTPUT_H
#define WH_TEST_FUZZ_HTTP1_OUTPUT_H

#include "http1_world.h"

/* The next answer in the output; the number of bytes, or 0 where it is incomplete. */
static size_t read_answer(const uint8_t *at, size_t left, int to_head, int *status, long *id,
                          int *last) {
  const uint8_t *end = left == 0 ? NULL : memmem(at, left, "\r\n\r\n", 4);
  *status = *last = 0;
  *id = -1;
  if (end == NULL) return 0;
  size_t head = (size_t)(end - at) + 4, length = 0;
  int chunked = 0, has_length = 0;
  MUST(head > 15 && memcmp(at, "HTTP/1.1 ", 9) == 0 && at[12] == ' ');
  *status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0');
  const uint8_t *line = memmem(at, head, "\r\n", 2);
  for (line += 2; *line != '\r';) {
    const uint8_t *stop = memmem(line, (size_t)(at + head - line), "\r\n", 2);
    size_t n = (size_t)(stop - line);
    if (n > 16 && memcmp(line, "Content-Length: ", 16) == 0) {
      MUST(!has_length);
      has_length = 1;
      length = strtoul((const char *)line + 16, NULL, 10);
    } else if (n == 26 && memcmp(line, "Transfer-Encoding: chunked", 26) == 0) {
      MUST(!chunked);
      chunked = 1;
    } else if (n == 17 && memcmp(line, "Connection: close", 17) == 0) {
      *last = 1;
    } else if (n > 6 && memcmp(line, "X-Id: ", 6) == 0) {
      *id = strtol((const char *)line + 6, NULL, 10);
    }
    line = stop + 2;
  }
  MUST(!chunked || !has_length);
  if (to_head || *status < 200 || *status == 204 || *status == 304) return head;
  if (has_length) return left - head >= length ? head + length : 0;
  if (!chunked) {
    MUST(*last);
    return finished || gone ? left : 0;
  }
  size_t place = head;
  for (;;) {
    const uint8_t *stop = memmem(at + place, left - place, "\r\n", 2);
    if (stop == NULL) return 0;
    size_t size = strtoul((const char *)at + place, NULL, 16);
    place = (size_t)(stop - at) + 2;
    if (size == 0 && left - place >= 8 && memcmp(at + place, "X-T: y\r\n", 8) == 0) place += 8;
    if (left - place < size + 2) return 0;
    MUST(memcmp(at + place + size, "\r\n", 2) == 0);
    place += size + 2;
    if (size == 0) return place;
  }
}

static void check_output(void) {
  size_t place = 0;
  long next = 0;
  int last = 0, refused = 0;
  add(&out, "", 1); /* a NUL behind it, for strtoul */
  out.length--;
  while (place < out.length) {
    int status, closes;
    long id;
    int tunnel = (size_t)next < request_count && requests[next].tunnel;
    int to_head = tunnel || ((size_t)next < request_count && requests[next].head_only);
    size_t size =
        read_answer(out.bytes + place, out.length - place, to_head, &status, &id, &closes);
    MUST(!last); /* nothing follows an answer that closes */
    if (size == 0) {
      MUST(gone); /* it was cut short */
      return;
    }
    place += size;
    if (tunnel && (status == 101 || status / 100 == 2)) {
      MUST(id == next && !closes);
      return; /* what follows is the application's */
    }
    MUST(status != 101);
    if (status < 200) continue;
    if (id < 0) {
      MUST(status >= 400 && closes); /* a refusal */
      last = refused = 1;
      continue;
    }
    MUST(id == next && (size_t)id < request_count); /* each once, in order */
    next++;
    last = closes;
    /* That the client has ended its side, or the server stops, cuts off nobody who was there before. */
    if (closes && !sent_after_stop && (size_t)next < request_count) MUST(requests[id].may_close);
  }
  if (closed) return;
  if (refused_in_place) MUST(refused);
  if (last) return;
  MUST((size_t)next == request_count); /* none is forgotten */
}

#endif
