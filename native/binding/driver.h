// Drives a lane on Node's own loop: no thread, the lowest latency.
//
// Node's loop watches the core's descriptor (uv_poll_t). What JavaScript orders outside a batch is
// taken once per iteration, before the loop sleeps (uv_prepare_t) or after it served others
// (uv_check_t), without a call from JavaScript.
//
// Busy-polling. To put a thread to sleep and wake it costs as much as 40 µs of looking for the next
// request. So after a turn with traffic an idle handle keeps Node's loop from sleeping, as long as
// the recent past says that the next request comes within the budget, batches are small (many
// connections keep the thread busy anyway), and trials show that it pays (poll_trial.h). A look that found nothing stops it, and puts off the next
// attempt, twice as long each time it fails again: a server without traffic takes no CPU.
#ifndef WH_BINDING_DRIVER_H
#define WH_BINDING_DRIVER_H

#include "binding/poll_trial.h"

#include <uv.h>

#include <cstdint>

// What is driven. Implemented by the lane.
class Driven {
public:
  // Takes a turn without waiting. The number of requests that came.
  virtual int TakeTurn() = 0;
  // Takes what JavaScript has ordered.
  virtual void Flush() = 0;
  virtual bool HasCommands() const = 0;
  // The driver's handles are closed; the driver may go.
  virtual void Stopped() = 0;

protected:
  ~Driven() = default;
};

class Driver {
public:
  static constexpr int64_t kAdaptive = -1;

  // Starts watching. 0, or an error of libuv; then Stop is needed if Started().
  int Start(Driven *driven, uv_loop_t *loop, int descriptor);
  // Closes the handles, and tells the driven when they are closed. Idempotent.
  void Stop();
  bool Started() const { return started_; }
  // Whether the loop stays alive for the server.
  void Reference(bool on);
  // kAdaptive, 0 = never, else microseconds to poll after each turn with traffic.
  void SetBusyPoll(int64_t microseconds) { busy_poll_ = microseconds; }
  // After a turn: sees to it that the next one comes in time.
  void Schedule(int timeout_ms);

private:
  static void OnReadable(uv_poll_t *handle, int status, int events);
  static void OnTimer(uv_timer_t *handle);
  static void OnPrepare(uv_prepare_t *handle);
  static void OnCheck(uv_check_t *handle);
  static void OnIdle(uv_idle_t *handle);
  static void OnClosed(uv_handle_t *handle);
  void Turn();
  // A turn served so many requests.
  void Traffic(int requests);
  void Look();
  void StartIdle();

  Driven *driven_ = nullptr;
  uv_poll_t poll_;
  uv_timer_t timer_;
  uv_prepare_t prepare_;
  uv_check_t check_;
  uv_idle_t idle_;
  int handles_ = 0;
  bool started_ = false;
  bool idling_ = false;    // the idle handle keeps Node's loop from sleeping
  bool looking_ = false;   // ... because traffic is expected
  uint64_t timer_due_ = 0; // ms of the loop; 0 = not set
  bool again_ = false;     // the server has more to do at once
  int64_t busy_poll_ = kAdaptive;
  uint64_t last_traffic_ = 0; // ns
  uint64_t look_until_ = 0;   // ns; of looking_
  uint64_t gap_ = 1000000;    // ns, between turns with traffic, smoothed
  uint32_t batch_ = 0;        // requests per turn * 16, smoothed
  uint32_t put_off_ = 0;      // turns to let pass before looking again
  uint32_t penalty_ = 1;
  PollTrial trial_;
};

#endif
