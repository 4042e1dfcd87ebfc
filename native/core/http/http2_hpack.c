/*
 * HPACK by nghttp2, and what need not go through it.
 *
 * A block that adds nothing to the table means the same as long as the table stays as it is. Clients say
 * the same things again and again, and so do servers: such a block, once decoded, is recognised by its
 * bytes and the table's version; once encoded, by what it says. Only Content-Length, which changes with
 * each answer, is written anew: a literal that no table keeps.
 */
#include <string.h>

#include "base/memory.h"
#include "http/http2_session.h"

/* Content-Length: index 28 of the static table (RFC 7541 appendix A), as a literal without indexing. */
#define CONTENT_LENGTH_FIRST 0x0fU
#define CONTENT_LENGTH_REST (28U - 15U)
#define CONTENT_LENGTH_SIZE 24U

int wh_http2_open_hpack(wh_http2 *session) {
  wh_http2_shared *shared = session->service->http2;
  if (nghttp2_hd_inflate_new2(&session->inflater, &shared->memory) != 0) return -1;
  if (nghttp2_hd_deflate_new2(&session->deflater, shared->limits.header_table, &shared->memory) !=
      0) {
    return -1;
  }
  session->inflater_version = session->deflater_version = 1;
  return 0;
}

void wh_http2_close_hpack(wh_http2 *session) {
  if (session->inflater != NULL) nghttp2_hd_inflate_del(session->inflater);
  if (session->deflater != NULL) nghttp2_hd_deflate_del(session->deflater);
  wh_free(session->known_request);
  wh_free(session->known_answers);
}

/* --- blocks --- */

/* Behind an integer with a prefix of so many bits (RFC 7541 section 5.1); *value is cut at 2^28. */
static const uint8_t *skip_integer(const uint8_t *p, const uint8_t *end, unsigned bits,
                                   uint32_t *value) {
  uint32_t most = (1U << bits) - 1, all = *p++ & most;
  if (all == most) {
    for (unsigned shift = 0;; shift += 7) {
      if (p == end || shift > 21) return NULL;
      all += (uint32_t)(*p & 0x7f) << shift;
      if (!(*p++ & 0x80)) break;
    }
  }
  *value = all;
  return p;
}

static const uint8_t *skip_string(const uint8_t *p, const uint8_t *end) {
  uint32_t length;
  if (p == end) return NULL;
  p = skip_integer(p, end, 7, &length);
  return p == NULL || length > (size_t)(end - p) ? NULL : p + length;
}

/* Whether a valid block leaves the table as it is: nothing is added, and its size is not changed. */
static int is_pure(const uint8_t *p, size_t length) {
  const uint8_t *end = p + length;
  while (p != NULL && p < end) {
    uint32_t index;
    if (*p & 0x80) {
      p = skip_integer(p, end, 7, &index);
    } else if (*p & 0x60) {
      return 0;
    } else {
      p = skip_integer(p, end, 4, &index);
      if (p != NULL && index == 0) p = skip_string(p, end);
      if (p != NULL) p = skip_string(p, end);
    }
  }
  return p != NULL;
}

/* --- in --- */

uint32_t wh_http2_decode(wh_http2 *session, const uint8_t *block, size_t length) {
  session->list_size = 0;
  if (!is_pure(block, length)) session->inflater_version++;
  for (;;) {
    nghttp2_nv field;
    int flags = 0;
    nghttp2_ssize taken =
        nghttp2_hd_inflate_hd3(session->inflater, &field, &flags, block, length, 1);
    if (taken < 0) {
      return taken == NGHTTP2_ERR_NOMEM ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_COMPRESSION_ERROR;
    }
    block += taken;
    length -= (size_t)taken;
    if (flags & NGHTTP2_HD_INFLATE_EMIT) {
      uint32_t code =
          wh_http2_take_field(session, field.name, field.namelen, field.value, field.valuelen);
      if (code != NGHTTP2_NO_ERROR) return code;
    }
    if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
    if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && length == 0) break;
  }
  nghttp2_hd_inflate_end_headers(session->inflater);
  return NGHTTP2_NO_ERROR;
}

static int is_known(const wh_http2_known_request *known, const wh_http2 *session,
                    const uint8_t *block, size_t length) {
  return known != NULL && known->length == length && known->version == session->inflater_version &&
         memcmp(known->block, block, length) == 0;
}

const wh_http2_known_request *wh_http2_find_request(const wh_http2 *session, const uint8_t *block,
                                                    size_t length) {
  const wh_http2_known_request *known = session->known_request;
  return is_known(known, session, block, length) && known->raw_used > 0 ? known : NULL;
}

