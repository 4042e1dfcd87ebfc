#include "binding/driver.h"

namespace {
constexpr uint64_t kBudget = 50000;      // ns to look for the next request, by default
constexpr uint64_t kEntryGap = 200000;   // ns: a gap that includes falling asleep and waking up
constexpr uint64_t kSlice = 10000;       // ns of looking before Node's loop has its turn
constexpr uint32_t kSmallBatch = 3 * 16; // requests per turn * 16: above, looking does not pay
constexpr uint32_t kPenaltyMost = 1024;  // turns
} // namespace

int Driver::Start(Driven *driven, uv_loop_t *loop, int descriptor) {
  driven_ = driven;
  int error = uv_poll_init(loop, &poll_, descriptor);
  if (error != 0) return error;
  // None of these four can fail.
  uv_timer_init(loop, &timer_);
  uv_prepare_init(loop, &prepare_);
  uv_check_init(loop, &check_);
  uv_idle_init(loop, &idle_);
  uv_handle_t *handles[] = {
      reinterpret_cast<uv_handle_t *>(&poll_), reinterpret_cast<uv_handle_t *>(&timer_),
      reinterpret_cast<uv_handle_t *>(&prepare_), reinterpret_cast<uv_handle_t *>(&check_),
      reinterpret_cast<uv_handle_t *>(&idle_)};
  for (uv_handle_t *handle : handles) {
    handle->data = this;
    handles_++;
  }
  started_ = true;
  error = uv_poll_start(&poll_, UV_READABLE, OnReadable);
  if (error != 0) return error;
  uv_prepare_start(&prepare_, OnPrepare);
  uv_check_start(&check_, OnCheck);
  for (int i = 1; i < 5; i++) uv_unref(handles[i]);
  return 0;
}

void Driver::Stop() {
  if (!started_) return;
  started_ = false;
  uv_close(reinterpret_cast<uv_handle_t *>(&poll_), OnClosed);
  uv_close(reinterpret_cast<uv_handle_t *>(&timer_), OnClosed);
  uv_close(reinterpret_cast<uv_handle_t *>(&prepare_), OnClosed);
  uv_close(reinterpret_cast<uv_handle_t *>(&check_), OnClosed);
  uv_close(reinterpret_cast<uv_handle_t *>(&idle_), OnClosed);
}

void Driver::OnClosed(uv_handle_t *handle) {
  Driver *driver = static_cast<Driver *>(handle->data);
  if (--driver->handles_ == 0) driver->driven_->Stopped();
}

void Driver::Reference(bool on) {
  if (!started_) return;
  if (on)
    uv_ref(reinterpret_cast<uv_handle_t *>(&poll_));
  else
    uv_unref(reinterpret_cast<uv_handle_t *>(&poll_));
}

void Driver::Turn() {
  const int requests = driven_->TakeTurn();
  if (requests > 0) Traffic(requests);
}

void Driver::OnReadable(uv_poll_t *handle, int, int) {
  static_cast<Driver *>(handle->data)->Turn();
}

void Driver::OnTimer(uv_timer_t *handle) {
  Driver *driver = static_cast<Driver *>(handle->data);
  driver->timer_due_ = 0;
  driver->Turn();
}

void Driver::OnPrepare(uv_prepare_t *handle) {
  Driver *driver = static_cast<Driver *>(handle->data);
  if (driver->driven_->HasCommands()) driver->driven_->Flush();
}

void Driver::OnCheck(uv_check_t *handle) {
  Driver *driver = static_cast<Driver *>(handle->data);
  if (driver->driven_->HasCommands()) driver->driven_->Flush();
}

void Driver::StartIdle() {
  if (idling_ || !started_) return;
  idling_ = true;
  uv_idle_start(&idle_, OnIdle);
}

void Driver::OnIdle(uv_idle_t *handle) { static_cast<Driver *>(handle->data)->Look(); }

// One slice of looking for the next request.
void Driver::Look() {
  uint64_t now = uv_hrtime();
  const uint64_t slice_end = now + kSlice;
  again_ = false;
  do {
    const uint64_t traffic = last_traffic_;
    Turn();
    if (!started_ || again_) return;
    now = uv_hrtime();
    if (last_traffic_ != traffic) penalty_ = 1; // it paid
    if (!looking_ || now >= look_until_) {
      if (looking_ && last_traffic_ == traffic && busy_poll_ == kAdaptive) {
        put_off_ = penalty_;
        if (penalty_ < kPenaltyMost) penalty_ *= 2;
      }
      looking_ = false;
      idling_ = false;
      uv_idle_stop(&idle_);
      return;
    }
  } while (now < slice_end);
}

void Driver::Traffic(int requests) {
  const uint64_t now = uv_hrtime();
  const uint64_t gap = now - last_traffic_;
  last_traffic_ = now;
  if (busy_poll_ == 0) return;
  const uint32_t size = static_cast<uint32_t>(requests > 1024 ? 1024 : requests) * 16;
  batch_ = (batch_ * 7 + size) / 8;
  gap_ = (gap_ * 3 + (gap > 8 * kBudget ? 8 * kBudget : gap)) / 4;
  if (busy_poll_ == kAdaptive) {
    if (gap_ > kEntryGap * 3 / 2)
      trial_.Interrupt();
    else
      trial_.Count(requests);
    if (put_off_ > 0) {
      put_off_--;
      return;
    }
    if (!trial_.Polls() || batch_ > kSmallBatch || gap_ > kEntryGap) {
      looking_ = false;
      return;
    }
    look_until_ = now + kBudget;
  } else {
    look_until_ = now + static_cast<uint64_t>(busy_poll_) * 1000;
  }
  looking_ = true;
  StartIdle();
}

void Driver::Schedule(int timeout_ms) {
  if (!started_) return;
  if (timeout_ms == 0) {
    // More is there than one turn may do: Node's other handles first, then on without sleeping.
    again_ = true;
    StartIdle();
    return;
  }
  if (timeout_ms < 0) return;
  const uint64_t due = uv_now(timer_.loop) + static_cast<uint64_t>(timeout_ms);
  // Deadlines mostly move away: a timer that comes too early just looks again.
  if (timer_due_ != 0 && timer_due_ <= due) return;
  timer_due_ = due;
  uv_timer_start(&timer_, OnTimer, static_cast<uint64_t>(timeout_ms), 0);
}
