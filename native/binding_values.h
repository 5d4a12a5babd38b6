// Values from C++ to JavaScript and back, by plain Node-API.
//
// In a worker_thread that is being terminated any call into JavaScript may fail, and nobody is left to be
// told. Here a failure is a status and ends the function; the C++ wrapper would make it a fatal error of the
// process.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace kvm {

inline double Milliseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

// Values for JavaScript; nullptr (which is undefined there) when the environment is past making any.
inline napi_value Number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

inline napi_value String(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

inline napi_value Words(napi_env env, const std::uint64_t* words, std::size_t count) {
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  void* bytes = nullptr;
  if (napi_create_arraybuffer(env, count * sizeof *words, &bytes, &buffer) != napi_ok) return nullptr;
  std::memcpy(bytes, words, count * sizeof *words);
  napi_create_typedarray(env, napi_biguint64_array, count, buffer, 0, &array);
  return array;
}

// The arguments of a call, and the data of its function.
template <std::size_t kCount>
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    std::size_t count = kCount;
    napi_get_cb_info(env, info, &count, values_, nullptr, &data_);
  }
  double Number(std::size_t at) const {
    double number = 0;
    napi_get_value_double(env_, values_[at], &number);
    return number;
  }
  bool Bool(std::size_t at) const {
    bool value = false;
    napi_get_value_bool(env_, values_[at], &value);
    return value;
  }
  std::string String(std::size_t at) const {
    std::size_t length = 0;
    if (napi_get_value_string_utf8(env_, values_[at], nullptr, 0, &length) != napi_ok) return {};
    std::string text(length, '\0');
    napi_get_value_string_utf8(env_, values_[at], text.data(), length + 1, &length);
    return text;
  }
  napi_value Value(std::size_t at) const { return values_[at]; }
  void* data() const { return data_; }

 private:
  napi_env env_;
  napi_value values_[kCount] = {};
  void* data_ = nullptr;
};

}  // namespace kvm
