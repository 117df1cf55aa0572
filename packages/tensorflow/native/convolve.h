// 3×3 convolutions, stride 1, zeros around, [n, h, w, from] → [n, h, w, to], float32, by F(4×4, 3×3); see winograd.h.
// Channels are multiples of 16. Neither the number of threads nor what they do when changes a bit of the results.
#pragma once

#include <algorithm>
#include <cstdint>

#include "memory.h"
#include "pool.h"
#include "product.h"
#include "winograd.h"

// V and M of a block, in memory of this thread that is kept for its next block.
struct Block {
  const int64_t v_plane, m_plane;
  float *v, *m;

  Block(int64_t tiles, int64_t from, int64_t to) : v_plane(PlaneOf(tiles, from)), m_plane(PlaneOf(tiles, to)) {
    thread_local Floats memory;
    memory.Reserve(kPoints * (v_plane + m_plane));
    v = memory.data();
    m = v + kPoints * v_plane;
  }
};

struct Convolution {
  Tiling tiling;
  int64_t from, to;
};

// Tiles a block: enough to use each filter often, few enough for the second cache (measured: within a few percent from 12 to
// 96), and where there are few, several blocks for each thread, so that none waits long for another.
constexpr int64_t kLeastBlock = 12, kBlock = 36, kGradientBlock = 72;

inline int64_t Blocks(int64_t tiles) {
  const int64_t threads = Pool::Get().threads(), most = std::clamp(tiles / (4 * threads), kLeastBlock, kBlock);
  return (tiles + most - 1) / most;
}

// u = G g Gᵀ as [36][panel][from][width of the panel], a plane `PlaneOf(from, to)` apart, of g [3, 3, from, to].
inline void TransformFilters(const float* g, int64_t from, int64_t to, float* u) {
  constexpr int64_t kRows = 16;
  const int64_t plane = PlaneOf(from, to), units = to / kUnit;
  Pool::Get().For(from / kRows, [&](int64_t piece) {
    ForPanels(units, [&](int64_t unit, int64_t width) {
      for (int64_t k = piece * kRows; k < (piece + 1) * kRows; k++)
        for (int64_t c = 0; c < width * kUnit; c += kLanes) {
          Lanes weights[9], down[6][3];
          for (int i = 0; i < 9; i++) weights[i] = Get(g + (i * from + k) * to + unit * kUnit + c);
          for (int j = 0; j < 3; j++) {
            Lanes t[6];
            G<3>(weights + j, t);
            for (int i = 0; i < 6; i++) down[i][j] = t[i];
          }
          float* out = u + (unit * from + k * width) * kUnit + c;
          for (int i = 0; i < 6; i++) {
            Lanes t[6];
            G<1>(down[i], t);
            for (int j = 0; j < 6; j++) Put(out + (6 * i + j) * plane, t[j]);
          }
        }
    });
  });
}

// [3, 3, from, to] → [3, 3, to, from], turned by 180°: the filters of the gradient by the input.
inline void TurnFilters(const float* g, int64_t from, int64_t to, float* turned) {
  Pool::Get().For(from / kUnit, [&](int64_t piece) {
    for (int64_t i = 0; i < 9; i++)
      for (int64_t o = 0; o < to; o++) {
        const float* column = g + (i * from + piece * kUnit) * to + o;
        float* row = turned + ((8 - i) * to + o) * from + piece * kUnit;
        for (int64_t c = 0; c < kUnit; c++) row[c] = column[c * to];
      }
  });
}

// y = x * g + bias + residual, u the transformed filters; bias and residual may be null. Where there are fewer blocks of
// tiles than threads, the channels of y are shared out too.
inline void ByFilters(const Convolution& s, const float* x, const float* u, const float* bias, const float* residual,
                      float* y) {
  const int64_t tiles = s.tiling.tiles(), units = s.to / kUnit, plane = PlaneOf(s.from, s.to);
  if (tiles == 0) return;
  const int64_t blocks = Blocks(tiles), threads = Pool::Get().threads();
  const int64_t slices = std::min(units, (threads + blocks - 1) / blocks);
  Pool::Get().For(blocks * slices, [&](int64_t piece) {
    const int64_t block = piece / slices, slice = piece % slices;
    const int64_t first = block * tiles / blocks, last = (block + 1) * tiles / blocks, count = last - first;
    const int64_t begin = slice * units / slices, end = (slice + 1) * units / slices, to = (end - begin) * kUnit;
    const Block b(count, s.from, to);
    TransformInput(s.tiling, s.from, x, first, last, b.v, b.v_plane);
    for (int64_t p = 0; p < kPoints; p++)
      ForPanels(units, [&](int64_t unit, int64_t width) {
        // What of the panel belongs to the slice.
        const int64_t low = std::max(unit, begin), high = std::min(unit + width, end);
        if (low >= high) return;
        const float* panel = u + p * plane + (unit * s.from + low - unit) * kUnit;
        float* c = b.m + p * b.m_plane + (low - begin) * kUnit;
        Panel({b.v + p * b.v_plane, s.from, 1, panel, width * kUnit, c, to, s.from, false}, count, high - low);
      });
    TransformOutput(s.tiling, s.to, begin * kUnit, to, b.m, b.m_plane, first, last, bias, residual, y);
  });
}

