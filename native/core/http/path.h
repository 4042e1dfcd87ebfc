/* The path of a request target, decoded and normalised as Kestrel does it (reference: A7, Path). */
#ifndef WH_HTTP_PATH_H
#define WH_HTTP_PATH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Decodes percent-encoded bytes once, then removes dot segments (RFC 3986 section 5.2.4). "%2F"
 * stays as text, as do "%" without two digits and encoded bytes that are no well-formed UTF-8
 * (overlong forms, surrogates, lone bytes). The path begins with "/"; what comes out begins with
 * "/" too, is never longer, and is well-formed UTF-8 where the raw path is ASCII. out has room for
 * length bytes and may be path itself. 0, or -1 where the path holds "%00" (refuse with 400). Any
 * thread.
 */
int wh_path_decode(const uint8_t *path, size_t length, uint8_t *out, size_t *out_length);

/* Whether wh_path_decode would change the path: it has a "%" or a segment "." or "..". */
int wh_path_needs_decoding(const uint8_t *path, size_t length);

#endif
