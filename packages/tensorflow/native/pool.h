// Work shared among threads. A kernel of TensorFlow's C interface is not told of TensorFlow's own threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>

// As many helpers as TensorFlow has threads for one operation, less the caller. Never destroyed: they sleep at exit.
class Pool {
 public:
  static Pool& Get() {
    static Pool* pool = new Pool;
    return *pool;
  }

  int64_t threads() const { return helpers_ + 1; }

  // Calls body(0) … body(count − 1). When another operation has the helpers, the caller does it all, and it never waits
  // for a helper that has not yet woken.
  void For(int64_t count, const std::function<void(int64_t)>& body) {
    if (count < 2 || helpers_ == 0 || !busy_.try_lock()) {
      for (int64_t i = 0; i < count; i++) body(i);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      body_ = &body;
      count_ = count;
      next_ = 0;
    }
    wake_.notify_all();
    Work(body, count);
    {
      std::unique_lock<std::mutex> lock(mutex_);
      body_ = nullptr;
      done_.wait(lock, [this] { return working_ == 0; });
    }
    busy_.unlock();
  }

 private:
  Pool() {
    const char* given = std::getenv("TF_NUM_INTRAOP_THREADS");
    const int64_t asked = given ? std::atoll(given) : 0;
    helpers_ = (asked > 0 ? asked : std::max<int64_t>(1, std::thread::hardware_concurrency())) - 1;
    for (int64_t i = 0; i < helpers_; i++) std::thread([this] { Help(); }).detach();
  }

  void Help() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return body_ && next_ < count_; });
      working_++;
      const auto* body = body_;
      const int64_t count = count_;
      lock.unlock();
      Work(*body, count);
      lock.lock();
      if (--working_ == 0) done_.notify_one();
    }
  }

  void Work(const std::function<void(int64_t)>& body, int64_t count) {
    for (int64_t i = next_++; i < count; i = next_++) body(i);
  }

  std::mutex busy_, mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int64_t)>* body_ = nullptr;
  std::atomic<int64_t> next_{0};
  int64_t helpers_ = 0, count_ = 0, working_ = 0;
};
