// 3×3 convolutions with bias and a residual connection, and their gradients, as TensorFlow operations. float32, NHWC, stride
// 1, zeros around.
//
//   y[n, h, w, o] = Σ_{i, j, c} x[n, h + i − 1, w + j − 1, c] kernel[i, j, c, o] + bias[o] + residual[n, h, w, o].
//
// bias and residual may be empty, which leaves them out.
#include "convolve.h"
#include "kernel.h"

namespace {

int64_t Channels(const Input& input, int axis) {
  const int64_t channels = input.shape[axis];
  if (channels < 1 || channels % kUnit || channels > kMostChannels)
    Refuse(input.name, " has shape ", input.shape, "; its channels must be a multiple of ", kUnit, " up to ",
           kMostChannels);
  return channels;
}

// The kernel [3, 3, from, to]; one of the two is that of the images, at `axis`.
Input Filters(Call& call, int i, int axis, int64_t channels) {
  Input kernel = call.In(i);
  const Shape& shape = kernel.shape;
  const char* meaning = axis == 2 ? "[3, 3, c, to], c the channels of x" : "[3, 3, from, c], c the channels of dy";
  if (shape.size() != 4 || shape[0] != 3 || shape[1] != 3 || shape[axis] != channels)
    Refuse(kernel.name, " has shape ", shape, "; it must have ", meaning);
  Channels(kernel, 5 - axis);
  return kernel;
}

class Convolve {
 public:
  static const Signature& Is() {
    static const Signature signature{
        "LogsnrConv3x3", {"x", "kernel", "bias", "residual"}, {"y"}, {}, {}, {{0, 0, 3}, {1, 3, 4}}};
    return signature;
  }

  explicit Convolve(const Attributes&) {}

  void Compute(Call& call) const {
    const Input x = CheckImages(call.In(0));
    const int64_t from = Channels(x, 3);
    const Input kernel = Filters(call, 1, 2, from);
    const int64_t to = kernel.shape[3];
    const Shape shape{x.shape[0], x.shape[1], x.shape[2], to};
    const Input bias = call.Optional(2, {to}, "one value a channel of y"),
                residual = call.Optional(3, shape, "the shape of y");
    float* y = call.Out(0, shape);
    const Convolution s{{shape[0], shape[1], shape[2]}, from, to};
    Forward(s, x.values, kernel.values, bias.values, residual.values, y);
  }
};

// The filters of a kernel as the convolution takes them, for a kernel that does not change; turned, those of the input's
// gradient.
class TransformKernel {
 public:
  static const Signature& Is() {
    static const Signature signature{"LogsnrConv3x3Filters", {"kernel"}, {"filters"}, {"turned: bool"}, {}};
    return signature;
  }

  explicit TransformKernel(const Attributes& attributes) : turned_(attributes.Bool("turned")) {}

  void Compute(Call& call) const {
    const Input given = call.In(0);
    if (given.shape.size() != 4) Refuse("kernel has shape ", given.shape, "; it must have [3, 3, from, to]");
    const int64_t from = Channels(given, 2);
    const Input kernel = Filters(call, 0, 2, from);
    const int64_t to = kernel.shape[3];
    float* filters = call.Out(0, {kPoints * PlaneOf(from, to)});
    if (!turned_) return TransformFilters(kernel.values, from, to, filters);
    const Borrowed turned(9 * from * to);
    TurnFilters(kernel.values, from, to, turned.data());
    TransformFilters(turned.data(), to, from, filters);
  }

 private:
  const bool turned_;
};

// LogsnrConv3x3 of filters that are transformed already.
class ConvolveTransformed {
 public:
  static const Signature& Is() {
    static const Signature signature{
        "LogsnrConv3x3Transformed", {"x", "filters", "bias", "residual"}, {"y"}, {"to: int"}, {}};
    return signature;
  }

  explicit ConvolveTransformed(const Attributes& attributes) : to_(attributes.Int("to")) {
    if (to_ < 1 || to_ % kUnit || to_ > kMostChannels)
      Refuse("to is ", to_, "; it must be a multiple of ", kUnit, " up to ", kMostChannels);
  }

  void Compute(Call& call) const {
    const Input x = CheckImages(call.In(0));
    const int64_t from = Channels(x, 3);
    const Input filters = call.In(1, {kPoints * PlaneOf(from, to_)}, "what LogsnrConv3x3Filters makes of the kernel");
    const Shape shape{x.shape[0], x.shape[1], x.shape[2], to_};
    const Input bias = call.Optional(2, {to_}, "one value a channel of y"),
                residual = call.Optional(3, shape, "the shape of y");
    float* y = call.Out(0, shape);
    ByFilters({{shape[0], shape[1], shape[2]}, from, to_}, x.values, filters.values, bias.values, residual.values, y);
  }

 private:
  const int64_t to_;
};

class ConvolveInputGradient {
 public:
  static const Signature& Is() {
    static const Signature signature{
        "LogsnrConv3x3InputGrad", {"dy", "kernel"}, {"dx"}, {}, {}, {{0, 0, 3}, {1, 2, 3}}};
    return signature;
  }

  explicit ConvolveInputGradient(const Attributes&) {}

  void Compute(Call& call) const {
    const Input dy = CheckImages(call.In(0));
    const int64_t to = Channels(dy, 3);
    const Input kernel = Filters(call, 1, 3, to);
    const int64_t from = kernel.shape[2];
    float* dx = call.Out(0, {dy.shape[0], dy.shape[1], dy.shape[2], from});
    InputGradient({{dy.shape[0], dy.shape[1], dy.shape[2]}, from, to}, dy.values, kernel.values, dx);
  }
};

class ConvolveFilterGradient {
 public:
  static const Signature& Is() {
    static const Signature signature{"LogsnrConv3x3FilterGrad", {"x", "dy"}, {"dkernel"}, {}, {}};
    return signature;
  }

  explicit ConvolveFilterGradient(const Attributes&) {}

  void Compute(Call& call) const {
    const Input x = CheckImages(call.In(0)), dy = CheckImages(call.In(1));
    const int64_t from = Channels(x, 3), to = Channels(dy, 3);
    if (!std::equal(x.shape.begin(), x.shape.end() - 1, dy.shape.begin()))
      Refuse(dy.name, " has shape ", dy.shape, "; it must have [n, h, w, to], n, h and w those of x, ", x.shape);
    float* dkernel = call.Out(0, {3, 3, from, to});
    FilterGradient({{x.shape[0], x.shape[1], x.shape[2]}, from, to}, x.values, dy.values, dkernel);
  }
};

}  // namespace

void RegisterConvolution(TF_Status* status) {
  Register<Convolve>(status);
  Register<TransformKernel>(status);
  Register<ConvolveTransformed>(status);
  Register<ConvolveInputGradient>(status);
  Register<ConvolveFilterGradient>(status);
}
