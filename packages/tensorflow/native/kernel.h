// What every operation here shares of TensorFlow's C interface: attributes, the tensors of a call, and registration.
//
// An operation is a class. Its constructor reads the attributes from an `Attributes`. `Compute(Call&)` does the work, and
// `Is()` says what TensorFlow must know. Whatever either throws becomes the status of the call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <sstream>
#include <string>
#include <vector>

// Leaves out a header for remote devices, which no wheel carries.
#define IS_SLIM_BUILD

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_datatype.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

using Shape = std::vector<int64_t>;

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (size_t i = 0; i < shape.size(); i++) out << (i ? ", " : "") << shape[i];
  return out << ']';
}

// Why a call ends without a result.
struct Failure {
  TF_Code code;
  std::string text;
};

// Ends the call as one with a bad argument, for the reason that the parts say.
template <typename... Parts>
[[noreturn]] void Refuse(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Failure{TF_INVALID_ARGUMENT, text.str()};
}

// A status of TensorFlow's. `Check` throws what it holds.
class Status {
 public:
  operator TF_Status*() const { return status_.get(); }
  bool ok() const { return TF_GetCode(status_.get()) == TF_OK; }
  void Check() const {
    if (!ok()) throw Failure{TF_GetCode(status_.get()), TF_Message(status_.get())};
  }

 private:
  std::unique_ptr<TF_Status, void (*)(TF_Status*)> status_{TF_NewStatus(), TF_DeleteStatus};
};

// Runs `body` and hands a failure to `report`. No exception leaves it.
template <typename Body, typename Report>
void Guard(const char* operation, Body body, Report report) noexcept {
  Status status;
  try {
    body();
  } catch (const Failure& failure) {
    TF_SetStatus(status, failure.code, (std::string(operation) + ": " + failure.text).c_str());
  } catch (const std::bad_alloc&) {
    TF_SetStatus(status, TF_RESOURCE_EXHAUSTED, "an operation found no memory for its work");
  } catch (const std::exception& error) {
    TF_SetStatus(status, TF_INTERNAL, error.what());
  }
  if (!status.ok()) report(status);
}

// The attributes of an operation.
class Attributes {
 public:
  explicit Attributes(TF_OpKernelConstruction* construction) : construction_(construction) {}

  int64_t Int(const char* name) const { return Read<int64_t>(TF_OpKernelConstruction_GetAttrInt64, name); }
  float Float(const char* name) const { return Read<float>(TF_OpKernelConstruction_GetAttrFloat, name); }
  bool Bool(const char* name) const { return Read<unsigned char>(TF_OpKernelConstruction_GetAttrBool, name); }

 private:
  template <typename T, typename Get>
  T Read(Get get, const char* name) const {
    const Status status;
    T value{};
    get(construction_, name, &value, status);
    status.Check();
    return value;
  }

  TF_OpKernelConstruction* construction_;
};

// More could overflow the size of a kernel, and an empty batch may say that it has them.
constexpr int64_t kMostChannels = 1 << 20;

struct Input {
  const char* name;
  Shape shape;
  int64_t count;
  const float* values;  // null where there are none
};

// The tensors of one call, freed with it.
class Call {
 public:
  Call(const std::vector<const char*>& names, TF_OpKernelContext* context) : names_(names), context_(context) {}

  Input In(int i) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, i, &tensor, status_);
    const void* values = Own(tensor);
    const int64_t count = TF_TensorElementCount(tensor);
    Input input{names_[i], {}, count, count > 0 ? static_cast<const float*>(values) : nullptr};
    for (int d = 0; d < TF_NumDims(tensor); d++) input.shape.push_back(TF_Dim(tensor, d));
    return input;
  }

  // An input that must have a shape, which `meaning` explains.
  Input In(int i, const Shape& shape, const char* meaning) {
    Input input = In(i);
    if (input.shape != shape) Refuse(input.name, " has shape ", input.shape, "; it must have ", shape, ", ", meaning);
    return input;
  }

  // The same for one that may be left out, by the shape [0].
  Input Optional(int i, const Shape& shape, const char* meaning) {
    Input input = In(i);
    if (input.shape != shape && input.shape != Shape{0})
      Refuse(input.name, " has shape ", input.shape, "; it must have ", shape, ", ", meaning, ", or [0] for none");
    return input;
  }

  float* Out(int i, const Shape& shape) {
    size_t bytes = sizeof(float);
    for (int64_t size : shape) bytes *= size;
    const int rank = static_cast<int>(shape.size());
    return static_cast<float*>(Own(TF_AllocateOutput(context_, i, TF_FLOAT, shape.data(), rank, bytes, status_)));
  }

 private:
  void* Own(TF_Tensor* tensor) {
    owned_.emplace_back(tensor, TF_DeleteTensor);
    status_.Check();
    return TF_TensorData(tensor);
  }

  const std::vector<const char*>& names_;
  TF_OpKernelContext* context_;
  Status status_;
  std::vector<std::unique_ptr<TF_Tensor, void (*)(TF_Tensor*)>> owned_;
};