// The same of the filters g [3, 3, from, to].
inline void Forward(const Convolution& s, const float* x, const float* g, const float* bias, const float* residual,
                    float* y) {
  if (s.tiling.tiles() == 0) return;
  const Borrowed filters(kPoints * PlaneOf(s.from, s.to));
  TransformFilters(g, s.from, s.to, filters.data());
  ByFilters(s, x, filters.data(), bias, residual, y);
}

// dx: the convolution of dy with the turned filters.
inline void InputGradient(const Convolution& s, const float* dy, const float* g, float* dx) {
  const Borrowed turned(9 * s.from * s.to);
  TurnFilters(g, s.from, s.to, turned.data());
  Forward({s.tiling, s.to, s.from}, dy, turned.data(), nullptr, nullptr, dx);
}

// dg [3, 3, from, to]. Tiles are summed in parts that their number alone decides, and then the parts in order.
inline void FilterGradient(const Convolution& s, const float* x, const float* dy, float* dg) {
  const int64_t tiles = s.tiling.tiles(), units = s.to / kUnit, plane = PlaneOf(s.from, s.to);
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(4, tiles / 128));
  const int64_t slices = std::min(units, (Pool::Get().threads() + parts - 1) / parts);
  const Borrowed memory(parts * kPoints * plane);
  float* sums = memory.data();
  Pool::Get().For(parts * slices, [&](int64_t piece) {
    const int64_t part = piece / slices, slice = piece % slices;
    const int64_t unit = slice * units / slices, width = (slice + 1) * units / slices - unit, to = width * kUnit;
    float* sum = sums + part * kPoints * plane;
    const int64_t begin = part * tiles / parts, end = (part + 1) * tiles / parts;
    for (int64_t first = begin; first < end || first == 0; first += kGradientBlock) {
      const int64_t last = std::min(end, first + kGradientBlock), count = last - first;
      const Block b(count, s.from, to);
      TransformInput(s.tiling, s.from, x, first, last, b.v, b.v_plane);
      TransformGradient(s.tiling, s.to, dy, unit * kUnit, to, first, last, b.m, b.m_plane);
      for (int64_t p = 0; p < kPoints; p++)
        ForPanels(width, [&](int64_t at, int64_t columns) {
          const float* panel = b.m + p * b.m_plane + at * kUnit;
          float* c = sum + p * plane + (unit + at) * kUnit;
          Panel({b.v + p * b.v_plane, 1, s.from, panel, to, c, s.to, count, first > begin}, s.from, columns);
        });
    }
  });
  Pool::Get().For(s.from / kUnit, [&](int64_t piece) {
    for (int64_t k = piece * kUnit; k < (piece + 1) * kUnit; k++)
      for (int64_t c = 0; c < s.to; c += kLanes) {
        Lanes down[3][6];
        for (int j = 0; j < 6; j++) {
          Lanes column[6], t[3];
          for (int i = 0; i < 6; i++) {
            const float* from = sums + (6 * i + j) * plane + k * s.to + c;
            Lanes total = Get(from);
            for (int64_t part = 1; part < parts; part++) total += Get(from + part * kPoints * plane);
            column[i] = total;
          }
          Gt<1>(column, t);
          for (int i = 0; i < 3; i++) down[i][j] = t[i];
        }
        for (int i = 0; i < 3; i++) {
          Lanes t[3];
          Gt<1>(down[i], t);
          for (int j = 0; j < 3; j++) Put(dg + ((3 * i + j) * s.from + k) * s.to + c, t[j]);
        }
      }
  });
}
