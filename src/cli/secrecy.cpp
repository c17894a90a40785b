#include "cli/secrecy.hpp"

#include <fmt/format.h>

#include <utility>

#include "sync/put_check.hpp"
#include "sync/reasons.hpp"
#include "sync/shown_key.hpp"
#include "sync/state_tree.hpp"

namespace bennu::cli {

Result<const sync::Mapping*> Secrecy::locked() {
  if (!locked_) {
    BENNU_ASSIGN(locked_, sync::mapping_of_state(*reader_, {}, {}));
  }
  return &*locked_;
}

Result<const sync::Mapping*> Secrecy::open() {
  if (!open_) {
    BENNU_ASSIGN(open_, sync::mapping_of_state(*reader_, {}, identity_));
  }
  return &*open_;
}

Result<std::string> Secrecy::shown(std::string_view key) {
  BENNU_ASSIGN(const auto* mapping, locked());
  if (sync::holds_secret_name(*mapping, key)) {
    // Where the key ring does not open, the name is left out.
    if (const auto opened = open()) mapping = *opened;
  }
  return sync::shown_key(*mapping, key);
}

// A name that the store has in clear already came with the identity; the next export needs it
// anyway.
Result<bool> Secrecy::is_known_name(std::string_view key) {
  const std::string prefix(locked_->match_key(key).prefix);
  BENNU_ASSIGN(const auto there,
               reader_->range({.range = kv::prefix_range(prefix), .count_only = true}));
  return there.count > 0;
}

Status Secrecy::may_put(std::string_view key, std::string_view value) {
  BENNU_ASSIGN(const auto* mapping, locked());
  const sync::PutNeeds needs = sync::needs_of_put(*mapping, key, value);
  if (needs == sync::PutNeeds::kNothing) return {};
  if (needs == sync::PutNeeds::kTooLarge) {
    BENNU_ASSIGN(const std::string place, shown(key));
    return make_error(Code::kInvalidArgument,
                      fmt::format("{}: a secret has at most 1 MiB, this one has {} bytes: shorten "
                                  "or split it. Nothing was changed",
                                  place, value.size()));
  }
  if (needs == sync::PutNeeds::kRefused) {
    BENNU_ASSIGN(const std::string place, shown(key));
    return make_error(
        Code::kInvalidArgument,
        fmt::format("{}: is no field, and its file in Git would show a secret name; choose a key "
                    "that does not hold it",
                    place));
  }
  if (needs == sync::PutNeeds::kName) {
    BENNU_ASSIGN(const bool known, is_known_name(key));
    if (known) return {};
  }
  BENNU_ASSIGN(const auto* opened, open());
  if (!opened->ring().empty()) return {};
  return make_error(Code::kFailedPrecondition,
                    fmt::format("{}: is secret, and {}. Nothing was changed",
                                sync::shown_key(*opened, key), opened->ring().advice()),
                    sync::reason::kNoKey);
}

Status Secrecy::may_write(const kv::TxnRequest& request) {
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const kv::Op& op : *branch) {
      if (const auto* put = std::get_if<kv::PutRequest>(&op.request)) {
        // With ignore_value the value stays what it is.
        if (!put->ignore_value) BENNU_TRY(may_put(put->key, put->value));
      }
      if (const auto* nested = std::get_if<kv::TxnRequest>(&op.request)) {
        BENNU_TRY(may_write(*nested));
      }
    }
  }
  return {};
}

}  // namespace bennu::cli
