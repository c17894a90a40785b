#include "git/object_sink.hpp"

#include <fmt/format.h>

#include "git/reasons.hpp"

namespace bennu::git {

Result<ObjectId> HashSink::add(ObjectKind kind, std::string_view bytes) {
  const ObjectId id = hash_object(kind, bytes);
  if (kind == ObjectKind::kTree) trees_.try_emplace(id, bytes);
  return id;
}

Result<Object> HashSink::read(const ObjectId& id) {
  const auto found = trees_.find(id);
  if (found != trees_.end()) return Object{.kind = ObjectKind::kTree, .bytes = found->second};
  if (repository_ != nullptr) return repository_->read(id);
  return make_error(Code::kNotFound, fmt::format("object {} was not kept", id.hex()),
                    reason::kNotFound);
}

}  // namespace bennu::git
