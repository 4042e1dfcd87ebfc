#include "http/path.h"

#include <string.h>

#include "http/characters.h"

/* The byte that "%XX" at p stands for; -1 where it is none, or is "%2F", which stays as text. */
static int escaped_byte(const uint8_t *p, const uint8_t *end) {
  if (end - p < 3 || *p != '%') return -1;
  int high = wh_hex_digits[p[1]];
  int low = wh_hex_digits[p[2]];
  if (high < 0 || low < 0) return -1;
  int byte = high << 4 | low;
  return byte == '/' ? -1 : byte;
}

/* The bytes that follow a lead byte of UTF-8, 0 where it is none (RFC 3629 section 4). */
static int continuation_count(int lead) {
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
}

/*
 * Whether the byte may come second after this lead: no overlong form, no surrogate, nothing above
 * U+10FFFF.
 */
static int is_second_byte(int lead, int byte) {
  int least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  int most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  return byte >= least && byte <= most;
}

/*
 * Writes the character encoded from p on as "%XX%XX..." and returns its bytes; 0 where it is not
 * well-formed.
 */
static int decode_character(const uint8_t *p, const uint8_t *end, int lead, uint8_t out[4]) {
  int count = continuation_count(lead);
  if (count == 0) return 0;
  out[0] = (uint8_t)lead;
  for (int i = 1; i <= count; i++) {
    /* Never past the end: what escaped_byte took before this is three bytes each. */
    int byte = escaped_byte(p + (ptrdiff_t)3 * i, end);
    if (i == 1 ? !is_second_byte(lead, byte) : (byte & ~0x3f) != 0x80) return 0;
    out[i] = (uint8_t)byte;
  }
  return count + 1;
}

/* Decodes once. The length of what was written, or -1 for "%00". */
static ptrdiff_t decode_percent(const uint8_t *path, size_t length, uint8_t *out) {
  const uint8_t *p = path;
  const uint8_t *end = path + length;
  uint8_t *w = out;
  while (p < end) {
    const uint8_t *percent = memchr(p, '%', (size_t)(end - p));
    size_t run = (size_t)((percent == NULL ? end : percent) - p);
    if (run > 0 && w != p) memmove(w, p, run);
    w += run;
    p += run;
    if (percent == NULL) break;
    int byte = escaped_byte(p, end);
    if (byte == 0) return -1;
    if (byte < 0) { /* the "%" is text */
      *w++ = *p++;
    } else if (byte < 0x80) {
      *w++ = (uint8_t)byte;
      p += 3;
    } else {
      uint8_t character[4];
      int bytes = decode_character(p, end, byte, character);
      if (bytes == 0) {
        memmove(w, p, 3);
        w += 3;
        p += 3;
      } else {
        memcpy(w, character, (size_t)bytes);
        w += bytes;
        p += (ptrdiff_t)3 * bytes;
      }
    }
  }
  return w - out;
}

/*
 * Removes the segments "." and ".." in place (RFC 3986 section 5.2.4); the path begins with "/".
 * The new length.
 */
static size_t remove_dot_segments(uint8_t *path, size_t length) {
  size_t read = 0;
  size_t write = 0;
  while (read < length) {
    /* A segment with the "/" before it. */
    const uint8_t *next = memchr(path + read + 1, '/', length - read - 1);
    size_t end = next == NULL ? length : (size_t)(next - path);
    size_t size = end - read - 1;
    int is_dot = size == 1 && path[read + 1] == '.';
    int is_parent = size == 2 && path[read + 1] == '.' && path[read + 2] == '.';
    if (is_parent) {
      while (write > 0 && path[--write] != '/') {
      }
    }
    if (!is_dot && !is_parent) {
      if (write != read) memmove(path + write, path + read, end - read);
      write += end - read;
    } else if (end == length) {
      path[write++] = '/';
    }
    read = end;
  }
  return write;
}

/* Whether a segment of the path is "." or "..". */
static int has_dot_segment(const uint8_t *path, size_t length) {
  const uint8_t *p = path;
  const uint8_t *end = path + length;
  while (p < end && (p = memchr(p, '.', (size_t)(end - p))) != NULL) {
    if (p > path && p[-1] == '/') {
      const uint8_t *after = p + 1;
      if (after < end && *after == '.') after++;
      if (after == end || *after == '/') return 1;
    }
    p++;
  }
  return 0;
}

int wh_path_decode(const uint8_t *path, size_t length, uint8_t *out, size_t *out_length) {
  ptrdiff_t decoded = decode_percent(path, length, out);
  if (decoded < 0) return -1;
  *out_length = (size_t)decoded;
  if (has_dot_segment(out, *out_length)) *out_length = remove_dot_segments(out, *out_length);
  return 0;
}

int wh_path_needs_decoding(const uint8_t *path, size_t length) {
  return length > 0 && (memchr(path, '%', length) != NULL || has_dot_segment(path, length));
}
