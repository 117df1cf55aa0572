// Multi-head self-attention and its gradient, float32, without the table of all scores: a block of queries stays in the cache.
//
//   y = P V,  P = softmax(Q Kᵀ/√d) for each head; qkv is [n, t, 3 · heads · d], y and dy are [n, t, heads · d].
//
// The gradient makes P again, which costs less than to keep it:
//
//   dV = Pᵀ dY,  dS = P (dP − ⟨P dP⟩)/√d with dP = dY Vᵀ and ⟨·⟩ the sum over a row,  dQ = dS K,  dK = dSᵀ Q.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>

#include "memory.h"
#include "pool.h"
#include "product.h"
#include "simd.h"

// A block of queries: at most so many, of so many scores, which stay in the cache.
constexpr int64_t kQueries = 64, kScores = 1 << 17;
// The gradient has so many blocks a head if that makes them no smaller than kQueries and no larger than kLargest. Each has
// sums of its own, added in order. Sizes alone decide, so no bit depends on the threads.
constexpr int64_t kBlocks = 16, kLargest = 256;

constexpr int64_t Whole(int64_t count) { return (count + kUnit - 1) / kUnit * kUnit; }

struct Heads {
  int64_t samples, tokens, heads, each;  // `each` is d
  int64_t channels() const { return heads * each; }
  int64_t pairs() const { return samples * heads; }
  // Floats from one row of scores to the next, of which the tokens' come first; not a power of two, for the cache.
  int64_t row() const { return Whole(tokens) + kUnit; }
  int64_t width() const { return Whole(each); }
  float scale() const { return 1 / std::sqrt(float(each)); }
  // What costs less than waking a thread stays on this one.
  bool small() const { return double(pairs()) * tokens * tokens * each < (1 << 17); }
};

inline void ForAll(const Heads& s, int64_t count, const std::function<void(int64_t)>& body) {
  if (s.small())
    for (int64_t i = 0; i < count; i++) body(i);
  else
    Pool::Get().For(count, body);
}

// A matrix of tokens × d, or some of its rows.
template <typename Float>
struct Tokens {
  Float* values;
  int64_t row;  // floats from one token to the next
  Tokens From(int64_t first) const { return {values + first * row, row}; }
};
using Given = Tokens<const float>;
using Made = Tokens<float>;

// Of (sample, head) number `pair`: `parts` is 3 for qkv, whose q, k and v are parts 0, 1 and 2, and 1 for y.
template <typename Float>
Tokens<Float> PartOf(const Heads& s, Float* values, int64_t parts, int64_t part, int64_t pair) {
  const int64_t row = parts * s.channels(), sample = pair / s.heads, head = pair % s.heads;
  return {values + sample * s.tokens * row + part * s.channels() + head * s.each, row};
}

inline void Copy(const Given& from, int64_t rows, int64_t columns, const Made& to, int64_t width) {
  for (int64_t i = 0; i < rows; i++) {
    float* end = std::copy_n(from.values + i * from.row, columns, to.values + i * to.row);
    std::fill_n(end, width - columns, 0.f);  // products read them too
  }
}

// Its columns in whole units, in `room` (rows × width) unless they are so already.
inline Given Padded(const Heads& s, const Given& from, int64_t rows, float* room) {
  if (s.each == s.width()) return from;
  Copy(from, rows, s.each, {room, s.width()}, s.width());
  return {room, s.width()};
}

