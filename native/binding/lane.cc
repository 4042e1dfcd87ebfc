#include "binding/lane.h"

#include <cstring>

#include "binding/refusals.h"
#include "binding/values.h"

namespace {
constexpr size_t kArenaSize = 512 * 1024;
constexpr size_t kEventRoom = 4096;
constexpr size_t kCommandSize = 256 * 1024;
} // namespace

struct HostTable {
  static void Dispatch(void *user, uint32_t first, uint32_t count) {
    static_cast<Lane *>(user)->Dispatch(first, count);
  }
  static uint8_t *AllocateSlab(void *user, uint32_t number, size_t size, size_t slot_size) {
    return static_cast<Lane *>(user)->AllocateSlab(number, size, slot_size);
  }
  static void FreeSlab(void *user, uint32_t number, uint8_t *) {
    static_cast<Lane *>(user)->FreeSlab(number);
  }
  static int LocatePinned(void *user, uint32_t id, const uint8_t **data, size_t *length) {
    return static_cast<Lane *>(user)->pins.Locate(id, data, length) ? 0 : -1;
  }
  static void ReleasePinned(void *user, uint32_t id) { static_cast<Lane *>(user)->pins.Remove(id); }
  static int TakeFile(void *user, uint32_t id) { return static_cast<Lane *>(user)->files.Take(id); }
  static const wh_host table;
};

const wh_host HostTable::table = {Dispatch,     AllocateSlab,  FreeSlab,
                                  LocatePinned, ReleasePinned, TakeFile};

uint8_t *Lane::Share(napi_value result, const char *name, size_t size) {
  void *memory = nullptr;
  napi_value buffer;
  napi_ref reference;
  if (napi_create_arraybuffer(env, size, &memory, &buffer) != napi_ok ||
      napi_create_reference(env, buffer, 1, &reference) != napi_ok) {
    return nullptr;
  }
  shared.push_back(reference);
  if (napi_set_named_property(env, result, name, buffer) != napi_ok) return nullptr;
  return static_cast<uint8_t *>(memory);
}

bool Lane::Open(napi_value options, napi_value handlers, napi_value result) {
  wh_limits limits;
  int64_t busy_poll = Driver::kAdaptive;
  if (!ReadLimits(env, options, &limits)) return false;
  if (!ReadBusyPoll(env, options, &busy_poll)) return false;
  if (!ReadFunction(env, handlers, "onBatch", &on_batch) ||
      !ReadFunction(env, handlers, "onSlab", &on_slab) ||
      !ReadFunction(env, handlers, "onDrained", &on_drained)) {
    return false;
  }
  napi_value name;
  if (napi_create_reference(env, handlers, 1, &receiver) != napi_ok ||
      napi_create_string_utf8(env, "windhover", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, handlers, name, &context) != napi_ok) {
    return Throw(env, WH_ERR_NO_MEMORY, "cannot make the server's async context");
  }
  wh_memory memory = {};
  memory.arena_size = kArenaSize;
  memory.event_room = kEventRoom;
  memory.command_size = kCommandSize;
  memory.arena = Share(result, "arena", kArenaSize);
  memory.events = reinterpret_cast<uint32_t *>(
      Share(result, "events", kEventRoom * WH_EVENT_WORDS * sizeof(uint32_t)));
  memory.commands = Share(result, "commands", kCommandSize);
  memory.control =
      reinterpret_cast<uint32_t *>(Share(result, "control", WH_CONTROL_WORDS * sizeof(uint32_t)));
  control = memory.control;
  if (!SetLimits(env, result, limits)) return false;
  int error = wh_server_create(&memory, &limits, &HostTable::table, this, &server);
  if (error != WH_OK) return Throw(env, error, "cannot make the server");
  if (!ReadRefusals(env, options, server)) return false;
  uv_loop_s *loop;
  const bool watched = napi_get_uv_event_loop(env, &loop) == napi_ok &&
                       driver.Start(this, loop, wh_server_descriptor(server)) == 0;
  if (driver.Started()) Retain();
  if (!watched) return Throw(env, WH_ERR_SYSTEM, "cannot watch the server on this event loop");
  driver.SetBusyPoll(busy_poll);
  // Node waits, at the end of the environment, until the handles are closed.
  Retain();
  if (napi_add_async_cleanup_hook(
          env,
          [](napi_async_cleanup_hook_handle, void *data) { static_cast<Lane *>(data)->Close(); },
          this, &cleanup) != napi_ok) {
    cleanup = nullptr;
    Release();
    return Throw(env, WH_ERR_NO_MEMORY, "cannot register the server's clean-up");
  }
  return true;
}

void Lane::Close() {
  if (closing) return;
  closing = true;
  if (depth == 0) Free();
}

