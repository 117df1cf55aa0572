// Matrix products whose sums stay in registers.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "simd.h"

// c[i, j] (+)= Σ_k a[i, k] b[k, j]; a's rows and columns are `a_row` and `a_column` floats apart, those of b and c have rows
// of `b_row` and `c_row`.
struct Factors {
  const float* a;
  int64_t a_row, a_column;
  const float* b;
  int64_t b_row;
  float* c;
  int64_t c_row, depth;
  bool add;
};

// Columns come in units of 16. A panel is as many as are multiplied at once, at most `kPanel`.
constexpr int kUnit = 16, kVectors = kUnit / kLanes, kPanel = kLanes == 16 ? 4 : 1;
// Three quarters of the registers hold sums. More rows than 8 are slower: their addresses do not fit the other registers.
constexpr int RowsOf(int units) { return std::min(8, kRegisters * 3 / 4 / (units * kVectors)); }

template <int kRows, int kUnits>
void Product(const Factors& f) {
  constexpr int kColumns = kUnits * kVectors;
  Lanes sums[kRows][kColumns];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; i++)
#pragma GCC unroll 16
    for (int j = 0; j < kColumns; j++) sums[i][j] = Lanes{};
  const float *a = f.a, *b = f.b;
  const int64_t a_row = f.a_row;
  for (int64_t k = 0; k < f.depth; k++, a += f.a_column, b += f.b_row) {
    Lanes row[kColumns];
#pragma GCC unroll 16
    for (int j = 0; j < kColumns; j++) row[j] = Get(b + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
      const Lanes value = a[i * a_row] - Lanes{};
#pragma GCC unroll 16
      for (int j = 0; j < kColumns; j++) sums[i][j] += value * row[j];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; i++)
#pragma GCC unroll 16
    for (int j = 0; j < kColumns; j++) {
      float* c = f.c + i * f.c_row + j * kLanes;
      Put(c, f.add ? sums[i][j] + Get(c) : sums[i][j]);
    }
}

using Kernel = void (*)(const Factors&);

template <int kUnits, int... kRows>
constexpr std::array<Kernel, sizeof...(kRows)> Kernels(std::integer_sequence<int, kRows...>) {
  return {Product<kRows + 1, kUnits>...};
}

// All rows by a panel of `kUnits` units: as few calls as can be, of rows that differ by one at most.
template <int kUnits>
void Rows(Factors f, int64_t rows) {
  constexpr int kMost = RowsOf(kUnits);
  static constexpr auto kernels = Kernels<kUnits>(std::make_integer_sequence<int, kMost>());
  const int64_t calls = (rows + kMost - 1) / kMost;
  const float* a = f.a;
  float* c = f.c;
  for (int64_t i = 0; i < calls; i++) {
    const int64_t from = i * rows / calls, to = (i + 1) * rows / calls;
    f.a = a + from * f.a_row;
    f.c = c + from * f.c_row;
    kernels[to - from - 1](f);
  }
}

inline void Panel(const Factors& f, int64_t rows, int64_t units) {
  if constexpr (kPanel == 4) {
    if (units == 4) return Rows<4>(f, rows);
    if (units == 3) return Rows<3>(f, rows);
    if (units == 2) return Rows<2>(f, rows);
  }
  Rows<1>(f, rows);
}

// Calls body(first, count) for each panel of so many units: as few as can be, of widths that differ by one at most.
template <typename Body>
void ForPanels(int64_t units, Body body) {
  const int64_t panels = (units + kPanel - 1) / kPanel;
  for (int64_t i = 0; i < panels; i++) {
    const int64_t from = i * units / panels;
    body(from, (i + 1) * units / panels - from);
  }
}