inline Vec Low(Vec a, Vec b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
inline Vec High(Vec a, Vec b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

// to [d, tokens] = factor · fromᵀ, with zeros up to whole units of tokens.
inline void Transpose(const Heads& s, const Given& from, float factor, float* to) {
  for (int64_t i = 0; i < s.tokens; i += kWidth)
    for (int64_t c = 0; c < s.each; c += kWidth) {
      const int64_t rows = std::min(kWidth, s.tokens - i), columns = std::min(kWidth, s.each - c);
      Vec square[kWidth]{};
      for (int64_t r = 0; r < rows; r++) square[r] = factor * Load(from.values + (i + r) * from.row + c, columns);
      // Four times the halves are dealt like cards.
      for (int pass = 0; pass < 4; pass++) {
        Vec dealt[kWidth];
        for (int r = 0; r < 8; r++) {
          dealt[2 * r] = Low(square[r], square[r + 8]);
          dealt[2 * r + 1] = High(square[r], square[r + 8]);
        }
        std::copy_n(dealt, kWidth, square);
      }
      for (int64_t r = 0; r < columns; r++) Store(to + (c + r) * s.row() + i, square[r], kWidth);
    }
}

// `rows` rows of c (+)= a b, where c has a multiple of 16 columns.
inline void Multiply(Factors f, int64_t rows, int64_t columns) {
  const Factors all = f;
  ForPanels(columns / kUnit, [&](int64_t first, int64_t units) {
    f.b = all.b + first * kUnit;
    f.c = all.c + first * kUnit;
    Panel(f, rows, units);
  });
}

inline float Total(Vec v) {
  float sum = 0;
  for (int64_t l = 0; l < kWidth; l++) sum += v[l];
  return sum;
}

// Each row of scores becomes its softmax, with zeros up to whole units.
inline void Softmax(const Heads& s, int64_t rows, float* scores) {
  const int64_t end = Whole(s.tokens);
  for (int64_t i = 0; i < rows; i++) {
    float* row = scores + i * s.row();
    std::fill(row + s.tokens, row + end, -INFINITY);
    Vec most = Load(row, kWidth), sum{};
    for (int64_t j = kWidth; j < end; j += kWidth) {
      const Vec v = Load(row + j, kWidth);
      most = v > most ? v : most;
    }
    float top = -INFINITY;
    for (int64_t l = 0; l < kWidth; l++) top = std::max(top, most[l]);
    for (int64_t j = 0; j < end; j += kWidth) {
      const Vec v = Load(row + j, kWidth) - top;
      // Exp has no smaller values than e^−87.
      const Vec e = v < All(-87.f) ? Vec{} : Exp(v);
      sum += e;
      Store(row + j, e, kWidth);
    }
    const float share = 1 / Total(sum);
    for (int64_t j = 0; j < end; j += kWidth) Store(row + j, Load(row + j, kWidth) * share, kWidth);
  }
}

// Each row of dP becomes dS = P (dP − ⟨P dP⟩) · scale.
inline void SoftmaxGradient(const Heads& s, int64_t rows, const float* p, float* dp) {
  const int64_t end = Whole(s.tokens);
  for (int64_t i = 0; i < rows; i++, p += s.row(), dp += s.row()) {
    Vec sum{};
    for (int64_t j = 0; j < end; j += kWidth) sum += Load(p + j, kWidth) * Load(dp + j, kWidth);
    const float mean = Total(sum), scale = s.scale();
    for (int64_t j = 0; j < end; j += kWidth)
      Store(dp + j, Load(p + j, kWidth) * (Load(dp + j, kWidth) - mean) * scale, kWidth);
  }
}

// Rows of a product that has d columns: rows of `to`, by way of `room` where d is not in whole units.
inline void MultiplyTo(const Heads& s, Factors f, int64_t rows, const Made& to, float* room) {
  const bool whole = s.each == s.width();
  f.c = whole ? to.values : room;
  f.c_row = whole ? to.row : s.width();
  Multiply(f, rows, s.width());
  if (!whole) Copy({room, s.width()}, rows, s.each, to, s.each);
}

// The queries [from, to) of a pair.
inline void Attend(const Heads& s, int64_t pair, int64_t from, int64_t to, const float* qkv, float* y) {
  const Given q = PartOf(s, qkv, 3, 0, pair), k = PartOf(s, qkv, 3, 1, pair);
  const int64_t most = std::clamp<int64_t>(kScores / s.row(), 8, kQueries);
  const Borrowed room((s.each + most) * s.row() + (s.tokens + most) * s.width());
  float *keys = room.data(), *scores = keys + s.each * s.row();
  float *made = scores + most * s.row(), *copy = made + most * s.width();
  Transpose(s, k, s.scale(), keys);
  const Given v = Padded(s, PartOf(s, qkv, 3, 2, pair), s.tokens, copy);
  for (int64_t i = from; i < to; i += most) {
    const int64_t rows = std::min(most, to - i);
    Multiply({q.From(i).values, q.row, 1, keys, s.row(), scores, s.row(), s.each, false}, rows, Whole(s.tokens));
    Softmax(s, rows, scores);
    MultiplyTo(s, {scores, s.row(), 1, v.values, v.row, nullptr, 0, s.tokens, false}, rows,
               PartOf(s, y, 1, 0, pair).From(i), made);
  }
}

// All queries.
inline void Attend(const Heads& s, const float* qkv, float* y) {
  const int64_t share = (Pool::Get().threads() + s.pairs() - 1) / s.pairs();
  const int64_t parts = s.small() ? 1 : std::min(share, (s.tokens + 7) / 8);
  ForAll(s, s.pairs() * parts, [&](int64_t i) {
    const int64_t part = i % parts;
    Attend(s, i / parts, part * s.tokens / parts, (part + 1) * s.tokens / parts, qkv, y);
  });
}

// The gradient of a pair by its blocks of queries. Memory: Kᵀ, Vᵀ, P and dS of a block, what must be padded, and the sums
// dK and dV [t, width] of the blocks so far.
class AttentionGradient {
 public:
  AttentionGradient(const Heads& s, const float* qkv, const float* dy, float* dqkv)
      : s_(s),
        qkv_(qkv),
        dy_(dy),
        dqkv_(dqkv),
        queries_(std::clamp((s.tokens + kBlocks - 1) / kBlocks, kQueries, kLargest)) {}

  void Run() const {
    const int64_t blocks = (s_.tokens + queries_ - 1) / queries_, sums = 2 * s_.tokens * s_.width();
    if (s_.small() || s_.pairs() >= Pool::Get().threads() || blocks > kBlocks)
      return ForAll(s_, s_.pairs(), [&](int64_t pair) {
        const Borrowed room(Room() + sums);
        float* own = room.data() + Room();
        Blocks(pair, 0, blocks, room.data(), own);
        Finish(pair, own, 1);
      });
    const Borrowed apart(s_.pairs() * blocks * sums);
    ForAll(s_, s_.pairs() * blocks, [&](int64_t i) {
      const Borrowed room(Room());
      Blocks(i / blocks, i % blocks, i % blocks + 1, room.data(), apart.data() + i * sums);
    });
    for (int64_t pair = 0; pair < s_.pairs(); pair++) Finish(pair, apart.data() + pair * blocks * sums, blocks);
  }

 private:
  int64_t Room() const { return 2 * (s_.each + queries_) * s_.row() + (s_.tokens + 3 * queries_) * s_.width(); }

  void Blocks(int64_t pair, int64_t first, int64_t last, float* room, float* sums) const {
    const Given q = PartOf(s_, qkv_, 3, 0, pair), dy = PartOf(s_, dy_, 1, 0, pair);
    const Made dq = PartOf(s_, dqkv_, 3, 0, pair);
    const int64_t row = s_.row(), width = s_.width(), tokens = Whole(s_.tokens);
    float *keys = room, *values = keys + s_.each * row, *p = values + s_.each * row, *dp = p + queries_ * row;
    float *copy = dp + queries_ * row, *made = copy + s_.tokens * width;
    float *queries = made + queries_ * width, *slopes = queries + queries_ * width;
    float *dk = sums, *dv = sums + s_.tokens * width;
    const Given k = PartOf(s_, qkv_, 3, 1, pair);
    Transpose(s_, k, s_.scale(), keys);
    Transpose(s_, PartOf(s_, qkv_, 3, 2, pair), 1, values);
    const Given whole = Padded(s_, k, s_.tokens, copy);
    for (int64_t block = first; block < last; block++) {
      const int64_t i = block * queries_, rows = std::min(queries_, s_.tokens - i);
      const Given qi = q.From(i), di = dy.From(i);
      Multiply({qi.values, qi.row, 1, keys, row, p, row, s_.each, false}, rows, tokens);
      Softmax(s_, rows, p);
      Multiply({di.values, di.row, 1, values, row, dp, row, s_.each, false}, rows, tokens);
      SoftmaxGradient(s_, rows, p, dp);
      MultiplyTo(s_, {dp, row, 1, whole.values, whole.row, nullptr, 0, s_.tokens, false}, rows, dq.From(i), made);
      const Given qs = Padded(s_, qi, rows, queries), ds = Padded(s_, di, rows, slopes);
      const bool add = block > first;
      Multiply({dp, 1, row, qs.values, qs.row, dk, width, rows, add}, s_.tokens, width);
      Multiply({p, 1, row, ds.values, ds.row, dv, width, rows, add}, s_.tokens, width);
    }
  }

  // The sums of all parts, into dqkv.
  void Finish(int64_t pair, float* sums, int64_t parts) const {
    const int64_t width = s_.width(), size = s_.tokens * width;
    for (int64_t part = 1; part < parts; part++)
#pragma GCC ivdep
      for (int64_t i = 0; i < 2 * size; i++) sums[i] += sums[2 * part * size + i];
    for (int64_t which : {1, 2})
      Copy({sums + (which - 1) * size, width}, s_.tokens, s_.each, PartOf(s_, dqkv_, 3, which, pair), s_.each);
  }

  const Heads& s_;
  const float *qkv_, *dy_;
  float* dqkv_;
  const int64_t queries_;  // of a block
};
