// Work shared among threads. A kernel of TensorFlow's C interface is not told of TensorFlow's own threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>

// As many helpers as TensorFlow has threads for one operation, less the caller. Never destroyed: they sleep at exit.
class Pool {
 public:
  static Pool& Get() {
    static Pool* pool = new Pool;
    return *pool;
  }

  int64_t threads() const { return helpers_ + 1; }

  // Calls body(0) … body(count − 1), and throws the first of what they threw. When another operation has the helpers, the
  // caller does it all, and it never waits for a helper that has not yet woken.
  void For(int64_t count, const std::function<void(int64_t)>& body) {
    std::unique_lock<std::mutex> ours(busy_, std::defer_lock);
    if (count < 2 || helpers_ == 0 || !ours.try_lock()) {
      for (int64_t i = 0; i < count; i++) body(i);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      body_ = &body;
      count_ = count;
      next_ = 0;
      error_ = nullptr;
    }
    wake_.notify_all();
    Work(body, count);
    GiveWay([this] { return working_ == 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    body_ = nullptr;
    done_.wait(lock, [this] { return working_ == 0; });
    if (error_) std::rethrow_exception(error_);
  }

 private:
  Pool() {
    const char* given = std::getenv("TF_NUM_INTRAOP_THREADS");
    const int64_t asked = given ? std::atoll(given) : 0;
    const int64_t wanted = (asked > 0 ? asked : std::max<int64_t>(1, std::thread::hardware_concurrency())) - 1;
    try {
      for (; helpers_ < wanted; helpers_++) std::thread([this] { Help(); }).detach();
    } catch (const std::system_error&) {
      // The system gives no more threads: those there are do the work.
    }
  }

  // Waits a little for `ready`, and lets whoever has work run meanwhile: to sleep and be woken takes as long as a small
  // piece of work, and the next operation comes soon.
  template <typename Ready>
  static void GiveWay(Ready ready) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(100);
    while (!ready() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  }

  void Help() {
    const auto ready = [this] { return body_ && next_ < count_; };
    for (;;) {
      GiveWay(ready);
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, ready);
      working_++;
      const std::function<void(int64_t)>* body = body_;
      const int64_t count = count_;
      lock.unlock();
      Work(*body, count);
      lock.lock();
      if (--working_ == 0) done_.notify_one();
    }
  }

  void Work(const std::function<void(int64_t)>& body, int64_t count) {
    try {
      for (int64_t i = next_++; i < count; i = next_++) body(i);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  std::mutex busy_, mutex_;
  std::condition_variable wake_, done_;
  std::atomic<const std::function<void(int64_t)>*> body_{nullptr};
  std::atomic<int64_t> next_{0}, count_{0}, working_{0};
  std::exception_ptr error_;
  int64_t helpers_ = 0;
};
