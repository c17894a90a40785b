#pragma once
// What   A store and a repository side by side, with what every sync operation needs besides.
// Why    One argument instead of nine; the caller owns everything in it.
// Use    Fill it in `node`; pass it to restore, export, import, verify, plan. Everything outlives
//        the call.
// Threads One sync operation at a time on a link; the store may be used by others meanwhile.
// Source own design.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "env/clock.hpp"
#include "env/random.hpp"
#include "git/repository.hpp"
#include "kv/store.hpp"

namespace bennu::sync {

/// A sync that deletes more keys than both needs a confirmed plan.
struct DeleteBudget {
  std::int64_t keys = 10;
  std::int64_t percent = 20;

  /// `total`: the keys that there were. To delete all of several is always over.
  [[nodiscard]] bool is_over(std::int64_t deleted, std::int64_t total) const {
    return (deleted > 1 && deleted >= total) || (deleted > keys && deleted * 100 > percent * total);
  }
};

/// Progress of long work: what is being done, how far, of how many (0: unknown). Called from one
/// thread.
using Progress =
    std::function<void(std::string_view what, std::uint64_t done, std::uint64_t total)>;

struct Link {
  kv::Store& store;
  git::Repository& repository;
  /// Empty: no remote, the local repository is all there is.
  std::string remote_url;
  std::string branch = "main";
  /// The age identity that opens the key ring; may not exist.
  std::filesystem::path identity;
  std::string node_name;
  DeleteBudget budget;
  env::Clock& clock;
  env::Random& random;
  std::stop_token stop;
  Progress progress = [](std::string_view, std::uint64_t, std::uint64_t) {};
};

/// For loops over many keys that have written nothing yet: kCancelled once a stop was asked for.
[[nodiscard]] inline Status go_on(const Link& link) {
  if (!link.stop.stop_requested()) return {};
  return make_error(Code::kCancelled, "interrupted; nothing was changed");
}

}  // namespace bennu::sync
