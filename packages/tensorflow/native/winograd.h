// Winograd's minimal filtering F(4×4, 3×3) (Lavin & Gray 2016, arXiv 1509.09308): 36 products for 16 outputs of a 3×3
// convolution, where the definition takes 144.
//
//   y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A   on a tile: d 6×6 pixels, g 3×3 weights, y 4×4 pixels;
//   dg = Gᵀ [(Bᵀ d B) ⊙ (A dy Aᵀ)] G.
//
// The points are 0, ±1/√2, ±√2 and ∞, which round half as much as the usual 0, ±1, ±2 and ∞.
#pragma once

#include <algorithm>
#include <cstdint>

#include "simd.h"

constexpr float kA = 0.70710678118654752f, kB = 1.4142135623730950f;
constexpr int64_t kPoints = 36;

// The six maps below act on the first index; `kStep` is the distance of its values.
template <int kStep>
inline void Bt(const Lanes* d, Lanes* t) {
  const Lanes d1 = d[kStep], d2 = d[2 * kStep], d3 = d[3 * kStep], d4 = d[4 * kStep];
  const Lanes even1 = d4 - 2.f * d2, odd1 = kA * d3 - kB * d1, even2 = d4 - .5f * d2, odd2 = kB * d3 - kA * d1;
  t[0] = d[0] - 2.5f * d2 + d4;
  t[1] = even1 + odd1;
  t[2] = even1 - odd1;
  t[3] = even2 + odd2;
  t[4] = even2 - odd2;
  t[5] = d1 - 2.5f * d3 + d[5 * kStep];
}

template <int kStep>
inline void At(const Lanes* m, Lanes* y) {
  const Lanes m1 = m[kStep], m2 = m[2 * kStep], m3 = m[3 * kStep], m4 = m[4 * kStep];
  const Lanes even1 = m1 + m2, odd1 = m1 - m2, even2 = m3 + m4, odd2 = m3 - m4;
  y[0] = m[0] + even1 + even2;
  y[1] = kA * odd1 + kB * odd2;
  y[2] = .5f * even1 + 2.f * even2;
  y[3] = (.5f * kA) * odd1 + (2.f * kB) * odd2 + m[5 * kStep];
}

template <int kStep>
inline void A(const Lanes* y, Lanes* m) {
  const Lanes y0 = y[0], y1 = y[kStep], y2 = y[2 * kStep], y3 = y[3 * kStep];
  const Lanes even1 = y0 + .5f * y2, odd1 = kA * y1 + (.5f * kA) * y3;
  const Lanes even2 = y0 + 2.f * y2, odd2 = kB * y1 + (2.f * kB) * y3;
  m[0] = y0;
  m[1] = even1 + odd1;
  m[2] = even1 - odd1;
  m[3] = even2 + odd2;
  m[4] = even2 - odd2;
  m[5] = y3;
}

constexpr float kThird = -2.f / 3, kSixth = 1.f / 6;

template <int kStep>
inline void G(const Lanes* g, Lanes* u) {
  const Lanes g0 = g[0], g1 = g[kStep], g2 = g[2 * kStep];
  const Lanes even1 = kThird * (g0 + .5f * g2), odd1 = (kThird * kA) * g1;
  const Lanes even2 = kSixth * (g0 + 2.f * g2), odd2 = (kSixth * kB) * g1;
  u[0] = g0;
  u[1] = even1 + odd1;
  u[2] = even1 - odd1;
  u[3] = even2 + odd2;
  u[4] = even2 - odd2;
  u[5] = g2;
}

template <int kStep>
inline void Gt(const Lanes* u, Lanes* g) {
  const Lanes u1 = u[kStep], u2 = u[2 * kStep], u3 = u[3 * kStep], u4 = u[4 * kStep];
  const Lanes even1 = kThird * (u1 + u2), odd1 = kThird * (u1 - u2);
  const Lanes even2 = kSixth * (u3 + u4), odd2 = kSixth * (u3 - u4);
  g[0] = u[0] + even1 + even2;
  g[1] = kA * odd1 + kB * odd2;
  g[2] = .5f * even1 + 2.f * even2 + u[5 * kStep];
}

// Images [n, h, w, …] in tiles of 4×4 pixels; the last ones of a row or column may reach beyond.
struct Tiling {
  int64_t n, h, w, tall = (h + 3) / 4, wide = (w + 3) / 4;
  int64_t tiles() const { return n * tall * wide; }
};

// Neighbouring tiles of one row, from the pixel [sample, top, left] on; `at` is the first one's place in a block.
struct Run {
  int64_t sample, top, left, count, at;
};

constexpr int64_t kRunTiles = 16;

template <typename Body>
void ForRuns(const Tiling& s, int64_t first, int64_t last, Body body) {
  for (int64_t t = first; t < last;) {
    const int64_t column = t % s.wide, count = std::min({last - t, s.wide - column, kRunTiles});
    body(Run{t / (s.wide * s.tall), t / s.wide % s.tall * 4, column * 4, count, t - first});
    t += count;
  }
}

// One of the 36 planes [tiles][channels] of a block, with a cache line between two planes: without it the lines of all
// planes fall on the same few sets of the cache.
constexpr int64_t PlaneOf(int64_t tiles, int64_t channels) { return tiles * channels + 16; }

