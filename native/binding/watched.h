// Gates before endpoints, and the connections that JavaScript watches there. See server/gate.h.
#ifndef WH_BINDING_WATCHED_H
#define WH_BINDING_WATCHED_H

#include <node_api.h>

extern "C" {
#include "windhover.h"
}

// The gate of an endpoint's options, which is the caller's to free; *present: there is one. On failure
// a JavaScript exception is pending and nothing is to be freed.
bool ReadGate(napi_env env, napi_value options, wh_gate *out, bool *present);

// Writes address and port of both ends to elements first to first + 3.
bool SetEnds(napi_env env, napi_value list, uint32_t first, const wh_address &peer,
             const wh_address &local);

// connection(handle): [number, endpoint, is open, reason, duration in ms, bytes received, bytes sent,
// requests, remote address, remote port, local address, local port, and those four of the socket]; null
// where the handle is not known.
napi_value WatchedConnection(napi_env env, napi_callback_info info);
// forgetConnection(handle)
napi_value ForgetConnection(napi_env env, napi_callback_info info);
// decideConnection(handle, admit)
napi_value DecideConnection(napi_env env, napi_callback_info info);
// nextBytes(): the bytes of the next BYTES event, as an ArrayBuffer; null where there are none.
napi_value NextBytes(napi_env env, napi_callback_info info);

#endif
