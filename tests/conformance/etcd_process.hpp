#pragma once
// What   A real etcd of our own: one member, a folder that is gone afterwards, sockets inside that
//        folder.
// Why    Tests need an etcd that nobody else uses, also when many run at once.
// Use    `EtcdProcess::start()`; `target()` is for etcd::connect. Kept until the process ends or
//        the object does.
// Units  Leases have a smallest TTL of 1 s here (etcd derives it from the election time, which is
//        short).
// Errors kNotFound: no `etcd` in PATH (or at BENNU_ETCD); kUnavailable: it ended or did not answer,
//        with its last words.
// Threads One thread; the etcd is killed when the thread that started it ends, so start it on the
//         main thread.
// Source etcd's flags (`etcd --help`, 3.4); prctl(2), PR_SET_PDEATHSIG.

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/result.hpp"
#include "env/temp_dir.hpp"

namespace bennu::conformance {

class EtcdProcess {
 public:
  [[nodiscard]] static Result<std::unique_ptr<EtcdProcess>> start();
  EtcdProcess(const EtcdProcess&) = delete;
  EtcdProcess& operator=(const EtcdProcess&) = delete;
  ~EtcdProcess();

  /// Kills it without warning and starts it on the same data; blocks until it answers.
  [[nodiscard]] Status restart();
  /// What gRPC dials.
  [[nodiscard]] std::string target() const;

 private:
  EtcdProcess() = default;
  [[nodiscard]] Status launch();
  void kill();
  [[nodiscard]] Status wait_until_healthy();
  [[nodiscard]] bool has_ended();
  [[nodiscard]] std::string last_words() const;

  env::TempDir dir_;
  std::string program_;
  pid_t child_ = 0;
};

}  // namespace bennu::conformance
