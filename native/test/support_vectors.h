/*
 * The reader of test/vectors/http1.txt, which says at its top what a case is. Reading fails the test where
 * the file is not what it should be.
 */
#ifndef WH_TEST_SUPPORT_VECTORS_H
#define WH_TEST_SUPPORT_VECTORS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes, with a NUL behind them that does not count. */
typedef struct vector_bytes {
  uint8_t *data;
  size_t length;
} vector_bytes;

/* A field or trailer line; its value is without blanks around it. */
typedef struct vector_field {
  char *name;
  vector_bytes value;
} vector_field;

#define VECTOR_MOST_FIELDS 8
#define VECTOR_MOST_REQUESTS 8

/* A request that the application gets. */
typedef struct vector_request {
  char *method;
  vector_bytes path, query, target, host, body;
  vector_field fields[VECTOR_MOST_FIELDS], trailers[VECTOR_MOST_FIELDS];
  size_t field_count, trailer_count;
  int has_host;
  int minor_version;
  int close, keep_alive;
} vector_request;

typedef enum vector_ending {
  VECTOR_OPEN,        /* the connection lives on */
  VECTOR_CLOSE,       /* it ends with the last answer */
  VECTOR_REFUSE,      /* ... with a refusal */
  VECTOR_REFUSE_BODY, /* ... with a refusal in the place of an answer */
  VECTOR_RAW,         /* ... with just these bytes */
  VECTOR_END          /* ... without any */
} vector_ending;

typedef struct vector_case {
  char *name;
  vector_bytes input;
  int half_close;
  unsigned relaxed; /* WH_RELAXED_... */
  vector_request requests[VECTOR_MOST_REQUESTS];
  size_t request_count;
  vector_ending ending;
  unsigned status; /* of a refusal */
  char *allow;
  vector_bytes raw;
} vector_case;

typedef struct vector_file {
  vector_case *cases;
  size_t count;
} vector_file;

vector_file vectors_read(const char *path);
void vectors_free(vector_file *file);

#endif
