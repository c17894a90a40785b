#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/bytes.hpp"
#include "cli/app.hpp"
#include "cli/secrecy.hpp"
#include "cli/session.hpp"
#include "inventory/client_config.hpp"
#include "inventory/inventory.hpp"
#include "inventory/qr.hpp"
#include "inventory/read.hpp"
#include "inventory/values.hpp"
#include "sync/state_tree.hpp"

namespace bennu::cli {
namespace {

using inventory::Entity;
using inventory::EntityId;
using inventory::Kind;
using inventory::KindInfo;
using inventory::Layout;
using nlohmann::json;

// What was given for one verb: the words after it and the field options.
struct Given {
  std::vector<std::string> words;
  std::map<std::string, std::string> fields;
  std::vector<std::string> unset;
  std::string user;
  std::string parent;
};

std::string option_name(std::string_view field) {
  std::string name = "--" + std::string(field);
  std::ranges::replace(name, '_', '-');
  return name;
}

void add_field_options(CLI::App* command, const KindInfo& info, Given& given) {
  for (const inventory::Field& field : info.fields) {
    if (field.set_by != inventory::SetBy::kOperator) continue;
    std::string names = option_name(field.name);
    const bool is_set = field.type == inventory::FieldType::kIpSet;
    if (is_set) names += "," + option_name(field.name.substr(0, field.name.size() - 1));
    const std::string name(field.name);
    command->add_option_function<std::vector<std::string>>(
        names,
        [&given, name](const std::vector<std::string>& values) {
          std::string joined;
          for (const std::string& value : values) joined += (joined.empty() ? "" : ",") + value;
          given.fields[name] = joined;
        },
        std::string(field.help));
  }
}

inventory::Changes changes_of(const Given& given) {
  inventory::Changes changes;
  for (const auto& [name, value] : given.fields) changes[name] = value;
  for (std::string name : given.unset) {
    std::ranges::replace(name, '-', '_');
    changes[name] = std::nullopt;
  }
  return changes;
}

std::string entity_text(const Output& out, const Entity& entity) {
  std::string text = out.styled(Style::kBold, describe(entity)) + "\n";
  const KindInfo& info = inventory::kind_info(entity.id.kind);
  if (!entity.id.second.empty())
    text += fmt::format("  {:<20} {}\n", info.primary_key[1], entity.id.second);
  for (const inventory::Field& field : info.fields) {
    if (const std::string* value = entity.find(field.name)) {
      text += fmt::format("  {:<20} {}\n", field.name, printable(*value, 200));
    }
  }
  for (const auto& [name, value] : entity.fields) {
    if (inventory::find_field(entity.id.kind, name) == nullptr) {
      text += fmt::format("  {:<20} {}\n", printable(name), printable(value, 200));
    }
  }
  return text;
}

json entity_json(const Entity& entity) { return json::parse(inventory::to_json(entity).dump()); }

json outcome_json(const inventory::Outcome& outcome) {
  json document = entity_json(outcome.entity);
  json also = json::array();
  for (const Entity& other : outcome.also) also.push_back(describe(other));
  document["changed"] = outcome.changed();
  document["revision"] = outcome.revision.value;
  document["also"] = also;
  return document;
}

void print_outcome(const Context& context, std::string_view verb,
                   const inventory::Outcome& outcome) {
  std::string text = outcome.changed() ? fmt::format("{} at revision {}\n",
                                                     context.out.styled(Style::kGreen, verb),
                                                     outcome.revision.value)
                                       : "nothing to change\n";
  text += entity_text(context.out, outcome.entity);
  for (const Entity& other : outcome.also) text += fmt::format("  with it: {}\n", describe(other));
  context.out.result(outcome_json(outcome), text);
}

// An opened store with the inventory on it.
struct Desk {
  WriteSession session;
  Secrecy secrecy;
  inventory::Inventory inventory;
  kv::AuditContext audit;