// An empty batch can have any other sizes, so their product may overflow.
inline void CheckProduct(const Input& x) {
  int64_t bytes = sizeof(float);
  for (int64_t size : x.shape)
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes))
      Refuse(x.name, " has shape ", x.shape, "; its sizes must multiply to less than 2^61");
}

// Images [n, h, w, c], whose sizes this checks before anything is computed from them.
inline const Input& CheckImages(const Input& x) {
  const Shape& shape = x.shape;
  if (shape.size() != 4 || shape[1] < 1 || shape[2] < 1 || shape[3] < 1)
    Refuse(x.name, " has shape ", shape, "; it must have [n, h, w, c], with h, w and c of at least 1");
  CheckProduct(x);
  return x;
}

// The sizes [from, to) of an input's shape.
struct SizesOf {
  int input, from, to;
};

// An operation on float tensors, for the processor. Output i has the shape of input like[i], or output 0 has the sizes in
// `joined`; the shapes of further outputs are left open.
struct Signature {
  const char* name;
  std::vector<const char*> inputs, outputs, attributes;
  std::vector<int> like;
  std::vector<SizesOf> joined = {};
};

class Handle {
 public:
  operator TF_ShapeHandle*() const { return handle_.get(); }

 private:
  std::unique_ptr<TF_ShapeHandle, void (*)(TF_ShapeHandle*)> handle_{TF_NewShapeHandle(), TF_DeleteShapeHandle};
};

template <typename Operation>
void Shapes(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
  const auto good = [&] { return TF_GetCode(status) == TF_OK; };
  const Handle shape, joined;
  int output = 0;
  for (int input : Operation::Is().like) {
    if (good()) TF_ShapeInferenceContextGetInput(context, input, shape, status);
    if (good()) TF_ShapeInferenceContextSetOutput(context, output++, shape, status);
  }
  for (const auto& [input, from, to] : Operation::Is().joined) {
    const bool first = &input == &Operation::Is().joined.front().input;
    if (good()) TF_ShapeInferenceContextGetInput(context, input, shape, status);
    if (good()) TF_ShapeInferenceContextWithRankAtLeast(context, shape, to, shape, status);
    if (good()) TF_ShapeInferenceContextSubshape(context, shape, from, to, first ? joined : shape, status);
    if (good() && !first) TF_ShapeInferenceContextConcatenateShapes(context, joined, shape, joined, status);
  }
  if (good() && !Operation::Is().joined.empty()) TF_ShapeInferenceContextSetOutput(context, 0, joined, status);
}

template <typename Operation>
void* Create(TF_OpKernelConstruction* construction) {
  void* operation = nullptr;
  Guard(
      Operation::Is().name, [&] { operation = new Operation(Attributes(construction)); },
      [&](TF_Status* status) { TF_OpKernelConstruction_Failure(construction, status); });
  return operation;
}

template <typename Operation>
void Compute(void* operation, TF_OpKernelContext* context) {
  const auto work = [&] {
    Call call(Operation::Is().inputs, context);
    static_cast<const Operation*>(operation)->Compute(call);
  };
  Guard(Operation::Is().name, work, [&](TF_Status* status) { TF_OpKernelContext_Failure(context, status); });
}

template <typename Operation>
void Destroy(void* operation) {
  delete static_cast<Operation*>(operation);
}

template <typename Operation>
void Register(TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) return;
  const Signature& is = Operation::Is();
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(is.name);
  const auto floats = [](const char* name) { return std::string(name) + ": float"; };
  for (const char* input : is.inputs) TF_OpDefinitionBuilderAddInput(definition, floats(input).c_str());
  for (const char* output : is.outputs) TF_OpDefinitionBuilderAddOutput(definition, floats(output).c_str());
  for (const char* attribute : is.attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, Shapes<Operation>);
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) != TF_OK) return;
  TF_KernelBuilder* kernel =
      TF_NewKernelBuilder(is.name, "CPU", Create<Operation>, Compute<Operation>, Destroy<Operation>);
  TF_RegisterKernelBuilder(is.name, kernel, status);
}
