#include "binding/values.h"

#include <cmath>

namespace {

// `value` as a person would write it, for messages.
std::string Show(napi_env env, napi_value value) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return "?";
  if (type == napi_symbol) return "a symbol";
  if (type == napi_object) return "an object";
  if (type == napi_function) return "a function";
  napi_value text;
  char buffer[128];
  size_t length = 0;
  if (napi_coerce_to_string(env, value, &text) != napi_ok ||
      napi_get_value_string_utf8(env, text, buffer, sizeof buffer, &length) != napi_ok) {
    return "?";
  }
  std::string shown(buffer, length);
  return type == napi_string ? "'" + shown + "'" : shown;
}

// The member, and whether it is there and not undefined.
bool Get(napi_env env, napi_value object, const char *name, napi_value *value,
         napi_valuetype *type) {
  if (napi_get_named_property(env, object, name, value) != napi_ok) return false;
  return napi_typeof(env, *value, type) == napi_ok;
}

} // namespace

bool Throw(napi_env env, int error, const char *message) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, wh_error_name(error), message);
  return false;
}

bool ThrowOption(napi_env env, bool range, const std::string &message) {
  if (range)
    napi_throw_range_error(env, "WH_ERR_INVALID_OPTION", message.c_str());
  else
    napi_throw_type_error(env, "WH_ERR_INVALID_OPTION", message.c_str());
  return false;
}

bool ReadInteger(napi_env env, napi_value object, const char *name, int64_t least, int64_t greatest,
                 int64_t *out) {
  napi_value value;
  napi_valuetype type;
  if (!Get(env, object, name, &value, &type)) return false;
  if (type == napi_undefined) return true;
  double number = 0;
  if (type != napi_number || napi_get_value_double(env, value, &number) != napi_ok) {
    return ThrowOption(
        env, false, std::string("option '") + name + "' must be a number, not " + Show(env, value));
  }
  if (!(number >= static_cast<double>(least) && number <= static_cast<double>(greatest)) ||
      number != std::floor(number)) {
    return ThrowOption(env, true,
                       std::string("option '") + name + "' must be a whole number from " +
                           std::to_string(least) + " to " + std::to_string(greatest) + ", not " +
                           Show(env, value));
  }
  *out = static_cast<int64_t>(number);
  return true;
}

bool ReadBoolean(napi_env env, napi_value object, const char *name, bool *out) {
  napi_value value;
  napi_valuetype type;
  if (!Get(env, object, name, &value, &type)) return false;
  if (type == napi_undefined) return true;
  if (type != napi_boolean) {
    return ThrowOption(env, false,
                       std::string("option '") + name + "' must be a boolean, not " +
                           Show(env, value));
  }
  return napi_get_value_bool(env, value, out) == napi_ok;
}

bool ReadString(napi_env env, napi_value object, const char *name, std::string *out,
                bool *present) {
  napi_value value;
  napi_valuetype type;
  *present = false;
  if (!Get(env, object, name, &value, &type)) return false;
  if (type == napi_undefined) return true;
  if (type != napi_string) {
    return ThrowOption(
        env, false, std::string("option '") + name + "' must be a string, not " + Show(env, value));
  }
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return false;
  out->resize(length + 1);
  if (napi_get_value_string_utf8(env, value, &(*out)[0], length + 1, &length) != napi_ok)
    return false;
  out->resize(length);
  *present = true;
  return true;
}

bool ReadFunction(napi_env env, napi_value object, const char *name, napi_ref *out) {
  napi_value value;
  napi_valuetype type;
  if (!Get(env, object, name, &value, &type)) return false;
  if (type != napi_function) {
    return ThrowOption(env, false,
                       std::string("option '") + name + "' must be a function, not " +
                           Show(env, value));
  }
  return napi_create_reference(env, value, 1, out) == napi_ok;
}

