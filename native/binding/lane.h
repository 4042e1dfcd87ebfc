/*
 * A lane: one wh_server of the core, its shared memory, and the JavaScript functions that drive it.
 *
 * A lane lives as long as one of three things needs it: the functions that JavaScript holds, the
 * driver's handles on Node's loop, the environment's clean-up hook. Closing it frees the server at
 * once (or at the end of the turn that is running); what JavaScript calls after that throws
 * WH_ERR_CLOSED.
 *
 * One thread: that of its environment.
 */
#ifndef WH_BINDING_LANE_H
#define WH_BINDING_LANE_H

#include <node_api.h>
#include <uv.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "binding/driver.h"
#include "binding/files.h"
#include "binding/interned.h"
#include "binding/pins.h"
#include "binding/tls_settings.h"

extern "C" {
#include "windhover.h"
}

struct Slab {
  uint8_t *memory = nullptr;
  size_t size = 0;
  napi_ref buffer = nullptr;
};

class Lane final : public Driven {
public:
  explicit Lane(napi_env env) : env(env), pins(env) {}

  // Makes the server and its memory. On failure a JavaScript exception is pending.
  bool Open(napi_value options, napi_value handlers, napi_value result);
  // Ends the server, now or at the end of the running turn. Idempotent.
  void Close();

  // Runs `turn` with what every entry from Node's loop needs.
  template <typename Function> void Enter(Function turn) {
    if (server == nullptr) return;
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return;
    depth++;
    turn();
    AfterTurn();
    depth--;
    if (depth == 0 && closing) Free();
    napi_close_handle_scope(env, scope);
  }
  int TakeTurn() override;
  void Flush() override;
  void Stopped() override;
  bool HasCommands() const override {
    return control != nullptr && control[WH_CONTROL_COMMAND_LENGTH] != 0;
  }

  void Retain() { references++; }
  void Release() {
    if (--references == 0) delete this;
  }

  napi_env env;
  wh_server *server = nullptr;
  Pins pins;
  Files files;
  Interned interned;
  std::vector<Slab> slabs;
  TlsOfEndpoints tls;
  uint32_t endpoints = 0; // listened on
  uint32_t *control = nullptr;
  bool watch_drained = false; // call onDrained once there are no connections
  Driver driver;

private:
  friend struct HostTable;
  void AfterTurn();
  void Free();
  void RemoveHook();
  void Dispatch(uint32_t first, uint32_t count);
  uint8_t *AllocateSlab(uint32_t number, size_t size, size_t slot_size);
  void FreeSlab(uint32_t number);
  void ForgetSlabs();
  uint8_t *Share(napi_value result, const char *name, size_t size);

  napi_async_context context = nullptr;
  napi_ref receiver = nullptr; // the object with onBatch, onSlab, onDrained
  napi_ref on_batch = nullptr, on_slab = nullptr, on_drained = nullptr;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  std::vector<napi_ref> shared;
  std::vector<uint32_t> freed_slabs; // JavaScript does not know yet
  int references = 1;
  int depth = 0;
  bool closing = false;
};

#endif
