// Loads libtensorflow_framework with stderr closed. While it initializes itself, before any level can be set, it writes
// two lines about oneDNN there, which nobody can act on. An error is not lost: the binding loads the same library next.
#include <dlfcn.h>
#include <fcntl.h>
#include <node_api.h>
#include <unistd.h>

NAPI_MODULE_INIT() {
  const int saved = dup(2);
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (saved >= 0 && null >= 0 && dup2(null, 2) == 2) {
    dlopen(LOGSNR_FRAMEWORK, RTLD_LAZY | RTLD_LOCAL);
    dup2(saved, 2);
  }
  if (saved >= 0) close(saved);
  if (null >= 0) close(null);
  return exports;
}
