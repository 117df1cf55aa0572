// Memory for the work of operations. The system's fresh pages cost as much as the work on them, so it is kept.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

// Numbers, from the beginning of a cache line on.
class Floats {
 public:
  Floats() = default;
  explicit Floats(int64_t count) : size_(count) {
    memory_.reset(static_cast<float*>(std::aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64)));
    if (!memory_) throw std::bad_alloc();
  }

  float* data() const { return memory_.get(); }
  int64_t size() const { return size_; }

  // What it holds is lost.
  void Reserve(int64_t count) {
    if (size_ >= count) return;
    *this = Floats();
    *this = Floats(count);
  }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float[], Free> memory_;
  int64_t size_ = 0;
};

// Memory for one call, of what earlier calls left. As many pieces are kept as were in use at once.
class Borrowed {
 public:
  explicit Borrowed(int64_t count) {
    // The smallest that is large enough, else the largest, which is replaced.
    const auto excess = [count](const Floats& piece) {
      return piece.size() >= count ? piece.size() - count : INT64_MAX - piece.size();
    };
    {
      std::lock_guard<std::mutex> lock(shelf().mutex);
      auto& left = shelf().left;
      const auto best = std::min_element(
          left.begin(), left.end(), [&](const Floats& a, const Floats& b) { return excess(a) < excess(b); });
      if (best != left.end()) {
        floats_ = std::move(*best);
        left.erase(best);
      }
    }
    floats_.Reserve(count);
  }

  ~Borrowed() {
    try {
      std::lock_guard<std::mutex> lock(shelf().mutex);
      shelf().left.push_back(std::move(floats_));
    } catch (const std::bad_alloc&) {
      // Then it is freed.
    }
  }

  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  float* data() const { return floats_.data(); }

 private:
  struct Shelf {
    std::mutex mutex;
    std::vector<Floats> left;
  };
  // Never destroyed: threads may still run at exit.
  static Shelf& shelf() {
    static Shelf* shelf = new Shelf;
    return *shelf;
  }

  Floats floats_;
};
