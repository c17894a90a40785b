#include "sync/credentials.hpp"

#include <gtest/gtest.h>

namespace bennu::sync {
namespace {

// Split so that no scanner of ours or of others takes this file for a leak.
std::string joined(std::string_view a, std::string_view b) {
  return std::string(a) + std::string(b);
}

std::string kind_of(std::string_view text) {
  const auto findings = find_credentials("file", text);
  return findings.empty() ? "" : findings.front().kind;
}

TEST(Credentials, NamesWhatMakersMarked) {
  EXPECT_EQ(kind_of(joined("-----BEGIN OPENSSH ", "PRIVATE KEY-----")), "a private key (PEM)");
  EXPECT_EQ(kind_of(joined("-----BEGIN PGP ", "PRIVATE KEY BLOCK-----")), "a private key (PEM)");
  EXPECT_EQ(kind_of(joined("AGE-SECRET-", "KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQ")), "an age identity");
  EXPECT_EQ(kind_of(joined("token: gh", "p_0123456789abcdefghijABCDEFGHIJ012345")),
            "a GitHub token");
  EXPECT_EQ(kind_of(joined("id = AKI", "AIOSFODNN7EXAMPLX")), "an AWS access key");
}

TEST(Credentials, NamesLinksPasswordsAndKeys) {
  EXPECT_EQ(kind_of("vless://6fa459ea-ee8a-4ca4-894e-db77e160355e@host:443?type=grpc"),
            "a proxy link with its credential");
  EXPECT_EQ(kind_of("remote = https://bob:hunter22@git.example.net/x"), "a password in a URL");
  EXPECT_EQ(kind_of("PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="), "a private key");
  EXPECT_EQ(kind_of("  \"uuid\": \"6fa459ea-ee8a-4ca4-894e-db77e160355e\","),
            "a random UUID, a credential in proxy networks");
  EXPECT_EQ(kind_of("db_password: correct-horse-77"), "a password");
  EXPECT_EQ(kind_of("api_key=9aKd83jfLQ0zmXw2PpR7"), "a secret");
}

TEST(Credentials, KeepsQuietAboutOrdinaryText) {
  for (const std::string_view text :
       {"PublicKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", "password: ${DB_PASSWORD}",
        "password = changeme", "token: <your token>", "the secret of a good soup is time",
        "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", "\"name\": \"anna\"", "fd00:1234::/48",
        "https://example.org/a?b=c", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx", "asn: 65001",
        "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "secret_names: uuid", "mail: noc@example.net",
        "id: 6fa459ea-ee8a-1ca4-894e-db77e160355e"}) {
    EXPECT_EQ(kind_of(text), "") << text;
  }
}

TEST(Credentials, SaysWhere) {
  const auto findings =
      find_credentials("devices/6fa459ea-ee8a-4ca4-894e-db77e160355e.json",
                       joined("{}\n\npassword: abcd1234\n-----BEGIN ", "PRIVATE KEY-----"));
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].line, 0U);
  EXPECT_EQ(findings[1].line, 3U);
  EXPECT_EQ(findings[2].line, 4U);
}

TEST(Credentials, IsBounded) {
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "password: abcd1234\n";
  EXPECT_EQ(find_credentials("x", many).size(), kMaxFindings);
  EXPECT_TRUE(find_credentials("x", std::string(100, '\0') + "\npassword: abcd1234\n").empty());
  EXPECT_TRUE(find_credentials("x", "").empty());
}

}  // namespace
}  // namespace bennu::sync
