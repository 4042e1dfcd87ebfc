// Strings that come again and again (header values, paths) as small numbers: the core's bytes are
// looked up in a table of fixed size, and JavaScript keeps a string for each place of the table. To make
// a string of 20 bytes costs about 50 ns, to find it here about 15.
#ifndef WH_BINDING_INTERNED_H
#define WH_BINDING_INTERNED_H

#include <cstdint>
#include <cstring>
#include <memory>

class Interned {
public:
  static constexpr uint32_t kPlaces = 1024;
  static constexpr size_t kLongest = 118;

  // The place of these bytes, if they are there. Else they take a place over and the result is
  // -1 - place: the caller has to make the string. INT32_MIN if they are too long, or no memory.
  int32_t Find(const uint8_t *bytes, size_t length) {
    if (length > kLongest) return INT32_MIN;
    if (!entries_) {
      entries_.reset(new (std::nothrow) Entry[kPlaces]());
      if (!entries_) return INT32_MIN;
    }
    uint64_t hash = Hash(bytes, length);
    uint32_t place = static_cast<uint32_t>(hash >> 32) & (kPlaces - 1);
    Entry &entry = entries_[place];
    if (entry.hash == hash && entry.length == length && memcmp(entry.bytes, bytes, length) == 0) {
      return static_cast<int32_t>(place);
    }
    entry.hash = hash;
    entry.length = static_cast<uint16_t>(length);
    memcpy(entry.bytes, bytes, length);
    return -1 - static_cast<int32_t>(place);
  }

private:
  struct Entry {
    uint64_t hash;
    uint16_t length;
    uint8_t bytes[kLongest];
  };

  // Speed is all that it is for: who makes collisions makes strings slower, nothing else.
  static uint64_t Hash(const uint8_t *bytes, size_t length) {
    uint64_t hash = 0x9E3779B97F4A7C15u ^ length;
    uint64_t word;
    for (; length >= 8; bytes += 8, length -= 8) {
      memcpy(&word, bytes, 8);
      hash = Mix(hash ^ word);
    }
    word = 0;
    memcpy(&word, bytes, length);
    return Mix(hash ^ word) | 1; // 0 is an empty place
  }
  static uint64_t Mix(uint64_t value) {
    value *= 0xD6E8FEB86659FD93u;
    return value ^ (value >> 32);
  }

  std::unique_ptr<Entry[]> entries_;
};

#endif
