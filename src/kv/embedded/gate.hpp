#pragma once
// What   A gate that opens once: many wait, one opens.
// Why    std::atomic::wait yields the processor several times before it sleeps; with a hundred
//        writers on two cores those switches cost more than the write.
// Use    `open` once; `wait` returns at once afterwards.
// Threads Safe for all. What happened before open() is seen after wait().
// Source futex(2).

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

namespace bennu::kv::embedded {

class Gate {
 public:
  void wait() const {
    while (open_.load(std::memory_order_acquire) == 0) {
      // Returns at once if it was opened meanwhile; a wake-up for nothing only asks again.
      (void)::syscall(SYS_futex, &open_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    }
  }
  void open() {
    open_.store(1, std::memory_order_release);
    (void)::syscall(SYS_futex, &open_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  }

 private:
  std::atomic<std::uint32_t> open_{0};
  static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
};

}  // namespace bennu::kv::embedded
