#include "inventory/fields.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace bennu::inventory {
namespace {

constexpr Field kStatusField = {.name = "status",
                                .type = FieldType::kStatus,
                                .help = "active, inactive or archived",
                                .set_by = SetBy::kStatus,
                                .required = true};
constexpr Field kStatusAtField = {.name = "status_at",
                                  .type = FieldType::kTime,
                                  .help = "since when it has this status",
                                  .set_by = SetBy::kBennu,
                                  .required = true};
constexpr Field kCreatedField = {.name = "created",
                                 .type = FieldType::kTime,
                                 .help = "when it was added",
                                 .set_by = SetBy::kBennu,
                                 .required = true};

constexpr std::array<Field, 8> kUserFields = {{
    {.name = "username",
     .type = FieldType::kUsername,
     .help = "name of the account, unique",
     .required = true,
     .unique = true},
    kStatusField,
    kStatusAtField,
    kCreatedField,
    {.name = "core_nodes",
     .type = FieldType::kIpSet,
     .help = "core nodes that may carry the user's traffic (addresses)",
     .required = true},
    {.name = "email", .type = FieldType::kEmail, .help = "address of the person", .secret = true},
    {.name = "telegram",
     .type = FieldType::kTelegram,
     .help = "Telegram name, from @ on",
     .secret = true},
    {.name = "hash_telegram_id",
     .type = FieldType::kHash,
     .help = "keyed hash of the Telegram id, unique",
     .unique = true},
}};

constexpr std::array<Field, 6> kDeviceFields = {{
    {.name = "name", .type = FieldType::kName, .help = "what the user calls it", .required = true},
    kStatusField,
    kStatusAtField,
    kCreatedField,
    {.name = "core_node",
     .type = FieldType::kIp,
     .help = "the one core node to use, of the user's core_nodes"},
    {.name = "expires",
     .type = FieldType::kTime,
     .help = "when access ends (RFC 3339, e.g. 2026-12-31T00:00:00Z)"},
}};

constexpr std::array<Field, 9> kNodeFields = {{
    {.name = "role", .type = FieldType::kRole, .help = "core, entry or mgmt", .required = true},
    kStatusField,
    kStatusAtField,
    {.name = "domain",
     .type = FieldType::kDomain,
     .help = "its host name; a core node in a cell gets <number>.core.<cell>"},
    {.name = "location", .type = FieldType::kText, .help = "where it stands, for people"},
    {.name = "hostname", .type = FieldType::kText, .help = "what the machine calls itself"},
    {.name = "cell", .type = FieldType::kDomain, .help = "the cell it belongs to"},
    {.name = "node_number",
     .type = FieldType::kCount,
     .help = "number of a core node in its cell, never used twice",
     .set_by = SetBy::kBennu},
    {.name = "uuid",
     .type = FieldType::kUuid,
     .help = "credential of a core node towards its entries",
     .secret = true},
}};

constexpr std::array<Field, 3> kCellFields = {{
    kStatusField,
    kStatusAtField,
    {.name = "core_node_counter",
     .type = FieldType::kCount,
     .help = "number of the newest core node",
     .set_by = SetBy::kBennu,
     .required = true},
}};

constexpr std::array<Field, 4> kLinkFields = {{
    {.name = "status",
     .type = FieldType::kStatus,
     .help = "active, inactive or archived",
     .set_by = SetBy::kStatus,
     .required = true,
     .key_class = KeyClass::kOperational},
    {.name = "client_service_name",
     .type = FieldType::kServiceName,
     .help = "gRPC service name between client and entry; random unless given",
     .required = true,
     .secret = true,
     .key_class = KeyClass::kOperational},
    {.name = "core_service_name",
     .type = FieldType::kServiceName,
     .help = "gRPC service name between entry and core; random unless given",
     .required = true,
     .secret = true,
     .key_class = KeyClass::kOperational},
    {.name = "last_rotation",
     .type = FieldType::kTime,
     .help = "when the service names last changed",
     .set_by = SetBy::kBennu,
     .required = true,
     .key_class = KeyClass::kOperational},
}};

constexpr std::array<KindInfo, 5> kKinds = {{
    {.kind = Kind::kUser,
     .name = "user",
     .plural = "users",
     .path = "users/<id>",
     .primary_key = {"id", ""},
     .fields = kUserFields},
    {.kind = Kind::kDevice,
     .name = "device",
     .plural = "users",
     .path = "users/<id>/devices/<uuid>",
     .primary_key = {"user_id", "uuid"},
     .fields = kDeviceFields,
     .secret_name = true},
    {.kind = Kind::kNode,
     .name = "node",
     .plural = "nodes",
     .path = "nodes/<ip>",
     .primary_key = {"ip", ""},
     .fields = kNodeFields},
    {.kind = Kind::kCell,
     .name = "cell",
     .plural = "cells",
     .path = "cells/<domain>",
     .primary_key = {"domain", ""},
     .fields = kCellFields},
    {.kind = Kind::kLink,
     .name = "link",
     .plural = "links",
     .path = "links/<entry ip>/<core ip>",
     .primary_key = {"entry_ip", "core_ip"},
     .fields = kLinkFields},
}};

}  // namespace

std::span<const KindInfo> all_kinds() { return kKinds; }

const KindInfo& kind_info(Kind kind) {
  const auto index = static_cast<std::size_t>(kind);
  BENNU_CHECK(index < kKinds.size() && kKinds[index].kind == kind, "the table is in enum order");
  return kKinds[index];
}

std::optional<Kind> find_kind(std::string_view name) {
  const auto* found = std::ranges::find(kKinds, name, &KindInfo::name);
  if (found == kKinds.end()) return std::nullopt;
  return found->kind;
}

const Field* find_field(Kind kind, std::string_view name) {
  const auto fields = kind_info(kind).fields;
  const auto found = std::ranges::find(fields, name, &Field::name);
  return found == fields.end() ? nullptr : &*found;
}

std::string_view class_name(KeyClass key_class) {
  switch (key_class) {
    case KeyClass::kDesired:
      return "desired";
    case KeyClass::kOperational:
      return "operational";
    case KeyClass::kDerived:
      return "derived";
    case KeyClass::kEphemeral:
      return "ephemeral";
  }
  return "desired";
}

}  // namespace bennu::inventory
