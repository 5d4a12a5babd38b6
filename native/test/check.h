// A registry of tests and their assertions, for tests of one translation unit: a `*_test.cc` includes this
// header, which also brings `main`, and is linked with the code under test. Arguments select tests by a part
// of their name.
//
// CHECK and CHECK_EQ report and go on; REQUIRE reports and ends the process, for what the rest of a test
// rests on. All may be used from any thread.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sstream>
#include <string>

namespace check {

struct Test {
  Test(const char* test_name, void (*test_body)()) : name(test_name), body(test_body) {
    *tail() = this;
    tail() = &next;
  }
  // Where the next test is linked in: tests run in the order of their definition.
  static Test**& tail() {
    static Test** end = &first();
    return end;
  }
  static Test*& first() {
    static Test* head = nullptr;
    return head;
  }

  const char* name;
  void (*body)();
  Test* next = nullptr;
};

inline std::atomic<int>& Failures() {
  static std::atomic<int> failures{0};
  return failures;
}

inline int ExitCode() { return Failures().load() == 0 ? 0 : 1; }

inline void Fail(const char* file, int line, const std::string& what) {
  Failures().fetch_add(1);
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

template <typename T>
std::string Show(const T& value) {
  std::ostringstream text;
  text << std::boolalpha << value;
  return text.str();
}

template <typename A, typename B>
bool Equal(const A& a, const B& b, const char* a_text, const char* b_text, const char* file, int line) {
  if (a == b) return true;
  Fail(file, line, std::string(a_text) + " == " + b_text + "\n  left  " + Show(a) + "\n  right " + Show(b));
  return false;
}

// Where a test cannot run here. With KVM_NO_SKIP=1 that is a failure.
inline void Skip(const char* file, int line, const char* reason) {
  const char* no_skip = std::getenv("KVM_NO_SKIP");
  if (no_skip != nullptr && std::strcmp(no_skip, "1") == 0) return Fail(file, line, reason);
  std::printf("skipped: %s\n", reason);
}

inline double Seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

inline bool Selected(const char* name, int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    if (std::strstr(name, argv[i]) != nullptr) return true;
  }
  return argc < 2;
}

inline int RunAll(int argc, char** argv) {
  int count = 0;
  for (const Test* test = Test::first(); test != nullptr; test = test->next) {
    if (!Selected(test->name, argc, argv)) continue;
    const int before = Failures().load();
    const double start = Seconds();
    test->body();
    count++;
    std::printf("%s %s (%.0f ms)\n", Failures().load() == before ? "ok    " : "FAILED", test->name,
                (Seconds() - start) * 1000);
    std::fflush(stdout);
  }
  if (count == 0) std::fprintf(stderr, "no test of that name\n");
  return count == 0 ? 1 : ExitCode();
}

}  // namespace check

#define TEST(name)                                         \
  static void test_##name();                               \
  static check::Test registered_##name(#name, test_##name); \
  static void test_##name()

#define CHECK(condition) ((condition) ? true : (check::Fail(__FILE__, __LINE__, #condition), false))

// `a` and `b` need == and << to a stream; each is evaluated once.
#define CHECK_EQ(a, b) check::Equal((a), (b), #a, #b, __FILE__, __LINE__)

#define REQUIRE(condition)                                      \
  do {                                                          \
    if (!CHECK(condition)) {                                    \
      std::perror("  errno");                                   \
      std::_Exit(1);                                            \
    }                                                           \
  } while (false)

#define SKIP_UNLESS(condition, reason)              \
  do {                                              \
    if (!(condition)) {                             \
      return check::Skip(__FILE__, __LINE__, reason); \
    }                                               \
  } while (false)

namespace check {

// Runs `body` in a child process, for what must not change this one: limits, identity, mounts. What fails
// there fails here.
template <typename Body>
void InChild(Body body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    Failures() = 0;
    body();
    std::fflush(nullptr);
    ::_exit(ExitCode());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK_EQ(status, 0);
}

}  // namespace check

int main(int argc, char** argv) { return check::RunAll(argc, argv); }
