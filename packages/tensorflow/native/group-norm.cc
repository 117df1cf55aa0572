// Group norm with the bias before it and FiLM conditioning and SiLU after it, forward and backward, as one TensorFlow
// operation each. The stock library makes a pass over the pixels for every small operation of the chain; here a sample
// stays in the cache between its passes. Written against TensorFlow's C interface for kernels, float32, NHWC, CPU.
//
//   y = gain x̂ + offset, x̂ = (x + bias − μ) rstd, gain = γ (1 + scale), offset = β (1 + scale) + shift; SiLU on request.
//
// bias, scale and shift may be empty, which leaves them out. bias is of each channel, or of each sample and channel.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernel.h"
#include "pool.h"
#include "simd.h"

namespace {

// Sums are taken over runs of this many pixels and then over the runs, which keeps their rounding small.
constexpr int64_t kRun = 64;

struct Sizes {
  int64_t samples, pixels, channels, groups;
  int64_t each() const { return channels / groups; }
};

// Inputs and outputs of one sample, and of a range of its groups.
struct Part {
  Sizes s;
  int64_t sample, first, last;  // channels [first, last), whole groups
  const float* Row(const float* base) const { return base + sample * s.pixels * s.channels; }
  float* Row(float* base) const { return base + sample * s.pixels * s.channels; }
};

// Null where the input is empty.
struct Vectors {
  const float *gamma, *beta, *bias, *scale, *shift;
  bool bias_each;  // whether each sample has a bias of its own
  float Bias(const Part& p, int64_t c) const {
    return bias ? bias[(bias_each ? p.sample * p.s.channels : 0) + c] : 0;
  }
  float Factor(const Part& p, int64_t c) const { return scale ? 1 + scale[p.sample * p.s.channels + c] : 1; }
  float Shift(const Part& p, int64_t c) const { return shift ? shift[p.sample * p.s.channels + c] : 0; }
};

// Splits the batch over samples, and samples over groups where there are fewer samples than threads.
void ForParts(const Sizes& s, const std::function<void(const Part&)>& body) {
  Pool& pool = Pool::Get();
  // What costs less than waking a thread stays on this one.
  const bool small = s.samples * s.pixels * s.channels < (1 << 13);
  const int64_t split = small ? 1 : std::min(s.groups, (pool.threads() + s.samples - 1) / s.samples);
  const auto one = [&](int64_t i) {
    const int64_t sample = i / split, at = i % split;
    const int64_t from = at * s.groups / split * s.each(), to = (at + 1) * s.groups / split * s.each();
    body({s, sample, from, to});
  };
  if (small)
    for (int64_t i = 0; i < s.samples; i++) one(i);
  else
    pool.For(s.samples * split, one);
}

// Σ over the pixels of what `term` makes of a block of channels.
template <typename Term>
Vec Sum(int64_t pixels, Term term) {
  Vec total{};
  for (int64_t run = 0; run < pixels; run += kRun) {
    Vec even{}, odd{};
    const int64_t end = std::min(pixels, run + kRun);
    int64_t p = run;
    for (; p + 1 < end; p += 2) {
      even += term(p);
      odd += term(p + 1);
    }
    if (p < end) even += term(p);
    total += even + odd;
  }
  return total;
}

template <typename Body>
void ForBlocks(const Part& p, Body body) {
  for (int64_t c = p.first; c < p.last; c += kWidth) {
    if (p.last - c >= kWidth)
      body(c, kWidth);
    else
      body(c, p.last - c);
  }
}

// μ and 1/√(σ² + ε) of each group, in two passes: about each channel's own mean, then the spread of those means.
void Statistics(const Part& p, const float* x, const Vectors& v, float epsilon, float* mean, float* rstd) {
  const Sizes& s = p.s;
  std::vector<float> own(s.channels), within(s.channels);
  ForBlocks(p, [&](int64_t c, int64_t count) {
    const float* from = p.Row(x) + c;
    const Vec mu = Sum(s.pixels, [&](int64_t i) { return Load(from + i * s.channels, count); }) / float(s.pixels);
    const Vec square = Sum(s.pixels, [&](int64_t i) {
      const Vec d = Load(from + i * s.channels, count) - mu;
      return d * d;
    });
    Store(&own[c], mu, count);
    Store(&within[c], square / float(s.pixels), count);
  });
  for (int64_t g = p.first / s.each(); g < p.last / s.each(); g++) {
    float mu = 0, variance = 0;
    for (int64_t c = g * s.each(); c < (g + 1) * s.each(); c++) mu += own[c] += v.Bias(p, c);
    mu /= s.each();
    for (int64_t c = g * s.each(); c < (g + 1) * s.each(); c++) variance += within[c] + (own[c] - mu) * (own[c] - mu);
    mean[p.sample * s.groups + g] = mu;
    rstd[p.sample * s.groups + g] = 1 / std::sqrt(variance / s.each() + epsilon);
  }
}

// Per channel: x̂ = rstd x + centre and, before SiLU, line = gain x̂ + offset.
struct Line {
  std::vector<float> rstd, centre, gain, offset;
  Line(const Part& p, const Vectors& v, const float* mean, const float* inverse)
      : rstd(p.s.channels), centre(p.s.channels), gain(p.s.channels), offset(p.s.channels) {
    for (int64_t c = p.first; c < p.last; c++) {
      const int64_t g = p.sample * p.s.groups + c / p.s.each();
      const float factor = v.Factor(p, c);
      rstd[c] = inverse[g];
      centre[c] = (v.Bias(p, c) - mean[g]) * inverse[g];
      gain[c] = v.gamma[c] * factor;
      offset[c] = v.beta[c] * factor + v.Shift(p, c);
    }
  }
};

template <bool kSilu>
void Forward(const Part& p, const float* x, const Vectors& v, float epsilon, float* y, float* mean, float* rstd) {
  Statistics(p, x, v, epsilon, mean, rstd);
  const Line line(p, v, mean, rstd);
  ForBlocks(p, [&](int64_t c, int64_t count) {
    const Vec gain = Load(&line.gain[c], count), slope = gain * Load(&line.rstd[c], count);
    const Vec offset = gain * Load(&line.centre[c], count) + Load(&line.offset[c], count);
    const float* from = p.Row(x) + c;
    float* to = p.Row(y) + c;
    for (int64_t i = 0; i < p.s.pixels; i++) {
      const Vec l = Load(from + i * p.s.channels, count) * slope + offset;
      Store(to + i * p.s.channels, kSilu ? l * Sigmoid(l) : l, count);
    }
  });
}

// Sums of each sample and channel over the pixels: of d = ∂L/∂line, of d x̂, and of ∂L/∂x. [n, c] each.
struct Sums {
  float *d, *dxhat, *dx;
};

// dx = rstd (gain d − ⟨gain d⟩ − x̂ ⟨gain d x̂⟩), ⟨·⟩ the mean over a group.
template <bool kSilu>
void Backward(const Part& p, const float* dy, const float* x, const Vectors& v, const float* mean, const float* inverse,
              float* dx, const Sums& sums) {
  const Sizes& s = p.s;
  const Line line(p, v, mean, inverse);
  std::vector<float> xhats(s.channels), share0(s.channels), share1(s.channels);
  float *sum0 = sums.d + p.sample * s.channels, *sum1 = sums.dxhat + p.sample * s.channels;
  ForBlocks(p, [&](int64_t c, int64_t count) {
    const Vec rstd = Load(&line.rstd[c], count), centre = Load(&line.centre[c], count);
    const Vec gain = Load(&line.gain[c], count), offset = Load(&line.offset[c], count);
    const float *from = p.Row(x) + c, *grad = p.Row(dy) + c;
    float* to = p.Row(dx) + c;
    Vec one{}, hat{};
    const Vec zero = Sum(s.pixels, [&](int64_t i) {
      const Vec xhat = Load(from + i * s.channels, count) * rstd + centre;
      Vec d = Load(grad + i * s.channels, count);
      if (kSilu) {
        const Vec l = xhat * gain + offset, gate = Sigmoid(l);
        d *= gate * (1.f + l * (1.f - gate));
        Store(to + i * s.channels, d, count);
      }
      one += d * xhat;
      hat += xhat;
      return d;
    });
    Store(sum0 + c, zero, count);
    Store(sum1 + c, one, count);
    Store(&xhats[c], hat, count);
  });
  for (int64_t g = p.first / s.each(); g < p.last / s.each(); g++) {
    float a = 0, b = 0;
    const int64_t from = g * s.each(), to = from + s.each();
    for (int64_t c = from; c < to; c++) {
      a += line.gain[c] * sum0[c];
      b += line.gain[c] * sum1[c];
    }
    const float count = float(s.each() * s.pixels);
    for (int64_t c = from; c < to; c++) {
      share0[c] = a / count;
      share1[c] = b / count;
      sums.dx[p.sample * s.channels + c] =
          line.rstd[c] * (line.gain[c] * sum0[c] - s.pixels * share0[c] - share1[c] * xhats[c]);
    }
  }
  ForBlocks(p, [&](int64_t c, int64_t count) {
    const Vec rstd = Load(&line.rstd[c], count), centre = Load(&line.centre[c], count);
    const Vec gain = Load(&line.gain[c], count), m0 = Load(&share0[c], count), m1 = Load(&share1[c], count);
    const Vec k1 = rstd * gain, k2 = rstd * m1 * rstd, k3 = rstd * (m0 + m1 * centre);
    const float *from = p.Row(x) + c, *d = p.Row(kSilu ? static_cast<const float*>(dx) : dy) + c;
    float* to = p.Row(dx) + c;
    for (int64_t i = 0; i < s.pixels; i++) {
      const int64_t at = i * s.channels;
      Store(to + at, Load(d + at, count) * k1 - Load(from + at, count) * k2 - k3, count);
    }
  });
}

Sizes Measure(const Input& x, int64_t groups) {
  const Shape& shape = CheckImages(x).shape;
  if (shape[3] % groups) Refuse("groups is ", groups, "; it must divide the ", shape[3], " channels of x");
  return {shape[0], shape[1] * shape[2], shape[3], groups};
}

// x and its five vectors, from input `at` on.
struct Inputs {
  Input x;
  Sizes sizes;
  Input gamma, beta, bias, scale, shift;

