#include <fmt/format.h>

#include <memory>

#include "cli/app.hpp"
#include "cli/session.hpp"
#include "sync/age_keys.hpp"
#include "sync/mapping.hpp"
#include "sync/state_tree.hpp"
#include "sync/unseal.hpp"

namespace bennu::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string record_key(std::string_view path) {
  return std::string(sync::kFileRecordPrefix) + std::string(path);
}

struct InitOptions {
  std::vector<std::string> recipients;
  std::string offline;
};

// Who opens the key ring, and where the identities are that were made for it.
struct Chosen {
  std::vector<sync::Recipient> recipients;
  fs::path online;  // empty if the recipients were given
  fs::path offline;
};

// Two recipients: those given, or two identities, one of which belongs somewhere safe. Identity
// files that are there are taken: a run that was cut off is repeated so.
Result<Chosen> choose_recipients(const sync::Link& link, const InitOptions& options) {
  Chosen chosen;
  if (!options.recipients.empty()) {
    for (const std::string& key : options.recipients) chosen.recipients.push_back({.key = key});
    return chosen;
  }
  std::error_code error;
  chosen.online = fs::absolute(link.identity, error);
  chosen.offline = options.offline.empty() ? fs::path(chosen.online.string() + ".offline")
                                           : fs::absolute(options.offline, error);
  if (fs::weakly_canonical(chosen.online, error) == fs::weakly_canonical(chosen.offline, error)) {
    return make_error(Code::kInvalidArgument,
                      fmt::format("{} is the identity of this machine; name another file, best on "
                                  "another disk, for the one that is kept offline",
                                  chosen.offline.string()));
  }
  BENNU_ASSIGN(auto offline, sync::ensure_identity(chosen.offline));
  auto online = sync::ensure_identity(chosen.online);
  if (!online) {
    if (offline.made) fs::remove(chosen.offline, error);
    return online.error();
  }
  chosen.recipients.push_back({.key = std::move(online->recipient), .note = "this machine"});
  chosen.recipients.push_back({.key = std::move(offline.recipient), .note = "kept offline"});
  return chosen;
}

// An identity that was named here opens this store from now on, so its path is kept. Whether that
// is new.
Result<bool> remember_identity(const Context& context, WriteSession& session) {
  if (context.options.identity.empty()) return false;
  std::error_code error;
  config::Settings settings = session.directory().settings();
  const std::string path = fs::absolute(context.options.identity, error).string();
  if (error || settings.identity == path) return false;
  settings.identity = path;
  BENNU_TRY(session.directory().commit(std::move(settings)));
  return true;
}

constexpr std::string_view kNoKeyRing = "there is no key ring; make one with `bennu secret init`";

Result<bool> has_key_ring(kv::Reader& reader) {
  BENNU_ASSIGN(
      const auto files,
      reader.range({.range = kv::prefix_range(record_key(sync::kKeysFolder)), .count_only = true}));
  return files.count > 0;
}

void print_made(const Context& context, const Chosen& chosen, Revision revision) {
  json keys = json::array();
  for (const auto& recipient : chosen.recipients) keys.push_back(recipient.key);
  json document = {{"epoch", 1}, {"recipients", keys}, {"revision", revision.value}};
  std::string text =
      fmt::format("{} a key ring for {} recipients\n", context.out.styled(Style::kGreen, "made"),
                  chosen.recipients.size());
  if (!chosen.online.empty()) {
    document["identity"] = chosen.online.string();
    document["offline"] = chosen.offline.string();
    text += fmt::format("  this machine  {}\n", chosen.online.string());
    text += fmt::format("  keep offline  {}\n", chosen.offline.string());
    context.out.note(context.out.styled(
        Style::kBold,
        fmt::format("move {} off this machine now: with it and any clone everything can be "
                    "recovered; without either file the secrets are lost",
                    chosen.offline.string())));
  }
  context.out.result(document, text);
}

Result<int> init(const Context& context, const InitOptions& options) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  const sync::Link link = session.link();
  const std::string key_file = record_key(sync::key_file_path(1));
  BENNU_ASSIGN(const auto there,
               session.store().range({.range = {.key = key_file}, .count_only = true}));
  if (there.count > 0) {
    return make_error(
        Code::kAlreadyExists,
        "this store has a key ring already; `bennu secret recipients` shows who opens it");
  }
  BENNU_ASSIGN(auto audit, session.audit_put("secret.init", "secret init"));
  BENNU_ASSIGN(const auto chosen, choose_recipients(link, options));
  BENNU_ASSIGN(auto wrapped, sync::new_key_file(1, chosen.recipients, env::system_random()));
  BENNU_TRY(remember_identity(context, session));
  kv::TxnRequest request{
      .compares = {{.range = {.key = key_file}, .target = kv::CompareTarget::kVersion}}};
  request.success.push_back(kv::Op{kv::PutRequest{.key = key_file, .value = std::move(wrapped)}});
  request.success.push_back(
      kv::Op{kv::PutRequest{.key = record_key(sync::kRecipientsPath),
                            .value = sync::format_recipients(chosen.recipients)}});
  request.success.push_back(std::move(audit));
  BENNU_ASSIGN(const auto answer, session.store().txn(request));
  if (!answer.succeeded)
    return make_error(Code::kAborted, "somebody else made a key ring at the same time");
  print_made(context, chosen, answer.revision);
  return kExitDone;
}

