// Linear maps of many rows with bias and a residual connection, and their gradients, as TensorFlow operations. float32.
//
//   y[r, o] = Σ_c x[r, c] weight[c, o] + bias[o] + residual[r, o].
//
// bias and residual may be empty, which leaves them out. Channels are multiples of 16. The number of threads changes no bit.
#include "kernel.h"
#include "memory.h"
#include "pool.h"
#include "product.h"

namespace {

// Rows of a piece of work, few enough for the first cache beside a panel of the weight.
constexpr int64_t kRows = 48;
// Rows of a sum before the next ones are loaded.
constexpr int64_t kDepth = 256;
// Less than this many products cost no more than to wake a thread.
constexpr int64_t kSmall = 1 << 18;

struct Size {
  int64_t rows, from, to;
};

// c = a b + bias + residual: a [rows, from], b [from, to].
void Multiply(const Size& s, const float* a, const float* b, const float* bias, const float* residual, float* c) {
  if (s.rows == 0) return;
  const int64_t units = s.to / kUnit, threads = s.rows * s.from * s.to < kSmall ? 1 : Pool::Get().threads();
  const int64_t blocks = (s.rows + kRows - 1) / kRows;
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
void Transpose(const float* weight, int64_t from, int64_t to, float* out) {
  for (int64_t o = 0; o < to; o += kUnit)
    for (int64_t c = 0; c < from; c++)
      for (int64_t i = 0; i < kUnit; i++) out[(o + i) * from + c] = weight[c * to + o + i];
}

// dweight = xᵀ dy. Rows are summed in parts that their number alone decides, and then the parts in order.
void WeightGradient(const Size& s, const float* x, const float* dy, float* dweight) {
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
    for (int64_t first = begin; first < end; first += kDepth)
      ForPanels(width, [&](int64_t at, int64_t columns) {
        const int64_t o = (unit + at) * kUnit, depth = std::min(kDepth, end - first);
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
    const Size size{x.shape[0], x.shape[1], dy.shape[1]};
    WeightGradient(size, x.values, dy.values, call.Out(0, {size.from, size.to}));
  }
};

}  // namespace

void RegisterLinear(TF_Status* status) {
  Register<Linear>(status);
  Register<LinearInputGradient>(status);
  Register<LinearWeightGradient>(status);
}