  Inputs(Call& call, int at, int64_t groups)
      : x(call.In(at)),
        sizes(Measure(x, groups)),
        gamma(call.In(at + 1, {sizes.channels}, kEach)),
        beta(call.In(at + 2, {sizes.channels}, kEach)),
        bias(call.In(at + 3).shape.size() == 4
                 ? call.In(at + 3, {sizes.samples, 1, 1, sizes.channels}, kFilm)
                 : call.Optional(at + 3, {sizes.channels}, kEach)),
        scale(call.Optional(at + 4, {sizes.samples, 1, 1, sizes.channels}, kFilm)),
        shift(call.Optional(at + 5, {sizes.samples, 1, 1, sizes.channels}, kFilm)) {}

  Vectors vectors() const { return {gamma.values, beta.values, bias.values, scale.values, shift.values, bias.shape.size() == 4}; }

  static constexpr const char* kEach = "one value a channel of x";
  static constexpr const char* kFilm = "one value a sample and channel of x";
};

class GroupNorm {
 public:
  explicit GroupNorm(const Attributes& attributes)
      : groups_(attributes.Int("groups")), silu_(attributes.Bool("silu")), epsilon_(attributes.Float("epsilon")) {
    if (groups_ < 1) Refuse("groups is ", groups_, "; it must be at least 1");
    if (!(epsilon_ > 0 && std::isfinite(epsilon_)))
      Refuse("epsilon is ", epsilon_, "; it must be above 0 and finite in float32");
  }

