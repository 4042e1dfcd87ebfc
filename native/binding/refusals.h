// The answers to refused requests, between JavaScript and the core.
#ifndef WH_BINDING_REFUSALS_H
#define WH_BINDING_REFUSALS_H

#include <node_api.h>

extern "C" {
#include "windhover.h"
}

// refusals(): [{ number, reason, status, detail }], the core's table.
napi_value ListRefusals(napi_env env, napi_callback_info info);

// Takes `options.refusals`, where it is there: [{ number, head, body }], strings; the head's lines
// have their CRLFs. On failure a JavaScript exception is pending.
bool ReadRefusals(napi_env env, napi_value options, wh_server *server);

#endif
