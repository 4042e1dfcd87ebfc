// From JavaScript values and to them, with errors that name the option and the value.
#ifndef WH_BINDING_VALUES_H
#define WH_BINDING_VALUES_H

#include <node_api.h>

#include <cstdint>
#include <string>

extern "C" {
#include "windhover.h"
}

// All return false with an exception pending: a TypeError or RangeError with code
// WH_ERR_INVALID_OPTION, or an Error with the wh_error's name as its code.
bool Throw(napi_env env, int error, const char *message);
bool ThrowOption(napi_env env, bool range, const std::string &message);

// An integer member of an object; absent or undefined leaves *out as it is.
bool ReadInteger(napi_env env, napi_value object, const char *name, int64_t least, int64_t greatest,
                 int64_t *out);
// A boolean member; absent or undefined leaves *out as it is.
bool ReadBoolean(napi_env env, napi_value object, const char *name, bool *out);
// A string member; *present says whether there is one.
bool ReadString(napi_env env, napi_value object, const char *name, std::string *out, bool *present);
// A function member, as a strong reference.
bool ReadFunction(napi_env env, napi_value object, const char *name, napi_ref *out);
// Every limit of the core's table that the object has; null means unlimited.
bool ReadLimits(napi_env env, napi_value object, wh_limits *out);
// Sets a property. False where it cannot.
bool Set(napi_env env, napi_value object, const char *name, double number);
bool Set(napi_env env, napi_value object, const char *name, const char *text);
// Sets result.limits: the value of every limit by name, Infinity for none.
bool SetLimits(napi_env env, napi_value result, const wh_limits &limits);
// busyPoll: -1 = adaptive, 0 = never, else microseconds.
bool ReadBusyPoll(napi_env env, napi_value object, int64_t *out);

// Reports the pending exception as uncaught, as Node does for one that a callback throws.
void RaiseUncaught(napi_env env);

#endif
