// Products of a matrix of many rows with a weight, and their gradients; float32, channels in multiples of 16. Neither the number
// of threads nor what they do when changes a bit of the results.
#pragma once

#include <algorithm>
#include <cstdint>

#include "memory.h"
#include "pool.h"
#include "product.h"

// Rows of a piece of work, few enough for the first cache beside a panel of the weight.
constexpr int64_t kBlockRows = 48;
// Rows of a sum before the next ones are loaded.
constexpr int64_t kBlockDepth = 256;
// Less than this many products cost no more than to wake a thread.
constexpr int64_t kFewProducts = 1 << 18;

struct Map {
  int64_t rows, from, to;
};

// c = a b + bias + residual: a [rows, from], b [from, to].
inline void Multiply(const Map& s, const float* a, const float* b, const float* bias, const float* residual, float* c) {
  if (s.rows == 0) return;
  const int64_t units = s.to / kUnit, threads = s.rows * s.from * s.to < kFewProducts ? 1 : Pool::Get().threads();
  const int64_t blocks = (s.rows + kBlockRows - 1) / kBlockRows;
  const int64_t slices = std::min(units, (threads + blocks - 1) / blocks);
  const auto piece = [&](int64_t i) {
    const int64_t block = i / slices, first = block * s.rows / blocks, count = (block + 1) * s.rows / blocks - first;
    const int64_t begin = i % slices * units / slices * kUnit, end = (i % slices + 1) * units / slices * kUnit;
    const bool add = bias || residual;
    for (int64_t r = first; add && r < first + count; r++)
      for (int64_t o = begin; o < end; o += kLanes) {
        const Lanes start = bias ? Get(bias + o) : Lanes{};
        Put(c + r * s.to + o, residual ? start + Get(residual + r * s.to + o) : start);
      }
    ForPanels((end - begin) / kUnit, [&](int64_t unit, int64_t width) {
      const int64_t o = begin + unit * kUnit;
      Panel({a + first * s.from, s.from, 1, b + o, s.to, c + first * s.to + o, s.to, s.from, add}, count, width);
    });
  };
  if (threads == 1)
    for (int64_t i = 0; i < blocks * slices; i++) piece(i);
  else
    Pool::Get().For(blocks * slices, piece);
}

// [from, to] → [to, from].
inline void Transpose(const float* weight, int64_t from, int64_t to, float* out) {
  for (int64_t o = 0; o < to; o += kUnit)
    for (int64_t c = 0; c < from; c++)
      for (int64_t i = 0; i < kUnit; i++) out[(o + i) * from + c] = weight[c * to + o + i];
}

// dweight = xᵀ dy. Rows are summed in parts that their number alone decides, and then the parts in order.
inline void WeightGradient(const Map& s, const float* x, const float* dy, float* dweight) {
  const int64_t units = s.to / kUnit, parts = std::clamp<int64_t>(s.rows / 512, 1, 16), plane = s.from * s.to;
  if (s.rows == 0) {
    std::fill(dweight, dweight + plane, 0.f);
    return;
  }
  const int64_t slices = std::min(units, (Pool::Get().threads() + parts - 1) / parts);
  const Borrowed memory(parts * plane);
  Pool::Get().For(parts * slices, [&](int64_t i) {
    const int64_t part = i / slices, begin = part * s.rows / parts, end = (part + 1) * s.rows / parts;
    const int64_t unit = i % slices * units / slices, width = (i % slices + 1) * units / slices - unit;
    for (int64_t first = begin; first < end; first += kBlockDepth)
      ForPanels(width, [&](int64_t at, int64_t columns) {
        const int64_t o = (unit + at) * kUnit, depth = std::min(kBlockDepth, end - first);
        float* c = memory.data() + part * plane + o;
        Panel({x + first * s.from, 1, s.from, dy + first * s.to + o, s.to, c, s.to, depth, first > begin}, s.from, columns);
      });
  });
  for (int64_t i = 0; i < plane; i += kLanes) {
    Lanes sum = Get(memory.data() + i);
    for (int64_t part = 1; part < parts; part++) sum += Get(memory.data() + part * plane + i);
    Put(dweight + i, sum);
  }
}
