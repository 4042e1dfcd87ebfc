// Files on their way from JavaScript to the core: descriptors of our own, which nobody else closes.
#ifndef WH_BINDING_FILES_H
#define WH_BINDING_FILES_H

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

class Files {
public:
  Files() = default;
  Files(const Files &) = delete;
  Files &operator=(const Files &) = delete;
  ~Files() { Clear(); }

  // Duplicates a descriptor. The number under which the core can take the duplicate, once; -1 and errno.
  int64_t Add(int descriptor) {
    const int own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (own < 0) return -1;
    if (!free_.empty()) {
      const uint32_t id = free_.back();
      free_.pop_back();
      descriptors_[id] = own;
      return id;
    }
    descriptors_.push_back(own);
    return static_cast<int64_t>(descriptors_.size()) - 1;
  }

  // The descriptor, which is the caller's from now on; -1 where there is none.
  int Take(uint32_t id) {
    if (id >= descriptors_.size() || descriptors_[id] < 0) return -1;
    const int own = descriptors_[id];
    descriptors_[id] = -1;
    free_.push_back(id);
    return own;
  }

  // Closes those that nobody took.
  void Clear() {
    for (const int own : descriptors_) {
      if (own >= 0) close(own);
    }
    descriptors_.clear();
    free_.clear();
  }

private:
  std::vector<int> descriptors_; // -1 = free
  std::vector<uint32_t> free_;
};

#endif
