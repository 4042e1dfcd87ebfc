// Buffers of JavaScript that are sent in place: held until the core has sent them, and located anew
// before each send, because JavaScript may have transferred or shrunk them meanwhile.
#ifndef WH_BINDING_PINS_H
#define WH_BINDING_PINS_H

#include <node_api.h>

#include <cstdint>
#include <vector>

class Pins {
public:
  explicit Pins(napi_env env) : env_(env) {}

  // The number under which the core knows the typed array; -1 if Node has no memory for a reference.
  int64_t Add(napi_value typed_array) {
    napi_ref reference;
    if (napi_create_reference(env_, typed_array, 1, &reference) != napi_ok) return -1;
    if (!free_.empty()) {
      uint32_t id = free_.back();
      free_.pop_back();
      references_[id] = reference;
      return id;
    }
    references_.push_back(reference);
    return static_cast<int64_t>(references_.size()) - 1;
  }

  // Where the bytes stand now. False if they are gone.
  bool Locate(uint32_t id, const uint8_t **data, size_t *length) const {
    if (id >= references_.size() || references_[id] == nullptr) return false;
    napi_value array;
    void *bytes = nullptr;
    napi_typedarray_type type;
    if (napi_get_reference_value(env_, references_[id], &array) != napi_ok || array == nullptr) {
      return false;
    }
    if (napi_get_typedarray_info(env_, array, &type, length, &bytes, nullptr, nullptr) != napi_ok) {
      return false;
    }
    *data = static_cast<const uint8_t *>(bytes);
    return bytes != nullptr && type == napi_uint8_array;
  }

  void Remove(uint32_t id) {
    if (id >= references_.size() || references_[id] == nullptr) return;
    napi_delete_reference(env_, references_[id]);
    references_[id] = nullptr;
    free_.push_back(id);
  }

  // Lets go of all of them.
  void Clear() {
    for (napi_ref reference : references_) {
      if (reference != nullptr) napi_delete_reference(env_, reference);
    }
    references_.clear();
    free_.clear();
  }

  size_t Count() const { return references_.size() - free_.size(); }

private:
  napi_env env_;
  std::vector<napi_ref> references_;
  std::vector<uint32_t> free_;
};

#endif
