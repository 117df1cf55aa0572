// Adam's step (Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1) in one pass over its vectors, where single operations make
// twelve:
//
//   m' = β₁ m + (1 − β₁) g,  v' = β₂ v + (1 − β₂) g²,  p' = keep p − rate m'/(√v' + ε).
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernel.h"
#include "pool.h"

namespace {

// Values a piece: enough to be worth a thread.
constexpr int64_t kPiece = 1 << 14;

float Share(const Attributes& attributes, const char* name) {
  const float value = attributes.Float(name);
  if (!(value >= 0 && value <= 1)) Refuse(name, " is ", value, "; it must be from 0 to 1");
  return value;
}

class Adam {
 public:
  static const Signature& Is() {
    static const Signature signature{"LogsnrAdam",
                                     {"p", "g", "m", "v", "rate", "epsilon", "keep"},
                                     {"p_new", "m_new", "v_new"},
                                     {"beta1: float", "beta2: float", "rest1: float", "rest2: float"},
                                     {0, 2, 3}};
    return signature;
  }

  explicit Adam(const Attributes& attributes)
      : beta1(Share(attributes, "beta1")),
        beta2(Share(attributes, "beta2")),
        rest1(Share(attributes, "rest1")),
        rest2(Share(attributes, "rest2")) {}

  void Compute(Call& call) const {
    const Input first = call.In(0);
    const Shape& shape = first.shape;
    const int64_t count = first.count;
    const auto like = [&](int i) { return call.In(i, shape, "the shape of p").values; };
    const auto scalar = [&](int i) { return *call.In(i, {}, "the shape of a scalar").values; };
    const float *p = first.values, *g = like(1), *m = like(2), *v = like(3);
    const float rate = scalar(4), epsilon = scalar(5), keep = scalar(6);
    float *p_new = call.Out(0, shape), *m_new = call.Out(1, shape), *v_new = call.Out(2, shape);
    Pool::Get().For((count + kPiece - 1) / kPiece, [&](int64_t piece) {
      const int64_t end = std::min(count, (piece + 1) * kPiece);
#pragma GCC ivdep
      for (int64_t i = piece * kPiece; i < end; i++) {
        m_new[i] = beta1 * m[i] + rest1 * g[i];
        v_new[i] = beta2 * v[i] + rest2 * (g[i] * g[i]);
        p_new[i] = keep * p[i] - rate * m_new[i] / (std::sqrt(v_new[i]) + epsilon);
      }
    });
  }

 private:
  const float beta1, beta2, rest1, rest2;  // β and 1 − β
};

}  // namespace

void RegisterAdam(TF_Status* status) { Register<Adam>(status); }
