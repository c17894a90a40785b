#include "etcd_watch.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/guarded.hpp"
#include "etcd_convert.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::etcd {
namespace {

namespace pb = etcdserverpb;

// etcd answers a create it refuses with both flags and this id.
constexpr WatchId kNoWatch = -1;

class EtcdWatchStream final : public WatchStream {
 public:
  EtcdWatchStream(pb::Watch::StubInterface& stub, std::chrono::milliseconds timeout)
      : timeout_(timeout), call_(stub.Watch(&context_)), reader_([this] { read(); }) {}
  EtcdWatchStream(const EtcdWatchStream&) = delete;
  EtcdWatchStream& operator=(const EtcdWatchStream&) = delete;
  ~EtcdWatchStream() override {
    state_.lock()->closing = true;
    changed_.notify_all();
    context_.TryCancel();
    reader_.join();
    call_->Finish().IgnoreError();
  }

  Result<WatchId> create(const WatchRequest& request) override {
    if (request.range.key.empty()) {
      return make_error(Code::kInvalidArgument, "a watch needs a key", reason::kEmptyKey);
    }
    // One create at a time: etcd's answer names no request, so it belongs to the one that is
    // waiting.
    const std::scoped_lock one_at_a_time(create_mutex_);
    state_.lock()->creating = true;
    changed_.notify_all();
    auto written = write(to_wire(request));
    auto state = state_.lock();
    if (written) {
      changed_.wait_for(state.raw_lock(), timeout_,
                        [&] { return state->created.has_value() || state->broken.has_value(); });
    }
    state->creating = false;
    auto created = std::exchange(state->created, std::nullopt);
    if (!written) return written.error();
    if (created) return *std::move(created);
    if (state->broken) return *state->broken;
    return make_error(Code::kDeadlineExceeded, "etcd did not answer the creation of a watch");
  }

  Status cancel(WatchId id) override {
    pb::WatchRequest request;
    request.mutable_cancel_request()->set_watch_id(id);
    return write(request);
  }

  Status request_progress() override {
    pb::WatchRequest request;
    request.mutable_progress_request();
    return write(request);
  }

  Result<std::optional<WatchResponse>> next(std::chrono::milliseconds wait) override {
    auto state = state_.lock();
    changed_.wait_for(state.raw_lock(), wait,
                      [&] { return !state->queue.empty() || state->broken.has_value(); });
    if (state->queue.empty()) {
      if (state->broken) return *state->broken;
      return std::optional<WatchResponse>{};
    }
    std::optional<WatchResponse> response = std::move(state->queue.front());
    state->queue.pop_front();
    changed_.notify_all();
    return response;
  }

 private:
  struct State {
    std::deque<WatchResponse> queue;
    std::optional<Result<WatchId>> created;  // the answer that create() waits for
    std::optional<Error> broken;
    bool creating = false;
    bool closing = false;
  };

  // gRPC wants one writer at a time; the mutex is for that alone, and held over the write on
  // purpose.
  Status write(const pb::WatchRequest& request) {
    const std::scoped_lock one_at_a_time(write_mutex_);
    if (call_->Write(request)) return {};
    return make_error(Code::kUnavailable, "the watch stream to etcd is broken");
  }

  void read() {
    pb::WatchResponse message;
    while (call_->Read(&message)) {
      const bool answers_create = message.created();
      WatchResponse response = from_wire(std::move(message));
      auto state = state_.lock();
      if (answers_create && response.id == kNoWatch) {
        state->created = to_error(response.cancel_reason);
      } else {
        if (answers_create) state->created = response.id;
        state->queue.push_back(std::move(response));
      }
      changed_.notify_all();
      // A full queue stops reading, so that etcd keeps the rest; a create that waits for its answer
      // opens it again.
      changed_.wait(state.raw_lock(), [&] {
        return state->closing || state->creating || state->queue.size() < kMaxQueuedResponses;
      });
      if (state->closing) return;
    }
    state_.lock()->broken = make_error(Code::kUnavailable, "the watch stream to etcd has ended");
    changed_.notify_all();
  }

  std::chrono::milliseconds timeout_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriterInterface<pb::WatchRequest, pb::WatchResponse>> call_;
  std::mutex create_mutex_;
  std::mutex write_mutex_;
  Guarded<State> state_;
  std::condition_variable changed_;
  std::jthread reader_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<WatchStream> open_watch_stream(pb::Watch::StubInterface& stub,
                                               std::chrono::milliseconds timeout) {
  return std::make_unique<EtcdWatchStream>(stub, timeout);
}

}  // namespace bennu::kv::etcd