 protected:
  const int64_t groups_;
  const bool silu_;
  const float epsilon_;
};

class GroupNormForward : GroupNorm {
 public:
  static const Signature& Is() {
    static const Signature signature{"LogsnrGroupNorm",
                                     {"x", "gamma", "beta", "bias", "scale", "shift"},
                                     {"y", "mean", "rstd"},
                                     {"groups: int", "silu: bool", "epsilon: float"},
                                     {0}};
    return signature;
  }
  using GroupNorm::GroupNorm;

  void Compute(Call& call) const {
    const Inputs in(call, 0, groups_);
    const Sizes& s = in.sizes;
    float* y = call.Out(0, in.x.shape);
    float *mean = call.Out(1, {s.samples, s.groups}), *rstd = call.Out(2, {s.samples, s.groups});
    const auto forward = silu_ ? Forward<true> : Forward<false>;
    ForParts(s, [&](const Part& p) { forward(p, in.x.values, in.vectors(), epsilon_, y, mean, rstd); });
  }
};

class GroupNormBackward : GroupNorm {
 public:
  static const Signature& Is() {
    static const Signature signature{"LogsnrGroupNormGrad",
                                     {"dy", "x", "gamma", "beta", "bias", "scale", "shift", "mean", "rstd"},
                                     {"dx", "dgamma", "dbeta", "dbias", "dscale", "dshift"},
                                     {"groups: int", "silu: bool", "epsilon: float"},
                                     {1, 2, 3, 4, 5, 6}};
    return signature;
  }
  using GroupNorm::GroupNorm;

