#include "support_vectors.h"

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/characters.h"
#include "http/service.h"

#define LONGEST_LINE 4096

typedef struct reader {
  vector_file file;
  vector_case *now; /* NULL between cases */
  const char *line; /* without its indentation and line end */
  size_t number;    /* of the line, from 1 */
  int has_target;   /* the request that is read */
  int has_expectation, has_source;
} reader;

static void *must(void *memory) {
  assert_non_null(memory);
  return memory;
}

#define bad(reader, text)                                                   \
  do {                                                                      \
    fail_msg("line %zu: %s: %s", (reader)->number, (text), (reader)->line); \
    abort(); /* never comes to it */                                        \
  } while (0)

/* --- texts --- */

static void append(vector_bytes *to, const void *data, size_t length) {
  to->data = must(realloc(to->data, to->length + length + 1));
  if (length > 0) memcpy(to->data + to->length, data, length);
  to->length += length;
  to->data[to->length] = '\0';
}

/* The byte of the escape at *text, which moves on. */
static uint8_t unescape(const reader *r, const char **text) {
  char kind = (*text)[1];
  *text += kind == '\0' ? 1 : 2;
  switch (kind) {
  case 'r': return '\r';
  case 'n': return '\n';
  case 't': return '\t';
  case 's': return ' ';
  case '0': return 0;
  case '\\':
  case '{': return (uint8_t)kind;
  case 'x': {
    int high = wh_hex_digits[(uint8_t)(*text)[0]];
    int low = high < 0 ? -1 : wh_hex_digits[(uint8_t)(*text)[1]];
    if (low < 0) bad(r, "not two digits");
    *text += 2;
    return (uint8_t)(high << 4 | low);
  }
  default: bad(r, "an escape that is none");
  }
}

/* The bytes of a text up to its end, or to "*" or "}" within braces. */
static void append_text(const reader *r, vector_bytes *to, const char **text, int in_braces);

/* {TEXT*COUNT} */
static void append_repeated(const reader *r, vector_bytes *to, const char **text) {
  vector_bytes once = {0};
  (*text)++;
  append_text(r, &once, text, 1);
  if (**text != '*') bad(r, "no count");
  char *end;
  unsigned long count = strtoul(*text + 1, &end, 10);
  if (*end != '}' || count == 0) bad(r, "not a count");
  *text = end + 1;
  for (unsigned long i = 0; i < count; i++) append(to, once.data, once.length);
  free(once.data);
}

static void append_text(const reader *r, vector_bytes *to, const char **text, int in_braces) {
  append(to, "", 0);
  while (**text != '\0' && !(in_braces && (**text == '*' || **text == '}'))) {
    if (**text == '{') {
      if (in_braces) bad(r, "braces within braces");
      append_repeated(r, to, text);
    } else {
      uint8_t byte = **text == '\\' ? unescape(r, text) : (uint8_t) * (*text)++;
      append(to, &byte, 1);
    }
  }
}

static vector_bytes bytes_of(const reader *r, const char *text) {
  vector_bytes bytes = {0};
  append_text(r, &bytes, &text, 0);
  return bytes;
}

static char *text_of(const reader *r, const char *text) { return (char *)bytes_of(r, text).data; }

static void replace(const reader *r, vector_bytes *bytes, const char *text) {
  free(bytes->data);
  *bytes = bytes_of(r, text);
}

/* What stands behind the keyword; NULL where the line begins otherwise. */
static const char *after(const reader *r, const char *keyword) {
  size_t length = strlen(keyword);
  if (strncmp(r->line, keyword, length) != 0) return NULL;
  if (r->line[length] == '\0') return r->line + length;
  return r->line[length] == ' ' ? r->line + length + 1 : NULL;
}

/* --- lines --- */

static vector_request *last_request(const reader *r) {
  if (r->now->request_count == 0) bad(r, "there is no request before it");
  return &r->now->requests[r->now->request_count - 1];
}

/* The target is path and query where nothing else is said. */
static void end_request(reader *r) {
  if (r->now->request_count == 0) return;
  vector_request *request = last_request(r);
  if (r->has_target || request->target.data != NULL) return;
  append(&request->target, request->path.data, request->path.length);
  append(&request->target, request->query.data, request->query.length);
}

static void begin_request(reader *r, const char *text) {
  end_request(r);
  if (r->now->request_count == VECTOR_MOST_REQUESTS) bad(r, "too many requests");
  vector_request *request = &r->now->requests[r->now->request_count++];
  const char *blank = strchr(text, ' ');
  request->minor_version = 1;
  request->path = bytes_of(r, blank == NULL ? "" : blank + 1);
  request->query = bytes_of(r, "");
  request->body = bytes_of(r, "");
  request->method = text_of(r, text);
  if (blank != NULL) *strchr(request->method, ' ') = '\0';
  r->has_target = 0;
}

static void take_field(const reader *r, const char *text, vector_field *fields, size_t *count) {
  const char *colon = strchr(text, ':');
  if (colon == NULL) bad(r, "no colon");
  if (*count == VECTOR_MOST_FIELDS) bad(r, "too many fields");
  vector_field *field = &fields[(*count)++];
  field->value = bytes_of(r, colon[1] == ' ' ? colon + 2 : colon + 1);
  vector_bytes name = bytes_of(r, text);
  *strchr((char *)name.data, ':') = '\0';
  field->name = (char *)name.data;
}

static void end_with(reader *r, vector_ending ending, const char *text) {
  end_request(r);
  r->now->ending = ending;
  if (ending == VECTOR_RAW) r->now->raw = bytes_of(r, text);
  if (ending == VECTOR_REFUSE || ending == VECTOR_REFUSE_BODY) {
    r->now->status = (unsigned)strtoul(text, NULL, 10);
    if (r->now->status < 400 || r->now->status > 599) bad(r, "not a status");
  }
}

