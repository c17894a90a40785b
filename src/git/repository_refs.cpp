#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "git/libgit2.hpp"
#include "git/reasons.hpp"
#include "git/repository.hpp"

namespace bennu::git {
namespace {

constexpr std::string_view kHeads = "refs/heads/";

std::string show(const std::optional<ObjectId>& id) { return id ? id->hex() : "nothing"; }

Error moved(std::string_view name, const std::optional<ObjectId>& is,
            const std::optional<ObjectId>& expected) {
  return make_error(Code::kAborted,
                    fmt::format("`{}` is {}, not {}: something else moved it; run again",
                                printable(name), show(is), show(expected)),
                    reason::kRefMoved);
}

// Locks the ref, compares, then lets `change` act on the transaction.
template <class Change>
Status swap_ref(const Repository& repository, git_repository* raw, std::string_view name,
                const std::optional<ObjectId>& expected, Change change) {
  const std::string text(name);
  const std::string context = fmt::format("cannot move `{}`", printable(name));
  git_transaction* raw_transaction = nullptr;
  if (const int code = git_transaction_new(&raw_transaction, raw); code < 0)
    return libgit2_error(code, context);
  const TransactionHandle transaction(raw_transaction);
  if (const int code = git_transaction_lock_ref(raw_transaction, text.c_str()); code < 0) {
    return libgit2_error(code, context);
  }
  BENNU_ASSIGN(const auto now, repository.find_ref(name));
  if (now != expected) return moved(name, now, expected);
  if (const int code = change(raw_transaction, text.c_str()); code < 0)
    return libgit2_error(code, context);
  if (const int code = git_transaction_commit(raw_transaction); code < 0)
    return libgit2_error(code, context);
  return {};
}

}  // namespace

Result<std::string> Repository::head_branch() const {
  git_reference* raw = nullptr;
  if (const int code = git_reference_lookup(&raw, impl_->repository.get(), "HEAD"); code < 0) {
    return libgit2_error(code, fmt::format("HEAD of `{}`", impl_->path.string()));
  }
  const ReferenceHandle head(raw);
  const char* target = git_reference_symbolic_target(raw);
  if (target == nullptr || !std::string_view(target).starts_with(kHeads)) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("HEAD of `{}` names no branch: name one", impl_->path.string()));
  }
  return std::string(target + kHeads.size());
}

Status Repository::set_head_branch(std::string_view branch) {
  git_reference* raw = nullptr;
  const std::string target = fmt::format("{}{}", kHeads, branch);
  const int code = git_reference_symbolic_create(&raw, impl_->repository.get(), "HEAD",
                                                 target.c_str(), 1, nullptr);
  const ReferenceHandle made(raw);
  if (code < 0)
    return libgit2_error(code, fmt::format("cannot set HEAD to `{}`", printable(branch)));
  return {};
}

Result<std::optional<ObjectId>> Repository::find_ref(std::string_view name) const {
  git_oid oid;
  const int code =
      git_reference_name_to_id(&oid, impl_->repository.get(), std::string(name).c_str());
  if (code == GIT_ENOTFOUND) return std::nullopt;
  if (code < 0) return libgit2_error(code, fmt::format("ref `{}`", printable(name)));
  return from_oid(oid);
}

Result<std::vector<Ref>> Repository::list_refs(std::string_view prefix) const {
  git_reference_iterator* raw = nullptr;
  const std::string context = fmt::format("refs of `{}`", impl_->path.string());
  if (const int code = git_reference_iterator_new(&raw, impl_->repository.get()); code < 0) {
    return libgit2_error(code, context);
  }
  const ReferenceIteratorHandle iterator(raw);
  std::vector<Ref> refs;
  while (true) {
    const char* name = nullptr;
    const int code = git_reference_next_name(&name, raw);
    if (code == GIT_ITEROVER) break;
    if (code < 0) return libgit2_error(code, context);
    if (!std::string_view(name).starts_with(prefix)) continue;
    BENNU_ASSIGN(const auto id, find_ref(name));
    if (id) refs.push_back({.name = name, .id = *id});
  }
  std::sort(refs.begin(), refs.end(), [](const Ref& a, const Ref& b) { return a.name < b.name; });
  return refs;
}

Status Repository::update_ref(std::string_view name, const ObjectId& id,
                              const std::optional<ObjectId>& expected) {
  const git_oid oid = to_oid(id);
  return swap_ref(*this, impl_->repository.get(), name, expected,
                  [&](git_transaction* transaction, const char* text) {
                    return git_transaction_set_target(transaction, text, &oid, nullptr, nullptr);
                  });
}

Status Repository::delete_ref(std::string_view name, const ObjectId& expected) {
  return swap_ref(*this, impl_->repository.get(), name, expected,
                  [](git_transaction* transaction, const char* text) {
                    return git_transaction_remove(transaction, text);
                  });
}

}  // namespace bennu::git
