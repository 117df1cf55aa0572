// Operations that the library lacks, added to it when this file is loaded.
#include <node_api.h>

#include <string>

#include "kernel.h"

void RegisterGroupNorm(TF_Status*);
void RegisterAdam(TF_Status*);
void RegisterConvolution(TF_Status*);
void RegisterLinear(TF_Status*);
void RegisterAttention(TF_Status*);

namespace {

// Why it failed, or nothing.
std::string RegisterAll() {
  TF_Status* status = TF_NewStatus();
  RegisterGroupNorm(status);
  RegisterAdam(status);
  RegisterConvolution(status);
  RegisterLinear(status);
  RegisterAttention(status);
  const std::string failure = TF_GetCode(status) == TF_OK ? "" : TF_Message(status);
  TF_DeleteStatus(status);
  return failure;
}

const std::string failure = RegisterAll();

}  // namespace

// Weak, so that a profile in Python can load this file too (tf.load_op_library).
#pragma weak napi_throw_error

NAPI_MODULE_INIT() {
  if (!failure.empty()) napi_throw_error(env, nullptr, failure.c_str());
  return exports;
}
