#pragma once
// What   One attempt of an operation: reads at one revision, remembers all that it relied on,
//        collects the writes and commits them as one transaction that succeeds only if nothing
//        relied on has changed.
// Why    Rules span entities (a device and its user, a link and two nodes); checked this way they
//        hold whoever else writes at the same time, without a lock.
// Use    find/get/all, then put_entity/remove_entity, then commit. Nothing from commit: the race
//        was lost, begin anew.
// Errors What the store returns; kAlreadyExists (kTaken) from put_entity.
// Threads One thread; lives shorter than the store, the clock and the random source.
// Source own design; optimistic concurrency by mod revisions as in etcd's concurrency/stm.go.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "env/clock.hpp"
#include "env/random.hpp"
#include "inventory/entity.hpp"
#include "kv/store.hpp"

namespace bennu::inventory {

class Attempt {
 public:
  Attempt(kv::Store& store, const Layout& layout, const env::Clock& clock, env::Random& random);

  /// The value of a key; the commit relies on it, or on its absence.
  [[nodiscard]] Result<std::optional<std::string>> value(const std::string& key);
  /// The entity; the commit relies on each of its fields, absent ones too.
  [[nodiscard]] Result<std::optional<Entity>> find(const EntityId& id);
  /// As find, kNotFound (kNoEntity) if there is none.
  [[nodiscard]] Result<Entity> get(const EntityId& id);
  /// The entities of a kind in a range; the commit relies on nothing being added or changed in it.
  /// What somebody removes meanwhile is not noticed, unless it is written here.
  [[nodiscard]] Result<std::vector<Entity>> all(Kind kind, const kv::KeyRange& range);
  /// Whether any key is in the range; the commit relies on nothing being added or changed in it.
  [[nodiscard]] Result<bool> any(const kv::KeyRange& range);

  /// The keys and values below a prefix, nothing relied on.
  [[nodiscard]] Result<std::map<std::string, std::string>> below(std::string_view prefix);

  void put(std::string key, std::string value);
  void erase(std::string key);
  /// Writes what differs between the two, and moves the unique values and routes; `before` is null
  /// for a new one. Errors: kAlreadyExists (kTaken: another entity holds a unique value).
  [[nodiscard]] Status put_entity(const Entity* before, const Entity& after);
  /// Removes the entity with everything below its prefix. What is below as an entity of its own (a
  /// user's devices) goes in `below`, so that its unique values are given up, too.
  [[nodiscard]] Status remove_entity(const Entity& entity, const std::vector<Entity>& below);

  /// Whether anything would be written.
  [[nodiscard]] bool has_writes() const { return !writes_.empty() || !erased_.empty(); }
  /// Commits with `audit` in the same transaction, if `guard` (may be empty) allows it. Nothing:
  /// what was relied on has changed, nothing is written.
  [[nodiscard]] Result<std::optional<Revision>> commit(
      std::optional<kv::Op> audit, const std::function<Status(const kv::TxnRequest&)>& guard);

  [[nodiscard]] const Layout& layout() const { return *layout_; }
  [[nodiscard]] env::Random& random() const { return *random_; }
  /// The time of this attempt as it is stored.
  [[nodiscard]] const std::string& now() const { return now_; }

 private:
  [[nodiscard]] Result<std::vector<kv::KeyValue>> read(const kv::KeyRange& range);
  [[nodiscard]] Status claim(const std::string& key, const Entity& owner);
  void put_routes(const std::map<std::string, std::string>& old,
                  const std::map<std::string, std::string>& wanted);
  [[nodiscard]] Status release(const std::string& key, const Entity& owner);
  void rely_on(const EntityId& id, const std::vector<kv::KeyValue>& kvs);

  kv::Store* store_;
  const Layout* layout_;
  env::Random* random_;
  std::string now_;
  Revision revision_;                       ///< of every read; 0 before the first
  std::map<std::string, Revision> relied_;  ///< key -> mod revision, 0 for absent
  std::vector<kv::KeyRange> quiet_;         ///< nothing in here may be newer than revision_
  std::map<std::string, std::optional<std::string>> writes_;
  std::vector<kv::KeyRange> erased_;
};

}  // namespace bennu::inventory