void wh_http2_note_request(wh_http2_stream *stream, const uint8_t *block, size_t length,
                           const wh_head_facts *facts) {
  wh_http2 *session = stream->session;
  const wh_exchange *exchange = stream->exchange;
  wh_http2_known_request *known = session->known_request;
  if (length == 0 || length > WH_HTTP2_BLOCK_MOST || stream->raw_used > WH_HTTP2_BLOCK_RAW ||
      stream->fields > WH_HTTP2_BLOCK_FIELDS || exchange->slot_size != WH_SLAB_SMALL_SIZE ||
      exchange->connect || !is_pure(block, length)) {
    return;
  }
  if (!is_known(known, session, block, length)) {
    /* Seen for the first time: who never says the same twice pays for no more than this. */
    if (known == NULL) known = session->known_request = wh_alloc(sizeof *known);
    if (known == NULL) return;
    known->version = session->inflater_version;
    known->length = (uint32_t)length;
    known->raw_used = 0;
    memcpy(known->block, block, length);
    return;
  }
  known->raw_used = (uint32_t)stream->raw_used;
  known->fields = stream->fields;
  known->facts = *facts;
  known->urgency = stream->urgency;
  known->incremental = stream->incremental;
  memcpy(known->slot, exchange->slot, WH_SLOT_DATA + stream->raw_used);
  size_t table = (size_t)stream->fields * WH_FIELD_SIZE;
  memcpy(known->table, exchange->slot + exchange->slot_size - table, table);
}

/* --- out --- */

/* The flags that say something about an answer's fields. */
#define FIELD_FLAGS                                                                     \
  (WH_COMMAND_FLAG_HAS_DATE | WH_COMMAND_FLAG_HAS_SERVER | WH_COMMAND_FLAG_HAS_REASON | \
   15U << WH_COMMAND_FLAG_CONTENT_TYPE_SHIFT)

static const wh_http2_known_answer *find_answer(const wh_http2 *session, unsigned status,
                                                const wh_answer *answer) {
  if (session->known_answers == NULL) return NULL;
  for (size_t i = 0; i < WH_HTTP2_KNOWN_ANSWERS; i++) {
    const wh_http2_known_answer *known = &session->known_answers[i];
    if (known->length > 0 && known->version == session->deflater_version &&
        known->date_second == session->service->date_second && known->status == status &&
        known->flags == (answer->flags & FIELD_FLAGS) &&
        known->lines_length == answer->head_length &&
        (answer->head_length == 0 ||
         memcmp(known->lines, answer->head, answer->head_length) == 0)) {
      return known;
    }
  }
  return NULL;
}

static void note_answer(wh_http2 *session, unsigned status, const wh_answer *answer,
                        const uint8_t *block, size_t length) {
  if (length > WH_HTTP2_BLOCK_MOST || answer->head_length > WH_HTTP2_ANSWER_LINES) return;
  if (session->known_answers == NULL) {
    session->known_answers = wh_zalloc(WH_HTTP2_KNOWN_ANSWERS * sizeof *session->known_answers);
    if (session->known_answers == NULL) return;
  }
  wh_http2_known_answer *known =
      &session->known_answers[session->known_place++ % WH_HTTP2_KNOWN_ANSWERS];
  known->version = session->deflater_version;
  known->date_second = session->service->date_second;
  known->flags = answer->flags & FIELD_FLAGS;
  known->status = status;
  known->length = (uint32_t)length;
  known->lines_length = (uint32_t)answer->head_length;
  if (answer->head_length > 0) memcpy(known->lines, answer->head, answer->head_length);
  memcpy(known->block, block, length);
}

static size_t put_content_length(uint8_t *out, uint64_t value) {
  uint8_t digits[20];
  size_t n = sizeof digits;
  do {
    digits[--n] = (uint8_t)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  size_t count = sizeof digits - n;
  out[0] = CONTENT_LENGTH_FIRST;
  out[1] = CONTENT_LENGTH_REST;
  out[2] = (uint8_t)count; /* not Huffman's */
  memcpy(out + 3, digits + n, count);
  return 3 + count;
}

static uint8_t *make_room(wh_http2_shared *shared, size_t size) {
  if (shared->block_size < size) {
    uint8_t *larger = wh_realloc(shared->block, size + 1024);
    if (larger == NULL) return NULL;
    shared->block = larger;
    shared->block_size = size + 1024;
  }
  return shared->block;
}

const uint8_t *wh_http2_encode(wh_http2 *session, unsigned status, const wh_answer *answer,
                               uint64_t content_length, size_t *length) {
  wh_http2_shared *shared = session->service->http2;
  const wh_http2_known_answer *known = status < 200 ? NULL : find_answer(session, status, answer);
  uint8_t *out;
  if (known != NULL) {
    out = make_room(shared, known->length + CONTENT_LENGTH_SIZE);
    if (out == NULL) return NULL;
    memcpy(out, known->block, known->length);
    *length = known->length;
  } else {
    ptrdiff_t count = wh_http2_make_fields(session, status, answer);
    if (count < 0) return NULL;
    size_t bound = nghttp2_hd_deflate_bound(session->deflater, shared->fields, (size_t)count);
    out = make_room(shared, bound + CONTENT_LENGTH_SIZE);
    if (out == NULL) return NULL;
    nghttp2_ssize used =
        nghttp2_hd_deflate_hd2(session->deflater, out, bound, shared->fields, (size_t)count);
    if (used < 0) {
      wh_http2_fail(session, NGHTTP2_INTERNAL_ERROR); /* the table is not the client's any more */
      return NULL;
    }
    *length = (size_t)used;
    if (!is_pure(out, *length))
      session->deflater_version++;
    else if (status >= 200)
      note_answer(session, status, answer, out, *length);
  }
  if (content_length != UINT64_MAX) *length += put_content_length(out + *length, content_length);
  return out;
}
