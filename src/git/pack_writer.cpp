#include "git/pack_writer.hpp"

#include "git/libgit2.hpp"
#include "git/pack_writer_impl.hpp"

namespace bennu::git {
namespace {

constexpr std::size_t kBufferBytes = 1UL * 1024 * 1024;

}  // namespace

bool has_object(const Repository& repository, const ObjectId& id) {
  const git_oid oid = to_oid(id);
  return git_odb_exists_ext(OdbAccess::odb(repository), &oid, GIT_ODB_LOOKUP_NO_REFRESH) != 0;
}

PackWriter::PackWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PackWriter::~PackWriter() = default;

Result<std::unique_ptr<PackWriter>> PackWriter::begin(const Repository& repository,
                                                      const PackOptions& options) {
  BENNU_ASSIGN(auto file, PackFile::create(repository.path() / "objects" / "pack"));
  // One look for packs that others wrote; the checks for single objects then go without.
  if (options.skip_existing) git_odb_refresh(OdbAccess::odb(repository));
  auto impl = std::make_unique<Impl>(repository, options, std::move(file));
  return std::unique_ptr<PackWriter>(new PackWriter(std::move(impl)));
}

Result<ObjectId> PackWriter::add(ObjectKind kind, std::string_view bytes) {
  Impl& self = *impl_;
  const ObjectId id = hash_object(kind, bytes);
  if (self.options.skip_existing && !self.file->has(id) && has_object(self.repository, id))
    return id;
  const auto slot = self.file->claim(id);
  if (!slot) return id;
  self.encoder.encode(*slot, kind, bytes, self.run);
  if (self.run.bytes.size() >= kBufferBytes) BENNU_TRY(self.flush());
  return id;
}

Result<Object> PackWriter::read(const ObjectId& id) {
  if (impl_->file->has(id)) {
    BENNU_TRY(impl_->flush());
    BENNU_ASSIGN(auto object, impl_->file->read(id));
    if (object) return std::move(*object);
  }
  return impl_->repository.read(id);
}

std::uint64_t PackWriter::objects() const { return impl_->file->objects(); }

Result<PackResult> PackWriter::finish() {
  Impl& self = *impl_;
  BENNU_TRY(self.flush());
  PackResult result{.objects = self.file->objects(), .size_bytes = 0, .name = {}};
  if (result.objects > 0) {
    BENNU_ASSIGN(result.name, self.file->finish());
    result.size_bytes = self.file->size_bytes();
  }
  self.file.reset();
  return result;
}

Status PackWriter::Impl::flush() {
  if (failure) return *failure;
  const Status status = file->append(run);
  run.bytes.clear();
  run.members.clear();
  if (!status) failure = status.error();
  return status;
}

}  // namespace bennu::git
