// A growing array of plain values that reports a lack of memory instead of throwing.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

namespace kvm {

// Positions are 32 bits wide: past 4 Gi elements it reports a lack of memory.
template <typename T>
class PlainArray {
  static_assert(std::is_trivially_copyable<T>::value, "moved by realloc");

 public:
  PlainArray() = default;
  PlainArray(const PlainArray&) = delete;
  PlainArray& operator=(const PlainArray&) = delete;
  PlainArray(PlainArray&& other) noexcept { *this = std::move(other); }
  PlainArray& operator=(PlainArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~PlainArray() { std::free(data_); }

  // False: out of memory, and nothing has changed. `values` must not lie in this array.
  bool Append(const T* values, std::size_t count) {
    if (count > capacity_ - size_ && !Grow(count)) return false;
    if (count > 0) std::memcpy(static_cast<void*>(data_ + size_), values, count * sizeof(T));
    size_ += static_cast<std::uint32_t>(count);
    return true;
  }
  bool Append(const T& value) { return Append(&value, 1); }
  void Truncate(std::uint32_t size) { size_ = size; }

  std::uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }

 private:
  // By half: large blocks are moved by mremap, not copied.
  bool Grow(std::size_t count) {
    const std::size_t needed = size_ + count;
    std::size_t capacity = capacity_ + std::size_t{capacity_} / 2;
    if (capacity < needed) capacity = needed;
    if (capacity * sizeof(T) < 1024) capacity = (1024 + sizeof(T) - 1) / sizeof(T);
    if (capacity > UINT32_MAX) return false;
    void* data = std::realloc(static_cast<void*>(data_), capacity * sizeof(T));
    if (data == nullptr) return false;
    data_ = static_cast<T*>(data);
    capacity_ = static_cast<std::uint32_t>(capacity);
    return true;
  }

  T* data_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace kvm
