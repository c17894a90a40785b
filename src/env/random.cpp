#include "env/random.hpp"

#include <sys/random.h>

#include <cerrno>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace bennu::env {
namespace {

class SystemRandom final : public Random {
 public:
  [[nodiscard]] std::string bytes(std::size_t count) override {
    std::string out(count, '\0');
    std::size_t done = 0;
    while (done < count) {
      const ssize_t got = ::getrandom(out.data() + done, count - done, 0);
      if (got < 0 && errno == EINTR) continue;
      BENNU_CHECK(got > 0, "getrandom failed");
      done += static_cast<std::size_t>(got);
    }
    return out;
  }
};

}  // namespace

Random& system_random() {
  static SystemRandom random;
  return random;
}

std::string random_uuid(Random& random) {
  std::string raw = random.bytes(16);
  raw[6] = static_cast<char>((raw[6] & 0x0f) | 0x40);
  raw[8] = static_cast<char>((raw[8] & 0x3f) | 0x80);
  std::string hex = to_hex(raw);
  for (const std::size_t at : {20U, 16U, 12U, 8U}) hex.insert(at, 1, '-');
  return hex;
}

}  // namespace bennu::env
