#pragma once
// What   Keys, values and events as JSON, and bytes back from it.
// Why    kv get, ls, history, watch and txn print and read the same forms.
// Units  Bytes that are not UTF-8 are {"hex": "…"}.
// Errors bytes_from_json: kInvalidArgument.
// Threads Pure functions.
// Source own design.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "kv/types.hpp"

namespace bennu::cli {

[[nodiscard]] nlohmann::json bytes_json(std::string_view bytes);
[[nodiscard]] Result<std::string> bytes_from_json(const nlohmann::json& value);
[[nodiscard]] nlohmann::json kv_json(const kv::KeyValue& kv, bool with_value);
/// As kv_json, with "type": "put" or "delete", and "prev" where it is known.
[[nodiscard]] nlohmann::json event_json(const kv::Event& event);

}  // namespace bennu::cli