// Frees all but the lane itself. JavaScript may not run here.
void Lane::Free() {
  if (server != nullptr) {
    wh_server *gone = server;
    server = nullptr;
    wh_server_destroy(gone);
  }
  tls.Clear();
  control = nullptr;
  for (Slab &slab : slabs) {
    if (slab.buffer != nullptr) napi_delete_reference(env, slab.buffer);
  }
  slabs.clear();
  pins.Clear(); // of commands that nobody took
  files.Clear();
  for (napi_ref *reference : {&receiver, &on_batch, &on_slab, &on_drained}) {
    if (*reference != nullptr) napi_delete_reference(env, *reference);
    *reference = nullptr;
  }
  for (napi_ref reference : shared) napi_delete_reference(env, reference);
  shared.clear();
  if (context != nullptr) {
    napi_async_destroy(env, context);
    context = nullptr;
  }
  if (driver.Started())
    driver.Stop();
  else
    RemoveHook();
}

void Lane::RemoveHook() {
  if (cleanup == nullptr) return;
  napi_async_cleanup_hook_handle handle = cleanup;
  cleanup = nullptr;
  napi_remove_async_cleanup_hook(handle);
  Release();
}

void Lane::Stopped() {
  RemoveHook();
  Release();
}

int Lane::TakeTurn() {
  int requests = 0;
  Enter([this, &requests] { requests = wh_server_turn(server, 0); });
  return requests;
}

void Lane::Flush() {
  Enter([this] { wh_server_flush(server); });
}

void Lane::AfterTurn() {
  if (depth > 1 || closing || server == nullptr) return;
  driver.Schedule(wh_server_timeout(server));
  if (!freed_slabs.empty()) ForgetSlabs();
  if (!watch_drained || wh_server_connections(server) > 0 || wh_server_is_listening(server)) {
    return;
  }
  watch_drained = false;
  napi_value function, self;
  if (napi_get_reference_value(env, on_drained, &function) != napi_ok ||
      napi_get_reference_value(env, receiver, &self) != napi_ok) {
    return;
  }
  if (napi_make_callback(env, context, self, function, 0, nullptr, nullptr) != napi_ok) {
    RaiseUncaught(env);
  }
}

void Lane::Dispatch(uint32_t first, uint32_t count) {
  napi_value function, self, arguments[2];
  if (napi_get_reference_value(env, on_batch, &function) != napi_ok ||
      napi_get_reference_value(env, receiver, &self) != napi_ok ||
      napi_create_uint32(env, first, &arguments[0]) != napi_ok ||
      napi_create_uint32(env, count, &arguments[1]) != napi_ok) {
    return;
  }
  // With the callback's scope: microtasks and nextTicks run before it returns.
  if (napi_make_callback(env, context, self, function, 2, arguments, nullptr) != napi_ok) {
    RaiseUncaught(env);
  }
}

uint8_t *Lane::AllocateSlab(uint32_t number, size_t size, size_t slot_size) {
  void *memory = nullptr;
  napi_value buffer, function, self, arguments[3];
  napi_ref reference;
  if (napi_create_arraybuffer(env, size, &memory, &buffer) != napi_ok ||
      napi_create_reference(env, buffer, 1, &reference) != napi_ok) {
    return nullptr;
  }
  if (slabs.size() <= number) slabs.resize(number + 1);
  slabs[number] = {static_cast<uint8_t *>(memory), size, reference};
  arguments[1] = buffer;
  if (napi_get_reference_value(env, on_slab, &function) != napi_ok ||
      napi_get_reference_value(env, receiver, &self) != napi_ok ||
      napi_create_uint32(env, number, &arguments[0]) != napi_ok ||
      napi_create_uint32(env, static_cast<uint32_t>(slot_size), &arguments[2]) != napi_ok ||
      napi_call_function(env, self, function, 3, arguments, nullptr) != napi_ok) {
    FreeSlab(number);
    return nullptr;
  }
  return static_cast<uint8_t *>(memory);
}

void Lane::FreeSlab(uint32_t number) {
  if (number >= slabs.size() || slabs[number].buffer == nullptr) return;
  napi_delete_reference(env, slabs[number].buffer);
  slabs[number] = Slab();
  freed_slabs.push_back(number);
}

// Tells JavaScript, which holds the memory as well. Later than FreeSlab, where it may not run.
void Lane::ForgetSlabs() {
  std::vector<uint32_t> freed;
  freed.swap(freed_slabs);
  napi_value function, self, arguments[2];
  if (napi_get_reference_value(env, on_slab, &function) != napi_ok ||
      napi_get_reference_value(env, receiver, &self) != napi_ok ||
      napi_get_undefined(env, &arguments[1]) != napi_ok) {
    return;
  }
  for (uint32_t number : freed) {
    if (slabs[number].buffer != nullptr) continue; // it is another one by now
    if (napi_create_uint32(env, number, &arguments[0]) != napi_ok ||
        napi_call_function(env, self, function, 2, arguments, nullptr) != napi_ok) {
      return;
    }
  }
}
