#include "cli/session.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "base/bytes.hpp"
#include "cli/address.hpp"
#include "env/process.hpp"

namespace bennu::cli {
namespace {

std::string git_config(const std::string& name) {
  const auto answer =
      env::run({.argv = {"git", "config", "--get", name}, .timeout = std::chrono::seconds{10}});
  if (!answer || answer->status != 0) return {};
  std::string value = answer->output;
  while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.pop_back();
  return value;
}

// The clone that a folder belongs to, as git itself finds it.
Result<git::Repository> open_clone(const std::filesystem::path& path) {
  auto opened = git::Repository::open(path);
  std::error_code error;
  std::filesystem::path folder = std::filesystem::absolute(path, error);
  while (!opened && !error && folder.has_relative_path()) {
    folder = folder.parent_path();
    if (std::filesystem::exists(folder / ".git", error)) return git::Repository::open(folder);
  }
  return opened;
}

// The branch of the settings: repo.git's HEAD is what it was made with.
Result<git::ObjectId> head_of_branch(node::DataDir& directory) {
  const std::string& branch = directory.settings().branch;
  for (const std::string_view place : {"refs/heads/", "refs/remotes/origin/"}) {
    BENNU_ASSIGN(const auto head, directory.repository().find_ref(std::string(place) + branch));
    if (head) return *head;
  }
  BENNU_ASSIGN(const auto refs, directory.repository().list_refs("refs/heads/"));
  if (refs.empty()) return nothing_exported();
  return make_error(
      Code::kNotFound,
      fmt::format("branch {} has no commit here yet; `bennu export` begins it", branch));
}

}  // namespace

Result<kv::Actor> actor_of(const Context& context) {
  if (!context.options.actor.empty()) {
    BENNU_ASSIGN(auto actor,
                 kv::parse_actor(context.options.actor).with_context("--actor or BENNU_ACTOR"));
    if (actor.email.find('@') != std::string::npos) return actor;
    return make_error(Code::kInvalidArgument,
                      fmt::format("--actor or BENNU_ACTOR: the actor \"{}\" has no e-mail address; "
                                  "give it as `Name <mail>`",
                                  printable(context.options.actor, 80)));
  }
  const std::string name = git_config("user.name");
  if (name.empty()) {
    return make_error(
        Code::kInvalidArgument,
        "who makes this change? Give --actor \"Name <mail>\", set BENNU_ACTOR, or git's user.name");
  }
  return kv::parse_actor(fmt::format("{} <{}>", name, git_config("user.email")))
      .with_context("git's user.name and user.email");
}

sync::Progress progress_of(const Context& context) {
  return [&out = context.out](std::string_view what, std::uint64_t done, std::uint64_t total) {
    out.progress(what, done, total);
  };
}

Result<ReadSession> ReadSession::open(const Context& context, What what) {
  ReadSession session;
  session.identity_ = context.options.identity;
  // A clone that was named goes before the data directory of the environment.
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment.
  const char* usual = std::getenv("BENNU_DATA");
  const bool named = usual == nullptr || context.options.data != usual;
  if (context.options.repo.empty()) {
    BENNU_ASSIGN(auto directory, node::DataDir::open(context.options.data));
    session.directory_ = std::make_unique<node::DataDir>(std::move(directory));
    session.identity_ = session.directory_->link(context.options.identity, {}, {}).identity;
    return session;
  }
  if (!context.options.data.empty() && named) {
    return make_error(Code::kInvalidArgument, "give either --data or --repo, not both");
  }
  const auto [path, revision] = split_revision(context.options.repo.string());
  BENNU_ASSIGN(auto repository, open_clone(path));
  session.repository_ = std::make_unique<git::Repository>(std::move(repository));
  session.revision_ = revision;
  if (what == What::kHistory) return session;
  BENNU_ASSIGN(const auto head, session.head());
  BENNU_ASSIGN(session.clone_,
               sync::RepoReader::open(*session.repository_, head, context.options.identity));
  return session;
}

kv::Reader& ReadSession::reader() {
  if (clone_) return *clone_;
  return directory_->store();
}

std::filesystem::path ReadSession::identity() const { return identity_; }

git::Repository& ReadSession::repository() {
  return repository_ ? *repository_ : directory_->repository();
}

Result<git::ObjectId> ReadSession::head() {
  if (!revision_.empty()) return repository().resolve_commit(revision_);
  if (directory_) return head_of_branch(*directory_);
  BENNU_ASSIGN(const auto head, repository().find_ref("HEAD"));
  if (head) return *head;
  return make_error(Code::kNotFound,
                    fmt::format("{} has no commit yet", repository().path().string()));
}

Error nothing_exported() {
  return make_error(Code::kNotFound,
                    "nothing was exported yet; `bennu export` makes the first commit");
}

WriteSession::WriteSession(const Context& context, std::unique_ptr<node::DataDir> directory)
    : context_(&context), directory_(std::move(directory)) {}

Result<WriteSession> WriteSession::open(const Context& context) {
  if (!context.options.repo.empty()) {
    return make_error(Code::kInvalidArgument,
                      "a clone can only be read; name the data directory with --data DIR");
  }
  BENNU_ASSIGN(auto directory, node::DataDir::open(context.options.data));
  return WriteSession(context, std::make_unique<node::DataDir>(std::move(directory)));
}

sync::Link WriteSession::link() const {
  return directory_->link(context_->options.identity, context_->stop, progress_of(*context_));
}

Result<kv::AuditContext> WriteSession::audit() const {
  BENNU_ASSIGN(auto actor, actor_of(*context_));
  return kv::AuditContext{.actor = std::move(actor),
                          .reason = context_->options.reason,
                          .request_id = context_->options.request_id,
                          .node = directory_->node_name()};
}

Result<kv::Op> WriteSession::audit_put(std::string_view op, std::string_view summary) const {
  BENNU_ASSIGN(const auto context, audit());
  return kv::audit_op(context, op, summary, env::system_clock(), env::system_random());
}

}  // namespace bennu::cli
