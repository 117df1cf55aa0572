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

// β and 1 − β.
struct Betas {
  float beta1, beta2, rest1, rest2;
};

void* Create(TF_OpKernelConstruction* construction) {
  TF_Status* status = TF_NewStatus();
  auto* betas = new Betas;
  const auto read = [&](const char* name, float* to) {
    if (TF_GetCode(status) == TF_OK) TF_OpKernelConstruction_GetAttrFloat(construction, name, to, status);
  };
  read("beta1", &betas->beta1);
  read("beta2", &betas->beta2);
  read("rest1", &betas->rest1);
  read("rest2", &betas->rest2);
  if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
  return betas;
}

void Destroy(void* betas) { delete static_cast<Betas*>(betas); }

// Values a piece: enough to be worth a thread.
constexpr int64_t kPiece = 1 << 14;

void Compute(void* kernel, TF_OpKernelContext* context) {
  const auto [beta1, beta2, rest1, rest2] = *static_cast<Betas*>(kernel);
  Call call(context);
  TF_Tensor* vectors[4];
  TF_Tensor* scalars[3];
  for (int i = 0; i < 4; i++) vectors[i] = call.Input(i);
  for (int i = 0; i < 3; i++) scalars[i] = call.Input(4 + i);
  if (!call.Check()) return;
  const int64_t count = TF_TensorElementCount(vectors[0]);
  for (TF_Tensor* vector : vectors)
    if (TF_TensorElementCount(vector) != count) call.Fail("p, g, m and v must have one size");
  for (TF_Tensor* scalar : scalars)
    if (TF_TensorElementCount(scalar) != 1) call.Fail("rate, epsilon and keep must be scalars");
  if (!call.Check()) return;
  const float *p = Call::Values(vectors[0]), *g = Call::Values(vectors[1]);
  const float *m = Call::Values(vectors[2]), *v = Call::Values(vectors[3]);
  const float rate = *Call::Values(scalars[0]), epsilon = *Call::Values(scalars[1]), keep = *Call::Values(scalars[2]);
  float* p_new = call.Output(0, ShapeOf(vectors[0]));
  float* m_new = call.Output(1, ShapeOf(vectors[2]));
  float* v_new = call.Output(2, ShapeOf(vectors[3]));
  if (!call.Check()) return;
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

void AdamShapes(TF_ShapeInferenceContext* context, TF_Status* status) { Shapes(context, {0, 2, 3}, status); }

}  // namespace

void RegisterAdam(TF_Status* status) {
  Register({"LogsnrAdam",
            {"p", "g", "m", "v", "rate", "epsilon", "keep"},
            {"p_new", "m_new", "v_new"},
            {"beta1: float", "beta2: float", "rest1: float", "rest2: float"},
            AdamShapes,
            Create,
            Compute,
            Destroy},
           status);
}
