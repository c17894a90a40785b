#include "sync/schema.hpp"

namespace bennu::sync {

namespace {

constexpr std::string_view kDefaultSchema = R"json({
  "version": 1,
  "mapping": 1,
  "root": "/net/",
  "prefixes": [
    {"prefix": "/net/health/", "class": "ephemeral"},
    {"prefix": "/net/routes/", "class": "derived"},
    {"prefix": "/net/tokens/", "class": "ephemeral"},
    {"prefix": "/public/", "class": "secret"}
  ],
  "entities": [
    {
      "name": "counters",
      "path": "counters",
      "fields": {
        "user_id": {"type": "int"}
      }
    },
    {
      "name": "user",
      "path": "users/{id}",
      "fields": {
        "username": {"type": "string", "unique": true},
        "status": {"type": "string"},
        "status_at": {"type": "time"},
        "created": {"type": "time"},
        "core_nodes": {"type": "set"},
        "email": {"type": "string", "class": "secret"},
        "telegram": {"type": "string", "class": "secret"},
        "hash_telegram_id": {"type": "string", "unique": true}
      }
    },
    {
      "name": "device",
      "path": "users/{user}/devices/{uuid}",
      "secret_names": ["uuid"],
      "fields": {
        "name": {"type": "string"},
        "status": {"type": "string"},
        "status_at": {"type": "time"},
        "created": {"type": "time"},
        "core_node": {"type": "string"},
        "expires": {"type": "time"}
      }
    },
    {
      "name": "node",
      "path": "nodes/{ip}",
      "fields": {
        "role": {"type": "string"},
        "status": {"type": "string"},
        "status_at": {"type": "time"},
        "domain": {"type": "string"},
        "location": {"type": "string"},
        "hostname": {"type": "string"},
        "cell": {"type": "string"},
        "node_number": {"type": "int"},
        "uuid": {"type": "string", "class": "secret"}
      }
    },
    {
      "name": "cell",
      "path": "cells/{domain}",
      "fields": {
        "status": {"type": "string"},
        "status_at": {"type": "time"},
        "core_node_counter": {"type": "int"}
      }
    },
    {
      "name": "link",
      "path": "links/{entry}/{core}",
      "class": "operational",
      "fields": {
        "status": {"type": "string"},
        "client_service_name": {"type": "string", "secret": true},
        "core_service_name": {"type": "string", "secret": true},
        "last_rotation": {"type": "time"}
      }
    },
    {
      "name": "public-user",
      "path": "/public/users/{id}",
      "fields": {
        "contacts": {"type": "json"}
      }
    },
    {
      "name": "appeal",
      "path": "/public/appeals/{uuid}",
      "fields": {
        "subject": {"type": "string"},
        "status": {"type": "string"},
        "messages": {"type": "json"}
      }
    }
  ]
}
)json";

}  // namespace

std::string_view default_schema_text() { return kDefaultSchema; }

}  // namespace bennu::sync