// v = Bᵀ d B of the tiles [first, last) of x [n, h, w, channels]. Down the columns of a whole run first, since
// neighbouring tiles share two of their six columns.
inline void TransformInput(const Tiling& s, int64_t channels, const float* x, int64_t first, int64_t last, float* v,
                           int64_t plane) {
  alignas(64) static const float zeros[kLanes] = {};
  alignas(64) Lanes down[6][4 * kRunTiles + 2];
  ForRuns(s, first, last, [&](const Run& run) {
    const int64_t columns = 4 * run.count + 2;
    // Of the columns left − 1 …, those inside of the image.
    const int64_t from = run.left == 0 ? 1 : 0, to = std::min(columns, s.w + 1 - run.left);
    for (int64_t c = 0; c < channels; c += kLanes) {
      const float* rows[6];
      int64_t steps[6];
      for (int64_t i = 0; i < 6; i++) {
        const int64_t row = run.top - 1 + i;
        const bool inside = row >= 0 && row < s.h;
        steps[i] = inside ? channels : 0;
        rows[i] = inside ? x + ((run.sample * s.h + row) * s.w + run.left - 1 + from) * channels + c : zeros;
      }
      for (int64_t j = from; j < to; j++) {
        Lanes d[6], t[6];
        for (int i = 0; i < 6; i++) {
          d[i] = Get(rows[i]);
          rows[i] += steps[i];
        }
        Bt<1>(d, t);
        for (int i = 0; i < 6; i++) down[i][j] = t[i];
      }
      for (int i = 0; i < 6; i++) {
        if (from > 0) down[i][0] = Lanes{};
        for (int64_t j = to; j < columns; j++) down[i][j] = Lanes{};
      }
      float* out = v + run.at * channels + c;
      for (int64_t tile = 0; tile < run.count; tile++, out += channels)
        for (int i = 0; i < 6; i++) {
          Lanes t[6];
          Bt<1>(&down[i][4 * tile], t);
          for (int j = 0; j < 6; j++) Put(out + (6 * i + j) * plane, t[j]);
        }
    }
  });
}

// What lies of a tile in the image: 4×4 pixels, or fewer at its end.
template <typename Body>
void ForTiles(const Tiling& s, int64_t first, int64_t last, Body body) {
  ForRuns(s, first, last, [&](const Run& run) {
    for (int64_t tile = 0; tile < run.count; tile++) {
      const int64_t left = run.left + 4 * tile, rows = std::min<int64_t>(4, s.h - run.top);
      body(run.at + tile, (run.sample * s.h + run.top) * s.w + left, rows, std::min<int64_t>(4, s.w - left));
    }
  });
}

// m = A dy Aᵀ, of the channels [c0, c0 + count) of dy.
inline void TransformGradient(const Tiling& s, int64_t channels, const float* dy, int64_t c0, int64_t count,
                              int64_t first, int64_t last, float* m, int64_t plane) {
  ForTiles(s, first, last, [&](int64_t tile, int64_t pixel, int64_t rows, int64_t columns) {
    for (int64_t c = 0; c < count; c += kLanes) {
      const float* from = dy + pixel * channels + c0 + c;
      Lanes y[4][4], down[6][4];
      for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
          y[i][j] = i < rows && j < columns ? Get(from + (i * s.w + j) * channels) : Lanes{};
      for (int j = 0; j < 4; j++) {
        Lanes t[6];
        A<4>(&y[0][j], t);
        for (int i = 0; i < 6; i++) down[i][j] = t[i];
      }
      for (int i = 0; i < 6; i++) {
        Lanes t[6];
        A<1>(down[i], t);
        for (int j = 0; j < 6; j++) Put(m + (6 * i + j) * plane + tile * count + c, t[j]);
      }
    }
  });
}

// y = Aᵀ m A + bias + residual, of the channels [c0, c0 + count) of y; bias and residual may be null.
inline void TransformOutput(const Tiling& s, int64_t channels, int64_t c0, int64_t count, const float* m, int64_t plane,
                            int64_t first, int64_t last, const float* bias, const float* residual, float* y) {
  ForTiles(s, first, last, [&](int64_t tile, int64_t pixel, int64_t rows, int64_t columns) {
    for (int64_t c = c0; c < c0 + count; c += kLanes) {
      const float* from = m + tile * count + c - c0;
      Lanes down[4][6];
      for (int j = 0; j < 6; j++) {
        Lanes column[6], t[4];
        for (int i = 0; i < 6; i++) column[i] = Get(from + (6 * i + j) * plane);
        At<1>(column, t);
        for (int i = 0; i < 4; i++) down[i][j] = t[i];
      }
      const Lanes offset = bias ? Get(bias + c) : Lanes{};
      for (int i = 0; i < 4; i++) {
        if (i >= rows) break;
        Lanes t[4];
        At<1>(down[i], t);
        for (int j = 0; j < 4; j++) {
          if (j >= columns) break;
          const int64_t at = (pixel + i * s.w + j) * channels + c;
          Put(y + at, residual ? t[j] + offset + Get(residual + at) : t[j] + offset);
        }
      }
    }
  });
}