  void Compute(Call& call) const {
    const Inputs in(call, 1, groups_);
    const Sizes& s = in.sizes;
    const Input dy = call.In(0, in.x.shape, "the shape of x");
    const Shape grouped{s.samples, s.groups};
    const Input mean = call.In(7, grouped, "one value a sample and group"),
                rstd = call.In(8, grouped, "one value a sample and group");
    float *dx = call.Out(0, in.x.shape), *dgamma = call.Out(1, in.gamma.shape), *dbeta = call.Out(2, in.beta.shape);
    float* dbias = call.Out(3, in.bias.shape);
    float *dscale = call.Out(4, in.scale.shape), *dshift = call.Out(5, in.shift.shape);
    const int64_t film = s.samples * s.channels;
    std::vector<float> sums(3 * film);
    const Sums of{sums.data(), sums.data() + film, sums.data() + 2 * film};
    const Vectors v = in.vectors();
    const auto backward = silu_ ? Backward<true> : Backward<false>;
    ForParts(s, [&](const Part& p) { backward(p, dy.values, in.x.values, v, mean.values, rstd.values, dx, of); });
    for (int64_t c = 0; c < s.channels; c++) {
      float g = 0, b = 0, o = 0;
      for (int64_t n = 0; n < s.samples; n++) {
        const int64_t at = n * s.channels + c;
        const float factor = v.scale ? 1 + v.scale[at] : 1;
        g += factor * of.dxhat[at];
        b += factor * of.d[at];
        o += of.dx[at];
        if (v.bias && v.bias_each) dbias[at] = of.dx[at];
        if (v.scale) dscale[at] = v.gamma[c] * of.dxhat[at] + v.beta[c] * of.d[at];
        if (v.shift) dshift[at] = of.d[at];
      }
      dgamma[c] = g;
      dbeta[c] = b;
      if (v.bias && !v.bias_each) dbias[c] = o;
    }
  }
};

}  // namespace

void RegisterGroupNorm(TF_Status* status) {
  Register<GroupNormForward>(status);
  Register<GroupNormBackward>(status);
}
