// Linear maps of many rows with bias and a residual connection, and their gradients, as TensorFlow operations. float32.
//
//   y[r, o] = Σ_c x[r, c] weight[c, o] + bias[o] + residual[r, o].
//
// bias and residual may be empty, which leaves them out. Channels are multiples of 16.
#include "kernel.h"
#include "multiply.h"

namespace {

// [rows, channels].
Input Matrix(Call& call, int i, const char* meaning) {
  Input input = call.In(i);
  const Shape& shape = input.shape;
  if (shape.size() != 2 || shape[1] < 1 || shape[1] % kUnit || shape[1] > kMostChannels)
    Refuse(input.name, " has shape ", shape, "; it must have ", meaning, ", the channels a multiple of ", kUnit, " up to ",
           kMostChannels);
  return input;
}

// The weight [from, to], with `channels` along `axis`.
Input Weight(Call& call, int axis, int64_t channels) {
  Input weight = Matrix(call, 1, "[from, to]");
  if (weight.shape[axis] != channels || weight.shape[1 - axis] < 1 || weight.shape[1 - axis] % kUnit ||
      weight.shape[1 - axis] > kMostChannels)
    Refuse(weight.name, " has shape ", weight.shape, "; it must have [from, to], multiples of ", kUnit, ", and ",
           axis ? "to" : "from", " the ", channels, " channels given");
  return weight;
}

class Linear {
 public:
  static const Signature& Is() {
    static const Signature signature{
        "LogsnrLinear", {"x", "weight", "bias", "residual"}, {"y"}, {}, {}, {{0, 0, 1}, {1, 1, 2}}};
    return signature;
  }

  explicit Linear(const Attributes&) {}

  void Compute(Call& call) const {
    const Input x = Matrix(call, 0, "[rows, from]");
    const int64_t rows = x.shape[0], from = x.shape[1];
    const Input weight = Weight(call, 0, from);
    const int64_t to = weight.shape[1];
    const Input bias = call.Optional(2, {to}, "one value a channel of y"),
                residual = call.Optional(3, {rows, to}, "the shape of y");
    float* y = call.Out(0, {rows, to});
    Multiply({rows, from, to}, x.values, weight.values, bias.values, residual.values, y);
  }
};

class LinearInputGradient {
 public:
  static const Signature& Is() {
    static const Signature signature{
        "LogsnrLinearInputGrad", {"dy", "weight"}, {"dx"}, {}, {}, {{0, 0, 1}, {1, 0, 1}}};
    return signature;
  }

  explicit LinearInputGradient(const Attributes&) {}

  void Compute(Call& call) const {
    const Input dy = Matrix(call, 0, "[rows, to]");
    const int64_t rows = dy.shape[0], to = dy.shape[1];
    const Input weight = Weight(call, 1, to);
    const int64_t from = weight.shape[0];
    float* dx = call.Out(0, {rows, from});
    const Borrowed turned(from * to);
    Transpose(weight.values, from, to, turned.data());
    Multiply({rows, to, from}, dy.values, turned.data(), nullptr, nullptr, dx);
  }
};

class LinearWeightGradient {
 public:
  static const Signature& Is() {
    static const Signature signature{
        "LogsnrLinearWeightGrad", {"x", "dy"}, {"dweight"}, {}, {}, {{0, 1, 2}, {1, 1, 2}}};
    return signature;
  }

  explicit LinearWeightGradient(const Attributes&) {}

  void Compute(Call& call) const {
    const Input x = Matrix(call, 0, "[rows, from]"), dy = Matrix(call, 1, "[rows, to]");
    if (x.shape[0] != dy.shape[0])
      Refuse(dy.name, " has shape ", dy.shape, "; it must have as many rows as x, ", x.shape);
    const Map map{x.shape[0], x.shape[1], dy.shape[1]};
    WeightGradient(map, x.values, dy.values, call.Out(0, {map.from, map.to}));
  }
};

}  // namespace

void RegisterLinear(TF_Status* status) {
  Register<Linear>(status);
  Register<LinearInputGradient>(status);
  Register<LinearWeightGradient>(status);
}