namespace {

// What `http1` lets through.
bool ReadRelaxed(napi_env env, napi_value object, wh_limits *out) {
  bool raw_query = false, line_feed = false, host_override = false;
  if (!ReadBoolean(env, object, "allowRawQueryCharacters", &raw_query) ||
      !ReadBoolean(env, object, "allowBareLineFeed", &line_feed) ||
      !ReadBoolean(env, object, "allowHostHeaderOverride", &host_override)) {
    return false;
  }
  out->allow_raw_query_characters = raw_query;
  out->allow_bare_line_feed = line_feed;
  out->allow_host_header_override = host_override;
  return true;
}

} // namespace

bool ReadLimits(napi_env env, napi_value object, wh_limits *out) {
  wh_limits_init(out);
  for (size_t i = 0; i < wh_limit_table_length; i++) {
    const wh_limit_row *row = &wh_limit_table[i];
    napi_value value;
    napi_valuetype type;
    if (!Get(env, object, row->name, &value, &type)) return false;
    if (type == napi_undefined) continue;
    int64_t number = WH_UNLIMITED;
    double given = 0;
    bool valid = type == napi_null && row->can_be_unlimited;
    if (type == napi_number && napi_get_value_double(env, value, &given) == napi_ok) {
      if (given == HUGE_VAL) {
        valid = row->can_be_unlimited != 0;
      } else if (given == std::floor(given) && std::fabs(given) <= 9007199254740991.0) {
        number = static_cast<int64_t>(given);
        valid = true;
      }
    }
    if (valid && wh_limits_set(out, row, number) == WH_OK) continue;
    std::string range =
        "a whole number of " + std::string(row->unit) + ", " + std::to_string(row->least) +
        (row->greatest == WH_UNLIMITED ? " or more" : " to " + std::to_string(row->greatest)) +
        (row->can_be_unlimited ? ", or null for none" : "");
    return ThrowOption(env, type == napi_number,
                       std::string("option 'limits.") + row->name + "' must be " + range +
                           ", not " + Show(env, value));
  }
  const wh_limit_row *larger, *smaller;
  if (wh_limits_check(out, &larger, &smaller) != WH_OK) {
    return ThrowOption(env, true,
                       std::string("option 'limits.") + smaller->name + "' (" +
                           std::to_string(wh_limits_get(out, smaller)) +
                           ") must not be less than option 'limits." + larger->name + "' (" +
                           std::to_string(wh_limits_get(out, larger)) + ")");
  }
  bool server_header = true;
  if (!ReadBoolean(env, object, "addServerHeader", &server_header)) return false;
  out->add_server_header = server_header;
  bool close_over_limit = false;
  if (!ReadBoolean(env, object, "closeOverLimit", &close_over_limit)) return false;
  out->close_over_limit = close_over_limit;
  return ReadRelaxed(env, object, out);
}

bool Set(napi_env env, napi_value object, const char *name, double number) {
  napi_value value;
  return napi_create_double(env, number, &value) == napi_ok &&
         napi_set_named_property(env, object, name, value) == napi_ok;
}

bool Set(napi_env env, napi_value object, const char *name, const char *text) {
  napi_value value;
  return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok &&
         napi_set_named_property(env, object, name, value) == napi_ok;
}

bool SetLimits(napi_env env, napi_value result, const wh_limits &limits) {
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok) return false;
  for (size_t i = 0; i < wh_limit_table_length; i++) {
    const int64_t value = wh_limits_get(&limits, &wh_limit_table[i]);
    napi_value number;
    if (napi_create_double(env, value == WH_UNLIMITED ? HUGE_VAL : static_cast<double>(value),
                           &number) != napi_ok ||
        napi_set_named_property(env, object, wh_limit_table[i].name, number) != napi_ok) {
      return false;
    }
  }
  return napi_set_named_property(env, result, "limits", object) == napi_ok;
}

bool ReadBusyPoll(napi_env env, napi_value object, int64_t *out) {
  return ReadInteger(env, object, "busyPoll", -1, 1000000, out);
}

void RaiseUncaught(napi_env env) {
  bool pending = false;
  napi_value error;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}
