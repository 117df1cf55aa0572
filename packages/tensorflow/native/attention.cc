// Multi-head self-attention and its gradient (attend.h), as one TensorFlow operation each. The library makes some ten of it,
// each with a cost of its own, and whole tables of scores. qkv is [n, t, 3 · heads · d], y and dy are [n, t, heads · d].
#include "attend.h"
#include "kernel.h"

namespace {

class Attention {
 public:
  explicit Attention(const Attributes& attributes) : heads_(attributes.Int("heads")) {
    if (heads_ < 1 || heads_ > kMostHeads) Refuse("heads is ", heads_, "; it must be from 1 to ", kMostHeads);
  }

 protected:
  Heads Measure(const Input& qkv) const {
    const Shape& shape = qkv.shape;
    if (shape.size() != 3 || shape[1] < 1 || shape[2] < 1 || shape[2] % (3 * heads_))
      Refuse(qkv.name, " has shape ", shape, "; it must have [n, t, 3c], with t of at least 1 and c a multiple of ",
             heads_, ", the heads");
    CheckProduct(qkv);
    return {shape[0], shape[1], heads_, shape[2] / 3 / heads_};
  }

 private:
  static constexpr int64_t kMostHeads = 1 << 20;
  const int64_t heads_;
};

class AttentionForward : Attention {
 public:
  static const Signature& Is() {
    static const Signature signature{"LogsnrAttention", {"qkv"}, {"y"}, {"heads: int"}, {}};
    return signature;
  }
  using Attention::Attention;

  void Compute(Call& call) const {
    const Input qkv = call.In(0);
    const Heads s = Measure(qkv);
    float* y = call.Out(0, {s.samples, s.tokens, s.channels()});
    if (s.samples) Attend(s, qkv.values, y);
  }
};

class AttentionBackward : Attention {
 public:
  static const Signature& Is() {
    static const Signature signature{"LogsnrAttentionGrad", {"dy", "qkv"}, {"dqkv"}, {"heads: int"}, {1}};
    return signature;
  }
  using Attention::Attention;

  void Compute(Call& call) const {
    const Input qkv = call.In(1);
    const Heads s = Measure(qkv);
    const Input dy = call.In(0, {s.samples, s.tokens, s.channels()}, "a third of qkv's channels");
    float* dqkv = call.Out(0, qkv.shape);
    if (s.samples) AttentionGradient(s, qkv.values, dy.values, dqkv).Run();
  }
};

}  // namespace

void RegisterAttention(TF_Status* status) {
  Register<AttentionForward>(status);
  Register<AttentionBackward>(status);
}
