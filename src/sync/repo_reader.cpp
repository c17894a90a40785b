#include "sync/repo_reader.hpp"

#include <algorithm>
#include <utility>

#include "kv/range_rules.hpp"

namespace bennu::sync {
namespace {

constexpr Revision kOnly{1};

kv::KeyValue key_value(std::string key, std::string value) {
  return {.key = std::move(key),
          .create_revision = kOnly,
          .mod_revision = kOnly,
          .version = 1,
          .value = std::move(value)};
}

Status check_revision(Revision revision) {
  if (revision.value == 0 || revision == kOnly) return {};
  return make_error(Code::kUnimplemented,
                    "a clone has no revisions; name a commit of it, or use --data");
}

}  // namespace

RepoReader::RepoReader(const git::Repository& repository, CommitTree from)
    : repository_(repository), from_(std::move(from)) {}

Result<std::unique_ptr<RepoReader>> RepoReader::open(const git::Repository& repository,
                                                     const git::ObjectId& commit,
                                                     const std::filesystem::path& identity) {
  BENNU_ASSIGN(auto from, open_commit(repository, commit, identity));
  return std::unique_ptr<RepoReader>(new RepoReader(repository, std::move(from)));
}

Status RepoReader::load() {
  if (all_) return {};
  std::map<std::string, std::string, std::less<>> all;
  BENNU_TRY(read_state(
      repository_, from_, {}, [](std::string_view, std::uint64_t, std::uint64_t) {},
      [&](std::string_view key, std::string_view value) -> Status {
        all.insert_or_assign(std::string(key), std::string(value));
        return {};
      }));
  all_ = std::move(all);
  return {};
}

Result<std::optional<std::string>> RepoReader::read_key(const std::string& key) {
  const auto raw_path = mapping().file_of(key);
  const bool plain = raw_path && raw_path->kind == FileKind::kRaw && !all_;
  if (plain) {
    BENNU_ASSIGN(const auto entry, repository_.find_path(from_.tree, raw_path->path));
    if (entry && git::mode::is_blob(entry->mode) && !mapping().classify(key).secret) {
      BENNU_ASSIGN(auto bytes, repository_.read_blob(entry->id));
      return bytes;
    }
  }
  BENNU_TRY(load());
  const auto found = all_->find(key);
  if (found == all_->end()) return std::nullopt;
  return found->second;
}

Result<kv::RangeResponse> RepoReader::range(const kv::RangeRequest& request) {
  BENNU_TRY(check_revision(request.revision));
  kv::RangeResponse response{.revision = kOnly};
  std::vector<kv::KeyValue>& found = response.kvs;
  if (request.range.end.empty()) {
    BENNU_ASSIGN(auto value, read_key(request.range.key));
    if (value) found.push_back(key_value(request.range.key, std::move(*value)));
  } else {
    BENNU_TRY(scan(request.range, {}, [&](kv::KeyValue& kv) -> Status {
      found.push_back(std::move(kv));
      return {};
    }));
  }
  response.count = static_cast<std::int64_t>(found.size());
  kv::finish_range(request, response);
  if (request.count_only) response.kvs.clear();
  return response;
}

Result<Revision> RepoReader::scan(const kv::KeyRange& range, Revision revision,
                                  const std::function<Status(kv::KeyValue&)>& visit) {
  BENNU_TRY(check_revision(revision));
  BENNU_TRY(load());
  for (auto entry = all_->lower_bound(range.key);
       entry != all_->end() && contains(range, entry->first); ++entry) {
    kv::KeyValue kv = key_value(entry->first, entry->second);
    BENNU_TRY(visit(kv));
  }
  return kOnly;
}

}  // namespace bennu::sync
