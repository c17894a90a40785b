#include "sync/age_keys.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>
#include <utility>

#include "base/bytes.hpp"
#include "env/files.hpp"
#include "env/process.hpp"
#include "sync/reasons.hpp"

namespace bennu::sync {
namespace {

constexpr std::size_t kMaxRecipients = 64;
constexpr std::size_t kMaxKeyFileBytes = 64UL * 1024;
constexpr std::size_t kRecipientBytes = 62;
constexpr std::string_view kDataKeyPrefix = "bennu-data-key:1:";
constexpr int kBase64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

// A string that is wiped when it goes.
class SecretText {
 public:
  explicit SecretText(std::string text) : text_(std::move(text)) {}
  ~SecretText() { sodium_memzero(text_.data(), text_.size()); }
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  [[nodiscard]] std::string_view view() const { return text_; }

 private:
  std::string text_;
};

// A path that a program cannot take for an option.
std::string as_argument(const std::string& path) {
  return path.starts_with('-') ? "./" + path : path;
}

std::string first_line(std::string_view text) {
  // age says `age: error: what`, then a hint for its authors.
  for (const std::string_view prefix : {"age: ", "age-keygen: ", "error: "}) {
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  }
  return printable(text.substr(0, text.find('\n')));
}

Result<env::ProcessResult> run_age(env::ProcessRequest request) {
  auto result = env::run(request);
  sodium_memzero(request.input.data(), request.input.size());
  if (!result && result.error().code == Code::kNotFound) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("the program `{}` is missing, secrets need it; install the "
                                  "package `age`",
                                  request.argv.front()),
                      reason::kNoAge);
  }
  return result;
}

bool is_recipient(std::string_view key) {
  constexpr std::string_view kBech32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
  return key.size() == kRecipientBytes && key.starts_with("age1") &&
         key.substr(4).find_first_not_of(kBech32) == std::string_view::npos;
}

Status check_recipients(std::span<const Recipient> recipients) {
  std::set<std::string_view> different;
  for (const Recipient& recipient : recipients) {
    if (!is_recipient(recipient.key)) {
      return make_error(Code::kInvalidArgument,
                        fmt::format("`{}` is no age recipient; those are `age1` and 58 letters and "
                                    "digits, `age-keygen` prints them",
                                    printable(recipient.key, 80)));
    }
    different.insert(recipient.key);
  }
  if (different.size() < 2) {
    return make_error(Code::kInvalidArgument,
                      "secrets need at least two different recipients, one of them kept offline: "
                      "with a single one, losing its identity loses every secret");
  }
  if (different.size() > kMaxRecipients) {
    return make_error(Code::kInvalidArgument, fmt::format("at most {} recipients", kMaxRecipients));
  }
  return {};
}

std::string format_data_key(std::uint32_t epoch, std::string_view key) {
  std::string text = fmt::format("{}{}:", kDataKeyPrefix, epoch);
  const std::size_t start = text.size();
  text.resize(start + sodium_base64_encoded_len(key.size(), kBase64));
  sodium_bin2base64(text.data() + start, text.size() - start,
                    reinterpret_cast<const unsigned char*>(key.data()), key.size(), kBase64);
  text.back() = '\n';  // in the NUL's place
  return text;
}

// Adds the key of a decrypted key file; false if it is not that epoch's.
bool add_data_key(std::uint32_t epoch, std::string_view text, KeyRing& ring) {
  const std::string prefix = fmt::format("{}{}:", kDataKeyPrefix, epoch);
  if (!text.starts_with(prefix) || !text.ends_with('\n')) return false;
  text.remove_prefix(prefix.size());
  text.remove_suffix(1);
  std::array<unsigned char, kDataKeyBytes> key{};
  std::size_t size = 0;
  const bool good = sodium_base642bin(key.data(), key.size(), text.data(), text.size(), nullptr,
                                      &size, nullptr, kBase64) == 0 &&
                    size == key.size();
  if (good) ring.add(epoch, {reinterpret_cast<const char*>(key.data()), key.size()});
  sodium_memzero(key.data(), key.size());
  return good;
}

Error cannot_open(std::uint32_t epoch, const std::string& identity_path, std::string_view output) {
  if (output.find("no identity matched") != std::string_view::npos) {
    return make_error(Code::kPermissionDenied,
                      fmt::format("{}: opens no data key of this network (epoch {}); use the "
                                  "identity of one of {}",
                                  printable(identity_path), epoch, kRecipientsPath),
                      reason::kNotARecipient);
  }
  return make_error(Code::kInvalidArgument,
                    fmt::format("cannot open {} with {}: {}", key_file_path(epoch),
                                printable(identity_path), first_line(output)));
}

}  // namespace