Result<int> unseal_command(const Context& context) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  BENNU_ASSIGN(const bool there, has_key_ring(session.store()));
  if (!there) return make_error(Code::kFailedPrecondition, std::string(kNoKeyRing));
  const sync::Link link = session.link();
  BENNU_ASSIGN(const auto report, sync::unseal(link));
  BENNU_ASSIGN(const bool remembered, remember_identity(context, session));
  std::string text =
      fmt::format("{} {} values at revision {}\n", context.out.styled(Style::kGreen, "unsealed"),
                  report.puts, report.revision.value);
  if (report.revision.value == 0) {
    text =
        fmt::format("no value is sealed in this store; {} opens its key ring{}\n",
                    link.identity.string(), remembered ? ", from now on without --identity" : "");
  }
  context.out.result({{"revision", report.revision.value},
                      {"puts", report.puts},
                      {"deletes", report.deletes},
                      {"identity", link.identity.string()}},
                     text);
  return kExitDone;
}

Result<int> recipients(const Context& context) {
  BENNU_ASSIGN(auto session, ReadSession::open(context));
  BENNU_ASSIGN(const auto found,
               session.reader().range({.range = {.key = record_key(sync::kRecipientsPath)}}));
  if (found.kvs.empty()) return make_error(Code::kNotFound, std::string(kNoKeyRing));
  BENNU_ASSIGN(const auto all, sync::parse_recipients(found.kvs[0].value));
  json items = json::array();
  std::vector<std::vector<std::string>> rows = {{"RECIPIENT", "NOTE"}};
  for (const auto& recipient : all) {
    items.push_back({{"recipient", recipient.key}, {"note", recipient.note}});
    rows.push_back({recipient.key, recipient.note});
  }
  context.out.result({{"items", items}}, table(rows));
  return kExitDone;
}

Result<int> check(const Context& context) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  const sync::Link link = session.link();
  BENNU_ASSIGN(const auto mapping, sync::mapping_of_state(session.store(), {}, link.identity));
  BENNU_ASSIGN(const bool there, has_key_ring(session.store()));
  const bool open = !mapping.ring().empty();
  const bool needed = mapping.schema().has_secrets();
  std::string text = fmt::format("{} opens the key ring (epoch {})\n", link.identity.string(),
                                 mapping.ring().current());
  if (!open) text = fmt::format("the key ring is locked: {}\n", sync::why_locked(link.identity));
  if (!there) text = fmt::format("{}{}\n", kNoKeyRing, needed ? "" : "; nothing here needs one");
  context.out.result({{"key_ring", there},
                      {"open", open},
                      {"epoch", mapping.ring().current()},
                      {"needed", needed}},
                     text);
  return open || !needed ? kExitDone : kExitDifferent;
}

}  // namespace

void add_secret_commands(Registry& registry) {
  CLI::App* secret = registry.group("secret", "Keys that seal secret values in Git");
  auto options = std::make_shared<InitOptions>();
  auto* init_cmd =
      registry.add(*secret, "init", "Make the key ring, for at least two recipients",
                   "bennu secret init --offline /media/usb/bennu-identity.txt --data net",
                   [options](const Context& c) { return init(c, *options); });
  auto* recipient =
      init_cmd->add_option("--recipient", options->recipients,
                           "An age recipient (age1…), at least two; default: two new identities");
  init_cmd
      ->add_option("--offline", options->offline,
                   "Where to write the identity that is to be kept offline")
      ->type_name("FILE")
      ->excludes(recipient);
  registry.add(*secret, "recipients", "Who can open the secrets",
               "bennu secret recipients --data net", recipients);
  registry.add(*secret, "unseal", "Open what was restored without the identity",
               "bennu secret unseal --identity /media/usb/bennu-identity.txt --data net",
               unseal_command);
  registry.add(*secret, "check", "Whether this machine's identity opens the secrets",
               "bennu secret check --data net", check);
}

}  // namespace bennu::cli
