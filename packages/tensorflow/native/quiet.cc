// Loads libtensorflow_framework, which reads its settings once, from the environment of C, while it initializes itself.
// In a worker thread process.env is a copy, so what is set there is handed over here. And stderr is closed meanwhile, as
// two lines about oneDNN come before any level can be set, on which nobody can act. An error is not lost: the binding
// loads the same library next.
#include <dlfcn.h>
#include <fcntl.h>
#include <node_api.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <string>

namespace {

std::string text(napi_env env, napi_value array, uint32_t at) {
  napi_value value;
  size_t length = 0;
  if (napi_get_element(env, array, at, &value) != napi_ok) return "";
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return "";
  std::string result(length + 1, '\0');
  napi_get_value_string_utf8(env, value, &result[0], length + 1, &length);
  result.resize(length);
  return result;
}

void load(bool quiet) {
  const int saved = quiet ? dup(2) : -1;
  const int null = quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
  const bool closed = saved >= 0 && null >= 0 && dup2(null, 2) == 2;
  dlopen(LOGSNR_FRAMEWORK, RTLD_LAZY | RTLD_LOCAL);
  if (closed) dup2(saved, 2);
  if (saved >= 0) close(saved);
  if (null >= 0) close(null);
}

// load([name, value, …], quiet): the names of the settings that come too late, the library being loaded already.
napi_value Load(napi_env env, napi_callback_info info) {
  static std::mutex one;
  const std::lock_guard<std::mutex> lock(one);
  size_t count = 2;
  napi_value given[2], late;
  uint32_t length = 0, missed = 0;
  bool quiet = false;
  napi_get_cb_info(env, info, &count, given, nullptr, nullptr);
  napi_get_array_length(env, given[0], &length);
  napi_get_value_bool(env, given[1], &quiet);
  napi_create_array(env, &late);
  const bool loaded = dlopen(LOGSNR_FRAMEWORK, RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD) != nullptr;
  for (uint32_t at = 0; at + 1 < length; at += 2) {
    const std::string name = text(env, given[0], at), value = text(env, given[0], at + 1);
    const char* now = getenv(name.c_str());
    if (now != nullptr && value == now) continue;
    if (!loaded) {
      setenv(name.c_str(), value.c_str(), 1);
      continue;
    }
    napi_value missing;
    napi_create_string_utf8(env, name.c_str(), name.size(), &missing);
    napi_set_element(env, late, missed++, missing);
  }
  if (!loaded) load(quiet);
  return late;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "load", NAPI_AUTO_LENGTH, Load, nullptr, &function);
  napi_set_named_property(env, exports, "load", function);
  return exports;
}