Result<NewIdentity> ensure_identity(const std::filesystem::path& path) {
  std::error_code error;
  const bool there = std::filesystem::exists(path, error);
  if (!there) {
    BENNU_ASSIGN(auto made, run_age({.argv = {"age-keygen"}}));
    const SecretText identity(std::move(made.output));
    if (made.status != 0) {
      return make_error(Code::kInternal,
                        fmt::format("cannot make an identity: {}", first_line(made.error_output)));
    }
    auto written = env::replace_file(path, identity.view(), 0600);
    if (!written) return std::move(written).error().with_context("cannot make an identity");
  }
  BENNU_ASSIGN(std::string recipient, recipient_of(path.string()));
  return NewIdentity{.recipient = std::move(recipient), .made = !there};
}

Result<std::string> recipient_of(const std::string& identity_path) {
  BENNU_ASSIGN(auto result, run_age({.argv = {"age-keygen", "-y", as_argument(identity_path)}}));
  std::string recipient = result.output.substr(0, result.output.find('\n'));
  if (result.status != 0 || !is_recipient(recipient)) {
    return make_error(Code::kInvalidArgument,
                      fmt::format("{}: is no age identity: {}", printable(identity_path),
                                  first_line(result.error_output)));
  }
  return recipient;
}

std::string format_recipients(std::span<const Recipient> recipients) {
  std::string text;
  for (const Recipient& recipient : recipients) {
    if (!recipient.note.empty()) text += "# " + recipient.note + "\n";
    text += recipient.key + "\n";
  }
  return text;
}

Result<std::vector<Recipient>> parse_recipients(std::string_view text) {
  std::vector<Recipient> recipients;
  std::string note;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view content = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (content.starts_with('#')) {
      content.remove_prefix(content.starts_with("# ") ? 2 : 1);
      note = content;
    } else if (is_recipient(content)) {
      recipients.push_back({.key = std::string(content), .note = std::exchange(note, {})});
    } else if (!content.empty()) {
      return make_error(Code::kInvalidArgument,
                        fmt::format("{}:{}: `{}` is no age recipient (`age1…`)", kRecipientsPath,
                                    line, printable(content, 80)));
    }
  }
  return recipients;
}

std::string key_file_path(std::uint32_t epoch) {
  return fmt::format("{}{}.age", kKeysFolder, epoch);
}

std::uint32_t epoch_of_path(std::string_view path) {
  if (!path.starts_with(kKeysFolder)) return 0;
  const std::string_view digits = path.substr(kKeysFolder.size());
  std::uint32_t epoch = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), epoch);
  return key_file_path(epoch) == path ? epoch : 0;
}

Result<std::string> new_key_file(std::uint32_t epoch, std::span<const Recipient> recipients,
                                 env::Random& random) {
  BENNU_TRY(check_recipients(recipients));
  const SecretText key(random.bytes(kDataKeyBytes));
  env::ProcessRequest request{.argv = {"age", "--encrypt", "--armor"}};
  for (const Recipient& recipient : recipients) {
    request.argv.emplace_back("--recipient");
    request.argv.push_back(recipient.key);
  }
  request.input = format_data_key(epoch, key.view());
  BENNU_ASSIGN(auto result, run_age(std::move(request)));
  if (result.status != 0) {
    return make_error(
        Code::kInvalidArgument,
        fmt::format("cannot make {}: {}", key_file_path(epoch), first_line(result.error_output)));
  }
  return std::move(result.output);
}

std::string why_locked(const std::filesystem::path& identity) {
  std::error_code ignored;
  return std::filesystem::exists(identity, ignored)
             ? fmt::format("{} opens no data key", identity.string())
             : fmt::format("there is no identity file {}", identity.string());
}

Result<std::shared_ptr<const KeyRing>> unlock(const std::map<std::uint32_t, std::string>& files,
                                              const std::string& identity_path) {
  auto ring = std::make_shared<KeyRing>();
  std::uint32_t newest = 0;
  for (const auto& [epoch, file] : files) {
    newest = epoch;
    if (file.size() > kMaxKeyFileBytes) {
      return make_error(
          Code::kInvalidArgument,
          fmt::format("{}: is larger than 64 KiB, so it is no key file", key_file_path(epoch)));
    }
    BENNU_ASSIGN(auto result,
                 run_age({.argv = {"age", "--decrypt", "--identity", as_argument(identity_path)},
                          .input = file}));
    const SecretText text(std::move(result.output));
    if (result.status != 0) {
      Error error = cannot_open(epoch, identity_path, result.error_output);
      // A recipient that came later does not open older epochs, and needs not.
      if (error.reason == reason::kNotARecipient && epoch != files.rbegin()->first) continue;
      return error;
    }
    if (!add_data_key(epoch, text.view(), *ring)) {
      return make_error(Code::kDataLoss,
                        fmt::format("{}: does not hold the data key of epoch {}; take it from an "
                                    "older commit",
                                    key_file_path(epoch), epoch),
                        reason::kTampered);
    }
  }
  if (newest == 0) {
    return make_error(
        Code::kFailedPrecondition,
        fmt::format("there is no data key under {}; make one with `bennu secret init`",
                    kKeysFolder),
        reason::kNoKey);
  }
  return std::shared_ptr<const KeyRing>(std::move(ring));
}

}  // namespace bennu::sync
