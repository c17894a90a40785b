#pragma once
// What   Runs a script on one engine and writes down what it answered, in a form that two engines
//        can be compared in.
// Why    What may differ between engines (absolute revisions, the hash itself, the time left of a
//        lease, how events are cut into responses) is taken out here, and nothing else.
// Use    `transcript({.store = ..., .reopen = ...}, script)`; line i is the answer to step i, then
//        follow the events of each watch. The store is emptied first; nobody else may use it
//        meanwhile.
// Units  Revisions count from the script's beginning, as in the script.
// Errors An answer that never comes ends the run with a line that says so.
// Threads One thread.
// Source own design (tests/conformance/README.md).

#include <functional>
#include <string>
#include <vector>

#include "kv/store.hpp"
#include "script.hpp"

namespace bennu::conformance {

struct Engine {
  std::function<kv::Store&()> store;  ///< asked again after each reopen
  std::function<void()> reopen;       ///< may do nothing
  bool in_request_order = true;       ///< Traits::events_in_request_order
};

/// With `sort_events`, the events of a revision stand in key order, for engines that do so.
[[nodiscard]] std::vector<std::string> transcript(const Engine& engine, const Script& script,
                                                  bool sort_events);

}  // namespace bennu::conformance
