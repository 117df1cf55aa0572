// Convolutions, linear maps and attention of random sizes against their definitions in float64, for processors that TensorFlow is not at
// hand for. Prints the largest relative error of each and ends with 1 where one is too large.
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "../native/attend.h"
#include "../native/convolve.h"
#include "../native/multiply.h"

namespace {

using Values = std::vector<float>;
using Sums = std::vector<double>;
std::mt19937 generator(7);

Values Random(int64_t count) {
  std::normal_distribution<float> normal;
  Values values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

int64_t Whole(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(generator); }

// The root mean square of the error over that of the values.
double Error(const Values& got, const Sums& expected) {
  double off = 0, all = 0;
  for (size_t i = 0; i < got.size(); i++) {
    off += (got[i] - expected[i]) * (got[i] - expected[i]);
    all += expected[i] * expected[i];
  }
  return std::sqrt(off / all);
}

double worst_convolution = 0, worst_map = 0, worst_attention = 0;

void CheckConvolution() {
  const int64_t n = Whole(1, 2), h = Whole(1, 13), w = Whole(1, 13), from = 16 * Whole(1, 3), to = 16 * Whole(1, 4);
  const Convolution s{{n, h, w}, from, to};
  const Values x = Random(n * h * w * from), dy = Random(n * h * w * to), g = Random(9 * from * to);
  const Values bias = Random(to), residual = Random(n * h * w * to);
  Values y(dy.size()), dx(x.size()), dg(g.size());
  Forward(s, x.data(), g.data(), bias.data(), residual.data(), y.data());
  InputGradient(s, dy.data(), g.data(), dx.data());
  FilterGradient(s, x.data(), dy.data(), dg.data());
  Sums y64(y.size()), dx64(x.size()), dg64(g.size());
  for (size_t i = 0; i < y.size(); i++) y64[i] = double(residual[i]) + bias[i % to];
  for (int64_t pixel = 0; pixel < n * h * w; pixel++)
    for (int64_t tap = 0; tap < 9; tap++) {
      const int64_t row = pixel / w % h + tap / 3 - 1, column = pixel % w + tap % 3 - 1;
      if (row < 0 || row >= h || column < 0 || column >= w) continue;
      const int64_t seen = pixel + (tap / 3 - 1) * w + tap % 3 - 1;
      for (int64_t c = 0; c < from; c++)
        for (int64_t o = 0; o < to; o++) {
          const int64_t weight = (tap * from + c) * to + o;
          y64[pixel * to + o] += double(x[seen * from + c]) * g[weight];
          dx64[seen * from + c] += double(dy[pixel * to + o]) * g[weight];
          dg64[weight] += double(x[seen * from + c]) * dy[pixel * to + o];
        }
    }
  for (const double error : {Error(y, y64), Error(dx, dx64), Error(dg, dg64)})
    worst_convolution = std::max(worst_convolution, error);
}

void CheckMap() {
  const int64_t rows = Whole(1, 1400), from = 16 * Whole(1, 5), to = 16 * Whole(1, 9);
  const Values x = Random(rows * from), dy = Random(rows * to), weight = Random(from * to), bias = Random(to);
  Values y(rows * to), dx(rows * from), dweight(from * to), turned(from * to);
  Multiply({rows, from, to}, x.data(), weight.data(), bias.data(), dy.data(), y.data());
  Transpose(weight.data(), from, to, turned.data());
  Multiply({rows, to, from}, dy.data(), turned.data(), nullptr, nullptr, dx.data());
  WeightGradient({rows, from, to}, x.data(), dy.data(), dweight.data());
  Sums y64(y.size()), dx64(dx.size()), dweight64(dweight.size());
  for (int64_t r = 0; r < rows; r++)
    for (int64_t o = 0; o < to; o++) {
      y64[r * to + o] += double(bias[o]) + dy[r * to + o];
      for (int64_t c = 0; c < from; c++) {
        y64[r * to + o] += double(x[r * from + c]) * weight[c * to + o];
        dx64[r * from + c] += double(dy[r * to + o]) * weight[c * to + o];
        dweight64[c * to + o] += double(x[r * from + c]) * dy[r * to + o];
      }
    }
  for (const double error : {Error(y, y64), Error(dx, dx64), Error(dweight, dweight64)})
    worst_map = std::max(worst_map, error);
}

void CheckAttention() {
  const Heads s{Whole(1, 2), Whole(1, 150), Whole(1, 3), Whole(1, 40)};
  const int64_t t = s.tokens, d = s.each, c = s.channels();
  const Values qkv = Random(3 * s.samples * t * c), dy = Random(s.samples * t * c);
  Values y(dy.size()), dqkv(qkv.size());
  Attend(s, qkv.data(), y.data());
  AttentionGradient(s, qkv.data(), dy.data(), dqkv.data()).Run();
  Sums y64(y.size()), dqkv64(qkv.size());
  for (int64_t pair = 0; pair < s.pairs(); pair++)
    for (int64_t i = 0; i < t; i++) {
      const auto at = [&](int64_t token, int64_t part) {
        return ((pair / s.heads * t + token) * 3 + part) * c + pair % s.heads * d;
      };
      const int64_t out = (pair / s.heads * t + i) * c + pair % s.heads * d;
      Sums p(t), dp(t);
      double total = 0, mean = 0;
      for (int64_t j = 0; j < t; j++) {
        for (int64_t k = 0; k < d; k++) p[j] += double(qkv[at(i, 0) + k]) * qkv[at(j, 1) + k] / std::sqrt(double(d));
        for (int64_t k = 0; k < d; k++) dp[j] += double(dy[out + k]) * qkv[at(j, 2) + k];
        total += p[j] = std::exp(p[j]);
      }
      for (int64_t j = 0; j < t; j++) mean += (p[j] /= total) * dp[j];
      for (int64_t j = 0; j < t; j++)
        for (int64_t k = 0; k < d; k++) {
          const double ds = p[j] * (dp[j] - mean) / std::sqrt(double(d));
          y64[out + k] += p[j] * qkv[at(j, 2) + k];
          dqkv64[at(i, 0) + k] += ds * qkv[at(j, 1) + k];
          dqkv64[at(j, 1) + k] += ds * qkv[at(i, 0) + k];
          dqkv64[at(j, 2) + k] += p[j] * dy[out + k];
        }
    }
  for (const double error : {Error(y, y64), Error(dqkv, dqkv64)}) worst_attention = std::max(worst_attention, error);
}

}  // namespace

int main() {
  for (int i = 0; i < 30; i++) CheckConvolution();
  for (int i = 0; i < 10; i++) CheckMap();
  for (int i = 0; i < 20; i++) CheckAttention();
  std::printf("lanes %d convolutions %.2g maps %.2g attention %.2g\n", kLanes, worst_convolution, worst_map, worst_attention);
  return worst_convolution < 3e-6 && worst_map < 1e-6 && worst_attention < 1e-6 ? 0 : 1;
}
