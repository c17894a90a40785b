#pragma once
// What   `Result<T>`: a value or an Error, and the two macros that pass errors on.
// Why    libstdc++ 12 does not mark `std::expected` as nodiscard and has no `and_then`; a dropped
//        error must warn.
// Use    `BENNU_TRY(f());` returns f's error from the enclosing function; `BENNU_ASSIGN(auto x,
//        g());` also takes the value.
// Threads A plain value.
// Source own design (CONTRIBUTING.md).

#include <expected>
#include <type_traits>
#include <utility>

#include "base/error.hpp"

namespace bennu {

/// A value or an Error. Construct from either: `return Error{...};` works as `return value;` does.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using Base = std::expected<T, Error>;
  using Base::Base;
  Result() = default;
  // Implicit, so that an Error can be returned as it is.
  Result(Error error)  // NOLINT(google-explicit-constructor)
      : Base(std::unexpect, std::move(error)) {}

  /// The same result, its error (if any) with `context: ` before the message.
  [[nodiscard]] Result with_context(std::string_view context) && {
    if (!this->has_value()) this->error() = std::move(this->error()).with_context(context);
    return std::move(*this);
  }
};

using Status = Result<void>;

}  // namespace bennu

#define BENNU_CONCAT_INNER(a, b) a##b
#define BENNU_CONCAT(a, b) BENNU_CONCAT_INNER(a, b)

#define BENNU_TRY_INNER(temporary, ...)                                                  \
  do {                                                                                   \
    if (auto temporary = (__VA_ARGS__); !temporary) return std::move(temporary).error(); \
  } while (false)

/// Evaluates a Result and returns its error from the enclosing function, which must return a
/// Result.
#define BENNU_TRY(...) BENNU_TRY_INNER(BENNU_CONCAT(bennu_try_, __COUNTER__), __VA_ARGS__)

#define BENNU_ASSIGN_INNER(temporary, declaration, ...) \
  auto temporary = (__VA_ARGS__);                       \
  if (!temporary) return std::move(temporary).error();  \
  declaration = std::move(*temporary)

/// `BENNU_ASSIGN(auto x, expr)`: as BENNU_TRY, and the value is moved into the declaration or
/// lvalue.
#define BENNU_ASSIGN(declaration, ...) \
  BENNU_ASSIGN_INNER(BENNU_CONCAT(bennu_result_, __COUNTER__), declaration, __VA_ARGS__)
