// Vectors of 16 floats, whatever the processor splits them into.
#pragma once

#include <cstdint>
#include <cstring>

constexpr int64_t kWidth = 16;
typedef float Vec __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));

inline Vec All(float value) { return value - Vec{}; }

inline Vec Load(const float* from, int64_t count) {
  Vec v{};
  if (count == kWidth)
    std::memcpy(&v, from, sizeof v);
  else
    std::memcpy(&v, from, count * sizeof(float));
  return v;
}

inline void Store(float* to, Vec v, int64_t count) {
  if (count == kWidth)
    std::memcpy(to, &v, sizeof v);
  else
    std::memcpy(to, &v, count * sizeof(float));
}

// The widest vector that the processor has itself, for sums that must stay in its registers: the compiler keeps what is
// wider in memory.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kRegisters = 32;
#elif defined(__AVX__)
constexpr int kLanes = 8, kRegisters = 16;
#elif defined(__aarch64__)
constexpr int kLanes = 4, kRegisters = 32;
#else
constexpr int kLanes = 4, kRegisters = 16;
#endif
typedef float Lanes __attribute__((vector_size(4 * kLanes)));

inline Lanes Get(const float* from) {
  Lanes v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

inline void Put(float* to, Lanes v) { std::memcpy(to, &v, sizeof v); }

inline Vec Clamp(Vec v, float low, float high) {
  v = v < All(low) ? All(low) : v;
  return v > All(high) ? All(high) : v;
}

// e^v to about one unit in the last place, by 2^n e^r with |r| ≤ ln(2)/2 and the Taylor polynomial of degree 7.
inline Vec Exp(Vec v) {
  v = Clamp(v, -87.f, 88.f);
  const Vec n = (v * 1.44269504f + 12582912.f) - 12582912.f;
  const Vec r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = All(1.f / 5040);
  p = p * r + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + .5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  const Ints bits = (__builtin_convertvector(n, Ints) + 127) << 23;
  Vec scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

inline Vec Sigmoid(Vec v) { return 1.f / (1.f + Exp(-v)); }
