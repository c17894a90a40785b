#pragma once
// What   Where new objects go: into a pack, or nowhere (only their ids are wanted).
// Why    The same tree code writes an export and proves a restore; the two real users are
//        PackWriter and HashSink.
// Use    Pass to TreeEditor.
// Threads One thread.
// Source own design.

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/result.hpp"
#include "git/object.hpp"
#include "git/repository.hpp"

namespace bennu::git {

class ObjectSink {
 public:
  ObjectSink() = default;
  ObjectSink(const ObjectSink&) = delete;
  ObjectSink& operator=(const ObjectSink&) = delete;
  virtual ~ObjectSink() = default;
  virtual Result<ObjectId> add(ObjectKind kind, std::string_view bytes) = 0;
  /// An object that was added, or that was there before. Errors: kNotFound `git.not_found`.
  [[nodiscard]] virtual Result<Object> read(const ObjectId& id) = 0;
  /// Whether blobs can be read back, so that their content can be checked.
  [[nodiscard]] virtual bool keeps_blobs() const = 0;
};

/// Computes ids and keeps only trees, in memory, so that a TreeEditor can go on from them. Writes
/// nothing.
class HashSink final : public ObjectSink {
 public:
  /// `repository`: where trees that were not added here are read, or null. Must outlive this.
  explicit HashSink(const Repository* repository = nullptr,
                    std::unordered_map<ObjectId, std::string> trees = {})
      : repository_(repository), trees_(std::move(trees)) {}
  Result<ObjectId> add(ObjectKind kind, std::string_view bytes) override;
  [[nodiscard]] Result<Object> read(const ObjectId& id) override;
  [[nodiscard]] bool keeps_blobs() const override { return false; }

 private:
  const Repository* repository_;
  std::unordered_map<ObjectId, std::string> trees_;
};

}  // namespace bennu::git
