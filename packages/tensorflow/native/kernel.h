// What every operation here shares of TensorFlow's C interface: the tensors of a call, and registration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Leaves out a header for remote devices, which no wheel carries.
#define IS_SLIM_BUILD

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_datatype.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

// The tensors of one call, freed with it; a failure is reported once.
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}
  ~Call() {
    for (TF_Tensor* tensor : owned_) TF_DeleteTensor(tensor);
    TF_DeleteStatus(status_);
  }

  TF_Tensor* Input(int i) {
    TF_Tensor* tensor = nullptr;
    if (ok()) TF_GetInput(context_, i, &tensor, status_);
    return Own(tensor);
  }

  // An input's values, or null where it has none.
  static const float* Values(TF_Tensor* tensor) {
    return tensor && TF_TensorElementCount(tensor) > 0 ? static_cast<const float*>(TF_TensorData(tensor)) : nullptr;
  }

  float* Output(int i, const std::vector<int64_t>& shape) {
    if (!ok()) return nullptr;
    size_t bytes = sizeof(float);
    for (int64_t size : shape) bytes *= size;
    TF_Tensor* tensor =
        Own(TF_AllocateOutput(context_, i, TF_FLOAT, shape.data(), static_cast<int>(shape.size()), bytes, status_));
    return ok() ? static_cast<float*>(TF_TensorData(tensor)) : nullptr;
  }

  bool ok() const { return TF_GetCode(status_) == TF_OK; }
  void Fail(const char* message) { TF_SetStatus(status_, TF_INVALID_ARGUMENT, message); }

  // Whether all is well so far; reports it otherwise.
  bool Check() {
    if (!ok()) TF_OpKernelContext_Failure(context_, status_);
    return ok();
  }

 private:
  TF_Tensor* Own(TF_Tensor* tensor) {
    if (tensor) owned_.push_back(tensor);
    return tensor;
  }

  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::vector<TF_Tensor*> owned_;
};

inline std::vector<int64_t> ShapeOf(TF_Tensor* tensor) {
  std::vector<int64_t> shape;
  for (int i = 0; i < TF_NumDims(tensor); i++) shape.push_back(TF_Dim(tensor, i));
  return shape;
}

// An operation on float tensors, for the processor.
struct Operation {
  const char* name;
  std::vector<const char*> inputs, outputs, attributes;
  void (*shapes)(TF_ShapeInferenceContext*, TF_Status*);
  void* (*create)(TF_OpKernelConstruction*);
  void (*compute)(void*, TF_OpKernelContext*);
  void (*destroy)(void*);
};

// Output i has the shape of input from[i]; the shapes of further outputs are left open.
inline void Shapes(TF_ShapeInferenceContext* context, const std::vector<int>& from, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
  TF_ShapeHandle* shape = TF_NewShapeHandle();
  for (size_t i = 0; i < from.size(); i++) {
    TF_ShapeInferenceContextGetInput(context, from[i], shape, status);
    if (TF_GetCode(status) != TF_OK) break;
    TF_ShapeInferenceContextSetOutput(context, static_cast<int>(i), shape, status);
  }
  TF_DeleteShapeHandle(shape);
}

inline void Register(const Operation& operation, TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) return;
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(operation.name);
  const auto floats = [](const char* name) { return std::string(name) + ": float"; };
  for (const char* input : operation.inputs) TF_OpDefinitionBuilderAddInput(definition, floats(input).c_str());
  for (const char* output : operation.outputs) TF_OpDefinitionBuilderAddOutput(definition, floats(output).c_str());
  for (const char* attribute : operation.attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, operation.shapes);
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) != TF_OK) return;
  TF_KernelBuilder* kernel =
      TF_NewKernelBuilder(operation.name, "CPU", operation.create, operation.compute, operation.destroy);
  TF_RegisterKernelBuilder(operation.name, kernel, status);
}
