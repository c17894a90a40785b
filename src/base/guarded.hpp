#pragma once
// What   Data and its mutex as one object: the data is only reached with the lock held.
// Why    A field that is guarded by a mutex beside it is forgotten sooner or later.
// Use    `{ auto state = guarded.lock(); state->field = 1; }`. Keep the scope short: no I/O, no
//        callback under it.
// Threads Safe for all.
// Source own design; the idea is userver's concurrent::Variable.

#include <condition_variable>
#include <mutex>
#include <utility>

namespace bennu {

template <class T>
class Guarded {
 public:
  /// The data with the lock held until this handle ends.
  class Handle {
   public:
    T* operator->() { return data_; }
    T& operator*() { return *data_; }
    /// For waiting on a std::condition_variable.
    std::unique_lock<std::mutex>& raw_lock() { return lock_; }

   private:
    friend class Guarded;
    Handle(std::mutex& mutex, T& data) : lock_(mutex), data_(&data) {}
    std::unique_lock<std::mutex> lock_;
    T* data_;
  };

  template <class... Args>
  explicit Guarded(Args&&... args) : data_(std::forward<Args>(args)...) {}

  [[nodiscard]] Handle lock() { return Handle(mutex_, data_); }

 private:
  std::mutex mutex_;
  T data_;
};

}  // namespace bennu
