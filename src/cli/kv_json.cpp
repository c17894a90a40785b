#include "cli/kv_json.hpp"

#include "base/bytes.hpp"

namespace bennu::cli {

using nlohmann::json;

json bytes_json(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  return {{"hex", to_hex(bytes)}};
}

Result<std::string> bytes_from_json(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.size() == 1 && value.contains("hex") && value["hex"].is_string()) {
    if (auto bytes = from_hex(value["hex"].get<std::string>())) return std::move(*bytes);
  }
  return make_error(Code::kInvalidArgument, "keys and values are strings or {\"hex\": \"…\"}");
}

json kv_json(const kv::KeyValue& kv, bool with_value) {
  json out = {{"key", bytes_json(kv.key)},
              {"create_revision", kv.create_revision.value},
              {"mod_revision", kv.mod_revision.value},
              {"version", kv.version},
              {"lease", kv.lease.value}};
  if (with_value) out["value"] = bytes_json(kv.value);
  return out;
}

json event_json(const kv::Event& event) {
  const bool put = event.type == kv::EventType::kPut;
  json out = kv_json(event.kv, put);
  out["type"] = put ? "put" : "delete";
  if (!event.prev_kv.empty()) out["prev"] = bytes_json(event.prev_kv[0].value);
  return out;
}

}  // namespace bennu::cli