  Desk(WriteSession opened, kv::AuditContext who)
      : session(std::move(opened)),
        secrecy(session.store(), session.link().identity),
        inventory(session.store(), env::system_clock(), env::system_random(), Layout(),
                  [this](const kv::TxnRequest& request) { return secrecy.may_write(request); }),
        audit(std::move(who)) {}
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;
  ~Desk() = default;
};

Result<std::unique_ptr<Desk>> open_desk(const Context& context) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  BENNU_ASSIGN(auto audit, session.audit());
  // Without the schema, names and values that are secret would go to Git in clear.
  BENNU_ASSIGN(const auto mapping, sync::mapping_of_state(session.store(), {}, {}));
  if (mapping.schema().find("device") == nullptr) {
    return make_error(
        Code::kFailedPrecondition,
        fmt::format("this store has no schema for users, devices and nodes: `bennu init` makes a "
                    "new store that has; for this one, commit what `bennu kv get {}` prints there "
                    "as {} to its branch, then `bennu import`",
                    sync::kSchemaKey, sync::kSchemaPath));
  }
  return std::make_unique<Desk>(std::move(session), std::move(audit));
}

std::vector<std::string> id_words(Kind kind, const Given& given) {
  std::vector<std::string> words = given.words;
  if (kind == Kind::kDevice && !given.user.empty()) words.insert(words.begin(), given.user);
  return words;
}

// A name as a word and as an option must be the same one.
Status take_name(Given& given, const std::string& field, std::string_view option,
                 const std::string& word) {
  if (word.empty()) return {};
  const auto [there, fresh] = given.fields.emplace(field, word);
  if (fresh || there->second == word) return {};
  return make_error(Code::kInvalidArgument,
                    fmt::format("two names: one as a word and one after {}; give one", option));
}

// The primary key of something new; a user's is given by the counter.
Result<EntityId> new_id(kv::Reader& reader, Kind kind, Given& given) {
  const auto word = [&](std::size_t at) {
    return at < given.words.size() ? given.words[at] : std::string();
  };
  switch (kind) {
    case Kind::kUser:
      BENNU_TRY(take_name(given, "username", "--username", word(0)));
      return EntityId{.kind = Kind::kUser};
    case Kind::kDevice: {
      const bool user_is_option = !given.user.empty();
      const std::string user = user_is_option ? given.user : word(0);
      const std::string name = user_is_option ? word(0) : word(1);
      BENNU_TRY(take_name(given, "name", "--name", name));
      if (user.empty())
        return make_error(Code::kInvalidArgument, "whose device? Give --user ID or its username");
      const std::array<std::string, 1> parts = {user};
      BENNU_ASSIGN(const auto owner, inventory::parse_id(reader, Layout(), Kind::kUser, parts));
      return EntityId{.kind = Kind::kDevice, .first = owner.first, .second = given.parent};
    }
    case Kind::kNode:
    case Kind::kCell:
      if (word(0).empty()) {
        return make_error(Code::kInvalidArgument,
                          kind == Kind::kNode
                              ? "name the node's address: `bennu node add 203.0.113.7 --role core`"
                              : "name the cell's domain: `bennu cell add west.example.org`");
      }
      return EntityId{.kind = kind, .first = word(0)};
    case Kind::kLink:
      if (given.words.size() != 2) {
        return make_error(
            Code::kInvalidArgument,
            "name the entry and the core node: `bennu link add 198.51.100.1 203.0.113.7`");
      }
      return inventory::parse_id(reader, Layout(), Kind::kLink, given.words);
  }
  return make_error(Code::kInternal, "unknown kind");
}

Result<int> add(const Context& context, Kind kind, Given given) {
  BENNU_ASSIGN(const auto desk, open_desk(context));
  BENNU_ASSIGN(auto id, new_id(desk->session.store(), kind, given));
  BENNU_ASSIGN(const auto outcome,
               desk->inventory.add(std::move(id), changes_of(given), desk->audit));
  print_outcome(context, "added", outcome);
  return kExitDone;
}

Result<EntityId> find_id(kv::Reader& reader, Kind kind, const Given& given) {
  return inventory::parse_id(reader, Layout(), kind, id_words(kind, given));
}

Result<int> show(const Context& context, Kind kind, const Given& given) {
  BENNU_ASSIGN(auto session, ReadSession::open(context));
  BENNU_ASSIGN(const auto id, find_id(session.reader(), kind, given));
  BENNU_ASSIGN(const auto entity, inventory::get(session.reader(), Layout(), id));
  json document = entity_json(entity);
  std::string text = entity_text(context.out, entity);
  if (kind == Kind::kUser) {
    BENNU_ASSIGN(const auto devices,
                 inventory::list(session.reader(), Layout(), Kind::kDevice, {.parent = id.first}));
    document["devices"] = json::array();
    for (const Entity& device : devices) {
      document["devices"].push_back(entity_json(device));
      text += fmt::format("  device {} {} ({})\n", device.id.second, printable(device.get("name")),
                          device.get("status"));
    }
  }
  context.out.result(document, text);
  return kExitDone;
}

Result<int> list(const Context& context, Kind kind, const Given& given) {
  BENNU_ASSIGN(auto session, ReadSession::open(context));
  inventory::ListFilter filter;
  if (!given.user.empty()) {
    const std::array<std::string, 1> parts = {given.user};
    BENNU_ASSIGN(const auto owner,
                 inventory::parse_id(session.reader(), Layout(), Kind::kUser, parts));
    filter.parent = owner.first;
  }
  for (const auto& [name, value] : given.fields) {
    const inventory::Field* field = inventory::find_field(kind, name);
    if (field == nullptr)
      return make_error(Code::kInvalidArgument, fmt::format("there is no field {}", name));
    BENNU_ASSIGN(auto stored, inventory::canonical_value(*field, value));
    filter.where.emplace_back(name, std::move(stored));
  }
  BENNU_ASSIGN(const auto entities, inventory::list(session.reader(), Layout(), kind, filter));
  const KindInfo& info = inventory::kind_info(kind);
  std::vector<std::vector<std::string>> rows = {{}};
  for (const std::string_view part : info.primary_key) {
    if (!part.empty()) rows[0].emplace_back(part);
  }
  std::vector<std::string_view> columns;
  for (const inventory::Field& field : info.fields) {
    if (field.secret || field.name == "status_at" || field.name == "created") continue;
    columns.push_back(field.name);
    rows[0].emplace_back(field.name);
  }
  for (std::string& heading : rows[0])
    std::ranges::transform(heading, heading.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (const Entity& entity : entities) {
    std::vector<std::string> row = {entity.id.first};
    if (!info.primary_key[1].empty()) row.push_back(entity.id.second);
    for (const std::string_view column : columns) row.push_back(printable(entity.get(column), 60));
    rows.push_back(std::move(row));
  }
  context.out.result(json::parse(inventory::to_json(entities).dump()), table(rows));
  return kExitDone;
}

Result<int> set(const Context& context, Kind kind, const Given& given) {
  const auto changes = changes_of(given);
  if (changes.empty())
    return make_error(Code::kInvalidArgument,
                      "nothing to set: give at least one option, see --help");
  BENNU_ASSIGN(const auto desk, open_desk(context));
  BENNU_ASSIGN(const auto id, find_id(desk->session.store(), kind, given));
  BENNU_ASSIGN(const auto outcome, desk->inventory.set(id, changes, desk->audit));
  print_outcome(context, "changed", outcome);
  return kExitDone;
}

Result<int> set_status(const Context& context, Kind kind, const Given& given,
                       std::string_view status) {
  BENNU_ASSIGN(const auto desk, open_desk(context));
  BENNU_ASSIGN(const auto id, find_id(desk->session.store(), kind, given));
  BENNU_ASSIGN(const auto outcome, desk->inventory.set_status(id, status, desk->audit));
  print_outcome(context, status, outcome);
  return kExitDone;
}

Result<int> remove(const Context& context, Kind kind, const Given& given) {
  BENNU_ASSIGN(const auto desk, open_desk(context));
  BENNU_ASSIGN(const auto id, find_id(desk->session.store(), kind, given));
  if (!context.options.yes) {
    BENNU_ASSIGN(const auto preview, desk->inventory.what_goes(id));
    std::string also;
    for (const Entity& other : preview.also) also += fmt::format("; {}", describe(other));
    return make_error(
        Code::kFailedPrecondition,
        fmt::format("this would remove {}{}; add --yes to do it", describe(preview.entity), also));
  }
  BENNU_ASSIGN(const auto outcome, desk->inventory.remove(id, desk->audit));
  print_outcome(context, "removed", outcome);
  return kExitDone;
}

struct ConfigOptions {
  std::vector<std::string> device;
  std::string user;
  bool qr = false;
  std::string style;
};

Result<int> client_config(const Context& context, const ConfigOptions& options) {
  BENNU_ASSIGN(auto session, ReadSession::open(context));
  Given given{.words = options.device, .user = options.user};
  BENNU_ASSIGN(const auto id, find_id(session.reader(), Kind::kDevice, given));
  BENNU_ASSIGN(const auto device, inventory::get(session.reader(), Layout(), id));
  BENNU_ASSIGN(const auto links,
               inventory::client_links(session.reader(), Layout(), id, env::system_clock().wall()));
  const inventory::QrStyle style = options.style == "ascii"  ? inventory::QrStyle::kAscii
                                   : options.style == "utf8" ? inventory::QrStyle::kUtf8
                                   : context.out.colours()   ? inventory::QrStyle::kColor
                                                             : inventory::QrStyle::kUtf8;
  std::string text;
  for (const auto& link : links) {
    text += link.uri + "\n";
    if (!options.qr) continue;
    BENNU_ASSIGN(const auto lines, inventory::qr_lines(link.uri, style));
    for (const std::string& line : lines) text += line + "\n";
  }
  context.out.result(json::parse(inventory::to_json(device, links).dump()), text);
  return kExitDone;
}

std::string example(const KindInfo& info, std::string_view verb) {
  static const std::map<std::string, std::string, std::less<>> adding = {
      {"user", "anna --core-node 203.0.113.7"},
      {"device", "--user anna --name phone"},
      {"node", "203.0.113.7 --role core --cell west.example.org"},
      {"cell", "west.example.org"},
      {"link", "198.51.100.1 203.0.113.7"}};
  static const std::map<std::string, std::string, std::less<>> naming = {
      {"user", "anna"},
      {"device", "--user anna phone"},
      {"node", "203.0.113.7"},
      {"cell", "west.example.org"},
      {"link", "198.51.100.1 203.0.113.7"}};
  static const std::map<std::string, std::string, std::less<>> setting = {
      {"user", "anna --email anna@example.org"},
      {"device", "--user anna phone --expires 2027-01-01T00:00:00Z"},
      {"node", "203.0.113.7 --location Berlin"},
      {"cell", "west.example.org"},
      {"link", "198.51.100.1 203.0.113.7 --client-service-name svc-1"}};
  const std::string rest = verb == "set"    ? setting.find(info.name)->second
                           : verb == "add"  ? adding.find(info.name)->second
                           : verb == "list" ? std::string("-o json")
                                            : naming.find(info.name)->second;
  return fmt::format("bennu {} {} {} --data net", info.name, verb, rest);
}

// What the words after a verb are, of one that is there and of a new one.
std::string_view known_words(Kind kind) {
  switch (kind) {
    case Kind::kUser:
      return "id or username";
    case Kind::kDevice:
      return "uuid, or --user and name";
    case Kind::kNode:
      return "address or domain";
    case Kind::kCell:
      return "domain";
    case Kind::kLink:
      return "entry and core node, by address or domain";
  }
  return {};
}

std::string_view new_words(Kind kind) {
  switch (kind) {
    case Kind::kUser:
      return "username; its id is given by the counter";
    case Kind::kDevice:
      return "name, after its user if --user is not given; never its uuid, see --uuid";
    case Kind::kNode:
      return "address";
    case Kind::kCell:
      return "domain";
    case Kind::kLink:
      return "entry and core node, by address or domain";
  }
  return {};
}

using Verb = std::function<Result<int>(const Context&, Given)>;

void add_verb(Registry& registry, CLI::App& group, const KindInfo& info, const std::string& verb,
              const std::string& help, bool takes_id, bool takes_fields, Verb run) {
  auto given = std::make_shared<Given>();
  auto* command =
      registry.add(group, verb, help, example(info, verb),
                   [given, run = std::move(run)](const Context& c) { return run(c, *given); });
  if (takes_id) {
    const bool two = info.kind == Kind::kLink || info.kind == Kind::kDevice;
    command
        ->add_option(info.kind == Kind::kLink ? "NODES"  // no spaces in CLI11 2.4
                     : info.kind == Kind::kDevice && verb != "add" ? "DEVICE"
                                                                   : "NAME",
                     given->words,
                     verb == "add" ? fmt::format("The new {}'s {}", info.name, new_words(info.kind))
                                   : fmt::format("Which {}: {}", info.name, known_words(info.kind)))
        ->expected(0, two ? 2 : 1)
        ->type_name("");
  }
  if (info.kind == Kind::kDevice)
    command->add_option("--user", given->user, "Its user: id or username");
  if (info.kind == Kind::kDevice && verb == "add") {
    command->add_option("--uuid", given->parent, "Its credential (default: a new random one)");
  }
  if (takes_fields) add_field_options(command, info, *given);
  if (verb == "list") {
    command->add_option_function<std::string>(
        "--status", [given](const std::string& value) { given->fields["status"] = value; },
        "Only with this status");
  }
  if (verb == "set") command->add_option("--unset", given->unset, "Optional fields to take away");
}

}  // namespace

void add_inventory_commands(Registry& registry) {
  for (const KindInfo& info : inventory::all_kinds()) {
    const Kind kind = info.kind;
    const std::string name(info.name);
    CLI::App* group =
        registry.group(name, fmt::format("Add, show, list, change and remove {}s", name));
    const auto verb = [&](const std::string& word, const std::string& help, bool id, bool fields,
                          Verb run) {
      add_verb(registry, *group, info, word, help, id, fields, std::move(run));
    };
    verb("add", "Add a " + name, true, true,
         [kind](const Context& c, Given g) { return add(c, kind, std::move(g)); });
    verb("show", "Show one", true, false,
         [kind](const Context& c, const Given& g) { return show(c, kind, g); });
    verb("list", "List all, or those with given values", false, true,
         [kind](const Context& c, const Given& g) { return list(c, kind, g); });
    verb("set", "Change fields", true, true,
         [kind](const Context& c, const Given& g) { return set(c, kind, g); });
    verb("archive", "Put it away for good, keeping the record", true, false,
         [kind](const Context& c, const Given& g) {
           return set_status(c, kind, g, inventory::kArchived);
         });
    verb("activate", "Put it into service", true, false, [kind](const Context& c, const Given& g) {
      return set_status(c, kind, g, inventory::kActive);
    });
    verb("deactivate", "Take it out of service", true, false,
         [kind](const Context& c, const Given& g) {
           return set_status(c, kind, g, inventory::kInactive);
         });
    verb("remove", "Remove it, with what belongs to it (needs --yes)", true, false,
         [kind](const Context& c, const Given& g) { return remove(c, kind, g); });
  }
  auto options = std::make_shared<ConfigOptions>();
  auto* config =
      registry.add(registry.root(), "client-config", "The links of a device, and their QR codes",
                   "bennu client-config --user anna phone --qr --data net",
                   [options](const Context& c) { return client_config(c, *options); });
  config->add_option("DEVICE", options->device, "Which device: uuid, or --user and name")
      ->required()
      ->expected(1, 2);
  config->add_option("--user", options->user, "Its user: id or username");
  config->add_flag("--qr", options->qr, "Draw each link as a QR code");
  config->add_option("--qr-style", options->style, "color, utf8 or ascii")
      ->check(CLI::IsMember({"color", "utf8", "ascii"}));
}

}  // namespace bennu::cli
