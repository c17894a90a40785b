#include "kv/embedded/watch_hub.hpp"

#include <utility>

#include "kv/embedded/watch_core.hpp"
#include "kv/embedded/watch_stream.hpp"

namespace bennu::kv::embedded {

WatchHub::WatchHub(const ChangeSource& source, const env::Clock& clock, WatchOptions options)
    : core_(std::make_shared<WatchCore>(source, options)), clock_(clock) {}

WatchHub::~WatchHub() { close(); }

WatchHub::Wants WatchHub::wants() const { return core_->wants(); }

void WatchHub::publish(Revision newest, std::vector<ChangeBlock> recent) {
  core_->publish(newest, std::move(recent));
}

Result<std::unique_ptr<WatchStream>> WatchHub::open() {
  if (core_->closed()) {
    return make_error(Code::kUnavailable, "the store is closed; open it and watch again");
  }
  return std::make_unique<PullStream>(core_, clock_);
}

void WatchHub::close() { core_->close(); }

}  // namespace bennu::kv::embedded
