/*
 * A client of HTTP/2 that makes its frames one by one, over a client of support_client.h. It does nothing
 * by itself but acknowledge SETTINGS, and notes what comes, by stream; HPACK is nghttp2's.
 *
 * In every test it checks that what comes are whole frames on streams that it has opened, that header
 * blocks are not interrupted, that nothing comes on a stream that has ended, and no DATA beyond the windows
 * that it has given.
 */
#ifndef WH_TEST_SUPPORT_HTTP2_H
#define WH_TEST_SUPPORT_HTTP2_H

#include <nghttp2/nghttp2.h>

#include "support_client.h"

/* What came on a stream. */
typedef struct h2_stream {
  uint32_t id;
  int status;     /* of the last head */
  char *head;     /* its fields, as lines "name: value\n", the informational ones before it */
  char *trailers; /* NULL: none */
  uint8_t *body;
  size_t length;
  int heads; /* header sections, informational ones too */
  int ended, reset;
  uint32_t code;    /* of the RST_STREAM */
  uint64_t updates; /* sum of its WINDOW_UPDATEs */
  int64_t window;   /* what we let the server send */
  size_t data_frames;
} h2_stream;

typedef struct h2 {
  app *app;
  client *client;
  nghttp2_hd_deflater *deflater;
  nghttp2_hd_inflater *inflater;
  uint32_t next_id;
  h2_stream *streams;
  size_t stream_count, stream_room;
  uint8_t *block; /* a header block that is coming */
  size_t block_length;
  uint32_t block_of;
  unsigned block_flags;
  int64_t window, initial_window;
  uint64_t updates; /* sum of the connection's WINDOW_UPDATEs */
  int settings, acks, pings, ping_acks, goaways;
  uint32_t goaway_last, goaway_code; /* of the last one */
  uint32_t max_streams;              /* as the server's SETTINGS say */
} h2;

#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* Connects, and sends the preface and empty SETTINGS. The app's endpoint must speak HTTP/2. */
h2 *h2_open(app *app);
/* Sends nothing. */
h2 *h2_open_bare(app *app);
/* The same over a client that is there. */
h2 *h2_over(client *client);
/* The client is the app's still. */
void h2_free(h2 *h);

/* --- frames --- */

void h2_frame(h2 *h, unsigned type, unsigned flags, uint32_t id, const void *payload,
              size_t length);
/* A header block of these lines "name: value\n". Its bytes; free them. */
uint8_t *h2_encode(h2 *h, const char *lines, size_t *length);
void h2_headers(h2 *h, uint32_t id, const char *lines, int end_stream);
/* A request on the next stream, whose id it returns. lines NULL: none besides the pseudo-header fields. */
uint32_t h2_request(h2 *h, const char *method, const char *path, const char *lines, int end_stream);
uint32_t h2_get(h2 *h, const char *path);
void h2_data(h2 *h, uint32_t id, const void *bytes, size_t length, int end_stream);
void h2_window(h2 *h, uint32_t id, uint32_t increment);
void h2_setting(h2 *h, unsigned which, uint32_t value);
void h2_reset(h2 *h, uint32_t id, uint32_t code);
void h2_ping(h2 *h, unsigned flags);
/* Waits until the server has taken all that was sent, by a PING. */
void h2_sync(h2 *h);

/* --- what came --- */

/* Takes what has come. The stream, which is made if nothing came on it. */
h2_stream *h2_seen(h2 *h, uint32_t id);
void h2_pump(h2 *h);
/* For RUN_UNTIL: the stream has ended or is reset; the server has ended the connection. */
int h2_done(h2 *h, uint32_t id);
int h2_ended(h2 *h);
/* Waits for the whole answer, and expects it. body NULL: any. */
void h2_expect(h2 *h, uint32_t id, int status, const char *body);
void h2_expect_reset(h2 *h, uint32_t id, uint32_t code);
/* Waits for the end of the connection, and expects this code in the last GOAWAY. */
void h2_expect_goaway(h2 *h, uint32_t code);
/* The value of a field of its head; NULL: there is none. Free it. */
char *h2_field(const h2_stream *stream, const char *name);

/* An app whose endpoint speaks these protocols. limits NULL: the defaults. */
app *h2_app(unsigned protocols, const wh_limits *limits);
int h2_setup(void **state);
#define H2_TEST(name) cmocka_unit_test_setup_teardown(name, h2_setup, app_teardown)

#endif
