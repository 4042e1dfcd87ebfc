// Whether busy-polling pays, found out by trying.
//
// A lone client costs less CPU when the thread looks for its next request than when it sleeps. Many
// clients that come one after the other cost more: looking takes their requests in ones and twos,
// sleeping gathers them. Which it is depends on the machine, the clients and the application, so it
// is measured: for some windows of requests the thread polls, for as many it does not, and the way
// that took less CPU time a request is kept, longer each time it is found the same.
#ifndef WH_BINDING_POLL_TRIAL_H
#define WH_BINDING_POLL_TRIAL_H

#include <algorithm>
#include <cstdint>
#include <ctime>

class PollTrial {
public:
  // Whether the thread should poll now.
  bool Polls() const { return polls_; }

  // A turn of the calling thread served so many requests.
  void Count(int requests) {
    if (requests_ == 0) started_ = CpuTime();
    requests_ += requests;
    if (requests_ < kWindow) return;
    const uint64_t cost = (CpuTime() - started_) / static_cast<uint64_t>(requests_);
    requests_ = 0;
    Ended(cost);
  }

  // Requests have become so rare that what was counted says nothing.
  void Interrupt() { requests_ = 0; }

private:
  static constexpr int kWindow = 256; // requests
  static constexpr int kWindows = 8;  // of a trial; half of them without polling
  static constexpr int kKeepFirst = 16, kKeepMost = 2048; // windows between two trials

  static uint64_t CpuTime() {
    timespec time;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return 0;
    return static_cast<uint64_t>(time.tv_sec) * 1000000000U + static_cast<uint64_t>(time.tv_nsec);
  }

  // A window is over. The cheapest of each kind count: what disturbs a window makes it dearer only.
  void Ended(uint64_t cost) {
    if (keep_ > 0) {
      if (--keep_ > 0) return;
      window_ = 0;
      cheapest_[0] = cheapest_[1] = UINT64_MAX;
      polls_ = true;
      return;
    }
    cheapest_[polls_] = std::min(cheapest_[polls_], cost);
    if (++window_ < kWindows) {
      polls_ = !polls_;
      return;
    }
    const bool pays = cheapest_[1] <= cheapest_[0];
    kept_ = pays == paid_ ? std::min(kept_ * 2, kKeepMost) : kKeepFirst;
    paid_ = polls_ = pays;
    keep_ = kept_;
  }

  bool polls_ = true;
  bool paid_ = true;
  int window_ = 0;
  int keep_ = 0; // windows to go until the next trial
  int kept_ = kKeepFirst / 2;
  int requests_ = 0;
  uint64_t started_ = 0;                            // CPU time of the thread, ns
  uint64_t cheapest_[2] = {UINT64_MAX, UINT64_MAX}; // ns per request: without polling, with
};

#endif
