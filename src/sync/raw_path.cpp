#include "sync/raw_path.hpp"

#include <array>
#include <cstdint>

namespace bennu::sync {
namespace {

// What   a byte means inside a component.
enum ByteClass : std::uint8_t { kPlain, kEscaped, kSlash, kPercent, kHigh };

constexpr std::array<ByteClass, 256> make_byte_classes() {
  std::array<ByteClass, 256> classes{};
  for (std::size_t i = 0; i < 0x20; ++i) classes[i] = kEscaped;
  classes[0x7f] = kEscaped;
  classes['\\'] = kEscaped;  // git takes what follows one for a name of its own (fsck.c)
  classes['/'] = kSlash;
  classes['%'] = kPercent;
  for (std::size_t i = 0x80; i < 256; ++i) classes[i] = kHigh;
  return classes;
}
constexpr auto kByteClasses = make_byte_classes();

ByteClass class_of(char c) { return kByteClasses[static_cast<unsigned char>(c)]; }

unsigned byte_at(std::string_view s, std::size_t i) { return static_cast<unsigned char>(s[i]); }

// The length of the well-formed UTF-8 sequence at `i` (RFC 3629), 0 if there is none.
std::size_t utf8_length(std::string_view s, std::size_t i) {
  const unsigned lead = byte_at(s, i);
  if (lead < 0x80) return 1;
  const auto continues = [&](std::size_t at, unsigned low, unsigned high) {
    return at < s.size() && byte_at(s, at) >= low && byte_at(s, at) <= high;
  };
  if (lead >= 0xc2 && lead <= 0xdf) return continues(i + 1, 0x80, 0xbf) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const unsigned low = lead == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : 0xbf;
    return continues(i + 1, low, high) && continues(i + 2, 0x80, 0xbf) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned low = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xf4 ? 0x8f : 0xbf;
    return continues(i + 1, low, high) && continues(i + 2, 0x80, 0xbf) &&
                   continues(i + 3, 0x80, 0xbf)
               ? 4
               : 0;
  }
  return 0;
}

void append_escape(char c, std::string& out) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out += '%';
  out += kDigits[byte >> 4U];
  out += kDigits[byte & 15U];
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool starts_with_no_case(std::string_view s, std::string_view lower_prefix) {
  if (s.size() < lower_prefix.size()) return false;
  for (std::size_t i = 0; i < lower_prefix.size(); ++i) {
    if (lower(s[i]) != lower_prefix[i]) return false;
  }
  return true;
}

// Only dots and spaces up to the end or to the colon of an NTFS stream.
bool ends_as_on_ntfs(std::string_view rest) {
  for (const char c : rest) {
    if (c == ':') return true;
    if (c != '.' && c != ' ') return false;
  }
  return true;
}

bool is_ntfs_dotgit(std::string_view name) {
  if (starts_with_no_case(name, ".git")) return ends_as_on_ntfs(name.substr(4));
  return starts_with_no_case(name, "git~1") && ends_as_on_ntfs(name.substr(5));
}

// `short_prefix`: the hashed six characters that NTFS falls back to when `~1` to `~4` are taken.
bool is_ntfs_dot(std::string_view name, std::string_view needle, std::string_view short_prefix) {
  if (name.starts_with('.') && starts_with_no_case(name.substr(1), needle)) {
    return ends_as_on_ntfs(name.substr(needle.size() + 1));
  }
  if (name.size() >= 8 && starts_with_no_case(name, needle.substr(0, 6)) && name[6] == '~' &&
      name[7] >= '1' && name[7] <= '4') {
    return ends_as_on_ntfs(name.substr(8));
  }
  if (name.size() < 8) return false;
  bool saw_tilde = false;
  for (std::size_t i = 0; i < 8; ++i) {
    if (saw_tilde) {
      if (name[i] < '0' || name[i] > '9') return false;
    } else if (name[i] == '~') {
      ++i;
      if (i >= name.size() || name[i] < '1' || name[i] > '9') return false;
      saw_tilde = true;
    } else if (i >= 6 || lower(name[i]) != short_prefix[i]) {
      return false;
    }
  }
  return ends_as_on_ntfs(name.substr(8));
}

// The length of the code point at `i` if HFS+ ignores it in names, else 0 (utf8.c, next_hfs_char).
std::size_t hfs_ignored(std::string_view s, std::size_t i) {
  if (i + 3 > s.size()) return 0;
  const unsigned a = byte_at(s, i);
  const unsigned b = byte_at(s, i + 1);
  const unsigned c = byte_at(s, i + 2);
  const bool ignored = (a == 0xe2 && b == 0x80 && c >= 0x8c && c <= 0x8f) ||  // U+200C to U+200F
                       (a == 0xe2 && b == 0x80 && c >= 0xaa && c <= 0xae) ||  // U+202A to U+202E
                       (a == 0xe2 && b == 0x81 && c >= 0xaa && c <= 0xaf) ||  // U+206A to U+206F
                       (a == 0xef && b == 0xbb && c == 0xbf);                 // U+FEFF
  return ignored ? 3 : 0;
}

// Whether the name is `.` and the needle once the ignored code points are gone.
bool is_hfs_dot(std::string_view name, std::string_view needle) {
  std::size_t matched = 0;  // of "." + needle
  for (std::size_t i = 0; i < name.size();) {
    if (const std::size_t skip = hfs_ignored(name, i); skip > 0) {
      i += skip;
      continue;
    }
    if (matched > needle.size()) return false;
    const char want = matched == 0 ? '.' : needle[matched - 1];
    if (lower(name[i]) != want) return false;
    ++matched;
    ++i;
  }
  return matched == needle.size() + 1;
}

bool is_dotgit(std::string_view name) { return is_ntfs_dotgit(name) || is_hfs_dot(name, "git"); }

bool is_gitmodules(std::string_view name) {
  return is_ntfs_dot(name, "gitmodules", "gi7eba") || is_hfs_dot(name, "gitmodules");
}

bool is_gitattributes(std::string_view name) {
  return is_ntfs_dot(name, "gitattributes", "gi7d29") || is_hfs_dot(name, "gitattributes");
}

// Every unsafe name starts with one of these; the rest need no closer look.
bool may_be_unsafe(std::string_view component) {
  const char first = component.front();
  return first == '.' || first == 'g' || first == 'G' || static_cast<unsigned char>(first) >= 0xe2;
}

// The length of the escape, sequence or byte at `i` of an encoded component.
std::size_t unit_length(std::string_view encoded, std::size_t i) {
  if (encoded[i] == '%') return 3;
  return class_of(encoded[i]) == kHigh ? utf8_length(encoded, i) : 1;
}

void escape_first(std::string& encoded) {
  if (encoded.front() == '%') return;
  const std::size_t length = unit_length(encoded, 0);
  std::string escaped;
  for (std::size_t i = 0; i < length; ++i) append_escape(encoded[i], escaped);
  encoded.replace(0, length, escaped);
}

// The segment with every byte escaped that must be, whatever its neighbours.
void append_escaped_bytes(std::string_view segment, std::string& out) {
  for (std::size_t i = 0; i < segment.size();) {
    const ByteClass c = class_of(segment[i]);
    const std::size_t length = c == kHigh ? utf8_length(segment, i) : (c == kPlain ? 1U : 0U);
    if (length == 0) {
      append_escape(segment[i], out);
      ++i;
    } else {
      out.append(segment, i, length);
      i += length;
    }
  }
}

// A component over the limit: pieces of whole units, all but the last followed by `%+/`.
void append_pieces(std::string encoded, std::string& out) {
  const auto piece_length = [&] {
    std::size_t length = 0;
    while (length < encoded.size()) {
      const std::size_t unit = unit_length(encoded, length);
      if (length + unit > kMaxPieceBytes) break;
      length += unit;
    }
    return length;
  };
  while (true) {
    std::size_t length = piece_length();
    const bool cut = length < encoded.size();
    if (is_unsafe_component(std::string_view(encoded).substr(0, length))) {
      escape_first(encoded);
      length = piece_length();
    }
    out.append(encoded, 0, length);
    if (!cut && length == encoded.size()) return;
    out.append(kContinues).append("/");
    encoded.erase(0, length);
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Undoes the escapes of one component; false on a `%` that is no escape.
bool unescape(std::string_view component, std::string& out) {
  for (std::size_t i = 0; i < component.size(); ++i) {
    if (component[i] != '%') {
      out += component[i];
      continue;
    }
    if (i + 2 >= component.size()) return false;
    const int high = hex_digit(component[i + 1]);
    const int low = hex_digit(component[i + 2]);
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return true;
}

// Whether the bytes are a path (of a key: after the leading slash) in which nothing needs an
// escape.
bool is_plain(std::string_view path) {
  if (path.empty()) return false;
  std::size_t start = 0;
  const auto component_ok = [&](std::size_t end) {
    const std::string_view component = path.substr(start, end - start);
    return !component.empty() && component.size() <= kMaxComponentBytes &&
           !(may_be_unsafe(component) && is_unsafe_component(component));
  };
  for (std::size_t i = 0; i < path.size();) {
    switch (class_of(path[i])) {
      case kPlain:
        ++i;
        break;
      case kSlash:
        if (!component_ok(i)) return false;
        start = ++i;
        break;
      case kHigh: {
        const std::size_t length = utf8_length(path, i);
        if (length == 0) return false;
        i += length;
        break;
      }
      default:
        return false;
    }
  }
  return component_ok(path.size());
}

// Slow path of decode_path: undoes everything, without asking whether it is canonical.
bool decode_loosely(std::string_view path, std::string& key) {
  if (path.starts_with(kSlashlessTop) && path.substr(kSlashlessTop.size()).starts_with('/')) {
    path.remove_prefix(kSlashlessTop.size() + 1);
  } else {
    key += '/';
  }
  while (true) {
    const std::size_t slash = path.find('/');
    std::string_view component = path.substr(0, slash);
    const bool last = slash == std::string_view::npos;
    const bool continues = component.ends_with(kContinues);
    if (continues) component.remove_suffix(kContinues.size());
    if (continues && last) return false;
    if (component != "%" && !unescape(component, key)) return false;
    if (last) return true;
    if (!continues) key += '/';
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

bool is_unsafe_component(std::string_view name) {
  if (name.empty() || !may_be_unsafe(name)) return false;
  return name == "." || name == ".." || is_dotgit(name) || is_gitmodules(name) ||
         is_gitattributes(name);
}

bool is_valid_tree_path(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  while (true) {
    const std::size_t slash = path.find('/');
    std::string_view name = path.substr(0, slash);
    if (name.empty() || name == "." || name == "..") return false;
    if (is_dotgit(name)) return false;
    for (std::size_t at = name.find('\\'); at != std::string_view::npos; at = name.find('\\')) {
      name.remove_prefix(at + 1);
      if (is_ntfs_dotgit(name.substr(0, name.find('\\')))) return false;
    }
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

void append_component(std::string_view segment, std::string& out) {
  if (segment.empty()) {
    out += '%';
    return;
  }
  std::string encoded;
  append_escaped_bytes(segment, encoded);
  if (is_unsafe_component(encoded)) escape_first(encoded);
  if (encoded.size() <= kMaxComponentBytes) {
    out += encoded;
  } else {
    append_pieces(std::move(encoded), out);
  }
}

bool decode_component(std::string_view component, std::string& segment) {
  segment.clear();
  if (component.empty()) return false;
  if (component != "%" && !unescape(component, segment)) return false;
  std::string again;
  append_component(segment, again);
  return again == component;
}

void append_path(std::string_view key, std::string& out) {
  if (key.starts_with('/')) {
    key.remove_prefix(1);
    if (is_plain(key)) {
      out += key;
      return;
    }
  } else {
    out.append(kSlashlessTop).append("/");
  }
  while (true) {
    const std::size_t slash = key.find('/');
    append_component(key.substr(0, slash), out);
    if (slash == std::string_view::npos) return;
    out += '/';
    key.remove_prefix(slash + 1);
  }
}

bool decode_path(std::string_view path, std::string& key) {
  key.clear();
  if (is_plain(path)) {
    key += '/';
    key += path;
    return true;
  }
  if (path.empty() || !decode_loosely(path, key)) return false;
  std::string again;
  again.reserve(path.size());
  append_path(key, again);
  return again == path;
}

}  // namespace bennu::sync