/* A line about a request. 0 where it is none. */
static int take_detail(reader *r) {
  const char *text;
  if ((text = after(r, "query")) != NULL) {
    replace(r, &last_request(r)->query, text);
  } else if ((text = after(r, "target")) != NULL) {
    last_request(r)->target = bytes_of(r, text);
    r->has_target = 1;
  } else if ((text = after(r, "version")) != NULL) {
    if (strcmp(text, "1.0") != 0) bad(r, "not a version");
    last_request(r)->minor_version = 0;
  } else if ((text = after(r, "host")) != NULL) {
    last_request(r)->host = bytes_of(r, text);
    last_request(r)->has_host = 1;
  } else if ((text = after(r, "field")) != NULL) {
    take_field(r, text, last_request(r)->fields, &last_request(r)->field_count);
  } else if ((text = after(r, "trailer")) != NULL) {
    take_field(r, text, last_request(r)->trailers, &last_request(r)->trailer_count);
  } else if ((text = after(r, "body")) != NULL) {
    replace(r, &last_request(r)->body, text);
  } else if (after(r, "close") != NULL) {
    last_request(r)->close = 1;
    end_with(r, VECTOR_CLOSE, "");
  } else if (after(r, "keep-alive") != NULL) {
    last_request(r)->keep_alive = 1;
  } else if ((text = after(r, "allow")) != NULL) {
    r->now->allow = text_of(r, text);
  } else {
    return 0;
  }
  return 1;
}

static unsigned relaxed_of(const reader *r, const char *name) {
  static const char *const names[] = {"rawQueryCharacters", "bareLineFeed", "hostHeaderOverride"};
  for (unsigned i = 0; i < 3; i++) {
    if (strcmp(names[i], name) == 0) return 1U << i;
  }
  bad(r, "there is no such option");
  return 0;
}

static void take_line(reader *r) {
  const char *text;
  vector_case *now = r->now;
  if ((text = after(r, ">")) != NULL) {
    append_text(r, &now->input, &text, 0);
    append(&now->input, "\r\n", 2);
  } else if ((text = after(r, "+")) != NULL) {
    append_text(r, &now->input, &text, 0);
  } else if (after(r, "from") != NULL) {
    r->has_source = 1;
  } else if ((text = after(r, "relaxed")) != NULL) {
    now->relaxed = relaxed_of(r, text);
  } else if (after(r, "half-close") != NULL) {
    now->half_close = 1;
  } else if (!take_detail(r)) {
    r->has_expectation = 1;
    if ((text = after(r, "request")) != NULL)
      begin_request(r, text);
    else if ((text = after(r, "refuse")) != NULL)
      end_with(r, VECTOR_REFUSE, text);
    else if ((text = after(r, "refuse-body")) != NULL)
      end_with(r, VECTOR_REFUSE_BODY, text);
    else if ((text = after(r, "raw")) != NULL)
      end_with(r, VECTOR_RAW, text);
    else if (after(r, "end") != NULL)
      end_with(r, VECTOR_END, "");
    else
      bad(r, "not a line of a case");
  }
}

static void end_case(reader *r) {
  if (r->now == NULL) return;
  if (!r->has_source || !r->has_expectation) bad(r, "the case before it is not complete");
  end_request(r);
  append(&r->now->input, "", 0);
  r->now = NULL;
}

static void begin_case(reader *r, const char *name) {
  end_case(r);
  vector_file *file = &r->file;
  file->cases = must(realloc(file->cases, (file->count + 1) * sizeof *file->cases));
  r->now = &file->cases[file->count++];
  memset(r->now, 0, sizeof *r->now);
  r->now->name = must(strdup(name));
  r->has_expectation = r->has_source = 0;
}

vector_file vectors_read(const char *path) {
  char line[LONGEST_LINE];
  reader r = {.line = ""};
  FILE *stream = fopen(path, "r");
  if (stream == NULL) fail_msg("cannot open %s", path);
  while (fgets(line, sizeof line, stream) != NULL) {
    size_t length = strlen(line);
    if (length == 0 || line[length - 1] != '\n') bad(&r, "the line behind it is too long");
    line[length - 1] = '\0';
    r.number++;
    r.line = strncmp(line, "  ", 2) == 0 ? line + 2 : line;
    const char *name = after(&r, "case");
    if (line[0] == '\0')
      end_case(&r);
    else if (line[0] == '#')
      continue;
    else if (name != NULL)
      begin_case(&r, name);
    else if (r.now == NULL)
      bad(&r, "outside of a case");
    else
      take_line(&r);
  }
  end_case(&r);
  fclose(stream);
  return r.file;
}

static void free_fields(vector_field *fields, size_t count) {
  for (size_t i = 0; i < count; i++) {
    free(fields[i].name);
    free(fields[i].value.data);
  }
}

static void free_request(vector_request *request) {
  vector_bytes *parts[] = {&request->path, &request->query, &request->target, &request->host,
                           &request->body};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) free(parts[i]->data);
  free(request->method);
  free_fields(request->fields, request->field_count);
  free_fields(request->trailers, request->trailer_count);
}

void vectors_free(vector_file *file) {
  for (size_t i = 0; i < file->count; i++) {
    vector_case *c = &file->cases[i];
    for (size_t n = 0; n < c->request_count; n++) free_request(&c->requests[n]);
    free(c->name);
    free(c->input.data);
    free(c->allow);
    free(c->raw.data);
  }
  free(file->cases);
  *file = (vector_file){0};
}
